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

/// What exactly was refused. Each code belongs to one [`Owner`], and of several that apply the first is told.
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
    /// The key may not be used from this address.
    AddressNotAllowed,
    /// The key may not call this endpoint.
    EndpointNotAllowed,
    /// The member or service account that the key belongs to has no part in the project any more.
    PrincipalRemoved,
    /// The project is archived.
    ProjectArchived,
    /// No route has this model's name.
    ModelNotFound,
    /// The project or the key may not use the model.
    ModelNotAllowed,
    /// The organization's usage tier does not have the model.
    ModelNotInTier,
    /// The model is for verified organizations.
    VerificationRequired,
    /// The model has a route but no price, and nothing is free by accident.
    ModelUnpriced,
    /// The route does not serve the organization's country.
    CountryNotSupported,
    /// The route's contract does not cover the project's data or environment.
    ContractUnfit,
    /// The route's contract was not verified for too long.
    ContractStale,
    /// The route is that of a programme which the organization has not joined.
    ProgrammeNotJoined,
    /// The route is that of a programme which does not run now.
    ProgrammeOver,
    /// The call may go by provider keys of its own alone, and there is none for the model.
    ProviderKeyMissing,
    /// The server of the operator's own that the route leads to says that it does not have the model.
    ModelNotServed,
    /// The gateway's own key at the provider is known to be published, so that anybody may hold it.
    ProviderKeyPublished,
    /// The monthly ceiling of the organization's usage tier is reached.
    OrganizationUsageLimitExceeded,
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
    /// Too many requests in a minute.
    RequestsPerMinuteExceeded,
    /// Too many tokens in a minute.
    TokensPerMinuteExceeded,
    /// Too many input tokens in a minute.
    InputTokensPerMinuteExceeded,
    /// Too many output tokens in a minute.
    OutputTokensPerMinuteExceeded,
    /// Too many images in a minute.
    ImagesPerMinuteExceeded,
    /// Too many requests in a day.
    RequestsPerDayExceeded,
    /// Too many tokens in a day.
    TokensPerDayExceeded,
    /// Too many requests at once.
    ConcurrentRequestsExceeded,
    /// The wallet was frozen by a broken invariant and waits for an operator. What it holds nobody knows, nor what its
    /// budgets have left: it alone is told before them ([`Owner::UsageLimit`]).
    WalletFrozen,
    /// The day's free requests are used up.
    FreeRequestsUsedUp,
    /// The wallet owes; new holds wait for a top-up. It has no credit either.
    WalletInDebt,
    /// No grant can cover the hold, and the project has chosen to stop there.
    GrantsUsedUp,
    /// The wallet cannot cover the hold.
    CreditExhausted,
    /// What the provider lets the gateway's credential have is used up. It is looked at before the credit is.
    ProviderCapReached,
}

impl RefusalCode {
    /// Every code, in the order of precedence.
    pub const ALL: &'static [Self] = &[
        Self::MissingKey,
        Self::InvalidKey,
        Self::ExpiredKey,
        Self::DisabledKey,
        Self::AddressNotAllowed,
        Self::EndpointNotAllowed,
        Self::PrincipalRemoved,
        Self::ProjectArchived,
        Self::ModelNotFound,
        Self::ModelNotAllowed,
        Self::ModelNotInTier,
        Self::VerificationRequired,
        Self::ModelUnpriced,
        Self::CountryNotSupported,
        Self::ContractUnfit,
        Self::ContractStale,
        Self::ProgrammeNotJoined,
        Self::ProgrammeOver,
        Self::ProviderKeyMissing,
        Self::ModelNotServed,
        Self::ProviderKeyPublished,
        Self::OrganizationUsageLimitExceeded,
        Self::OrganizationBudgetExceeded,
        Self::ProjectBudgetExceeded,
        Self::KeyBudgetExceeded,
        Self::UserBudgetExceeded,
        Self::TagBudgetExceeded,
        Self::RunBudgetExceeded,
        Self::RequestsPerMinuteExceeded,
        Self::TokensPerMinuteExceeded,
        Self::InputTokensPerMinuteExceeded,
        Self::OutputTokensPerMinuteExceeded,
        Self::ImagesPerMinuteExceeded,
        Self::RequestsPerDayExceeded,
        Self::TokensPerDayExceeded,
        Self::ConcurrentRequestsExceeded,
        Self::WalletFrozen,
        Self::FreeRequestsUsedUp,
        Self::WalletInDebt,
        Self::GrantsUsedUp,
        Self::CreditExhausted,
        Self::ProviderCapReached,
    ];

    /// The layer that owns this code.
    pub const fn owner(self) -> Owner {
        match self {
            Self::MissingKey
            | Self::InvalidKey
            | Self::ExpiredKey
            | Self::DisabledKey
            | Self::AddressNotAllowed
            | Self::EndpointNotAllowed => Owner::Key,
            Self::PrincipalRemoved | Self::ProjectArchived => Owner::Project,
            Self::ModelNotFound
            | Self::ModelNotAllowed
            | Self::ModelNotInTier
            | Self::VerificationRequired
            | Self::ModelUnpriced => Owner::ModelAccess,
            Self::CountryNotSupported => Owner::Region,
            Self::ContractUnfit
            | Self::ContractStale
            | Self::ProgrammeNotJoined
            | Self::ProgrammeOver
            | Self::ProviderKeyMissing
            | Self::ProviderKeyPublished
            | Self::ModelNotServed => Owner::Route,
            Self::OrganizationUsageLimitExceeded
            | Self::OrganizationBudgetExceeded
            | Self::ProjectBudgetExceeded
            | Self::KeyBudgetExceeded
            | Self::UserBudgetExceeded
            | Self::TagBudgetExceeded
            | Self::RunBudgetExceeded => Owner::UsageLimit,
            Self::RequestsPerMinuteExceeded
            | Self::TokensPerMinuteExceeded
            | Self::InputTokensPerMinuteExceeded
            | Self::OutputTokensPerMinuteExceeded
            | Self::ImagesPerMinuteExceeded
            | Self::RequestsPerDayExceeded
            | Self::TokensPerDayExceeded
            | Self::ConcurrentRequestsExceeded => Owner::RateLimit,
            Self::WalletFrozen
            | Self::FreeRequestsUsedUp
            | Self::WalletInDebt
            | Self::GrantsUsedUp
            | Self::CreditExhausted => Owner::Billing,
            Self::ProviderCapReached => Owner::Provider,
        }
    }

    /// The word for it in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingKey => "missing_key",
            Self::InvalidKey => "invalid_key",
            Self::ExpiredKey => "expired_key",
            Self::DisabledKey => "disabled_key",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::EndpointNotAllowed => "endpoint_not_allowed",
            Self::PrincipalRemoved => "principal_removed",
            Self::ProjectArchived => "project_archived",
            Self::ModelNotFound => "model_not_found",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotInTier => "model_not_in_tier",
            Self::VerificationRequired => "verification_required",
            Self::ModelUnpriced => "model_unpriced",
            Self::CountryNotSupported => "country_not_supported",
            Self::ContractUnfit => "contract_unfit",
            Self::ContractStale => "contract_stale",
            Self::ProgrammeNotJoined => "programme_not_joined",
            Self::ProgrammeOver => "programme_over",
            Self::ProviderKeyMissing => "provider_key_missing",
            Self::ProviderKeyPublished => "provider_key_published",
            Self::ModelNotServed => "model_not_served",
            Self::OrganizationUsageLimitExceeded => "organization_usage_limit_exceeded",
            Self::OrganizationBudgetExceeded => "organization_budget_exceeded",
            Self::ProjectBudgetExceeded => "project_budget_exceeded",
            Self::KeyBudgetExceeded => "key_budget_exceeded",
            Self::UserBudgetExceeded => "user_budget_exceeded",
            Self::TagBudgetExceeded => "tag_budget_exceeded",
            Self::RunBudgetExceeded => "run_budget_exceeded",
            Self::RequestsPerMinuteExceeded => "requests_per_minute_exceeded",
            Self::TokensPerMinuteExceeded => "tokens_per_minute_exceeded",
            Self::InputTokensPerMinuteExceeded => "input_tokens_per_minute_exceeded",
            Self::OutputTokensPerMinuteExceeded => "output_tokens_per_minute_exceeded",
            Self::ImagesPerMinuteExceeded => "images_per_minute_exceeded",
            Self::RequestsPerDayExceeded => "requests_per_day_exceeded",
            Self::TokensPerDayExceeded => "tokens_per_day_exceeded",
            Self::ConcurrentRequestsExceeded => "concurrent_requests_exceeded",
            Self::CreditExhausted => "credit_exhausted",
            Self::GrantsUsedUp => "grants_used_up",
            Self::FreeRequestsUsedUp => "free_requests_used_up",
            Self::WalletInDebt => "wallet_in_debt",
            Self::WalletFrozen => "wallet_frozen",
            Self::ProviderCapReached => "provider_cap_reached",
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
    /// In how many milliseconds the same request can succeed; `None` when waiting is no cure, or one of days.
    pub retry_after_ms: Option<u64>,
    /// The one step that helps. Never "make another key".
    pub next_step: String,
}

impl Owner {
    /// The word for it in JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Project => "project",
            Self::ModelAccess => "model_access",
            Self::Region => "region",
            Self::Route => "route",
            Self::UsageLimit => "usage_limit",
            Self::RateLimit => "rate_limit",
            Self::Billing => "billing",
            Self::Provider => "provider",
        }
    }
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
            retry_after_ms: None,
            next_step: next_step.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_in_the_order_of_their_owners() {
        assert!(RefusalCode::ALL.is_sorted());
        assert!(RefusalCode::ALL.iter().map(|code| code.owner()).is_sorted());
    }

    #[test]
    fn a_code_has_one_word_everywhere() {
        for code in RefusalCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
