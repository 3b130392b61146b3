//! What a caller reads when the books say no.

use std::sync::Arc;

use directory::{
    AfterGrant, Bounds, DataClass, DirectoryService, Environment, InFlight, KeyHasher, Mandate,
    MemoryDirectory, NewKey, NewOrganization, NewProject, Principal, Scope, Visit,
};
use domain::{BudgetId, Money, RequestId, Timestamp, WalletId};
use http_body_util::BodyExt;
use ledger::{BudgetBound, Denial, LedgerError, Measure, Subject, Tag};
use serde_json::{Value, json};

use super::house::Steady;
use crate::allowance::Ask;
use crate::denial::refuse;
use crate::pools::Pools;

fn principal(after_grant: AfterGrant) -> Principal {
    let (ids, now) = (Steady::default(), Timestamp::from_micros(0));
    let service =
        DirectoryService::open(Arc::new(MemoryDirectory::default()), KeyHasher::new([7; 32])).unwrap();
    let mandate = Mandate::operator(&ids, now);
    let new =
        NewOrganization { name: "Acme".to_owned(), in_flight: InFlight::Stops, ..NewOrganization::default() };
    let organization = service.create_organization(new, &mandate).unwrap().id;
    let (environment, data_class) = (Environment::Dev, DataClass::Internal);
    let new = NewProject { organization, name: "chat".to_owned(), environment, data_class, after_grant };
    let project = service.create_project(new, &mandate).unwrap().id;
    let name = Some("laptop".to_owned());
    let new = NewKey { project, owner: None, name, bounds: Bounds::default(), expires_at: None };
    let created = service.create_key(new, &mandate).unwrap();
    let visit = Visit { address: None, endpoint: Scope::ChatCompletions, now };
    service.directory().authenticate(created.secret.expose(), &visit).unwrap()
}

/// The status, `x-should-retry`, and the error, of a denial.
async fn wire(error: LedgerError, least: i64, amount: i64) -> (u16, Value) {
    wire_of(&principal(AfterGrant::Paid), error, least, amount, None).await
}

/// The same to a principal, with what there is beside grants.
async fn wire_of(
    principal: &Principal,
    error: LedgerError,
    least: i64,
    amount: i64,
    beside: Option<Money>,
) -> (u16, Value) {
    let ask = Ask { amount: Money::from_nano(amount), least: Money::from_nano(least), tokens: 0 };
    let (pools, ends) = (Pools::default(), "2026-12-02".parse().ok());
    let free = (&pools.free, ends);
    let response = refuse(error, principal, &ask, free, beside)
        .into_response(dialect::Dialect::OpenAi, RequestId::from_bytes([9; 16]));
    assert!(!response.headers().contains_key("retry-after") || response.status() == 503);
    let (status, retry) = (response.status().as_u16(), response.headers().get("x-should-retry").cloned());
    assert!(status == 503 || retry.is_some_and(|retry| retry == "false"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    (status, body["error"].take())
}

#[tokio::test]
async fn budgets_say_whose_they_are_what_is_left_and_when_they_start_anew() {
    let resets: Timestamp = "2026-12-01".parse().unwrap();
    for (subject, value, measure, figures, resets_at, code, reason, message, raise) in [
        (
            Subject::Organization,
            "",
            Measure::Cost,
            ["10.00", "9.99", "0.02"],
            Some(resets),
            "organization_spend_limit_exceeded",
            None,
            "the budget of organization Acme is 10.00, of which 9.99 are used or held, and this call needs 0.02. It \
             starts anew at 2026-12-01T00:00:00.000000Z.",
            "--cost 20.00",
        ),
        (
            Subject::Project(None),
            "proj_x",
            Measure::Cost,
            ["0.00", "0.00", "0.02"],
            None,
            "project_spend_limit_exceeded",
            None,
            "the budget of project `chat` is 0.00, of which 0.00 are used or held, and this call needs 0.02.",
            "--cost 0.02",
        ),
        (
            Subject::Key(None),
            "key_x",
            Measure::Tokens,
            ["1000", "900", "4196"],
            Some(resets),
            "insufficient_quota",
            Some("key_budget_exceeded"),
            "the budget of key `laptop` is 1000 tokens, of which 900 are used or expected of running calls, and this \
             call needs 4196. It starts anew at 2026-12-01T00:00:00.000000Z.",
            "--tokens 5096",
        ),
        (
            Subject::User(None),
            "u\u{1b}1",
            Measure::Steps,
            ["5", "5", "1"],
            None,
            "insufficient_quota",
            Some("user_budget_exceeded"),
            "the budget of user `u1` is 5 calls, of which 5 are made, and this call needs 1.",
            "--steps 10",
        ),
        (
            Subject::Tag(Tag::Feature, Some("search".into())),
            "search",
            Measure::Steps,
            ["5", "5", "1"],
            None,
            "insufficient_quota",
            Some("tag_budget_exceeded"),
            "the budget of feature `search` is 5 calls, of which 5 are made, and this call needs 1.",
            "--steps 10",
        ),
        (
            Subject::Run(None),
            "r-7",
            Measure::Steps,
            ["5", "5", "1"],
            None,
            "insufficient_quota",
            Some("run_budget_exceeded"),
            "the budget of run `r-7` is 5 calls, of which 5 are made, and this call needs 1.",
            "--steps 10",
        ),
    ] {
        let [cap, used, needed] = figures.map(str::to_owned);
        let budget = BudgetId::from_bytes([4; 16]);
        let bound = BudgetBound {
            budget,
            subject: subject.clone(),
            value: value.into(),
            measure,
            cap: cap.clone(),
            used: used.clone(),
            needed,
            resets_at,
        };
        let denial = LedgerError::Denied(Denial::BudgetExceeded(Box::new(bound)));
        let (status, error) = wire(denial, 1, 1).await;
        let organization = principal(AfterGrant::Paid).organization().id;
        let raise = format!(
            "he operator raises it: `tollkeeper budgets set --org {organization} --id {budget} {raise}`."
        );
        let next_step = match resets_at {
            Some(at) => format!("Wait until {at}, or t{raise}"),
            None => format!("T{raise}"),
        };
        let mut expected = json!({
            "message": format!("You exceeded your current quota: {message}"),
            "type": "insufficient_quota",
            "param": null,
            "code": code,
            "limit": cap,
            "used": used,
            "owner": "usage_limit",
            "next_step": next_step, "retryable": false,
            "request_id": RequestId::from_bytes([9; 16]).to_string(),
        });
        if let Some(reason) = reason {
            expected["reason"] = json!(reason);
        }
        if let Some(at) = resets_at {
            expected["resets_at"] = json!(at.to_string());
        }
        assert_eq!((status, error), (429, expected), "{subject:?}");
    }
}

#[tokio::test]
async fn credit_that_is_short_says_how_much_is_needed_and_where() {
    let wallet = WalletId::from_bytes([6; 16]);
    let cents = |nano: i64| Money::from_nano(nano * 10_000_000);
    let short = |available, needed| {
        LedgerError::Denied(Denial::InsufficientCredit { available: cents(available), needed: cents(needed) })
    };
    for (error, (least, amount), status, message, next_step) in [
        (
            short(1, 2),
            (2, 2),
            429,
            "may cost up to 0.02 and organization Acme has 0.01",
            "smaller max_tokens",
        ),
        (
            short(1, 2),
            (2, 9),
            429,
            "needs at least 0.02 and organization Acme has 0.01",
            "Or send a shorter prompt.",
        ),
        (short(0, 2), (2, 9), 429, "needs at least 0.02", "--amount 10.00 --kind prepaid`."),
        (
            LedgerError::Denied(Denial::InDebt { wallet, debt: cents(3) }),
            (2, 2),
            429,
            &*format!("the wallet {wallet} of organization Acme owes 0.03"),
            &*format!("--wallet {wallet} --amount 10.00"),
        ),
        (LedgerError::Denied(Denial::Frozen), (2, 2), 503, "The wallet is frozen", "tollkeeper verify"),
        (LedgerError::Denied(Denial::Duplicate), (2, 2), 503, "cannot book calls now", ""),
        (LedgerError::Busy, (2, 2), 503, "overloaded", ""),
    ] {
        let (code, body) = wire(error, least, amount).await;
        assert_eq!(code, status, "{body}");
        assert!(body["message"].as_str().unwrap().contains(message), "{body}");
        assert!(body["next_step"].as_str().unwrap_or_default().contains(next_step), "{body}");
    }
}

#[tokio::test]
async fn a_project_that_stops_after_its_grants_says_so_and_what_lies_beside() {
    let stops = principal(AfterGrant::Stop);
    let (organization, project) = (stops.organization().id, stops.project.id);
    let cents = |cents: i64| Money::from_nano(cents * 10_000_000);
    let grant = format!(
        "perator gives a grant: `tollkeeper credits grant --org {organization} --amount 10.00 --kind promo`."
    );
    let paid = format!(
        "Let other credit pay: `tollkeeper project update {project} --after-grant paid`. Or the o{grant}"
    );
    let grant = format!("The o{grant}");
    let whole = "This call may cost up to 0.02, and the promotional credit that may pay for it is 0.01.";
    let least = "This call needs at least 0.02, and the promotional credit that may pay for it is 0.01.";
    for (amount, beside, message, next_step) in [
        (2, Some(500), format!("{whole} Other credit, which it leaves alone: 5.00."), &paid),
        (9, Some(1), format!("{least} Other credit, which it leaves alone: 0.01."), &paid),
        // What would not suffice either is no way out.
        (9, Some(0), format!("{least} Other credit, which it leaves alone: 0.00."), &grant),
        (2, None, whole.to_owned(), &grant),
    ] {
        let short = Denial::InsufficientCredit { available: cents(1), needed: cents(2) };
        let (status, error) = wire_of(&stops, LedgerError::Denied(short), 2, amount, beside.map(cents)).await;
        let expected = json!({
            "message": format!(
                "You exceeded your current quota: project chat has chosen to stop where its grants end (after_grant = \
                 \"stop\"). {message}"
            ),
            "type": "insufficient_quota",
            "param": null,
            "code": "insufficient_quota",
            "reason": "grants_used_up",
            "limit": "0.01",
            "used": "0.02",
            "owner": "billing",
            "next_step": next_step,
            "retryable": false,
            "request_id": RequestId::from_bytes([9; 16]).to_string(),
        });
        assert_eq!((status, error), (429, expected));
    }
    // What is owed is owed, whoever stops where.
    let owing = Denial::InDebt { wallet: WalletId::from_bytes([6; 16]), debt: cents(3) };
    let (_, error) = wire_of(&stops, LedgerError::Denied(owing), 2, 2, None).await;
    assert_eq!(error["reason"], "wallet_in_debt");
}
