//! A cost row as JSON: what one attempt consumed, what that costs at list price, what was paid and by whom.

use domain::{Money, Payer, Pico};
use ledger::CostRow;
use serde_json::{Value, json};

pub(super) fn cost_row(row: &CostRow) -> Value {
    let mut shown = json!({
        "request_id": row.request,
        "attempt": row.attempt,
        "at": row.at,
        "org": row.organization,
        "project": row.project,
        "key": row.key,
        "environment": row.environment,
        "model": row.model,
        "model_answered": row.model_answered,
        "target": row.target,
        "provider": row.provider,
        "price_version": row.price_version,
        "service_tier": row.service_tier,
        "input_tokens": row.usage.input_total(),
        "cached_tokens": row.usage.cached,
        "cache_write_tokens": row.usage.cache_write,
        "cache_write_long_tokens": row.usage.cache_write_long,
        "audio_input_tokens": row.usage.audio_input,
        "image_input_tokens": row.usage.image_input,
        "output_tokens": row.usage.output_total(),
        "audio_output_tokens": row.usage.audio_output,
        "image_output_tokens": row.usage.image_output,
        "reasoning_tokens": row.usage.reasoning,
        "images": row.usage.images,
        "audio_ms": row.usage.audio_ms,
        "characters": row.usage.characters,
        "searches": row.usage.searches,
        "gpu_ms": row.usage.gpu_ms,
        "status": row.status,
        "reason": row.reason,
        "estimated": row.estimated,
        "http_status": row.http_status,
        "streamed": row.streamed,
        "duration_ms": row.duration_us / 1_000,
        "held": row.held,
        "user": row.attribution.user,
        "feature": row.attribution.feature,
        "run": row.attribution.run,
    });
    if let (Some(members), Value::Object(money)) = (shown.as_object_mut(), money(row)) {
        members.extend(money);
    }
    shown
}

/// What an attempt cost, and on whose account.
fn money(row: &CostRow) -> Value {
    let cover = row.cover.as_deref();
    json!({
        "access_class": row.class,
        "payer": Payer::word(row.payers()),
        "list_price": list_price(row),
        "cost": row.cost,
        "pool": cover.map(|cover| &cover.key.pool),
        "pool_units": cover.map(|cover| cover.units),
        "reported_cost": row.reported_pico.map(|pico| Pico::new(i128::from(pico)).to_string()),
    })
}

/// What an attempt costs at list price, rounded up as a charge is, so that it can be set beside the cost.
pub(crate) fn list_price(row: &CostRow) -> Option<Money> {
    Pico::new(i128::from(row.list_pico?)).ceil_to_money()
}
