//! The data folder: making it, locking it, and files that are for their owner alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use crate::StoreError;

/// Makes the folder if it is missing and locks it for this process, however that ends.
///
/// # Errors
/// When the folder is unusable, or another process has locked it.
pub(crate) fn lock(folder: &Path) -> Result<File, StoreError> {
    let folder_error = |source| StoreError::Folder { path: folder.to_owned(), source };
    // The database says who called what; nobody else on the machine needs to know.
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(folder_error)?;
    let lock = private_file(folder, "lock")?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(folder_error(source)),
    }
}

/// A file in the folder, made when missing. Whatever the folder allows, it is for its owner alone.
///
/// # Errors
/// When it can be neither opened nor made.
pub(crate) fn private_file(folder: &Path, name: &str) -> Result<File, StoreError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(folder.join(name))
        .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })
}

/// Writes the log that an earlier process left over itself, and syncs it.
///
/// When a sync fails, Linux forgets which pages it could not write: they read well from memory, the next sync succeeds
/// without them, and they are gone at the next loss of power, with every commit after them. A gateway that stopped for
/// such a failure must not go on upon such a log; the same bytes written again are on the disk after this sync or not at
/// all.
///
/// # Errors
/// When the log cannot be read, written or synced.
pub(crate) fn renew_log(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join("tollkeeper.db-wal");
    let failed = |source| StoreError::Folder { path: path.clone(), source };
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut piece = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut piece, at).map_err(failed)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        file.write_all_at(bytes, at).map_err(failed)?;
        at += u64::try_from(read).unwrap_or(0);
    }
    file.sync_all().map_err(failed)
}

/// Makes what was renamed in a folder last.
///
/// # Errors
/// When the system says so.
pub(crate) fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
