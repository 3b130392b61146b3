//! OpenRouter's `provider`: which of the providers that may have a call its caller prefers, and which it rules out.
//!
//! It knows how the member is written (<https://openrouter.ai/docs/guides/routing/provider-selection>); it must never know
//! which providers there are.

use domain::Pico;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;

/// What a caller says of providers. The default is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    /// Those to be tried first, in this order.
    pub order: Vec<String>,
    /// The only ones that may have the call; all, if none is named.
    pub only: Vec<String>,
    /// Those that may not.
    pub ignore: Vec<String>,
    /// Whether others may be tried than those of `order`, or than the first where there is no order.
    pub allow_fallbacks: bool,
    /// Whether a provider may only have the call if nothing of it is left out there.
    pub require_parameters: bool,
    /// Whether providers that train on what they get are ruled out.
    pub deny_collection: bool,
    /// Whether providers that keep what they get are ruled out.
    pub zero_retention: bool,
    /// By what the others are ordered.
    pub sort: Option<Sort>,
    /// The most that a million input tokens may cost.
    pub prompt_max: Option<Pico>,
    /// The most that a million output tokens may cost.
    pub completion_max: Option<Pico>,
}

/// By what providers are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// The cheapest first.
    Price,
    /// The one that begins its answer soonest first.
    Latency,
}

/// The member as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written<'a> {
    order: Option<Vec<String>>,
    only: Option<Vec<String>>,
    ignore: Option<Vec<String>>,
    allow_fallbacks: Option<bool>,
    require_parameters: Option<bool>,
    data_collection: Option<Collection>,
    zdr: Option<bool>,
    sort: Option<Sort>,
    #[serde(borrow)]
    max_price: Option<MaxPrice<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Collection {
    Allow,
    Deny,
}

/// Dollars per million tokens, as numbers or texts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MaxPrice<'a> {
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    completion: Option<&'a RawValue>,
}

impl Preferences {
    /// Reads the member; nothing for null.
    ///
    /// # Errors
    /// [`BadRequest`] that says what is wrong in it, also for members of it that this gateway does not know: a wish that
    /// is not heard must not look like one that is.
    pub(super) fn read(raw: Option<&RawValue>) -> Result<Option<Box<Self>>, BadRequest> {
        let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
        let written: Written<'_> = serde_json::from_str(text).map_err(|error| {
            let why = error.to_string();
            // Its places are not those of the body.
            wrong("provider", why.split(" at line ").next().unwrap_or_default())
        })?;
        let (prompt, completion) =
            written.max_price.map_or((None, None), |most| (most.prompt, most.completion));
        Ok(Some(Box::new(Self {
            order: written.order.unwrap_or_default(),
            only: written.only.unwrap_or_default(),
            ignore: written.ignore.unwrap_or_default(),
            allow_fallbacks: written.allow_fallbacks.unwrap_or(true),
            require_parameters: written.require_parameters.unwrap_or(false),
            deny_collection: written.data_collection == Some(Collection::Deny),
            zero_retention: written.zdr.unwrap_or(false),
            sort: written.sort,
            prompt_max: amount("provider.max_price.prompt", prompt)?,
            completion_max: amount("provider.max_price.completion", completion)?,
        })))
    }

    /// The place of a provider in `order`; those that are not named come after all that are.
    pub fn place(&self, names: [&str; 2]) -> usize {
        self.order.iter().position(|named| is_one(named, names)).unwrap_or(self.order.len())
    }

    /// Why a provider of these names may not have the call, as the member that rules it out.
    pub fn rules_out(&self, names: [&str; 2]) -> Option<&'static str> {
        let has = |list: &[String]| list.iter().any(|named| is_one(named, names));
        if !self.only.is_empty() && !has(&self.only) {
            return Some("provider.only");
        }
        if !self.allow_fallbacks && !self.order.is_empty() && !has(&self.order) {
            return Some("provider.order");
        }
        has(&self.ignore).then_some("provider.ignore")
    }
}

fn is_one(named: &str, names: [&str; 2]) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(named))
}

fn amount(param: &str, raw: Option<&RawValue>) -> Result<Option<Pico>, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let amount = Pico::of_number(number, 0).filter(|amount| amount.get() >= 0);
    amount.map(Some).ok_or_else(|| wrong(param, "expected dollars per million tokens, such as 2.5"))
}

fn wrong(param: &str, why: &str) -> BadRequest {
    BadRequest {
        message: format!("Invalid '{param}': {why}."),
        param: Some(param.to_owned()),
        code: Some("invalid_value"),
    }
}
