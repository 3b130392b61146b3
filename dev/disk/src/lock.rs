//! SQLite's locks between connections, and the memory they share: all in this process.
//!
//! A database file has five lock levels, and its write-ahead log's index has eight slots that are free, shared or
//! exclusive. Nobody waits: who cannot have a lock is told so and comes again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::fault::Failure;

/// Who holds a lock: the number of an open handle.
pub(crate) type Holder = u64;

/// SQLite's lock levels, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    None,
    Shared,
    Reserved,
    Exclusive,
}

/// The locks on a database file.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    shared: BTreeSet<Holder>,
    reserved: Option<Holder>,
    /// Waits for readers to leave, and lets no new one in.
    pending: Option<Holder>,
    exclusive: Option<Holder>,
}

impl Locks {
    pub(crate) fn raise(&mut self, holder: Holder, level: Level) -> Result<(), Failure> {
        let free = |slot: Option<Holder>| slot.is_none_or(|other| other == holder);
        if self.level(holder) >= level {
            return Ok(());
        }
        if !free(self.pending) || !free(self.exclusive) {
            return Err(Failure::Busy);
        }
        match level {
            Level::None => {}
            Level::Shared => {
                self.shared.insert(holder);
            }
            Level::Reserved if free(self.reserved) => self.reserved = Some(holder),
            Level::Exclusive if free(self.reserved) => {
                self.pending = Some(holder);
                if self.shared.iter().any(|other| *other != holder) {
                    return Err(Failure::Busy);
                }
                self.exclusive = Some(holder);
            }
            Level::Reserved | Level::Exclusive => return Err(Failure::Busy),
        }
        Ok(())
    }

    /// Falls to `level`, which is `Shared` or `None`.
    pub(crate) fn lower(&mut self, holder: Holder, level: Level) {
        for slot in [&mut self.reserved, &mut self.pending, &mut self.exclusive] {
            if *slot == Some(holder) {
                *slot = None;
            }
        }
        if level == Level::None {
            self.shared.remove(&holder);
        }
    }

    /// Whether anybody means to write.
    pub(crate) const fn is_reserved(&self) -> bool {
        self.reserved.is_some() || self.pending.is_some() || self.exclusive.is_some()
    }

    fn level(&self, holder: Holder) -> Level {
        if self.exclusive == Some(holder) {
            Level::Exclusive
        } else if self.reserved == Some(holder) {
            Level::Reserved
        } else if self.shared.contains(&holder) {
            Level::Shared
        } else {
            Level::None
        }
    }
}

/// Slots of the index of a write-ahead log.
pub(crate) const SLOTS: usize = 8;

/// A piece of shared memory. It stays where it is for as long as somebody has it.
#[derive(Clone, Debug)]
pub(crate) struct Region(Arc<[AtomicU64]>);

impl Region {
    fn zeros(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(size_of::<u64>())).map(|_| AtomicU64::new(0)).collect())
    }

    /// Where it begins. Its words are atomics, so it may be written through this by who shares it.
    pub(crate) fn address(&self) -> *mut std::ffi::c_void {
        self.0.as_ptr().cast_mut().cast()
    }
}

/// The index of a write-ahead log: memory and locks.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    users: BTreeSet<Holder>,
    regions: Vec<Region>,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    shared: BTreeSet<Holder>,
    exclusive: Option<Holder>,
}

impl Shared {
    /// Region `number`, made if `extend`.
    pub(crate) fn map(
        &mut self,
        holder: Holder,
        number: usize,
        bytes: usize,
        extend: bool,
    ) -> Option<Region> {
        self.users.insert(holder);
        while extend && self.regions.len() <= number {
            self.regions.push(Region::zeros(bytes));
        }
        self.regions.get(number).cloned()
    }

    pub(crate) fn share(&mut self, holder: Holder, first: usize, count: usize) -> Result<(), Failure> {
        let slots = self.slots.iter_mut().skip(first).take(count);
        let mut slots: Vec<&mut Slot> = slots.collect();
        if slots.iter().any(|slot| slot.exclusive.is_some_and(|other| other != holder)) {
            return Err(Failure::Busy);
        }
        slots.iter_mut().for_each(|slot| {
            slot.shared.insert(holder);
        });
        Ok(())
    }

    pub(crate) fn seize(&mut self, holder: Holder, first: usize, count: usize) -> Result<(), Failure> {
        let slots = self.slots.iter_mut().skip(first).take(count);
        let mut slots: Vec<&mut Slot> = slots.collect();
        let taken = |slot: &Slot| {
            slot.exclusive.is_some_and(|other| other != holder)
                || slot.shared.iter().any(|other| *other != holder)
        };
        if slots.iter().any(|slot| taken(slot)) {
            return Err(Failure::Busy);
        }
        slots.iter_mut().for_each(|slot| slot.exclusive = Some(holder));
        Ok(())
    }

    pub(crate) fn release(&mut self, holder: Holder, first: usize, count: usize) {
        for slot in self.slots.iter_mut().skip(first).take(count) {
            slot.shared.remove(&holder);
            if slot.exclusive == Some(holder) {
                slot.exclusive = None;
            }
        }
    }

    /// The holder leaves; true if it was the last.
    pub(crate) fn leave(&mut self, holder: Holder) -> bool {
        self.release(holder, 0, SLOTS);
        self.users.remove(&holder);
        self.users.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Locks, Shared};
    use crate::fault::Failure::Busy;

    #[test]
    fn one_writes_when_all_others_have_left() {
        let mut locks = Locks::default();
        assert_eq!(locks.raise(1, Level::Shared), Ok(()));
        assert_eq!(locks.raise(2, Level::Shared), Ok(()));
        assert_eq!(locks.raise(1, Level::Reserved), Ok(()));
        assert_eq!(locks.raise(2, Level::Reserved), Err(Busy));
        assert_eq!(locks.raise(3, Level::Shared), Ok(()), "a reserved lock lets readers in");
        assert_eq!(locks.raise(1, Level::Exclusive), Err(Busy));
        assert_eq!(locks.raise(4, Level::Shared), Err(Busy), "a pending lock does not");
        assert_eq!(locks.raise(2, Level::Exclusive), Err(Busy));
        locks.lower(2, Level::None);
        locks.lower(3, Level::None);
        assert_eq!(locks.raise(1, Level::Exclusive), Ok(()));
        assert!(locks.is_reserved());
        locks.lower(1, Level::Shared);
        assert!(!locks.is_reserved());
        assert_eq!(locks.raise(4, Level::Shared), Ok(()));
    }

    #[test]
    fn a_slot_is_shared_or_one_holders() {
        let mut shared = Shared::default();
        for holder in [1, 2] {
            assert!(shared.map(holder, 0, 64, true).is_some());
        }
        assert!(shared.map(1, 1, 64, false).is_none());
        assert_eq!(shared.share(1, 3, 1), Ok(()));
        assert_eq!(shared.share(2, 3, 1), Ok(()));
        assert_eq!(shared.seize(2, 2, 3), Err(Busy), "one of the three is shared");
        assert_eq!(shared.share(1, 4, 1), Ok(()), "who got not all got none");
        shared.release(1, 3, 2);
        assert_eq!(shared.seize(2, 2, 3), Ok(()));
        assert_eq!(shared.share(1, 4, 1), Err(Busy));
        assert!(!shared.leave(2));
        assert_eq!(shared.share(1, 4, 1), Ok(()));
        assert!(shared.leave(1));
    }
}
