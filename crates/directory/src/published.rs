//! Keys that are known to be published: in a paste, a repository, a leaked list. Anybody may hold such a key, so it is
//! treated as revoked wherever one is accepted (access class 2.10): our own keys, providers' keys in the configuration,
//! keys that callers bring.
//!
//! The operator supplies a list of their SHA-256 hashes, one a line. It knows hashes; it must never know a key of the
//! list, where the list is kept or when it is read.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use domain::{Refusal, RefusalCode};

use crate::mask::mask;

/// Characters of a line: SHA-256 in hexadecimal digits.
const DIGITS: usize = 64;
/// Mistakes that are told of one list: a file of another kind has one on every line.
const MISTAKES_MAX: usize = 20;

/// A list of keys by their hashes.
///
/// Of each hash its first half is kept, 16 bytes: that a key which is not on the list has the half of one that is, is a
/// matter of 2^128 tries. A million keys are 16 megabytes, and are looked up in 20 comparisons.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PublishedKeys(Box<[u128]>);

/// The most keys of a list.
pub const PUBLISHED_KEYS_MAX: usize = 1_000_000;

impl PublishedKeys {
    /// Reads a list: a hash a line, as [`published_line`] writes it; what follows a `#` is a comment.
    ///
    /// # Errors
    /// Every mistake with its line, the first 20 of them.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let (mut halves, mut mistakes) = (Vec::new(), Vec::new());
        for (number, line) in (1_u64..).zip(text.lines()) {
            let entry = line.split_once('#').map_or(line, |(entry, _)| entry).trim();
            if entry.is_empty() {
                continue;
            }
            match half_of(entry) {
                Ok(half) => halves.push(half),
                Err(what) => mistakes.push(format!("line {number}: {what}")),
            }
            if mistakes.len() >= MISTAKES_MAX {
                break;
            }
        }
        if halves.len() > PUBLISHED_KEYS_MAX {
            let count = halves.len();
            mistakes.push(format!("it has {count} keys, and a list has at most {PUBLISHED_KEYS_MAX}"));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        halves.sort_unstable();
        halves.dedup();
        Ok(Self(halves.into_boxed_slice()))
    }

    /// Whether this key is on the list.
    pub fn has(&self, key: &str) -> bool {
        // Most gateways have no list, and then there is nothing to hash.
        !self.0.is_empty() && self.0.binary_search(&half(&hash(key))).is_ok()
    }

    /// Whether the key that this line stands for is on the list; a line as [`published_line`] writes it.
    pub fn has_line(&self, line: &str) -> bool {
        half_of(line).is_ok_and(|half| self.0.binary_search(&half).is_ok())
    }

    /// Refuses a key that is on the list.
    ///
    /// # Errors
    /// [`RefusalCode::InvalidKey`], which says why.
    pub fn check(&self, key: &str) -> Result<(), Refusal> {
        if self.has(key) { Err(published(key)) } else { Ok(()) }
    }

    /// How many keys are on it.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishedKeys({})", self.0.len())
    }
}

/// The line of a list that stands for this key: the SHA-256 of its text without the white space around it, in lower-case
/// hexadecimal digits.
pub fn published_line(key: &str) -> String {
    hash(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(key: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    // Both have 32 bytes: the algorithm says so.
    for (byte, from) in bytes.iter_mut().zip(digest(&SHA256, key.trim().as_bytes()).as_ref()) {
        *byte = *from;
    }
    bytes
}

/// The first half of a hash, as a number.
fn half(hash: &[u8; 32]) -> u128 {
    hash.iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// The half of a written hash.
fn half_of(entry: &str) -> Result<u128, String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if entry.len() != DIGITS || !entry.bytes().all(is_digit) {
        let found = entry.chars().count();
        // The line may be a key that somebody put there as it is: it is not repeated.
        return Err(format!(
            "is no SHA-256 of a key ({DIGITS} digits 0-9 and a-f; it has {found} characters); `tollkeeper keys hash` \
             makes the line for a key"
        ));
    }
    let first = entry.get(..DIGITS / 2).unwrap_or_default();
    u128::from_str_radix(first, 16).map_err(|error| error.to_string())
}

/// Anybody may hold this key.
fn published(key: &str) -> Refusal {
    Refusal::new(
        RefusalCode::InvalidKey,
        format!(
            "Incorrect API key provided: {}. This key is known to be published, so anybody may hold it; it is treated as \
             revoked.",
            mask(key)
        ),
        "revoke it where it was made, look at what was called with it since (`tollkeeper usage list`), and give the \
         client the secret that replaces it (of a key of this gateway, `tollkeeper keys rotate` makes one); credit and \
         limits stay as they are",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf %s sk-leaked | sha256sum`
    const LEAKED: &str = "c7bc1f20e8e2261e58619a657248606b9040eacc9769c2c3487507895af387e1";

    #[test]
    fn a_line_is_the_hash_that_everybody_makes() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(published_line("abc"), abc);
        assert_eq!(published_line(" abc\n"), abc);
    }

    #[test]
    fn a_list_knows_its_keys_and_no_others() {
        let text = format!(
            "# found on 2026-11-02\n\n{}  # a paste\n{}\n{}\n",
            published_line("sk-one"),
            published_line("tk-two"),
            published_line("sk-one")
        );
        let list = PublishedKeys::read(&text).unwrap();
        assert_eq!((list.len(), list.is_empty()), (2, false));
        for (key, known) in
            [("sk-one", true), (" sk-one ", true), ("tk-two", true), ("sk-on", false), ("", false)]
        {
            assert_eq!(list.has(key), known, "{key}");
            assert_eq!(list.has_line(&published_line(key)), known, "{key}");
            assert_eq!(list.check(key).is_err(), known, "{key}");
        }
        assert!(!list.has_line("sk-one") && !list.has_line(""), "keys are no lines");
        assert!(PublishedKeys::default().check("sk-one").is_ok());
        let refusal = list.check("sk-one").unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        assert!(refusal.message.contains("known to be published"), "{}", refusal.message);
        assert_eq!(format!("{list:?}"), "PublishedKeys(2)");
    }

    #[test]
    fn every_mistake_names_its_line_and_repeats_no_key() {
        let upper = LEAKED.to_uppercase();
        let text = format!("{LEAKED}\nsk-secret-in-clear\n{upper}\n{}\n", &LEAKED[1..]);
        let mistakes = PublishedKeys::read(&text).unwrap_err();
        let lines: Vec<&str> = mistakes.iter().filter_map(|mistake| mistake.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 3", "line 4"]);
        assert!(!mistakes.concat().contains("sk-secret"), "{mistakes:?}");
        assert_eq!(PublishedKeys::read(&"x\n".repeat(1_000)).unwrap_err().len(), MISTAKES_MAX);
    }
}
