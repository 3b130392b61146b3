//! The sweeper: does what falls due by time alone. Credit expires, its owner is warned before, holds that nobody ends
//! are ended; what the books tell becomes lines of the log and counts; and old decisions are forgotten.
//!
//! It knows when to look; what is due and what becomes of it the ledger decides.

use std::sync::Arc;
use std::time::Duration;

use domain::{Clock, OrganizationId, Timestamp};
use ledger::{Command, Event, EventKind, LedgerStore, Reply};
use store::{Reader, StoreError};
use tokio::sync::watch;

use crate::decisions::Forgetter;

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
    /// The least by which the wall clock was seen ahead of the one that never steps, in microseconds.
    lead: i64,
    /// The number of the last event that was told of.
    told: i64,
    tell: Told,
    forgetter: Option<Forgetter>,
}

impl Sweeper {
    /// A sweeper that tells of the events after number `told`. No hold may be older than it.
    pub(crate) fn new(
        reader: Arc<Reader>,
        ledger: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
        settings: SweepSettings,
        told: i64,
        tell: Told,
    ) -> Self {
        let lead = lead_of(clock.now(), clock.monotonic_micros());
        Self { reader, ledger, clock, settings, lead, told, tell, forgetter: None }
    }

    /// One that forgets old decisions, too.
    pub(crate) fn forgetting(self, forgetter: Forgetter) -> Self {
        Self { forgetter: Some(forgetter), ..self }
    }

    /// Sweeps at once, since much may have fallen due while nothing ran, and then at every interval until the end.
    /// Whoever leaves events should have ended before: what is on the books then is told of still.
    pub(crate) async fn run(mut self, mut ending: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.round().await {
                // The next round comes anyway, and what is due stays due.
                tracing::warn!(%error, "what has fallen due could not be looked up");
            }
            tokio::select! {
                () = tokio::time::sleep(self.settings.every) => {}
                _ = ending.changed() => break,
            }
        }
        if let Err(error) = self.tell_events() {
            tracing::warn!(%error, "the last events could not be looked up");
        }
    }

    /// One look: sweeps each organization for which something is due once, and never again before the next look, since
    /// what the sweep left (grace, a hold that cannot be settled) stays due.
    async fn round(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let warn_until = now.plus_seconds(self.settings.warn_seconds);
        let stale_before = self.stale_before(now);
        for organization in self.reader.due(now, warn_until, stale_before)? {
            self.sweep(organization, stale_before).await;
        }
        self.tell_events()?;
        if let Some(forgetter) = &self.forgetter {
            forgetter.round(now).await?;
        }
        Ok(())
    }

    /// The moment before which a hold was admitted that is too old now.
    ///
    /// Holds carry the time that the wall clock showed, which may have jumped ahead since: by it, all of them would be
    /// old at once. By the clock that never steps and the least lead that the wall clock had since the start, and so
    /// since any of them was admitted, none is older than it is. The price: where the wall clock stays ahead, a hold
    /// that nobody ends waits for longer, by as much, until the next start settles it.
    fn stale_before(&mut self, now: Timestamp) -> Timestamp {
        let micros = self.clock.monotonic_micros();
        self.lead = self.lead.min(lead_of(now, micros));
        let steady = Timestamp::from_micros(self.lead).plus_micros(signed(micros));
        steady.plus_seconds(self.settings.hold_seconds.saturating_neg())
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

/// How far the wall clock is ahead of the one that never steps, in microseconds.
fn lead_of(now: Timestamp, micros: u64) -> i64 {
    now.micros().saturating_sub(signed(micros))
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// The word for an event, which is also the one in its JSON.
pub(crate) const fn name_of(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::BudgetThreshold { .. } => "budget_threshold",
        EventKind::CreditExpiring { .. } => "credit_expiring",
        EventKind::WentIntoDebt { .. } => "went_into_debt",
        EventKind::HoldTimedOut { .. } => "hold_timed_out",
        EventKind::TierReached { .. } => "tier_reached",
        EventKind::Payment { .. } => "payment",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use domain::{Ids, KeyId, LotId, Money, ProjectId, RequestId, Usage, WalletId};
    use ledger::{Act, AttemptStatus, Attribution, Booking, CostRow, Grant, HoldRequest, LotKind, Note};
    use store::{Durability, Store};

    use super::*;
    use crate::clock::SystemIds;

    const DAY: i64 = 24 * 60 * 60;
    const SETTINGS: SweepSettings =
        SweepSettings { every: Duration::from_secs(1), warn_seconds: 2 * DAY, hold_seconds: 60 };

    /// A clock that shows what it is told to.
    struct SetClock {
        wall: AtomicI64,
        monotonic: AtomicU64,
    }

    impl SetClock {
        /// Lets so many days pass.
        fn pass(&self, days: u64) {
            self.jump(i64::try_from(days).unwrap());
            self.monotonic.fetch_add(days * DAY.unsigned_abs() * 1_000_000, Ordering::Relaxed);
        }

        /// Sets the wall clock ahead or back by so many days.
        fn jump(&self, days: i64) {
            self.wall.fetch_add(days * DAY * 1_000_000, Ordering::Relaxed);
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.wall.load(Ordering::Relaxed))
        }

        fn monotonic_micros(&self) -> u64 {
            self.monotonic.load(Ordering::Relaxed)
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
        let clock =
            Arc::new(SetClock { wall: AtomicI64::new(DAY * 1_000_000), monotonic: AtomicU64::new(1) });
        let store =
            Store::open(folder.path(), Durability::Process, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = hearing(&told);
        let shown = Arc::clone(&clock) as Arc<dyn Clock>;
        let asked = Arc::new(Counted(store.ledger(), AtomicI64::new(0)));
        let ledger = Arc::clone(&asked) as Arc<dyn LedgerStore>;
        let sweeper = Sweeper::new(store.reader(), ledger, shown, SETTINGS, 0, tell);
        let organization = OrganizationId::fresh(&SystemIds);
        let wallet = WalletId::fresh(&SystemIds);
        store.ledger().submit(Command::Open { organization, wallet }).await.unwrap();
        House { store, clock, asked, sweeper, told, organization, _folder: folder }
    }

    fn hearing(told: &Arc<Mutex<Vec<&'static str>>>) -> Told {
        let told = Arc::clone(told);
        Box::new(move |event| told.lock().unwrap().push(name_of(&event.kind)))
    }

    impl House {
        /// The sweeper after a start, when the events up to this number have been told.
        fn started_anew(&self, told: i64) -> Sweeper {
            let (reader, ledger) = (self.store.reader(), self.store.ledger());
            let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
            Sweeper::new(reader, ledger, clock, SETTINGS, told, hearing(&self.told))
        }

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
                service_tier: domain::ServiceTier::Standard,
                class: domain::AccessClass::Direct,
                list_pico: None,
                cover: None,
                usage: Usage::default(),
                cost_pico: 2_000,
                cost: Money::from_nano(2),
                reported_pico: None,
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
                ceiling: Vec::new(),
                grants_only: false,
                draft: Box::new(draft),
            };
            self.store.ledger().submit(Command::Hold(hold)).await.unwrap();
        }

        /// One round so many days later: how many commands it took, and what was told.
        async fn round_after(&mut self, days: u64) -> (i64, Vec<&'static str>) {
            self.clock.pass(days);
            self.asked.1.store(0, Ordering::Relaxed);
            self.sweeper.round().await.unwrap();
            (self.asked.1.load(Ordering::Relaxed), self.heard())
        }

        /// What was told since the last time.
        fn heard(&self) -> Vec<&'static str> {
            std::mem::take(&mut *self.told.lock().unwrap())
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
        let (told, _) = house.store.reader().events_after(0, 10).unwrap().pop().unwrap();
        house.sweeper = house.started_anew(told);
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

    #[tokio::test]
    async fn a_clock_that_jumps_ends_no_hold() {
        // By how many days the clock is off while the call begins, and by how many afterwards.
        for (before, after) in [(0, 1), (-1, 0), (1, 2)] {
            let mut house = house().await;
            house.grant(100).await;
            house.clock.jump(before);
            assert_eq!(house.round_after(0).await, (0, vec![]), "{before} {after}: there is nothing");
            house.hold().await;
            house.clock.jump(after - before);
            assert_eq!(house.round_after(0).await, (0, vec![]), "{before} {after}: it is young");
            assert_eq!(
                house.round_after(3).await,
                (1, vec!["hold_timed_out"]),
                "{before} {after}: it is old"
            );
        }
    }

    #[tokio::test]
    async fn what_comes_after_the_last_round_is_told_at_the_end() {
        let house = house().await;
        let (end, ending) = watch::channel(false);
        let after_the_first_round = async {
            house.grant(1).await;
            let (organization, warn_seconds) = (house.organization, SETTINGS.warn_seconds);
            let sweep = Command::Sweep { organization, warn_seconds, stale_before: Timestamp::default() };
            house.store.ledger().submit(sweep).await.unwrap();
            end.send(true).unwrap();
        };
        tokio::join!(house.started_anew(0).run(ending), after_the_first_round);
        assert_eq!(house.heard(), ["credit_expiring"]);
    }
}
