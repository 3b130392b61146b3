//! A wallet: money for one purpose, and the lots it is made of.

use domain::{Money, ProjectId, Timestamp, WalletId, name_fits};
use serde::{Deserialize, Serialize};

use crate::{Lot, LotKind};

/// Whose calls a wallet pays for. The organization's own wallet has no restriction at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// What people call it.
    pub name: Box<str>,
    /// The project it is set aside for; `None` for all of them.
    pub project: Option<ProjectId>,
    /// The models it pays for, as asked for or as `provider/upstream model`; a `*` at the end stands for any rest.
    /// Empty for all of them.
    pub models: Vec<Box<str>>,
    /// Whether the organization's wallet pays for the project when this one is empty. Without it the project's calls
    /// end with the project's money, so that no project drains another (3.8).
    pub overflow: bool,
}

/// Patterns of models that one wallet may name, and the bytes that each may have.
const MODELS_MAX: usize = 100;
const MODEL_BYTES_MAX: usize = 128;

/// Whether a wallet may be restricted to these models; no models are no restriction.
pub(crate) fn are_models(models: &[Box<str>]) -> bool {
    let proper = |model: &str| !model.trim().is_empty() && model.len() <= MODEL_BYTES_MAX;
    models.len() <= MODELS_MAX && models.iter().all(|model| proper(model))
}

impl Purpose {
    /// Whether only some models are paid for.
    pub fn is_restricted(&self) -> bool {
        !self.models.is_empty()
    }

    /// Whether a call of this project for one of these names of its model may be paid from the wallet.
    pub fn covers(&self, project: ProjectId, model: [&str; 2]) -> bool {
        let fits = |pattern: &str| model.iter().any(|name| name_fits(pattern, name));
        self.project.is_none_or(|owner| owner == project)
            && (self.models.is_empty() || self.models.iter().any(|pattern| fits(pattern)))
    }
}

/// Money of one organization for one purpose: the sums, and the open lots in waterfall order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The wallet's id.
    pub id: WalletId,
    /// Whose calls it pays for.
    pub purpose: Purpose,
    /// The sum of what remains in the lots.
    pub balance: Money,
    /// What live holds have set aside of it.
    pub held: Money,
    /// What calls cost beyond what the lots could pay.
    pub debt: Money,
    /// Lots with something remaining, in waterfall order.
    pub lots: Vec<Lot>,
}

impl Wallet {
    /// An empty wallet.
    pub const fn new(id: WalletId, purpose: Purpose) -> Self {
        Self { id, purpose, balance: Money::ZERO, held: Money::ZERO, debt: Money::ZERO, lots: Vec::new() }
    }

    /// What a new hold may take: the balance less everything held.
    pub fn available(&self) -> Money {
        // Both are within [0, MAX] and held <= balance (invariant I3), so the difference always fits.
        self.balance.checked_sub(self.held).unwrap_or(Money::ZERO)
    }

    /// What is available when the credit that is due at a moment has expired, which takes no more than what is free.
    pub(crate) fn available_at(&self, now: Timestamp) -> Money {
        let due = self.lots.iter().filter(|lot| lot.is_due(now)).map(|lot| lot.remaining);
        // What remains of the lots sums to the balance, so it fits.
        let due = Money::sum(due).unwrap_or(self.balance);
        self.available().checked_sub(due).unwrap_or(Money::ZERO).max(Money::ZERO)
    }

    /// What of that is promotional: what is held will be drawn from promotional lots first.
    pub fn grants_at(&self, now: Timestamp) -> Money {
        let due = self.grants(|lot| lot.is_due(now)).min(self.available());
        self.grants_less(self.held, due).min(self.available_at(now))
    }

    /// What of `free` would be promotional if so much were held.
    pub(crate) fn grants_beside(&self, held: Money, free: Money) -> Money {
        self.grants_less(held, Money::ZERO).min(free)
    }

    fn grants_less(&self, held: Money, due: Money) -> Money {
        let left = self.grants(|_| true).checked_sub(held).and_then(|left| left.checked_sub(due));
        left.unwrap_or(Money::ZERO).max(Money::ZERO)
    }

    /// What remains in promotional lots, of those that are meant.
    fn grants(&self, which: impl Fn(&Lot) -> bool) -> Money {
        let meant = self.lots.iter().filter(|lot| lot.kind == LotKind::Promo && which(lot));
        // What remains of all lots is the balance, so it fits.
        Money::sum(meant.map(|lot| lot.remaining)).unwrap_or(self.balance)
    }
}
