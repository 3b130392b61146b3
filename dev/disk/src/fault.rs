//! What is asked of a machine's disk, and what it counts.

/// Chance, from outside: given `n` (at least 1), a number below `n`. The same answers give the same losses.
pub type Chance<'a> = dyn FnMut(u64) -> u64 + 'a;

/// What shall go wrong. Numbers count from 0 at [`Machine::set_faults`](crate::Machine::set_faults), over all files of
/// the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The moment of death. From then on every operation of every open handle fails.
    pub crash: Option<Crash>,
    /// Reads that fail with an I/O error.
    pub failing_reads: Vec<u64>,
    /// Writes and truncations that fail with an I/O error; no byte of them arrives.
    pub failing_writes: Vec<u64>,
    /// Syncs that fail with an I/O error.
    pub failing_syncs: Vec<u64>,
    /// Whether a failed sync forgets for good what it should have made durable, though reads still see it. So do real
    /// systems: the pages are marked clean, and the next sync succeeds without them. Otherwise a retry saves them.
    pub failed_sync_forgets: bool,
    /// The size of the disk in bytes. A write that makes the files longer than this in total is refused after as many
    /// bytes as fit. Lifted by setting other faults.
    pub capacity: Option<u64>,
}

/// A death at one operation. Operations are what changes the disk: see [`OperationKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Its number, from 0 at the time the faults were set.
    pub operation: u64,
    /// When, relative to it.
    pub moment: Moment,
}

/// When a crash comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nothing of the operation happened.
    Before,
    /// The operation was under way: part of its bytes arrived, perhaps all, perhaps none.
    During,
    /// The operation happened, but who asked for it never learns so.
    After,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// What ends with the machine's cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The process (kill -9): what was written stays, what was under way may be cut short. What was not synced can still
    /// be lost by a later loss of power.
    Process,
    /// The power: what was not synced is lost, kept or torn by chance.
    Power,
}

/// What was done to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// A file appeared.
    Create,
    /// A file vanished.
    Delete,
    /// Bytes were written.
    Write,
    /// A file was cut, or made longer, to a length.
    Truncate,
    /// What was written to a file was made durable.
    Sync,
}

/// One operation, as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What was done.
    pub kind: OperationKind,
    /// The file's name in its folder.
    pub file: String,
    /// The first byte written, or the length a file was cut to.
    pub offset: u64,
    /// Bytes written.
    pub length: u64,
}

/// What happened on a disk so far, attempts included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Everything that changes the disk: the sum of the five below.
    pub operations: u64,
    /// Files made.
    pub creates: u64,
    /// Files deleted.
    pub deletes: u64,
    /// Writes.
    pub writes: u64,
    /// Truncations.
    pub truncations: u64,
    /// Syncs.
    pub syncs: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes that writes brought.
    pub bytes_written: u64,
    /// Bytes that reads asked for.
    pub bytes_read: u64,
    /// Crashes, by plan or by [`Machine::crash`](crate::Machine::crash).
    pub crashes: u64,
    /// Cycles with [`Loss::Process`].
    pub process_losses: u64,
    /// Cycles with [`Loss::Power`].
    pub power_losses: u64,
    /// Writes and truncations that a loss of power took whole.
    pub lost: u64,
    /// Writes of which a crash or a loss of power left a part.
    pub torn: u64,
    /// Files whose making or deleting a loss of power undid.
    pub undone: u64,
    /// Reads that failed by plan.
    pub read_errors: u64,
    /// Writes and truncations that failed by plan.
    pub write_errors: u64,
    /// Syncs that failed by plan.
    pub sync_errors: u64,
    /// Writes refused because the disk was full.
    pub full: u64,
}

impl Counters {
    /// Adds what happened on another disk.
    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (mine, theirs) in self.fields().into_iter().zip(other.fields()) {
            *mine += *theirs;
        }
    }

    /// Faults delivered, of all kinds.
    pub const fn faults(&self) -> u64 {
        self.crashes + self.read_errors + self.write_errors + self.sync_errors + self.full
    }

    const fn fields(&mut self) -> [&mut u64; 19] {
        let Self {
            operations,
            creates,
            deletes,
            writes,
            truncations,
            syncs,
            reads,
            bytes_written,
            bytes_read,
            crashes,
            process_losses,
            power_losses,
            lost,
            torn,
            undone,
            read_errors,
            write_errors,
            sync_errors,
            full,
        } = self;
        [
            operations,
            creates,
            deletes,
            writes,
            truncations,
            syncs,
            reads,
            bytes_written,
            bytes_read,
            crashes,
            process_losses,
            power_losses,
            lost,
            torn,
            undone,
            read_errors,
            write_errors,
            sync_errors,
            full,
        ]
    }
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The process is dead, or the handle is of one that died.
    Dead,
    /// An I/O error by plan.
    Io,
    /// The disk is full.
    Full,
    /// The file ends before the bytes asked for; the rest is zeros.
    Short,
    /// Another handle's lock is in the way.
    Busy,
    /// There is no such file, or there is one where none may be.
    Name,
}
