//! What a call needs of a model beside text, and what a target says it has. Who says nothing is asked.

use dialect::Call;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::routes::TargetRules;

/// What not every model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Calls tools.
    Tools,
    /// Answers by a schema.
    StructuredOutput,
    /// Sees images.
    Images,
    /// Hears audio.
    Audio,
    /// Reads files.
    Files,
}

impl Capability {
    /// The words for them in the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("tools", Self::Tools),
        ("structured_output", Self::StructuredOutput),
        ("images", Self::Images),
        ("audio", Self::Audio),
        ("files", Self::Files),
    ];

    const fn lacking(self) -> &'static str {
        match self {
            Self::Tools => "no_tools",
            Self::StructuredOutput => "no_structured_output",
            Self::Images => "no_images",
            Self::Audio => "no_audio",
            Self::Files => "no_files",
        }
    }
}

/// What one call needs.
pub(crate) struct Needs {
    capabilities: Vec<Capability>,
    /// Input tokens, as guessed.
    input: u64,
}

/// The members of a body that need more than text. Bodies of any dialect; what a dialect names otherwise is not seen.
#[derive(Default, Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    functions: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow, rename = "generationConfig", alias = "generation_config")]
    generation_config: Option<&'a RawValue>,
}

impl Needs {
    pub(crate) fn of(call: &Call, input: u64) -> Self {
        let members: Members<'_> = serde_json::from_slice(call.body()).unwrap_or_default();
        let media = call.media();
        let listed = |list: Option<&RawValue>| list.is_some_and(|list| !matches!(list.get(), "null" | "[]"));
        let told = |member: Option<&RawValue>, words: &[&str]| {
            member.is_some_and(|member| words.iter().any(|word| member.get().contains(word)))
        };
        let by_schema = told(members.response_format, &["\"json_schema\""])
            || told(members.generation_config, &["\"responseSchema\"", "\"responseJsonSchema\""]);
        let needed = [
            (listed(members.tools) || listed(members.functions), Capability::Tools),
            (by_schema, Capability::StructuredOutput),
            (media.images > 0, Capability::Images),
            (media.audio > 0, Capability::Audio),
            (media.files > 0, Capability::Files),
        ];
        let capabilities = needed.into_iter().filter(|(needed, _)| *needed).map(|(_, capability)| capability);
        Self { capabilities: capabilities.collect(), input }
    }

    /// What a target says it does not have of it; `context` is the longest input that it takes, in tokens.
    pub(crate) fn lacking(&self, rules: &TargetRules, context: Option<u64>) -> Option<&'static str> {
        if context.is_some_and(|context| self.input > context) {
            return Some("context_too_short");
        }
        let has = rules.capabilities.as_ref()?;
        self.capabilities.iter().find(|needed| !has.contains(needed)).map(|needed| needed.lacking())
    }
}
