//! How long a recording is, by its own bytes: what is charged by time must be bounded before a provider has heard it.
//!
//! It knows containers and frames; it must never know what anything costs, and decodes no sound. Where a format says in
//! every frame how long that is (MP3, AAC) the frames are counted, as a decoder would; where only heads say it (Ogg, WAV,
//! FLAC, MP4) they are believed as long as it can be and nobody says otherwise: whoever wrote them may lie, and a decoder
//! that goes on to the last byte hears more.

mod container;
mod frames;

/// The least bytes a second that any recording is reckoned to have whose length cannot be told: 4 kbit/s, below the least
/// of Opus (6), AMR (4.75) and every MP3 (8). WebM is such a recording: what browsers record says no length.
const LEAST_BYTES_PER_SECOND: u64 = 500;

/// Bytes a second of speech without a container, as OpenAI makes it: 24,000 samples of 16 bits.
const PLAIN_BYTES_PER_SECOND: u64 = 48_000;

/// The beginning of speech that is kept to tell its density.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most bytes a second of a recording whose head can be believed: as many as two channels of 48,000 samples have that
/// are not compressed.
const MOST_BYTES_PER_SECOND: u64 = 192_000;

/// FLAC makes about half of what it is given.
const FLAC_SHARE: u64 = 2;

/// The length of a whole recording, in milliseconds, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// All of its frames say so.
    Counted(u64),
    /// Its head says so.
    Said {
        /// So much.
        told: u64,
        /// No recording of so many bytes is longer.
        most: u64,
    },
    /// Nothing does, and no recording of so many bytes is longer.
    AtMost(u64),
}

impl Length {
    /// The length of a recording of which these are all bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if let Some(counted) = frames::length(bytes) {
            return Self::Counted(counted);
        }
        let told = container::wave(bytes).map(|wave| wave.length(count(bytes)));
        let told = told.or_else(|| container::flac(bytes)?.length(count(bytes)));
        let told = told.or_else(|| container::mp4_length(bytes).filter(|told| is_possible(*told, bytes)));
        let told = told.or_else(|| frames::ogg_length(bytes).filter(|told| is_possible(*told, bytes)));
        let most = length_at(count(bytes), LEAST_BYTES_PER_SECOND);
        match told {
            Some(told) => Self::Said { told, most: most.max(told) },
            None => Self::AtMost(most),
        }
    }

    /// What it is held for.
    pub(crate) const fn likely(self) -> u64 {
        match self {
            Self::Counted(length) | Self::Said { told: length, .. } | Self::AtMost(length) => length,
        }
    }

    /// The most that it can be.
    pub(crate) const fn most(self) -> u64 {
        match self {
            Self::Counted(length) | Self::Said { most: length, .. } | Self::AtMost(length) => length,
        }
    }

    /// What it is when nobody tells, `heard` being how far an answer's times have come: 0 where it has none.
    pub(crate) fn reckoned(self, heard: u64) -> u64 {
        match self {
            Self::Counted(length) => length,
            Self::Said { told, most } => told.max(heard.min(most)),
            Self::AtMost(most) if heard > 0 => heard.min(most),
            Self::AtMost(most) => most,
        }
    }
}

/// Speech as it is made: its beginning, which tells its format, and how many bytes it has come to.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    head: Vec<u8>,
    total: u64,
}

impl Speech {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(count(bytes));
        let room = HEAD_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// The same of bytes in base64.
    pub(crate) fn push_base64(&mut self, text: &str) {
        let text = text.trim_end_matches('=');
        self.total = self.total.saturating_add(product(count(text.as_bytes()), 3) / 4);
        let (mut bits, mut held) = (0_u32, 0_u32);
        for value in text.bytes().map_while(base64_value) {
            if self.head.len() >= HEAD_BYTES_MAX {
                return;
            }
            (bits, held) = ((bits << 6 | u32::from(value)) & 0x3fff, held + 6);
            if held >= 8 {
                held -= 8;
                self.head.extend(u8::try_from(bits >> held & 0xff));
            }
        }
    }

    /// About how long it is, in milliseconds: the rest is taken to be as dense as the beginning.
    pub(crate) fn length(&self) -> u64 {
        let (head, total) = (self.head.as_slice(), self.total);
        if let Some(part) = frames::length(head).or_else(|| frames::ogg_length(head)) {
            return product(part, total).div_ceil(count(head).max(1));
        }
        if let Some(wave) = container::wave(head) {
            return wave.length(total);
        }
        match container::flac(head) {
            Some(flac) => length_at(product(total, FLAC_SHARE), flac.bytes_per_second),
            None => length_at(total, PLAIN_BYTES_PER_SECOND),
        }
    }
}

/// The six bits of a sign of base64.
const fn base64_value(sign: u8) -> Option<u8> {
    match sign {
        b'A'..=b'Z' => Some(sign - b'A'),
        b'a'..=b'z' => Some(sign - b'a' + 26),
        b'0'..=b'9' => Some(sign - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Whether these bytes can be no longer than that.
fn is_possible(told: u64, bytes: &[u8]) -> bool {
    told >= length_at(count(bytes), MOST_BYTES_PER_SECOND)
}

/// How long so many bytes are at a rate, in milliseconds, rounded up.
fn length_at(bytes: u64, bytes_per_second: u64) -> u64 {
    match bytes_per_second {
        0 => 0,
        rate => product(bytes, 1_000).div_ceil(rate),
    }
}

/// A product of lengths, which no recording is long enough to exceed.
const fn product(one: u64, other: u64) -> u64 {
    one.saturating_mul(other)
}

fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// So many bytes at a place.
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}
