//! The members of a request for messages that the gateway reads, each with the refusal that names it.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::media::MessageParts;
use crate::answer::short;
use crate::bad_request::BadRequest;
use crate::json::{self, Into, Kind, Name, Take};
use crate::members::{self, Members, Refusals};
use crate::messages::Messages;

/// Members that decide what a call costs or where it goes.
// The second and the third are OpenRouter's: it would go on at another model by itself, whose price is not what is held for.
const DECISIVE: [&str; 12] = [
    "model",
    "models",
    "fallbacks",
    "messages",
    "max_tokens",
    "stream",
    "thinking",
    "tools",
    "mcp_servers",
    "service_tier",
    "speed",
    "inference_geo",
];

/// The members of one request, as they stand in its text.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) model: Option<&'a RawValue>,
    pub(super) max_tokens: Option<&'a RawValue>,
    pub(super) stream: Option<&'a RawValue>,
    pub(super) thinking: Option<&'a RawValue>,
    pub(super) service_tier: Option<&'a RawValue>,
    pub(super) speed: Option<&'a RawValue>,
    pub(super) inference_geo: Option<&'a RawValue>,
    pub(super) metadata: Option<&'a RawValue>,
    pub(super) messages: Option<Messages<MessageParts>>,
    pub(super) tools: Option<Tools>,
    pub(super) mcp_servers: Option<Servers>,
}

impl<'a> Fields<'a> {
    /// Reads a whole body.
    pub(super) fn read(body: &'a str) -> Result<Self, BadRequest> {
        members::read(body, Self::default())
    }
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "model" => &mut self.model,
            "max_tokens" => &mut self.max_tokens,
            "stream" => &mut self.stream,
            "thinking" => &mut self.thinking,
            "service_tier" => &mut self.service_tier,
            "speed" => &mut self.speed,
            "inference_geo" => &mut self.inference_geo,
            "metadata" => &mut self.metadata,
            "messages" => return refusals.once(&mut self.messages, name, map),
            "tools" => return refusals.once(&mut self.tools, name, map),
            "mcp_servers" => return refusals.once(&mut self.mcp_servers, name, map),
            _ => return refusals.unread(name, &DECISIVE, map),
        };
        refusals.raw(slot, name, map)
    }
}

/// The tools of a request: which of them the provider itself runs, and what that means for the bill.
#[derive(Default)]
pub(super) struct Tools {
    /// Searches of the web, charged for by the search.
    pub(super) web_search: bool,
    /// Documents that the provider fetches, which become input.
    pub(super) web_fetch: bool,
    /// The type of the first tool that is charged for by something else: a machine of the provider's, by the hour.
    pub(super) charged: Option<String>,
}

impl<'de> Take<'de> for Tools {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(tool) = seq.next_element::<&RawValue>()? {
            json::check_depth(tool.get())?;
            // A tool that is no object is the provider's to refuse.
            drop(json::read(tool.get(), self));
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name != "type" {
                json::skip(&mut map)?;
                continue;
            }
            let mut kind = None::<Cow<'de, str>>;
            map.next_value_seed(Into(&mut kind))?;
            let is = |prefix: &str| kind.as_deref().is_some_and(|kind| kind.starts_with(prefix));
            self.web_search |= is("web_search");
            self.web_fetch |= is("web_fetch");
            if is("code_execution") && self.charged.is_none() {
                self.charged = kind.as_deref().map(short);
            }
        }
        Ok(())
    }
}

/// The servers whose tools the provider calls: how many there are.
#[derive(Default)]
pub(super) struct Servers(pub(super) u64);

impl<'de> Take<'de> for Servers {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            json::check_depth(item.get())?;
            self.0 = self.0.saturating_add(1);
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Name)?.is_some() {
            json::skip_shallow(&mut map)?;
        }
        Ok(())
    }
}

/// The member of `thinking` that bounds it.
#[derive(Default)]
pub(super) struct Thinking<'a> {
    pub(super) budget_tokens: Option<&'a RawValue>,
    duplicate: bool,
}

impl<'a> Thinking<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Result<Self, BadRequest> {
        let mut thinking = Self::default();
        let Some(text) = object("thinking", raw)? else { return Ok(thinking) };
        json::read(text, &mut thinking).map_err(BadRequest::body)?;
        if thinking.duplicate {
            return Err(BadRequest::duplicate("thinking.budget_tokens"));
        }
        Ok(thinking)
    }
}

impl<'a> Take<'a> for Thinking<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name == "budget_tokens" {
                self.duplicate |= self.budget_tokens.replace(map.next_value()?).is_some();
            } else {
                json::skip(&mut map)?;
            }
        }
        Ok(())
    }
}

/// The member of `metadata` by which a caller says for whom it calls. Anthropic takes no other.
#[derive(Default)]
pub(super) struct Metadata<'a> {
    pub(super) user_id: Option<Cow<'a, str>>,
}

impl<'a> Metadata<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Result<Self, BadRequest> {
        let mut metadata = Self::default();
        if let Some(text) = object("metadata", raw)? {
            json::read(text, &mut metadata).map_err(BadRequest::body)?;
        }
        Ok(metadata)
    }
}

impl<'a> Take<'a> for Metadata<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "user_id" => map.next_value_seed(Into(&mut self.user_id))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// The text of an optional object.
fn object<'a>(param: &str, raw: Option<&'a RawValue>) -> Result<Option<&'a str>, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let kind = Kind::of(text);
    if kind == Kind::Object { Ok(Some(text)) } else { Err(BadRequest::mistyped(param, "an object", kind)) }
}
