//! A request, read once: what it asks for, and its bytes as they go upstream.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use domain::Usage;

use crate::address::{Addressed, Framing};
use crate::anthropic::{self, raw_predict};
use crate::bad_request::BadRequest;
use crate::body::{self, BodyParts, Edit};
use crate::cap::OutputCap;
use crate::converse;
use crate::endpoint::Endpoint;
use crate::form::{self, Form};
use crate::gemini;
use crate::manners::{Manners, Upstream};
use crate::media::{Media, MediaParts};
use crate::openai::{self, Fallback, Preferences};
use crate::product::{Look, Made, Product};
use crate::sound::Length;

/// Tokens that frame a prompt and have no byte in the body: those that begin the answer, and a few spare. What frames
/// a message is fewer tokens than its JSON has bytes.
const FRAME_TOKENS: u64 = 16;

/// A call as its caller wrote it.
#[derive(Clone)]
pub struct Call {
    endpoint: Endpoint,
    body: Bytes,
    asked: Asked,
    framing: Framing,
    head: Vec<(&'static str, String)>,
}

/// What a request asks for, as the reader of its dialect finds it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) model: String,
    /// Where the model's name stands, quotes included; nothing where the address tells it.
    pub(crate) model_span: Option<Range<usize>>,
    /// Whether it stands there. If not, the span is where it is put: the first place in the body, or a null.
    pub(crate) model_stands: bool,
    /// What stands before the name there.
    pub(crate) model_prefix: &'static str,
    /// The models to be tried when that one fails, and where they stand.
    pub(crate) fallbacks: Vec<Fallback>,
    pub(crate) models_span: Option<Range<usize>>,
    pub(crate) stream: bool,
    /// Whether the caller itself wants the usage in the stream, where its dialect lets it choose.
    pub(crate) asked_usage: bool,
    /// What makes a stream tell its usage, if the caller did not ask for it.
    pub(crate) usage_edit: Option<Edit>,
    /// Which providers the caller prefers, and where that stands.
    pub(crate) preferences: Option<Box<Preferences>>,
    pub(crate) preferences_span: Option<Range<usize>>,
    /// Where the value of `stream_options` stands, if it is there.
    pub(crate) stream_options: Option<Range<usize>>,
    /// None where there is no output.
    pub(crate) output_cap: Option<OutputCap>,
    pub(crate) choices: u64,
    pub(crate) service_tier: Option<String>,
    /// The member that asks for searches of the web.
    pub(crate) web_search: Option<&'static str>,
    /// The type of the first tool that the provider runs for a charge of its own.
    pub(crate) charged_tool: Option<String>,
    /// The member that brings input which does not stand in the body.
    pub(crate) input_elsewhere: Option<&'static str>,
    pub(crate) user: Option<String>,
    pub(crate) feature: Option<String>,
    pub(crate) run: Option<String>,
    pub(crate) media: Media,
    /// What is made that is no text.
    pub(crate) product: Product,
}

impl Asked {
    /// A request that asks this model for one thing, which is no text, and for nothing else.
    pub(crate) fn plain(model: String, model_span: Range<usize>) -> Self {
        Self {
            model,
            model_stands: !model_span.is_empty(),
            model_span: Some(model_span),
            model_prefix: "",
            fallbacks: Vec::new(),
            models_span: None,
            stream: false,
            asked_usage: false,
            usage_edit: None,
            preferences: None,
            preferences_span: None,
            stream_options: None,
            output_cap: None,
            choices: 1,
            service_tier: None,
            web_search: None,
            charged_tool: None,
            input_elsewhere: None,
            user: None,
            feature: None,
            run: None,
            media: Media::default(),
            product: Product::default(),
        }
    }
}

impl Call {
    /// Reads a body. All of it must be JSON; what the gateway does not need is passed over and goes upstream as it is.
    ///
    /// # Errors
    /// [`BadRequest`] for a body that is no JSON object or is nested more than 128 levels deep, and for a member that
    /// is missing, has the wrong type, is out of range or stands there twice, naming it.
    pub fn read(endpoint: Endpoint, body: Bytes) -> Result<Self, BadRequest> {
        Self::read_at(endpoint, None, body)
    }

    /// The same of a call whose address tells a part of it: all of Gemini's, which cannot be read without.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_at(
        endpoint: Endpoint,
        addressed: Option<&Addressed>,
        body: Bytes,
    ) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body).map_err(|error| {
            BadRequest::body(format_args!("it is not UTF-8, from byte {} on", error.valid_up_to()))
        })?;
        let asked = match endpoint {
            Endpoint::Chat | Endpoint::Embeddings => openai::read(endpoint, text)?,
            Endpoint::Moderations => openai::read_moderation(text)?,
            Endpoint::Images => openai::read_image(text)?,
            Endpoint::ImageEdits => openai::read_edit(text)?,
            Endpoint::Speech => openai::read_speaking(text)?,
            Endpoint::Transcriptions | Endpoint::Translations => {
                return Err(BadRequest::form("a recording comes in a form, and this is JSON"));
            }
            Endpoint::Messages | Endpoint::CountTokens => anthropic::read(endpoint, text)?,
            Endpoint::Responses => openai::responses::read(text)?,
            Endpoint::Converse => return Err(BadRequest::body("it does not say which model is called")),
            Endpoint::GenerateContent | Endpoint::CountContent => {
                let addressed = addressed.ok_or_else(|| BadRequest::missing("model"))?;
                gemini::read(endpoint, addressed, text)?
            }
        };
        let told = if asked.stream { Framing::Events } else { Framing::Whole };
        let framing = addressed.map_or(told, |addressed| addressed.framing);
        Ok(Self { endpoint, asked, framing, body, head: Vec::new() })
    }

    /// Reads a form, by the header that announced it, which goes upstream with it.
    ///
    /// # Errors
    /// [`BadRequest`] for what is no form, or one that two readers could read in two ways, and for a field that is missing,
    /// has the wrong type, is out of range or stands there twice, naming it.
    pub fn read_form(endpoint: Endpoint, content_type: &str, body: Bytes) -> Result<Self, BadRequest> {
        let form = Form::read(&body, &form::boundary(content_type)?)?;
        let asked = match endpoint {
            Endpoint::Transcriptions | Endpoint::Translations => openai::read_recording(&form)?,
            Endpoint::ImageEdits => openai::read_edit_form(&form)?,
            Endpoint::Chat
            | Endpoint::Responses
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Images
            | Endpoint::Speech
            | Endpoint::Messages
            | Endpoint::CountTokens
            | Endpoint::Converse
            | Endpoint::GenerateContent
            | Endpoint::CountContent => return Err(BadRequest::form("no form is taken here; send JSON")),
        };
        let framing = if asked.stream { Framing::Events } else { Framing::Whole };
        let head = vec![("content-type", content_type.to_owned())];
        Ok(Self { endpoint, asked, framing, body, head })
    }

    /// Reads a body that was written for Converse, whose address tells the model and whether the answer is to be a
    /// stream.
    ///
    /// # Errors
    /// [`BadRequest`] for a body that is no JSON.
    pub(crate) fn of_converse(body: Bytes, model: &str, stream: bool) -> Result<Self, BadRequest> {
        let asked = converse::read(std::str::from_utf8(&body).map_err(BadRequest::body)?, model, stream)?;
        let framing = if stream { Framing::Events } else { Framing::Whole };
        Ok(Self { endpoint: Endpoint::Converse, asked, framing, body, head: Vec::new() })
    }

    /// The same with these headers, which go upstream with it: those of [`Endpoint::head`] that came.
    #[must_use]
    pub fn with_head(mut self, head: Vec<(&'static str, String)>) -> Self {
        self.head.extend(head);
        self
    }

    /// The headers that go with the body to a provider of these manners.
    pub fn upstream_head(&self, manners: Manners) -> impl Iterator<Item = (&'static str, &str)> {
        let head = self.head.iter().map(|(name, text)| (*name, text.as_str()));
        head.filter(move |(name, _)| {
            manners.version_in_body.is_none() || !raw_predict::leaves_out(self.endpoint, name)
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
        &self.asked.model
    }

    /// The models to be tried when that one fails, in order, by OpenRouter's `models`; none of them twice.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.asked.fallbacks
    }

    /// The service tier that was asked for, which can change the price; Anthropic's `speed` is one, too.
    pub fn service_tier(&self) -> Option<&str> {
        self.asked.service_tier.as_deref()
    }

    /// The member by which the provider is to search the web, which it charges for by the search.
    pub const fn web_search(&self) -> Option<&'static str> {
        self.asked.web_search
    }

    /// The type of a tool that the provider runs and charges for by something else than tokens, or that is not known;
    /// at most 256 bytes.
    pub fn charged_tool(&self) -> Option<&str> {
        self.asked.charged_tool.as_deref()
    }

    /// The member by which input comes that does not stand in the body: an earlier response, a tool that fetches. Then
    /// [`input_tokens_bound`](Self::input_tokens_bound) is no bound.
    pub const fn input_elsewhere(&self) -> Option<&'static str> {
        self.asked.input_elsewhere
    }

    /// Which providers the caller prefers, by OpenRouter's `provider`.
    pub fn preferences(&self) -> Option<&Preferences> {
        self.asked.preferences.as_deref()
    }

    /// The body without what is meant for a gateway and not for a provider.
    pub(crate) fn bare_body(&self) -> Bytes {
        // It was text when it was read.
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        let spans = [&self.asked.preferences_span, &self.asked.models_span].into_iter().flatten().cloned();
        let edits = body::without(text, spans);
        if edits.is_empty() {
            return self.body.clone();
        }
        BodyParts::edited(&self.body, edits).into_iter().flatten().collect()
    }

    /// Whether the answer is to be a stream.
    pub const fn stream(&self) -> bool {
        !matches!(self.framing, Framing::Whole)
    }

    /// How the answer is to come.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the caller itself wants the usage at the end of the stream.
    pub const fn asked_usage(&self) -> bool {
        self.asked.asked_usage
    }

    /// The most output tokens of each choice, if the caller names it; 0 for calls that have no output. Where
    /// [`output_is_fixed`](Self::output_is_fixed), what the request as a whole comes to.
    ///
    /// Of `max_completion_tokens` and `max_tokens` the larger one counts where both stand: providers differ in which
    /// they obey, and a hold for the smaller could be escaped by naming a small one that is not obeyed.
    pub fn output_cap(&self) -> Option<u64> {
        self.asked.output_cap.as_ref().map_or(Some(self.asked.product.output_tokens), OutputCap::tokens)
    }

    /// Whether the request alone says how much there is to be at most, and no cap bounds it: of images and audio, but not of
    /// a chat.
    pub const fn output_is_fixed(&self) -> bool {
        self.asked.product.output_tokens > 0
    }

    /// How many images are to be made.
    pub const fn images(&self) -> u64 {
        self.asked.product.images
    }

    /// How the images are to look; none where none are asked for.
    pub fn look(&self) -> Option<&Look> {
        self.asked.product.look.as_deref()
    }

    /// Characters that are to be spoken.
    pub const fn characters(&self) -> u64 {
        self.asked.product.characters
    }

    /// The most time of audio that can be charged, in milliseconds: of what is to be heard, or spoken.
    pub const fn audio_ms(&self) -> u64 {
        self.asked.product.audio_ms
    }

    /// The most time that what is to be heard can have, in milliseconds, whatever its heads say.
    pub fn heard_ms_max(&self) -> u64 {
        self.asked.product.recording.map_or(0, Length::most)
    }

    /// The same in tokens.
    pub fn heard_tokens_max(&self) -> u64 {
        self.heard_ms_max().saturating_mul(openai::HEARD_TOKENS_PER_SECOND).div_ceil(1_000)
    }

    /// What a call with this answer has used beside the prompt's text, where the provider does not tell: in each unit that it
    /// could be charged by, of which the price knows one.
    pub fn reckoned(&self, made: Made) -> Usage {
        self.asked.product.reckoned(made)
    }

    /// Whether an answer that is not streamed is text and not JSON: a transcript, plain or with times.
    pub const fn plain_answer(&self) -> bool {
        self.asked.product.plain_answer
    }

    /// The prompt of a call that came as a form; nothing where it came as JSON.
    pub fn form_prompt(&self) -> Option<Bytes> {
        let form = self.asked.product.form.as_ref()?;
        Some(form.prompt.clone().map_or_else(Bytes::new, |prompt| self.body.slice(prompt)))
    }

    /// The smallest cap on the output that its provider takes, the call being as it is: thinking has a least budget, and
    /// what is said after it comes on top.
    pub fn output_cap_least(&self) -> u64 {
        self.asked.output_cap.as_ref().map_or(0, OutputCap::least)
    }

    /// How many choices are asked for; each has the cap to itself. 1 to 128.
    pub const fn choices(&self) -> u64 {
        self.asked.choices
    }

    /// The end user: `user`, else `safety_identifier`, else `metadata.user`; Anthropic's `metadata.user_id`.
    pub fn user(&self) -> Option<&str> {
        self.asked.user.as_deref()
    }

    /// The caller's feature: `metadata.feature`.
    pub fn feature(&self) -> Option<&str> {
        self.asked.feature.as_deref()
    }

    /// The run of an agent or a job: `metadata.run`.
    pub fn run(&self) -> Option<&str> {
        self.asked.run.as_deref()
    }

    /// How many parts of the prompt are not text.
    pub const fn media(&self) -> MediaParts {
        self.asked.media.parts
    }

    /// The most input tokens that the call can be billed, without counting any.
    ///
    /// For text a true bound: a token is at least one byte. Media that stand in the body are not text and count by
    /// allowances instead, which are bounds for images and audio as OpenAI counts them, and a guess for files.
    pub fn input_tokens_bound(&self) -> u64 {
        self.times(self.text_tokens_bound().saturating_add(self.asked.product.input_tokens))
    }

    /// The same without what came as a file: a recording or an image is not guessed by its bytes.
    pub fn prompt_tokens_bound(&self) -> u64 {
        self.times(self.text_tokens_bound())
    }

    /// Several images are billed as if each had been asked for by itself.
    const fn times(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(if self.asked.product.images > 1 { self.asked.product.images } else { 1 })
    }

    fn text_tokens_bound(&self) -> u64 {
        let bytes = self.asked.product.form.as_ref().map_or(self.body.len(), |form| form.bytes);
        u64::try_from(bytes)
            .unwrap_or(u64::MAX)
            .saturating_sub(self.asked.media.inline_bytes)
            .saturating_add(FRAME_TOKENS)
            .saturating_add(self.media_tokens_bound())
    }

    /// The same of what is not text, by whichever of the models counts it dearest.
    fn media_tokens_bound(&self) -> u64 {
        let others = self.asked.fallbacks.iter().map(|fallback| &fallback.model);
        let bounds = others.chain([&self.asked.model]).map(|model| self.asked.media.tokens_bound(model));
        bounds.max().unwrap_or(0)
    }

    /// The body for the provider: this model's name in place of the caller's, a stream that tells its usage, and at
    /// most this many output tokens for each choice.
    ///
    /// Caps of the caller's that are larger are lowered; where it names none, one is put in by the name that the model
    /// takes. Some providers refuse a cap beyond what the model can put out, so it should be no more than that.
    /// Embeddings have no output, and their body stays.
    pub fn upstream_body(&self, to: &Upstream<'_>) -> BodyParts {
        let mut edits = Vec::with_capacity(4);
        let changes = !self.asked.model_stands || self.asked.model != to.model;
        let named = to.manners.version_in_body.is_none() || self.endpoint.counts();
        if let Some(range) = self.asked.model_span.clone().filter(|_| changes && named) {
            let name = format!("{}{}", self.asked.model_prefix, to.model);
            let name = if self.asked.product.form.is_some() {
                name
            } else {
                serde_json::Value::from(name).to_string()
            };
            let text = if range.is_empty() { format!("\"model\":{name},") } else { name };
            edits.push(Edit { range, text: Bytes::from(text) });
        }
        // It was text when it was read.
        let text = std::str::from_utf8(&self.body).unwrap_or_default();
        let mut surplus = Vec::from_iter(self.asked.models_span.clone());
        if let Some(version) = to.manners.version_in_body {
            edits.push(raw_predict::with_version(text, version));
            surplus.extend(self.asked.model_span.clone().filter(|_| !named));
        }
        if to.manners.stream_options {
            edits.extend(self.asked.usage_edit.clone());
        } else {
            surplus.extend(self.asked.stream_options.clone());
        }
        if !to.manners.preferences {
            surplus.extend(self.asked.preferences_span.clone());
        }
        if let Some(cap) = &self.asked.output_cap {
            // Only a chat's cap goes by several names: any other has the one that its form gives it.
            let name = to.manners.cap.filter(|_| self.endpoint == Endpoint::Chat);
            let to = Upstream { manners: Manners { cap: name, ..to.manners }, ..*to };
            cap.edit(text, &to, &mut edits, &mut surplus);
        }
        edits.extend(body::without(text, surplus));
        BodyParts::edited(&self.body, edits)
    }
}

impl fmt::Debug for Call {
    /// Without the prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("endpoint", &self.endpoint)
            .field("model", &self.asked.model)
            .field("stream", &self.asked.stream)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
