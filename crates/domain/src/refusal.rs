//! A refusal: who stopped a request, why, and the one next step that helps.

use serde::Serialize;

use crate::Timestamp;

/// The limit owners a request passes, in order. A request that several would refuse is refused by the first: the
/// order of this enum is the specification (layer map 1.1 to 1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// 1.1 The key: authentic, enabled, not expired, not revoked.
    Key,
    /// 1.2 The project and the principal's role in it.
    Project,
    /// 1.3 The model: exists, priced, allowed.
    ModelAccess,
    /// 1.4 The country.
    Region,
    /// 1.5 The route and its contract.
    Route,
    /// 1.6 Budgets.
    UsageLimit,
    /// 1.7 Rates.
    RateLimit,
    /// 1.8 Usable credit.
    Billing,
    /// 1.9 The provider itself.
    Provider,
}

/// What exactly was refused. Each code belongs to one [`Owner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// No credential came with the request.
    MissingKey,
    /// The credential is not one of ours.
    InvalidKey,
    /// The key is past its expiry.
    ExpiredKey,
    /// The key was disabled or revoked.
    DisabledKey,
    /// The project is archived.
    ProjectArchived,
    /// No route has this model's name.
    ModelNotFound,
    /// The model has a route but no price, and nothing is free by accident.
    ModelUnpriced,
    /// A budget of the organization has no room.
    OrganizationBudgetExceeded,
    /// A budget of the project has no room.
    ProjectBudgetExceeded,
    /// A budget of the key has no room.
    KeyBudgetExceeded,
    /// A budget of the end user has no room.
    UserBudgetExceeded,
    /// A budget of a tag, a feature or an environment, has no room.
    TagBudgetExceeded,
    /// A budget of the run has no room.
    RunBudgetExceeded,
    /// The wallet cannot cover the hold.
    CreditExhausted,
    /// The wallet owes; new holds wait for a top-up.
    WalletInDebt,
    /// The wallet was frozen by a broken invariant and waits for an operator.
    WalletFrozen,
}

impl RefusalCode {
    /// The layer that owns this code.
    pub const fn owner(self) -> Owner {
        match self {
            Self::MissingKey | Self::InvalidKey | Self::ExpiredKey | Self::DisabledKey => Owner::Key,
            Self::ProjectArchived => Owner::Project,
            Self::ModelNotFound | Self::ModelUnpriced => Owner::ModelAccess,
            Self::OrganizationBudgetExceeded
            | Self::ProjectBudgetExceeded
            | Self::KeyBudgetExceeded
            | Self::UserBudgetExceeded
            | Self::TagBudgetExceeded
            | Self::RunBudgetExceeded => Owner::UsageLimit,
            Self::CreditExhausted | Self::WalletInDebt | Self::WalletFrozen => Owner::Billing,
        }
    }
}

/// A request stopped by one limit owner. Texts are public: no secret and no prompt text may enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What was refused; [`RefusalCode::owner`] names who refused it.
    pub code: RefusalCode,
    /// The sentence the caller reads.
    pub message: String,
    /// The limit that bound, where there is one: an amount, a count, a name.
    pub limit: Option<String>,
    /// How much of it was used, where there is one.
    pub used: Option<String>,
    /// When the limit starts anew; `None` if it never does by itself.
    pub resets_at: Option<Timestamp>,
    /// The one step that helps. Never "make another key".
    pub next_step: String,
}

impl Refusal {
    /// A refusal without a numeric limit.
    pub fn new(code: RefusalCode, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            limit: None,
            used: None,
            resets_at: None,
            next_step: next_step.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_the_order_of_their_owners() {
        let codes = [
            RefusalCode::MissingKey,
            RefusalCode::InvalidKey,
            RefusalCode::ExpiredKey,
            RefusalCode::DisabledKey,
            RefusalCode::ProjectArchived,
            RefusalCode::ModelNotFound,
            RefusalCode::ModelUnpriced,
            RefusalCode::OrganizationBudgetExceeded,
            RefusalCode::ProjectBudgetExceeded,
            RefusalCode::KeyBudgetExceeded,
            RefusalCode::UserBudgetExceeded,
            RefusalCode::TagBudgetExceeded,
            RefusalCode::RunBudgetExceeded,
            RefusalCode::CreditExhausted,
            RefusalCode::WalletInDebt,
            RefusalCode::WalletFrozen,
        ];
        assert!(codes.is_sorted());
        assert!(codes.map(RefusalCode::owner).is_sorted());
    }
}
