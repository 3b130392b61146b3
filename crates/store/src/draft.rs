//! The draft of a hold's cost row, as bytes: written for every call and read only after a crash, so it is compact.
//!
//! A version byte, the fixed fields in order, then the texts, each with its length in two bytes. The organization and
//! the request stand in the hold's own columns and are not repeated.

use std::sync::Arc;

use domain::{
    AccessClass, KeyId, Money, OrganizationId, ProjectId, RequestId, ServiceTier, Timestamp, Usage, WalletId,
};
use ledger::{AttemptStatus, Attribution, CostRow, Cover, Part, PoolKey, Share};

use crate::StoreError;

const VERSION: u8 = 3;
/// The length that stands for a text that is not there. No text of ours is nearly as long.
const ABSENT: u16 = u16::MAX;

/// Writes a draft, and after it the rows of the attempts before it: most calls have one attempt.
pub fn encode(draft: &CostRow, earlier: &[CostRow], into: &mut Vec<u8>) {
    into.clear();
    for row in std::iter::once(draft).chain(earlier) {
        encode_row(row, into);
    }
}

fn encode_row(row: &CostRow, into: &mut Vec<u8>) {
    into.push(VERSION);
    into.extend_from_slice(row.project.as_bytes());
    into.extend_from_slice(row.key.as_bytes());
    into.extend_from_slice(&row.attempt.to_be_bytes());
    into.extend_from_slice(&row.at.micros().to_be_bytes());
    encode_usage(&row.usage, into);
    into.extend_from_slice(&row.duration_us.to_be_bytes());
    for amount in [row.cost_pico, row.cost.nano(), row.held.nano()] {
        into.extend_from_slice(&amount.to_be_bytes());
    }
    into.push(u8::from(row.reported_pico.is_some()));
    into.extend_from_slice(&row.reported_pico.unwrap_or_default().to_be_bytes());
    let status = match row.status {
        AttemptStatus::Succeeded => 0,
        AttemptStatus::Failed => 1,
        AttemptStatus::Cancelled => 2,
    };
    let place = |place: Option<usize>| u8::try_from(place.unwrap_or_default()).unwrap_or_default();
    let tier = place(ServiceTier::ALL.iter().position(|tier| *tier == row.service_tier));
    let class = place(AccessClass::ALL.iter().position(|class| *class == row.class));
    into.extend_from_slice(&[status, tier, class, u8::from(row.estimated), u8::from(row.streamed)]);
    into.push(u8::from(row.list_pico.is_some()));
    into.extend_from_slice(&row.list_pico.unwrap_or_default().to_be_bytes());
    encode_cover(row.cover.as_deref(), into);
    into.extend_from_slice(&row.http_status.to_be_bytes());
    for text in [&row.environment, &row.model, &row.target, &row.provider, &row.price_version, &row.reason] {
        encode_text(Some(text), into);
    }
    let told = &row.attribution;
    for text in [&row.model_answered, &told.user, &told.feature, &told.run, &told.app] {
        encode_text(text.as_deref(), into);
    }
}

fn encode_cover(cover: Option<&Cover>, into: &mut Vec<u8>) {
    encode_text(cover.map(|cover| &*cover.key.pool), into);
    let Some(Cover { key, cap, strict, parts, units }) = cover else { return };
    into.extend_from_slice(&key.start.micros().to_be_bytes());
    into.extend_from_slice(&cap.to_be_bytes());
    into.extend_from_slice(&units.to_be_bytes());
    into.push(u8::from(*strict));
    // A usage has not nearly as many buckets.
    let written = parts.len().min(usize::from(u8::MAX));
    into.push(u8::try_from(written).unwrap_or_default());
    for Part { units, unit_pico } in parts.iter().take(written) {
        into.extend_from_slice(&units.to_be_bytes());
        into.extend_from_slice(&unit_pico.to_be_bytes());
    }
}

/// The next cover; the inner `None` is that there is none.
fn read_cover(from: &mut Cursor<'_>) -> Option<Option<Box<Cover>>> {
    let Some(pool) = from.text()? else { return Some(None) };
    let start = Timestamp::from_micros(i64::from_be_bytes(from.take()?));
    let (cap, units) = (u64::from_be_bytes(from.take()?), u64::from_be_bytes(from.take()?));
    let [strict, count] = from.take()?;
    let mut parts = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let units = u64::from_be_bytes(from.take()?);
        parts.push(Part { units, unit_pico: i64::from_be_bytes(from.take()?) });
    }
    let key = PoolKey { pool: Arc::from(pool), start };
    Some(Some(Box::new(Cover { key, cap, strict: strict != 0, parts, units })))
}

/// Which buckets hold something, a bit each, and what those hold: most of a call's are empty.
fn encode_usage(usage: &Usage, into: &mut Vec<u8>) {
    let counts = usage.counts();
    let filled = counts.iter().rev().fold(0_u16, |bits, count| (bits << 1) | u16::from(*count != 0));
    into.extend_from_slice(&filled.to_be_bytes());
    for count in counts.iter().filter(|count| **count != 0) {
        into.extend_from_slice(&count.to_be_bytes());
    }
}

fn read_usage(from: &mut Cursor<'_>) -> Option<Usage> {
    let mut filled = u16::from_be_bytes(from.take()?);
    let mut counts = [0; Usage::NAMES.len()];
    for count in &mut counts {
        if filled & 1 == 1 {
            *count = u64::from_be_bytes(from.take()?);
        }
        filled >>= 1;
    }
    (filled == 0).then(|| Usage::from_counts(counts))
}

fn encode_text(text: Option<&str>, into: &mut Vec<u8>) {
    let Some(text) = text else { return into.extend_from_slice(&ABSENT.to_be_bytes()) };
    let end = text.floor_char_boundary(usize::from(ABSENT - 1));
    into.extend_from_slice(&u16::try_from(end).unwrap_or(ABSENT).to_be_bytes());
    into.extend_from_slice(&text.as_bytes()[..end]);
}

/// What each wallet sets aside, in order: 16 bytes of id and 8 of amount, each.
pub fn encode_shares(shares: &[Share]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shares.len() * 24);
    for share in shares {
        bytes.extend_from_slice(share.wallet.as_bytes());
        bytes.extend_from_slice(&share.amount.nano().to_be_bytes());
    }
    bytes
}

/// Reads what [`encode_shares`] wrote.
///
/// # Errors
/// [`StoreError::Unreadable`] for anything else.
pub fn decode_shares(bytes: &[u8]) -> Result<Vec<Share>, StoreError> {
    let mut cursor = Cursor(bytes);
    let mut shares = Vec::new();
    while !cursor.0.is_empty() {
        let (wallet, amount) = (cursor.take(), cursor.take());
        let (wallet, amount) = wallet.zip(amount).ok_or(StoreError::Unreadable("hold.shares"))?;
        let amount = Money::from_nano(i64::from_be_bytes(amount));
        shares.push(Share { wallet: WalletId::from_bytes(wallet), amount });
    }
    Ok(shares)
}

/// Reads the draft of this request's hold, and the rows of the attempts before it.
///
/// # Errors
/// [`StoreError::Unreadable`] for what [`encode`] does not write.
pub fn decode(
    bytes: &[u8],
    organization: OrganizationId,
    request: RequestId,
) -> Result<(CostRow, Vec<CostRow>), StoreError> {
    let unreadable = StoreError::Unreadable("hold.draft");
    let mut cursor = Cursor(bytes);
    let Some(draft) = read(&mut cursor, organization, request) else { return Err(unreadable) };
    let mut earlier = Vec::new();
    while !cursor.0.is_empty() {
        let Some(row) = read(&mut cursor, organization, request) else { return Err(unreadable) };
        earlier.push(row);
    }
    Ok((draft, earlier))
}

fn read(from: &mut Cursor<'_>, organization: OrganizationId, request: RequestId) -> Option<CostRow> {
    if from.take::<1>()? != [VERSION] {
        return None;
    }
    let project = ProjectId::from_bytes(from.take()?);
    let key = KeyId::from_bytes(from.take()?);
    let attempt = u32::from_be_bytes(from.take()?);
    let at = Timestamp::from_micros(i64::from_be_bytes(from.take()?));
    let usage = read_usage(from)?;
    let duration_us = u64::from_be_bytes(from.take()?);
    let cost_pico = i64::from_be_bytes(from.take()?);
    let cost = Money::from_nano(i64::from_be_bytes(from.take()?));
    let held = Money::from_nano(i64::from_be_bytes(from.take()?));
    let [is_reported] = from.take()?;
    let reported = i64::from_be_bytes(from.take()?);
    let [status, tier, class, estimated, streamed] = from.take()?;
    let [is_listed] = from.take()?;
    let listed = i64::from_be_bytes(from.take()?);
    let cover = read_cover(from)?;
    let status = match status {
        0 => AttemptStatus::Succeeded,
        1 => AttemptStatus::Failed,
        2 => AttemptStatus::Cancelled,
        _ => return None,
    };
    let http_status = u16::from_be_bytes(from.take()?);
    Some(CostRow {
        organization,
        request,
        attempt,
        at,
        project,
        key,
        environment: Arc::from(from.text()??),
        model: Arc::from(from.text()??),
        target: Arc::from(from.text()??),
        provider: Arc::from(from.text()??),
        price_version: Arc::from(from.text()??),
        reason: Arc::from(from.text()??),
        model_answered: from.text()?.map(Box::from),
        service_tier: *ServiceTier::ALL.get(usize::from(tier))?,
        class: *AccessClass::ALL.get(usize::from(class))?,
        usage,
        list_pico: (is_listed != 0).then_some(listed),
        cover,
        cost_pico,
        cost,
        reported_pico: (is_reported != 0).then_some(reported),
        status,
        estimated: estimated != 0,
        http_status,
        streamed: streamed != 0,
        duration_us,
        held,
        attribution: Attribution {
            user: from.text()?.map(Box::from),
            feature: from.text()?.map(Box::from),
            run: from.text()?.map(Box::from),
            app: from.text()?.map(Box::from),
        },
    })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next text; the inner `None` is one that is not there.
    fn text(&mut self) -> Option<Option<&'a str>> {
        let length = u16::from_be_bytes(self.take()?);
        if length == ABSENT {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use ledger::conformance::Payer;

    use super::*;

    #[test]
    fn drafts_come_back_and_cut_ones_are_refused() {
        let mut row = Payer::number(3).row(5, 1, 1_234);
        // Every other bucket is empty.
        row.usage =
            Usage::from_counts(std::array::from_fn(|place| if place % 2 == 0 { 0 } else { 1 << place }));
        (row.service_tier, row.reported_pico) = (ServiceTier::Priority, Some(-1));
        row.attribution.feature = Some("größe".into());
        row.attribution.app = Some("app.example".into());
        row.model_answered = Some("".into());
        (row.class, row.list_pico) = (AccessClass::Complimentary, Some(1_300));
        let key = PoolKey { pool: "complimentary/large".into(), start: Timestamp::from_micros(-5) };
        let parts = vec![Part { units: 7, unit_pico: 2 }, Part { units: u64::MAX, unit_pico: 0 }];
        row.cover = Some(Box::new(Cover { key, cap: 1_000_000, strict: true, parts, units: 3 }));
        let mut bytes = Vec::new();
        let earlier = [1, 2].map(|attempt| Payer::number(3).row(5, attempt, 0));
        encode(&row, &[], &mut bytes);
        let alone = bytes.len();
        assert_eq!(decode(&bytes, row.organization, row.request).unwrap(), (row.clone(), Vec::new()));
        encode(&row, &earlier[..1], &mut bytes);
        let with_one = bytes.len();
        encode(&row, &earlier, &mut bytes);
        assert_eq!(decode(&bytes, row.organization, row.request).unwrap(), (row.clone(), earlier.to_vec()));
        for cut in (0..bytes.len()).filter(|cut| ![alone, with_one].contains(cut)) {
            assert!(decode(&bytes[..cut], row.organization, row.request).is_err(), "cut at {cut}");
        }
        bytes.push(0);
        assert!(decode(&bytes, row.organization, row.request).is_err());
    }
}
