//! Formats whose frames say how long they are: MP3, AAC (ADTS) and Ogg.

use super::bytes_at;

/// Kilobits a second by the number in a frame's head, which counts from 1: version 1 and layers I, II and III, then version
/// 2 and layers I, and II and III (ISO 11172-3, ISO 13818-3).
const KBITS: [[u64; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// Samples a second of MPEG's version 1; version 2 has half as many, version 2.5 a quarter.
const RATES: [u64; 3] = [44_100, 48_000, 32_000];
/// The same of AAC (ISO 13818-7).
const AAC_RATES: [u64; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Samples in each block of AAC.
const AAC_SAMPLES: u64 = 1_024;

/// Streams in one Ogg file that are told apart; nobody has more.
const OGG_STREAMS_MAX: usize = 64;
/// Opus counts by this rate, whatever it was recorded at.
const OPUS_RATE: u64 = 48_000;

/// A frame of MP3 or AAC.
struct Frame {
    bytes: usize,
    samples: u64,
    rate: u64,
}

/// The length of MP3 or AAC in milliseconds; nothing for what does not begin as such.
pub(super) fn length(bytes: &[u8]) -> Option<u64> {
    let mut at = tag_bytes(bytes);
    let first = frame_at(bytes, at)?;
    // Two bytes look like the head of a frame too easily.
    let second = at.checked_add(first.bytes)?;
    if second < bytes.len() && frame_at(bytes, second).is_none() {
        return None;
    }
    let mut nanos: u64 = 0;
    while at < bytes.len() {
        match frame_at(bytes, at) {
            Some(Frame { bytes: length, samples, rate }) => {
                nanos = nanos.saturating_add(samples.saturating_mul(1_000_000_000).div_ceil(rate.max(1)));
                at = at.saturating_add(length.max(1));
            }
            // What does not belong is passed over, as decoders do.
            None => {
                let from = at.saturating_add(1);
                let next = bytes.get(from..).and_then(|rest| memchr::memchr(0xff, rest));
                at = next.map_or(bytes.len(), |next| from.saturating_add(next));
            }
        }
    }
    Some(nanos.div_ceil(1_000_000))
}

/// Bytes of the tag (ID3v2) that stands before the sound.
fn tag_bytes(bytes: &[u8]) -> usize {
    let Some([b'I', b'D', b'3', _, _, flags, a, b, c, d]) = bytes_at::<10>(bytes, 0) else { return 0 };
    let size = [a, b, c, d].into_iter().fold(0_usize, |size, byte| (size << 7) | usize::from(byte & 0x7f));
    size.saturating_add(if flags & 0x10 == 0 { 10 } else { 20 })
}

fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let [0xff, kind, rates, ..] = bytes_at::<4>(bytes, at)? else { return None };
    if kind & 0xe0 != 0xe0 {
        return None;
    }
    if kind & 0xf6 == 0xf0 {
        return aac_frame(bytes, at);
    }
    let (halved, row_of) = match kind >> 3 & 3 {
        3 => (1, [0, 1, 2]),
        2 => (2, [3, 4, 4]),
        0 => (4, [3, 4, 4]),
        _ => return None,
    };
    let layer = match kind >> 1 & 3 {
        3 => 0,
        2 => 1,
        1 => 2,
        _ => return None,
    };
    let kbits = *KBITS.get(*row_of.get(layer)?)?.get(usize::from(rates >> 4).checked_sub(1)?)?;
    let rate = RATES.get(usize::from(rates >> 2 & 3))? / halved;
    let padding = u64::from(rates >> 1 & 1);
    let (samples, length) = match layer {
        0 => (384, (12_000 * kbits / rate + padding) * 4),
        2 if halved > 1 => (576, 72_000 * kbits / rate + padding),
        _ => (1_152, 144_000 * kbits / rate + padding),
    };
    Some(Frame { bytes: usize::try_from(length).ok()?, samples, rate })
}

fn aac_frame(bytes: &[u8], at: usize) -> Option<Frame> {
    let [_, _, kind, high, middle, low, blocks] = bytes_at::<7>(bytes, at)?;
    let rate = *AAC_RATES.get(usize::from(kind >> 2 & 0xf))?;
    let length = usize::from(high & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
    // A frame is no shorter than its head.
    (length >= 7).then(|| Frame { bytes: length, samples: AAC_SAMPLES * (u64::from(blocks & 3) + 1), rate })
}

/// One stream of an Ogg file.
struct Stream {
    serial: [u8; 4],
    rate: u64,
    /// Samples to its last page.
    samples: u64,
}

/// The length of Ogg in milliseconds, if it holds Opus or Vorbis. Streams that follow each other are added up, and so are
/// those that play at once, which makes too much of them.
pub(super) fn ogg_length(bytes: &[u8]) -> Option<u64> {
    if !bytes.starts_with(b"OggS") {
        return None;
    }
    let (mut streams, mut at) = (Vec::<Stream>::new(), 0_usize);
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memmem::find(rest, b"OggS")) {
        let page = at.saturating_add(next);
        let Some((head, payload)) = page_at(bytes, page) else { break };
        let [_, _, _, _, _, kind, granule @ .., s0, s1, s2, s3] = head;
        let serial = [s0, s1, s2, s3];
        if kind & 2 != 0 {
            if streams.len() >= OGG_STREAMS_MAX {
                return None;
            }
            streams.push(Stream { serial, rate: rate_of(bytes, payload)?, samples: 0 });
        }
        let stream = streams.iter_mut().rev().find(|stream| stream.serial == serial);
        // A page on which nothing ends has -1.
        if let (Some(stream), Ok(granule)) = (stream, u64::try_from(i64::from_le_bytes(granule))) {
            stream.samples = stream.samples.max(granule);
        }
        at = payload;
    }
    let lengths = streams.iter().map(|stream| stream.samples.saturating_mul(1_000).div_ceil(stream.rate));
    Some(lengths.fold(0, u64::saturating_add)).filter(|length| *length > 0)
}

/// The beginning of a page's head, and where what it holds begins.
fn page_at(bytes: &[u8], at: usize) -> Option<([u8; 18], usize)> {
    let head = bytes_at::<18>(bytes, at)?;
    let [segments] = bytes_at::<1>(bytes, at.checked_add(26)?)?;
    Some((head, at.checked_add(27)?.checked_add(usize::from(segments))?))
}

/// Samples a second of a stream that begins so.
fn rate_of(bytes: &[u8], at: usize) -> Option<u64> {
    let first = bytes.get(at..)?;
    if first.starts_with(b"OpusHead") {
        return Some(OPUS_RATE);
    }
    first.starts_with(b"\x01vorbis").then_some(())?;
    let rate = u32::from_le_bytes(bytes_at(first, 12)?);
    (rate > 0).then(|| u64::from(rate))
}
