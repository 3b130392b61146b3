//! How domain values become columns and back. Text forms are fixed here and nowhere else.

use std::sync::Arc;

use domain::{Money, Timestamp, Usage};
use ledger::{AttemptStatus, Attribution, CostRow, LotKind};
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// The columns of a cost row, in the order in which [`read_cost_row`] reads them.
pub(crate) const COST_ROW: &str = "organization, request, attempt, at, project, key, environment, model, target, \
     provider, model_answered, price_version, input_tokens, cached_tokens, cache_write_tokens, audio_input_tokens, \
     output_tokens, audio_output_tokens, reasoning_tokens, cost_pico, cost, status, reason, estimated, http_status, \
     streamed, duration_us, held, user, feature, run";

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
        usage: Usage {
            input: tokens(row, 12)?,
            cached: tokens(row, 13)?,
            cache_write: tokens(row, 14)?,
            audio_input: tokens(row, 15)?,
            output: tokens(row, 16)?,
            audio_output: tokens(row, 17)?,
            reasoning: tokens(row, 18)?,
        },
        cost_pico: row.get(19)?,
        cost: Money::from_nano(row.get(20)?),
        status: status_from_text(&row.get::<_, String>(21)?)?,
        reason: shared(22)?,
        estimated: row.get(23)?,
        http_status: row.get(24)?,
        streamed: row.get(25)?,
        duration_us: tokens(row, 26)?,
        held: Money::from_nano(row.get(27)?),
        attribution: Attribution { user: row.get(28)?, feature: row.get(29)?, run: row.get(30)? },
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
