//! What an input's first bytes choose: selectors, and the places where a stream is cut into pieces.
//!
//! It knows bytes; it must never know what is read from them.

use bytes::Bytes;
use dialect::Endpoint;

/// Every form of a call. Its place is what an input's selector says, so that new ones come at the end.
pub(crate) const ENDPOINTS: [Endpoint; 14] = [
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Moderations,
    Endpoint::Images,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::Converse,
    Endpoint::GenerateContent,
    Endpoint::CountContent,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];

/// The place of an endpoint in [`ENDPOINTS`]: the compiler asks here for a new one, which belongs there, too.
pub(crate) const fn place(endpoint: Endpoint) -> u8 {
    match endpoint {
        Endpoint::Chat => 0,
        Endpoint::Responses => 1,
        Endpoint::Embeddings => 2,
        Endpoint::Moderations => 3,
        Endpoint::Images => 4,
        Endpoint::Messages => 5,
        Endpoint::CountTokens => 6,
        Endpoint::Converse => 7,
        Endpoint::GenerateContent => 8,
        Endpoint::CountContent => 9,
        Endpoint::ImageEdits => 10,
        Endpoint::Speech => 11,
        Endpoint::Transcriptions => 12,
        Endpoint::Translations => 13,
    }
}

/// An input that is read from its front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte; 0 where there is none.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next eight bytes as a number, with zeros for those that are missing.
    pub(crate) fn number(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// The endpoint that the next byte chooses, if there are so many.
    pub(crate) fn endpoint(&mut self) -> Option<Endpoint> {
        ENDPOINTS.get(usize::from(self.byte())).copied()
    }

    /// The rest as text, if it is one.
    pub(crate) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }
}

/// Numbers that a seed decides: SplitMix64.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.roll() % limit).unwrap_or_default()
    }
}

/// The bytes in pieces as this seed cuts them: single bytes, small pieces or large ones, empty ones among them.
pub(crate) fn pieces(bytes: &Bytes, seed: u8) -> Vec<Bytes> {
    let mut dice = Dice::new(u64::from(seed));
    let longest = match seed % 4 {
        0 => 1,
        1 => 5,
        2 => 60,
        _ => bytes.len().max(1),
    };
    let mut rest = bytes.clone();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        // Of one byte each, or of any length up to the longest, nothing included.
        let length = if longest == 1 { 1 } else { dice.below(longest + 1) };
        pieces.push(rest.split_to(length.min(rest.len())));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_place() {
        for (at, endpoint) in ENDPOINTS.into_iter().enumerate() {
            assert_eq!(usize::from(place(endpoint)), at, "{endpoint:?}");
        }
    }

    #[test]
    fn pieces_are_the_bytes() {
        let bytes = Bytes::from_static(b"data: {\"a\":1}\n\ndata: [DONE]\n\n");
        for seed in 0..=u8::MAX {
            assert_eq!(pieces(&bytes, seed).concat(), bytes, "{seed}");
        }
    }
}
