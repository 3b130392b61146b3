//! Tests of the directory, by subject.

mod changes;
mod consents;
mod house;
mod invites;
mod keys;
mod lookup;
mod names;
mod networks;
mod people;
mod provider_keys;
mod refusals;
mod service;
mod store;
mod threads;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Ids, Timestamp};

use crate::KeyHasher;

/// Ids and secrets that count up: different every time, the same in every run.
#[derive(Default)]
struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn uuid(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes()
    }

    fn secret(&self) -> [u8; 32] {
        *blake3::hash(&self.uuid()).as_bytes()
    }
}

fn hasher() -> KeyHasher {
    KeyHasher::new([7; 32])
}

/// The moment `seconds` after the tests begin.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus_seconds(seconds)
}
