//! What one attempt has taken of its accounts' caps: given back if it was never sent, else corrected when its end is known.

use std::fmt;
use std::sync::{Arc, MutexGuard};

use domain::{Clock, Refusal};
use limits::Taken;

use super::{Account, State};

/// An attempt's place under the caps of its target's accounts. Dropped before the attempt is sent, it was never taken.
pub(crate) struct Seat {
    taken: Vec<TakenAt>,
    is_sent: bool,
    clock: Arc<dyn Clock>,
}

/// What was taken of one account.
struct TakenAt {
    account: Arc<Account>,
    requests: Taken,
    tokens: Taken,
    /// The day that it counts under, and how many tokens.
    day: u32,
    day_tokens: u64,
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("accounts", &self.taken.len()).field("is_sent", &self.is_sent).finish()
    }
}

impl Seat {
    /// Takes a request of so many tokens under all of these accounts' caps, or nothing under any.
    ///
    /// # Errors
    /// What the first account without room says.
    pub(crate) fn take(
        accounts: &[Arc<Account>],
        tokens: u64,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Box<Refusal>> {
        let (now_us, now) = (clock.monotonic_micros(), clock.now());
        // All are looked at before any is taken from. Their order is one everywhere, a provider's before its models', so two
        // calls never wait for each other.
        let mut states: Vec<(&Arc<Account>, MutexGuard<'_, State>)> =
            accounts.iter().map(|account| (account, account.state(now))).collect();
        for (account, state) in &mut states {
            account.check(state, now_us, tokens).map_err(|full| Box::new(account.refusal(&full, now)))?;
        }
        let taken = states.into_iter().map(|(account, mut state)| {
            state.told.take(tokens);
            state.day.requests = state.day.requests.saturating_add(1);
            state.day.tokens = state.day.tokens.saturating_add(tokens);
            state.day.is_new = true;
            TakenAt {
                account: Arc::clone(account),
                requests: state.requests.take(now_us, 1),
                tokens: state.tokens.take(now_us, tokens),
                day: state.day.number,
                day_tokens: tokens,
            }
        });
        Ok(Self { taken: taken.collect(), is_sent: false, clock: Arc::clone(clock) })
    }

    /// Whether it is one under these accounts.
    pub(crate) fn is_under(&self, accounts: &[Arc<Account>]) -> bool {
        let same = |(taken, account): (&TakenAt, &Arc<Account>)| Arc::ptr_eq(&taken.account, account);
        self.taken.len() == accounts.len() && self.taken.iter().zip(accounts).all(same)
    }

    /// The attempt is sent: from now on it counts, whatever becomes of it.
    pub(crate) const fn send(&mut self) {
        self.is_sent = true;
    }

    /// The attempt has ended, and used so many tokens.
    pub(crate) fn end(mut self, tokens: u64) {
        self.correct(1, tokens);
        self.is_sent = true;
    }

    fn correct(&mut self, requests: u64, tokens: u64) {
        let (now_us, now) = (self.clock.monotonic_micros(), self.clock.now());
        for taken in &mut self.taken {
            let mut state = taken.account.state(now);
            state.requests.correct(now_us, &mut taken.requests, requests);
            state.tokens.correct(now_us, &mut taken.tokens, tokens);
            // A call belongs to the day on which it was sent.
            if state.day.number == taken.day {
                let day = &mut state.day;
                day.requests = day.requests.saturating_sub(1).saturating_add(requests);
                day.tokens = day.tokens.saturating_sub(taken.day_tokens).saturating_add(tokens);
                day.is_new = true;
                taken.day_tokens = tokens;
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_sent {
            self.correct(0, 0);
        }
    }
}
