//! What pays for an organization's calls before its money does: free requests, complimentary tokens, calls by its own
//! keys without a fee. What is left of each now, and the programmes that its owner joins and leaves.
//!
//! The gateway says which pools there are and how much is in them, the books what was used; it decides nothing.

use axum::http::StatusCode;
use domain::{Money, Pico, Timestamp};
use gateway::Programme;
use ledger::{Period, PoolKey, Span};
use serde_json::{Value, json};
use store::PoolRecord;

use super::view::{self, json};
use super::{Answered, Call, Problem};

pub(super) fn list(call: &Call) -> Answered {
    let (pools, now) = (&call.admin.gateway.pools, call.admin.clock.now());
    let organization = &call.tenant.organization;
    let mut data = Vec::new();
    let (key, cap, span) = pools.free_pool(organization.id, now);
    let mut free = shown(call, ("free_requests", "requests", 0), (&key, cap, span))?;
    free["requests_per_minute"] = pools.free.per_minute.into();
    free["raised_by"] = json!({
        "credit_purchased": pools.free.threshold, "requests_per_day": pools.free.per_day_purchased,
    });
    data.push(free);
    let (key, cap, span) = pools.byok_pool(now);
    let unit =
        if matches!(pools.byok.allowance, gateway::ByokAllowance::Requests(_)) { "requests" } else { "nano" };
    let mut byok = shown(call, ("byok_without_fee", unit, pools.byok.fee_permille), (&key, cap, span))?;
    byok["fee_permille"] = pools.byok.fee_permille.into();
    data.push(byok);
    for programme in &pools.programmes {
        let span = Period::Daily.around(now, &programme.zone);
        for group in &programme.groups {
            let key = programme.key(group, span);
            let what = ("complimentary_tokens", "tokens", 1_000);
            let mut row = shown(call, what, (&key, group.tokens_per_day, span))?;
            row["models"] = json!(group.models);
            row["programme"] = json!(&*programme.name);
            row["joined"] = organization.programmes.iter().any(|name| **name == *programme.name).into();
            row["runs"] = programme.runs(now).into();
            row["starts"] = json!(programme.starts);
            row["ends"] = json!(programme.ends);
            data.push(row);
        }
    }
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

/// One pool: its cap, what was used of it, and what its calls cost beyond it, which is so many thousandths of their value.
fn shown(
    call: &Call,
    (kind, unit, permille): (&str, &str, u16),
    (key, cap, span): (&PoolKey, u64, Span),
) -> Result<Value, Problem> {
    let organization = call.tenant.organization.id;
    let record = call.admin.reader.pool(organization, key)?;
    let now = call.admin.clock.now();
    let taken = record.used.saturating_add(record.held);
    Ok(json!({
        "object": "pool",
        "pool": &*key.pool,
        "kind": kind,
        "unit": unit,
        "cap": cap,
        "used": record.used,
        "held": record.held,
        "remaining": cap.saturating_sub(taken),
        "period_start": span.start,
        "resets_at": span.end,
        "calls": record.calls,
        "list_price": nano(record.list_pico),
        "paid": record.paid,
        "estimated_overage": estimate(&record, (unit, permille), (cap, span), now),
    }))
}

/// What the calls of this period will have cost in money at its end, if they go on as until now: what is beyond the cap, at
/// what a unit has been worth on the average, of which so many thousandths are paid.
fn estimate(
    record: &PoolRecord,
    (unit, permille): (&str, u16),
    (cap, span): (u64, Span),
    now: Timestamp,
) -> Money {
    let micros = |from: Timestamp, to: Timestamp| i128::from(to.micros()) - i128::from(from.micros());
    let (gone, whole) = (micros(span.start, now).max(1), micros(span.start, span.end).max(1));
    let so_far = match unit {
        "tokens" => i128::from(record.wanted),
        "nano" => i128::from(nano(record.list_pico).nano()),
        _ => i128::from(record.calls),
    };
    let expected = so_far.saturating_mul(whole) / gone;
    let beyond = (expected - i128::from(cap)).max(0);
    let each = record.list_pico.checked_div(so_far).unwrap_or_default();
    let pico = beyond.saturating_mul(each).saturating_mul(i128::from(permille)) / 1_000;
    nano(pico).max(record.paid)
}

fn nano(pico: i128) -> Money {
    Pico::new(pico).ceil_to_money().unwrap_or(Money::MAX)
}

pub(super) fn join(call: &Call) -> Answered {
    change(call, true)
}

pub(super) fn leave(call: &Call) -> Answered {
    change(call, false)
}

fn change(call: &Call, joins: bool) -> Answered {
    let name = call.text("programme");
    let organization = &call.tenant.organization;
    let known = call.admin.gateway.pools.programme(name);
    let is_member = organization.programmes.iter().any(|joined| joined == name);
    // One that is no longer in the configuration can still be left.
    if known.is_none() && (joins || !is_member) {
        return Err(Problem::not_found("programme", format!("{name} in the configuration of this gateway")));
    }
    if joins
        && known
            .and_then(|programme: &Programme| programme.ends)
            .is_some_and(|ends| ends <= call.admin.clock.now())
    {
        return Err(Problem::conflict(format!(
            "The programme `{name}` has ended; there is nothing to join."
        )));
    }
    let mandate = call.admin.mandate(&call.hand);
    let changed = call.admin.directory.join_programme(organization.id, name, joins, &mandate)?;
    Ok(json(StatusCode::OK, &view::organization(&changed)))
}
