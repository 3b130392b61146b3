//! Speech: what is asked, and sound of a length that anybody can measure.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::decode::{model, typed};
use crate::problem::Problem;
use crate::stream::{GARBAGE, Made};
use crate::text;
use crate::truth::Tokens;

/// Time of a token, in milliseconds: 1,250 tokens a minute.
const TOKEN_MS: u64 = 48;
/// A frame of MP3 of 24 milliseconds: MPEG 2, layer III, 64 kbit/s, 24,000 samples a second, one channel, silent.
const FRAME: [u8; 4] = [0xff, 0xf3, 0x84, 0xc0];
const FRAME_BYTES: usize = 192;
const FRAME_MS: u64 = 24;
/// Bytes of a millisecond of samples of 16 bits, 24,000 a second.
const SAMPLE_BYTES: usize = 48;

/// The raw fields of a request.
#[derive(Deserialize)]
pub(crate) struct SpeechFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    voice: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_format: Option<&'a RawValue>,
}

/// What is to be spoken.
pub(crate) struct SpeechAsk {
    pub(crate) stream: bool,
    pub(crate) prompt: u64,
    characters: u64,
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Mp3,
    Wav,
    Pcm,
}

/// Speech, decided but not yet written.
pub(crate) struct Speech {
    pub(crate) ask: SpeechAsk,
    /// Tokens of sound.
    pub(crate) out: u64,
    /// Whether token counts are reported.
    pub(crate) usage: bool,
}

impl SpeechFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        model(self.model)
    }

    /// The rest. The text is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<SpeechAsk, Problem> {
        let text = |raw, name| typed::<String>(raw, name, "a string");
        let input = text(self.input, "input")?.ok_or_else(|| Problem::missing("input"))?;
        text(self.voice, "voice")?.ok_or_else(|| Problem::missing("voice"))?;
        let instructions = text(self.instructions, "instructions")?.unwrap_or_default();
        let format = match text(self.response_format, "response_format")?.as_deref() {
            None | Some("mp3") => Format::Mp3,
            Some("wav") => Format::Wav,
            Some("pcm") => Format::Pcm,
            Some(_) => {
                return Err(Problem::value(
                    "response_format",
                    "'mp3', 'wav' or 'pcm': the mock has no others",
                ));
            }
        };
        Ok(SpeechAsk {
            stream: text(self.stream_format, "stream_format")?.as_deref() == Some("sse"),
            prompt: given.unwrap_or_else(|| text::count(&input) + text::count(&instructions)),
            characters: input.chars().count() as u64,
            format,
        })
    }
}

impl Speech {
    /// What is billed once so many tokens are out. Whoever charges by characters has read them all.
    pub(crate) fn tokens(&self, out: u64) -> Tokens {
        Tokens {
            prompt: self.ask.prompt,
            completion: out,
            characters: self.ask.characters,
            audio_ms: out * TOKEN_MS,
            ..Tokens::default()
        }
    }

    /// The type of its bytes.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.ask.format {
            Format::Mp3 => "audio/mpeg",
            Format::Wav => "audio/wav",
            Format::Pcm => "audio/pcm",
        }
    }

    /// The sound of one token.
    fn sound(&self) -> Vec<u8> {
        if self.ask.format == Format::Mp3 {
            let mut frame = FRAME.to_vec();
            frame.resize(FRAME_BYTES, 0);
            return frame.repeat((TOKEN_MS / FRAME_MS) as usize);
        }
        vec![0; TOKEN_MS as usize * SAMPLE_BYTES]
    }

    /// The head of the file, which does not know how long it will be.
    fn head(&self) -> Vec<u8> {
        if self.ask.format != Format::Wav {
            return Vec::new();
        }
        let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        for word in [24_000_u32, 48_000] {
            head.extend(word.to_le_bytes());
        }
        head.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
        head
    }

    /// The sound, a piece a token, or the events that hold it.
    pub(crate) fn made(&self) -> Made {
        let sound = |token: u64| {
            let head = if token == 0 { self.head() } else { Vec::new() };
            [head, self.sound()].concat()
        };
        let bills = (0..=self.out).map(|out| self.tokens(out)).collect();
        if self.ask.stream {
            let pieces = (0..self.out)
                .map(|token| event(&json!({"type": "speech.audio.delta", "audio": base64(&sound(token))})));
            let mut end = json!({"type": "speech.audio.done"});
            if self.usage {
                let (input, output) = (self.ask.prompt, self.out);
                end["usage"] =
                    json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
            }
            return Made {
                pieces: pieces.collect(),
                bills,
                end: event(&end),
                garbage: GARBAGE,
                is_sound: false,
            };
        }
        // A text of which each character is a byte.
        let pieces = (0..self.out).map(|token| sound(token).into_iter().map(char::from).collect());
        Made { pieces: pieces.collect(), bills, end: String::new(), garbage: "", is_sound: true }
    }
}

fn event(data: &serde_json::Value) -> String {
    format!("data: {data}\n\n")
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let word = three.iter().chain([&0, &0]).take(3).fold(0, |word, byte| word << 8 | usize::from(*byte));
        let sign = move |place: usize| char::from(SIGNS[word >> (18 - 6 * place) & 63]);
        let signs = three.len() + 1;
        (0..4).map(move |place| if place < signs { sign(place) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_base64() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
