//! Exact token counts, for the estimate of what a provider does not report.
//!
//! The first use of an encoding unpacks its dictionary, which takes a moment and some memory; [`Encoding::load`] does
//! it ahead of time.

use std::borrow::Cow;

use bpe_openai::Tokenizer;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::anthropic;
use crate::converse;
use crate::endpoint::Endpoint;
use crate::gemini;
use crate::json::{self, Into, Kind, Name, Take};

/// Tokens around each message, and tokens that begin the answer, by OpenAI's published recipe.
pub(crate) const MESSAGE_TOKENS: u64 = 3;
const ANSWER_TOKENS: u64 = 3;
/// The role of a message is a word.
const ROLE_TOKENS: u64 = 1;
/// A name costs one token more than its text.
const NAME_TOKENS: u64 = 1;
/// An image of 1,024 x 1,024 pixels at high detail, by OpenAI's published example.
const IMAGE_TOKENS: u64 = 765;

/// From this many equal bytes on, in one piece of text, another algorithm counts faster.
const RUN_BYTES: usize = 64;
/// The most bytes that it takes at once; a run is cut there, which can cost a token.
const RUN_WINDOW_BYTES: usize = 4096;

/// How a family of models cuts text into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// GPT-4o and whatever came after it; the stand-in for models of other makers.
    O200kBase,
    /// GPT-4, GPT-3.5 and the embedding models.
    Cl100kBase,
}

impl Encoding {
    /// The encoding of a model by its name, which may stand behind a provider's (`openai/gpt-4`) or in a fine-tune's
    /// (`ft:gpt-4:…`).
    pub fn for_model(name: &str) -> Self {
        let name = family_name(name);
        let is_older = |family: &str| {
            let rest = name.strip_prefix(family);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']))
        };
        if ["gpt-4", "gpt-3.5", "gpt-35", "text-embedding"].into_iter().any(is_older) {
            Self::Cl100kBase
        } else {
            Self::O200kBase
        }
    }

    /// Whether the encoding is the model's own, so that counts are exact; for models of other makers it stands in.
    pub fn is_own_of(name: &str) -> bool {
        let name = family_name(name);
        let reasons =
            name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
        reasons || ["gpt-", "chatgpt-", "text-embedding-"].iter().any(|family| name.starts_with(family))
    }

    /// Its name, as OpenAI's own tools have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::Cl100kBase => "cl100k_base",
        }
    }

    /// Unpacks the dictionary, unless that is done.
    pub fn load(self) {
        self.tokenizer();
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::O200kBase => bpe_openai::o200k_base(),
            Self::Cl100kBase => bpe_openai::cl100k_base(),
        }
    }
}

/// A model's name without the provider before it (`openai/gpt-4`) or the mark of a fine-tune (`ft:gpt-4:…`).
pub(crate) fn family_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.strip_prefix("ft:").unwrap_or(name)
}

/// Tokens of a text. Special tokens in it count as the text that they are.
///
/// Takes about 12 ns a byte for prose, and at most ten times that for what was written to be slow.
pub fn count_text(encoding: Encoding, text: &str) -> u64 {
    let tokenizer = encoding.tokenizer();
    let count = tokenizer.split(text).map(|piece| count_piece(tokenizer, piece.as_bytes())).sum::<usize>();
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Counts what the tokenizer never joins with its neighbours: a word, a run of spaces or of signs.
fn count_piece(tokenizer: &Tokenizer, piece: &[u8]) -> usize {
    let has_run =
        piece.len() > RUN_BYTES && piece.chunk_by(|one, next| one == next).any(|run| run.len() > RUN_BYTES);
    if !has_run {
        return tokenizer.bpe.count(piece);
    }
    // Dictionaries have dozens of tokens of nothing but dashes or spaces, and trying them all against each other takes
    // half a microsecond a byte. Merging pairs has no such case, but takes memory, hence a window at a time.
    piece.chunks(RUN_WINDOW_BYTES).map(|window| tokenizer.bpe.encode_via_bitfield(window).len()).sum()
}

/// Tokens of a request's prompt, as the model would count them.
///
/// For a chat: the messages by OpenAI's recipe, and the JSON of tools and of a response format, which are not sent as
/// JSON but about as long. Images count as ones of 1,024 x 1,024 pixels; other media do not count. For a response the
/// same of its items, as far as they stand in the body. For embeddings: the texts, or the tokens that were given. For
/// moderations: the texts and images. For images: the prompt. For speech: the text and how it is to be spoken. For
/// messages: the system prompt, the messages and the JSON of tools, by the stand-in's dictionary, because Anthropic's is
/// not published, and the same for Gemini's contents and in Converse's form. What cannot be read counts nothing.
pub fn count_prompt(endpoint: Endpoint, body: &[u8], model: &str) -> u64 {
    let Ok(text) = std::str::from_utf8(body) else { return 0 };
    let mut prompt = Prompt { encoding: Encoding::for_model(model), tokens: 0 };
    let read = match endpoint {
        Endpoint::Chat => json::read(text, &mut ChatBody(&mut prompt)),
        Endpoint::Responses => json::read(text, &mut ResponsesBody(&mut prompt)),
        Endpoint::Embeddings => json::read(text, &mut EmbeddingsBody(&mut prompt)),
        Endpoint::Moderations => json::read(text, &mut ModerationBody(&mut prompt)),
        Endpoint::Images | Endpoint::ImageEdits => {
            json::read(text, &mut PromptBody(&mut prompt, &["prompt"]))
        }
        Endpoint::Speech => json::read(text, &mut PromptBody(&mut prompt, &["input", "instructions"])),
        // They come as forms, and their prompt is plain text.
        Endpoint::Transcriptions | Endpoint::Translations => Ok(()),
        Endpoint::Messages | Endpoint::CountTokens => {
            anthropic::read_prompt(text, &mut prompt);
            Ok(())
        }
        Endpoint::Converse => {
            converse::read_prompt(text, &mut prompt);
            Ok(())
        }
        Endpoint::GenerateContent | Endpoint::CountContent => {
            gemini::read_prompt(text, &mut prompt);
            Ok(())
        }
    };
    // What was counted until an error is as much as there is.
    drop(read);
    prompt.tokens
}

/// A prompt that is being counted.
pub(crate) struct Prompt {
    encoding: Encoding,
    tokens: u64,
}

impl Prompt {
    pub(crate) fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.add(count_text(self.encoding, text));
    }

    /// Counts a value of one of these kinds as its JSON is written; any other counts nothing.
    pub(crate) fn written<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
        kinds: &[Kind],
    ) -> Result<(), A::Error> {
        let text = map.next_value::<&RawValue>()?.get();
        if kinds.contains(&Kind::of(text)) {
            self.text(text);
        }
        Ok(())
    }
}

struct ChatBody<'p>(&'p mut Prompt);

impl<'de> Take<'de> for ChatBody<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(ANSWER_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "messages" => map.next_value_seed(Into(&mut Message(self.0)))?,
                "tools" | "functions" | "response_format" => {
                    self.0.written(&mut map, &[Kind::Array, Kind::Object])?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// One message, or the array of them.
struct Message<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Message<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(MESSAGE_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "role" | "content" | "refusal" => map.next_value_seed(Into(&mut Content(self.0)))?,
                "name" => {
                    let mut name = None::<Cow<'de, str>>;
                    map.next_value_seed(Into(&mut name))?;
                    if let Some(name) = name {
                        self.0.add(NAME_TOKENS);
                        self.0.text(&name);
                    }
                }
                "tool_calls" | "function_call" => map.next_value_seed(Into(&mut Call(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A text, or parts.
struct Content<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Content<'_> {
    fn text(&mut self, text: &str) {
        self.0.text(text);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "refusal" => map.next_value_seed(Into(self))?,
                "image_url" => {
                    self.0.add(IMAGE_TOKENS);
                    json::skip(&mut map)?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Calls that an earlier answer made: names and arguments.
struct Call<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Call<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "function" | "custom" => map.next_value_seed(Into(self))?,
                "name" | "arguments" | "input" => map.next_value_seed(Into(&mut Content(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct ResponsesBody<'p>(&'p mut Prompt);

impl<'de> Take<'de> for ResponsesBody<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(ANSWER_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                // A text is a message of the user's, and instructions are one of the developer's.
                "input" | "instructions" => map.next_value_seed(Into(&mut Items(self.0)))?,
                "tools" | "text" => {
                    self.0.written(&mut map, &[Kind::Array, Kind::Object])?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Items of a response's input: messages, calls that an earlier answer made, what came of them.
struct Items<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Items<'_> {
    fn text(&mut self, text: &str) {
        self.0.add(MESSAGE_TOKENS + ROLE_TOKENS);
        self.0.text(text);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(MESSAGE_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "role" | "content" | "output" | "summary" | "name" | "arguments" | "input" => {
                    map.next_value_seed(Into(&mut Content(self.0)))?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct EmbeddingsBody<'p>(&'p mut Prompt);

impl<'de> Take<'de> for EmbeddingsBody<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input" => map.next_value_seed(Into(&mut Input(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct ModerationBody<'p>(&'p mut Prompt);

impl<'de> Take<'de> for ModerationBody<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input" => map.next_value_seed(Into(&mut Content(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct PromptBody<'p>(&'p mut Prompt, &'static [&'static str]);

impl<'de> Take<'de> for PromptBody<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if self.1.contains(&&*name) {
                map.next_value_seed(Into(&mut Content(self.0)))?;
            } else {
                json::skip(&mut map)?;
            }
        }
        Ok(())
    }
}

/// Texts and tokens, however they are nested.
struct Input<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Input<'_> {
    fn text(&mut self, text: &str) {
        self.0.text(text);
    }

    fn count(&mut self, _: u64) {
        self.0.add(1);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }
}
