//! `sim wal-cut`: the log of sixty commands, cut and damaged, on as many threads as wanted.

use std::io::Write;
use std::time::Instant;

use clap::Args;
use disk::{Disk, Nap};

use super::cut::{CutFigures, Script};

/// The write-ahead log of sixty commands, cut at many bytes and damaged in every frame.
#[derive(Args, Clone, Debug)]
pub struct CutArgs {
    /// Cuts at every byte and not only at every sixteenth and around each frame's end.
    #[arg(long)]
    every_byte: bool,
    /// Threads, each with a disk of its own.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// Cuts handed to a thread at a time.
const PIECE: usize = 512;

impl CutArgs {
    /// Cuts and reports; answers whether every log gave back the transactions within it and nothing else.
    ///
    /// # Errors
    /// When nothing can be written, or there is no room for temporary files.
    #[expect(clippy::disallowed_methods, reason = "the time taken is reported; no result depends on it")]
    pub fn run(&self, out: &mut impl Write) -> std::io::Result<bool> {
        let begin = Instant::now();
        let disk = disk::install(1);
        disk.set_nap(Nap::Skipped);
        let folder = tempfile::tempdir()?;
        let script = Script::run(disk, folder.path()).map_err(std::io::Error::other)?;
        let step = if self.every_byte { 1 } else { 16 };
        let cuts = script.cuts(step, 1);
        let frames: Vec<usize> = (0..script.frames()).collect();
        writeln!(
            out,
            "{} commands in {} transactions, a log of {} bytes in {} frames",
            script.commands(),
            script.transactions(),
            script.log_length(),
            script.frames()
        )?;
        let done = self.share(disk, &script, &cuts, &frames)?;
        let (cut, flipped, violations) = &done;
        let how =
            if self.every_byte { "every byte" } else { "every 16th byte and 2 around each frame's end" };
        writeln!(out, "{} logs cut, at {how}; {} logs with a bit turned over", cut.logs, flipped.logs)?;
        for (stage, count) in &cut.recovered {
            let name = stage.map_or("no tables".to_owned(), |stage| format!("{stage} transactions"));
            writeln!(out, "{count:>10}  cuts gave back {name}")?;
        }
        for violation in violations {
            writeln!(out, "VIOLATION {violation}")?;
        }
        writeln!(out, "{} violations, {} ms", violations.len(), begin.elapsed().as_millis())?;
        Ok(violations.is_empty())
    }

    fn share(
        &self,
        disk: &Disk,
        script: &Script,
        cuts: &[usize],
        frames: &[usize],
    ) -> std::io::Result<(CutFigures, CutFigures, Vec<String>)> {
        let threads = self.threads.max(1);
        let work = |thread: usize| -> std::io::Result<(CutFigures, CutFigures, Vec<String>)> {
            let folder = tempfile::tempdir()?;
            let (mut cut, mut flipped, mut violations) =
                (CutFigures::default(), CutFigures::default(), Vec::new());
            for piece in cuts.chunks(PIECE).skip(thread).step_by(threads) {
                match script.cut(disk, folder.path(), piece) {
                    Ok(figures) => cut.add(&figures),
                    Err(what) => violations.push(what),
                }
            }
            for piece in frames.chunks(1).skip(thread).step_by(threads) {
                match script.flip(disk, folder.path(), piece) {
                    Ok(figures) => flipped.add(&figures),
                    Err(what) => violations.push(what),
                }
            }
            Ok((cut, flipped, violations))
        };
        let mut sum = (CutFigures::default(), CutFigures::default(), Vec::new());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
            for worker in workers {
                let panicked = |_| Err(std::io::Error::other("a worker ended in a panic"));
                let (cut, flipped, violations) = worker.join().unwrap_or_else(panicked)?;
                sum.0.add(&cut);
                sum.1.add(&flipped);
                sum.2.extend(violations);
            }
            Ok(sum)
        })
    }
}
