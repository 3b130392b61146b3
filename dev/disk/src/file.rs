//! One file: what reads see, what is durable, and what lies between.

use std::cmp::Ordering;

use crate::fault::{Chance, Counters};
use crate::lock::{Locks, Shared};

/// A change to a file's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Bytes from an offset on. A gap before them is zeros.
    Write { at: usize, bytes: Vec<u8> },
    /// Another length. What is new is zeros.
    Cut(usize),
}

impl Edit {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at.saturating_add(bytes.len());
                // Writing nothing far out makes no file longer.
                if file.len() < end && !bytes.is_empty() {
                    file.resize(end, 0);
                }
                if let Some(place) = file.get_mut(*at..end) {
                    place.copy_from_slice(bytes);
                }
            }
            Self::Cut(length) => file.resize(*length, 0),
        }
    }

    /// A part of a write: its beginning or, where `tail` allows it, its end, up to or from any byte. `None` if chance
    /// leaves nothing of it.
    pub(crate) fn torn(&self, tail: bool, chance: &mut Chance<'_>) -> Option<Self> {
        let Self::Write { at, bytes } = self else {
            // A length is one number, which a journaling file system changes or does not.
            return (chance(2) == 1).then(|| self.clone());
        };
        let cut = pick(chance, bytes.len().saturating_add(1));
        let (first, last) = bytes.split_at_checked(cut)?;
        let (at, part) = if tail && chance(2) == 1 { (at.saturating_add(cut), last) } else { (*at, first) };
        (!part.is_empty()).then(|| Self::Write { at, bytes: part.to_vec() })
    }

    /// As much of it as a file may grow: a write that ends beyond `length` is cut there.
    pub(crate) fn fit(self, length: usize) -> Self {
        match self {
            Self::Write { at, mut bytes } => {
                bytes.truncate(length.saturating_sub(at));
                Self::Write { at, bytes }
            }
            Self::Cut(wanted) => Self::Cut(wanted.min(length)),
        }
    }

    /// The length of the file if it were made from nothing but this.
    pub(crate) const fn end(&self) -> usize {
        match self {
            Self::Write { at, bytes } => at.saturating_add(bytes.len()),
            Self::Cut(length) => *length,
        }
    }
}

/// A number below `bound`.
pub(crate) fn pick(chance: &mut Chance<'_>, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
    usize::try_from(chance(bound).min(bound - 1)).unwrap_or(0)
}

/// A file, with or without a name.
#[derive(Debug, Default)]
pub(crate) struct File {
    visible: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Edit>,
    /// Open handles of the living process.
    pub(crate) handles: u64,
    pub(crate) locks: Locks,
    pub(crate) shared: Option<Shared>,
}

impl File {
    /// A file that is durable as it is.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self { visible: bytes.clone(), durable: bytes, ..Self::default() }
    }

    pub(crate) fn visible(&self) -> &[u8] {
        &self.visible
    }

    pub(crate) fn edit(&mut self, edit: Edit) {
        edit.apply(&mut self.visible);
        self.pending.push(edit);
    }

    pub(crate) fn sync(&mut self) {
        for edit in self.pending.drain(..) {
            edit.apply(&mut self.durable);
        }
    }

    /// Forgets the writes that a failed sync should have saved, as a system does that marks its pages clean. Lengths
    /// are the file system's own and stay in its journal.
    pub(crate) fn forget(&mut self) {
        self.pending.retain(|edit| matches!(edit, Edit::Cut(_)));
    }

    /// What a loss of power leaves. It plays one of three games, so that every kind of loss is common: the disk took
    /// the writes in order up to a moment; it took some of them; it took some of them, and tore some of those.
    pub(crate) fn lose(&mut self, chance: &mut Chance<'_>, counters: &mut Counters) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            let game = chance(3);
            let moment = pick(chance, pending.len().saturating_add(1));
            for (number, edit) in pending.iter().enumerate() {
                let fate = match game {
                    0 => match number.cmp(&moment) {
                        Ordering::Less => Fate::Kept,
                        Ordering::Equal => Fate::Torn,
                        Ordering::Greater => Fate::Lost,
                    },
                    1 if chance(2) == 1 => Fate::Kept,
                    1 => Fate::Lost,
                    _ => match chance(4) {
                        0 => Fate::Lost,
                        1 => Fate::Torn,
                        _ => Fate::Kept,
                    },
                };
                self.suffer(edit, fate, chance, counters);
            }
        }
        self.visible.clone_from(&self.durable);
    }

    fn suffer(&mut self, edit: &Edit, fate: Fate, chance: &mut Chance<'_>, counters: &mut Counters) {
        let left = match fate {
            Fate::Kept => Some(edit.clone()),
            Fate::Torn => edit.torn(true, chance),
            Fate::Lost => None,
        };
        match left {
            None => counters.lost += 1,
            Some(left) => {
                counters.torn += u64::from(is_part(&left, edit));
                left.apply(&mut self.durable);
            }
        }
    }

    /// What the death of the process leaves of its handles.
    pub(crate) fn orphan(&mut self) {
        self.handles = 0;
        self.locks = Locks::default();
        self.shared = None;
    }
}

/// Whether a write is less than another.
pub(crate) const fn is_part(left: &Edit, whole: &Edit) -> bool {
    match (left, whole) {
        (Edit::Write { bytes: left, .. }, Edit::Write { bytes: whole, .. }) => left.len() < whole.len(),
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Fate {
    Kept,
    Torn,
    Lost,
}
