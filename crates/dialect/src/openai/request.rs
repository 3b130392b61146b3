//! What a chat or an embedding asks for.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::fallbacks;
use super::fields::{Fields, Metadata, StreamOptionsFields};
use super::preferences::Preferences;
use crate::bad_request::BadRequest;
use crate::body::{Edit, after_brace, span};
use crate::call::Asked;
use crate::cap::OutputCap;
use crate::endpoint::Endpoint;
use crate::field;
use crate::media::Media;
use crate::product::Product;
use crate::tokens;

/// OpenAI's limit.
const CHOICES_MAX: u64 = 128;

/// Reads the body of a chat or an embedding.
pub(crate) fn read(endpoint: Endpoint, text: &str) -> Result<Asked, BadRequest> {
    let fields = Fields::read(endpoint, text)?;
    let named = fallbacks::read(text, fields.model, fields.models)?;
    let media = prompt(endpoint, &fields)?;
    let (stream, asked_usage, usage_edit) = if endpoint.generates() {
        streaming(text, fields.stream, fields.stream_options)?
    } else {
        (false, false, None)
    };
    let (output_cap, choices) = if endpoint.generates() {
        (Some(output_cap(text, &fields)?), field::integer("n", fields.n, 1..=CHOICES_MAX)?.unwrap_or(1))
    } else {
        (None, 1)
    };
    let service_tier = field::string("service_tier", fields.service_tier)?.map(Cow::into_owned);
    let user = field::string("user", fields.user)?;
    let safety_identifier = field::string("safety_identifier", fields.safety_identifier)?;
    let metadata = Metadata::read(fields.metadata)?;
    let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
    Ok(Asked {
        model: named.model,
        model_span: Some(named.span),
        model_prefix: "",
        model_stands: named.stands,
        fallbacks: named.fallbacks,
        models_span: named.models,
        stream,
        asked_usage,
        usage_edit,
        stream_options: fields.stream_options.map(|options| span(text, options.get())),
        output_cap,
        choices,
        service_tier,
        web_search: fields
            .web_search_options
            .filter(|options| options.get() != "null")
            .map(|_| "web_search_options"),
        preferences: Preferences::read(fields.provider)?,
        preferences_span: fields.provider.map(|provider| span(text, provider.get())),
        charged_tool: None,
        input_elsewhere: None,
        user: told(user).or_else(|| told(safety_identifier)).or_else(|| told(metadata.user)),
        feature: told(metadata.feature),
        run: told(metadata.run),
        media,
        product: Product::default(),
    })
}

/// Checks that there is a prompt.
fn prompt(endpoint: Endpoint, fields: &Fields<'_>) -> Result<Media, BadRequest> {
    if endpoint.generates() {
        let messages = fields.messages.as_ref().ok_or_else(|| BadRequest::missing("messages"))?;
        messages.check()?;
        return Ok(messages.media);
    }
    fields.input.as_ref().ok_or_else(|| BadRequest::missing("input"))?.check()?;
    Ok(Media::default())
}

/// Whether to stream, whether the caller wants usage, and the edit that makes the provider tell it.
fn streaming(
    body: &str,
    stream: Option<&RawValue>,
    options: Option<&RawValue>,
) -> Result<(bool, bool, Option<Edit>), BadRequest> {
    let stream = field::boolean("stream", stream)?.unwrap_or(false);
    let options = options.map(RawValue::get);
    let text = match options {
        Some(text) if text != "null" => text,
        Some(_) | None if !stream => return Ok((false, false, None)),
        Some(null) => {
            let edit =
                Edit { range: span(body, null), text: Bytes::from_static(b"{\"include_usage\":true}") };
            return Ok((true, false, Some(edit)));
        }
        None => {
            let text = Bytes::from_static(b"\"stream_options\":{\"include_usage\":true},");
            return Ok((true, false, Some(Edit { range: after_brace(body, body), text })));
        }
    };
    let read = StreamOptionsFields::read(text)?;
    if !stream {
        return Err(BadRequest::options_without_stream());
    }
    let asked = field::boolean("stream_options.include_usage", read.include_usage)?.unwrap_or(false);
    let edit = match read.include_usage {
        _ if asked => None,
        Some(value) => Some(Edit { range: span(body, value.get()), text: Bytes::from_static(b"true") }),
        None => {
            let member: &[u8] =
                if read.is_empty { b"\"include_usage\":true" } else { b"\"include_usage\":true," };
            Some(Edit { range: after_brace(body, text), text: Bytes::from_static(member) })
        }
    };
    Ok((true, asked, edit))
}

/// `max_tokens` and the member that came to replace it, `max_completion_tokens`, as far as they are there.
fn output_cap(body: &str, fields: &Fields<'_>) -> Result<OutputCap, BadRequest> {
    let members = [(OLD_CAP, fields.max_tokens), (NEW_CAP, fields.max_completion_tokens)];
    OutputCap::read(body, 1, members, |model| if takes_new_name(model) { NEW_CAP } else { OLD_CAP })
}

const OLD_CAP: &str = "max_tokens";
const NEW_CAP: &str = "max_completion_tokens";

/// Whether a model's provider must be told `max_completion_tokens` and not `max_tokens`.
///
/// No name is known everywhere. OpenAI refuses the old one for its reasoning models (the o series, GPT-5 and later)
/// and takes the new one for all; Mistral refuses the new one, and some servers for open models pass over it, which is
/// no cap at all. The address does not tell who serves, so the model's name decides: the new member for the families
/// that OpenAI alone serves and made with it in mind, the old one, which every other server knows, for the rest.
pub(crate) fn takes_new_name(model: &str) -> bool {
    let name = tokens::family_name(model);
    if let Some(rest) = name.strip_prefix('o') {
        return rest.starts_with(|first: char| first.is_ascii_digit());
    }
    let Some(version) = name.strip_prefix("gpt-") else { return false };
    let (major, rest) = leading_number(version);
    // Azure has no dots in the names of deployments, hence gpt-35.
    let Some(major) = major.filter(|major| *major != 35) else { return false };
    let minor = rest.strip_prefix('.').and_then(|rest| leading_number(rest).0).unwrap_or(0);
    (major, minor) >= (4, 1)
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &str) -> (Option<u32>, &str) {
    let end = text.find(|at: char| !at.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (digits.parse().ok(), rest)
}
