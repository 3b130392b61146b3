//! What a provider says when it refuses or fails, whatever shape it says it in.

use std::borrow::Cow;
use std::time::Duration;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::error::ErrorBody;
use crate::json::{self, Into, Name, Take};

/// Characters of a provider's message that are kept.
const MESSAGE_CHARS_MAX: usize = 500;
/// Characters of its shorter texts that are kept.
const WORD_CHARS_MAX: usize = 100;

/// A provider's error, in words that are safe to show and to log: of bounded length and without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// What it says, at most 500 characters; never empty.
    pub message: String,
    /// Its `type`, or Google's `status`.
    pub kind: Option<String>,
    /// Its `code`; a number is written out.
    pub code: Option<String>,
    /// The member of the request that it complains of.
    pub param: Option<String>,
    /// How long it wants to be left alone, where it says so in the body: Google does.
    pub wait: Option<Duration>,
}

impl UpstreamError {
    /// Reads the body of an error: OpenAI's shape, a bare text under `error`, `message` or `detail`, any of these in an
    /// array, or no JSON at all. `status` is for the message where the body has none.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let mut found = Found::default();
        // Bytes that are no text say nothing; a text that is no JSON says itself.
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let message = match json::read(text, &mut found) {
            Ok(()) => found.message.as_deref(),
            // A page for people, from some proxy on the way: its markup says less than its status.
            Err(_) if text.starts_with('<') => None,
            Err(_) => Some(text),
        };
        let message = message.map(|text| clean(text, MESSAGE_CHARS_MAX)).filter(|text| !text.is_empty());
        let word = |text: Option<Cow<'_, str>>| {
            text.map(|text| clean(&text, WORD_CHARS_MAX)).filter(|text| !text.is_empty())
        };
        Self {
            message: message.unwrap_or_else(|| match status {
                200..=299 => "the provider reported an error without saying which".to_owned(),
                _ => format!("the provider answered {status} without saying why"),
            }),
            kind: word(found.kind.clone()),
            code: word(found.code.clone()),
            param: word(found.param.clone()),
            wait: found.wait,
        }
    }

    /// Reads an error of Amazon's, whose type stands outside its body: in a header of the answer, where a namespace may
    /// go before it and an address behind, or in that of an event.
    pub fn of_exception(name: &str, body: &str) -> Self {
        Self::read(200, body.as_bytes()).with_exception(name)
    }

    /// The same with this type, unless the body told one.
    #[must_use]
    pub fn with_exception(mut self, name: &str) -> Self {
        let name = name.split([':', ',']).next().unwrap_or_default();
        let name = name.rsplit('#').next().unwrap_or_default();
        let name = clean(name, WORD_CHARS_MAX);
        self.kind = self.kind.or((!name.is_empty()).then_some(name));
        self
    }

    /// The error in OpenAI's shape, for a client that gets this status.
    pub fn to_body(&self, status: u16) -> ErrorBody {
        let mut body = ErrorBody::new(status, "upstream_error", self.message.clone());
        if let Some(kind) = &self.kind {
            body.kind = Cow::Owned(kind.clone());
        }
        body.code = self.code.clone().map(Cow::Owned);
        body.param = self.param.clone().map(Cow::Owned);
        body
    }
}

/// Whether the value of an `error` member is one: SDKs take null and empty values for none.
pub(crate) fn is_error(value: &RawValue) -> bool {
    let text = value.get();
    let empty_object =
        text.starts_with('{') && text.get(1..).unwrap_or_default().trim_start().starts_with('}');
    !matches!(text, "null" | "false" | "\"\"" | "0") && !empty_object
}

/// The text without control characters, which could write into a terminal or a log, and cut to a number of characters.
fn clean(text: &str, chars_max: usize) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(chars_max).map(visible).collect::<String>().trim_end().to_owned()
}

/// What a body was found to say, wherever in it.
#[derive(Default)]
struct Found<'a> {
    message: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    code: Option<Cow<'a, str>>,
    param: Option<Cow<'a, str>>,
    wait: Option<Duration>,
}

impl<'de> Take<'de> for Found<'de> {
    fn text(&mut self, text: &str) {
        self.message.get_or_insert_with(|| Cow::Owned(text.to_owned()));
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let mut reason = None;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                // What is nested is the error proper, and says it better than what is around it.
                "error" => {
                    let mut nested = Found::default();
                    map.next_value_seed(Into(&mut nested))?;
                    self.message = nested.message.or(self.message.take());
                    self.kind = nested.kind.or(self.kind.take());
                    self.code = nested.code.or(self.code.take());
                    self.param = nested.param.or(self.param.take());
                    self.wait = nested.wait.or(self.wait);
                }
                "message" | "detail" | "msg" => {
                    let mut nested = Found::default();
                    map.next_value_seed(Into(&mut nested))?;
                    self.message = self.message.take().or(nested.message);
                }
                "type" | "status" => {
                    let mut word = Word(None);
                    map.next_value_seed(Into(&mut word))?;
                    self.kind = self.kind.take().or(word.0);
                }
                "code" => {
                    let mut word = Word(None);
                    map.next_value_seed(Into(&mut word))?;
                    self.code = self.code.take().or(word.0);
                }
                // Anthropic's code, and Google's reason, which is finer than its code: that is the status again.
                "details" => {
                    let mut details = Details::default();
                    map.next_value_seed(Into(&mut details))?;
                    reason = details.reason.or(reason);
                    self.wait = details.wait.as_deref().and_then(seconds).or(self.wait);
                    self.code = self.code.take().or(details.code);
                }
                "param" => map.next_value_seed(Into(&mut self.param))?,
                _ => json::skip(&mut map)?,
            }
        }
        self.code = reason.or(self.code.take());
        Ok(())
    }

    /// Of several errors the first is as good as any.
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        if seq.next_element_seed(Into(self))?.is_some() {
            while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }
}

/// `{"error_code":…}`, or Google's list, in which one has the `reason` and one the `retryDelay`.
#[derive(Default)]
struct Details<'a> {
    code: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    wait: Option<Cow<'a, str>>,
}

impl<'de> Take<'de> for Details<'de> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "error_code" => map.next_value_seed(Into(&mut self.code))?,
                "reason" => map.next_value_seed(Into(&mut self.reason))?,
                "retryDelay" => map.next_value_seed(Into(&mut self.wait))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A length of time as Google writes it, such as `34.074s`; parts of a second count as a whole one.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, ""));
    let rest = u64::from(part.bytes().any(|digit| digit != b'0'));
    Some(Duration::from_secs(whole.parse::<u32>().ok().map(u64::from)? + rest))
}

/// A text, or a number written as one.
struct Word<'a>(Option<Cow<'a, str>>);

impl<'de> Take<'de> for Word<'de> {
    fn text(&mut self, text: &str) {
        self.0 = Some(Cow::Owned(text.to_owned()));
    }

    fn count(&mut self, count: u64) {
        self.0 = Some(Cow::Owned(count.to_string()));
    }
}
