//! Ids that one form needs and another has none for, or has in other letters. Nothing here is chance: the same
//! request makes the same ids.

use std::borrow::Cow;

/// Characters of a seed that become part of an id: OpenAI takes ids of calls of up to 40.
const SEED_CHARS: usize = 24;

/// An id made of a prefix, the end of the seed and a number.
pub(super) fn derived(prefix: &str, seed: &str, number: usize) -> String {
    let letters: Vec<char> = seed.chars().filter(char::is_ascii_alphanumeric).collect();
    let end = letters.iter().skip(letters.len().saturating_sub(SEED_CHARS));
    let seed: String = end.collect();
    format!("{prefix}{seed}_{number}")
}

/// The id in the letters that Anthropic and Bedrock take; the others are written as their codes. The same id always
/// becomes the same, so that calls and their results still agree.
pub(super) fn plain<'a>(id: &'a Cow<'a, str>) -> Cow<'a, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.bytes().all(fits) {
        return Cow::Borrowed(id);
    }
    let mut plain = String::with_capacity(id.len() + 8);
    for byte in id.bytes() {
        if fits(byte) {
            plain.push(char::from(byte));
        } else {
            plain.push_str(&format!("_{byte:02x}"));
        }
    }
    Cow::Owned(plain)
}
