//! The models that can be asked for, in Gemini's shape.

use bytes::Bytes;
use serde::Serialize;

use crate::openai::ModelCard;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Card<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    supported_generation_methods: &'static [&'static str],
}

impl<'a> Card<'a> {
    fn of(model: &'a ModelCard) -> Self {
        let generates = model.pricing.as_ref().is_none_or(|pricing| pricing.kind == "chat");
        Self {
            name: format!("models/{}", model.id),
            // A model's name says its version, if it has one.
            version: "",
            display_name: &model.id,
            supported_generation_methods: if generates { &["generateContent", "countTokens"] } else { &[] },
        }
    }
}

/// The answer to `GET /v1beta/models`: all models at once, so that there is no next page.
pub fn models_json(models: &[ModelCard]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        models: Vec<Card<'a>>,
    }
    write(&List { models: models.iter().map(Card::of).collect() })
}

/// The answer to `GET /v1beta/models/{id}`.
pub fn model_json(model: &ModelCard) -> Bytes {
    write(&Card::of(model))
}

fn write(value: &impl Serialize) -> Bytes {
    // Strings and numbers into memory: there is nothing that could fail.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}
