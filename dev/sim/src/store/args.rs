//! `sim store`: runs seeds on as many threads as wanted and reports what they met.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use disk::{Disk, Nap};

use super::{Figures, Plan, run};

/// The real store on a disk that fails: crashes, lost and torn writes, I/O errors, a full disk, wrong clocks.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Seeds, as `FIRST..LAST` without the last.
    #[arg(long, default_value = "0..200", value_parser = seeds)]
    seeds: (u64, u64),
    /// One seed alone, as a violation names it.
    #[arg(long)]
    seed: Option<u64>,
    /// Commands of each seed.
    #[arg(long, default_value_t = 2_000)]
    commands: u64,
    /// Threads, each with a disk of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// What is shared by the threads.
struct Shared {
    next: AtomicU64,
    last: u64,
    commands: u64,
    sum: Mutex<(Figures, Vec<String>)>,
}

impl StoreArgs {
    /// Runs the seeds and reports, each violation with the line that repeats it; answers whether there was none.
    ///
    /// # Errors
    /// When nothing can be written, or there is no room for temporary files.
    #[expect(
        clippy::disallowed_methods,
        reason = "a rate is commands by the wall clock; no result depends on it"
    )]
    pub fn run(&self, out: &mut impl Write) -> std::io::Result<bool> {
        let (first, last) = self.seed.map_or(self.seeds, |seed| (seed, seed.saturating_add(1)));
        let disk = disk::install(first);
        disk.set_nap(Nap::Skipped);
        let shared =
            Shared { next: AtomicU64::new(first), last, commands: self.commands, sum: Mutex::default() };
        let begin = Instant::now();
        let threads = self.threads.max(1);
        let worked: std::io::Result<()> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| shared.work(disk))).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(std::io::Error::other("a worker ended in a panic")))
            })
        });
        worked?;
        let elapsed = begin.elapsed();
        let (figures, violations) =
            shared.sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        report(out, &figures, &violations, elapsed, threads)
    }
}

impl Shared {
    fn work(&self, disk: &Disk) -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        loop {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.last {
                return Ok(());
            }
            let commands = self.commands;
            let plan = Plan { seed, commands, durability: None, demanded: None };
            let done = run(plan, disk, folder.path());
            let mut sum = self.sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match done {
                Ok(figures) => sum.0.add(&figures),
                Err(what) => {
                    let replay = format!("sim store --seed {seed} --commands {commands}");
                    sum.1.push(format!("seed {seed}: {what}\nagain: {replay}"));
                }
            }
        }
    }
}

fn report(
    out: &mut impl Write,
    figures: &Figures,
    violations: &[String],
    elapsed: Duration,
    threads: usize,
) -> std::io::Result<bool> {
    write!(out, "{figures}")?;
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1);
    let rate = |count: u64| u128::from(count) * 1_000_000 / u128::from(micros);
    writeln!(
        out,
        "{} ms on {threads} threads: {} commands/s, {} lives/s, {} faults/s",
        elapsed.as_millis(),
        rate(figures.answered),
        rate(figures.lives),
        rate(figures.disk.faults())
    )?;
    for violation in violations {
        writeln!(out, "VIOLATION {violation}")?;
    }
    writeln!(out, "{} violations", violations.len())?;
    Ok(violations.is_empty())
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` is no range of seeds; write it like 0..200");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    Ok((first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?))
}
