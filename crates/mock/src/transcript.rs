//! Transcripts: what is to be heard, and answers that say the same words each time, in every format.

use serde_json::{Value, json};

use crate::form::Form;
use crate::problem::Problem;
use crate::stream::{GARBAGE, Made};
use crate::text;
use crate::truth::Tokens;

/// Time of a token that is heard, in milliseconds.
const TOKEN_MS: u64 = 100;
/// Bytes a second of what is no WAV: MP3 of 128 kbit/s.
const BYTES_PER_SECOND: u64 = 16_000;
/// Models that are charged by time have this in their names.
const BY_TIME: &str = "whisper";

/// What is to be written down.
pub(crate) struct TranscriptAsk {
    pub(crate) stream: bool,
    prompt: u64,
    audio_ms: u64,
    format: String,
}

/// A transcript, decided but not yet written.
pub(crate) struct Transcript {
    pub(crate) ask: TranscriptAsk,
    /// Tokens of text.
    pub(crate) out: u64,
    /// Whether it is charged by time.
    pub(crate) by_time: bool,
    /// Whether counts are reported.
    pub(crate) usage: bool,
}

impl TranscriptAsk {
    /// What a form asks for.
    pub(crate) fn read(form: &Form<'_>) -> Result<Self, Problem> {
        let file = form.files("file");
        let file = file.first().ok_or_else(|| Problem::missing("file"))?;
        let format = form.text("response_format").unwrap_or_else(|| "json".to_owned());
        if !["json", "text", "srt", "vtt", "verbose_json", "diarized_json"].contains(&&*format) {
            return Err(Problem::value("response_format", "a format of transcripts"));
        }
        Ok(Self {
            stream: form.flag("stream"),
            prompt: text::count(&form.text("prompt").unwrap_or_default()),
            audio_ms: length(file),
            format,
        })
    }
}

/// The length of a recording, in milliseconds. Of WAV only the plainest is known: a head of 44 bytes.
fn length(file: &[u8]) -> u64 {
    let bytes = file.len() as u64;
    match file.get(28..32).and_then(|rate| rate.try_into().ok()) {
        Some(rate) if file.starts_with(b"RIFF") => {
            (bytes - 44.min(bytes)) * 1_000 / u64::from(u32::from_le_bytes(rate)).max(1)
        }
        _ => bytes * 1_000 / BYTES_PER_SECOND,
    }
}

impl Transcript {
    /// Whether a model of this name is charged by time.
    pub(crate) fn is_by_time(model: &str) -> bool {
        model.contains(BY_TIME)
    }

    /// What is billed once so many tokens are out. Time is billed by whole seconds.
    pub(crate) fn tokens(&self, out: u64) -> Tokens {
        let audio_ms = self.ask.audio_ms.div_ceil(1_000) * 1_000;
        let heard = self.ask.audio_ms.div_ceil(TOKEN_MS);
        Tokens {
            prompt: self.ask.prompt + heard,
            audio_prompt: heard,
            completion: out,
            audio_ms,
            ..Tokens::default()
        }
    }

    /// The type of an answer in one piece.
    pub(crate) fn kind(&self) -> &'static str {
        match &*self.ask.format {
            "text" | "srt" => "text/plain; charset=utf-8",
            "vtt" => "text/vtt; charset=utf-8",
            _ => "application/json",
        }
    }

    fn words(&self) -> String {
        let mut words = String::new();
        text::append(&mut words, 0, self.out);
        words
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> String {
        let words = self.words();
        let end = clock(self.ask.audio_ms);
        match &*self.ask.format {
            "text" => return format!("{words}\n"),
            "srt" => return format!("1\n00:00:00,000 --> {}\n{words}\n\n", end.replace('.', ",")),
            "vtt" => return format!("WEBVTT\n\n00:00:00.000 --> {end}\n{words}\n\n"),
            _ => {}
        }
        let mut answer = json!({"text": words});
        if self.ask.format != "json" {
            let seconds = self.seconds();
            answer["task"] = json!("transcribe");
            answer["segments"] =
                json!([{"id": "0", "start": 0.0, "end": seconds, "text": words, "speaker": "A"}]);
            answer["duration"] = seconds;
        }
        if self.ask.format == "verbose_json" {
            answer["language"] = json!("english");
        }
        if self.usage {
            answer["usage"] = self.counts();
        }
        answer.to_string()
    }

    /// The answer as events.
    pub(crate) fn made(&self) -> Made {
        let delta = |token: u64| {
            let mut words = String::new();
            text::append(&mut words, token, token + 1);
            event(&json!({"type": "transcript.text.delta", "delta": words}))
        };
        let mut end = json!({"type": "transcript.text.done", "text": self.words()});
        if self.usage {
            end["usage"] = self.counts();
        }
        Made {
            pieces: (0..self.out).map(delta).collect(),
            bills: (0..=self.out).map(|out| self.tokens(out)).collect(),
            end: event(&end),
            garbage: GARBAGE,
            is_sound: false,
        }
    }

    /// The length of the recording as a number with decimals.
    fn seconds(&self) -> Value {
        let ms = self.ask.audio_ms;
        serde_json::from_str(&format!("{}.{:03}", ms / 1_000, ms % 1_000)).unwrap_or_default()
    }

    fn counts(&self) -> Value {
        let Tokens { prompt, audio_prompt, completion, audio_ms, .. } = self.tokens(self.out);
        if self.by_time {
            return json!({"type": "duration", "seconds": audio_ms / 1_000});
        }
        json!({
            "type": "tokens",
            "input_tokens": prompt,
            "input_token_details": {"text_tokens": prompt - audio_prompt, "audio_tokens": audio_prompt},
            "output_tokens": completion,
            "total_tokens": prompt + completion,
        })
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// A time as subtitles write it.
fn clock(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, ms % 1_000)
}
