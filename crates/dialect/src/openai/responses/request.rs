//! What a request for a response asks for.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::input::Input;
use super::tools::Tools;
use crate::bad_request::BadRequest;
use crate::call::Asked;
use crate::cap::OutputCap;
use crate::field;
use crate::json::Kind;
use crate::members::{self, Members, Refusals};
use crate::openai::fallbacks;
use crate::openai::fields::Metadata;
use crate::product::Product;

const CAP: &str = "max_output_tokens";

/// The members that the gateway reads: they decide what a call costs, where it goes or for whom it is.
const READ: [&str; 15] = [
    "model",
    "models",
    "input",
    "instructions",
    "stream",
    CAP,
    "service_tier",
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
    "tools",
    "user",
    "safety_identifier",
    "metadata",
];

/// Members that bring input which stands at the provider and not in the body.
const ELSEWHERE: [&str; 2] = ["previous_response_id", "conversation"];

/// Reads the body of a request for a response.
pub(crate) fn read(text: &str) -> Result<Asked, BadRequest> {
    let fields = Fields::read(text)?;
    let named = fallbacks::read(text, fields.raw("model"), fields.raw("models"))?;
    refuse_unseen(&fields)?;
    let tools = Tools::read(fields.given("tools"))?;
    let input = Input::read(fields.given("input"), tools)?;
    if let Some(instructions) = fields.given("instructions") {
        let kind = Kind::of(instructions);
        if !matches!(kind, Kind::String | Kind::Array) {
            return Err(BadRequest::mistyped("instructions", "a string", kind));
        }
    }
    let stream = field::boolean("stream", fields.raw("stream"))?.unwrap_or(false);
    let output_cap = OutputCap::read(text, 1, [(CAP, fields.raw(CAP))], |_| CAP)?;
    let service_tier = field::string("service_tier", fields.raw("service_tier"))?.map(Cow::into_owned);
    let user = field::string("user", fields.raw("user"))?;
    let safety_identifier = field::string("safety_identifier", fields.raw("safety_identifier"))?;
    let metadata = Metadata::read(fields.raw("metadata"))?;
    let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
    let Input { media, tools, is_elsewhere } = input;
    let elsewhere = ELSEWHERE.into_iter().find(|name| fields.given(name).is_some());
    Ok(Asked {
        model: named.model,
        model_span: Some(named.span),
        model_prefix: "",
        model_stands: named.stands,
        fallbacks: named.fallbacks,
        models_span: named.models,
        stream,
        asked_usage: false,
        // Every stream of responses tells its usage.
        usage_edit: None,
        stream_options: None,
        preferences: None,
        preferences_span: None,
        output_cap: Some(output_cap),
        choices: 1,
        service_tier,
        web_search: tools.web_search.then_some("tools"),
        charged_tool: tools.charged,
        input_elsewhere: elsewhere
            .or(is_elsewhere.then_some("input"))
            .or(tools.brings_input.then_some("tools")),
        user: told(user).or_else(|| told(safety_identifier)).or_else(|| told(metadata.user)),
        feature: told(metadata.feature),
        run: told(metadata.run),
        media,
        product: Product::default(),
    })
}

/// Refuses what would have the provider do work whose size or end the gateway does not see.
fn refuse_unseen(fields: &Fields<'_>) -> Result<(), BadRequest> {
    if field::boolean("background", fields.raw("background"))? == Some(true) {
        let message = "This gateway books a response when it ends, and the end of one in the background is not sent to \
                       it; leave background out, and set \"stream\": true for a long one.";
        return Err(BadRequest::new("background", "unsupported_value", message.to_owned()));
    }
    if fields.given("prompt").is_some() {
        let message = "This gateway does not see what a stored prompt asks for, and so cannot say what it may cost; \
                       write it out in instructions, input and tools.";
        return Err(BadRequest::new("prompt", "unsupported_parameter", message.to_owned()));
    }
    Ok(())
}

/// The members of one request, as they stand in its text.
struct Fields<'a>([Option<&'a RawValue>; READ.len()]);

impl<'a> Fields<'a> {
    /// Reads a whole body.
    fn read(body: &'a str) -> Result<Self, BadRequest> {
        members::read(body, Self([None; READ.len()]))
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let at = READ.iter().position(|read| *read == name)?;
        self.0.get(at).copied().flatten()
    }

    /// The member's text, unless it is null.
    fn given(&self, name: &str) -> Option<&'a str> {
        self.raw(name).map(RawValue::get).filter(|text| *text != "null")
    }
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        match READ.iter().position(|read| *read == name).and_then(|at| self.0.get_mut(at)) {
            Some(slot) => refusals.raw(slot, name, map),
            None => refusals.unread(name, &READ, map),
        }
    }
}
