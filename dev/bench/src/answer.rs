//! Whether an answer is whole: the text in full, the token counts where they are due, the end marked as an end.

use std::borrow::Cow;

use serde::Deserialize;

use crate::failure::Failure;
use crate::request::Case;

/// What the provider says to every call of the benchmark, learned from it before the load begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) text: String,
    /// The pieces that a stream of it comes in.
    pub(crate) pieces: usize,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
}

/// A body in one piece, or an event of a stream.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "delta")]
    message: Message<'a>,
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// What an answer held.
#[derive(Default)]
struct Held {
    text: String,
    pieces: usize,
    usage: Option<Usage>,
    finished: bool,
}

impl Expected {
    /// Learns from one answer in one piece and one stream with token counts.
    pub(crate) fn learn(whole: &[u8], stream: &[u8]) -> Result<Self, Failure> {
        let held = read_whole(whole)?;
        let usage = held.usage.ok_or_else(|| Failure::new("the provider counts no tokens"))?;
        let streamed = read_stream(stream)?;
        let expected = Self {
            text: held.text,
            pieces: streamed.pieces,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        };
        expected.compare(&streamed, expected.pieces, true)?;
        if expected.text.is_empty() || expected.pieces < 2 {
            return Err(Failure::new("the provider says nothing"));
        }
        Ok(expected)
    }

    /// Whether this answer is whole.
    pub(crate) fn check(
        &self,
        case: Case,
        asked_usage: bool,
        status: u16,
        body: &[u8],
    ) -> Result<(), Failure> {
        if status != 200 {
            let said = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
            return Err(Failure::new(format!("status {status}: {said}")));
        }
        if case.stream {
            self.compare(&read_stream(body)?, self.pieces, asked_usage)
        } else {
            self.compare(&read_whole(body)?, 1, true)
        }
    }

    fn compare(&self, held: &Held, pieces: usize, usage_due: bool) -> Result<(), Failure> {
        let usage = Usage { prompt_tokens: self.prompt_tokens, completion_tokens: self.completion_tokens };
        let mistake = if held.text != self.text {
            "the text is not the provider's"
        } else if held.pieces != pieces {
            "an event is missing or came twice"
        } else if !held.finished {
            "no finish_reason came"
        } else if usage_due && held.usage != Some(usage) {
            "the token counts are missing or wrong"
        } else if !usage_due && held.usage.is_some() {
            "token counts came that nobody asked for"
        } else {
            return Ok(());
        };
        Err(Failure::new(mistake))
    }
}

fn read_whole(body: &[u8]) -> Result<Held, Failure> {
    let mut held = Held::default();
    held.take(parse(body)?)?;
    Ok(held)
}

fn read_stream(body: &[u8]) -> Result<Held, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::new("the stream is no text"))?;
    let text = text.strip_suffix("\n\n").ok_or_else(|| Failure::new("the stream ends inside an event"))?;
    let mut held = Held::default();
    let mut done = false;
    for event in text.split("\n\n").filter(|event| !event.starts_with(':')) {
        let data = event.strip_prefix("data: ").ok_or_else(|| Failure::new("an event has no data"))?;
        if done {
            return Err(Failure::new("an event follows [DONE]"));
        }
        if data == "[DONE]" {
            done = true;
        } else {
            held.take(parse(data.as_bytes())?)?;
        }
    }
    if done { Ok(held) } else { Err(Failure::new("the stream ends without [DONE]")) }
}

fn parse(json: &[u8]) -> Result<Body<'_>, Failure> {
    serde_json::from_slice(json).map_err(|error| {
        let said = String::from_utf8_lossy(&json[..json.len().min(300)]);
        Failure::new(format!("{error}: {said}"))
    })
}

impl Held {
    fn take(&mut self, body: Body<'_>) -> Result<(), Failure> {
        if let Some(usage) = body.usage
            && self.usage.replace(usage).is_some()
        {
            return Err(Failure::new("the token counts came twice"));
        }
        for choice in body.choices {
            if let Some(content) = choice.message.content.filter(|content| !content.is_empty()) {
                self.text.push_str(&content);
                self.pieces += 1;
            }
            self.finished |= choice.finish_reason.is_some();
        }
        Ok(())
    }
}
