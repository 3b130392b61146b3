//! Paths, and shapes: every member that OpenRouter's Python SDK 1.3.84 requires is there.

use std::sync::Arc;

use axum::http::{Method, Response};
use bytes::Bytes;
use dialect::{Endpoint, ErrorBody};
use directory::{Bounds, Key, KeyHash, KeyOwner};
use domain::{
    BudgetId, KeyId, Money, OrganizationId, ProjectId, RefusalCode, RequestId, ServiceAccountId, Timestamp,
    Usage, UserId, Zone,
};
use ledger::{AttemptStatus, Attribution, Budget, Caps, CostRow, Period, Subject, Use};
use serde::Serialize;
use serde_json::Value;
use store::{KeyCost, Spent};

use super::access::Sight;
use super::shape::{FreeRequests, Generation, ManagedKey, OwnKey, hash_of, limit_of};
use super::{Call, Fault, Query, endpoint, is_for, told};

const COSTS: &str = "usage usage_daily usage_weekly usage_monthly byok_usage byok_usage_daily byok_usage_weekly \
                     byok_usage_monthly limit limit_remaining limit_reset include_byok_in_limit label creator_user_id \
                     expires_at workspace_id";

fn key() -> Key {
    Key {
        id: KeyId::from_bytes([2; 16]),
        organization: OrganizationId::from_bytes([1; 16]),
        project: ProjectId::from_bytes([3; 16]),
        owner: KeyOwner::User(UserId::from_bytes([4; 16])),
        consent: None,
        name: "laptop".to_owned(),
        hash: KeyHash::from_bytes([0xab; 32]),
        redacted: "tk-a1b…xyz9".to_owned(),
        previous: None,
        bounds: Bounds::default(),
        created_at: Timestamp::from_micros(0),
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
    }
}

fn budget(n: u8, subject: Subject, period: Period, cost: &str, spent: &str) -> (Budget, Use) {
    let caps = Caps { cost: Some(cost.parse().unwrap()), ..Caps::default() };
    let id = BudgetId::from_bytes([n; 16]);
    let budget = Budget { id, subject, period, zone: Zone::default(), caps, hard: true, thresholds: vec![] };
    (budget, Use { spent: spent.parse().unwrap(), ..Use::default() })
}

/// The object, which has all of these members.
fn with(object: &impl Serialize, members: &str) -> Value {
    let value: Value = serde_json::from_str(&serde_json::to_string(object).unwrap()).unwrap();
    for member in members.split_whitespace() {
        assert!(value.get(member).is_some(), "{member} is missing in {value}");
    }
    value
}

#[test]
fn a_key_has_every_member() {
    let key = key();
    let own = Subject::Key(Some(key.id.to_string().into()));
    let soft = {
        let (mut budget, used) = budget(9, own.clone(), Period::Daily, "0.01", "0");
        budget.hard = false;
        (budget, used)
    };
    let budgets = [
        budget(5, Subject::Organization, Period::Monthly, "100", "99.75"),
        budget(6, own.clone(), Period::Weekly, "10", "0.5"),
        budget(7, own, Period::Total, "20", "0.5"),
        budget(8, Subject::User(None), Period::Total, "0.1", "0"),
        soft,
    ];
    let money = |text: &str| text.parse::<Money>().unwrap();
    let spent = |[total, day, week, month]: [&str; 4]| Spent {
        total: money(total),
        since: [money(day), money(week), money(month)],
    };
    let cost = KeyCost {
        charged: spent(["0.5", "0.1", "0.2", "0.4"]),
        elsewhere: spent(["9", "0.6", "0.7", "0.8"]),
    };
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let members = "allowed_data_regions budgets effective_budget free_model_daily_requests is_free_tier \
                   is_management_key is_provisioning_key organization_id rate_limit";
    let shown = with(
        &OwnKey::new(&key, &budgets, cost, false, FreeRequests::new(50, 51), now),
        &format!("{COSTS} {members}"),
    );
    assert_eq!((shown["limit"].as_f64(), shown["limit_remaining"].as_f64()), (Some(10.0), Some(9.5)));
    let free = serde_json::json!({ "limit": 50, "remaining": 0, "used": 51 });
    assert_eq!(shown["free_model_daily_requests"], free);
    for (name, [total, day, week, month]) in
        [("usage", [0.5, 0.1, 0.2, 0.4]), ("byok_usage", [9.0, 0.6, 0.7, 0.8])]
    {
        let expected = [("", total), ("_daily", day), ("_weekly", week), ("_monthly", month)];
        for (span, amount) in expected {
            assert_eq!(shown[format!("{name}{span}")].as_f64(), Some(amount), "{name}{span}");
        }
    }
    assert_eq!((&shown["limit_reset"], &shown["is_free_tier"]), (&"weekly".into(), &true.into()));
    let scopes: Vec<&str> =
        shown["budgets"].as_array().unwrap().iter().map(|b| b["scope"].as_str().unwrap()).collect();
    assert_eq!(scopes, ["workspace", "key_limit", "key_limit"]);
    let tightest = with(
        &shown["effective_budget"],
        "budget_id guardrail_id include_byok limit_usd remaining_usd reset_interval resets_at scope spend_usd",
    );
    assert_eq!(tightest["budget_id"], budgets[0].0.id.to_string());
    assert_eq!(tightest["resets_at"], "2026-12-01T00:00:00.000000Z");

    let members = "created_at disabled external_user hash last_used_at name updated_at";
    let managed = ManagedKey::new(&key, limit_of(&key, &budgets), cost, None);
    let shown = with(&managed, &format!("{COSTS} {members}"));
    assert_eq!(shown["hash"], "ab".repeat(32));
    assert_eq!(hash_of(&"ab".repeat(32)), Some(key.hash));
    for bad in ["", "ab", &"ab".repeat(33), &"AB".repeat(32), &"0x".repeat(32), &"ä".repeat(32)] {
        assert_eq!(hash_of(bad), None, "{bad}");
    }
    assert_eq!(shown["creator_user_id"], UserId::from_bytes([4; 16]).to_string());
    let free = Key { owner: KeyOwner::ServiceAccount(ServiceAccountId::from_bytes([4; 16])), ..key };
    let shown = with(&ManagedKey::new(&free, None, KeyCost::default(), None), COSTS);
    assert!(shown["limit"].is_null() && shown["limit_reset"].is_null() && shown["creator_user_id"].is_null());
}

#[test]
fn a_generation_has_every_member() {
    let text = Arc::<str>::from;
    let row = CostRow {
        organization: OrganizationId::from_bytes([1; 16]),
        request: RequestId::from_bytes([7; 16]),
        attempt: 1,
        at: Timestamp::from_micros(0),
        project: ProjectId::from_bytes([3; 16]),
        key: KeyId::from_bytes([2; 16]),
        environment: text("dev"),
        model: text("sim"),
        target: text("mock/sim-small"),
        provider: text("mock"),
        model_answered: None,
        price_version: text("mock/sim-small@input=1.00"),
        service_tier: domain::ServiceTier::Standard,
        class: domain::AccessClass::Direct,
        list_pico: None,
        cover: None,
        usage: Usage { input: 10, cached: 2, output: 5, ..Usage::default() },
        cost_pico: 1_000,
        cost: Money::from_nano(1),
        reported_pico: None,
        status: AttemptStatus::Succeeded,
        reason: text(""),
        estimated: false,
        http_status: 200,
        streamed: true,
        duration_us: 12_345,
        held: Money::ZERO,
        attribution: Attribution { user: Some("u-1".into()), ..Attribution::default() },
    };
    let failed = CostRow { status: AttemptStatus::Failed, cost: Money::from_nano(2), ..row.clone() };
    let brought = CostRow { class: domain::AccessClass::Byok, list_pico: Some(4_001), ..row.clone() };
    let members = "api_type app_id cache_discount cancelled created_at data_region external_user finish_reason \
                   generation_time http_referer id is_byok latency model moderation_latency native_finish_reason \
                   native_tokens_cached native_tokens_completion native_tokens_completion_images native_tokens_prompt \
                   native_tokens_reasoning num_fetches num_input_audio_prompt num_media_completion num_media_prompt \
                   num_search_results origin preset_id provider_name provider_responses router service_tier streamed \
                   tokens_completion tokens_prompt total_cost upstream_id upstream_inference_cost usage user_agent \
                   web_search_engine workspace_id request_id session_id response_cache_source_id";
    // A project's key sees the calls of its project, an app's its own, an administrator's those of the organization.
    let (own, other) = (row.organization, OrganizationId::from_bytes([9; 16]));
    let (ours, theirs) = (Some(row.project), Some(ProjectId::from_bytes([9; 16])));
    for (organization, project, key, shown) in [
        (own, None, None, true),
        (own, ours, None, true),
        (own, ours, Some(row.key), true),
        (own, ours, Some(KeyId::from_bytes([9; 16])), false),
        (own, theirs, None, false),
        (other, None, None, false),
        (other, ours, None, false),
    ] {
        let sight = Sight { organization, project, key };
        assert_eq!(is_for(&[failed.clone(), row.clone()], &sight), shown, "{project:?} {key:?}");
    }
    let shown = with(&Generation::of("gen-1", &[failed, row]).unwrap(), members);
    assert_eq!((&shown["id"], shown["total_cost"].as_f64()), (&"gen-1".into(), Some(3e-9)));
    assert_eq!(
        (shown["tokens_prompt"].as_u64(), shown["native_tokens_cached"].as_u64()),
        (Some(12), Some(2))
    );
    assert_eq!(shown["provider_responses"].as_array().map(Vec::len), Some(2));
    assert_eq!((&shown["is_byok"], &shown["upstream_inference_cost"]), (&false.into(), &Value::Null));
    assert!(Generation::of("gen-1", &[]).is_none());
    // By a key of the caller's, the provider bills the list price and we bill the fee.
    let shown =
        serde_json::to_value(Generation::of("gen-1", std::slice::from_ref(&brought)).unwrap()).unwrap();
    assert_eq!((&shown["is_byok"], &shown["provider_responses"][0]["is_byok"]), (&true.into(), &true.into()));
    assert_eq!(
        (shown["upstream_inference_cost"].as_f64(), shown["usage"].as_f64()),
        (Some(5e-9), Some(1e-9))
    );
    let unlisted = CostRow { list_pico: None, ..brought.clone() };
    let shown = serde_json::to_value(Generation::of("gen-1", &[brought, unlisted]).unwrap()).unwrap();
    assert_eq!(shown["upstream_inference_cost"], Value::Null);
}

#[test]
fn paths_and_methods_are_known() {
    for (method, path, call) in [
        (Method::GET, "/api/v1/key", Ok(Call::OwnKey)),
        (Method::HEAD, "/api/v1/key", Ok(Call::OwnKey)),
        (Method::GET, "/api/v1/keys/", Ok(Call::ListKeys)),
        (Method::POST, "/api/v1/keys", Ok(Call::CreateKey)),
        (Method::PATCH, "/api/v1/keys/ab", Ok(Call::UpdateKey("ab".to_owned()))),
        (Method::DELETE, "/api/v1/keys/ab", Ok(Call::RemoveKey("ab".to_owned()))),
        (Method::GET, "/api/v1/credits", Ok(Call::Credits)),
        (Method::POST, "/api/v1/key", Err(405)),
        (Method::PUT, "/api/v1/keys/ab", Err(405)),
        (Method::GET, "/api/v1/keys/ab/cd", Err(404)),
        (Method::GET, "/api/v1/", Err(404)),
        (Method::GET, "/api/v1/key/ab", Err(404)),
    ] {
        let found = Call::of(&method, path).map_err(|fault| fault.status);
        assert_eq!(found, call, "{method} {path}");
    }
    let query = Query("a=1&b=&c=2&a=3".to_owned());
    assert_eq!((query.get("a"), query.get("b"), query.get("d")), (Some("1"), None, None));
}

#[test]
fn errors_have_the_status_as_a_number() {
    for (code, status) in [
        (RefusalCode::MissingKey, 401),
        (RefusalCode::InvalidKey, 401),
        (RefusalCode::ExpiredKey, 401),
        (RefusalCode::DisabledKey, 401),
        (RefusalCode::AddressNotAllowed, 403),
        (RefusalCode::ProjectArchived, 403),
    ] {
        let (found, body) = Fault::from(domain::Refusal::new(code, "No.", "ask somebody")).into_answer();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((found, body["error"]["code"].as_u64()), (status, Some(u64::from(status))));
        let metadata = &body["error"]["metadata"];
        assert_eq!(
            (&metadata["reason"], &metadata["next_step"]),
            (&code.as_str().into(), &"ask somebody".into())
        );
    }
}

#[test]
fn calls_of_models_are_those_of_v1() {
    let table = [
        ("/api/v1/chat/completions", Some(Endpoint::Chat)),
        ("/api/v1/responses", Some(Endpoint::Responses)),
        ("/api/v1/embeddings", Some(Endpoint::Embeddings)),
        ("/api/v1/messages", Some(Endpoint::Messages)),
        ("/api/v1/messages/count_tokens", None),
        ("/api/v1/key", None),
        ("/v1/chat/completions", None),
    ];
    for (path, expected) in table {
        assert_eq!(endpoint(path), expected, "{path}");
    }
}

#[test]
fn failures_of_calls_have_openrouters_shape_where_it_has_its_own() {
    let unpaid = ErrorBody {
        reason: Some("credit_balance_exhausted"),
        ..ErrorBody::new(429, "insufficient_quota", "No credit.")
    };
    let limited = ErrorBody::new(429, "requests", "Too fast.");
    let table = [
        (Endpoint::Chat, &unpaid, 402, "payment_required"),
        (Endpoint::Embeddings, &limited, 429, "rate_limit_exceeded"),
        (Endpoint::Chat, &ErrorBody::new(502, "server_error", "It broke."), 502, "provider_unavailable"),
    ];
    for (at, error, status, kind) in table {
        let mut response = Response::builder().status(error.status).body(Bytes::from("as it was")).unwrap();
        response.extensions_mut().insert(error.clone());
        let response = told(at, response, |body| body);
        assert_eq!(response.status(), status);
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body["error"]["code"], status, "{body}");
        assert_eq!(body["error"]["message"], error.message, "{body}");
        assert_eq!(body["error"]["metadata"]["error_type"], kind, "{body}");
    }
    let mut response = Response::builder().status(429).body(Bytes::from("as it was")).unwrap();
    response.extensions_mut().insert(unpaid);
    let response = told(Endpoint::Responses, response, |body| body);
    assert_eq!((response.status().as_u16(), &response.body()[..]), (429, &b"as it was"[..]));
}
