//! The members of a request that the gateway reads, each with the refusal that names it.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::media::ChatParts;
use crate::bad_request::BadRequest;
use crate::endpoint::Endpoint;
use crate::json::{self, Into, Kind, Name, Take};
use crate::members::{self, Members, Refusals};
use crate::messages::Messages;

/// Members that decide what a call costs or where it goes.
const DECISIVE: [&str; 9] = [
    "model",
    "models",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "service_tier",
];

/// The members of one request, as they stand in its text.
pub(super) struct Fields<'a> {
    endpoint: Endpoint,
    pub(super) model: Option<&'a RawValue>,
    pub(super) models: Option<&'a RawValue>,
    pub(super) stream: Option<&'a RawValue>,
    pub(super) stream_options: Option<&'a RawValue>,
    pub(super) max_tokens: Option<&'a RawValue>,
    pub(super) max_completion_tokens: Option<&'a RawValue>,
    pub(super) n: Option<&'a RawValue>,
    pub(super) service_tier: Option<&'a RawValue>,
    pub(super) web_search_options: Option<&'a RawValue>,
    pub(super) provider: Option<&'a RawValue>,
    pub(super) user: Option<&'a RawValue>,
    pub(super) safety_identifier: Option<&'a RawValue>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) messages: Option<Messages<ChatParts>>,
    pub(super) input: Option<Input>,
}

impl<'a> Fields<'a> {
    /// Reads a whole body.
    pub(super) fn read(endpoint: Endpoint, body: &'a str) -> Result<Self, BadRequest> {
        let fields = Self {
            endpoint,
            model: None,
            models: None,
            stream: None,
            stream_options: None,
            max_tokens: None,
            max_completion_tokens: None,
            n: None,
            service_tier: None,
            web_search_options: None,
            provider: None,
            user: None,
            safety_identifier: None,
            metadata: None,
            messages: None,
            input: None,
        };
        members::read(body, fields)
    }
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        let slot = match (name, self.endpoint) {
            ("model", _) => &mut self.model,
            ("models", Endpoint::Chat) => &mut self.models,
            ("stream", _) => &mut self.stream,
            ("stream_options", _) => &mut self.stream_options,
            ("max_tokens", _) => &mut self.max_tokens,
            ("max_completion_tokens", _) => &mut self.max_completion_tokens,
            ("n", _) => &mut self.n,
            ("service_tier", _) => &mut self.service_tier,
            ("web_search_options", Endpoint::Chat) => &mut self.web_search_options,
            ("provider", Endpoint::Chat) => &mut self.provider,
            ("user", _) => &mut self.user,
            ("safety_identifier", _) => &mut self.safety_identifier,
            ("metadata", _) => &mut self.metadata,
            ("messages", Endpoint::Chat) => return refusals.once(&mut self.messages, name, map),
            ("input", Endpoint::Embeddings) => return refusals.once(&mut self.input, name, map),
            _ => return refusals.unread(name, &DECISIVE, map),
        };
        refusals.raw(slot, name, map)
    }
}

/// What is to be embedded: text, texts, tokens, or lists of tokens.
#[derive(Default)]
pub(super) struct Input {
    kind: Option<Kind>,
    /// What the items are, once there is one.
    items: Option<Kind>,
    /// The first item that does not fit.
    misfit: Option<Kind>,
}

const INPUT_EXPECTED: &str =
    "a string, an array of strings, an array of integers or an array of arrays of integers";

impl Input {
    pub(super) fn check(&self) -> Result<(), BadRequest> {
        let got: Cow<'_, str> = match (self.kind, self.misfit, self.items) {
            (Some(Kind::String), ..) | (Some(Kind::Array), None, Some(_)) => return Ok(()),
            (Some(Kind::Array), None, None) => return Err(BadRequest::empty_array("input")),
            (Some(Kind::Array), Some(misfit), _) => format!("an array with {misfit} in it").into(),
            (kind, ..) => kind.unwrap_or(Kind::Null).to_string().into(),
        };
        Err(BadRequest::mistyped("input", INPUT_EXPECTED, got))
    }
}

impl<'de> Take<'de> for Input {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        let mut item = Item::default();
        while seq.next_element_seed(Into(&mut item))?.is_some() {
            let fits = matches!(item.kind, Some(Kind::String | Kind::Integer | Kind::Array));
            if item.misfit.is_none() && (!fits || self.items.is_some_and(|items| Some(items) != item.kind)) {
                item.misfit = item.kind;
            }
            self.items = self.items.or(item.kind);
            self.misfit = self.misfit.or(item.misfit);
        }
        Ok(())
    }
}

/// One item of the input; an array must hold integers.
#[derive(Default)]
struct Item {
    kind: Option<Kind>,
    misfit: Option<Kind>,
}

impl<'de> Take<'de> for Item {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        let mut token = Token(None);
        while seq.next_element_seed(Into(&mut token))?.is_some() {
            self.misfit = self.misfit.or(token.0.filter(|kind| *kind != Kind::Integer));
        }
        Ok(())
    }
}

struct Token(Option<Kind>);

impl Take<'_> for Token {
    fn kind(&mut self, kind: Kind) {
        self.0 = Some(kind);
    }
}

/// The members of `stream_options` that the gateway reads.
#[derive(Default)]
pub(super) struct StreamOptionsFields<'a> {
    pub(super) include_usage: Option<&'a RawValue>,
    pub(super) is_empty: bool,
    duplicate: bool,
}

impl<'a> StreamOptionsFields<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, BadRequest> {
        let kind = Kind::of(text);
        if kind != Kind::Object {
            return Err(BadRequest::mistyped("stream_options", "an object", kind));
        }
        let mut fields = Self { is_empty: true, ..Self::default() };
        json::read(text, &mut fields).map_err(BadRequest::body)?;
        if fields.duplicate {
            return Err(BadRequest::duplicate("stream_options.include_usage"));
        }
        Ok(fields)
    }
}

impl<'a> Take<'a> for StreamOptionsFields<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.is_empty = false;
            if name != "include_usage" {
                json::skip(&mut map)?;
                continue;
            }
            self.duplicate |= self.include_usage.replace(map.next_value()?).is_some();
        }
        Ok(())
    }
}

/// The members of `metadata` by which a caller says for whom and for what it calls; others are the caller's business.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) feature: Option<Cow<'a, str>>,
    pub(super) run: Option<Cow<'a, str>>,
}

impl<'a> Metadata<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Result<Self, BadRequest> {
        let mut metadata = Self::default();
        let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(metadata) };
        let kind = Kind::of(text);
        if kind != Kind::Object {
            return Err(BadRequest::mistyped("metadata", "an object", kind));
        }
        json::read(text, &mut metadata).map_err(BadRequest::body)?;
        Ok(metadata)
    }
}

impl<'a> Take<'a> for Metadata<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "user" => map.next_value_seed(Into(&mut self.user))?,
                "feature" => map.next_value_seed(Into(&mut self.feature))?,
                "run" => map.next_value_seed(Into(&mut self.run))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
