//! The text form of a key, and how it becomes a hash.
//!
//! `tk-` (`tk-op-` for the operator's key, `tk-admin-` for an administrator's, `tk-invite-` for the token of an
//! invitation), 40 random base62 characters, 6 characters of checksum. The prefix and
//! the checksum let a typing error be named without a look-up and a scan find our keys in a repository or a paste.

use std::fmt;
use std::ops::Range;

use domain::Ids;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use crate::checksum::{self, BASE62, CHECKSUM_CHARS};
use crate::mask;
use crate::record::KeyHash;

const RANDOM_CHARS: usize = 40;

/// What a key opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Calls to models, for one project.
    Project,
    /// Administration of the gateway; never calls to models.
    Operator,
    /// Administration of one organization; never calls to models.
    Admin,
    /// An invitation into one organization, once.
    Invite,
}

/// Why a text is not a key of ours. Says nothing of the text itself, so it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It begins with neither prefix.
    #[error("it does not begin with `tk-`")]
    Prefix,
    /// It was cut, or something was added.
    #[error("it has {found} characters where a whole key has {whole}")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes a whole key of this prefix has.
        whole: usize,
    },
    /// A character that no key has.
    #[error("it contains a character that is neither a letter nor a digit")]
    Alphabet,
    /// The last six characters do not fit the rest.
    #[error("its checksum does not fit: a character was changed")]
    Checksum,
}

impl KeyKind {
    /// What the text of such a key begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Project => "tk-",
            Self::Operator => "tk-op-",
            Self::Admin => "tk-admin-",
            Self::Invite => "tk-invite-",
        }
    }

    const fn whole_len(self) -> usize {
        self.prefix().len() + RANDOM_CHARS + CHECKSUM_CHARS
    }

    /// Checks prefix, length, alphabet and checksum, in this order, without allocating: about the work of one short
    /// hash, so that nonsense never reaches the look-up.
    pub fn of(text: &str) -> Result<Self, Malformed> {
        // What is random has no dash, so the longer prefixes cannot be the beginning of a project's key.
        let special = [Self::Operator, Self::Admin, Self::Invite];
        let kind = special.into_iter().find(|kind| text.starts_with(kind.prefix())).unwrap_or(Self::Project);
        if !text.starts_with(kind.prefix()) {
            return Err(Malformed::Prefix);
        }
        if text.len() != kind.whole_len() {
            return Err(Malformed::Length { found: text.len(), whole: kind.whole_len() });
        }
        let (signed, sum) = text.as_bytes().split_at(text.len() - CHECKSUM_CHARS);
        let body = signed.get(kind.prefix().len()..).unwrap_or_default();
        if !body.iter().chain(sum).all(u8::is_ascii_alphanumeric) {
            return Err(Malformed::Alphabet);
        }
        if checksum::of(signed) != sum {
            return Err(Malformed::Checksum);
        }
        Ok(kind)
    }
}

/// The text of a key: wiped from memory when dropped, hidden from `Debug`.
#[derive(Clone)]
pub struct Secret {
    kind: KeyKind,
    text: SecretString,
}

impl Secret {
    /// A fresh key: 238 bits of `ids`' unpredictable bytes.
    pub fn generate(kind: KeyKind, ids: &dyn Ids) -> Self {
        // Room for the whole text from the start: growing would leave parts of the secret in freed memory.
        let mut text = String::with_capacity(kind.whole_len());
        text.push_str(kind.prefix());
        let mut stream = blake3::Hasher::new_derive_key("tollkeeper 2026 text of a key")
            .update(&ids.secret())
            .finalize_xof();
        while text.len() < kind.whole_len() - CHECKSUM_CHARS {
            let mut byte = [0_u8; 1];
            stream.fill(&mut byte);
            text.extend(base62_digit(byte[0]));
        }
        let sum = checksum::of(text.as_bytes());
        text.extend(sum.map(char::from));
        Self { kind, text: SecretString::from(text) }
    }

    /// The key with this text, after the checks of [`KeyKind::of`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let kind = KeyKind::of(text)?;
        Ok(Self { kind, text: SecretString::from(text) })
    }

    /// What it opens.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The text itself, to be shown once or written to a file of mode 0600.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What may be shown and stored: `tk-a1b…xyz9`.
    pub fn redacted(&self) -> String {
        mask::own(self.expose(), self.kind, "…")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.redacted())
    }
}

/// The digit for one random byte; `None` for the 8 values that would make some digits likelier than others.
fn base62_digit(byte: u8) -> Option<char> {
    const UNBIASED: u8 = 62 * 4;
    let index = usize::from(byte) % BASE62.len();
    (byte < UNBIASED).then(|| char::from(BASE62[index]))
}

/// Hashes keys with a secret pepper that lies beside the database, not in it.
///
/// The hash may be compared and looked up in variable time: without the pepper nobody can aim a text at a hash.
pub struct KeyHasher(SecretBox<[u8; 32]>);

impl KeyHasher {
    /// A hasher with this pepper.
    pub fn new(pepper: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(pepper)))
    }

    /// The hash of a key's text.
    pub fn hash(&self, text: &str) -> KeyHash {
        KeyHash::from_bytes(*blake3::keyed_hash(self.0.expose_secret(), text.as_bytes()).as_bytes())
    }
}

impl KeyHasher {
    /// By what a secret of somebody else's is recognised: worth as little without the pepper, and never the hash of a key
    /// of ours.
    pub fn fingerprint(&self, secret: &SecretString) -> KeyHash {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose_secret());
        hasher.update(b"a provider's: ").update(secret.expose_secret().as_bytes());
        KeyHash::from_bytes(*hasher.finalize().as_bytes())
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher(hidden)")
    }
}

/// A key of ours found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it opens.
    pub kind: KeyKind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// What may be shown of it.
    pub redacted: String,
}

/// Every key of ours in `text`, whatever surrounds it. By prefix and checksum: chance alone finds one in 2^32 texts of
/// the right form.
pub fn scan(text: &str) -> impl Iterator<Item = Found> + '_ {
    text.match_indices(KeyKind::Project.prefix()).filter_map(|(start, _)| {
        [KeyKind::Operator, KeyKind::Admin, KeyKind::Invite, KeyKind::Project].into_iter().find_map(|kind| {
            let range = start..start + kind.whole_len();
            let candidate = text.get(range.clone())?;
            let redacted = mask::own(candidate, kind, "…");
            (KeyKind::of(candidate) == Ok(kind)).then_some(Found { kind, range, redacted })
        })
    })
}
