//! The real clock and the real source of chance: the only ones in the product.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::{Clock, Ids, Timestamp};
use rand::Rng;

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The clock; its monotonic side begins at 1 now, so that 0 can mean "never".
    #[expect(clippy::disallowed_methods, reason = "this is the owner of time")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the owner of time")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

/// Ids and secrets from the system's random numbers.
#[derive(Debug)]
pub struct SystemIds;

impl Ids for SystemIds {
    /// UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 bits of their fraction, 62 bits of chance.
    fn uuid(&self) -> [u8; 16] {
        let micros = u128::from(wall_micros());
        let (millis, fraction) = (micros / 1_000, (micros % 1_000) * 4_096 / 1_000);
        #[expect(clippy::disallowed_methods, reason = "this is the owner of chance")]
        let chance: u64 = rand::rng().next_u64();
        let value = (millis << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | u128::from(chance >> 2);
        value.to_be_bytes()
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        #[expect(clippy::disallowed_methods, reason = "this is the owner of chance")]
        rand::rng().fill_bytes(&mut bytes);
        bytes
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the owner of time")]
fn wall_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_rise_with_time_and_do_not_repeat() {
        let first = SystemIds.uuid();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let mut ids: Vec<_> = (0..10_000).map(|_| SystemIds.uuid()).collect();
        for id in &ids {
            assert_eq!((id[6] >> 4, id[8] >> 6), (0x7, 0b10));
            assert!(*id > first);
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 10_000);
        assert_ne!(SystemIds.secret(), SystemIds.secret());
    }
}
