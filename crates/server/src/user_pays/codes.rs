//! The codes that wait for their apps, in memory alone: by their hashes, each good once and for minutes.
//!
//! A restart forgets them, and the users of the apps that had not come yet agree again. That costs a click, and a code
//! on a disk would be one more secret there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::{ConsentId, Ids, OrganizationId, Timestamp};

use super::challenge::{Challenge, base64url};

/// Codes that wait at most: more than people agree in minutes, and a bound of memory.
const WAITING_MAX: usize = 10_000;

/// What a code is good for.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) organization: OrganizationId,
    pub(super) consent: ConsentId,
    pub(super) origin: String,
    /// What the app has to show; `None` where the operator takes apps that have nothing.
    pub(super) challenge: Option<Challenge>,
    pub(super) until: Timestamp,
}

/// Codes by their hashes.
#[derive(Debug, Default)]
pub(super) struct Codes(Mutex<HashMap<[u8; 32], Waiting>>);

impl Codes {
    /// Whether there is room for another one.
    pub(super) fn has_room(&self, now: Timestamp) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, code| code.until > now);
        waiting.len() < WAITING_MAX
    }

    /// A code for this.
    pub(super) fn issue(&self, waiting: Waiting, ids: &dyn Ids) -> String {
        let code = base64url(&ids.secret());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(hash(&code), waiting);
        code
    }

    /// What a code is good for, this once. It is worth nothing afterwards, whatever comes of it.
    pub(super) fn take(&self, code: &str, now: Timestamp) -> Option<Waiting> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(code));
        found.filter(|found| found.until > now)
    }
}

/// What is kept of a code. It has 256 bits of chance, so that how long a look-up takes tells nothing of it.
fn hash(code: &str) -> [u8; 32] {
    *blake3::hash(code.as_bytes()).as_bytes()
}
