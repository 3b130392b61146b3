//! The members of a request for content that the gateway reads, each with the refusal that names it.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::media::Contents;
use super::tools::Tools;
use crate::bad_request::BadRequest;
use crate::json::{self, Kind, Name, Take};
use crate::members::{self, Members, Refusals};

/// Members that decide what a call costs or where it goes.
const DECISIVE: [&str; 12] = [
    "model",
    "contents",
    "tools",
    "generationConfig",
    "generation_config",
    "cachedContent",
    "cached_content",
    "serviceTier",
    "service_tier",
    "generateContentRequest",
    "generate_content_request",
    "maxOutputTokens",
];

/// The members of one request, as they stand in its text.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) model: Option<&'a RawValue>,
    pub(super) generation_config: Option<&'a RawValue>,
    pub(super) cached_content: Option<&'a RawValue>,
    pub(super) service_tier: Option<&'a RawValue>,
    /// Of a request for a count: the whole request whose prompt is to be counted.
    pub(super) counted: Option<&'a RawValue>,
    pub(super) contents: Option<Contents>,
    /// One content.
    pub(super) system: Option<Contents>,
    pub(super) tools: Option<Tools>,
}

impl<'a> Fields<'a> {
    /// Reads a whole body, or the request inside one for a count.
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
            "generationConfig" | "generation_config" => &mut self.generation_config,
            "cachedContent" | "cached_content" => &mut self.cached_content,
            "serviceTier" | "service_tier" => &mut self.service_tier,
            "generateContentRequest" | "generate_content_request" => &mut self.counted,
            "contents" => return refusals.once(&mut self.contents, name, map),
            "systemInstruction" | "system_instruction" => return refusals.once(&mut self.system, name, map),
            "tools" => return refusals.once(&mut self.tools, name, map),
            _ => return refusals.unread(name, &DECISIVE, map),
        };
        refusals.raw(slot, name, map)
    }
}

/// The members of `generationConfig` that bound the output.
#[derive(Default)]
pub(super) struct Generation<'a> {
    pub(super) max_output_tokens: Option<&'a RawValue>,
    pub(super) candidate_count: Option<&'a RawValue>,
    /// It has no member.
    pub(super) is_empty: bool,
    duplicate: Option<&'static str>,
}

/// Their names in refusals.
pub(super) const CAP: &str = "generationConfig.maxOutputTokens";
pub(super) const CANDIDATES: &str = "generationConfig.candidateCount";

impl<'a> Generation<'a> {
    /// Reads the object, if it is there.
    pub(super) fn read(raw: Option<&'a RawValue>) -> Result<Self, BadRequest> {
        let mut generation = Self { is_empty: true, ..Self::default() };
        let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(generation) };
        let kind = Kind::of(text);
        if kind != Kind::Object {
            return Err(BadRequest::mistyped("generationConfig", "an object", kind));
        }
        json::read(text, &mut generation).map_err(BadRequest::body)?;
        generation.duplicate.map_or(Ok(()), |name| Err(BadRequest::duplicate(name)))?;
        Ok(generation)
    }
}

impl<'a> Take<'a> for Generation<'a> {
    fn object<A: MapAccess<'a>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.is_empty = false;
            let (slot, own) = match &*name {
                "maxOutputTokens" | "max_output_tokens" => (&mut self.max_output_tokens, CAP),
                "candidateCount" | "candidate_count" => (&mut self.candidate_count, CANDIDATES),
                _ => {
                    json::skip(&mut map)?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                self.duplicate = Some(own);
            }
        }
        Ok(())
    }
}
