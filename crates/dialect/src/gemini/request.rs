//! What a request for content asks for.

use std::ops::Range;

use serde_json::value::RawValue;

use super::fields::{CANDIDATES, CAP, Fields, Generation};
use crate::address::Addressed;
use crate::bad_request::BadRequest;
use crate::body::{after_brace, span};
use crate::call::Asked;
use crate::cap::OutputCap;
use crate::endpoint::Endpoint;
use crate::field;
use crate::json::Kind;
use crate::media::Media;
use crate::product::Product;

/// Google's limit.
const CANDIDATES_MAX: u64 = 8;

/// Reads the body of a request for content, or of one for a prompt's length. The model stands in the address.
pub(crate) fn read(endpoint: Endpoint, addressed: &Addressed, text: &str) -> Result<Asked, BadRequest> {
    field::check_model("model", &addressed.model)?;
    let body = Fields::read(text)?;
    // A count may be asked for of a whole request instead of contents.
    let inner = match body.counted.filter(|_| !endpoint.generates()) {
        Some(request) if body.contents.is_none() => Some(Fields::read(request.get())?),
        Some(_) => return Err(BadRequest::one_of("contents", "generateContentRequest")),
        None => None,
    };
    let fields = inner.as_ref().unwrap_or(&body);
    let generation = Generation::read(fields.generation_config)?;
    let (media, input_elsewhere) = input(fields)?;
    let tools = fields.tools.as_ref();
    let choices = field::integer(CANDIDATES, generation.candidate_count, 1..=CANDIDATES_MAX)?.unwrap_or(1);
    let tier = field::string("serviceTier", fields.service_tier)?;
    let output_cap = endpoint.generates().then(|| output_cap(text, fields, &generation)).transpose()?;
    Ok(Asked {
        model: addressed.model.clone(),
        model_span: model_span(text, fields, &addressed.model)?,
        model_stands: true,
        model_prefix: PREFIX,
        fallbacks: Vec::new(),
        models_span: None,
        // The address tells it.
        stream: false,
        // There is no stream without it.
        asked_usage: true,
        usage_edit: None,
        stream_options: None,
        preferences: None,
        preferences_span: None,
        output_cap,
        choices: if endpoint.generates() { choices } else { 1 },
        service_tier: tier.map(|tier| tier.to_ascii_lowercase()),
        web_search: tools.filter(|tools| tools.web_search).map(|_| "tools"),
        charged_tool: tools.and_then(|tools| tools.charged.clone()),
        input_elsewhere,
        // There is no member for them, so they come as headers.
        user: None,
        feature: None,
        run: None,
        media,
        product: Product::default(),
    })
}

/// What comes before the name of a model where a body tells one.
const PREFIX: &str = "models/";

/// What of the input is not text, and the member by which input comes whose length the body does not tell.
fn input(fields: &Fields<'_>) -> Result<(Media, Option<&'static str>), BadRequest> {
    let contents = fields.contents.as_ref().ok_or_else(|| BadRequest::missing("contents"))?;
    contents.check()?;
    let cached = field::string("cachedContent", fields.cached_content)?.filter(|name| !name.is_empty());
    let elsewhere = match fields.tools.as_ref() {
        _ if cached.is_some() => Some("cachedContent"),
        _ if contents.is_unbounded => Some("contents"),
        _ if fields.system.as_ref().is_some_and(|system| system.is_unbounded) => Some("systemInstruction"),
        Some(tools) if tools.fetches => Some("tools"),
        Some(_) | None => None,
    };
    Ok((contents.media, elsewhere))
}

/// `generationConfig.maxOutputTokens`, which caps thoughts and answer together, or the place where it can be put in.
fn output_cap(body: &str, fields: &Fields<'_>, generation: &Generation<'_>) -> Result<OutputCap, BadRequest> {
    const NAME: &str = "maxOutputTokens";
    field::integer(CAP, generation.max_output_tokens, 1..=u64::MAX)?;
    let cap = OutputCap::read(body, 1, [(NAME, generation.max_output_tokens)], |_| NAME)?;
    Ok(match fields.generation_config.map(RawValue::get) {
        None => cap.within(after_brace(body, body), "\"generationConfig\":{", "},"),
        Some(null) if Kind::of(null) == Kind::Null => cap.within(span(body, null), "{", "}"),
        Some(object) if generation.is_empty => cap.within(after_brace(body, object), "", ""),
        Some(object) => cap.within(after_brace(body, object), "", ","),
    })
}

/// Where the body names the model once more, which must be the address's.
fn model_span(body: &str, fields: &Fields<'_>, model: &str) -> Result<Option<Range<usize>>, BadRequest> {
    let Some(named) = field::string("model", fields.model)? else { return Ok(None) };
    if named.strip_prefix(PREFIX).unwrap_or(&named) != model {
        return Err(BadRequest::other_than_address("model"));
    }
    Ok(fields.model.map(|raw| span(body, raw.get())))
}
