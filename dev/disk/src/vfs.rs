//! The C side: SQLite's virtual file system, a thin layer over [`Machine`](crate::Machine) and its handles.
//!
//! All `unsafe` of the crate is here. It rests on what SQLite promises about every call: a file pointer is one that
//! `open` filled, is not used after `close`, and its buffers are as long as it says; names end with a zero byte.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use rusqlite::ffi;

use crate::fault::Failure;
use crate::lock::{Level, SLOTS};
use crate::machine::{Disk, Handle};

static DISK: OnceLock<Disk> = OnceLock::new();
static REGISTERED: Once = Once::new();

/// The longest path, with its zero byte.
const PATH_MAX: c_int = 1024;
/// What SQLite takes for a sector on Linux.
const SECTOR: c_int = 4096;
/// Milliseconds from the Julian epoch to 1970.
const JULIAN_MS: i64 = 210_866_760_000_000;

/// Makes the disk that fails SQLite's default in this process, once; later calls give the same disk. Databases opened
/// from then on live in its memory only, except `:memory:` and those opened with another file system by name.
/// `seed` starts SQLite's randomness, on the first call.
pub fn install(seed: u64) -> &'static Disk {
    let disk = DISK.get_or_init(|| Disk::new(seed));
    REGISTERED.call_once(register);
    disk
}

fn register() {
    let vfs = ffi::sqlite3_vfs {
        // 2: with the time as a whole number.
        iVersion: 2,
        szOsFile: c_int::try_from(size_of::<OpenFile>()).unwrap_or(c_int::MAX),
        mxPathname: PATH_MAX,
        pNext: std::ptr::null_mut(),
        zName: c"tollkeeper-disk".as_ptr(),
        pAppData: std::ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_path),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: None,
        xGetLastError: None,
        xCurrentTimeInt64: Some(now),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    // SAFETY: the structure lives for ever and nobody else has it; SQLite may be called from any thread.
    let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
    assert_eq!(code, ffi::SQLITE_OK, "SQLite refused the disk");
}

impl Disk {
    /// Starts SQLite's randomness anew, from a seed. It is one for the whole process: with one thread at work, equal
    /// seeds give equal bytes in the files.
    pub fn reseed(&self, seed: u64) {
        self.set_seed(seed);
        // SAFETY: no bytes are asked for, so none are written; this makes SQLite ask `randomness` for a new start.
        unsafe { ffi::sqlite3_randomness(0, std::ptr::null_mut()) };
    }
}

/// The installed disk.
fn disk() -> &'static Disk {
    DISK.get_or_init(|| Disk::new(0))
}

/// What SQLite allots for a file: its own part first.
#[repr(C)]
struct OpenFile {
    base: ffi::sqlite3_file,
    handle: *mut Handle,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: shared memory, but no memory maps of files.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// SQLite's code for a result; `io` is the code of an I/O error of the operation.
fn code(result: Result<(), Failure>, io: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failure::Dead) => ffi::SQLITE_IOERR,
        Err(Failure::Io) => io,
        Err(Failure::Full) => ffi::SQLITE_FULL,
        Err(Failure::Short) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(Failure::Busy) => ffi::SQLITE_BUSY,
        Err(Failure::Name) => ffi::SQLITE_CANTOPEN,
    }
}

/// Gives a value to SQLite.
///
/// # Safety
/// `place` is SQLite's, for one value.
unsafe fn give<T>(place: *mut T, result: Result<T, Failure>, io: c_int) -> c_int {
    let value = result.map(|value| {
        // SAFETY: the caller's promise.
        unsafe { place.write(value) };
    });
    code(value, io)
}

/// # Safety
/// `name` is null or ends with a zero byte, and lives for the call.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(name) }.to_str().ok()
}

/// # Safety
/// `file` was filled by `open` and not closed since.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a Handle {
    // SAFETY: by the caller's promise it is an `OpenFile` whose handle lives until `close`; handles are only shared.
    unsafe { &*(*file.cast::<OpenFile>()).handle }
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn count(number: c_int) -> usize {
    usize::try_from(number).unwrap_or(0)
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let file = file.cast::<OpenFile>();
    // SAFETY: SQLite gives as many bytes as `szOsFile` says. Without methods it will not call `close`.
    unsafe { (*file).base.pMethods = std::ptr::null() };
    // SAFETY: SQLite's names end with a zero byte.
    let opened = match unsafe { text(name) } {
        Some(path) => {
            let (machine, name) = disk().of_file(path);
            let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
            machine.open(name, create, create && flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0)
        }
        // A file without a name is nobody's: a machine of its own, which never fails and goes with the handle.
        None if name.is_null() => crate::Machine::default().open("", true, false),
        None => Err(Failure::Name),
    };
    let opened = opened.map(|handle| {
        // A name that is needed only while open is taken away now; the handle goes on.
        // SAFETY: as above.
        if let (true, Some(path)) = (flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0, unsafe { text(name) }) {
            let (machine, name) = disk().of_file(path);
            let _ = machine.delete(name, false);
        }
        // SAFETY: as above; the flags' place may be null.
        unsafe {
            (*file).handle = Box::into_raw(Box::new(handle));
            (*file).base.pMethods = &METHODS;
            if !out_flags.is_null() {
                *out_flags = flags;
            }
        }
    });
    code(opened, ffi::SQLITE_IOERR)
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite's names end with a zero byte.
    let Some(path) = (unsafe { text(name) }) else { return ffi::SQLITE_IOERR_DELETE };
    let (machine, name) = disk().of_file(path);
    match machine.delete(name, sync != 0) {
        Err(Failure::Name) => ffi::SQLITE_IOERR_DELETE_NOENT,
        result => code(result, ffi::SQLITE_IOERR_DELETE),
    }
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    found: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's names end with a zero byte.
    let Some(path) = (unsafe { text(name) }) else { return ffi::SQLITE_IOERR_ACCESS };
    let (machine, name) = disk().of_file(path);
    // SAFETY: the place for the answer is SQLite's.
    unsafe { give(found, machine.exists(name).map(c_int::from), ffi::SQLITE_IOERR_ACCESS) }
}

unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite's names end with a zero byte.
    let Some(path) = (unsafe { text(name) }) else { return ffi::SQLITE_CANTOPEN };
    let Ok(path) = std::path::absolute(Path::new(path)) else { return ffi::SQLITE_CANTOPEN };
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.len() >= count(length) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite gives `length` bytes, which is more than are copied.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), bytes.len());
        out.add(bytes.len()).write(0);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, length: c_int, out: *mut c_char) -> c_int {
    let mut bytes = vec![0; count(length)];
    disk().randomness(&mut bytes);
    // SAFETY: SQLite gives `length` bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.cast::<u8>(), bytes.len()) };
    length
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    if disk().naps() {
        std::thread::sleep(Duration::from_micros(u64::try_from(microseconds).unwrap_or(0)));
    }
    microseconds
}

unsafe extern "C" fn now(_: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: the place for the answer is SQLite's.
    unsafe { give(out, Ok(disk().now().saturating_add(JULIAN_MS)), ffi::SQLITE_ERROR) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let file = file.cast::<OpenFile>();
    // SAFETY: `open` made the box, and SQLite closes a file once; without methods it closes it no more.
    unsafe {
        drop(Box::from_raw((*file).handle));
        (*file).base.pMethods = std::ptr::null();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, out: *mut c_void, length: c_int, at: i64) -> c_int {
    // What SQLite gives may hold nothing yet, so it is cleared before it is a slice.
    // SAFETY: the file is open, and SQLite gives `length` bytes.
    let (handle, bytes) = unsafe {
        out.cast::<u8>().write_bytes(0, count(length));
        (handle(file), std::slice::from_raw_parts_mut(out.cast::<u8>(), count(length)))
    };
    code(handle.read(size(at), bytes), ffi::SQLITE_IOERR_READ)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: the file is open, and SQLite gives `length` bytes.
    let (handle, bytes) =
        unsafe { (handle(file), std::slice::from_raw_parts(from.cast::<u8>(), count(length))) };
    code(handle.write(size(at), bytes), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    code(handle.truncate(size(length)), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    code(handle.sync(), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    // SAFETY: the file is open, and the place for the answer is SQLite's.
    unsafe {
        let length = handle(file).length().map(|length| i64::try_from(length).unwrap_or(i64::MAX));
        give(out, length, ffi::SQLITE_IOERR_FSTAT)
    }
}

const fn level(number: c_int) -> Level {
    match number {
        ffi::SQLITE_LOCK_NONE => Level::None,
        ffi::SQLITE_LOCK_SHARED => Level::Shared,
        ffi::SQLITE_LOCK_RESERVED => Level::Reserved,
        _ => Level::Exclusive,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    code(handle.lock(level(wanted)), ffi::SQLITE_IOERR_LOCK)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { handle(file) }.unlock(level(wanted));
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: the file is open, and the place for the answer is SQLite's.
    unsafe {
        let reserved = handle(file).is_reserved().map(c_int::from);
        give(out, reserved, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)
    }
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

/// What SQLite's own file system says on Linux, and no more: bytes beside a torn write are safe (the loss model keeps to
/// that), and parts of pages may be read.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE | ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    number: c_int,
    length: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    let region = handle.map(count(number), count(length), extend != 0);
    let failed = region.is_err();
    let address = region.map(|region| region.map_or(std::ptr::null_mut(), |region| region.address()));
    // SAFETY: the place for the answer is SQLite's. The handle keeps the region alive until it is unmapped.
    unsafe {
        if failed {
            *out = std::ptr::null_mut();
        }
        give(out, address, ffi::SQLITE_IOERR_SHMMAP)
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    number: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the file is open.
    let handle = unsafe { handle(file) };
    let (first, number) = (count(first).min(SLOTS), count(number).min(SLOTS));
    let result = if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.release(first, number);
        Ok(())
    } else if flags & ffi::SQLITE_SHM_SHARED != 0 {
        handle.share(first, number)
    } else {
        handle.seize(first, number)
    };
    code(result, ffi::SQLITE_IOERR_SHMLOCK)
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: the file is open.
    unsafe { handle(file) }.unmap();
    ffi::SQLITE_OK
}
