//! How long it takes to ask the limiter whether a request fits: admissions under six caps, picked at random from many
//! buckets in use, so that most of what is touched lies in no cache.
//!
//! The limiter is told a time at which so many requests come in a second, however fast they are really asked for: its
//! windows then hold what they would hold in such a gateway, each bucket some tens of uses of the last minute.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a measuring tool talks to a terminal and reads the real clock"
)]

use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use limits::{Bucket, Cap, Limiter, Measure, Need};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "\
usage: cargo xtask bench-limits [options]

  --buckets N         counters in use, half of requests and half of tokens (100000)
  --rate N            requests in a second of the time that the limiter is told (10000)
  --threads N         threads of the second row (as many as there are processors)
  --rounds N          windows of each row (30)
  --millis N          milliseconds in a window (200)

Exit code 1 when the mark is missed: one admission under six caps by one thread within 1,000 ns.";

/// The mark for one thread, in nanoseconds.
const MARK_NANOS: u64 = 1_000;
/// Requests and tokens of an organization, a project and a key.
const CAPS: usize = 6;
/// How many admissions are made between two looks at the clock.
const BATCH: u64 = 256;

struct Options {
    buckets: u64,
    rate: u64,
    threads: usize,
    rounds: usize,
    window: Duration,
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

fn options() -> Outcome<Option<Options>> {
    let threads = std::thread::available_parallelism()?.get();
    let mut options =
        Options { buckets: 100_000, rate: 10_000, threads, rounds: 30, window: Duration::from_millis(200) };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{name}` lacks its value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--buckets" => options.buckets = value()?.parse::<u64>()?.max(2),
            "--rate" => options.rate = value()?.parse::<u64>()?.clamp(1, 1_000_000),
            "--threads" => options.threads = value()?.parse::<usize>()?.max(1),
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--millis" => options.window = Duration::from_millis(value()?.parse::<u64>()?.max(1)),
            _ => return Err(format!("no option is called `{name}`").into()),
        }
    }
    Ok(Some(options))
}

fn run() -> Outcome<bool> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(true);
    };
    let before = resident_bytes()?;
    let limiter = Limiter::new();
    fill(&limiter, options.buckets);
    let held = resident_bytes()?.saturating_sub(before);
    println!("| threads | caps | ns per admission | fastest window | admissions/s, all threads |");
    println!("|---:|---:|---:|---:|---:|");
    let told = AtomicU64::new(1);
    // A minute of the told time fills the windows.
    while told.load(Ordering::Relaxed) < 60_000_000 {
        measure(&limiter, &options, options.threads, &told)?;
    }
    let mut met = true;
    for threads in [1, options.threads] {
        let mut nanos = Vec::new();
        for _ in 0..options.rounds {
            nanos.push(measure(&limiter, &options, threads, &told)?);
        }
        nanos.sort_unstable();
        let median = nanos.get(nanos.len() / 2).copied().unwrap_or(0).max(1);
        let fastest = nanos.first().copied().unwrap_or(0);
        let verdict = if threads > 1 {
            ""
        } else if median <= MARK_NANOS {
            " (mark 1000)"
        } else {
            " MISSED (mark 1000)"
        };
        met &= threads > 1 || median <= MARK_NANOS;
        let rate = u64::try_from(threads)? * 1_000_000_000 / median;
        println!("| {threads} | {CAPS} | {median}{verdict} | {fastest} | {rate} |");
    }
    println!(
        "\n{} counters in use: {} bytes each when new, {} after the runs (of the process, resident)",
        limiter.len(),
        held / options.buckets,
        resident_bytes()?.saturating_sub(before) / options.buckets,
    );
    Ok(met)
}

/// A request under the caps of three buckets.
fn caps(numbers: [u64; 3]) -> [Cap; CAPS] {
    let mut caps = [Cap { bucket: Bucket([0; 2]), measure: Measure::RequestsPerMinute, most: 1_000 }; CAPS];
    for (pair, number) in caps.chunks_exact_mut(2).zip(numbers) {
        // A hash of the number, as the gateway's names are hashes.
        let hash = [Numbers(number).next(), Numbers(number ^ u64::MAX).next()];
        for (cap, (measure, most)) in
            pair.iter_mut().zip([(Measure::RequestsPerMinute, 1_000), (Measure::TokensPerMinute, 2_000_000)])
        {
            *cap = Cap { bucket: Bucket(hash), measure, most };
        }
    }
    caps
}

const NEED: Need = Need { input_tokens: 700, output_tokens: 300, images: 0 };

/// Uses every bucket once.
fn fill(limiter: &Limiter, counters: u64) {
    for number in 0..counters / 2 {
        let _ = limiter.admit(1, 1, &caps([number; 3])[..2], &NEED);
    }
}

/// The time of one admission, by the sum of all threads' windows. `told` is the time that the limiter is told.
fn measure(limiter: &Limiter, options: &Options, threads: usize, told: &AtomicU64) -> Outcome<u64> {
    let start = Barrier::new(threads);
    let (mut nanos, mut admissions) = (0, 0);
    std::thread::scope(|scope| {
        let work = || {
            start.wait();
            admissions_in(limiter, options, told)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (time, count) = worker.join().map_err(|_| "a thread panicked")?;
            nanos += time;
            admissions += count;
        }
        Outcome::Ok(nanos / admissions.max(1))
    })
}

/// One thread's admissions until its window is over: nanoseconds without what the picking takes, and how many.
fn admissions_in(limiter: &Limiter, options: &Options, told: &AtomicU64) -> (u64, u64) {
    let (mut nanos, mut count) = (0_u64, 0_u64);
    let until = Instant::now() + options.window;
    let apart = 1_000_000 / options.rate;
    let mut requests = Vec::new();
    while Instant::now() < until {
        let now = told.fetch_add(BATCH * apart, Ordering::Relaxed);
        let mut numbers = Numbers(now);
        let mut pick = || numbers.next() % (options.buckets / 2);
        requests.clear();
        requests.extend((0..BATCH).map(|_| caps([pick(), pick(), pick()])));
        let start = Instant::now();
        for (passed, caps) in (0..).zip(&requests) {
            // A refusal counts as well; an admitted one is dropped at once, which is the end of a call.
            let _ = std::hint::black_box(limiter.admit(now + passed * apart, 1, caps, &NEED));
        }
        nanos += u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        count += BATCH;
    }
    (nanos, count)
}

/// SplitMix64: numbers as if by chance.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The memory of this process that is in use, by the system's count.
fn resident_bytes() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes = line.split_whitespace().next().ok_or("no number in VmRSS")?;
    Ok(kibibytes.parse::<u64>()? * 1_024)
}
