//! Where jobs wait for the writer. It knows how many wait and how many the writer wants, so that under load one wake-up
//! serves a whole batch. It knows nothing of what a job is.
//!
//! Beside the jobs it keeps asides: items that go with the next jobs, or, when none come for a while, by themselves.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long asides wait for jobs to go with, and how long the taker stays awake after the last job, so that whoever puts
/// an aside in during a call need not wake it.
const LINGER: Duration = Duration::from_millis(50);

pub(crate) struct Inbox<T, A> {
    state: Mutex<State<T, A>>,
    enough: Condvar,
}

struct State<T, A> {
    items: VecDeque<T>,
    asides: VecDeque<A>,
    /// The taker sleeps until somebody wakes it.
    asleep: bool,
    /// With how many the taker is to be woken; 0 while it does not wait.
    wanted: usize,
    closed: bool,
}

/// Why an item was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// So many wait already.
    Full,
    /// Nobody takes anything any more.
    Closed,
}

impl<T, A> Inbox<T, A> {
    pub(crate) const fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            asides: VecDeque::new(),
            asleep: false,
            wanted: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), enough: Condvar::new() }
    }

    /// Puts an item in, unless `most` wait already.
    pub(crate) fn put(&self, item: T, most: usize) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.items.len() >= most {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        let enough = state.items.len() == state.wanted;
        drop(state);
        if enough {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Puts an aside in, unless `most` wait already.
    pub(crate) fn put_aside(&self, aside: A, most: usize) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.asides.len() >= most {
            return Err(Refused::Full);
        }
        state.asides.push_back(aside);
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.enough.notify_one();
        }
        Ok(())
    }

    /// Takes asides out, the oldest first, so many at most.
    pub(crate) fn take_asides(&self, most: usize) -> Vec<A> {
        let mut state = self.lock();
        let count = state.asides.len().min(most);
        state.asides.drain(..count).collect()
    }

    /// Waits until `wanted` items are there, but no longer than `patience`, and in any case for the first, or until
    /// asides have waited for long enough.
    pub(crate) fn wait(&self, wanted: usize, patience: Duration) {
        let mut state = self.lock();
        if wanted > 1 && state.items.len() < wanted {
            state.wanted = wanted;
            let few = |state: &mut State<T, A>| state.items.len() < wanted;
            let waited = self.enough.wait_timeout_while(state, patience, few);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.wanted = 1;
        let none = |state: &mut State<T, A>| state.items.is_empty();
        loop {
            let lingered = self.enough.wait_timeout_while(state, LINGER, none);
            state = lingered.unwrap_or_else(PoisonError::into_inner).0;
            if !state.items.is_empty() || !state.asides.is_empty() {
                break;
            }
            state.asleep = true;
            let idle = |state: &mut State<T, A>| state.items.is_empty() && state.asides.is_empty();
            state = self.enough.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
        state.wanted = 0;
    }

    /// Moves all that wait behind what `taken` has.
    pub(crate) fn take(&self, taken: &mut VecDeque<T>) {
        let mut state = self.lock();
        if taken.is_empty() {
            std::mem::swap(&mut state.items, taken);
        } else {
            taken.append(&mut state.items);
        }
    }

    /// Takes nothing in from now on, and drops what waits.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.items), std::mem::take(&mut state.asides));
        drop(state);
        // Outside the lock: dropping a job answers it.
        drop(dropped);
    }

    /// A panic under this lock leaves the list whole: nothing in it can fail halfway.
    fn lock(&self) -> MutexGuard<'_, State<T, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn items_come_out_in_order_and_at_once() {
        let inbox = Inbox::<_, ()>::new();
        let mut taken = VecDeque::new();
        assert_eq!([inbox.put(1, 2), inbox.put(2, 2)], [Ok(()), Ok(())]);
        assert_eq!(inbox.put(3, 2), Err(Refused::Full));
        inbox.wait(1, LONG);
        inbox.wait(2, LONG);
        inbox.take(&mut taken);
        assert_eq!(inbox.put(4, 1), Ok(()));
        inbox.take(&mut taken);
        assert_eq!(taken, [1, 2, 4]);
    }

    #[test]
    fn patience_ends_but_not_before_the_first() {
        let inbox = Arc::new(Inbox::<_, ()>::new());
        inbox.put(1, 9).unwrap();
        inbox.wait(5, Duration::from_millis(1));
        let mut taken = VecDeque::new();
        inbox.take(&mut taken);
        let putting = Arc::clone(&inbox);
        let putter = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            putting.put(2, 9)
        });
        inbox.wait(5, Duration::from_millis(1));
        inbox.take(&mut taken);
        assert_eq!(taken, [1, 2]);
        assert_eq!(putter.join().unwrap(), Ok(()));
    }

    #[test]
    fn the_last_one_wanted_wakes() {
        let inbox = Arc::new(Inbox::<_, ()>::new());
        let putting = Arc::clone(&inbox);
        let putter = std::thread::spawn(move || (0..300).try_for_each(|item| putting.put(item, 1_000)));
        inbox.wait(300, LONG);
        let mut taken = VecDeque::new();
        inbox.take(&mut taken);
        assert_eq!(taken, (0..300).collect::<VecDeque<_>>());
        assert_eq!(putter.join().unwrap(), Ok(()));
    }

    #[test]
    fn asides_go_with_the_next_items_or_by_themselves_after_a_while() {
        let inbox = Arc::new(Inbox::<u8, u8>::new());
        let mut taken = VecDeque::new();
        inbox.put(1, 9).unwrap();
        assert_eq!([inbox.put_aside(7, 2), inbox.put_aside(8, 2)], [Ok(()), Ok(())]);
        assert_eq!(inbox.put_aside(9, 2), Err(Refused::Full));
        inbox.wait(1, LONG);
        inbox.take(&mut taken);
        assert_eq!(
            (taken.pop_front(), inbox.take_asides(1), inbox.take_asides(9)),
            (Some(1), vec![7], vec![8])
        );
        let putting = Arc::clone(&inbox);
        let putter = std::thread::spawn(move || {
            // Longer than the taker stays awake by itself.
            std::thread::sleep(LINGER * 2);
            putting.put_aside(5, 9)
        });
        inbox.wait(1, LONG);
        assert_eq!((putter.join().unwrap(), inbox.take_asides(9)), (Ok(()), vec![5]));
        inbox.close();
        assert_eq!(inbox.put_aside(5, 9), Err(Refused::Closed));
    }

    #[test]
    fn a_closed_one_drops_what_waits_and_refuses() {
        let inbox = Inbox::<_, ()>::new();
        let item = Arc::new(());
        inbox.put(Arc::clone(&item), 9).unwrap();
        inbox.close();
        assert_eq!(Arc::strong_count(&item), 1);
        assert_eq!(inbox.put(item, 9), Err(Refused::Closed));
    }
}
