//! The housekeeper: what the gateway does by itself beside the books. Organizations are promoted to the usage tiers they
//! have reached, their monthly ceilings are kept as budgets; what was used of a day's rate limits and when keys were last
//! used is written down.
//!
//! It knows when to look; which tier figures lead to the table of tiers says, and what money may be spent the ledger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use directory::{Actor, ActorKind, Mandate, Organization, OrganizationChanges};
use domain::{Money, OrganizationId, Timestamp, Zone};
use gateway::{DayOfAccount, Shared, ceiling_id, day_of};
use ledger::{Act, Booking, Budget, Caps, Command, LedgerError, Note, Period, Subject};
use limits::Bucket;
use store::{DayCount, Store, StoreError};
use tokio::sync::watch;

use crate::admin::Admin;
use crate::published::PublishedFile;
use crate::secrets::{ANOTHER_OPERATOR_KEY, OPERATOR_PUBLISHED};

/// Between two looks: so much of a day's counts is lost at most when the gateway dies.
const EVERY: Duration = Duration::from_secs(1);
/// Every so many looks the organizations are looked at, too.
const ORGANIZATIONS_EVERY: u64 = 5;
/// Every so many looks the keys are walked through for those that were used: a tenth of a second for a million.
const USES_EVERY: u64 = 30;
/// Every so many looks the list of published keys is read again if its file has changed.
const PUBLISHED_EVERY: u64 = 5;
/// Every so many looks what no longer counts is forgotten.
const FORGET_EVERY: u64 = 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// The name under which the gateway books what it does by itself.
const ACTOR: &str = "gateway";

/// Looks after everything that nobody asks for.
pub(crate) struct Housekeeper {
    admin: Arc<Admin>,
    shared: Arc<Shared>,
    store: Arc<Store>,
    /// Counts of a day that could not be stored yet.
    unsaved: Vec<DayCount>,
    /// The ceilings as they stand on the books, as far as they were looked at.
    ceilings: HashMap<OrganizationId, Option<Money>>,
    /// Uses of keys up to this moment are written down.
    uses_until: Timestamp,
    /// The operator's list of keys that anybody may hold.
    published: Option<Arc<Mutex<PublishedFile>>>,
}

/// Why a round was cut short. The next one comes anyway.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] directory::ChangeError),
    #[error(transparent)]
    Uses(#[from] directory::StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Housekeeper {
    pub(crate) fn new(
        admin: Arc<Admin>,
        shared: Arc<Shared>,
        store: Arc<Store>,
        published: Option<Arc<Mutex<PublishedFile>>>,
    ) -> Self {
        let uses_until = admin.clock.now();
        Self { admin, shared, store, unsaved: Vec::new(), ceilings: HashMap::new(), uses_until, published }
    }

    /// Looks at every interval until the end, and once more then: whoever uses limits should have ended before. A look
    /// that ends in a panic is one look less: the next begins with what is stored.
    pub(crate) async fn run(mut self, mut ending: watch::Receiver<bool>) {
        let parts = (
            Arc::clone(&self.admin),
            Arc::clone(&self.shared),
            Arc::clone(&self.store),
            self.published.clone(),
        );
        for number in 0_u64.. {
            let last = *ending.borrow();
            // The last look leaves nothing for the next.
            let number = if last { 0 } else { number };
            // A look blocks on the store, which no runtime's thread may do.
            let look = tokio::task::spawn_blocking(move || {
                if let Err(error) = self.look(number) {
                    tracing::warn!(%error, "the gateway could not look after its house");
                }
                self
            });
            match look.await {
                Ok(housekeeper) => self = housekeeper,
                Err(error) => {
                    tracing::error!(%error, "a look after the house ended in a panic");
                    let (admin, shared, store, published) = parts.clone();
                    self = Self::new(admin, shared, store, published);
                }
            }
            if last {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = ending.changed() => {}
            }
        }
    }

    fn look(&mut self, number: u64) -> Result<(), Fault> {
        self.write_counts()?;
        if number.is_multiple_of(USES_EVERY) {
            self.write_uses()?;
        }
        if number.is_multiple_of(PUBLISHED_EVERY) {
            self.reread_published();
        }
        if number.is_multiple_of(FORGET_EVERY) {
            let day = day_of(self.admin.clock.now());
            self.shared.rates.limiter.forget(self.admin.clock.monotonic_micros(), day);
        }
        if number.is_multiple_of(ORGANIZATIONS_EVERY) { self.look_at_organizations() } else { Ok(()) }
    }

    /// Counts what was used of today's limits before this start, and what organizations have bought.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn restore(&self) -> Result<(), StoreError> {
        self.note_purchased()?;
        let now = self.admin.clock.now();
        for account in self.shared.routes.accounts() {
            for count in self.admin.reader.day_counts(account.day_number(now))? {
                if let Ok(measure) = count.measure.parse() {
                    let DayCount { day, bucket, used, .. } = count;
                    account.restore(now, &DayOfAccount { day, bucket, measure, used });
                }
            }
        }
        let day = day_of(now);
        for count in self.admin.reader.day_counts(day)? {
            // A word that is none of ours is left by a newer program.
            if let Ok(measure) = count.measure.parse() {
                self.shared.rates.limiter.restore(day, Bucket::from_bytes(count.bucket), measure, count.used);
            }
        }
        Ok(())
    }

    /// Takes a changed list of published keys. One with mistakes in it is told of, and changes nothing.
    fn reread_published(&self) {
        let Some(published) = &self.published else { return };
        // What a thread that panicked left here is whole.
        let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = match published.reread() {
            Ok(None) => return,
            Ok(Some(keys)) => keys.clone(),
            Err(mistakes) => {
                let mistakes = mistakes.join("; ");
                tracing::error!(
                    mistakes,
                    "the changed list of published keys cannot be read; the last one stands"
                );
                return;
            }
        };
        tracing::info!(keys = keys.len(), "the list of published keys has changed");
        self.shared.directory.replace_published(keys.clone());
        self.admin.keyring.drop_published(&self.admin.directory);
        // What is on it no more.
        self.admin.keyring.open_all(&self.admin.directory);
        for (provider, is_published) in self.shared.operator_keys.note_published(&keys) {
            if is_published {
                tracing::error!(
                    %provider,
                    "the gateway's own key at this provider is known to be published, and no new call goes by it: \
                     revoke it there, and start the gateway with another one"
                );
            } else {
                tracing::info!(%provider, "the gateway's own key at this provider is called with again");
            }
        }
        if published.has_operators() {
            tracing::error!("{OPERATOR_PUBLISHED}; {ANOTHER_OPERATOR_KEY}");
        }
    }

    fn write_counts(&mut self) -> Result<(), Fault> {
        let now = self.admin.clock.now();
        let accounts = self.shared.routes.accounts().flat_map(|account| account.day_counts(now));
        self.unsaved.extend(accounts.map(|DayOfAccount { day, bucket, measure, used }| DayCount {
            day,
            bucket,
            measure: measure.as_str().to_owned(),
            used,
        }));
        let day = day_of(now);
        let counts = self.shared.rates.limiter.day_counts(day).into_iter();
        // What could not be stored before comes first, so that the newer word on the same count is the last.
        self.unsaved.extend(counts.map(|(bucket, measure, used)| DayCount {
            day,
            bucket: bucket.to_bytes(),
            measure: measure.as_str().to_owned(),
            used,
        }));
        if !self.unsaved.is_empty() {
            self.store.save_day_counts(self.unsaved.clone())?;
            self.unsaved.clear();
        }
        Ok(())
    }

    fn look_at_organizations(&mut self) -> Result<(), Fault> {
        let purchased = self.note_purchased()?;
        for tenant in self.admin.directory.directory().tenants() {
            let bought = purchased.get(&tenant.organization.id).copied().unwrap_or_default();
            // What is wrong with one organization is no other's matter.
            if let Err(error) = self.look_at(&tenant.organization, bought) {
                let organization = tenant.organization.id;
                tracing::warn!(%organization, %error, "an organization's usage tier could not be seen to");
            }
        }
        Ok(())
    }

    /// Looks up what organizations have bought, and tells those who go by it.
    fn note_purchased(&self) -> Result<HashMap<OrganizationId, Money>, StoreError> {
        let purchased: HashMap<OrganizationId, Money> = self.admin.reader.purchased()?.into_iter().collect();
        self.shared.pools.note_purchased(purchased.clone());
        Ok(purchased)
    }

    fn look_at(&mut self, organization: &Arc<Organization>, bought: Money) -> Result<(), Fault> {
        let organization = self.promote(organization, bought)?;
        self.keep_ceiling(&organization)
    }

    fn write_uses(&mut self) -> Result<(), Fault> {
        // A use of this very moment may be noted after the look: it belongs to the next.
        let now = self.admin.clock.now().plus_micros(-1);
        self.admin.directory.save_uses(self.uses_until)?;
        self.uses_until = now;
        Ok(())
    }

    /// Gives an organization the tier that it has reached, if it is a higher one.
    fn promote(&self, organization: &Arc<Organization>, bought: Money) -> Result<Arc<Organization>, Fault> {
        let now = self.admin.clock.now();
        let age_days = now.seconds().saturating_sub(organization.created_at.seconds()) / DAY_SECONDS;
        let Some(tier) = self.shared.tiers.promotion(organization, bought, age_days) else {
            return Ok(Arc::clone(organization));
        };
        let actor = Actor { by: ActorKind::Gateway, address: None };
        let mandate = Mandate { actor, ids: self.admin.ids.as_ref(), now };
        let tier = Some(Some(tier.name.to_string()));
        let changes = OrganizationChanges { tier, ..OrganizationChanges::default() };
        Ok(Arc::new(self.admin.directory.update_organization(organization.id, changes, &mandate)?))
    }

    /// Has the tier's monthly ceiling on the books, as a budget that nobody else sets.
    fn keep_ceiling(&mut self, organization: &Organization) -> Result<(), Fault> {
        let ceiling = self.shared.tiers.of(organization).and_then(|tier| tier.monthly_ceiling);
        let id = organization.id;
        let known = match self.ceilings.get(&id) {
            Some(known) => *known,
            None => self.booked_ceiling(id)?,
        };
        if known != ceiling {
            let budget = Budget {
                id: ceiling_id(id),
                subject: Subject::Organization,
                period: Period::Monthly,
                zone: Zone::default(),
                caps: Caps { cost: ceiling.or(known), ..Caps::default() },
                // A removed budget's id is never used again, so one that is not wanted only stops refusing.
                hard: ceiling.is_some(),
                thresholds: vec![50, 80],
            };
            let note = Note { actor: ACTOR.into(), reason: Some("usage tier".into()) };
            let act = Act::SetBudget(budget);
            let booking = Booking { organization: id, idempotency: None, note, act };
            self.admin.ledger.submit(Command::Book(Box::new(booking))).wait()?;
        }
        self.ceilings.insert(id, ceiling);
        Ok(())
    }

    /// The ceiling that the books hold to.
    fn booked_ceiling(&self, organization: OrganizationId) -> Result<Option<Money>, Fault> {
        let records = self.admin.reader.budgets(organization, self.admin.clock.now(), 0)?;
        let found = records.into_iter().find(|record| record.budget.id == ceiling_id(organization));
        Ok(found.filter(|record| record.budget.hard).and_then(|record| record.budget.caps.cost))
    }
}
