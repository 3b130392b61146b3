//! Formats whose head says how long they are: WAV, FLAC and MP4.

use super::{bytes_at, count, length_at, product};

/// Chunks or boxes that are looked through for the one that tells.
const BOXES_MAX: usize = 256;
/// Forms of WAV whose bytes are its samples: PCM, floats, A-law, µ-law, and the extended head of these.
const PLAIN: [u16; 5] = [1, 3, 6, 7, 0xfffe];

/// What the head of a WAV file says.
pub(super) struct Wave {
    /// Where the sound begins.
    begin: u64,
    bytes_per_second: u64,
}

impl Wave {
    /// The length of a file of so many bytes, in milliseconds: all that follows the head, since some read on where it says
    /// that the sound ends.
    pub(super) fn length(&self, total: u64) -> u64 {
        length_at(total.saturating_sub(self.begin), self.bytes_per_second)
    }
}

/// Reads the head of a WAV file whose sound is not compressed.
pub(super) fn wave(bytes: &[u8]) -> Option<Wave> {
    let is_wave = matches!(bytes.get(..4)?, b"RIFF" | b"RF64") && bytes.get(8..12)? == b"WAVE";
    is_wave.then_some(())?;
    let (mut at, mut rate) = (12_usize, None);
    for _ in 0..BOXES_MAX {
        let name = bytes_at::<4>(bytes, at)?;
        let size = u32::from_le_bytes(bytes_at(bytes, at.checked_add(4)?)?);
        let begin = at.checked_add(8)?;
        match &name {
            b"fmt " => rate = Some(plain_rate(bytes, begin)?),
            b"data" => {
                let begin = u64::try_from(begin).ok()?;
                return Some(Wave { begin, bytes_per_second: rate? });
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = begin.checked_add(usize::try_from(size).ok()?)?.checked_next_multiple_of(2)?;
    }
    None
}

/// Bytes a second by what decoders go by: the rate of samples and their size, and not the sum of it that stands beside.
fn plain_rate(bytes: &[u8], at: usize) -> Option<u64> {
    let half = |place: usize| Some(u16::from_le_bytes(bytes_at(bytes, at.checked_add(place)?)?));
    PLAIN.contains(&half(0)?).then_some(())?;
    let (channels, bits) = (u64::from(half(2)?), u64::from(half(14)?));
    let samples = u64::from(u32::from_le_bytes(bytes_at(bytes, at.checked_add(4)?)?));
    let rate = product(product(samples, channels), bits.div_ceil(8));
    (rate > 0).then_some(rate)
}

/// What the head of a FLAC file says.
pub(super) struct Flac {
    /// Samples of each channel in all; 0 is not known.
    samples: u64,
    rate: u64,
    /// Bytes a second of what comes out.
    pub(super) bytes_per_second: u64,
}

impl Flac {
    /// The length of a file of so many bytes, in milliseconds. It has no more bytes than what comes out of it, so a head that
    /// says otherwise is not believed.
    pub(super) fn length(&self, total: u64) -> Option<u64> {
        let told = product(self.samples, 1_000).div_ceil(self.rate);
        (self.samples > 0).then(|| told.max(length_at(total, self.bytes_per_second)))
    }
}

/// Reads the head of a FLAC file.
pub(super) fn flac(bytes: &[u8]) -> Option<Flac> {
    bytes.starts_with(b"fLaC").then_some(())?;
    // The first block is always the one with the sizes; eight bytes of marks, and ten that do not matter.
    let told = u64::from_be_bytes(bytes_at(bytes, 18)?);
    let (rate, channels, bits) = (told >> 44, (told >> 41 & 7) + 1, (told >> 36 & 31) + 1);
    let bytes_per_second = product(product(rate, channels), bits.div_ceil(8));
    (rate > 0).then_some(Flac { samples: told & 0xf_ffff_ffff, rate, bytes_per_second })
}

/// The length of an MP4 (M4A) in milliseconds, as the head of the film says it; nothing for one in fragments, whose head
/// does not.
pub(super) fn mp4_length(bytes: &[u8]) -> Option<u64> {
    (bytes.get(4..8)? == b"ftyp").then_some(())?;
    if find(bytes, *b"moof").is_some() {
        return None;
    }
    let head = find(find(bytes, *b"moov")?, *b"mvhd")?;
    let word = |at: usize| Some(u64::from(u32::from_be_bytes(bytes_at(head, at)?)));
    // The times of making and changing stand before, and are longer in version 1.
    let (scale, duration, unknown) = match head.first()? {
        0 => (word(12)?, word(16)?, u64::from(u32::MAX)),
        _ => (word(20)?, u64::from_be_bytes(bytes_at(head, 24)?), u64::MAX),
    };
    let is_told = scale > 0 && duration > 0 && duration != unknown;
    is_told.then(|| product(duration, 1_000).div_ceil(scale))
}

/// What is in the first box of this name.
fn find(bytes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let mut at = 0_usize;
    for _ in 0..BOXES_MAX {
        let name = bytes_at::<4>(bytes, at.checked_add(4)?)?;
        let (head, size) = match u32::from_be_bytes(bytes_at(bytes, at)?) {
            // To the end.
            0 => (8, count(bytes).saturating_sub(u64::try_from(at).ok()?)),
            1 => (16, u64::from_be_bytes(bytes_at(bytes, at.checked_add(8)?)?)),
            size => (8, u64::from(size)),
        };
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        if name == wanted {
            return bytes.get(at.checked_add(head)?..end.min(bytes.len()));
        }
        (size >= 8).then_some(())?;
        at = end;
    }
    None
}
