//! A fingerprint of everything done to a disk, to compare two runs by.

use crate::fault::OperationKind;

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Two running hashes: of what was done where, and of the bytes as well. Not secure, but quick and the same everywhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digest {
    pub(crate) shape: u64,
    pub(crate) content: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, kind: OperationKind, file: &str, offset: u64, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        for number in [u64::from(tag(kind)), hash(0, file.as_bytes()), offset, length] {
            self.shape = mix(self.shape, number);
        }
        self.content = hash(mix(self.content, self.shape), bytes);
    }
}

const fn tag(kind: OperationKind) -> u8 {
    match kind {
        OperationKind::Create => 1,
        OperationKind::Delete => 2,
        OperationKind::Write => 3,
        OperationKind::Truncate => 4,
        OperationKind::Sync => 5,
    }
}

const fn mix(hash: u64, number: u64) -> u64 {
    (hash.rotate_left(23) ^ number).wrapping_mul(MULTIPLIER)
}

/// Eight bytes at a time: a page is hashed for every write.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// The next number of a seed's series (SplitMix64).
pub(crate) const fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(MULTIPLIER);
    let first = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let second = (first ^ (first >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    second ^ (second >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Digest, next};
    use crate::fault::OperationKind::{Sync, Write};

    #[test]
    fn a_digest_tells_order_place_and_bytes() {
        let of = |steps: &[(crate::fault::OperationKind, &str, u64, &[u8])]| {
            let mut digest = Digest::default();
            for (kind, file, offset, bytes) in steps {
                digest.add(*kind, file, *offset, bytes);
            }
            (digest.shape, digest.content)
        };
        let one = of(&[(Write, "a", 0, b"0123456789"), (Sync, "a", 0, b"")]);
        assert_eq!(one, of(&[(Write, "a", 0, b"0123456789"), (Sync, "a", 0, b"")]));
        assert_ne!(one, of(&[(Sync, "a", 0, b""), (Write, "a", 0, b"0123456789")]));
        assert_ne!(one.0, of(&[(Write, "b", 0, b"0123456789"), (Sync, "a", 0, b"")]).0);
        let other_bytes = of(&[(Write, "a", 0, b"012345678X"), (Sync, "a", 0, b"")]);
        assert_eq!(one.0, other_bytes.0);
        assert_ne!(one.1, other_bytes.1);
    }

    #[test]
    fn the_series_of_a_seed_is_the_published_one() {
        // The first outputs of SplitMix64 for the seed 1234567, as in its authors' test vector.
        let mut state = 1_234_567;
        assert_eq!(next(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(next(&mut state), 3_203_168_211_198_807_973);
    }
}
