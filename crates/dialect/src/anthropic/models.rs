//! The models that can be asked for, in Anthropic's shape.

use bytes::Bytes;
use domain::Timestamp;
use serde::Serialize;

use crate::openai::ModelCard;

#[derive(Serialize)]
struct Card<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: Timestamp,
}

impl<'a> Card<'a> {
    fn of(model: &'a ModelCard) -> Self {
        let created_at = Timestamp::from_micros(0).plus_seconds(model.created);
        Self { r#type: "model", id: &model.id, display_name: &model.id, created_at }
    }
}

/// The answer to `GET /v1/models`: all models at once, so that there are never more.
pub fn models_json(models: &[ModelCard]) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        data: Vec<Card<'a>>,
        has_more: bool,
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
    }
    write(&List {
        data: models.iter().map(Card::of).collect(),
        has_more: false,
        first_id: models.first().map(|model| model.id.as_str()),
        last_id: models.last().map(|model| model.id.as_str()),
    })
}

/// The answer to `GET /v1/models/{id}`.
pub fn model_json(model: &ModelCard) -> Bytes {
    write(&Card::of(model))
}

fn write(value: &impl Serialize) -> Bytes {
    // Strings and numbers into memory: there is nothing that could fail.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}
