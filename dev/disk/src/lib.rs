//! A disk that fails on purpose: the memory that SQLite takes for its disk in the ledger's simulation.
//!
//! [`install`] makes it the default of the process, so whatever opens a database by path works on it unmodified, with
//! several connections in several threads and a write-ahead log. Every folder is a [`Machine`] of its own with its own
//! faults, so tests may run side by side. It knows files, bytes, locks and what a loss of power does to what was not
//! synced; it must never know what is in the files.
//!
//! What the model promises, which is what a careful reading of POSIX and of SQLite's own assumptions leaves:
//! - a write that returned is seen by every later read, and survives the death of the process;
//! - what was written before a successful sync of the same file survives a loss of power;
//! - of what was not synced, each write is kept, lost or torn at any byte by itself, in favour of nothing. Writes that
//!   are kept apply in their order: for two that cover the same bytes, swapping them equals losing the later one;
//! - bytes that no write named stay as they are (SQLite's `POWERSAFE_OVERWRITE`); nothing is claimed to be atomic;
//! - files appear and vanish in order, and a sync of any file of the folder makes that durable, as a journaling file
//!   system does. Until then a loss of power may undo the latest of them.
//!
//! ```ignore
//! let machine = disk::install(seed).machine(folder);
//! machine.set_faults(Faults { crash: Some(Crash { operation: 17, moment: Moment::During }), ..Faults::default() });
//! // ... work on `folder` until it fails, and close what is open ...
//! machine.power_cycle(Loss::Power, &mut |bound| random_below(bound));
//! // ... open it again: what was promised to be there is there.
//! ```
//!
//! What it cannot do: flip bits that were synced, lie about a sync, or fail a file that is opened past SQLite.

mod digest;
mod fault;
mod file;
mod lock;
mod machine;
mod state;
#[expect(unsafe_code, reason = "SQLite is a C library: it asks for a disk by pointers")]
mod vfs;

pub use fault::{Chance, Counters, Crash, Faults, Loss, Moment, Operation, OperationKind};
pub use machine::{Disk, Machine, Nap};
pub use vfs::install;
