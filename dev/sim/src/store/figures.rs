//! What a run of seeds did and met, in numbers.

use std::collections::BTreeMap;
use std::fmt;

use disk::{Counters, Crash, Loss, Operation, OperationKind};
use ledger::{Command, LedgerAnswer, LedgerError};

use crate::tally::{Counted, Tally, command_name, denial_name, reply_name};

/// Counts of everything that a run is reported by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Seeds that were run.
    pub seeds: u64,
    /// Commands that were answered, each answer compared with the model's.
    pub answered: u64,
    /// Those of them that the rules denied.
    pub denied: u64,
    /// Transactions that were acknowledged.
    pub transactions: u64,
    /// Commands given again because their first answer never came.
    pub retried: u64,
    /// Transactions that were undone in a life that went on.
    pub abandoned: u64,
    /// Transactions of which nobody knew whether they had happened.
    pub unknown: u64,
    /// Those of them that were found in the books.
    pub unknown_kept: u64,
    /// Acknowledged transactions that a loss of power took, as it may from a store that does not sync.
    pub lost: u64,
    /// Times a store was opened, recovered and compared.
    pub lives: u64,
    /// Times it could not be opened, because of a fault.
    pub failed_openings: u64,
    /// Holds that were settled at a start.
    pub recovered: u64,
    /// Stores that were closed in peace.
    pub closed: u64,
    /// Checkpoints that were asked for between transactions.
    pub checkpoints: u64,
    /// Processes killed between operations.
    pub killed: u64,
    /// Losses of power.
    pub power_losses: u64,
    /// Planned crashes, by what was under way and when.
    pub crashes: BTreeMap<String, u64>,
    /// Commands and answers, by kind.
    pub tally: Tally,
    /// What the disks counted.
    pub disk: Counters,
}

impl Figures {
    /// Takes over what another run counted.
    pub fn add(&mut self, other: &Self) {
        let Self { crashes, disk, tally, .. } = other;
        for (mine, theirs) in self.numbers().into_iter().zip(other.clone().numbers()) {
            *mine = mine.saturating_add(*theirs);
        }
        for (name, count) in crashes {
            *self.crashes.entry(name.clone()).or_default() += count;
        }
        self.tally.merge(tally);
        self.disk.add(disk);
    }

    /// Counts an answer.
    pub(crate) fn answered(&mut self, command: &Command, answer: &LedgerAnswer) {
        self.answered += 1;
        self.denied += u64::from(answer.is_err());
        self.tally.add(Counted::Command, command_name(command));
        match answer {
            Ok(reply) => self.tally.add(Counted::Reply, reply_name(reply)),
            Err(LedgerError::Denied(denial)) => self.tally.add(Counted::Denial, denial_name(denial)),
            Err(_) => {}
        }
    }

    /// Counts a planned crash.
    pub(crate) fn crashed(&mut self, crash: Crash, last: Option<&Operation>) {
        let kind = last.map_or("nothing", |operation| match operation.kind {
            OperationKind::Create => "create",
            OperationKind::Delete => "delete",
            OperationKind::Write => "write",
            OperationKind::Truncate => "truncate",
            OperationKind::Sync => "sync",
        });
        let file = match last.map(|operation| operation.file.as_str()) {
            Some(name) if name.ends_with("-wal") => "log",
            Some(name) if name.ends_with("-journal") => "rollback journal",
            Some(_) => "database",
            None => "",
        };
        let name = format!("{:?} {kind} of the {file}", crash.moment).to_lowercase();
        *self.crashes.entry(name).or_default() += 1;
    }

    /// Counts the end of a process or of the power.
    pub(crate) const fn cycled(&mut self, loss: Loss) {
        match loss {
            Loss::Power => self.power_losses += 1,
            Loss::Process => {}
        }
    }

    const fn numbers(&mut self) -> [&mut u64; 16] {
        [
            &mut self.seeds,
            &mut self.answered,
            &mut self.denied,
            &mut self.transactions,
            &mut self.retried,
            &mut self.abandoned,
            &mut self.unknown,
            &mut self.unknown_kept,
            &mut self.lost,
            &mut self.lives,
            &mut self.failed_openings,
            &mut self.recovered,
            &mut self.closed,
            &mut self.checkpoints,
            &mut self.killed,
            &mut self.power_losses,
        ]
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = &self.disk;
        let lines: [(&str, u64); 26] = [
            ("seeds", self.seeds),
            ("commands answered as by the model", self.answered),
            ("of them denied", self.denied),
            ("transactions acknowledged", self.transactions),
            ("commands retried after a lost answer", self.retried),
            ("transactions abandoned, the store going on", self.abandoned),
            ("transactions of unknown fate", self.unknown),
            ("of them found in the books", self.unknown_kept),
            ("acknowledged, lost with the power (process)", self.lost),
            ("lives: opened, recovered, compared", self.lives),
            ("openings failed by a fault", self.failed_openings),
            ("holds settled at a start", self.recovered),
            ("closed in peace", self.closed),
            ("checkpoints", self.checkpoints),
            ("killed between operations", self.killed),
            ("losses of power", self.power_losses),
            ("planned crashes", self.crashes.values().sum()),
            ("disk operations", disk.operations),
            ("syncs", disk.syncs),
            ("writes lost", disk.lost),
            ("writes torn", disk.torn),
            ("files undone", disk.undone),
            ("read errors", disk.read_errors),
            ("write errors", disk.write_errors),
            ("sync errors", disk.sync_errors),
            ("writes refused, disk full", disk.full),
        ];
        for (name, count) in lines {
            writeln!(f, "{count:>14}  {name}")?;
        }
        for (name, count) in &self.crashes {
            writeln!(f, "{count:>14}  crash {name}")?;
        }
        self.tally.fmt(f)
    }
}
