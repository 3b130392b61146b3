//! The sweeper: does what falls due by time alone. Credit expires, its owner is warned before, holds that nobody ends
//! are ended; and what the books tell becomes lines of the log and counts.
//!
//! It knows when to look; what is due and what becomes of it the ledger decides.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, OrganizationId, Timestamp};
use ledger::{Command, Event, EventKind, LedgerStore, Reply};
use store::{Reader, StoreError};
use tokio::sync::watch;

/// Events that one round reads at a time.
const EVENTS_AT_ONCE: u32 = 1_000;

/// How often, and from when on, something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepSettings {
    /// Between two looks.
    pub every: Duration,
    /// Credit that expires within this many seconds is warned of.
    pub warn_seconds: i64,
    /// Holds older than this many seconds are settled at their last checkpoint.
    pub hold_seconds: i64,
}

/// Who hears of each new event.
pub(crate) type Told = Box<dyn Fn(&Event) + Send>;

/// Looks for what is due, and has it done.
pub(crate) struct Sweeper {
    reader: Arc<Reader>,
    ledger: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
    settings: SweepSettings,
    /// The number of the last event that was told of.
    told: i64,
    tell: Told,
}

impl Sweeper {
    /// A sweeper that tells of the events after the newest there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn new(
        reader: Arc<Reader>,
        ledger: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
        settings: SweepSettings,
        tell: Told,
    ) -> Result<Self, StoreError> {
        let told = reader.last_event()?;
        Ok(Self { reader, ledger, clock, settings, told, tell })
    }

    /// Sweeps at once, since much may have fallen due while nothing ran, and then at every interval until the end.
    pub(crate) async fn run(mut self, mut ending: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.round().await {
                // The next round comes anyway, and what is due stays due.
                tracing::warn!(%error, "what has fallen due could not be looked up");
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.every) => {}
                _ = ending.changed() => return,
            }
        }
    }

    /// One look: sweeps each organization for which something is due once, and never again before the next look, since
    /// what the sweep left (grace, a hold that cannot be settled) stays due.
    async fn round(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let warn_until = now.plus_seconds(self.settings.warn_seconds);
        let stale_before = now.plus_seconds(self.settings.hold_seconds.saturating_neg());
        for organization in self.reader.due(now, warn_until, stale_before)? {
            self.sweep(organization, stale_before).await;
        }
        self.tell_events()
    }

    async fn sweep(&self, organization: OrganizationId, stale_before: Timestamp) {
        let warn_seconds = self.settings.warn_seconds;
        match self.ledger.submit(Command::Sweep { organization, warn_seconds, stale_before }).await {
            Ok(Reply::Swept(0)) => {}
            Ok(Reply::Swept(holds)) => {
                tracing::warn!(%organization, holds, "ended holds that nobody had ended");
            }
            Ok(_) => tracing::error!(%organization, "another command was answered"),
            Err(error) => tracing::warn!(%organization, %error, "what has fallen due was not done"),
        }
    }

    fn tell_events(&mut self) -> Result<(), StoreError> {
        loop {
            let events = self.reader.events_after(self.told, EVENTS_AT_ONCE)?;
            let Some((newest, _)) = events.last() else { return Ok(()) };
            self.told = *newest;
            for (_, event) in &events {
                (self.tell)(event);
            }
        }
    }
}

/// The word for an event, which is also the one in its JSON.
pub(crate) const fn name_of(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::BudgetThreshold { .. } => "budget_threshold",
        EventKind::CreditExpiring { .. } => "credit_expiring",
        EventKind::WentIntoDebt { .. } => "went_into_debt",
        EventKind::HoldTimedOut { .. } => "hold_timed_out",
        EventKind::Payment { .. } => "payment",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, Ordering};

    use domain::{Ids, KeyId, LotId, Money, ProjectId, RequestId, Usage, WalletId};
    use ledger::{Act, AttemptStatus, Attribution, Booking, CostRow, Grant, HoldRequest, LotKind, Note};
    use store::{Durability, Store};

    use super::*;
    use crate::clock::SystemIds;

    const DAY: i64 = 24 * 60 * 60;
    const SETTINGS: SweepSettings =
        SweepSettings { every: Duration::from_secs(1), warn_seconds: 2 * DAY, hold_seconds: 60 };

    /// A clock that shows what it is told to.
    struct SetClock(AtomicI64);

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }

        fn monotonic_micros(&self) -> u64 {
            1
        }
    }

    /// A ledger that counts what it is asked.
    struct Counted(Arc<dyn LedgerStore>, AtomicI64);

    impl LedgerStore for Counted {
        fn submit(&self, command: Command) -> ledger::Ticket {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.submit(command)
        }
    }

    struct House {
        store: Store,
        clock: Arc<SetClock>,
        asked: Arc<Counted>,
        sweeper: Sweeper,
        told: Arc<Mutex<Vec<&'static str>>>,
        organization: OrganizationId,
        _folder: tempfile::TempDir,
    }

    async fn house() -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(DAY * 1_000_000)));
        let store =
            Store::open(folder.path(), Durability::Process, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let tell: Told = Box::new(move |event| heard.lock().unwrap().push(name_of(&event.kind)));
        let shown = Arc::clone(&clock) as Arc<dyn Clock>;
        let asked = Arc::new(Counted(store.ledger(), AtomicI64::new(0)));
        let ledger = Arc::clone(&asked) as Arc<dyn LedgerStore>;
        let sweeper = Sweeper::new(store.reader(), ledger, shown, SETTINGS, tell).unwrap();
        let organization = OrganizationId::fresh(&SystemIds);
        let wallet = WalletId::fresh(&SystemIds);
        store.ledger().submit(Command::Open { organization, wallet }).await.unwrap();
        House { store, clock, asked, sweeper, told, organization, _folder: folder }
    }

    impl House {
        /// Gives credit that lasts so many days.
        async fn grant(&self, days: i64) {
            let grant = Grant {
                wallet: None,
                lot: LotId::from_bytes(SystemIds.uuid()),
                kind: LotKind::Prepaid,
                amount: Money::from_nano(5),
                expires_at: self.clock.now().plus_seconds(days * DAY),
            };
            let note = Note { actor: "test".into(), reason: None };
            let organization = self.organization;
            let booking = Booking { organization, idempotency: None, note, act: Act::Grant(grant) };
            self.store.ledger().submit(Command::Book(Box::new(booking))).await.unwrap();
        }

        /// Holds 4 for a call that has cost 2 so far.
        async fn hold(&self) {
            let request = RequestId::from_bytes(SystemIds.uuid());
            let text = Arc::<str>::from("x");
            let draft = CostRow {
                organization: self.organization,
                request,
                attempt: 1,
                at: self.clock.now(),
                project: ProjectId::fresh(&SystemIds),
                key: KeyId::fresh(&SystemIds),
                environment: Arc::clone(&text),
                model: Arc::clone(&text),
                target: Arc::clone(&text),
                provider: Arc::clone(&text),
                model_answered: None,
                price_version: Arc::clone(&text),
                usage: Usage::default(),
                cost_pico: 2_000,
                cost: Money::from_nano(2),
                status: AttemptStatus::Failed,
                reason: text,
                estimated: true,
                http_status: 0,
                streamed: false,
                duration_us: 0,
                held: Money::ZERO,
                attribution: Attribution::default(),
            };
            let (organization, amount) = (self.organization, Money::from_nano(4));
            let hold = HoldRequest {
                organization,
                request,
                amount,
                least: amount,
                tokens: 0,
                draft: Box::new(draft),
            };
            self.store.ledger().submit(Command::Hold(hold)).await.unwrap();
        }

        /// One round so many days later: how many commands it took, and what was told.
        async fn round_after(&mut self, days: i64) -> (i64, Vec<&'static str>) {
            self.clock.0.fetch_add(days * DAY * 1_000_000, Ordering::Relaxed);
            self.asked.1.store(0, Ordering::Relaxed);
            self.sweeper.round().await.unwrap();
            (self.asked.1.load(Ordering::Relaxed), std::mem::take(&mut *self.told.lock().unwrap()))
        }

        fn balance(&self) -> i64 {
            let balance = self.store.reader().balance(self.organization, Timestamp::default());
            balance.unwrap().unwrap().net.nano()
        }
    }

    #[tokio::test]
    async fn credit_is_warned_of_once_and_expires_without_any_other_command() {
        let mut house = house().await;
        house.grant(5).await;
        assert_eq!(house.round_after(0).await, (0, vec![]), "nothing is due");
        assert_eq!(house.round_after(3).await, (1, vec!["credit_expiring"]));
        assert_eq!(house.round_after(0).await, (0, vec![]), "what was warned of is not due again");
        assert_eq!(house.balance(), 5);
        assert_eq!(house.round_after(2).await, (1, vec![]));
        assert_eq!(house.balance(), 0);
        assert_eq!(house.round_after(0).await, (0, vec![]));
    }

    #[tokio::test]
    async fn what_was_told_before_the_start_is_not_told_again() {
        let mut house = house().await;
        house.grant(1).await;
        assert_eq!(house.round_after(0).await.1, ["credit_expiring"]);
        let (reader, ledger) = (house.store.reader(), house.store.ledger());
        let heard = Arc::clone(&house.told);
        let tell: Told = Box::new(move |event| heard.lock().unwrap().push(name_of(&event.kind)));
        let clock = Arc::clone(&house.clock) as Arc<dyn Clock>;
        house.sweeper = Sweeper::new(reader, ledger, clock, SETTINGS, tell).unwrap();
        assert_eq!(house.round_after(0).await.1, Vec::<&str>::new());
    }

    #[tokio::test]
    async fn a_hold_that_nobody_ends_is_ended_in_time() {
        let mut house = house().await;
        house.grant(100).await;
        house.hold().await;
        assert_eq!(house.round_after(0).await, (0, vec![]), "it is young");
        assert_eq!(house.round_after(1).await, (1, vec!["hold_timed_out"]));
        assert_eq!(house.balance(), 3);
        assert_eq!(house.round_after(0).await, (0, vec![]));
    }
}
