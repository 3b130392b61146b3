//! Gemini's `usageMetadata` object, and the disjoint buckets made of it.
//!
//! The prompt holds what was read from the cache; what tools brought, and the thoughts, stand beside prompt and
//! candidates and not in them. Counts of zero are left out.

use std::borrow::Cow;

use domain::Usage;
use serde::Serialize;
use serde::de::{MapAccess, SeqAccess};

use crate::answer::short;
use crate::json::{self, Into, Name, Take};

/// `usageMetadata` as it stands in an answer or in an event. A member with another type than a number counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WireUsage {
    prompt: Option<u64>,
    cached: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    tools: Option<u64>,
    total: Option<u64>,
    of_prompt: Modalities,
    of_cache: Modalities,
    of_candidates: Modalities,
    of_tools: Modalities,
    pub(super) service_tier: Option<String>,
}

/// What of a count is not text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Modalities {
    audio: u64,
    image: u64,
}

impl WireUsage {
    /// Disjoint buckets; nothing when the object says neither the prompt nor the whole.
    ///
    /// Each part is taken out of what is left of its whole, so that contradictions in the provider's counts never make
    /// the sum larger than its total.
    pub(super) fn to_usage(&self) -> Option<Usage> {
        if self.prompt.is_none() && self.total.is_none() {
            return None;
        }
        let (prompt, thoughts) = (self.prompt.unwrap_or(0), self.thoughts.unwrap_or(0));
        let prompt_and_tools = prompt.saturating_add(self.tools.unwrap_or(0));
        let rest = self.total.unwrap_or(0).saturating_sub(prompt_and_tools);
        let told = self.candidates.unwrap_or_else(|| rest.saturating_sub(thoughts));
        // Some of Google's services count the thoughts among the candidates; the total tells that.
        let holds_thoughts = thoughts > 0 && self.total.is_some() && told == rest && told >= thoughts;
        let said = if holds_thoughts { told - thoughts } else { told };
        let take = |from: &mut u64, part: u64| {
            let part = part.min(*from);
            *from -= part;
            part
        };
        let mut input = prompt_and_tools;
        let cached = take(&mut input, self.cached.unwrap_or(0).min(prompt));
        // What was read from the cache has the cache's price, whatever it is.
        let fresh = |of_prompt: u64, of_tools: u64, of_cache: u64| {
            of_prompt.saturating_add(of_tools).saturating_sub(of_cache)
        };
        let audio = fresh(self.of_prompt.audio, self.of_tools.audio, self.of_cache.audio);
        let image = fresh(self.of_prompt.image, self.of_tools.image, self.of_cache.image);
        let (audio_input, image_input) = (take(&mut input, audio), take(&mut input, image));
        let mut output = said;
        let audio_output = take(&mut output, self.of_candidates.audio);
        let image_output = take(&mut output, self.of_candidates.image);
        Some(Usage {
            input,
            cached,
            audio_input,
            image_input,
            output: output.saturating_add(thoughts),
            audio_output,
            image_output,
            reasoning: thoughts,
            ..Usage::default()
        })
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "promptTokenCount" => map.next_value_seed(Into(&mut self.prompt))?,
                "cachedContentTokenCount" => map.next_value_seed(Into(&mut self.cached))?,
                "candidatesTokenCount" => map.next_value_seed(Into(&mut self.candidates))?,
                "thoughtsTokenCount" => map.next_value_seed(Into(&mut self.thoughts))?,
                "toolUsePromptTokenCount" => map.next_value_seed(Into(&mut self.tools))?,
                "totalTokenCount" => map.next_value_seed(Into(&mut self.total))?,
                "promptTokensDetails" => map.next_value_seed(Into(&mut self.of_prompt))?,
                "cacheTokensDetails" => map.next_value_seed(Into(&mut self.of_cache))?,
                "candidatesTokensDetails" => map.next_value_seed(Into(&mut self.of_candidates))?,
                "toolUsePromptTokensDetails" => map.next_value_seed(Into(&mut self.of_tools))?,
                "serviceTier" => {
                    let mut tier = None::<Cow<'de, str>>;
                    map.next_value_seed(Into(&mut tier))?;
                    self.service_tier = tier.filter(|tier| !tier.is_empty()).as_deref().map(short);
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for Modalities {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut modality, mut count) = (None::<Cow<'de, str>>, None::<u64>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "modality" => map.next_value_seed(Into(&mut modality))?,
                "tokenCount" => map.next_value_seed(Into(&mut count))?,
                _ => json::skip(&mut map)?,
            }
        }
        let count = count.unwrap_or(0);
        match modality.as_deref() {
            Some("AUDIO") => self.audio = self.audio.saturating_add(count),
            Some("IMAGE") => self.image = self.image.saturating_add(count),
            // Text, films and documents have the price of text.
            _ => {}
        }
        Ok(())
    }
}

/// The same, written for a caller.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageJson {
    prompt_token_count: u64,
    cached_content_token_count: u64,
    candidates_token_count: u64,
    thoughts_token_count: u64,
    total_token_count: u64,
}

impl UsageJson {
    pub(super) const fn of(usage: &Usage) -> Self {
        let (input, output) = (usage.input_total(), usage.output_total());
        Self {
            prompt_token_count: input,
            cached_content_token_count: usage.cached,
            candidates_token_count: output.saturating_sub(usage.reasoning),
            thoughts_token_count: usage.reasoning,
            total_token_count: input.saturating_add(output),
        }
    }
}
