//! Consents: who sees and revokes whose, and the pages and calls by which they are given and become keys.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::{Method, Response};
use directory::{App, LimitReset, ModelAccess, NewConsent};
use domain::{BudgetId, ConsentId, Money};
use ledger::{Act, Booking, Budget, Command, Note, Period, Subject};

use super::*;
use crate::config::{Config, Environment};
use crate::user_pays::{self, UserPaysSettings};

const CALLBACK: &str = "https://notes.example/back?x=1";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// What an operator writes who turns it on and nothing else.
pub(super) fn settings() -> UserPaysSettings {
    let text = "[user_pays]\nenabled = true\n";
    Config::parse(text, &Environment::default(), domain::Timestamp::from_micros(0)).unwrap().user_pays
}

/// A consent of somebody's.
pub(super) fn given(
    service: &DirectoryService,
    mandate: &Mandate<'_>,
    project: ProjectId,
    user: UserId,
) -> ConsentId {
    let until = mandate.now.plus_seconds(600);
    let new = NewConsent {
        project,
        user,
        app: App::new("https://notes.example".to_owned(), Some("Notes")),
        limit: Money::from_nano(5_000_000_000),
        reset: LimitReset::Monthly,
        models: None,
        fetch_until: until,
        expires_at: until,
    };
    service.give_consent(new, mandate).unwrap().id
}

impl House {
    /// The secret of a key of the guest's, with these bounds.
    fn key_of_guest(&self, bounds: Bounds) -> String {
        let mandate = Mandate::operator(&SystemIds, self.admin.clock.now());
        let owner = Some(KeyOwner::User(self.name("user").parse().unwrap()));
        let project = self.name("project").parse().unwrap();
        let new = NewKey { project, owner, name: None, bounds, expires_at: None };
        text(&self.admin.directory.create_key(new, &mandate).unwrap().secret)
    }

    fn page(
        &self,
        method: &Method,
        path: &str,
        fields: &[(&str, &str)],
        from: &[(&str, &str)],
    ) -> Response<Bytes> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(fields).finish();
        let (uri, body) = match *method {
            Method::POST => (path.to_owned(), query),
            _ => (format!("{path}?{query}"), String::new()),
        };
        let mut request = HttpRequest::builder().method(method).uri(uri);
        for (name, value) in from {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        head.extensions.insert(ClientAddress("203.0.113.9".parse::<IpAddr>().ok()));
        self.runtime.block_on(user_pays::answer(&self.admin, head, Bytes::from(body)))
    }

    fn agree(&self, fields: &[(&str, &str)]) -> Response<Bytes> {
        self.page(&Method::POST, "/auth", fields, &[])
    }
}

fn html(answer: &Response<Bytes>) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

fn location(answer: &Response<Bytes>) -> &str {
    answer.headers().get("location").map_or("", |value| value.to_str().unwrap())
}

/// A filled form, with some fields as a test has them.
fn form<'a>(key: &'a str, other: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        ("callback_url", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "s&t"),
        ("key_label", "Notes"),
        ("key", key),
        ("limit", "2.50"),
        ("reset", "weekly"),
        ("days", "7"),
        ("models", "sim*, other"),
        ("decision", "allow"),
    ];
    let kept = usual.iter().filter(|(name, _)| other.iter().all(|(changed, _)| changed != name));
    kept.chain(other.iter().filter(|(_, value)| *value != "-")).copied().collect()
}

/// The code of a way back to the app.
fn code(answer: &Response<Bytes>) -> String {
    assert_eq!(answer.status(), 303, "{}", html(answer));
    let rest = location(answer).strip_prefix("https://notes.example/back?x=1&code=").unwrap();
    let (code, state) = rest.split_once('&').unwrap();
    assert_eq!(state, "state=s%26t");
    code.to_owned()
}

#[test]
fn a_consent_is_seen_and_revoked_by_its_person_and_by_owners() {
    for (role, sees, revokes) in [
        ("reader", 0, 403),
        ("project owner", 0, 403),
        ("guest", 1, 200),
        ("admin", 1, 200),
        ("owner", 1, 200),
        ("operator", 1, 200),
    ] {
        let house = House::new();
        let key = if role == "guest" { &house.callers.guest } else { house.callers.of(role) };
        let path = format!("/admin/v1/organizations/{}/consents", house.name("organization"));
        let (status, listed) = house.ask("GET", &path, Some(key), &json!({}));
        assert_eq!((status, listed["data"].as_array().unwrap().len()), (200, sees), "{role}: {listed}");
        let one = format!("{path}/{}", house.name("consent"));
        let (status, revoked) = house.ask("DELETE", &one, Some(key), &json!({}));
        assert_eq!(status, revokes, "{role}: {revoked}");
        if status == 200 {
            assert_eq!(
                (&revoked["state"], &revoked["app"]["origin"]),
                (&json!("revoked"), &json!("https://notes.example"))
            );
            assert_eq!(house.ask("DELETE", &one, Some(key), &json!({})).0, 404, "{role}");
            assert_eq!(house.told(house.name("consent"))[0]["action"], "consent.revoked");
        }
    }
}

#[test]
fn the_page_asks_and_leads_back_with_a_code_that_is_a_key_once() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    let asked = [
        ("callback_url", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("state", "s&t"),
        ("key_label", "<b>Notes"),
    ];
    let page = house.page(&Method::GET, "/auth", &asked, &[("sec-fetch-site", "cross-site")]);
    assert_eq!(page.status(), 200);
    let text = html(&page);
    for shown in [
        "&lt;b&gt;Notes",
        "https://notes.example</p>",
        "name=state value=\"s&amp;t\"",
        "type=password",
        "value=\"5.00\"",
    ] {
        assert!(text.contains(shown), "{shown} is missing in\n{text}");
    }
    assert!(!text.contains("<script") && !text.contains("<b>Notes"));
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(policy.contains("form-action 'self' https://notes.example;"), "{policy}");
    assert_eq!(
        (&page.headers()["cache-control"], &page.headers()["referrer-policy"]),
        (&"no-store".parse().unwrap(), &"no-referrer".parse().unwrap())
    );

    let code = code(&house.agree(&form(&key, &[])));
    let exchange = |verifier: &str| {
        let body = json!({ "code": code, "code_verifier": verifier, "code_challenge_method": "S256" });
        house.ask_openrouter("POST", "auth/keys", "", &body)
    };
    let (status, made) = exchange(VERIFIER);
    assert_eq!((status, &made["user_id"]), (200, &json!(house.name("user"))), "{made}");
    let secret = made["key"].as_str().unwrap();
    let (status, own) = house.ask_openrouter("GET", "key", secret, &json!({}));
    assert_eq!(
        (status, &own["data"]["limit"], &own["data"]["limit_reset"]),
        (200, &json!(2.5), &json!("weekly")),
        "{own}"
    );
    assert_eq!(own["data"]["budgets"].as_array().unwrap().len(), 1, "{own}");
    assert_eq!(exchange(VERIFIER).0, 403);
    let key = house.admin.directory.directory().holder(secret).unwrap().key;
    let told: Vec<Value> = house.told(&key.consent.unwrap().to_string());
    let actions: Vec<(&str, &str)> = told
        .iter()
        .map(|line| (line["action"].as_str().unwrap(), line["actor"]["type"].as_str().unwrap()))
        .collect();
    assert_eq!(actions, [("consent.fetched", "app"), ("consent.given", "person")]);
    assert_eq!(key.name, "Notes (notes.example)");
    let models = ModelAccess {
        mode: directory::AccessMode::Allow,
        models: vec!["sim*".to_owned(), "other".to_owned()],
    };
    assert_eq!(key.bounds.models, Some(models));
    // An app agrees to nothing, neither on the page nor by API.
    assert!(html(&house.agree(&form(secret, &[]))).contains("This key is an app&#39;s"));
    let body =
        json!({ "callback_url": CALLBACK, "code_challenge": CHALLENGE, "code_challenge_method": "S256" });
    assert_eq!(house.ask_openrouter("POST", "auth/keys/code", secret, &body).0, 403);
}

/// Every field that cannot be taken, and what the form says beside it. Nothing is recorded.
#[test]
fn what_cannot_be_meant_is_said_beside_its_field() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    let models = ModelAccess { mode: directory::AccessMode::Allow, models: vec!["sim".to_owned()] };
    let bounded = house.key_of_guest(Bounds { models: Some(models), ..Bounds::default() });
    let networks = vec!["203.0.113.0/24".parse().unwrap()];
    let networked = house.key_of_guest(Bounds { networks, ..Bounds::default() });
    let consents = || {
        house
            .admin
            .directory
            .directory()
            .tenant(house.name("organization").parse().unwrap())
            .unwrap()
            .consents()
            .len()
    };
    let before = consents();
    for (changed, says) in [
        (&[("limit", "five")][..], "This is not an amount."),
        (&[("limit", "-1")], "The limit must be above zero."),
        (&[("limit", "100.000000001")], "The limit must be at most 100.00."),
        (&[("reset", "hourly")], "Choose when the limit starts anew."),
        (&[("days", "0")], "Write a number of days from 1 to 365."),
        (&[("days", "366")], "Write a number of days from 1 to 365."),
        (&[("models", "a*b")], "contains what is no model"),
        (&[("key", "")], "Your key is missing."),
        (&[("key", "tk-nonsense")], "Incorrect API key provided"),
        (&[("key", house.callers.guest.as_str())], "class=wrong"),
        (&[("key", house.callers.model_key.as_str())], "service account&#39;s, and only a person can agree"),
        (&[("key", bounded.as_str())], "limited to some models"),
        (&[("key", networked.as_str())], "limited to some networks"),
        (&[("decision", "-")], "asks to call models at your expense"),
        (&[("callback_url", "http://notes.example/")], "must begin with https://"),
        (&[("callback_url", "javascript:alert(1)")], "must begin with https://"),
        (&[("state", "a\nb")], "holds a control character"),
        (&[("code_challenge", "-")], "`code_challenge` is missing"),
        (&[("code_challenge", "short")], "43 characters"),
        (&[("code_challenge_method", "S512")], "must be S256 or plain"),
        (&[("callback_url", CALLBACK), ("callback_url", "https://other.example/")], "is there twice"),
    ] {
        let answer = house.agree(&form(&key, changed));
        assert_eq!(answer.status(), 400, "{changed:?}");
        assert!(html(&answer).contains(says), "{changed:?}: {}", html(&answer));
        assert!(location(&answer).is_empty() && !html(&answer).contains(&key), "{changed:?}");
    }
    assert_eq!(consents(), before);
    // Who does not agree says nothing more, and the app hears of it.
    let denied = house.agree(&form("", &[("decision", "deny"), ("limit", "-")]));
    assert_eq!(denied.status(), 303);
    assert!(
        location(&denied).starts_with("https://notes.example/back?x=1&error=access_denied&"),
        "{denied:?}"
    );
    assert_eq!(consents(), before);
}

#[test]
fn a_key_with_a_budget_of_its_own_agrees_to_nothing() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    let id = house.admin.directory.directory().holder(&key).unwrap().key.id;
    let budget = Budget {
        id: BudgetId::from_bytes([1; 16]),
        subject: Subject::Key(Some(id.to_string().into())),
        period: Period::Total,
        zone: domain::Zone::default(),
        caps: ledger::Caps { cost: Some(Money::from_nano(1)), ..ledger::Caps::default() },
        hard: true,
        thresholds: Vec::new(),
    };
    let organization = house.name("organization").parse().unwrap();
    let note = Note { actor: "test".into(), reason: None };
    let booking = Booking { organization, idempotency: None, note, act: Act::SetBudget(budget) };
    house.admin.ledger.submit(Command::Book(Box::new(booking))).wait().unwrap();
    let answer = house.agree(&form(&key, &[]));
    assert!(html(&answer).contains("limited to a budget of its own"), "{}", html(&answer));
}

#[test]
fn a_code_is_spent_by_whatever_is_tried_with_it() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    for (wrong, status) in [
        (json!({ "code_verifier": "wrong" }), 403),
        (json!({}), 403),
        (json!({ "code_verifier": VERIFIER, "code_challenge_method": "plain" }), 400),
    ] {
        let code = code(&house.agree(&form(&key, &[])));
        let mut body = wrong.clone();
        body["code"] = json!(code);
        assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &body).0, status, "{wrong}");
        body["code_verifier"] = json!(VERIFIER);
        body["code_challenge_method"] = json!("S256");
        assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &body).0, 403, "{wrong}");
    }
    let path = format!(
        "/admin/v1/organizations/{}/consents?user={}",
        house.name("organization"),
        house.name("user")
    );
    let (_, listed) = house.ask("GET", &path, Some(OPERATOR), &json!({}));
    let states: Vec<&Value> =
        listed["data"].as_array().unwrap().iter().map(|consent| &consent["state"]).collect();
    assert_eq!(states, ["revoked", "revoked", "revoked", "pending"]);
    // What is no call at all spends nothing.
    let code = code(&house.agree(&form(&key, &[])));
    let unknown = json!({ "code": code, "code_verifier": VERIFIER, "code_challenge_method": "S1" });
    assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &unknown).0, 400);
    let good = json!({ "code": code, "code_verifier": VERIFIER });
    assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &good).0, 200);
}

#[test]
fn forms_of_other_sites_are_not_taken() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    for (from, status) in [
        (&[("sec-fetch-site", "cross-site")][..], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("origin", "https://evil.example"), ("host", "gateway.example")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("sec-fetch-site", "same-origin"), ("origin", "null")], 303),
        (&[("origin", "https://gateway.example"), ("host", "gateway.example")], 303),
        (&[("origin", "null"), ("host", "gateway.example")], 303),
    ] {
        let answer = house.page(&Method::POST, "/auth", &form(&key, &[]), from);
        assert_eq!(answer.status(), status, "{from:?}");
    }
    assert_eq!(house.page(&Method::PUT, "/auth", &[], &[]).status(), 405);
}

#[test]
fn a_person_sees_and_ends_their_consents_with_their_key_alone() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    let post = |fields: &[(&str, &str)]| house.page(&Method::POST, "/auth/consents", fields, &[]);
    assert_eq!(house.page(&Method::GET, "/auth/consents", &[], &[]).status(), 200);
    assert!(html(&post(&[("key", "tk-nonsense")])).contains("Incorrect API key"));
    let listed = post(&[("key", &key)]);
    let consent = house.name("consent");
    assert!(html(&listed).contains(&format!("value={consent}")), "{}", html(&listed));
    assert!(html(&listed).contains("Notes (notes.example)") && !html(&listed).contains(&key));
    for strange in ["con_nonsense", "con_00000000000000000000000000000001"] {
        assert_eq!(post(&[("key", &key), ("revoke", strange)]).status(), 400, "{strange}");
    }
    let ended = post(&[("key", &key), ("revoke", consent)]);
    assert!(html(&ended).contains("is refused from now on") && !html(&ended).contains("type=radio"));
    assert_eq!(house.told(consent)[0]["action"], "consent.revoked");
    assert_eq!(post(&[("key", &key), ("revoke", consent)]).status(), 200);
}

#[test]
fn wrong_keys_and_codes_are_limited_by_address() {
    let house = House::new();
    let key = house.key_of_guest(Bounds::default());
    for _ in 0..10 {
        assert_eq!(house.agree(&form("tk-nonsense", &[])).status(), 400);
    }
    // The right one has to wait, too, or guessing would go on.
    let answer = house.agree(&form(&key, &[]));
    assert_eq!(answer.status(), 429);
    assert!(html(&answer).contains("10 a minute are allowed"), "{}", html(&answer));
    assert_eq!(house.page(&Method::POST, "/auth/consents", &[("key", &key)], &[]).status(), 429);
    // Nobody's address is known here, which is one address.
    for _ in 0..10 {
        assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &json!({ "code": "x" })).0, 403);
    }
    assert_eq!(house.ask_openrouter("POST", "auth/keys", "", &json!({ "code": "x" })).0, 429);
}
