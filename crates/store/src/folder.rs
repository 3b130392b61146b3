//! The data folder: making it, locking it, and files that are for their owner alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
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

/// Makes what was renamed in a folder last.
///
/// # Errors
/// When the system says so.
pub(crate) fn sync(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}
