//! The run: bring everyone up, learn what a whole answer is, let them take turns.

use std::rc::Rc;

use crate::answer::Expected;
use crate::contender::{self, Contender, start_mock};
use crate::failure::Failure;
use crate::load::{self, Connection, Window};
use crate::machine::Machine;
use crate::options::Options;
use crate::placement::Placement;
use crate::report::{Disk, Report, Row};
use crate::request::{self, Case};
use crate::{disk, marks};

/// Durable appends measured at the start of each round.
const APPENDS: usize = 40;

/// Measures everything that the options name.
pub(crate) async fn run(options: &Options) -> Result<Report, Failure> {
    // Before any process is told where to run: the count of processors is what this one may use.
    let machine = Machine::look();
    // A folder for each run, so that two runs disturb nothing but each other's figures.
    let dir = options.dir.join(std::process::id().to_string());
    std::fs::create_dir_all(&dir)
        .map_err(|error| Failure::new(format!("{} cannot be made: {error}", dir.display())))?;
    let dir = &dir.canonicalize().map_err(|error| Failure::new(error.to_string()))?;
    let (mock, address) = start_mock(options, dir).await?;
    let mut contenders = Vec::new();
    for &kind in &options.contenders {
        contenders.push(Contender::start(kind, options, dir, address, mock.pid()).await?);
    }
    let direct = Contender::direct(address, contender::MODEL, mock.pid());
    let expected = Rc::new(learn(&direct).await?);
    let placement = Placement::new(std::process::id(), mock.pid());
    let mut appends = Vec::new();
    let mut rows = Vec::new();
    for case in cases(options) {
        eprintln!("{}", describe(case));
        placement.suit(case.connections);
        let mut windows: Vec<Vec<Window>> = vec![Vec::new(); contenders.len()];
        for _ in 0..options.rounds {
            appends.extend(disk::durable_appends(dir, APPENDS)?);
            for (contender, windows) in contenders.iter().zip(&mut windows) {
                windows.push(load::window(contender, case, &expected, options.warm_up, options.window).await);
            }
        }
        rows.extend(
            contenders
                .iter()
                .zip(&windows)
                .map(|(contender, windows)| Row::new(contender.kind, case, expected.pieces, windows)),
        );
    }
    drop((contenders, mock));
    // Books and logs are of use only when something went wrong, and then this line is not reached.
    let _ = std::fs::remove_dir_all(dir);
    let disk = Disk::new(appends);
    let marks = marks::judge(&rows, &disk);
    Ok(Report::new(machine, options, disk, rows, marks))
}

fn describe(case: Case) -> String {
    let stream = if case.stream { "stream" } else { "whole" };
    format!("measuring {} connections, {} bytes, {stream}", case.connections, case.prompt)
}

/// Every combination that the options name.
fn cases(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for &stream in &options.streams {
        for &prompt in &options.prompts {
            cases.extend(options.connections.iter().map(|&connections| Case { connections, prompt, stream }));
        }
    }
    cases
}

/// What the provider answers when nothing is in between.
async fn learn(direct: &Contender) -> Result<Expected, Failure> {
    let mut bodies = Vec::new();
    for stream in [false, true] {
        let case = Case { connections: 1, prompt: 200, stream };
        let request = request::chat(case, true, direct.address, &direct.key, direct.model);
        let (status, body) = Connection::open(direct.address).await?.exchange(&request).await.map(own)?;
        if status != 200 {
            return Err(Failure::new(format!("the provider answers {status}")));
        }
        bodies.push(body);
    }
    Expected::learn(&bodies[0], &bodies[1])
}

fn own((status, body): (u16, &[u8])) -> (u16, Vec<u8>) {
    (status, body.to_vec())
}
