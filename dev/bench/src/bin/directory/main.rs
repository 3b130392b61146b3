//! How long a look-up and a change take in a directory of a million keys, and how much memory a key takes.
//!
//! The keys are made one by one, as people make them, by a store that keeps nothing: what is left is the directory's
//! own share of a change, at the size it has reached. Look-ups take keys at random, so that each finds its part of the
//! maps outside the processor's caches; a busy key would find it inside.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a measuring tool talks to a terminal and reads the real clock"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use directory::{
    Bounds, Commit, Contents, DataClass, Directory, DirectoryService, DirectoryStore, Environment, KeyHasher,
    Mandate, NewKey, NewOrganization, NewProject, Scope, StoreError, Visit,
};
use domain::{Ids, ProjectId, Timestamp};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
usage: cargo xtask bench-directory [options]

  --keys N           keys in the directory (1000000)
  --organizations N  organizations (1000)
  --projects N       projects, dealt out in turn (10000)
  --lookups N        look-ups of a window, each thread (1000000)
  --rounds N         windows (5)

Exit code 1 when the mark is missed: a look-up of a random key in less than 1 microsecond, one thread.";

/// The longest a look-up may take, in nanoseconds.
const LOOKUP_MAX: u64 = 1_000;
/// Bytes of a project's key.
const SECRET_BYTES: usize = 49;
/// The moment of everything.
const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

struct Size {
    keys: usize,
    organizations: usize,
    projects: usize,
    lookups: usize,
    rounds: usize,
}

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
    let Some(size) = options()? else {
        println!("{HELP}");
        return Ok(true);
    };
    let service = DirectoryService::open(Arc::new(Forgetful), KeyHasher::new([7; 32]))?;
    let ids = Counter::default();
    let projects = projects(&service, &ids, &size)?;
    // Written to before anything is counted, so that the presented texts are in both counts.
    let mut secrets = vec![[1_u8; SECRET_BYTES]; size.keys];
    let before = resident_kib();
    let mut last = 0;
    let tenth = size.keys - size.keys / 10;
    for (index, secret) in secrets.iter_mut().enumerate() {
        if index == tenth {
            last = thread_nanos();
        }
        let project = projects[index % projects.len()];
        let made = service.create_key(new_key(project), &Mandate::operator(&ids, NOW))?;
        secret.copy_from_slice(made.secret.expose().as_bytes());
    }
    let spent = thread_nanos().saturating_sub(last) / (size.keys - tenth).max(1) as u64;
    let bytes = (resident_kib().saturating_sub(before)) * 1_024 / size.keys.max(1) as u64;
    println!("{} keys of {} projects of {} organizations", size.keys, projects.len(), size.organizations);
    println!("memory of a key: {bytes} bytes");
    println!("create_key, of the last tenth: {spent} ns");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let one = lookups(service.directory(), &secrets, 1, &size);
    println!("authenticate, a random key, 1 thread: {one} ns (mark {LOOKUP_MAX})");
    let all = lookups(service.directory(), &secrets, cores, &size);
    println!("authenticate, a random key, {cores} threads: {all} ns in each");
    let busy = lookups(service.directory(), &secrets[..1], 1, &size);
    println!("authenticate, one busy key, 1 thread: {busy} ns");
    let began = Instant::now();
    let uses = service.directory().uses_since(Timestamp::from_micros(0)).len();
    println!("uses_since, {uses} keys used: {} us", began.elapsed().as_micros());
    Ok(one < LOOKUP_MAX)
}

fn options() -> Outcome<Option<Size>> {
    let mut size =
        Size { keys: 1_000_000, organizations: 1_000, projects: 10_000, lookups: 1_000_000, rounds: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let place = match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--keys" => &mut size.keys,
            "--organizations" => &mut size.organizations,
            "--projects" => &mut size.projects,
            "--lookups" => &mut size.lookups,
            "--rounds" => &mut size.rounds,
            _ => return Err(format!("no option is called `{name}`").into()),
        };
        let value = arguments.next().ok_or(format!("`{name}` lacks its value"))?;
        *place = value.parse::<usize>()?.max(1);
    }
    Ok(Some(size))
}

fn projects(service: &DirectoryService, ids: &Counter, size: &Size) -> Outcome<Vec<ProjectId>> {
    let mandate = Mandate::operator(ids, NOW);
    let mut organizations = Vec::new();
    for number in 0..size.organizations {
        let new = NewOrganization { name: format!("organization {number}"), ..NewOrganization::default() };
        organizations.push(service.create_organization(new, &mandate)?.id);
    }
    let mut projects = Vec::new();
    for number in 0..size.projects {
        let new = NewProject {
            organization: organizations[number % organizations.len()],
            name: format!("project {number}"),
            environment: Environment::default(),
            data_class: DataClass::default(),
            after_grant: directory::AfterGrant::default(),
        };
        projects.push(service.create_project(new, &mandate)?.id);
    }
    Ok(projects)
}

fn new_key(project: ProjectId) -> NewKey {
    NewKey { project, owner: None, name: None, bounds: Bounds::default(), expires_at: None }
}

/// Nanoseconds of one look-up, the median of all windows: of the thread's own time, which what else runs on the machine
/// does not lengthen by taking turns.
fn lookups(directory: &Directory, secrets: &[[u8; SECRET_BYTES]], threads: usize, size: &Size) -> u64 {
    let window = |seed: u64| {
        // Chosen and copied ahead: of a real request the key has just been read.
        let mut random = seed;
        let chosen: Vec<[u8; SECRET_BYTES]> = (0..size.lookups)
            .map(|_| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                secrets[(random >> 33) as usize % secrets.len()]
            })
            .collect();
        let visit = Visit { address: None, endpoint: Scope::ChatCompletions, now: NOW };
        let opens = |secret: &&[u8; SECRET_BYTES]| {
            directory.authenticate(std::str::from_utf8(*secret).unwrap_or_default(), &visit).is_ok()
        };
        let began = thread_nanos();
        let let_in = chosen.iter().filter(opens).count();
        let spent = thread_nanos().saturating_sub(began);
        assert_eq!(let_in, chosen.len(), "every key is good");
        spent / chosen.len() as u64
    };
    let mut found: Vec<u64> = (0..size.rounds)
        .map(|round| {
            std::thread::scope(|scope| {
                let seed = |thread: usize| (round * threads + thread + 1) as u64;
                let running: Vec<_> = (0..threads)
                    .map(|thread| {
                        let window = &window;
                        scope.spawn(move || window(seed(thread)))
                    })
                    .collect();
                let spent: u64 = running.into_iter().filter_map(|thread| thread.join().ok()).sum();
                spent / threads as u64
            })
        })
        .collect();
    found.sort_unstable();
    found.get(found.len() / 2).copied().unwrap_or(u64::MAX)
}

/// What this thread has used of a processor.
fn thread_nanos() -> u64 {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    line.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// A store that keeps nothing, and so takes no time.
struct Forgetful;

impl DirectoryStore for Forgetful {
    fn load(&self) -> Result<Contents, StoreError> {
        Ok(Contents::default())
    }

    fn commit(&self, _: Commit) -> Result<(), StoreError> {
        Ok(())
    }

    fn save_uses(&self, _: Vec<([u8; 16], Timestamp)>) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Ids that count up as the gateway's rise with time, and end in chance as theirs do.
#[derive(Default)]
struct Counter(AtomicU64);

impl Ids for Counter {
    fn uuid(&self) -> [u8; 16] {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.uuid());
        bytes
    }
}
