//! What a gateway answers to a key, as far as the walk reads it. Amounts are read as decimals, digit by digit.

use domain::{Money, Price};
use serde::Deserialize;
use serde_json::value::RawValue;

/// `GET /v1/models`.
#[derive(Debug, Deserialize)]
pub(super) struct Models {
    pub(super) data: Vec<Model>,
}

/// One model, and what it costs.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
    pub(super) owned_by: String,
    pub(super) kind: Option<String>,
    pricing: Option<Pricing>,
}

#[derive(Clone, Debug, Deserialize)]
struct Pricing {
    prompt: String,
    completion: String,
}

impl Model {
    /// One that the key may call, perhaps, and may not look at: nothing is known of its price.
    pub(super) fn unseen(name: &str) -> Self {
        Self { id: name.to_owned(), owned_by: String::new(), kind: None, pricing: None }
    }

    /// The prices of a token of input and of output, where they are known.
    pub(super) fn prices(&self) -> Option<(Price, Price)> {
        let pricing = self.pricing.as_ref()?;
        Some((Price::per_unit(&pricing.prompt)?, Price::per_unit(&pricing.completion)?))
    }

    /// Whether a call of it costs nobody real money: the simulated provider's, or one at the price 0.
    pub(super) fn is_safe(&self) -> bool {
        let is_free = |(prompt, completion)| prompt == Price::FREE && completion == Price::FREE;
        self.owned_by == server::config::SIMULATED || self.prices().is_some_and(is_free)
    }

    pub(super) fn can_chat(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "chat")
    }
}

/// An error in OpenAI's shape with what the gateway adds.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    pub(super) error: Refusal,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) next_step: Option<String>,
}

/// An answer with one object in it.
#[derive(Debug, Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: T,
}

/// `GET /api/v1/key`.
#[derive(Debug, Deserialize)]
pub(super) struct OwnKey {
    pub(super) label: String,
    pub(super) key_id: String,
    pub(super) organization_id: String,
    pub(super) workspace_id: String,
    pub(super) expires_at: Option<String>,
    pub(super) usage: Box<RawValue>,
    pub(super) effective_budget: Option<Budget>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Budget {
    pub(super) limit_usd: Box<RawValue>,
    pub(super) remaining_usd: Box<RawValue>,
    pub(super) resets_at: Option<String>,
    pub(super) scope: String,
}

/// `GET /api/v1/generation`.
#[derive(Debug, Deserialize)]
pub(super) struct Generation {
    pub(super) workspace_id: String,
    pub(super) key_id: String,
    pub(super) total_cost: Box<RawValue>,
    pub(super) tokens_prompt: u64,
    pub(super) tokens_completion: u64,
    pub(super) native_tokens_cached: u64,
    pub(super) provider_name: String,
}

/// An amount that came as a JSON number.
pub(super) fn amount(number: &RawValue) -> Option<Money> {
    number.get().parse().ok()
}

/// `GET /admin/v1/keys/{id}/limits`, for whoever has the operator's key.
#[derive(Debug, Deserialize)]
pub(super) struct Limits {
    pub(super) organization: Named,
    pub(super) project: ProjectState,
    pub(super) rate_limits: Vec<Group>,
    pub(super) credit: Credit,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProjectState {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) after_grant: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub(super) models: String,
    pub(super) limits: Vec<Limit>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Limit {
    pub(super) measure: String,
    pub(super) of: String,
    pub(super) limit: u64,
    pub(super) remaining: Option<u64>,
    pub(super) binding: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Credit {
    pub(super) available: Money,
    pub(super) grants: Money,
    pub(super) debt: Money,
    pub(super) frozen: bool,
}

/// `GET /admin/v1/requests/{id}/explain`, for whoever has the operator's key.
#[derive(Debug, Deserialize)]
pub(super) struct Explained {
    pub(super) layers: Vec<Layer>,
    pub(super) attempts: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Layer {
    pub(super) owner: String,
    pub(super) passed: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attempt {
    pub(super) org: String,
    pub(super) project: String,
    pub(super) key: String,
    pub(super) cost: Money,
}
