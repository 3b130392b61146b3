//! What may be shown of a presented secret.

use crate::secret::KeyKind;

/// Texts shorter than this are shown not at all: seven characters of them would be too much of a password.
const SHOWABLE_CHARS_MIN: usize = 16;

/// The text with its middle hidden, for messages: `tk-a1b***wxyz` for a well-formed key of ours (whose prefix is
/// public), at most the first three and last four characters of anything else, nothing of a short text. Whatever is
/// not a visible ASCII character shows as `?`, so that no header value can write into a log or a terminal.
pub fn mask(text: &str) -> String {
    if let Ok(kind) = KeyKind::of(text) {
        return own(text, kind, "***");
    }
    if text.chars().nth(SHOWABLE_CHARS_MIN - 1).is_none() {
        return "***".to_owned();
    }
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let mut masked: String = text.chars().take(3).map(visible).collect();
    masked.push_str("***");
    let last: Vec<char> = text.chars().rev().take(4).collect();
    masked.extend(last.into_iter().rev().map(visible));
    masked
}

/// A well-formed key with its middle replaced by `gap`.
pub(crate) fn own(text: &str, kind: KeyKind, gap: &str) -> String {
    let shown = kind.prefix().len() + 3;
    let head = text.get(..shown).unwrap_or_default();
    let tail = text.len().checked_sub(4).and_then(|start| text.get(start..)).unwrap_or_default();
    format!("{head}{gap}{tail}")
}
