//! A machine's disk behind its lock: every operation in one order, and the faults that meet it.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::fault::{
    Chance, Counters, Crash, Failure, Faults, Loss, Moment, Operation, OperationKind as Kind,
};
use crate::file::{Edit, File, is_part, pick};

/// What an open handle names: a file, the holder of its locks, and the life in which it was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) file: u64,
    pub(crate) holder: u64,
    pub(crate) life: u64,
}

/// A change of a folder: a name gets a file or loses it.
#[derive(Clone, Debug)]
struct Naming {
    name: String,
    file: Option<u64>,
}

/// One operation that changes the disk.
#[derive(Debug)]
enum Step {
    Edit(u64, Edit),
    Sync(u64),
    /// With whether the folder is synced at once.
    Name(Naming, bool),
}

impl Step {
    const fn kind(&self) -> Kind {
        match self {
            Self::Edit(_, Edit::Write { .. }) => Kind::Write,
            Self::Edit(_, Edit::Cut(_)) => Kind::Truncate,
            Self::Sync(_) => Kind::Sync,
            Self::Name(Naming { file: Some(_), .. }, _) => Kind::Create,
            Self::Name(..) => Kind::Delete,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// What leads from the durable names to the names.
    namings: Vec<Naming>,
    files: BTreeMap<u64, File>,
    /// The last number given to a file or a holder.
    last: u64,
    /// Counts deaths: a handle of an earlier life is as dead as its process.
    life: u64,
    crashed: bool,
    /// What was under way when the crash came.
    cut_short: Option<Step>,
    faults: Faults,
    /// The counters when the faults were set.
    since: Counters,
    counters: Counters,
    digest: Digest,
    record: Option<Vec<Operation>>,
}

/// The harness's side.
impl State {
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.since = self.counters;
    }

    pub(crate) const fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) const fn digest(&self) -> (u64, u64) {
        (self.digest.shape, self.digest.content)
    }

    pub(crate) const fn is_crashed(&self) -> bool {
        self.crashed
    }

    pub(crate) fn crash(&mut self) {
        if !self.crashed {
            self.crashed = true;
            self.counters.crashes += 1;
        }
    }

    pub(crate) fn record(&mut self, on: bool) {
        self.record = on.then(Vec::new);
    }

    pub(crate) fn recorded(&self) -> Vec<Operation> {
        self.record.clone().unwrap_or_default()
    }

    pub(crate) fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let file =
            |(name, file): (&String, &u64)| Some((name.clone(), self.files.get(file)?.visible().to_vec()));
        self.names.iter().filter_map(file).collect()
    }

    pub(crate) fn used(&self) -> usize {
        self.files.values().map(|file| file.visible().len()).sum()
    }

    pub(crate) fn load(&mut self, image: BTreeMap<String, Vec<u8>>) {
        self.end_life();
        self.cut_short = None;
        self.names.clear();
        self.files.clear();
        for (name, bytes) in image {
            self.last += 1;
            self.files.insert(self.last, File::of(bytes));
            self.names.insert(name, self.last);
        }
        self.sync_names();
    }

    pub(crate) fn power_cycle(&mut self, loss: Loss, chance: &mut Chance<'_>) {
        self.crash();
        let cut_short = self.cut_short.take();
        match loss {
            Loss::Process => {
                self.counters.process_losses += 1;
                cut_short.into_iter().for_each(|step| self.apply_part(step, chance));
            }
            Loss::Power => {
                self.counters.power_losses += 1;
                // The newest of what was not synced; a sync that was under way saved as little as it liked.
                if let Some(step) = cut_short.filter(|step| step.kind() != Kind::Sync) {
                    self.apply(step);
                }
                self.lose(chance);
            }
        }
        self.end_life();
    }

    fn apply_part(&mut self, step: Step, chance: &mut Chance<'_>) {
        match step {
            Step::Edit(file, edit) => {
                // A write is done from its beginning on.
                if let Some(part) = edit.torn(false, chance) {
                    self.counters.torn += u64::from(is_part(&part, &edit));
                    self.apply(Step::Edit(file, part));
                }
            }
            Step::Name(naming, _) if chance(2) == 1 => self.apply(Step::Name(naming, false)),
            Step::Name(..) | Step::Sync(_) => {}
        }
    }

    fn lose(&mut self, chance: &mut Chance<'_>) {
        let kept = pick(chance, self.namings.len().saturating_add(1));
        let namings = std::mem::take(&mut self.namings);
        let lost = namings.len().saturating_sub(kept);
        self.counters.undone += u64::try_from(lost).unwrap_or(u64::MAX);
        for naming in namings.into_iter().take(kept) {
            rename(&mut self.durable_names, naming);
        }
        self.names.clone_from(&self.durable_names);
        for file in self.files.values_mut() {
            file.lose(chance, &mut self.counters);
        }
    }

    fn end_life(&mut self) {
        self.life += 1;
        self.crashed = false;
        self.set_faults(Faults::default());
        self.files.values_mut().for_each(File::orphan);
        self.sweep();
    }
}

/// The database's side.
impl State {
    pub(crate) fn open(&mut self, name: &str, create: bool, exclusive: bool) -> Result<Opened, Failure> {
        self.alive()?;
        let file = match self.names.get(name) {
            Some(_) if exclusive => return Err(Failure::Name),
            Some(file) => *file,
            None if create => {
                self.last += 1;
                let file = self.last;
                self.files.insert(file, File::default());
                self.perform(Step::Name(Naming { name: name.to_owned(), file: Some(file) }, false), name)?;
                file
            }
            None => return Err(Failure::Name),
        };
        self.last += 1;
        let opened = Opened { file, holder: self.last, life: self.life };
        self.file(opened)?.handles += 1;
        Ok(opened)
    }

    pub(crate) fn close(&mut self, opened: Opened) {
        if opened.life != self.life {
            return;
        }
        if let Some(file) = self.files.get_mut(&opened.file) {
            file.handles = file.handles.saturating_sub(1);
            file.locks.lower(opened.holder, crate::lock::Level::None);
            file.shared.take_if(|shared| shared.leave(opened.holder));
        }
        self.sweep();
    }

    pub(crate) fn delete(&mut self, name: &str, sync: bool) -> Result<(), Failure> {
        self.alive()?;
        if !self.names.contains_key(name) {
            return Err(Failure::Name);
        }
        self.perform(Step::Name(Naming { name: name.to_owned(), file: None }, sync), name)?;
        self.sweep();
        Ok(())
    }

    pub(crate) fn exists(&self, name: &str) -> Result<bool, Failure> {
        self.alive()?;
        Ok(self.names.contains_key(name))
    }

    /// Fills `bytes` from `at` on; what the file has not is zeros.
    pub(crate) fn read(&mut self, opened: Opened, at: usize, bytes: &mut [u8]) -> Result<(), Failure> {
        self.file(opened)?;
        let number = self.counters.reads - self.since.reads;
        self.counters.reads += 1;
        self.counters.bytes_read += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.faults.failing_reads.contains(&number) {
            self.counters.read_errors += 1;
            return Err(Failure::Io);
        }
        let visible = self.file(opened)?.visible();
        let found = visible.get(at..).unwrap_or_default();
        let length = found.len().min(bytes.len());
        let (filled, rest) = bytes.split_at_mut(length);
        filled.copy_from_slice(found.get(..length).unwrap_or_default());
        rest.fill(0);
        if rest.is_empty() { Ok(()) } else { Err(Failure::Short) }
    }

    pub(crate) fn write(&mut self, opened: Opened, at: usize, bytes: &[u8]) -> Result<(), Failure> {
        self.edit(opened, Edit::Write { at, bytes: bytes.to_vec() })
    }

    pub(crate) fn truncate(&mut self, opened: Opened, length: usize) -> Result<(), Failure> {
        self.edit(opened, Edit::Cut(length))
    }

    fn edit(&mut self, opened: Opened, edit: Edit) -> Result<(), Failure> {
        self.file(opened)?;
        self.perform(Step::Edit(opened.file, edit), &self.name_of(opened.file))
    }

    pub(crate) fn sync(&mut self, opened: Opened) -> Result<(), Failure> {
        self.file(opened)?;
        self.perform(Step::Sync(opened.file), &self.name_of(opened.file))
    }

    /// Writes a file's bytes over themselves and syncs it; a file that is not there is no failure.
    pub(crate) fn renew(&mut self, name: &str) -> Result<(), Failure> {
        let opened = match self.open(name, false, false) {
            Ok(opened) => opened,
            Err(Failure::Name) => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let bytes = self.file(opened)?.visible().to_vec();
        let renewed = self.write(opened, 0, &bytes).and_then(|()| self.sync(opened));
        self.close(opened);
        renewed
    }

    /// The file of a handle, if both live.
    pub(crate) fn file(&mut self, opened: Opened) -> Result<&mut File, Failure> {
        self.alive()?;
        if opened.life != self.life {
            return Err(Failure::Dead);
        }
        self.files.get_mut(&opened.file).ok_or(Failure::Dead)
    }

    const fn alive(&self) -> Result<(), Failure> {
        if self.crashed { Err(Failure::Dead) } else { Ok(()) }
    }

    fn name_of(&self, file: u64) -> String {
        let found = self.names.iter().find(|(_, other)| **other == file);
        found.map(|(name, _)| name.clone()).unwrap_or_default()
    }
}

/// Operations.
impl State {
    fn perform(&mut self, step: Step, name: &str) -> Result<(), Failure> {
        let number = self.counters.operations - self.since.operations;
        let earlier = self.counters;
        self.note(&step, name);
        match self.faults.crash {
            Some(Crash { operation, moment }) if operation == number => {
                match moment {
                    Moment::Before => {}
                    Moment::During => self.cut_short = Some(step),
                    Moment::After => self.apply(step),
                }
                self.crash();
                Err(Failure::Dead)
            }
            _ => {
                self.injected(&step, &earlier)?;
                match self.room_for(&step) {
                    None => {
                        self.apply(step);
                        Ok(())
                    }
                    Some(length) => {
                        self.counters.full += 1;
                        if let Step::Edit(file, edit) = step {
                            self.apply(Step::Edit(file, edit.fit(length)));
                        }
                        Err(Failure::Full)
                    }
                }
            }
        }
    }

    fn note(&mut self, step: &Step, name: &str) {
        let (offset, bytes) = match step {
            Step::Edit(_, Edit::Write { at, bytes }) => (*at, bytes.as_slice()),
            Step::Edit(_, Edit::Cut(length)) => (*length, &[][..]),
            Step::Sync(_) | Step::Name(..) => (0, &[][..]),
        };
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let counters = &mut self.counters;
        counters.operations += 1;
        counters.bytes_written += length;
        *match step.kind() {
            Kind::Create => &mut counters.creates,
            Kind::Delete => &mut counters.deletes,
            Kind::Write => &mut counters.writes,
            Kind::Truncate => &mut counters.truncations,
            Kind::Sync => &mut counters.syncs,
        } += 1;
        self.digest.add(step.kind(), name, offset, bytes);
        if let Some(record) = &mut self.record {
            record.push(Operation { kind: step.kind(), file: name.to_owned(), offset, length });
        }
    }

    /// The I/O errors of the plan.
    fn injected(&mut self, step: &Step, earlier: &Counters) -> Result<(), Failure> {
        match step {
            Step::Edit(..) => {
                let number =
                    earlier.writes + earlier.truncations - self.since.writes - self.since.truncations;
                if self.faults.failing_writes.contains(&number) {
                    self.counters.write_errors += 1;
                    return Err(Failure::Io);
                }
            }
            Step::Sync(file) => {
                if self.faults.failing_syncs.contains(&(earlier.syncs - self.since.syncs)) {
                    self.counters.sync_errors += 1;
                    let file = self.files.get_mut(file).filter(|_| self.faults.failed_sync_forgets);
                    file.into_iter().for_each(File::forget);
                    return Err(Failure::Io);
                }
            }
            Step::Name(..) => {}
        }
        Ok(())
    }

    /// The length to which the file may grow, if the disk has no room for the whole step.
    fn room_for(&self, step: &Step) -> Option<usize> {
        let (Some(capacity), Step::Edit(file, edit)) = (self.faults.capacity, step) else { return None };
        let length = self.files.get(file)?.visible().len();
        let free = usize::try_from(capacity).unwrap_or(usize::MAX).saturating_sub(self.used());
        let possible = length.saturating_add(free);
        (edit.end() > length && edit.end() > possible).then_some(possible)
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Edit(file, edit) => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.edit(edit);
                }
            }
            Step::Sync(file) => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.sync();
                }
                self.sync_names();
            }
            Step::Name(naming, sync) => {
                rename(&mut self.names, naming.clone());
                self.namings.push(naming);
                if sync {
                    self.sync_names();
                }
            }
        }
    }

    fn sync_names(&mut self) {
        self.namings.clear();
        if self.durable_names != self.names {
            self.durable_names.clone_from(&self.names);
            self.sweep();
        }
    }

    /// Frees the files that nobody can reach any more.
    fn sweep(&mut self) {
        let Self { names, durable_names, namings, files, cut_short, .. } = self;
        files.retain(|id, file| {
            let waits = match cut_short {
                Some(Step::Name(naming, _)) => naming.file == Some(*id),
                Some(Step::Edit(..) | Step::Sync(_)) | None => false,
            };
            waits
                || file.handles > 0
                || names.values().chain(durable_names.values()).any(|other| other == id)
                || namings.iter().any(|naming| naming.file == Some(*id))
        });
    }
}

fn rename(names: &mut BTreeMap<String, u64>, naming: Naming) {
    match naming.file {
        Some(file) => names.insert(naming.name, file),
        None => names.remove(&naming.name),
    };
}
