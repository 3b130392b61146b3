//! How domain values become columns and back. Text forms are fixed here and nowhere else.

use std::sync::Arc;

use domain::{AccessClass, Money, ServiceTier, Timestamp, Usage};
use ledger::{AttemptStatus, Attribution, CostRow, Cover, LotKind, PoolKey};
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// The columns of a cost row, in the order in which [`read_cost_row`] reads them.
pub(crate) const COST_ROW: &str = "organization, request, attempt, at, project, key, environment, model, target, \
     provider, model_answered, price_version, service_tier, class, payer, list_pico, pool, pool_start, pool_cap, \
     pool_strict, pool_units, input_tokens, cached_tokens, cache_write_tokens, \
     cache_write_long_tokens, audio_input_tokens, image_input_tokens, output_tokens, audio_output_tokens, \
     image_output_tokens, reasoning_tokens, images, audio_ms, characters, searches, gpu_ms, cost_pico, cost, reported_pico, \
     status, reason, estimated, http_status, streamed, duration_us, held, user, feature, run";

/// Where the first count of a usage stands in [`COST_ROW`]; the others follow in the order of [`Usage::NAMES`].
const FIRST_COUNT: usize = 21;
/// Where what follows the counts begins.
const AFTER_COUNTS: usize = FIRST_COUNT + Usage::NAMES.len();

pub(crate) const fn kind_text(kind: LotKind) -> &'static str {
    match kind {
        LotKind::Promo => "promo",
        LotKind::Prepaid => "prepaid",
        LotKind::Refund => "refund",
        LotKind::Adjustment => "adjustment",
    }
}

pub(crate) fn kind_from_text(text: &str) -> Result<LotKind, StoreError> {
    [LotKind::Promo, LotKind::Prepaid, LotKind::Refund, LotKind::Adjustment]
        .into_iter()
        .find(|kind| kind_text(*kind) == text)
        .ok_or(StoreError::Unreadable("lot.kind"))
}

pub(crate) const fn status_text(status: AttemptStatus) -> &'static str {
    match status {
        AttemptStatus::Succeeded => "succeeded",
        AttemptStatus::Failed => "failed",
        AttemptStatus::Cancelled => "cancelled",
    }
}

fn status_from_text(text: &str) -> Result<AttemptStatus, StoreError> {
    [AttemptStatus::Succeeded, AttemptStatus::Failed, AttemptStatus::Cancelled]
        .into_iter()
        .find(|status| status_text(*status) == text)
        .ok_or(StoreError::Unreadable("cost_row.status"))
}

fn tier_from_text(row: &Row<'_>, index: usize) -> Result<ServiceTier, StoreError> {
    let text = row.get_ref(index)?.as_str().ok();
    text.and_then(|text| text.parse().ok()).ok_or(StoreError::Unreadable("cost_row.service_tier"))
}

pub(crate) fn class_from_text(row: &Row<'_>, index: usize) -> Result<AccessClass, StoreError> {
    let text = row.get_ref(index)?.as_str().ok();
    text.and_then(|text| text.parse().ok()).ok_or(StoreError::Unreadable("cost_row.class"))
}

/// What a pool paid for of a row, from its name's place on.
fn read_cover(row: &Row<'_>, first: usize) -> Result<Option<Box<Cover>>, StoreError> {
    let Some(pool) = row.get::<_, Option<Arc<str>>>(first)? else { return Ok(None) };
    let start = Timestamp::from_micros(row.get(first + 1)?);
    let (cap, units) = (tokens(row, first + 2)?, tokens(row, first + 4)?);
    let (strict, parts) = (row.get(first + 3)?, Vec::new());
    Ok(Some(Box::new(Cover { key: PoolKey { pool, start }, cap, strict, parts, units })))
}

/// A count as SQLite stores it. Counts beyond 63 bits do not occur; one would be stored as the largest number.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count that SQLite stores.
pub(crate) fn tokens(row: &Row<'_>, index: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(|_| StoreError::Unreadable("count"))
}

/// Reads a row selected as [`COST_ROW`].
pub(crate) fn read_cost_row(row: &Row<'_>) -> Result<CostRow, StoreError> {
    let shared = |index: usize| row.get::<_, Arc<str>>(index);
    let mut counts = [0; Usage::NAMES.len()];
    for (place, count) in counts.iter_mut().enumerate() {
        *count = tokens(row, FIRST_COUNT + place)?;
    }
    Ok(CostRow {
        organization: domain::OrganizationId::from_bytes(row.get(0)?),
        request: domain::RequestId::from_bytes(row.get(1)?),
        attempt: row.get(2)?,
        at: Timestamp::from_micros(row.get(3)?),
        project: domain::ProjectId::from_bytes(row.get(4)?),
        key: domain::KeyId::from_bytes(row.get(5)?),
        environment: shared(6)?,
        model: shared(7)?,
        target: shared(8)?,
        provider: shared(9)?,
        model_answered: row.get(10)?,
        price_version: shared(11)?,
        service_tier: tier_from_text(row, 12)?,
        class: class_from_text(row, 13)?,
        usage: Usage::from_counts(counts),
        list_pico: row.get(15)?,
        cover: read_cover(row, 16)?,
        cost_pico: row.get(AFTER_COUNTS)?,
        cost: Money::from_nano(row.get(AFTER_COUNTS + 1)?),
        reported_pico: row.get(AFTER_COUNTS + 2)?,
        status: status_from_text(&row.get::<_, String>(AFTER_COUNTS + 3)?)?,
        reason: shared(AFTER_COUNTS + 4)?,
        estimated: row.get(AFTER_COUNTS + 5)?,
        http_status: row.get(AFTER_COUNTS + 6)?,
        streamed: row.get(AFTER_COUNTS + 7)?,
        duration_us: tokens(row, AFTER_COUNTS + 8)?,
        held: Money::from_nano(row.get(AFTER_COUNTS + 9)?),
        attribution: Attribution {
            user: row.get(AFTER_COUNTS + 10)?,
            feature: row.get(AFTER_COUNTS + 11)?,
            run: row.get(AFTER_COUNTS + 12)?,
        },
    })
}

/// A value as JSON text. What is stored so are plain records of ours, which always have a JSON form.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads a value that was stored as JSON.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable(column))
}
