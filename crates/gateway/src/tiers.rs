//! Usage tiers (4.1): what an organization may do that has bought so much credit and has existed for so long.
//!
//! It knows the table of tiers and how a tier follows from figures. It must never know how the table is written down,
//! how much an organization has bought (the books say) or when somebody looks (the server does).

use std::sync::Arc;

use directory::{Caps, Organization};
use domain::{BudgetId, Money, OrganizationId, name_fits};

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name, as organizations carry it.
    pub name: Arc<str>,
    /// Credit that must have been bought in all, less what was paid back.
    pub credit_purchased: Money,
    /// Days that must have passed since the organization was made.
    pub account_days: u32,
    /// The most that the organization may spend in a calendar month (UTC); `None` is no ceiling.
    pub monthly_ceiling: Option<Money>,
    /// Models that may be called, by name or as `prefix*`.
    pub models: Vec<String>,
    /// Rate limits of the organization, one for each group of models.
    pub limits: Vec<TierLimit>,
}

/// A rate limit of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierLimit {
    /// The group of models that share it: a name, or `prefix*`.
    pub models: String,
    /// How much.
    pub caps: Caps,
}

/// The table, the lowest tier first. Empty where no tiers are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiers(Vec<Tier>);

impl Tiers {
    /// The table of these tiers, the lowest first; every organization can have the first.
    pub const fn new(tiers: Vec<Tier>) -> Self {
        Self(tiers)
    }

    /// Whether no tiers are used.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tiers, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = &Tier> {
        self.0.iter()
    }

    /// The tier that an organization is in: the one it has reached, the lowest before it has reached any or when the one
    /// it had reached is no longer in the table.
    pub fn of(&self, organization: &Organization) -> Option<&Tier> {
        self.0.get(self.rank(organization).unwrap_or(0))
    }

    /// The tier to which these figures lead, if it is above the one that the organization has. Nobody is put down.
    pub fn promotion(&self, organization: &Organization, purchased: Money, age_days: i64) -> Option<&Tier> {
        let reached = self.0.iter().rposition(|tier| {
            tier.credit_purchased <= purchased && i64::from(tier.account_days) <= age_days
        })?;
        let is_higher = self.rank(organization).is_none_or(|rank| rank < reached);
        self.0.get(reached).filter(|_| is_higher)
    }

    /// The lowest tier that may call a model.
    pub fn first_with(&self, model: &str) -> Option<&Tier> {
        self.0.iter().find(|tier| tier.has(model))
    }

    fn rank(&self, organization: &Organization) -> Option<usize> {
        let name = organization.tier.as_deref()?;
        self.0.iter().position(|tier| *tier.name == *name)
    }
}

/// The budget by which an organization's monthly ceiling is held to: always the same one, and no id that is ever fresh.
/// Fresh ids begin with the time, which does not begin with a zero byte any more, so of an organization's budgets without
/// room the ceiling is the first.
pub fn ceiling_id(organization: OrganizationId) -> BudgetId {
    let [_, rest @ ..] = *organization.as_bytes();
    let mut bytes = [0; 16];
    bytes[1..].copy_from_slice(&rest);
    BudgetId::from_bytes(bytes)
}

impl Tier {
    /// Whether a model may be called.
    pub fn has(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| name_fits(pattern, model))
    }

    /// The rate limits that a call to a model falls under.
    pub fn limits_of(&self, model: &str) -> impl Iterator<Item = &TierLimit> {
        self.limits.iter().filter(move |limit| name_fits(&limit.models, model))
    }
}
