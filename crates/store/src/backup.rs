//! Backup and restore: one consistent copy of a database, sealed, verified, and put in its place in one step.
//!
//! A backup is a database file with a seal behind it: a mark and the hash of all bytes before. Whatever is changed in
//! it or cut off is found before anything is done with it. Nothing here knows the gateway's secrets, which lie in files
//! of their own and are in no backup.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use domain::OrganizationId;
use rusqlite::Connection;

use crate::verify::{Report, verify_file};
use crate::{Durability, StoreError, books, database_path, folder, schema};

/// What the seal begins with; the hash follows.
const MARK: &[u8; 16] = b"tollkeeper-seal1";
const SEAL_BYTES: usize = MARK.len() + blake3::OUT_LEN;
const PIECE_BYTES: usize = 1 << 20;
/// Files that SQLite keeps beside a database, by what their names end with.
const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Where one organization's journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The organization.
    pub organization: OrganizationId,
    /// The number of its last entry; 0 before the first.
    pub sequence: u64,
    /// That entry's link in the chain, which stands for all entries before.
    pub hash: [u8; 32],
}

/// What a backup holds.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What was counted and checked in the copy. Its breaches are of frozen books at most.
    pub report: Report,
    /// Where the journals end, by organization.
    pub heads: Vec<Head>,
    /// One hash for all of them: two copies with the same one hold the same history.
    pub head: [u8; 32],
    /// The file's size.
    pub bytes: u64,
}

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What was put in place.
    pub backup: Backup,
    /// Where the database that was in the folder before is now.
    pub aside: Option<PathBuf>,
}

/// Why there is no backup, or nothing was restored. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database or its folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or folder cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name cannot be that of a backup.
    #[error("{} cannot be the name of a backup: {what}", path.display())]
    Name {
        /// The name.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file of this name exists.
    #[error("{} exists; give another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The copy could not be made: the disk is full, or the database cannot be read.
    #[error("cannot write a copy to {}: {source}", path.display())]
    Copy {
        /// Where to.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The copy breaks rules of the ledger: the first of them and their number.
    #[error("{count} rules of the ledger are broken in it; the first: {first}")]
    Broken {
        /// The first breach.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// The file has no seal.
    #[error("{} does not end with the seal of a Tollkeeper backup: it was cut short, or is something else", .0.display())]
    NotABackup(PathBuf),
    /// The file is not what was sealed.
    #[error("{} is damaged: its bytes are not those that were sealed", .0.display())]
    Damaged(PathBuf),
    /// The folder has a database.
    #[error("{} exists; give an empty folder, or --force, which moves it aside", .0.display())]
    HasDatabase(PathBuf),
    /// A log of the old database is not copied back into it, and would be taken for one of the new.
    #[error("{} belongs to an old database and cannot be merged into it; move both away by hand", .0.display())]
    StrayLog(PathBuf),
}

/// Writes a copy of the database in `data`, of one moment, to the file `to`. A gateway may be running on it, and is not
/// held up. The file is complete and verified when it gets its name; until then nothing is there or what was before.
///
/// # Errors
/// When there is no database, the name is taken (unless `force`), the file cannot be written, or the copy breaks a rule
/// of the ledger. Nothing is left behind.
pub fn backup(data: &Path, to: &Path, force: bool) -> Result<Backup, BackupError> {
    let source = database_path(data);
    if !source.is_file() {
        return Err(StoreError::NoDatabase(data.to_owned()).into());
    }
    let (target, place) = target(data, to, force)?;
    let partial = Partial::beside(&target)?;
    copy_database(&source, &partial.0)?;
    let mut held = inspect(&partial.0)?;
    held.bytes = seal(&partial.0).map_err(|source| file_error(&target, source))?;
    if !force && target.exists() {
        return Err(BackupError::Exists(target));
    }
    fs::rename(&partial.0, &target)
        .and_then(|()| folder::sync(&place))
        .map_err(|e| file_error(&target, e))?;
    Ok(held)
}

/// Puts the backup `from` in place as the database of the folder `data`, which is made when missing. Everything is
/// checked before: the seal, the schema, every rule of the ledger. A database that is there is moved aside and kept.
///
/// # Errors
/// When the file is no backup, is damaged, newer or breaks a rule; when there is a database (unless `force`) or a
/// gateway runs on the folder. The folder is then as it was.
pub fn restore(from: &Path, data: &Path, force: bool) -> Result<Restored, BackupError> {
    let length = sealed_length(from)?;
    let database = database_path(data);
    let refuse =
        || if force || !database.exists() { Ok(()) } else { Err(BackupError::HasDatabase(database.clone())) };
    refuse()?;
    let made = Made::of(data);
    let lock = folder::lock(data)?;
    // Once more: until now a gateway might have been starting.
    refuse()?;
    let partial = Partial(beside(&database, ".restoring"));
    partial.remove();
    unseal(from, length, &partial.0)?;
    prepare(&partial.0)?;
    let mut backup = inspect(&partial.0)?;
    backup.bytes = length;
    merge_log(&database)?;
    let aside = if database.exists() { Some(set_aside(&database)?) } else { None };
    // In one step: at every moment the database is the old one or the new one, whole.
    if let Err(source) = fs::rename(&partial.0, &database) {
        aside.as_deref().map(fs::remove_file);
        return Err(file_error(&database, source));
    }
    folder::sync(data).map_err(|source| file_error(data, source))?;
    made.keep();
    drop(lock);
    Ok(Restored { backup, aside })
}

/// Where the backup goes, and the folder it lies in, both without links on the way.
fn target(data: &Path, to: &Path, force: bool) -> Result<(PathBuf, PathBuf), BackupError> {
    let name_error = |what| BackupError::Name { path: to.to_owned(), what };
    let name = to.file_name().ok_or_else(|| name_error("it names no file"))?;
    let place = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let place = place.canonicalize().map_err(|source| file_error(place, source))?;
    let target = place.join(name);
    if target.to_str().is_none() {
        return Err(name_error("it is not UTF-8"));
    }
    // Whatever takes the folder would take the backup too; and nothing may ever replace the live database.
    if data.canonicalize().is_ok_and(|data| place.starts_with(data)) {
        return Err(name_error(
            "it lies in the data folder; name a place that survives the loss of that folder",
        ));
    }
    if target.is_dir() {
        return Err(name_error("it is a folder; name a file in it"));
    }
    if target.exists() && !force { Err(BackupError::Exists(target)) } else { Ok((target, place)) }
}

/// Copies the database as it is at one moment. Rebuilding it leaves out what was deleted, and notices broken pages.
fn copy_database(source: &Path, copy: &Path) -> Result<(), BackupError> {
    let connection = schema::open_for_reading(source)?;
    // The connection cannot write to the database whatever it is asked; it has to write the copy.
    connection.pragma_update(None, "query_only", false).map_err(StoreError::from)?;
    let name = copy.to_str().unwrap_or_default();
    let copied = connection.execute("VACUUM INTO ?1", [name]);
    copied.map_err(|source| BackupError::Copy { path: copy.to_owned(), source })?;
    Ok(())
}

/// Checks every rule of the ledger in a copy. Frozen books are told of and no reason to be without a backup: what they
/// hold has been checked like all else, and they stay frozen in the copy.
fn inspect(copy: &Path) -> Result<Backup, BackupError> {
    let report = verify_file(copy)?;
    // Each frozen one is one breach.
    let count = report.breaches.len().saturating_sub(report.frozen.len());
    if count > 0 {
        let first = report.breaches.iter().find(|breach| !breach.ends_with("are frozen"));
        return Err(BackupError::Broken { first: first.cloned().unwrap_or_default(), count });
    }
    let heads = heads(copy)?;
    let mut hasher = blake3::Hasher::new();
    for head in &heads {
        hasher.update(head.organization.as_bytes()).update(&head.sequence.to_be_bytes()).update(&head.hash);
    }
    Ok(Backup { report, heads, head: hasher.finalize().into(), bytes: 0 })
}

fn heads(copy: &Path) -> Result<Vec<Head>, StoreError> {
    let connection = schema::open_for_reading(copy)?;
    let mut statement = connection.prepare("SELECT organization FROM books ORDER BY organization")?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let organization = OrganizationId::from_bytes(row.get(0)?);
        let end = books::load_end(&connection, organization)?;
        heads.push(Head { organization, sequence: end.sequence, hash: end.hash });
    }
    Ok(heads)
}

/// Puts the seal behind what was copied and makes all of it last; answers the file's size.
fn seal(copy: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).open(copy)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut length = 0;
    loop {
        let read = file.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        length += u64::try_from(read).unwrap_or(u64::MAX);
    }
    file.write_all(MARK)?;
    file.write_all(hasher.finalize().as_bytes())?;
    file.sync_all()?;
    Ok(length + u64::try_from(SEAL_BYTES).unwrap_or(u64::MAX))
}

/// The size of a file that ends with a seal's mark.
fn sealed_length(from: &Path) -> Result<u64, BackupError> {
    let error = |source| file_error(from, source);
    let length = fs::metadata(from).map_err(error)?;
    let not_one = || BackupError::NotABackup(from.to_owned());
    if !length.is_file() {
        return Err(not_one());
    }
    let length = length.len();
    let content = length.checked_sub(SEAL_BYTES.try_into().unwrap_or(u64::MAX)).ok_or_else(not_one)?;
    let mut file = File::open(from).map_err(error)?;
    let mut mark = [0; MARK.len()];
    file.seek(SeekFrom::Start(content)).and_then(|_| file.read_exact(&mut mark)).map_err(error)?;
    if &mark == MARK { Ok(length) } else { Err(not_one()) }
}

/// Copies what was sealed to a file that is for its owner alone, if it still is what was sealed.
fn unseal(from: &Path, length: u64, copy: &Path) -> Result<(), BackupError> {
    let read_error = |source| file_error(from, source);
    let write_error = |source| file_error(copy, source);
    let mut sealed = File::open(from).map_err(read_error)?;
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy);
    let mut file = options.map_err(write_error)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    let mut content = (&mut sealed).take(length.saturating_sub(SEAL_BYTES.try_into().unwrap_or(u64::MAX)));
    loop {
        let read = content.read(&mut piece).map_err(read_error)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        file.write_all(bytes).map_err(write_error)?;
    }
    let mut seal = Vec::new();
    sealed.read_to_end(&mut seal).map_err(read_error)?;
    if seal.strip_prefix(MARK) != Some(hasher.finalize().as_bytes().as_slice()) {
        return Err(BackupError::Damaged(from.to_owned()));
    }
    file.sync_all().map_err(write_error)
}

/// Brings a copy of an older version up to date, and leaves it as one file.
fn prepare(copy: &Path) -> Result<(), BackupError> {
    let connection = schema::open_for_writing(copy, Durability::Power)?;
    merge(connection)?;
    File::open(copy).and_then(|file| file.sync_all()).map_err(|source| file_error(copy, source))
}

/// Copies a database's log back into it and takes the log away.
fn merge(connection: Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode.eq_ignore_ascii_case("delete") { Ok(()) } else { Err(StoreError::NoLog(mode)) }
}

/// Merges the log that a killed gateway left into its database: beside the new database it would be taken for that one's.
fn merge_log(database: &Path) -> Result<(), BackupError> {
    let log = beside(database, "-wal");
    // What SQLite does not know for a database it would open without a word, and throw the log away.
    let is_database = || {
        let mut start = [0; 16];
        File::open(database).and_then(|mut file| file.read_exact(&mut start)).is_ok()
            && &start == b"SQLite format 3\0"
    };
    if log.exists() && is_database() {
        let merged = Connection::open(database).map_err(StoreError::from).and_then(merge);
        merged.map_err(|error| {
            tracing::warn!(%error, "the log of the old database cannot be merged");
            BackupError::StrayLog(log)
        })?;
    }
    let stray = ["-wal", "-journal"].map(|end| beside(database, end)).into_iter().find(|log| log.exists());
    stray.map_or(Ok(()), |log| Err(BackupError::StrayLog(log)))
}

/// Gives the old database a second name, under which it stays.
fn set_aside(database: &Path) -> Result<PathBuf, BackupError> {
    for number in 1_u32.. {
        let aside = beside(database, &format!(".before-restore-{number}"));
        match fs::hard_link(database, &aside) {
            Ok(()) => return Ok(aside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(file_error(&aside, source)),
        }
    }
    Err(BackupError::HasDatabase(database.to_owned()))
}

/// The path with something more at its end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

fn file_error(path: &Path, source: io::Error) -> BackupError {
    BackupError::File { path: path.to_owned(), source }
}

/// A file under a temporary name; gone with this value, unless it got its own name before.
struct Partial(PathBuf);

impl Partial {
    /// An empty file beside the target, for its owner alone, under a name that no other process uses.
    fn beside(target: &Path) -> Result<Self, BackupError> {
        let path = beside(target, &format!(".{}.partial", std::process::id()));
        let partial = Self(path);
        // Left behind by a process of this number that was killed.
        partial.remove();
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial.0);
        made.map_err(|source| file_error(&partial.0, source))?;
        Ok(partial)
    }

    fn remove(&self) {
        // What is not there need not go, and what cannot go was told of by whoever made it.
        let _ = fs::remove_file(&self.0);
        for end in COMPANIONS {
            let _ = fs::remove_file(beside(&self.0, end));
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A data folder that this restore makes; gone again when the restore fails.
struct Made(Option<PathBuf>);

impl Made {
    fn of(data: &Path) -> Self {
        Self((!data.exists()).then(|| data.to_owned()))
    }

    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            let _ = fs::remove_file(folder.join("lock"));
            // Fails when there is more in it, which is not ours.
            let _ = fs::remove_dir(folder);
        }
    }
}
