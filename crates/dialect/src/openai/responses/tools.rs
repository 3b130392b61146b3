//! The tools of a request: which of them the provider runs, for a charge of its own or with input of its own.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::answer::short;
use crate::bad_request::BadRequest;
use crate::json::{self, Into, Kind, Name, Take};

/// Tools that cost their tokens and nothing else: the client runs them, or nothing is run. `namespace` and
/// `tool_search` only arrange others, and `programmatic_tool_calling` calls them.
const BY_TOKENS: [&str; 10] = [
    "function",
    "custom",
    "namespace",
    "tool_search",
    "programmatic_tool_calling",
    "local_shell",
    "apply_patch",
    "computer",
    "computer_use_preview",
    "mcp",
];

/// Tools whose results the provider fetches by itself and reads as input.
const BRINGING_INPUT: [&str; 1] = ["mcp"];

/// Where a shell costs nothing: the client's own machine.
const LOCAL: &str = "local";

/// How deep tools can stand in tools: those of a namespace, in what a search for tools found.
const LEVELS_MAX: u8 = 4;

/// What the tools of a request come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Tools {
    /// Whether the web is to be searched, which is charged for by the search.
    pub(super) web_search: bool,
    /// The first other tool that is charged for by something else than tokens, or not known.
    pub(super) charged: Option<String>,
    /// Whether some bring input that does not stand in the body.
    pub(super) brings_input: bool,
    /// A member that parsers read differently.
    refused: Option<BadRequest>,
}

impl Tools {
    /// Reads the member `tools`, which must be an array where it is there.
    pub(super) fn read(text: Option<&str>) -> Result<Self, BadRequest> {
        let mut tools = Self::default();
        let Some(text) = text else { return Ok(tools) };
        let kind = Kind::of(text);
        if kind != Kind::Array {
            return Err(BadRequest::mistyped("tools", "an array of objects", kind));
        }
        let read = json::read(text, &mut List { tools: &mut tools, level: 0 });
        read.map_err(|_| BadRequest::body("'tools' holds what is no valid Unicode text"))?;
        tools.check()
    }

    /// Adds the tools that stand in an item of the input.
    pub(super) fn add(&mut self, list: &RawValue) -> Result<(), serde_json::Error> {
        json::read(list.get(), &mut List { tools: self, level: 0 })
    }

    pub(super) fn check(mut self) -> Result<Self, BadRequest> {
        self.refused.take().map_or(Ok(self), Err)
    }

    fn note(&mut self, kind: &str, is_local: bool) {
        if kind.starts_with("web_search") {
            // Whatever is found comes back as input.
            (self.web_search, self.brings_input) = (true, true);
            return;
        }
        if !BY_TOKENS.contains(&kind) && (kind != "shell" || !is_local) {
            self.charged.get_or_insert_with(|| short(kind));
        }
        self.brings_input |= BRINGING_INPUT.contains(&kind);
    }
}

/// An array of tools.
struct List<'t> {
    tools: &'t mut Tools,
    level: u8,
}

impl<'de> Take<'de> for List<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut environment) = (None::<Cow<'de, str>>, Environment(None));
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => {
                    if kind.is_some() {
                        self.tools.refused.get_or_insert_with(|| BadRequest::duplicate("tools.type"));
                    }
                    map.next_value_seed(Into(&mut kind))?;
                }
                "environment" => map.next_value_seed(Into(&mut environment))?,
                "tools" if self.level < LEVELS_MAX => {
                    let mut nested = List { tools: &mut *self.tools, level: self.level + 1 };
                    map.next_value_seed(Into(&mut nested))?;
                }
                other => {
                    if other.eq_ignore_ascii_case("type") {
                        let refusal = BadRequest::disguised(&format!("tools.{other}"), "tools.type");
                        self.tools.refused.get_or_insert(refusal);
                    }
                    json::skip(&mut map)?;
                }
            }
        }
        // One without a type is none that a provider runs.
        if let Some(kind) = kind {
            self.tools.note(&kind, environment.0.as_deref() == Some(LOCAL));
        }
        Ok(())
    }
}

/// Where a shell runs.
struct Environment<'de>(Option<Cow<'de, str>>);

impl<'de> Take<'de> for Environment<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.0))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
