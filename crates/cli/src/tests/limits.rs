//! The effective limits of a key as a person reads them.

use serde_json::{Value, json};

use crate::output::View;
use crate::views::EffectiveLimits;

fn answer(note: Value) -> Value {
    json!({
        "object": "effective_limits",
        "key": { "id": "key_1", "name": "laptop", "state": "enabled", "expires_at": null, "endpoints": null,
                 "models": { "mode": "deny", "models": ["gpt-4*"] }, "networks": ["10.0.0.0/8"] },
        "project": { "id": "proj_1", "name": "chat", "state": "open", "environment": "dev",
                     "data_class": "internal", "after_grant": "paid", "models": null },
        "organization": { "id": "org_1", "name": "Acme" },
        "tier": { "name": "new", "models": ["gpt-*"], "monthly_ceiling": "100.00" },
        "user": null,
        "rate_limits": [],
        "budgets": [],
        "credit": { "available": "4.50", "grants": "1.00", "debt": "0.00", "frozen": false, "wallets": [] },
        "note": note,
    })
}

fn view(answer: Value) -> EffectiveLimits {
    serde_json::from_value(answer).unwrap()
}

#[test]
fn whose_each_limit_is_and_which_binds() {
    let mut answer = answer(Value::Null);
    let limit = |of: &str, user: Value, models: &str, most: u64, remaining: Value, binding: bool| {
        let each_user = remaining.is_null();
        json!({ "measure": "requests_per_minute", "of": of, "user": user, "each_user": each_user, "models": models,
                "limit": most, "used": remaining.as_u64().map(|left| most - left), "remaining": remaining,
                "binding": binding })
    };
    answer["rate_limits"] = json!([{
        "models": "gpt-5*",
        "limits": [
            limit("tier", Value::Null, "*", 500, json!(499), false),
            limit("project", Value::Null, "gpt-5*", 20, json!(3), true),
            limit("user", Value::Null, "gpt-5*", 5, Value::Null, false),
            limit("user", json!("u-1"), "gpt-5*", 2, json!(2), false),
        ],
        "not_limited_in_this_chain": ["tokens_per_day"],
    }]);
    answer["budgets"] = json!([{
        "of": "tier", "which": null, "each": false, "period": "monthly", "hard": true, "cost": "100.00",
        "tokens": null, "steps": null, "spent": "1.50", "held": "0.00", "remaining": "98.50", "tokens_used": 7,
        "steps_used": 1, "resets_at": "2026-12-01T00:00:00Z", "binding": true,
    }]);
    let view = view(answer);
    let text = view.human();
    for line in [
        "models        all but gpt-4* (the key); gpt-* (the usage tier)",
        "networks      10.0.0.0/8",
        "credit        4.50 available",
        "gpt-5*  requests per minute  tier, shared by *    500         1       499",
        "gpt-5*  requests per minute  project               20        17         3  *",
        "gpt-5*  requests per minute  each user              5  per user  per user",
        "gpt-5*  requests per minute  user u-1               2         0         2",
        "tier       monthly  hard  100.00   1.50  0.00  98.50  2026-12-01T00:00:00Z  *",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(!text.contains("unlimited") && view.note().unwrap().contains("refuses first"));
}

#[test]
fn a_project_that_stops_where_its_grants_end_has_those_alone() {
    let mut answer = answer(Value::Null);
    answer["project"]["after_grant"] = json!("stop");
    let text = view(answer).human();
    let line = "credit        1.00 of grants, after which the project stops (3.50 of other credit)";
    assert!(text.contains(line), "{text}");
}

#[test]
fn nothing_that_limits_is_said_as_that() {
    let mut answer = answer(json!("no limit in this chain"));
    answer["rate_limits"] =
        json!([{ "models": "*", "limits": [], "not_limited_in_this_chain": ["tokens_per_day"] }]);
    let view = view(answer);
    assert!(view.human().ends_with("no limit in this chain for all models: tokens per day"));
    assert_eq!(view.note().unwrap(), "no limit in this chain but the credit");
}
