//! The programmes by which pools pay before money does: free requests (5.1), complimentary tokens (5.3), the calls by
//! keys of one's own that carry no fee (5.5). From them, a target and a caller follows how a call there is paid for.
//!
//! It knows caps and periods. It must never know how they are written down, what is used of them (the ledger counts), or
//! how much an organization has bought (the server tells).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use directory::{Organization, Principal};
use domain::{AccessClass, Money, OrganizationId, Refusal, RefusalCode, Timestamp, Zone, name_fits};
use ledger::{Period, PoolKey, Span};

use crate::funding::{Funding, PoolShare, Unit};
use crate::routes::Target;

/// The name of the pool of free requests.
pub const FREE_POOL: &str = "free";
/// The name of the pool of calls by keys of one's own that carry no fee.
pub const BYOK_POOL: &str = "byok";

/// Free variants of models: what an organization may have of all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeRules {
    /// Attempts a minute.
    pub per_minute: u64,
    /// Attempts a day (UTC).
    pub per_day: u64,
    /// The same for organizations that have bought `threshold` in all.
    pub per_day_purchased: u64,
    /// Credit bought in all, less what was paid back, from which the larger cap holds.
    pub threshold: Money,
    /// The model that stands for any free one.
    pub router: Arc<str>,
}

/// A programme of complimentary tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programme {
    /// Its name.
    pub name: Arc<str>,
    /// Models that share a number of tokens a day.
    pub groups: Vec<TokenGroup>,
    /// Where its days begin.
    pub zone: Zone,
    /// When it begins; `None` for it has begun.
    pub starts: Option<Timestamp>,
    /// When it ends; `None` as long as nobody has said so.
    pub ends: Option<Timestamp>,
}

/// Models that share a number of tokens a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenGroup {
    /// Its name.
    pub name: Arc<str>,
    /// The models, as their provider names them: a name, or `prefix*`.
    pub models: Vec<String>,
    /// Tokens a day, input and output together.
    pub tokens_per_day: u64,
}

/// What keys of one's own cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByokRules {
    /// What carries no fee, a month (UTC).
    pub allowance: ByokAllowance,
    /// The fee beyond it, in thousandths of the list price.
    pub fee_permille: u16,
}

/// What of a month carries no fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByokAllowance {
    /// So many calls that consumed something.
    Requests(u64),
    /// Calls worth so much at list price.
    Value(Money),
}

/// Every rule by which pools pay.
#[derive(Debug)]
pub struct Pools {
    /// Free variants.
    pub free: FreeRules,
    /// Complimentary tokens.
    pub programmes: Vec<Programme>,
    /// Keys of one's own.
    pub byok: ByokRules,
    /// What organizations have bought in all, as of the last look.
    purchased: Mutex<Arc<HashMap<OrganizationId, Money>>>,
}

impl Default for Pools {
    /// The mission's figures (5.1, 5.5), and no programme.
    fn default() -> Self {
        let free = FreeRules {
            per_minute: 20,
            per_day: 50,
            per_day_purchased: 1_000,
            threshold: Money::from_nano(10_000_000_000),
            router: Arc::from("tollkeeper/free"),
        };
        let byok = ByokRules { allowance: ByokAllowance::Requests(1_000_000), fee_permille: 50 };
        Self::new(free, Vec::new(), byok)
    }
}

impl Pools {
    /// These rules.
    pub fn new(free: FreeRules, programmes: Vec<Programme>, byok: ByokRules) -> Self {
        Self { free, programmes, byok, purchased: Mutex::default() }
    }

    /// Takes note of what organizations have bought in all, less what was paid back.
    pub fn note_purchased(&self, purchased: HashMap<OrganizationId, Money>) {
        *self.purchased.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(purchased);
    }

    fn purchased(&self, organization: OrganizationId) -> Money {
        let purchased = Arc::clone(&self.purchased.lock().unwrap_or_else(PoisonError::into_inner));
        purchased.get(&organization).copied().unwrap_or_default()
    }

    /// Free requests a day that an organization may have.
    pub fn free_per_day(&self, organization: OrganizationId) -> u64 {
        let has_bought = self.purchased(organization) >= self.free.threshold;
        if has_bought { self.free.per_day_purchased } else { self.free.per_day }
    }

    /// The pool of free requests that an organization has now, and when its day ends.
    pub fn free_pool(&self, organization: OrganizationId, now: Timestamp) -> (PoolKey, u64, Span) {
        let span = Period::Daily.around(now, &Zone::default());
        (PoolKey { pool: Arc::from(FREE_POOL), start: span.start }, self.free_per_day(organization), span)
    }

    /// The month of keys of one's own around a moment, and what of it carries no fee.
    pub fn byok_pool(&self, now: Timestamp) -> (PoolKey, u64, Span) {
        let span = Period::Monthly.around(now, &Zone::default());
        let (name, cap) = match self.byok.allowance {
            ByokAllowance::Requests(requests) => (Arc::from(BYOK_POOL), requests),
            // Another unit is another pool: what was counted of one says nothing of the other.
            ByokAllowance::Value(value) => (Arc::from("byok/value"), value.nano().unsigned_abs()),
        };
        (PoolKey { pool: name, start: span.start }, cap, span)
    }

    /// The programme of this name.
    pub fn programme(&self, name: &str) -> Option<&Programme> {
        self.programmes.iter().find(|programme| *programme.name == *name)
    }

    /// How a call of this caller is paid for at a target.
    ///
    /// # Errors
    /// [`RefusalCode::ProgrammeNotJoined`] or [`RefusalCode::ProgrammeOver`], where a programme pays for the target.
    pub(crate) fn fund(
        &self,
        target: &Target,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<Funding, Refusal> {
        let organization = principal.organization();
        let class = target.contract.class;
        if target.access.is_some() {
            return Ok(self.fund_own_key(class, now));
        }
        let pool = match class {
            AccessClass::Free => {
                let (key, cap, span) = self.free_pool(organization.id, now);
                Some(PoolShare { key, cap, unit: Unit::Attempt, ends: span.end })
            }
            AccessClass::Complimentary => self.tokens(target, organization, now)?,
            AccessClass::Direct
            | AccessClass::Trial
            | AccessClass::Reseller
            | AccessClass::FreeTier
            | AccessClass::Byok
            | AccessClass::UserPays
            | AccessClass::SelfHosted => None,
        };
        Ok(Funding { class, pool, fee_permille: None })
    }

    /// How a call by a key of the caller's own is paid for: its provider bills the caller, and the gateway takes a fee
    /// beyond what carries none.
    pub(crate) fn fund_own_key(&self, class: AccessClass, now: Timestamp) -> Funding {
        let (key, cap, span) = self.byok_pool(now);
        let unit = match self.byok.allowance {
            ByokAllowance::Requests(_) => Unit::Call,
            ByokAllowance::Value(_) => Unit::ListNano,
        };
        let pool = Some(PoolShare { key, cap, unit, ends: span.end });
        Funding { class, pool, fee_permille: Some(self.byok.fee_permille) }
    }

    /// The complimentary tokens of a target's programme; `None` for a target that names none, which the configuration
    /// does not let through.
    fn tokens(
        &self,
        target: &Target,
        organization: &Organization,
        now: Timestamp,
    ) -> Result<Option<PoolShare>, Refusal> {
        let named = target.contract.programme.as_deref();
        let Some(programme) = named.and_then(|name| self.programme(name)) else { return Ok(None) };
        programme.check(&target.label, organization, now)?;
        let fits = |group: &&TokenGroup| group.models.iter().any(|models| name_fits(models, &target.model));
        let Some(group) = programme.groups.iter().find(fits) else { return Ok(None) };
        let span = Period::Daily.around(now, &programme.zone);
        let key = programme.key(group, span);
        Ok(Some(PoolShare { key, cap: group.tokens_per_day, unit: Unit::Token, ends: span.end }))
    }
}

impl Programme {
    /// The pool of a group of models, in this day.
    pub fn key(&self, group: &TokenGroup, day: Span) -> PoolKey {
        PoolKey { pool: Arc::from(format!("{}/{}", self.name, group.name)), start: day.start }
    }

    /// Whether it runs at a moment.
    pub fn runs(&self, now: Timestamp) -> bool {
        self.starts.is_none_or(|starts| starts <= now) && self.ends.is_none_or(|ends| now < ends)
    }

    fn check(&self, target: &str, organization: &Organization, now: Timestamp) -> Result<(), Refusal> {
        let name = &self.name;
        if !self.runs(now) {
            let when = match (self.starts.filter(|starts| *starts > now), self.ends) {
                (Some(starts), _) => format!("begins at {starts}"),
                (None, Some(ends)) => format!("ended at {ends}"),
                (None, None) => "does not run".to_owned(),
            };
            let message = format!("The route to `{target}` is that of the programme `{name}`, which {when}.");
            let next = "Call a model with another route, or have the operator add a target that is paid for.";
            return Err(Refusal::new(RefusalCode::ProgrammeOver, message, next));
        }
        if !organization.programmes.iter().any(|joined| **joined == **name) {
            let message = format!(
                "The route to `{target}` is that of the programme `{name}`, in which prompts and answers are shared \
                 with the provider, and organization `{}` has not joined it.",
                organization.name
            );
            let next = format!(
                "An owner of the organization joins it: `tollkeeper pools join {name} --org {}`; or call a model \
                 with another route.",
                organization.id
            );
            return Err(Refusal::new(RefusalCode::ProgrammeNotJoined, message, next));
        }
        Ok(())
    }
}
