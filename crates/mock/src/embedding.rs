//! Vectors that depend on nothing but their input, and their two encodings.

use serde_json::json;

use crate::behaviour::scatter;
use crate::decode::{EmbeddingAsk, Input};

/// The body of an embeddings answer; without token counts when `usage` is off.
pub(crate) fn list(ask: &EmbeddingAsk, model: &str, usage: bool) -> String {
    let data: Vec<_> = ask
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, ask.dimensions);
            let embedding = if ask.base64 {
                let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                json!(base64(&bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let mut list = json!({"object": "list", "data": data, "model": model});
    if usage {
        list["usage"] = json!({"prompt_tokens": ask.prompt, "total_tokens": ask.prompt});
    }
    list.to_string()
}

/// Numbers between 0.25 and 0.5 or their negatives, made from bits: 8 of them have a length of about 1.
fn vector(input: &Input, dimensions: u64) -> Vec<f32> {
    const EXPONENT: u32 = 125 << 23;
    const FRACTION_AND_SIGN: u32 = (1 << 31) | ((1 << 23) - 1);
    let bits = (0..dimensions).map(|index| scatter(input.print.wrapping_add(index)) as u32);
    bits.map(|bits| f32::from_bits(EXPONENT | (bits & FRACTION_AND_SIGN))).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for digit in 0..4 {
            let sextet = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > group.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in table {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}
