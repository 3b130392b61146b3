//! The models that can be asked for, in OpenAI's shape.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// One model as `GET /v1/models` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// The name to ask for.
    pub id: String,
    /// When it became available, in seconds since 1970.
    pub created: i64,
    /// Who serves it.
    pub owned_by: String,
    /// What it costs, where that is known. OpenAI's cards have none; OpenRouter's have.
    pub pricing: Option<ModelPricing>,
    /// What the gateway says of itself there, which no other API has: the member `tollkeeper`.
    pub tollkeeper: Option<Value>,
}

/// What a model costs and what it is asked for, beside OpenAI's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPricing {
    /// Currency for one input token, as a decimal.
    pub prompt: String,
    /// Currency for one output token, as a decimal.
    pub completion: String,
    /// `chat` or `embedding`.
    pub kind: &'static str,
}

impl Serialize for ModelCard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            id: &'a str,
            object: &'static str,
            created: i64,
            owned_by: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            kind: Option<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pricing: Option<Pricing<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tollkeeper: Option<&'a Value>,
        }
        #[derive(Serialize)]
        struct Pricing<'a> {
            prompt: &'a str,
            completion: &'a str,
        }
        let pricing = self.pricing.as_ref();
        Wire {
            id: &self.id,
            object: "model",
            created: self.created,
            owned_by: &self.owned_by,
            kind: pricing.map(|pricing| pricing.kind),
            pricing: pricing
                .map(|pricing| Pricing { prompt: &pricing.prompt, completion: &pricing.completion }),
            tollkeeper: self.tollkeeper.as_ref(),
        }
        .serialize(serializer)
    }
}

/// The answer to `GET /v1/models`.
pub fn models_json(models: &[ModelCard]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: &'a [ModelCard],
    }
    write(&List { object: "list", data: models })
}

/// The answer to `GET /v1/models/{id}`.
pub fn model_json(model: &ModelCard) -> Bytes {
    write(model)
}

fn write(value: &impl Serialize) -> Bytes {
    // Strings and numbers into memory: there is nothing that could fail.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}
