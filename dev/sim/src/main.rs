//! The `sim` command: proves the ledger by accident, many accidents at a time.
//!
//! `sim rules` runs seeds of random commands and faults against the model, prints what happened, and ends with status 1
//! at the first violation, with the line that replays it and the shortest script that was found. `sim store` does the
//! like to the real store on a disk that fails.

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use tollkeeper_sim::campaign::{Campaign, Outcome, campaign};
use tollkeeper_sim::run::Depth;
use tollkeeper_sim::seed::{Plan, script};
use tollkeeper_sim::shrink::shrink;
use tollkeeper_sim::store::args::StoreArgs;
use tollkeeper_sim::store::cut_args::CutArgs;
use tollkeeper_sim::tally::Counted;

#[derive(Parser)]
#[command(about = "Simulates the ledger with random commands and faults")]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Subcommand)]
enum What {
    /// The rules against the model, in memory.
    Rules(Rules),
    Store(StoreArgs),
    WalCut(CutArgs),
}

#[derive(Args)]
struct Rules {
    /// The seeds, as FIRST..END; END is not run.
    #[arg(long, value_parser = range, default_value = "0..1000", conflicts_with = "seed")]
    seeds: Range<u64>,
    /// One seed alone, as a failure names it.
    #[arg(long)]
    seed: Option<u64>,
    /// Steps of each seed.
    #[arg(long, default_value_t = 1000)]
    commands: usize,
    /// Threads that share the seeds.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// All promises and figures are checked after every so many commands; answers, entries and events after each.
    #[arg(long, default_value_t = 16)]
    every: u64,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        What::Rules(rules) => rules.run(&mut io::stdout().lock()),
        What::Store(store) => store.run(&mut io::stdout().lock()),
        What::WalCut(cut) => cut.run(&mut io::stdout().lock()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Nobody reads what was found.
        Err(_) => ExitCode::from(2),
    }
}

impl Rules {
    /// Runs and reports; answers whether all went well.
    fn run(&self, out: &mut impl Write) -> io::Result<bool> {
        let seeds = self.seed.map_or(self.seeds.clone(), |seed| seed..seed.saturating_add(1));
        let campaigned = Campaign {
            seeds: seeds.clone(),
            steps: self.commands,
            threads: self.threads.max(1),
            depth: Depth { every: self.every.max(1) },
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a tool that reports its own speed; nothing simulated sees it"
        )]
        let begun = Instant::now();
        let outcome = campaign(&campaigned);
        let elapsed = begun.elapsed();
        write!(out, "{}", outcome.tally)?;
        self.summarize(out, &seeds, &outcome, elapsed)?;
        match outcome.failed.first() {
            None => Ok(true),
            Some((seed, _)) => self.explain(out, *seed).map(|()| false),
        }
    }

    fn summarize(
        &self,
        out: &mut impl Write,
        seeds: &Range<u64>,
        outcome: &Outcome,
        elapsed: Duration,
    ) -> io::Result<()> {
        let commands = outcome.tally.all(Counted::Command);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = commands.saturating_mul(1000) / millis;
        writeln!(
            out,
            "seeds {}..{}: {} to their end, {} failed",
            seeds.start,
            seeds.end,
            outcome.seeds,
            outcome.failed.len()
        )?;
        writeln!(
            out,
            "{commands} commands, {} faults, in {}.{:03} s on {} threads: {rate} commands a second",
            outcome.tally.all(Counted::Fault),
            millis / 1000,
            millis % 1000,
            self.threads
        )?;
        let missing = outcome.tally.missing();
        if !missing.is_empty() {
            writeln!(out, "never seen: {missing:?}")?;
        }
        Ok(())
    }

    /// Says how a seed fails, and the shortest script that was found for it.
    fn explain(&self, out: &mut impl Write, seed: u64) -> io::Result<()> {
        let plan = Plan { seed, steps: self.commands, depth: Depth { every: 1 }, twist: None };
        let (steps, result) = script(plan);
        if let Err(violation) = result {
            writeln!(out, "seed {seed} fails at step {}: {}", violation.step, violation.what)?;
        }
        writeln!(out, "replay: sim rules --seed {seed} --commands {}", self.commands)?;
        if let Some((short, violation)) = shrink(&steps, None) {
            writeln!(
                out,
                "the shortest script found has {} steps and fails with: {}",
                short.len(),
                violation.what
            )?;
            for step in &short {
                writeln!(out, "  {step:?}")?;
            }
        }
        Ok(())
    }
}

/// Reads `FIRST..END`.
fn range(text: &str) -> Result<Range<u64>, String> {
    let fault = || format!("`{text}` is no range of seeds; write 0..1000");
    let (first, end) = text.split_once("..").ok_or_else(fault)?;
    let range = first.parse().map_err(|_| fault())?..end.parse().map_err(|_| fault())?;
    if range.is_empty() { Err(format!("`{text}` is empty; write 0..1000")) } else { Ok(range) }
}
