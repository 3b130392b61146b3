//! The members of a request for messages that the gateway reads, each with the refusal that names it.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::media::Blocks;
use crate::answer::short;
use crate::bad_request::BadRequest;
use crate::field;
use crate::json::{self, Into, Kind, Name, Take};
use crate::media::Media;

/// Members that decide what a call costs or where it goes.
const DECISIVE: [&str; 10] = [
    "model",
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

/// The members of one request, as they stand in its text. One that is read here may stand only once.
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
    pub(super) messages: Option<Messages>,
    pub(super) tools: Option<Tools>,
    pub(super) mcp_servers: Option<Servers>,
    refused: Option<BadRequest>,
}

impl<'a> Fields<'a> {
    /// Reads a whole body: all of it must be JSON, and an object.
    pub(super) fn read(body: &'a str) -> Result<Self, BadRequest> {
        let mut fields = Self::default();
        json::read(body, &mut fields).map_err(BadRequest::body)?;
        match fields.refused.take() {
            Some(refused) => Err(refused),
            None => Ok(fields),
        }
    }

    fn refuse(&mut self, refusal: BadRequest) {
        self.refused.get_or_insert(refusal);
    }

    fn member<A: MapAccess<'a>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let slot = match name {
            "model" => &mut self.model,
            "max_tokens" => &mut self.max_tokens,
            "stream" => &mut self.stream,
            "thinking" => &mut self.thinking,
            "service_tier" => &mut self.service_tier,
            "speed" => &mut self.speed,
            "inference_geo" => &mut self.inference_geo,
            "metadata" => &mut self.metadata,
            "messages" => return self.once(name, map, |fields| &mut fields.messages),
            "tools" => return self.once(name, map, |fields| &mut fields.tools),
            "mcp_servers" => return self.once(name, map, |fields| &mut fields.mcp_servers),
            _ => {
                if let Some(meant) = field::disguised(name, &DECISIVE) {
                    self.refuse(BadRequest::disguised(name, meant));
                }
                return json::skip_shallow(map);
            }
        };
        let value = map.next_value::<&'a RawValue>()?;
        if slot.replace(value).is_some() {
            self.refuse(BadRequest::duplicate(name));
        }
        json::check_depth(value.get())
    }

    fn once<A: MapAccess<'a>, T: Take<'a> + Default>(
        &mut self,
        name: &str,
        map: &mut A,
        slot: impl FnOnce(&mut Self) -> &mut Option<T>,
    ) -> Result<(), A::Error> {
        let mut value = T::default();
        map.next_value_seed(Into(&mut value))?;
        if slot(self).replace(value).is_some() {
            self.refuse(BadRequest::duplicate(name));
        }
        Ok(())
    }
}

impl<'a> Take<'a> for Fields<'a> {
    fn kind(&mut self, kind: Kind) {
        if kind != Kind::Object {
            self.refuse(BadRequest::body(format_args!("expected an object, but got {kind} instead")));
        }
    }

    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.member(&name, &mut map)?;
        }
        Ok(())
    }
}

/// The messages: an array, and how much of it is not text.
#[derive(Default)]
pub(super) struct Messages {
    kind: Option<Kind>,
    len: usize,
    pub(super) media: Media,
}

impl Messages {
    pub(super) fn check(&self) -> Result<(), BadRequest> {
        match self.kind {
            Some(Kind::Array) if self.len == 0 => Err(BadRequest::empty_array("messages")),
            Some(Kind::Array) => Ok(()),
            kind => Err(BadRequest::mistyped("messages", "an array of objects", kind.unwrap_or(Kind::Null))),
        }
    }
}

impl<'de> Take<'de> for Messages {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Into(&mut Message(&mut self.media)))?.is_some() {
            self.len += 1;
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

/// One message, of which only media matter here.
struct Message<'m>(&'m mut Media);

impl<'de> Take<'de> for Message<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name == "content" {
                Blocks::read(&mut map, self.0)?;
            } else {
                json::skip_shallow(&mut map)?;
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            json::check_depth(item.get())?;
        }
        Ok(())
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
