//! What a request in Converse's form asks for. It is one that a conversion wrote, so every member stands there once and by
//! its own name.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::usage::Tier;
use crate::bad_request::BadRequest;
use crate::call::Asked;
use crate::cap::OutputCap;
use crate::json::{self, Into, Name, Take};
use crate::media::Media;
use crate::product::Product;

/// The member of `inferenceConfig` that caps an answer.
const CAP: &str = "maxTokens";

/// Reads a body. The model, and whether the answer is to be a stream, stand in the address.
pub(crate) fn read(text: &str, model: &str, stream: bool) -> Result<Asked, BadRequest> {
    let mut fields = Fields::default();
    json::read(text, &mut fields).map_err(BadRequest::body)?;
    let Fields { cap, thinking_budget, tier, media } = fields;
    let cap = OutputCap::read(text, 1, [(CAP, cap)], |_| CAP)?.with_thinking(text, thinking_budget)?;
    Ok(Asked {
        model: model.to_owned(),
        model_span: None,
        model_prefix: "",
        model_stands: false,
        fallbacks: Vec::new(),
        models_span: None,
        stream,
        // There is no stream without it.
        asked_usage: true,
        usage_edit: None,
        preferences: None,
        preferences_span: None,
        stream_options: None,
        output_cap: Some(cap),
        choices: 1,
        service_tier: tier.0.map(Cow::into_owned),
        web_search: None,
        charged_tool: None,
        input_elsewhere: None,
        user: None,
        feature: None,
        run: None,
        media,
        product: Product::default(),
    })
}

/// The members that decide what a call costs.
#[derive(Default)]
struct Fields<'a> {
    cap: Option<&'a RawValue>,
    thinking_budget: Option<&'a RawValue>,
    tier: Tier<'a>,
    media: Media,
}

impl<'a> Take<'a> for Fields<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "inferenceConfig" => {
                    map.next_value_seed(Into(&mut Member { path: &[CAP], found: &mut self.cap }))?
                }
                "additionalModelRequestFields" => {
                    let path = &["thinking", "budget_tokens"];
                    map.next_value_seed(Into(&mut Member { path, found: &mut self.thinking_budget }))?;
                }
                "serviceTier" => map.next_value_seed(Into(&mut self.tier))?,
                "messages" | "system" => map.next_value_seed(Into(&mut Content(&mut self.media)))?,
                _ => json::skip_shallow(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A member of an object, or of an object in it.
struct Member<'a, 'f> {
    path: &'f [&'f str],
    found: &'f mut Option<&'a RawValue>,
}

impl<'a> Take<'a> for Member<'a, '_> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match self.path.split_first() {
                Some((first, [])) if *first == name => *self.found = Some(map.next_value()?),
                Some((first, rest)) if *first == name => {
                    map.next_value_seed(Into(&mut Member { path: rest, found: &mut *self.found }))?;
                }
                Some(_) | None => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Messages, blocks of them and results of calls: what of them is not text.
struct Content<'m>(&'m mut Media);

impl<'de> Take<'de> for Content<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "content" | "toolResult" => map.next_value_seed(Into(self))?,
                "image" => {
                    let mut source = Source::default();
                    map.next_value_seed(Into(&mut source))?;
                    self.0.image(source.bytes);
                }
                "document" => {
                    let mut source = Source::default();
                    map.next_value_seed(Into(&mut source))?;
                    // One that is a text counts as such.
                    if source.bytes > 0 {
                        self.0.file(source.bytes);
                    }
                }
                _ => json::skip_shallow(&mut map)?,
            }
        }
        Ok(())
    }
}

/// How many bytes of a medium stand in the body: `{"source":{"bytes":…}}`.
#[derive(Default)]
struct Source {
    bytes: u64,
}

impl<'de> Take<'de> for Source {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "source" => map.next_value_seed(Into(self))?,
                "bytes" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    self.bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
