//! Which processors the caller and the provider run on.
//!
//! With one connection they take turns, and the kernel puts them on one processor or on two as it pleases: a direct
//! call takes half as long on one, and all that follows in the run would be compared with the luckier or the unluckier
//! half. So they are kept apart where a machine has two processors. Whoever is measured in between runs anywhere.

use std::process::{Command, Stdio};

/// Keeps two processes on different processors.
#[derive(Debug)]
pub(crate) struct Placement {
    caller: u32,
    provider: u32,
    last_processor: usize,
}

impl Placement {
    pub(crate) fn new(caller: u32, provider: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { caller, provider, last_processor: processors - 1 }
    }

    /// Keeps them apart for a case with this many connections; with several the kernel balances better.
    pub(crate) fn suit(&self, connections: usize) {
        let all = format!("0-{}", self.last_processor);
        let (caller, provider) = if connections == 1 {
            ("0".to_owned(), self.last_processor.to_string())
        } else {
            (all.clone(), all)
        };
        for (process, processors) in [(self.caller, caller), (self.provider, provider)] {
            // Where this is not allowed the figures are noisier, and still true.
            let mut command = Command::new("taskset");
            command.args(["-acp", &processors, &process.to_string()]);
            let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}
