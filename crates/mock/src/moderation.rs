//! Moderations: what is asked, and verdicts that depend on nothing but the words.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::decode::{Text, model, object};
use crate::problem::Problem;
use crate::text;

/// The model that answers where none is named.
const DEFAULT_MODEL: &str = "omni-moderation-latest";
/// The word that is harmful here.
const HARMFUL: &str = "harm";
/// Tokens reckoned for an image.
const IMAGE_TOKENS: u64 = 765;

/// The raw fields of a request.
#[derive(Deserialize)]
pub(crate) struct ModerationFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// What is to be judged: for each verdict whether there is harm in it.
pub(crate) struct ModerationAsk {
    harmful: Vec<bool>,
    pub(crate) prompt: u64,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

impl ModerationFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        if self.model.is_none() { Ok(DEFAULT_MODEL.to_owned()) } else { model(self.model) }
    }

    /// The rest. The input is counted unless its size is `given`. Texts are judged one by one, parts together.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ModerationAsk, Problem> {
        let raw = self.input.ok_or_else(|| Problem::missing("input"))?;
        let wrong = || Problem::mistyped("input", "a string, an array of strings or an array of objects");
        let items: Vec<&RawValue> = match raw.get().as_bytes().first() {
            Some(b'[') => serde_json::from_str(raw.get()).map_err(|_| wrong())?,
            _ => vec![raw],
        };
        if items.is_empty() {
            return Err(Problem::value("input", "at least one input"));
        }
        let (mut harmful, mut tokens, mut parts) = (Vec::new(), 0, None);
        for item in items {
            if item.get().starts_with('{') {
                let part: Part<'_> = object(item, "input")?;
                tokens += part.text.as_ref().map_or(IMAGE_TOKENS, |text| text::count(&text.0));
                let found = part.text.is_some_and(|text| text.0.contains(HARMFUL));
                parts = Some(parts.unwrap_or(false) | found);
            } else {
                let Text(said) = serde_json::from_str(item.get()).map_err(|_| wrong())?;
                tokens += text::count(&said);
                harmful.push(said.contains(HARMFUL));
            }
        }
        harmful.extend(parts);
        Ok(ModerationAsk { harmful, prompt: given.unwrap_or(tokens) })
    }
}

impl ModerationAsk {
    /// The body of the answer. It tells no usage, as OpenAI's does not.
    pub(crate) fn verdicts(&self, id: u128, model: &str) -> String {
        let verdict = |harm: &bool| {
            let score = if *harm { 1 } else { 0 };
            json!({
                "flagged": harm,
                "categories": {"violence": harm},
                "category_scores": {"violence": score},
                "category_applied_input_types": {"violence": ["text"]},
            })
        };
        let results: Vec<_> = self.harmful.iter().map(verdict).collect();
        json!({"id": format!("modr-{id:032x}"), "model": model, "results": results}).to_string()
    }
}
