//! A request, read once: what it asks for, and its bytes as they go upstream.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Endpoint;
use super::bad_request::BadRequest;
use super::body::{BodyParts, Edit, after_brace, span};
use super::cap::OutputCap;
use super::fields::{self, Fields, Metadata, StreamOptionsFields};
use super::media::{Media, MediaParts};

/// Longer model names are nobody's.
const MODEL_BYTES_MAX: usize = 256;

/// OpenAI's limit.
const CHOICES_MAX: u64 = 128;

/// Tokens that frame a prompt and have no byte in the body: those that begin the answer, and a few spare. What frames
/// a message is fewer tokens than its JSON has bytes.
const FRAME_TOKENS: u64 = 16;

/// A call as its caller wrote it.
#[derive(Clone)]
pub struct Call {
    endpoint: Endpoint,
    body: Bytes,
    model: String,
    /// Where the model's name stands, quotes included.
    model_span: Range<usize>,
    stream: bool,
    asked_usage: bool,
    /// What makes a stream tell its usage, if the caller did not ask for it.
    usage_edit: Option<Edit>,
    /// None for embeddings, which have no output.
    output_cap: Option<OutputCap>,
    choices: u64,
    service_tier: Option<String>,
    web_search: bool,
    user: Option<String>,
    feature: Option<String>,
    run: Option<String>,
    media: Media,
}

impl Call {
    /// Reads a body. All of it must be JSON; what the gateway does not need is passed over and goes upstream as it is.
    ///
    /// # Errors
    /// [`BadRequest`] for a body that is no JSON object or is nested more than 128 levels deep, and for a member that
    /// is missing, has the wrong type, is out of range or stands there twice, naming it.
    pub fn read(endpoint: Endpoint, body: Bytes) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body).map_err(|error| {
            BadRequest::body(format_args!("it is not UTF-8, from byte {} on", error.valid_up_to()))
        })?;
        let fields = Fields::read(endpoint, text)?;
        let (model, model_text) = fields::model(fields.model, MODEL_BYTES_MAX)?;
        let media = prompt(endpoint, &fields)?;
        let (stream, asked_usage, usage_edit) = match endpoint {
            Endpoint::Chat => streaming(text, fields.stream, fields.stream_options)?,
            Endpoint::Embeddings => (false, false, None),
        };
        let (output_cap, choices) = match endpoint {
            Endpoint::Chat => (
                Some(OutputCap::read(text, &fields)?),
                fields::integer("n", fields.n, 1..=CHOICES_MAX)?.unwrap_or(1),
            ),
            Endpoint::Embeddings => (None, 1),
        };
        let service_tier = fields::string("service_tier", fields.service_tier)?.map(Cow::into_owned);
        let user = fields::string("user", fields.user)?;
        let safety_identifier = fields::string("safety_identifier", fields.safety_identifier)?;
        let metadata = Metadata::read(fields.metadata)?;
        let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        Ok(Self {
            endpoint,
            model_span: span(text, model_text),
            model,
            stream,
            asked_usage,
            usage_edit,
            output_cap,
            choices,
            service_tier,
            web_search: fields.web_search_options.is_some_and(|options| options.get() != "null"),
            user: told(user).or_else(|| told(safety_identifier)).or_else(|| told(metadata.user)),
            feature: told(metadata.feature),
            run: told(metadata.run),
            media,
            body,
        })
    }

    /// What is called.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The body as it came.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The model that was asked for, decoded; 1 to 256 bytes.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The service tier that was asked for, which can change the price.
    pub fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Whether the provider is to search the web, which it charges for by the search.
    pub const fn web_search(&self) -> bool {
        self.web_search
    }

    /// Whether the answer is to be a stream.
    pub const fn stream(&self) -> bool {
        self.stream
    }

    /// Whether the caller itself wants the usage at the end of the stream.
    pub const fn asked_usage(&self) -> bool {
        self.asked_usage
    }

    /// The most output tokens of each choice, if the caller names it; 0 for embeddings, which have no output.
    ///
    /// Of `max_completion_tokens` and `max_tokens` the larger one counts where both stand: providers differ in which
    /// they obey, and a hold for the smaller could be escaped by naming a small one that is not obeyed.
    pub fn output_cap(&self) -> Option<u64> {
        self.output_cap.as_ref().map_or(Some(0), OutputCap::tokens)
    }

    /// How many choices are asked for; each has the cap to itself. 1 to 128.
    pub const fn choices(&self) -> u64 {
        self.choices
    }

    /// The end user: `user`, else `safety_identifier`, else `metadata.user`.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The caller's feature: `metadata.feature`.
    pub fn feature(&self) -> Option<&str> {
        self.feature.as_deref()
    }

    /// The run of an agent or a job: `metadata.run`.
    pub fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// How many parts of the prompt are not text.
    pub const fn media(&self) -> MediaParts {
        self.media.parts
    }

    /// The most input tokens that the call can be billed, without counting any.
    ///
    /// For text a true bound: a token is at least one byte. Media that stand in the body are not text and count by
    /// allowances instead, which are bounds for images and audio as OpenAI counts them, and a guess for files.
    pub fn input_tokens_bound(&self) -> u64 {
        let bytes = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        bytes
            .saturating_sub(self.media.inline_bytes)
            .saturating_add(FRAME_TOKENS)
            .saturating_add(self.media.tokens_bound(&self.model))
    }

    /// The body for the provider: this model's name in place of the caller's, and a stream that tells its usage.
    pub fn upstream_body(&self, upstream_model: &str) -> BodyParts {
        BodyParts::edited(&self.body, self.edits(upstream_model))
    }

    /// The same with at most this many output tokens for each choice.
    ///
    /// Caps of the caller's that are larger are lowered; where it names none, one is put in by the name that the model
    /// takes. Some providers refuse a cap beyond what the model can put out, so this should be no more than that.
    /// Embeddings have no output, and their body stays.
    pub fn upstream_body_capped(&self, upstream_model: &str, output_cap: NonZeroU64) -> BodyParts {
        let mut edits = self.edits(upstream_model);
        if let Some(cap) = &self.output_cap {
            cap.lower(output_cap, upstream_model, &mut edits);
        }
        BodyParts::edited(&self.body, edits)
    }

    fn edits(&self, upstream_model: &str) -> Vec<Edit> {
        let mut edits = Vec::with_capacity(4);
        if self.model != upstream_model {
            let text = Bytes::from(serde_json::Value::from(upstream_model).to_string());
            edits.push(Edit { range: self.model_span.clone(), text });
        }
        edits.extend(self.usage_edit.clone());
        edits
    }
}

impl fmt::Debug for Call {
    /// Without the prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("endpoint", &self.endpoint)
            .field("model", &self.model)
            .field("stream", &self.stream)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Checks that there is a prompt.
fn prompt(endpoint: Endpoint, fields: &Fields<'_>) -> Result<Media, BadRequest> {
    match endpoint {
        Endpoint::Chat => {
            let messages = fields.messages.as_ref().ok_or_else(|| BadRequest::missing("messages"))?;
            messages.check()?;
            Ok(messages.media)
        }
        Endpoint::Embeddings => {
            fields.input.as_ref().ok_or_else(|| BadRequest::missing("input"))?.check()?;
            Ok(Media::default())
        }
    }
}

/// Whether to stream, whether the caller wants usage, and the edit that makes the provider tell it.
fn streaming(
    body: &str,
    stream: Option<&RawValue>,
    options: Option<&RawValue>,
) -> Result<(bool, bool, Option<Edit>), BadRequest> {
    let stream = fields::boolean("stream", stream)?.unwrap_or(false);
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
    let asked = fields::boolean("stream_options.include_usage", read.include_usage)?.unwrap_or(false);
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
