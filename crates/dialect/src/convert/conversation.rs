//! A request in no form: what is asked of a model, as every form can say it or must say that it cannot.
//!
//! Results of tools are parts of the user's turns, and instructions that come first are apart. It knows no wire;
//! what the caller called a member is kept only to name it in a refusal or a warning.

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroU64;

use serde_json::value::RawValue;

use super::Asked;
use super::notes::Notes;
use crate::Upstream;
use crate::json::{self, Kind};

/// A setting, and what the caller called it.
pub(super) struct Set<T> {
    pub(super) name: &'static str,
    pub(super) value: T,
}

impl<T> Set<T> {
    pub(super) const fn new(name: &'static str, value: T) -> Self {
        Self { name, value }
    }
}

/// What the caller called its lists.
#[derive(Clone, Copy)]
pub(super) struct ListNames {
    pub(super) turns: &'static str,
    pub(super) parts: &'static str,
    /// Where what the model thought stands.
    pub(super) thoughts: &'static str,
    /// What marks the end of a prompt that is to be cached.
    pub(super) cache: &'static str,
    /// What says that a tool failed.
    pub(super) failed: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    System,
    User,
    Assistant,
}

/// How long a prompt is to be kept in the provider's cache up to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    Short,
    Hour,
}

/// Bytes that are not text, or where they are.
pub(super) enum Source<'a> {
    /// In base64.
    Inline {
        mime: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    Url(Cow<'a, str>),
    /// A file that was uploaded to the provider.
    Id,
    /// A document that is plain text.
    Text(Cow<'a, str>),
}

impl<'a> Source<'a> {
    /// A URL, or what a `data:` URL holds.
    pub(super) fn url(url: Cow<'a, str>) -> Self {
        let split = |url: &str| {
            let rest = url.strip_prefix("data:")?;
            let (mime, data) = rest.split_once(";base64,")?;
            Some((mime.len(), data.len()))
        };
        let Some((mime, data)) = split(&url) else { return Self::Url(url) };
        let cut = |text: &'a str| {
            let mime = text.get(5..5 + mime).unwrap_or_default();
            (mime, text.get(text.len() - data..).unwrap_or_default())
        };
        match url {
            Cow::Borrowed(url) => {
                let (mime, data) = cut(url);
                Self::Inline { mime: mime.into(), data: data.into() }
            }
            Cow::Owned(url) => {
                let mime = url.get(5..5 + mime).unwrap_or_default().to_owned();
                let data = url.get(url.len() - data..).unwrap_or_default().to_owned();
                Self::Inline { mime: mime.into(), data: data.into() }
            }
        }
    }
}

/// Whose model signed a thought: nobody else's takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    Anthropic,
    Google,
}

/// A signature, or a whole thought that only its provider can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sealed<'a> {
    pub(super) by: Signer,
    pub(super) text: Cow<'a, str>,
}

/// What marks a seal of Google's in forms whose seals are Anthropic's or nobody's.
const GOOGLE_TAG: &str = "google:";

impl<'a> Sealed<'a> {
    /// The text for a form whose own seals are Anthropic's.
    pub(super) fn tagged(&self) -> Cow<'_, str> {
        match self.by {
            Signer::Anthropic => Cow::Borrowed(&self.text),
            Signer::Google => Cow::Owned(format!("{GOOGLE_TAG}{}", self.text)),
        }
    }

    /// Reads such a text.
    pub(super) fn untagged(text: Cow<'a, str>) -> Self {
        match text.strip_prefix(GOOGLE_TAG) {
            Some(rest) => Self { by: Signer::Google, text: Cow::Owned(rest.to_owned()) },
            None => Self { by: Signer::Anthropic, text },
        }
    }
}

pub(super) enum Body<'a> {
    Text(Cow<'a, str>),
    Image(Source<'a>),
    File {
        source: Source<'a>,
        name: Option<Cow<'a, str>>,
    },
    /// In base64; `format` is the word for the file's kind: `wav`, `mp3`.
    Audio {
        format: Cow<'a, str>,
        data: Cow<'a, str>,
    },
    Thinking {
        text: Cow<'a, str>,
        signature: Option<Sealed<'a>>,
    },
    Redacted(Sealed<'a>),
    Call {
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: Cow<'a, str>,
        signature: Option<Sealed<'a>>,
    },
    Result {
        id: Cow<'a, str>,
        content: Vec<Part<'a>>,
        failed: bool,
    },
}

/// A piece of a turn, and its place in the caller's list.
pub(super) struct Part<'a> {
    pub(super) body: Body<'a>,
    pub(super) cache: Option<Cache>,
    /// The item of the caller's list of turns.
    pub(super) turn: usize,
    /// The item of that one's list of parts, if it had one.
    pub(super) part: Option<usize>,
}

impl<'a> Part<'a> {
    pub(super) const fn new(turn: usize, body: Body<'a>) -> Self {
        Self { body, cache: None, turn, part: None }
    }

    pub(super) const fn at(turn: usize, part: usize, body: Body<'a>) -> Self {
        Self { body, cache: None, turn, part: Some(part) }
    }
}

pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) parts: Vec<Part<'a>>,
}

/// A function that the model may call.
pub(super) struct Tool<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) description: Option<Cow<'a, str>>,
    /// The JSON schema of its arguments, as it was written.
    pub(super) schema: Option<Cow<'a, str>>,
    pub(super) strict: Option<bool>,
    pub(super) cache: Option<Cache>,
}

pub(super) enum Choice<'a> {
    Auto,
    Never,
    Any,
    Tool(Cow<'a, str>),
}

pub(super) enum Format<'a> {
    /// Any JSON object.
    Json,
    Schema {
        name: Option<Cow<'a, str>>,
        description: Option<Cow<'a, str>>,
        schema: Cow<'a, str>,
        strict: Option<bool>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effort {
    Off,
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Max,
}

impl Effort {
    /// The word that OpenAI and Anthropic have for it.
    pub(super) fn read(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::Off,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::ExtraHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The tokens that stand for it with models that are told a number.
    pub(super) const fn budget(self) -> u64 {
        match self {
            Self::Off => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 4_096,
            Self::High => 16_384,
            Self::ExtraHigh | Self::Max => 32_768,
        }
    }

    /// The word that a number of tokens stands for.
    pub(super) const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::Off,
            1..=2_048 => Self::Low,
            2_049..=8_192 => Self::Medium,
            _ => Self::High,
        }
    }
}

/// How much the model is to think before it answers; with neither member, as much as it sees fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reasoning {
    pub(super) effort: Option<Effort>,
    pub(super) budget: Option<u64>,
}

impl Reasoning {
    pub(super) fn is_off(self) -> bool {
        self.effort == Some(Effort::Off) || (self.effort.is_none() && self.budget == Some(0))
    }

    /// The effort, also where a budget was told.
    pub(super) fn to_effort(self) -> Option<Effort> {
        self.effort.or_else(|| self.budget.map(Effort::of_budget))
    }
}

/// Numbers that tune the output, as they were written.
#[derive(Default)]
pub(super) struct Sampling<'a> {
    pub(super) temperature: Option<Set<&'a str>>,
    pub(super) top_p: Option<Set<&'a str>>,
    pub(super) top_k: Option<Set<&'a str>>,
    pub(super) seed: Option<Set<&'a str>>,
    pub(super) frequency_penalty: Option<Set<&'a str>>,
    pub(super) presence_penalty: Option<Set<&'a str>>,
}

/// A request.
pub(super) struct Conversation<'a> {
    pub(super) names: ListNames,
    /// Instructions that stand before the first turn: texts only.
    pub(super) system: Vec<Part<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<Set<Choice<'a>>>,
    pub(super) parallel: Option<Set<bool>>,
    /// The most output tokens.
    pub(super) cap: Option<u64>,
    pub(super) stops: Option<Set<Vec<Cow<'a, str>>>>,
    pub(super) sampling: Sampling<'a>,
    pub(super) format: Option<Set<Format<'a>>>,
    pub(super) reasoning: Option<Set<Reasoning>>,
    /// `low`, `medium` or `high`: how long the answer is to be.
    pub(super) verbosity: Option<Set<Cow<'a, str>>>,
    /// The end user.
    pub(super) user: Option<Set<Cow<'a, str>>>,
    /// The tier, in the caller's word.
    pub(super) service_tier: Option<Set<Cow<'a, str>>>,
    pub(super) asked: Asked,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(names: ListNames) -> Self {
        Self {
            names,
            system: Vec::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            choice: None,
            parallel: None,
            cap: None,
            stops: None,
            sampling: Sampling::default(),
            format: None,
            reasoning: None,
            verbosity: None,
            user: None,
            service_tier: None,
            asked: Asked::default(),
        }
    }

    /// The place of a part in the caller's terms.
    pub(super) fn place(&self, part: &Part<'_>) -> String {
        let ListNames { turns, parts, .. } = self.names;
        match part.part {
            Some(at) => format!("{turns}[{}].{parts}[{at}]", part.turn),
            None => format!("{turns}[{}]", part.turn),
        }
    }

    /// Drops what the model thought, but for what the provider takes back; it is asked whose seal a thought has.
    pub(super) fn keep_thoughts(&mut self, is_taken: impl Fn(Option<Signer>) -> bool, notes: &mut Notes) {
        let member = self.names.thoughts;
        let is_taken = |seal: Option<&Sealed<'_>>| is_taken(seal.map(|seal| seal.by));
        for turn in &mut self.turns {
            turn.parts.retain(|part| {
                let keep = match &part.body {
                    Body::Thinking { signature, .. } => is_taken(signature.as_ref()),
                    Body::Redacted(seal) => is_taken(Some(seal)),
                    Body::Text(_)
                    | Body::Image(_)
                    | Body::File { .. }
                    | Body::Audio { .. }
                    | Body::Call { .. }
                    | Body::Result { .. } => true,
                };
                if !keep {
                    notes
                        .drop_named(member, "the provider takes back no reasoning but what it signed itself");
                }
                keep
            });
        }
    }

    /// Notes that the provider's cache is not told where prompts end, if it was to be.
    pub(super) fn drop_cache_marks(&self, notes: &mut Notes) {
        let turns = self.turns.iter().flat_map(|turn| &turn.parts);
        if self.system.iter().chain(turns).any(|part| part.cache.is_some())
            || self.tools.iter().any(|tool| tool.cache.is_some())
        {
            notes.drop_named(self.names.cache, "this provider caches prompts by itself");
        }
    }

    /// Adds a turn; instructions before the first of all others are kept apart.
    pub(super) fn push(&mut self, role: Role, parts: Vec<Part<'a>>) {
        if role == Role::System && self.turns.is_empty() {
            self.system.extend(parts);
        } else {
            self.turns.push(Turn { role, parts });
        }
    }

    /// For forms without instructions between turns: all of them stand before the first.
    pub(super) fn hoist_system(&mut self, notes: &mut Notes) {
        let (system, turns) =
            std::mem::take(&mut self.turns).into_iter().partition(|turn| turn.role == Role::System);
        self.turns = turns;
        let system: Vec<Turn<'a>> = system;
        if !system.is_empty() {
            let member = format!("{}[].role", self.names.turns);
            notes.drop_named(&member, "instructions between turns were moved before the first turn");
        }
        self.system.extend(system.into_iter().flat_map(|turn| turn.parts));
    }

    /// Makes one turn of several in a row that have the same role, and drops those without content.
    pub(super) fn merge_turns(&mut self) {
        let mut merged: Vec<Turn<'a>> = Vec::with_capacity(self.turns.len());
        for turn in std::mem::take(&mut self.turns).into_iter().filter(|turn| !turn.parts.is_empty()) {
            match merged.last_mut() {
                Some(last) if last.role == turn.role => last.parts.extend(turn.parts),
                Some(_) | None => merged.push(turn),
            }
        }
        self.turns = merged;
    }

    /// Drops the texts without a character, which most forms refuse.
    pub(super) fn drop_empty_texts(&mut self) {
        let has_text = |part: &Part<'_>| !matches!(&part.body, Body::Text(text) if text.is_empty());
        self.system.retain(has_text);
        for turn in &mut self.turns {
            turn.parts.retain(has_text);
            for part in &mut turn.parts {
                if let Body::Result { content, .. } = &mut part.body {
                    content.retain(has_text);
                }
            }
        }
    }

    /// The functions that were called, by the ids of the calls: which call it was, and its name.
    pub(super) fn called(&self) -> HashMap<&str, (usize, &str)> {
        let mut called = HashMap::new();
        for part in self.turns.iter().flat_map(|turn| &turn.parts) {
            if let Body::Call { id, name, .. } = &part.body {
                called.insert(id.as_ref(), (called.len(), name.as_ref()));
            }
        }
        called
    }

    /// The cap for the provider: the caller's, lowered to what the gateway allows.
    pub(super) fn capped(&self, upstream: &Upstream<'_>) -> Option<u64> {
        match (self.cap, upstream.output_cap.map(NonZeroU64::get)) {
            (Some(cap), Some(allowed)) => Some(cap.min(allowed)),
            (cap, allowed) => cap.or(allowed),
        }
    }
}

/// The arguments of a call as a JSON object; none if they are none. No arguments at all are an empty object.
pub(super) fn arguments_object(text: &str) -> Option<&str> {
    let text = text.trim();
    if text.is_empty() {
        return Some("{}");
    }
    let valid = Kind::of(text) == Kind::Object
        && json::check_depth::<serde_json::Error>(text).is_ok()
        && serde_json::from_str::<&RawValue>(text).is_ok();
    valid.then_some(text)
}

/// All texts among the parts, joined.
pub(super) fn joined_text<'a>(parts: &[Part<'a>], between: &str) -> Cow<'a, str> {
    let mut texts = parts.iter().filter_map(|part| match &part.body {
        Body::Text(text) => Some(text),
        Body::Image(_)
        | Body::File { .. }
        | Body::Audio { .. }
        | Body::Thinking { .. }
        | Body::Redacted(_)
        | Body::Call { .. }
        | Body::Result { .. } => None,
    });
    let Some(first) = texts.next() else { return Cow::Borrowed("") };
    let mut joined = first.clone();
    for text in texts {
        let joined = joined.to_mut();
        joined.push_str(between);
        joined.push_str(text);
    }
    joined
}
