//! Where a record stands in a map, from its id or its hash: quicker than a hash of them, since both are as good as
//! random already, and nobody outside chooses them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use domain::{KeyId, OrganizationId};

use crate::record::KeyHash;

/// Spreads each bit over all higher ones: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map by ids that were made here. Not for texts that callers choose: they could choose ones that collide.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// What has a tag for a [`Trie`](crate::trie::Trie).
pub(crate) trait Tagged {
    /// 64 bits, of which any are as good as random.
    fn tag(&self) -> u64;
}

impl Tagged for KeyHash {
    fn tag(&self) -> u64 {
        // The hash is keyed with the pepper: without it nobody can aim at a place.
        let [a, b, c, d, e, f, g, h, ..] = *self.as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Tagged for KeyId {
    fn tag(&self) -> u64 {
        of_id(self.as_bytes())
    }
}

impl Tagged for OrganizationId {
    fn tag(&self) -> u64 {
        of_id(self.as_bytes())
    }
}

fn of_id(id: &[u8; 16]) -> u64 {
    let mut hasher = IdHasher::default();
    hasher.write(id);
    hasher.finish()
}

/// Mixes ids. A UUIDv7 begins with the time and ends with chance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.0 = (self.0.rotate_left(29) ^ u64::from_be_bytes(word)).wrapping_mul(SPREAD);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // The length of an id, which all have.
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
