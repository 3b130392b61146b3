//! What a request for messages asks for.

use std::borrow::Cow;

use super::fields::{Fields, Metadata, Thinking};
use crate::bad_request::BadRequest;
use crate::body::span;
use crate::call::Asked;
use crate::cap::OutputCap;
use crate::endpoint::Endpoint;
use crate::field;
use crate::product::Product;

/// Reads the body of a request for messages, or of one for its length.
pub(crate) fn read(endpoint: Endpoint, text: &str) -> Result<Asked, BadRequest> {
    let fields = Fields::read(text)?;
    let (model, model_text) = field::model(fields.model)?;
    let messages = fields.messages.as_ref().ok_or_else(|| BadRequest::missing("messages"))?;
    messages.check()?;
    let tools = fields.tools.as_ref();
    if field::string("inference_geo", fields.inference_geo)?.is_some_and(|geo| geo != "global") {
        return Err(BadRequest::unmetered("inference_geo", "inference that is bound to a region"));
    }
    let stream = field::boolean("stream", fields.stream)?.unwrap_or(false);
    let user_id = Metadata::read(fields.metadata)?.user_id;
    Ok(Asked {
        model_span: Some(span(text, model_text)),
        model_prefix: "",
        model,
        stream,
        // There is no stream without it.
        asked_usage: true,
        usage_edit: None,
        stream_options: None,
        model_stands: true,
        fallbacks: Vec::new(),
        models_span: None,
        preferences: None,
        preferences_span: None,
        output_cap: endpoint.generates().then(|| output_cap(text, &fields)).transpose()?,
        choices: 1,
        service_tier: service_tier(&fields)?,
        web_search: tools.filter(|tools| tools.web_search).map(|_| "tools"),
        charged_tool: tools.and_then(|tools| tools.charged.clone()),
        input_elsewhere: if tools.is_some_and(|tools| tools.web_fetch) {
            Some("tools")
        } else {
            fields.mcp_servers.as_ref().filter(|servers| servers.0 > 0).map(|_| "mcp_servers")
        },
        user: user_id.filter(|text| !text.is_empty()).map(Cow::into_owned),
        // Anthropic refuses other metadata, so these two come as headers.
        feature: None,
        run: None,
        media: messages.media,
        product: Product::default(),
    })
}

/// `max_tokens`, which must be there: 0 is for filling the cache alone. What thinking may use of it must be less.
fn output_cap(body: &str, fields: &Fields<'_>) -> Result<OutputCap, BadRequest> {
    const CAP: &str = "max_tokens";
    let cap = fields.max_tokens.filter(|raw| raw.get() != "null").ok_or_else(|| BadRequest::missing(CAP))?;
    let thinking = Thinking::read(fields.thinking)?;
    OutputCap::read(body, 0, [(CAP, Some(cap))], |_| CAP)?.with_thinking(body, thinking.budget_tokens)
}

/// The tier, or the speed: both change the price, and the dearer one is told.
fn service_tier(fields: &Fields<'_>) -> Result<Option<String>, BadRequest> {
    let tier = field::string("service_tier", fields.service_tier)?;
    let speed = field::string("speed", fields.speed)?.filter(|speed| speed != "standard");
    Ok(speed.or(tier).map(Cow::into_owned))
}
