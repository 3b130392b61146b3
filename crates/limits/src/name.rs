//! The names of buckets and pairs: 128 bits that the caller made by hashing whatever it means by them.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::Measure;

/// What is limited, for instance an organization's use of one model: a hash made by the caller, who alone knows of what.
///
/// Two things with the same hash would share their limits, so it has to be a good one of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(pub [u64; 2]);

impl Bucket {
    /// Of the 16 bytes of a hash.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from(u128::from_le_bytes(bytes))
    }

    /// The 16 bytes of the hash, as they were given.
    pub fn to_bytes(self) -> [u8; 16] {
        u128::from(self).to_le_bytes()
    }

    /// All of it in 64 bits, with every one of them stirred: a hash already is, but a test's numbers are not.
    pub(crate) const fn digest(self) -> u64 {
        let [low, high] = self.0;
        let stirred = (low ^ high.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        stirred ^ (stirred >> 32)
    }
}

impl From<u128> for Bucket {
    fn from(number: u128) -> Self {
        let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        Self([half(number), half(number >> 64)])
    }
}

impl From<Bucket> for u128 {
    fn from(Bucket([low, high]): Bucket) -> Self {
        (Self::from(high) << 64) | Self::from(low)
    }
}

impl Hash for Bucket {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest());
    }
}

/// A bucket and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) bucket: Bucket,
    pub(crate) measure: Measure,
}

/// Passes on what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed(u64);

pub(crate) type BuildPassed = BuildHasherDefault<Passed>;

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    /// Not used by the names above; here because a hasher must take anything.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
