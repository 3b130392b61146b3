//! A route explained, as JSON.

use domain::{Payer, ServiceTier, Timestamp, Usage};
use gateway::{CapLook, RouteExplanation, TargetExplanation};
use serde_json::{Value, json};

pub(crate) fn route(model: &str, explained: &RouteExplanation, now: Timestamp) -> Value {
    json!({
        "object": "route_explanation",
        "model": model,
        "route": explained.route,
        "strategy": explained.strategy.as_str(),
        "substitution": explained.substitution.as_str(),
        "hedge_after_ms": explained.hedge_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        "refused": explained.refused.as_ref().map(|refusal| json!({
            "code": refusal.code.as_str(),
            "message": refusal.message,
            "next_step": refusal.next_step,
        })),
        "targets": explained.targets.iter().map(|target| one(target, now)).collect::<Vec<_>>(),
    })
}

fn one(explained: &TargetExplanation, now: Timestamp) -> Value {
    let TargetExplanation { target, place, payers, price, covered, look, caps, why } = explained;
    let thousand = |usage: Usage| {
        let cost = price.as_ref()?.cost(&usage, ServiceTier::default())?;
        cost.ceil_to_money().map(|cost| cost.to_string())
    };
    let listed = |usage: Usage| {
        let cost = price.as_ref()?.list_cost(&usage, ServiceTier::default())?;
        cost.ceil_to_money().map(|cost| cost.to_string())
    };
    json!({
        "target": target.label,
        "provider": target.provider.name,
        "place": place,
        "why": why,
        "price_version": price.as_ref().map(|price| &price.id),
        "thousand_input": thousand(Usage { input: 1_000, ..Usage::default() }),
        "thousand_output": thousand(Usage { output: 1_000, ..Usage::default() }),
        "list_version": price.as_ref().and_then(|price| price.list()).map(|list| &list.id),
        "thousand_input_at_list": listed(Usage { input: 1_000, ..Usage::default() }),
        "thousand_output_at_list": listed(Usage { output: 1_000, ..Usage::default() }),
        "payer": Payer::word(*payers),
        "contract": {
            "class": target.contract.class.as_str(),
            "owner": target.contract.owner,
            "data": target.contract.data.as_str(),
            "stale": target.contract.is_stale(now),
            "covers_key": covered,
        },
        "context": target.context(price.as_deref()),
        "is_served": target.inventory.as_ref().and_then(|inventory| inventory.has(target)),
        "weight": target.rules.weight,
        "retries": target.rules.retries,
        "circuit": look.circuit,
        "usable": look.usable,
        "latency_ms": look.latency_us / 1_000,
        "pending": look.pending,
        "requests_left": look.requests_left,
        "tokens_left": look.tokens_left,
        "closed_ms": look.closed_ms,
        "caps": caps.iter().map(cap).collect::<Vec<_>>(),
    })
}

/// A cap of the provider's, and what is left of it.
fn cap(look: &CapLook) -> Value {
    json!({
        "of": look.whose,
        "measure": look.measure.as_str(),
        "limit": look.most,
        "left": look.left,
        "resets_at": look.resets_at,
    })
}
