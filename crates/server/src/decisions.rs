//! Which decisions are recorded, and for how long they are kept.
//!
//! It knows how much of a flood is worth a disk's space. What a decision says it does not look at, and it must never
//! make a call wait: what cannot be recorded is dropped and counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, OrganizationId, Timestamp};
use gateway::{Decision, Recorder};
use limits::{Limit, Meter};
use store::{DecisionRecord, Decisions, Reader, StoreError};

/// Refusals of one organization that are recorded in a minute. Who is refused more often than this learns nothing from
/// the rest of them, and a client that loops without credit must not fill the disk.
const REFUSED_PER_MINUTE: u64 = 600;
/// The same for all callers whom nobody knows: anybody can send nonsense.
const UNKNOWN_PER_MINUTE: u64 = 60;
/// Records of unknown callers are kept for a day at most.
const UNKNOWN_DAYS: i64 = 1;
/// Chunks that one round forgets, and the pause after each, in which the writer is the ledger's.
const CHUNKS_AT_ONCE: u32 = 500;
const CHUNK_PAUSE: Duration = Duration::from_millis(10);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Which decisions are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Every one.
    All,
    /// Those that stopped a request.
    Refused,
    /// None.
    Nothing,
}

/// What is kept of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainSettings {
    /// Which are recorded.
    pub recorded: Recorded,
    /// For how many days.
    pub keep_days: i64,
}

/// Hands decisions to the store.
pub(crate) struct Keeper {
    decisions: Decisions,
    clock: Arc<dyn Clock>,
    recorded: Recorded,
    /// What was recorded of refusals lately, by organization.
    refused: Mutex<HashMap<Option<OrganizationId>, Meter>>,
    dropped: AtomicU64,
}

impl Keeper {
    pub(crate) fn new(decisions: Decisions, clock: Arc<dyn Clock>, settings: ExplainSettings) -> Self {
        let (refused, dropped) = (Mutex::default(), AtomicU64::new(0));
        Self { decisions, clock, recorded: settings.recorded, refused, dropped }
    }

    /// How many decisions that should have been recorded were not.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed).saturating_add(self.decisions.dropped())
    }

    /// Whether one more refusal of this caller is recorded. Calls that are admitted do not come here, so that they share
    /// no lock.
    fn has_room(&self, organization: Option<OrganizationId>) -> bool {
        let most = if organization.is_some() { REFUSED_PER_MINUTE } else { UNKNOWN_PER_MINUTE };
        let limit = Limit::per_minute(most);
        let now = self.clock.monotonic_micros();
        // A meter is whole whatever happened to its last user.
        let mut meters = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters.entry(organization).or_insert_with(|| Meter::new(limit));
        let fits = meter.check(now, 1).is_ok();
        if fits {
            // It is never given back.
            let _ = meter.take(now, 1);
        }
        fits
    }
}

impl Recorder for Keeper {
    fn record(&self, decision: Decision) {
        match (self.recorded, decision.refused) {
            (Recorded::Nothing, _) | (Recorded::Refused, false) => return,
            (Recorded::All, false) => {}
            (Recorded::All | Recorded::Refused, true) => {
                if !self.has_room(decision.organization) {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        let Decision { request, at, organization, body, .. } = decision;
        self.decisions.keep(DecisionRecord { organization, request, at, body });
    }
}

/// Forgets old decisions.
pub(crate) struct Forgetter {
    pub(crate) decisions: Decisions,
    pub(crate) reader: Arc<Reader>,
    pub(crate) keep_days: i64,
}

impl Forgetter {
    /// Forgets what is old, a chunk at a time. What one round does not get done the next one does.
    pub(crate) async fn round(&self, now: Timestamp) -> Result<(), StoreError> {
        let days_ago = |days: i64| now.plus_seconds(days.saturating_mul(DAY_SECONDS).saturating_neg());
        let (before, before_unknown) = (days_ago(self.keep_days), days_ago(self.keep_days.min(UNKNOWN_DAYS)));
        let mut chunks = 0;
        // The later moment finds whoever has anything; the others' chunk is then empty.
        for owner in self.reader.decisions_before(before_unknown)? {
            let before = if owner.is_some() { before } else { before_unknown };
            while chunks < CHUNKS_AT_ONCE && self.decisions.forget(owner, before).await? > 0 {
                chunks += 1;
                tokio::time::sleep(CHUNK_PAUSE).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::{Ids, RequestId};
    use store::{Durability, Store};

    use super::*;
    use crate::clock::{SystemClock, SystemIds};

    fn decision(organization: Option<OrganizationId>, refused: bool) -> Decision {
        let request = RequestId::fresh(&SystemIds);
        Decision { request, at: Timestamp::default(), organization, refused, body: "{}".to_owned() }
    }

    fn store() -> (Store, tempfile::TempDir, Arc<dyn Clock>) {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let store = Store::open(folder.path(), Durability::Process, Arc::clone(&clock)).unwrap();
        (store, folder, clock)
    }

    #[test]
    fn floods_of_refusals_are_bounded_by_who_is_refused() {
        let (store, _folder, clock) = store();
        let settings = ExplainSettings { recorded: Recorded::All, keep_days: 30 };
        let keeper = Keeper::new(store.decisions(), clock, settings);
        let organization = Some(OrganizationId::from_bytes(SystemIds.uuid()));
        for _ in 0..REFUSED_PER_MINUTE + 7 {
            keeper.record(decision(organization, true));
        }
        for _ in 0..UNKNOWN_PER_MINUTE + 5 {
            keeper.record(decision(None, true));
        }
        for _ in 0..REFUSED_PER_MINUTE + 7 {
            keeper.record(decision(organization, false));
        }
        assert_eq!(keeper.dropped(), 12);
    }

    #[test]
    fn only_what_is_wanted_is_recorded() {
        for (recorded, admitted, refused) in
            [(Recorded::All, true, true), (Recorded::Refused, false, true), (Recorded::Nothing, false, false)]
        {
            let (store, folder, clock) = store();
            let keeper = Keeper::new(
                store.decisions(),
                Arc::clone(&clock),
                ExplainSettings { recorded, keep_days: 1 },
            );
            let cases = [(decision(None, false), admitted), (decision(None, true), refused)];
            for (decision, _) in &cases {
                keeper.record(decision.clone());
            }
            assert_eq!(keeper.dropped(), 0);
            drop((keeper, store));
            let store = Store::open(folder.path(), Durability::Process, clock).unwrap();
            for (decision, kept) in cases {
                let found = store.reader().decision(decision.request).unwrap();
                assert_eq!(found.is_some(), kept, "{recorded:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_old_is_forgotten_and_strangers_first() {
        let (store, _folder, clock) = store();
        let (decisions, reader) = (store.decisions(), store.reader());
        let record = |n: u8| DecisionRecord {
            organization: None,
            // Of the first moments of 1970, on a system clock of today.
            request: RequestId::from_bytes([0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            at: Timestamp::default(),
            body: String::new(),
        };
        for n in 0..60 {
            decisions.keep(record(n));
        }
        decisions.catch_up().await;
        assert!(reader.decision(record(59).request).unwrap().is_some());
        let forgetter = Forgetter { decisions, reader: Arc::clone(&reader), keep_days: 30 };
        forgetter.round(Timestamp::default().plus_seconds(DAY_SECONDS)).await.unwrap();
        assert!(reader.decision(record(59).request).unwrap().is_some(), "a day has not passed");
        forgetter.round(clock.now()).await.unwrap();
        assert_eq!(reader.decisions_before(Timestamp::MAX).unwrap(), []);
    }
}
