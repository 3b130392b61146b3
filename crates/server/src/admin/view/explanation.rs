//! A request explained, as JSON: the decision as it was recorded, and below it what the books say. Nothing here is
//! decided anew; what is not on record is said to be missing.

use domain::RequestId;
use ledger::{AttemptStatus, CostRow};
use serde_json::{Value, json};
use store::{DecisionRecord, RequestRecord};

/// What stands in place of the layers of a request whose decision is not on record.
const UNRECORDED: &str = "What was decided is not on record: recording was off (explain.record), the record is older than \
                          explain.keep_days, or it was lost when the gateway died. What follows is what the books say.";

/// Everything on record about a request: what was decided, and what came of it.
pub(crate) fn explanation(
    request: RequestId,
    decision: Option<&DecisionRecord>,
    record: Option<&RequestRecord>,
) -> Value {
    let mut decided: Value =
        decision.and_then(|decision| serde_json::from_str(&decision.body).ok()).unwrap_or(Value::Null);
    let recorded = decided.is_object();
    let mut part = |name: &str| decided.get_mut(name).map_or(Value::Null, Value::take);
    let (mut caller, endpoint, mut route) = (part("caller"), part("endpoint"), part("taken"));
    let (layers, mut stopped) = (part("layers"), part("stopped"));
    complete(&mut caller, &mut route, &layers);
    let mut layers: Vec<Value> = layers.as_array().into_iter().flatten().map(passed).collect();
    if let Some(layer) = stopped.get("owner").filter(|owner| !owner.is_null()) {
        layers.push(json!({ "owner": layer, "passed": false, "saw": { "refused": stopped["code"] } }));
    }
    let rows = record.map(|record| record.rows.as_slice()).unwrap_or_default();
    if let Some(last) = rows.last() {
        layers.push(provider(rows, last));
        if last.status == AttemptStatus::Failed {
            stopped = stopped_by_provider(last);
        }
    }
    let mut answer = match record {
        Some(record) => super::request(request, record),
        None => {
            json!({ "hold": null, "attempts": [], "cost": "0.00", "retry_cost": "0.00", "refunded": "0.00", "journal": [] })
        }
    };
    let at = decision.map(|decision| decision.at).or(rows.first().map(|row| row.at));
    answer["object"] = json!("explanation");
    answer["id"] = json!(request);
    answer["request"] = json!(request);
    answer["at"] = json!(at.or(record.and_then(|record| Some(record.hold.as_ref()?.created_at))));
    answer["state"] = json!(state(record, &stopped, &route));
    answer["recorded"] = json!(recorded);
    answer["note"] = json!((!recorded).then_some(UNRECORDED));
    answer["endpoint"] = endpoint;
    answer["caller"] = if recorded { caller } else { caller_of(record) };
    answer["layers"] = json!(layers);
    answer["stopped"] = stopped;
    answer["route"] = route;
    answer
}

/// What stands with a layer is recorded there alone.
fn complete(caller: &mut Value, route: &mut Value, layers: &Value) {
    let saw = |owner: &str| {
        let mut layers = layers.as_array().into_iter().flatten();
        layers.find(|layer| layer["owner"] == owner).map_or(&Value::Null, |layer| &layer["saw"])
    };
    for part in ["project", "key"] {
        if caller.is_object() && caller[part].is_null() {
            caller[part] = json!({ "id": saw(part)["id"], "name": saw(part)["name"] });
        }
    }
    if route.is_object() {
        for (owner, part) in
            [("route", "target"), ("route", "price_version"), ("billing", "asked"), ("billing", "held")]
        {
            route[part] = saw(owner)[part].clone();
        }
    }
}

/// In one word: `running` until the hold has ended. What was let through without one had its prompt counted.
fn state(record: Option<&RequestRecord>, stopped: &Value, route: &Value) -> &'static str {
    match record {
        Some(record) if record.hold.is_some() => "running",
        Some(_) => "settled",
        None if stopped.is_null() && route.is_object() && route["held"].is_null() => "counted",
        None if stopped.is_null() => "unknown",
        None => "refused",
    }
}

fn passed(layer: &Value) -> Value {
    json!({ "owner": layer["owner"], "passed": true, "saw": layer["saw"] })
}

/// Layer 1.9 as the last attempt's row tells it.
fn provider(rows: &[CostRow], last: &CostRow) -> Value {
    json!({
        "owner": "provider",
        "passed": last.status != AttemptStatus::Failed,
        "saw": {
            "provider": last.provider,
            "attempts": rows.len(),
            "http_status": last.http_status,
            "reason": last.reason,
        },
    })
}

fn stopped_by_provider(last: &CostRow) -> Value {
    let status = last.http_status;
    let answered = if status == 0 { "gave no answer".to_owned() } else { format!("answered {status}") };
    let (message, next_step) = if &*last.reason == "gateway_restarted" {
        (
            "The gateway died during the call; it was charged up to its last checkpoint.".to_owned(),
            "make the call again; the gateway's log tells when and why it ended",
        )
    } else {
        (
            format!("The provider `{}` {answered}: {}.", last.provider, last.reason),
            "try again if the reason passes by itself; otherwise the operator looks at the provider's account and status, \
             or routes the model elsewhere",
        )
    };
    json!({
        "owner": "provider",
        "kind": "failed",
        "code": last.reason,
        "message": message,
        "next_step": next_step,
    })
}

/// Who called, as far as the books know: ids, and no names.
fn caller_of(record: Option<&RequestRecord>) -> Value {
    let row = record.and_then(|record| record.rows.first().or(record.hold.as_ref().map(|hold| &*hold.draft)));
    row.map_or(Value::Null, |row| {
        json!({
            "organization": { "id": row.organization },
            "project": { "id": row.project },
            "key": { "id": row.key },
        })
    })
}
