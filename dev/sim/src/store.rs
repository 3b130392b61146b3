//! The real store on a disk that fails, judged by the model: every answer, and after every death what is in the books.
//!
//! A seed gives a store a durability, transactions of random commands, and several lives, each of which ends in a crash,
//! a kill, an I/O error, a full disk or in peace. After each the books must be what the model makes of the acknowledged
//! transactions (of a store that does not sync, and has lost power: of the first of them), with or without the one that
//! was never answered, and of the settlements of the start. It knows the store by its port and its readers; it must
//! never know SQL.

pub mod args;
mod client;
pub mod cut;
pub mod cut_args;
mod figures;
mod judge;
mod life;
mod plan;
mod script;
mod seen;
mod world;

use std::path::Path;

pub use figures::Figures;
pub use life::Plan;

/// The files of a store are in the memory of the disk that fails; the store looks for one of them by its name, though.
const DATABASE: &str = "tollkeeper.db";

/// Runs a seed in a folder, which is real and empty but for what this puts there.
///
/// # Errors
/// The first violation, or why the folder cannot be used.
pub fn run(plan: Plan, disk: &disk::Disk, folder: &Path) -> Result<Figures, String> {
    put_database(folder)?;
    disk.discard(folder);
    life::Run::new(plan, disk.machine(folder), folder).run()
}

fn put_database(folder: &Path) -> Result<(), String> {
    std::fs::write(folder.join(DATABASE), []).map_err(|error| format!("{}: {error}", folder.display()))
}
