//! The disk of the process, its machines, and their open files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest;
use crate::fault::{Chance, Counters, Failure, Faults, Loss, Operation};
use crate::lock::{Level, Region};
use crate::state::{Opened, State};

/// What SQLite's waiting does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nap {
    /// It takes its time, as SQLite's busy time-outs need when several threads write.
    #[default]
    Real,
    /// It is over at once: for one thread, whose wait nobody could end.
    Skipped,
}

/// Milliseconds since 1970 until somebody says otherwise: 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;

/// All machines of the process, and what they share: SQLite's clock and its source of randomness.
#[derive(Debug)]
pub struct Disk {
    machines: Mutex<BTreeMap<String, Machine>>,
    randomness: Mutex<u64>,
    now: AtomicI64,
    naps: AtomicBool,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            machines: Mutex::default(),
            randomness: Mutex::new(seed),
            now: AtomicI64::new(START),
            naps: AtomicBool::new(true),
        }
    }

    /// The machine whose disk has `folder`; made with an empty disk if nobody asked for it before. Files belong to the
    /// folder right above them. The path is taken by its letters: links are not followed.
    pub fn machine(&self, folder: &Path) -> Machine {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        self.of_folder(absolute.to_string_lossy().trim_end_matches('/'))
    }

    /// Forgets a machine and its files, which must be closed: whoever asks for them again starts with an empty disk.
    pub fn discard(&self, folder: &Path) {
        let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        held(&self.machines).remove(absolute.to_string_lossy().trim_end_matches('/'));
    }

    /// What SQLite takes for the time, in milliseconds since 1970.
    pub fn set_now(&self, unix_ms: i64) {
        self.now.store(unix_ms, Ordering::Relaxed);
    }

    /// What SQLite's waiting does.
    pub fn set_nap(&self, nap: Nap) {
        self.naps.store(nap == Nap::Real, Ordering::Relaxed);
    }

    /// The machine of a file, and the file's name there.
    pub(crate) fn of_file<'a>(&self, path: &'a str) -> (Machine, &'a str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.of_folder(folder), name)
    }

    fn of_folder(&self, folder: &str) -> Machine {
        let mut machines = held(&self.machines);
        if let Some(machine) = machines.get(folder) {
            return machine.clone();
        }
        machines.entry(folder.to_owned()).or_default().clone()
    }

    pub(crate) fn set_seed(&self, seed: u64) {
        *held(&self.randomness) = seed;
    }

    pub(crate) fn randomness(&self, bytes: &mut [u8]) {
        let mut state = held(&self.randomness);
        for piece in bytes.chunks_mut(size_of::<u64>()) {
            let number = digest::next(&mut state).to_le_bytes();
            piece.iter_mut().zip(number).for_each(|(byte, random)| *byte = random);
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(crate) fn naps(&self) -> bool {
        self.naps.load(Ordering::Relaxed)
    }
}

/// One folder's disk and the process that works on it. Clones are the same machine.
#[derive(Clone, Debug, Default)]
pub struct Machine(Arc<Mutex<State>>);

impl Machine {
    /// What shall go wrong from now on, in place of what was planned before.
    pub fn set_faults(&self, faults: Faults) {
        self.state().set_faults(faults);
    }

    /// Ends the process now: every operation of every open handle fails until [`Machine::power_cycle`].
    pub fn crash(&self) {
        self.state().crash();
    }

    /// Whether the process is dead.
    pub fn is_crashed(&self) -> bool {
        self.state().is_crashed()
    }

    /// Ends the process, if it lives, loses what is to be lost, and starts anew without faults. Handles opened before
    /// are dead for good; close them first, for SQLite may not like what it finds.
    pub fn power_cycle(&self, loss: Loss, chance: &mut Chance<'_>) {
        self.state().power_cycle(loss, chance);
    }

    /// Writes a file's bytes over themselves and syncs it, as a program may that does not trust what an earlier process
    /// left; answers whether that went well. A file that is not there needs nothing.
    pub fn renew(&self, name: &str) -> bool {
        self.state().renew(name).is_ok()
    }

    /// Every file by name, as reads see it.
    pub fn image(&self) -> BTreeMap<String, Vec<u8>> {
        self.state().image()
    }

    /// Bytes in all files, to set [`Faults::capacity`] by.
    pub fn used(&self) -> u64 {
        u64::try_from(self.state().used()).unwrap_or(u64::MAX)
    }

    /// Replaces every file, durably, and starts a new life without faults.
    pub fn load(&self, image: BTreeMap<String, Vec<u8>>) {
        self.state().load(image);
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.state().counters()
    }

    /// Hashes of all operations so far: of what was done where, and of the bytes written, too. Equal for equal runs,
    /// if one thread at a time works on the folder. The second also needs SQLite's randomness to be equal: see
    /// [`Disk::reseed`].
    pub fn digest(&self) -> (u64, u64) {
        self.state().digest()
    }

    /// Starts a new record of operations, or ends it.
    pub fn record(&self, on: bool) {
        self.state().record(on);
    }

    /// The operations since [`Machine::record`], whether they succeeded or not.
    pub fn recorded(&self) -> Vec<Operation> {
        self.state().recorded()
    }

    pub(crate) fn open(&self, name: &str, create: bool, exclusive: bool) -> Result<Handle, Failure> {
        let opened = self.state().open(name, create, exclusive)?;
        Ok(Handle { machine: self.clone(), opened, regions: Mutex::default() })
    }

    pub(crate) fn delete(&self, name: &str, sync: bool) -> Result<(), Failure> {
        self.state().delete(name, sync)
    }

    pub(crate) fn exists(&self, name: &str) -> Result<bool, Failure> {
        self.state().exists(name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.0)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One open file of one connection.
#[derive(Debug)]
pub(crate) struct Handle {
    machine: Machine,
    opened: Opened,
    /// Kept alive for who still has their addresses, even after the machine forgot them.
    regions: Mutex<Vec<Region>>,
}

impl Handle {
    pub(crate) fn read(&self, at: usize, bytes: &mut [u8]) -> Result<(), Failure> {
        self.machine.state().read(self.opened, at, bytes)
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> Result<(), Failure> {
        self.machine.state().write(self.opened, at, bytes)
    }

    pub(crate) fn truncate(&self, length: usize) -> Result<(), Failure> {
        self.machine.state().truncate(self.opened, length)
    }

    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.machine.state().sync(self.opened)
    }

    pub(crate) fn length(&self) -> Result<usize, Failure> {
        Ok(self.machine.state().file(self.opened)?.visible().len())
    }

    pub(crate) fn lock(&self, level: Level) -> Result<(), Failure> {
        self.machine.state().file(self.opened)?.locks.raise(self.opened.holder, level)
    }

    /// A dead process holds no locks, so this always succeeds.
    pub(crate) fn unlock(&self, level: Level) {
        if let Ok(file) = self.machine.state().file(self.opened) {
            file.locks.lower(self.opened.holder, level);
        }
    }

    pub(crate) fn is_reserved(&self) -> Result<bool, Failure> {
        Ok(self.machine.state().file(self.opened)?.locks.is_reserved())
    }

    pub(crate) fn map(&self, number: usize, bytes: usize, extend: bool) -> Result<Option<Region>, Failure> {
        let mut state = self.machine.state();
        let shared = state.file(self.opened)?.shared.get_or_insert_default();
        let region = shared.map(self.opened.holder, number, bytes, extend);
        held(&self.regions).extend(region.clone());
        Ok(region)
    }

    pub(crate) fn share(&self, first: usize, count: usize) -> Result<(), Failure> {
        let mut state = self.machine.state();
        let shared = state.file(self.opened)?.shared.as_mut().ok_or(Failure::Io)?;
        shared.share(self.opened.holder, first, count)
    }

    pub(crate) fn seize(&self, first: usize, count: usize) -> Result<(), Failure> {
        let mut state = self.machine.state();
        let shared = state.file(self.opened)?.shared.as_mut().ok_or(Failure::Io)?;
        shared.seize(self.opened.holder, first, count)
    }

    pub(crate) fn release(&self, first: usize, count: usize) {
        if let Ok(file) = self.machine.state().file(self.opened)
            && let Some(shared) = &mut file.shared
        {
            shared.release(self.opened.holder, first, count);
        }
    }

    pub(crate) fn unmap(&self) {
        if let Ok(file) = self.machine.state().file(self.opened) {
            file.shared.take_if(|shared| shared.leave(self.opened.holder));
        }
        held(&self.regions).clear();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.machine.state().close(self.opened);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Handle, Machine};
    use crate::fault::{Crash, Failure, Faults, Loss, Moment};
    use crate::file::pick;

    /// A file that is durable with eight letters, and its handle.
    fn machine() -> (Machine, Handle) {
        let machine = Machine::default();
        let file = machine.open("file", true, false).unwrap();
        file.write(0, b"abcdefgh").unwrap();
        file.sync().unwrap();
        (machine, file)
    }

    fn text(machine: &Machine) -> Option<String> {
        machine.image().get("file").map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// What is left, over many seeds, of a file on which `act` was done, when the power fails and perhaps before.
    fn left(loss: Loss, act: impl Fn(&Machine, &Handle)) -> BTreeSet<Option<String>> {
        let outcome = |seed: u64| {
            let (machine, file) = machine();
            act(&machine, &file);
            let mut state = seed;
            machine.power_cycle(loss, &mut |bound| crate::digest::next(&mut state) % bound);
            text(&machine)
        };
        (0..400).map(outcome).collect()
    }

    fn set(texts: &[&str]) -> BTreeSet<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    fn crash(operation: u64, moment: Moment) -> Faults {
        Faults { crash: Some(Crash { operation, moment }), ..Faults::default() }
    }

    #[test]
    fn power_takes_any_part_of_what_was_not_synced_and_nothing_else() {
        let write = |_: &Machine, file: &Handle| file.write(2, b"XYZ").unwrap();
        let parts = ["abcdefgh", "abXdefgh", "abXYefgh", "abXYZfgh", "abcYZfgh", "abcdZfgh"];
        assert_eq!(left(Loss::Power, write), set(&parts));
        assert_eq!(left(Loss::Process, write), set(&["abXYZfgh"]));
        let synced = |machine: &Machine, file: &Handle| {
            write(machine, file);
            file.sync().unwrap();
        };
        assert_eq!(left(Loss::Power, synced), set(&["abXYZfgh"]));
        let outlived = |machine: &Machine, file: &Handle| {
            write(machine, file);
            machine.power_cycle(Loss::Process, &mut |_| 0);
        };
        assert_eq!(left(Loss::Power, outlived), set(&parts), "a process that dies syncs nothing");
        let two = left(Loss::Power, |_, file| {
            file.truncate(4).unwrap();
            file.write(5, b"!").unwrap();
        });
        let both = ["abcdefgh", "abcd", "abcde!gh", "abcd\0!"];
        assert_eq!(two, set(&both), "each by itself; a gap is zeros");
    }

    #[test]
    fn a_crash_comes_before_during_or_after_an_operation() {
        let act = |moment: Moment| {
            move |machine: &Machine, file: &Handle| {
                machine.set_faults(crash(1, moment));
                file.write(0, b"12").unwrap();
                assert_eq!(file.write(2, b"34"), Err(Failure::Dead));
                assert_eq!(file.read(0, &mut [0; 2]), Err(Failure::Dead));
                assert_eq!(machine.exists("file"), Err(Failure::Dead));
                assert_eq!(machine.open("file", true, false).err(), Some(Failure::Dead));
            }
        };
        assert_eq!(left(Loss::Process, act(Moment::Before)), set(&["12cdefgh"]));
        let during = ["12cdefgh", "123defgh", "1234efgh"];
        assert_eq!(left(Loss::Process, act(Moment::During)), set(&during));
        assert_eq!(left(Loss::Process, act(Moment::After)), set(&["1234efgh"]));
        assert!(
            left(Loss::Power, act(Moment::During)).is_superset(&set(&["abcdefgh", "ab3defgh", "1234efgh"]))
        );
        let synced = |moment: Moment| {
            move |machine: &Machine, file: &Handle| {
                machine.set_faults(crash(1, moment));
                file.write(0, b"1").unwrap();
                assert_eq!(file.sync(), Err(Failure::Dead));
            }
        };
        assert_eq!(left(Loss::Power, synced(Moment::After)), set(&["1bcdefgh"]));
        for moment in [Moment::Before, Moment::During] {
            assert_eq!(left(Loss::Power, synced(moment)), set(&["abcdefgh", "1bcdefgh"]));
        }
    }

    #[test]
    fn names_come_and_go_in_order() {
        let gone = left(Loss::Power, |machine, _| machine.delete("file", false).unwrap());
        assert_eq!(gone, [None, Some("abcdefgh".to_owned())].into());
        let gone = left(Loss::Power, |machine, _| machine.delete("file", true).unwrap());
        assert_eq!(gone, [None].into());
        let replaced = left(Loss::Power, |machine, _| {
            machine.delete("file", false).unwrap();
            machine.open("file", true, true).unwrap().write(0, b"n").unwrap();
        });
        let ways = [None, Some(String::new()), Some("n".to_owned()), Some("abcdefgh".to_owned())];
        assert_eq!(replaced, ways.into());
        let synced = left(Loss::Power, |machine, file| {
            machine.delete("file", false).unwrap();
            machine.open("file", true, true).unwrap().write(0, b"n").unwrap();
            file.sync().unwrap();
        });
        assert_eq!(synced, [Some(String::new()), Some("n".to_owned())].into(), "a sync saves all names");
        let cut = left(Loss::Process, |machine, _| {
            machine.set_faults(crash(0, Moment::During));
            assert_eq!(machine.delete("file", false), Err(Failure::Dead));
        });
        assert_eq!(cut, [None, Some("abcdefgh".to_owned())].into());
    }

    #[test]
    fn errors_come_once_and_a_failed_sync_may_forget() {
        let faults = |forgets| Faults {
            failing_reads: vec![1],
            failing_writes: vec![1],
            failing_syncs: vec![0],
            failed_sync_forgets: forgets,
            ..Faults::default()
        };
        let act = |forgets| {
            move |machine: &Machine, file: &Handle| {
                machine.set_faults(faults(forgets));
                let mut bytes = [0; 2];
                for expected in [Ok(()), Err(Failure::Io), Ok(())] {
                    assert_eq!(file.read(0, &mut bytes), expected);
                    assert_eq!(file.write(0, b"12"), expected);
                }
                assert_eq!(file.sync(), Err(Failure::Io));
                assert_eq!(file.sync(), Ok(()));
                assert_eq!(text(machine).unwrap(), "12cdefgh");
                let counters = machine.counters();
                assert_eq!((counters.read_errors, counters.write_errors, counters.sync_errors), (1, 1, 1));
            }
        };
        assert_eq!(left(Loss::Power, act(false)), set(&["12cdefgh"]));
        assert_eq!(left(Loss::Power, act(true)), set(&["abcdefgh"]));
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_may_be_written_over() {
        let (machine, file) = machine();
        machine.set_faults(Faults { capacity: Some(machine.used() + 2), ..Faults::default() });
        assert_eq!(file.write(8, b"ijkl"), Err(Failure::Full));
        assert_eq!(text(&machine).unwrap(), "abcdefghij");
        assert_eq!(file.write(0, b"ABCDEFGHIJ"), Ok(()));
        assert_eq!(file.write(100, b"far"), Err(Failure::Full));
        assert_eq!((text(&machine).unwrap().as_str(), machine.counters().full), ("ABCDEFGHIJ", 2));
        machine.set_faults(Faults::default());
        assert_eq!(file.write(10, b"kl"), Ok(()));
        let mut bytes = [1; 4];
        assert_eq!(file.read(10, &mut bytes), Err(Failure::Short));
        assert_eq!(&bytes, b"kl\0\0");
    }

    #[test]
    fn chance_that_answers_too_much_is_held_to_its_bound() {
        assert_eq!(pick(&mut |_| 9, 3), 2);
        assert_eq!(pick(&mut |_| 9, 0), 0);
    }
}
