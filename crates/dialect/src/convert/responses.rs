//! OpenAI's Responses, as a form that callers speak. No provider is asked in it by way of a conversion: it can ask
//! for more than the others can, and whoever serves it serves Chat Completions as well.

pub(super) mod items;
pub(super) mod read;
pub(super) mod write;

use std::borrow::Cow;

use super::conversation::{Sealed, Signer};

/// What tells whose seal `encrypted_content` is, and that a whole thought is sealed and not a signature alone.
const ANTHROPIC: &str = "anthropic:";
const ANTHROPIC_REDACTED: &str = "anthropic-redacted:";
const GOOGLE: &str = "google:";

/// `encrypted_content` as it is told to the caller, who sends it back as it is.
fn sealed_text(seal: &Sealed<'_>, is_redacted: bool) -> String {
    let tag = match seal.by {
        Signer::Anthropic if is_redacted => ANTHROPIC_REDACTED,
        Signer::Anthropic => ANTHROPIC,
        Signer::Google => GOOGLE,
    };
    format!("{tag}{}", seal.text)
}

/// The same read again: the seal, and whether it is a whole thought. None for one that is OpenAI's own.
fn sealed<'a>(text: &str) -> Option<(Sealed<'a>, bool)> {
    let tags = [
        (ANTHROPIC, Signer::Anthropic, false),
        (ANTHROPIC_REDACTED, Signer::Anthropic, true),
        (GOOGLE, Signer::Google, false),
    ];
    tags.into_iter().find_map(|(tag, by, is_redacted)| {
        let rest = text.strip_prefix(tag)?;
        Some((Sealed { by, text: Cow::Owned(rest.to_owned()) }, is_redacted))
    })
}
