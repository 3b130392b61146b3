//! The truth log: one line for each call, holding what a real provider would have billed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

/// The file. Lines of concurrent calls never mix: each is one write to a file opened for appending.
pub(crate) struct TruthLog(File);

/// Token counts as OpenAI reports them: `cached` and what was written to the cache, for five minutes or an hour, are
/// parts of `prompt`, `reasoning` is part of `completion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) cache_write: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) completion: u64,
    pub(crate) reasoning: u64,
    /// Images, where they are made.
    pub(crate) images: u64,
    /// Those of `prompt` that were heard.
    pub(crate) audio_prompt: u64,
    /// Those of `prompt` that were seen.
    pub(crate) image_prompt: u64,
    /// Characters, where they are spoken.
    pub(crate) characters: u64,
    /// Milliseconds of audio that were heard, or spoken.
    pub(crate) audio_ms: u64,
}

#[derive(Serialize)]
struct Line {
    at_us: i64,
    id: String,
    request_id: Option<String>,
    model: String,
    stream: bool,
    prompt_tokens: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    cache_write_1h_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
    images: u64,
    audio_prompt_tokens: u64,
    image_prompt_tokens: u64,
    characters: u64,
    audio_ms: u64,
    finished: bool,
    fault: Option<&'static str>,
    status: u16,
}

/// The line of one call, still open. Dropping it open means that the answer never ended: the line is then written
/// with what was delivered so far and `finished` false. Without a log it costs nothing and does nothing.
#[derive(Default)]
pub(crate) struct Entry(Option<Box<Open>>);

struct Open {
    log: Arc<TruthLog>,
    line: Line,
    closed: bool,
}

impl TruthLog {
    /// Opens the file, made when missing, to append to it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        (&self.0).write_all(&text)
    }
}

impl Entry {
    /// A line for a call that arrived at `at_us`.
    pub(crate) fn new(log: &Arc<TruthLog>, at_us: i64, id: String, request_id: Option<String>) -> Self {
        let line = Line {
            at_us,
            id,
            request_id,
            model: String::new(),
            stream: false,
            prompt_tokens: 0,
            cached_tokens: 0,
            cache_write_tokens: 0,
            cache_write_1h_tokens: 0,
            completion_tokens: 0,
            reasoning_tokens: 0,
            images: 0,
            audio_prompt_tokens: 0,
            image_prompt_tokens: 0,
            characters: 0,
            audio_ms: 0,
            finished: false,
            fault: None,
            status: 0,
        };
        Self(Some(Box::new(Open { log: Arc::clone(log), line, closed: false })))
    }

    /// Notes what was asked.
    pub(crate) fn asked(&mut self, model: &str, stream: bool, fault: Option<&'static str>) {
        if let Some(open) = &mut self.0 {
            model.clone_into(&mut open.line.model);
            open.line.stream = stream;
            open.line.fault = fault;
        }
    }

    /// Notes the status of the answer that begins.
    pub(crate) fn began(&mut self, status: u16) {
        if let Some(open) = &mut self.0 {
            open.line.status = status;
        }
    }

    /// Notes the tokens billed so far.
    pub(crate) fn bill(&mut self, tokens: Tokens) {
        if let Some(open) = &mut self.0 {
            open.line.prompt_tokens = tokens.prompt;
            open.line.cached_tokens = tokens.cached;
            open.line.cache_write_tokens = tokens.cache_write;
            open.line.cache_write_1h_tokens = tokens.cache_write_1h;
            open.line.completion_tokens = tokens.completion;
            open.line.reasoning_tokens = tokens.reasoning;
            open.line.images = tokens.images;
            open.line.audio_prompt_tokens = tokens.audio_prompt;
            open.line.image_prompt_tokens = tokens.image_prompt;
            open.line.characters = tokens.characters;
            open.line.audio_ms = tokens.audio_ms;
        }
    }

    /// Writes the line. To be called before the last byte of the answer is handed over; once.
    ///
    /// # Errors
    /// When the file cannot be written: the answer must then not end either, or the truth would lack it.
    pub(crate) fn close(&mut self, finished: bool) -> io::Result<()> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        open.closed = true;
        open.line.finished = finished;
        open.log.write(&open.line)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.closed {
            // Nobody is left to be told that this failed: the caller is gone.
            let _ = self.log.write(&self.line);
        }
    }
}
