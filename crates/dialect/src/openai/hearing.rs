//! What a form with a recording asks for, and the most that it can come to.

use crate::bad_request::BadRequest;
use crate::call::Asked;
use crate::field;
use crate::form::Form;
use crate::product::{FormText, Product};
use crate::sound::Length;

/// The fields that the gateway reads: they decide what a call costs, where it goes or how its answer comes.
const READ: [&str; 5] = ["model", "file", "response_format", "stream", "prompt"];
/// Ways to name a recording that does not stand in the form (Groq's and Mistral's).
const ELSEWHERE: [&str; 3] = ["url", "file_url", "file_id"];

/// Tokens that a second of audio has at most as input: Gemini's count; OpenAI's is a third of it.
pub(crate) const INPUT_PER_SECOND: u64 = 32;
/// Tokens of text that a second of speech comes to at most: twice what a fast speaker says.
const OUTPUT_PER_SECOND: u64 = 16;
/// A transcript of nothing.
const OUTPUT_LEAST: u64 = 256;

/// Answers that are no JSON.
const PLAIN_FORMATS: [&str; 3] = ["text", "srt", "vtt"];

/// Reads a form with a recording.
pub(crate) fn read(form: &Form<'_>) -> Result<Asked, BadRequest> {
    form.check(&READ, &[])?;
    let model = form.text("model")?.ok_or_else(|| BadRequest::missing("model"))?;
    field::check_model("model", model.text)?;
    if let Some(name) = ELSEWHERE.into_iter().find(|name| form.has(name)) {
        return Err(BadRequest::unmetered(name, "recordings that are elsewhere; send the 'file'"));
    }
    let file = *form.files("file")?.first().ok_or_else(|| BadRequest::missing("file"))?;
    if file.is_empty() {
        return Err(BadRequest::word("file", "a recording, not an empty file"));
    }
    let format = form.word("response_format")?.unwrap_or("json");
    let recording = Length::of(file);
    let likely = recording.likely();
    let tokens = |per_second: u64| likely.saturating_mul(per_second).div_ceil(1_000);
    let product = Product {
        output_tokens: tokens(OUTPUT_PER_SECOND).saturating_add(OUTPUT_LEAST),
        input_tokens: tokens(INPUT_PER_SECOND),
        audio_ms: likely,
        recording: Some(recording),
        form: Some(FormText { bytes: form.text_bytes(), prompt: form.text("prompt")?.map(|text| text.span) }),
        plain_answer: PLAIN_FORMATS.contains(&format),
        ..Product::default()
    };
    Ok(Asked {
        stream: form.boolean("stream")?.unwrap_or(false),
        product,
        ..Asked::plain(model.text.to_owned(), model.span)
    })
}
