//! How much of SQLite's own speed the ledger's writer leaves: hold and settle pairs a second beside raw group commits.
//!
//! All sides have the same shape: so many clients, each with one command under way, and one writer thread that puts
//! all waiting commands into one transaction. A pair is two commands, one after the other, as a call makes them. A raw
//! command inserts one row of 300 bytes, so a raw pair inserts two. The ledger's pair inserts a hold, then deletes it and
//! inserts a journal entry and a cost row, with the sums of wallet and lot once a transaction, under every rule and
//! check. Between the two stands the engine alone with the ledger's own rows: what is missing from the first to it is the
//! price of what is stored, and from it to the ledger the price of the rules. They take turns in short windows; each
//! figure is the median.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a measuring tool talks to a terminal and reads the real clock"
)]

mod pairs;
mod raw;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use raw::{Raw, Rows};
use store::Durability;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
usage: cargo xtask bench-ledger [options]

  --durability WHICH  power or process (both)
  --in-flight N       pairs under way at a time (1, 64 and 1024 in turn)
  --rounds N          windows of each row (5)
  --seconds S         whole seconds in a window (1)
  --dir DIR           where the databases go, on the disk to measure (target/bench)

Exit code 1 when a mark is missed: with 64 and more in flight at least half of the raw rate.";

/// Pairs under way at a time.
const IN_FLIGHT: [usize; 3] = [1, 64, 1_024];
/// From this many on the mark applies: half of the raw rate, in percent.
const MARK_FROM: usize = 64;
const MARK_PERCENT: u64 = 50;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Outcome<bool> {
    let (mut rounds, mut window) = (5_usize, Duration::from_secs(1));
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let mut folder = target.join("bench");
    let (mut durabilities, mut in_flights) =
        (vec![Durability::Power, Durability::Process], IN_FLIGHT.to_vec());
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{name}` lacks its value"));
        match name.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(true);
            }
            "--rounds" => rounds = value()?.parse::<usize>()?.max(1),
            "--seconds" => window = Duration::from_secs(value()?.parse::<u64>()?.max(1)),
            "--durability" => {
                let wanted = value()?;
                durabilities.retain(|durability| format!("{durability:?}").eq_ignore_ascii_case(&wanted));
            }
            "--in-flight" => in_flights = vec![value()?.parse::<usize>()?.max(1)],
            "--dir" => folder = PathBuf::from(value()?),
            _ => return Err(format!("no option is called `{name}`").into()),
        }
    }
    std::fs::create_dir_all(&folder)?;
    println!(
        "| durability | in flight | raw pairs/s | with the ledger's rows | ledger | of raw | of its rows |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut met = true;
    for durability in durabilities {
        for in_flight in in_flights.iter().copied() {
            let [raw, same, ledger] = measure(&folder, durability, in_flight, rounds, window)?;
            let percent = ledger * 100 / raw.max(1);
            let of_same = ledger * 100 / same.max(1);
            let verdict = match in_flight >= MARK_FROM {
                true if percent < MARK_PERCENT => " MISSED",
                true => " (mark 50 %)",
                false => "",
            };
            met &= in_flight < MARK_FROM || percent >= MARK_PERCENT;
            println!(
                "| {durability:?} | {in_flight} | {raw} | {same} | {ledger} | {percent} %{verdict} | {of_same} % |"
            );
        }
    }
    Ok(met)
}

/// The medians of the three rates, window by window in turn.
fn measure(
    folder: &Path,
    durability: Durability,
    in_flight: usize,
    rounds: usize,
    window: Duration,
) -> Outcome<[u64; 3]> {
    let folders =
        [tempfile::tempdir_in(folder)?, tempfile::tempdir_in(folder)?, tempfile::tempdir_in(folder)?];
    let raw = Raw::open(folders[0].path(), durability, Rows::One)?;
    let same = Raw::open(folders[1].path(), durability, Rows::Ledger)?;
    let ledger = pairs::Ledger::open(folders[2].path(), durability)?;
    let mut rates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=rounds {
        let found =
            [raw.rate(in_flight, window)?, same.rate(in_flight, window)?, ledger.rate(in_flight, window)?];
        // The first windows warm them up.
        if round > 0 {
            rates.iter_mut().zip(found).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    Ok(rates.map(median))
}

fn median(mut rates: Vec<u64>) -> u64 {
    rates.sort_unstable();
    rates.get(rates.len() / 2).copied().unwrap_or(0)
}

/// Runs clients until the window is over; answers how many pairs they finished a second.
fn rate_of<F: Future<Output = Outcome<()>>>(
    in_flight: usize,
    window: Duration,
    beside: impl Future<Output = ()>,
    pair: impl Fn(usize) -> F,
) -> Outcome<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let until = began + window;
    let client = async |number: usize| -> Outcome<u64> {
        let mut done = 0;
        while Instant::now() < until {
            pair(number).await?;
            done += 1;
        }
        Ok(done)
    };
    let all = async {
        let mut clients = (0..in_flight).map(|number| Box::pin(client(number))).collect::<Vec<_>>();
        let mut done = 0;
        // Each client is polled when anything is answered: the load's own cost is the same on both sides.
        let mut finished = vec![false; in_flight];
        std::future::poll_fn(move |context| {
            for (client, finished) in clients.iter_mut().zip(&mut finished).filter(|(_, done)| !**done) {
                match client.as_mut().poll(context) {
                    std::task::Poll::Ready(Ok(pairs)) => (done, *finished) = (done + pairs, true),
                    std::task::Poll::Ready(Err(error)) => return std::task::Poll::Ready(Err(error)),
                    std::task::Poll::Pending => {}
                }
            }
            if finished.iter().all(|finished| *finished) {
                std::task::Poll::Ready(Ok(done))
            } else {
                std::task::Poll::Pending
            }
        })
        .await
    };
    let done = runtime.block_on(async {
        tokio::select! {
            done = all => done,
            () = beside => Err("the deliveries ended".into()),
        }
    })?;
    let micros = u64::try_from(began.elapsed().as_micros())?.max(1);
    Ok(done * 1_000_000 / micros)
}
