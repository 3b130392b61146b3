//! CPU time and memory of a process and its children, as the kernel counts them.

use std::collections::HashMap;
use std::fs;

/// A process with the children it has now.
#[derive(Debug)]
pub(crate) struct Family {
    pids: Vec<u32>,
}

/// CPU time of every thread, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Cpu(HashMap<(u32, u32), u64>);

/// Memory of a family, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Resident at most, so far.
    pub(crate) peak: u64,
}

impl Family {
    /// The process and its children.
    pub(crate) fn of(pid: u32) -> Self {
        let is_child = |other: &u32| parent(*other) == Some(pid);
        let all = numbers("/proc");
        let mut pids = vec![pid];
        pids.extend(all.into_iter().filter(is_child));
        Self { pids }
    }

    /// What it has used so far. Threads count apart, because a thread's own counter has nanoseconds and the process's
    /// only hundredths of a second.
    pub(crate) fn cpu(&self) -> Cpu {
        let mut used = HashMap::new();
        for &pid in &self.pids {
            for thread in numbers(&format!("/proc/{pid}/task")) {
                let line =
                    fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).unwrap_or_default();
                if let Some(nanos) = line.split(' ').next().and_then(|text| text.parse().ok()) {
                    used.insert((pid, thread), nanos);
                }
            }
        }
        Cpu(used)
    }

    /// What it holds. Of a family only the children count (nginx's master serves nobody).
    pub(crate) fn memory(&self) -> Memory {
        let serving = if self.pids.len() > 1 { &self.pids[1..] } else { &self.pids[..] };
        let mut sum = Memory::default();
        for pid in serving {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            sum.resident += kib(&status, "VmRSS:");
            sum.peak += kib(&status, "VmHWM:");
        }
        sum
    }
}

impl Cpu {
    /// Nanoseconds used since an earlier look. A thread that ended in between is not seen.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        let used =
            |(thread, now): (&(u32, u32), &u64)| now.saturating_sub(*earlier.0.get(thread).unwrap_or(&0));
        self.0.iter().map(used).sum()
    }
}

/// The entries of a folder whose names are numbers.
fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in brackets, may hold anything; after it come the state and the parent.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

fn kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
