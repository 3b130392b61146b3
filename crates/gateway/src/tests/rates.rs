//! Rate limits through the gateway: what counts, what comes back, whose limits they are, and what is told.

use std::time::Duration;

use directory::{
    Bounds, Caps, DataClass, Environment, InFlight, LimitSubject, Mandate, NewKey, NewLimit, NewProject,
};
use domain::{Clock, KeyId, Money, ProjectId};
use http_body_util::BodyExt;
use serde_json::Value;

use super::house::{Got, House, Manner, SLICE, Script, Steady, answer, price, words};
use crate::{Answer, Route, Routes, Target, Tier, TierLimit, Tiers};

const CREDIT: i64 = 1_000_000_000_000;
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const CAPPED: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100}"#;
const STREAM: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100,"stream":true}"#;
const MINUTE: Duration = Duration::from_secs(60);
/// What is expected of an answer before any was seen.
const UNLEARNED: u64 = 4_096;

/// What the prompt of a call with this body is expected to count.
fn input_of(body: &str) -> u64 {
    (body.len() as u64 + 16) / 4
}

/// No caps, to be updated.
const NONE: Caps = Caps {
    requests_per_minute: None,
    tokens_per_minute: None,
    input_tokens_per_minute: None,
    output_tokens_per_minute: None,
    images_per_minute: None,
    requests_per_day: None,
    tokens_per_day: None,
    concurrent_requests: None,
};

pub(super) const fn requests(most: u64) -> Caps {
    Caps { requests_per_minute: Some(most), ..NONE }
}

const fn tokens(most: u64) -> Caps {
    Caps { tokens_per_minute: Some(most), ..NONE }
}

const fn at_once(most: u64) -> Caps {
    Caps { concurrent_requests: Some(most), ..NONE }
}

/// A house whose organization has credit and no limits yet.
async fn house(script: Script) -> House {
    House::new(InFlight::Completes, CREDIT, script).await
}

impl House {
    fn mandate(&self) -> (Steady, domain::Timestamp) {
        let ids = Steady::default();
        // Every record gets an id of its own.
        ids.advance(Duration::from_micros(1_000 + 1_000 * self.clock.monotonic_micros()));
        (ids, self.clock.now())
    }

    pub(super) fn limit(&self, subject: LimitSubject, model: &str, caps: Caps) {
        let (ids, now) = self.mandate();
        let (organization, model) = (self.organization, model.to_owned());
        let new = NewLimit { organization, subject, model, caps };
        self.service.set_limit(new, &Mandate::operator(&ids, now)).unwrap();
    }

    fn limit_all(&self, caps: Caps) {
        self.limit(LimitSubject::Organization, "*", caps);
    }

    fn new_project(&self) -> ProjectId {
        let (ids, now) = self.mandate();
        let new = NewProject {
            organization: self.organization,
            name: "other".to_owned(),
            environment: Environment::Dev,
            data_class: DataClass::Internal,
            after_grant: directory::AfterGrant::default(),
        };
        self.service.create_project(new, &Mandate::operator(&ids, now)).unwrap().id
    }

    fn new_key(&self, project: ProjectId) -> (KeyId, String) {
        let (ids, now) = self.mandate();
        let new = NewKey { project, owner: None, name: None, bounds: Bounds::default(), expires_at: None };
        let made = self.service.create_key(new, &Mandate::operator(&ids, now)).unwrap();
        (made.key.id, made.secret.expose().to_owned())
    }

    fn laptop(&self) -> Manner<'_> {
        Manner { key: Some(&self.keys["laptop"]), ..Manner::default() }
    }

    /// Calls with the usual key.
    async fn try_once(&self, body: &str) -> Got {
        self.ask(self.laptop(), body).await
    }

    /// How many of so many calls are served.
    async fn served(&self, manner: Manner<'_>, body: &str, calls: usize) -> usize {
        let mut served = 0;
        for _ in 0..calls {
            let got = self.ask(manner, body).await;
            assert!(matches!(got.status.as_u16(), 200 | 429), "{}", got.body);
            served += usize::from(got.status == 200);
        }
        served
    }
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Limit, remaining and reset of this sort.
    fn told(&self, sort: &str) -> Option<[&str; 3]> {
        let [limit, remaining, reset] =
            ["limit", "remaining", "reset"].map(|part| format!("x-ratelimit-{part}-{sort}"));
        Some([self.header(&limit)?, self.header(&remaining)?, self.header(&reset)?])
    }

    fn error(&self) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()["error"].take()
    }
}

/// What is left of the tokens a minute.
fn left(got: &Got) -> u64 {
    got.header("x-ratelimit-remaining-tokens").unwrap().parse().unwrap()
}

#[tokio::test]
async fn no_minute_holds_more_than_its_limit() {
    let house = house(answer(1)).await;
    house.limit_all(requests(20));
    // An hour of bursts, against a model that keeps the moment of every use: gaps that are long, short and exact.
    let gaps = [0, 0, 0, 1, 0, 250, 0, 0, 7_000, 0, 30_000, 0, 59_999, 60_000, 13, 0, 0, 2_000, 60_001, 500];
    let mut admitted: Vec<u64> = Vec::new();
    let (begin, mut tries) = (house.clock.monotonic_micros(), 0);
    for gap in gaps.iter().cycle() {
        house.clock.advance(Duration::from_millis(*gap));
        let before = house.clock.monotonic_micros();
        if before - begin > 3_600_000_000 {
            break;
        }
        for _ in 0..8 {
            tries += 1;
            let before = house.clock.monotonic_micros();
            let got = house.try_once(BODY).await;
            let after = house.clock.monotonic_micros();
            // A use counts for 60 seconds and not a microsecond longer; a few pass while we look.
            let surely = admitted.iter().filter(|at| **at + 60_000_000 > after).count();
            let perhaps = admitted.iter().filter(|at| **at + 60_000_000 + (after - before) > before).count();
            match got.status.as_u16() {
                200 => {
                    assert!(surely < 20, "{surely} were admitted in the minute before");
                    admitted.push(before);
                }
                429 => assert!(perhaps >= 20, "only {perhaps} in the minute, and yet refused: {}", got.body),
                other => panic!("{other}: {}", got.body),
            }
        }
    }
    for (index, from) in admitted.iter().enumerate() {
        let within = admitted[index..].iter().take_while(|at| **at < from + 60_000_000).count();
        assert!(within <= 20, "{within} in the minute from {from}");
    }
    assert!(admitted.len() > 500 && tries > 2 * admitted.len(), "{} of {tries}", admitted.len());
    assert_eq!(house.bodies().len(), admitted.len());
}

#[tokio::test]
async fn a_minute_is_sixty_seconds_from_the_first_use() {
    let house = house(answer(1)).await;
    house.limit_all(requests(20));
    assert_eq!(house.served(house.laptop(), BODY, 25).await, 20);
    house.clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(house.served(house.laptop(), BODY, 5).await, 0);
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(house.served(house.laptop(), BODY, 25).await, 20);
}

#[tokio::test]
async fn a_change_holds_for_the_next_call_with_all_that_was_used() {
    let house = house(answer(1)).await;
    house.limit_all(requests(2));
    assert_eq!(house.served(house.laptop(), BODY, 3).await, 2);
    house.limit_all(requests(3));
    assert_eq!(house.served(house.laptop(), BODY, 3).await, 1);
    house.limit_all(requests(1));
    assert_eq!(house.served(house.laptop(), BODY, 1).await, 0);
    let (ids, now) = house.mandate();
    let id = house.service.directory().tenant(house.organization).unwrap().limits()[0].id;
    house.service.remove_limit(house.organization, id, &Mandate::operator(&ids, now)).unwrap();
    assert_eq!(house.served(house.laptop(), BODY, 5).await, 5);
}

#[tokio::test]
async fn what_credit_refuses_has_used_nothing() {
    let house = House::new(InFlight::Completes, 0, answer(1)).await;
    house.limit_all(Caps { requests_per_day: Some(1), concurrent_requests: Some(1), ..requests(1) });
    for _ in 0..5 {
        let got = house.try_once(BODY).await;
        assert_eq!((got.status.as_u16(), &got.error()["reason"]), (429, &"credit_balance_exhausted".into()));
        assert_eq!(got.told("requests"), None, "its wait is not one for a rate");
    }
    house.grant(CREDIT, 1).await;
    assert_eq!(house.try_once(BODY).await.status, 200);
    assert_eq!(house.try_once(BODY).await.error()["reason"], "requests_per_minute_exceeded");
}

#[tokio::test]
async fn a_failed_call_counts_as_a_request_and_gives_its_tokens_back() {
    let house = house(Script::Whole("no JSON".to_owned())).await;
    let most = input_of(BODY) + UNLEARNED;
    house.limit_all(Caps { requests_per_minute: Some(3), concurrent_requests: Some(1), ..tokens(most) });
    for _ in 0..3 {
        // All tokens and the one place are there again each time.
        assert_eq!(house.try_once(BODY).await.status, 502);
    }
    let got = house.try_once(BODY).await;
    assert_eq!(got.error()["reason"], "requests_per_minute_exceeded");
    assert_eq!(left(&got), most);
}

#[tokio::test]
async fn what_is_expected_is_taken_and_what_was_used_stands() {
    let (prompt, brought) = (10, 7);
    // The body, and what it is expected to use beyond its prompt.
    for (body, output) in [
        (BODY.to_owned(), UNLEARNED),
        (CAPPED.to_owned(), 100),
        (CAPPED.replace("100", "100000"), UNLEARNED),
        (CAPPED.replace("max_tokens\":100", "max_completion_tokens\":50,\"n\":3"), 150),
        (BODY.replace("\"hi\"", &format!("\"{}\"", "x".repeat(4_000))), UNLEARNED),
    ] {
        let expected = input_of(&body) + output;
        let house = house(answer(brought)).await;
        house.limit_all(tokens(expected - 1));
        let got = house.try_once(&body).await;
        let error = got.error();
        assert_eq!(error["reason"], "tokens_per_minute_exceeded", "{body}");
        // No wait helps: it never fits.
        let waits = (got.header("retry-after"), got.header("x-should-retry"), &error["retryable"]);
        assert_eq!(waits, (None, Some("false"), &false.into()), "{body}");
        assert!(error["message"].as_str().unwrap().contains(&format!("Requested {expected}.")), "{error}");
        house.limit_all(tokens(expected));
        let got = house.try_once(&body).await;
        assert_eq!((got.status.as_u16(), left(&got)), (200, 0), "{body}");
        // The rest came back: it can be had again, and not a token more.
        house.limit_all(Caps { input_tokens_per_minute: Some(prompt), ..tokens(expected) });
        let got = house.try_once(&body).await;
        assert_eq!(left(&got), expected - prompt - brought, "{body}");
    }
}

#[tokio::test]
async fn after_twenty_answers_their_length_is_expected() {
    let house = house(answer(300)).await;
    house.limit_all(tokens(1_000_000));
    let mut before = 1_000_000;
    for number in 0..25 {
        let got = house.try_once(BODY).await;
        let taken = before - left(&got);
        // Learned lengths are rounded up by less than a quarter.
        if number < 20 {
            assert_eq!(taken, input_of(BODY) + UNLEARNED, "{number}");
        } else {
            assert!((300..375).contains(&(taken - input_of(BODY))), "{number}: {taken}");
        }
        before -= 310;
    }
    // Neither another model nor another key has learned from that; a smaller cap than what was learned holds.
    let other = BODY.replace("\"m\"", "\"many/x\"");
    let (_, key) = house.new_key(house.project);
    for (manner, body, output) in [
        (house.laptop(), &*other, UNLEARNED),
        (Manner { key: Some(&key), ..Manner::default() }, BODY, UNLEARNED),
        (house.laptop(), CAPPED, 100),
    ] {
        let got = house.ask(manner, body).await;
        assert_eq!(before - left(&got), input_of(body) + output, "{body}");
        before -= 310;
    }
}

#[tokio::test]
async fn several_choices_teach_the_length_of_one() {
    // The provider counts all choices together.
    let house = house(answer(400)).await;
    let four = BODY.replace("\"m\"", "\"m\",\"n\":4");
    house.limit_all(tokens(10_000_000));
    for number in 0..21 {
        let taken = 10_000_000 - 410 * number - left(&house.try_once(&four).await) - input_of(&four);
        let expected = if number < 20 { 4 * UNLEARNED..4 * UNLEARNED + 1 } else { 400..500 };
        assert!(expected.contains(&taken), "{number}: {taken}");
    }
}

/// Takes the next piece of an answer.
async fn read(body: &mut Answer, so_far: &mut String) -> Option<()> {
    let frame = body.frame().await?.unwrap().into_data().unwrap();
    so_far.push_str(std::str::from_utf8(&frame).unwrap());
    Some(())
}

#[tokio::test]
async fn a_stream_beyond_what_was_expected_counts_while_it_runs() {
    let (most, expected) = (1_000_000, input_of(STREAM) + 100);
    let house = house(Script::Stream { tokens: 3_000, counts: 3_000 }).await;
    house.limit_all(tokens(most));
    let head = house.open(house.laptop(), STREAM).await;
    assert_eq!(head.headers()["x-ratelimit-remaining-tokens"], (most - expected).to_string());
    let (mut body, mut stream) = (head.into_body(), String::new());
    let mut seen = 0;
    while seen < 2_500 {
        read(&mut body, &mut stream).await.unwrap();
        seen = words(&stream);
    }
    // Another call is told what the first has used by now, but for what came since its last step.
    let other = house.open(house.laptop(), STREAM).await;
    let left: u64 = other.headers()["x-ratelimit-remaining-tokens"].to_str().unwrap().parse().unwrap();
    let used = most - left - expected - input_of(STREAM);
    assert!((seen - SLICE..=seen + SLICE).contains(&used), "{used} counted of {seen}");
    // At their ends both count what the provider says.
    while read(&mut body, &mut stream).await.is_some() {}
    let (mut body, mut stream) = (other.into_body(), String::new());
    while read(&mut body, &mut stream).await.is_some() {}
    let last = house.open(house.laptop(), STREAM).await;
    let left = last.headers()["x-ratelimit-remaining-tokens"].to_str().unwrap().to_owned();
    assert_eq!(left, (most - 2 * 3_010 - expected).to_string());
}

#[tokio::test]
async fn a_place_is_free_again_however_its_call_ends() {
    let finite = Script::Stream { tokens: 300, counts: 300 };
    for (script, leaves) in [(finite, false), (Script::Endless, true)] {
        let house = house(script).await;
        house.limit_all(at_once(1));
        let mut body = house.open(house.laptop(), STREAM).await.into_body();
        let mut stream = String::new();
        read(&mut body, &mut stream).await.unwrap();
        let got = house.try_once(STREAM).await;
        assert_eq!(got.error()["reason"], "concurrent_requests_exceeded");
        assert_eq!((got.header("retry-after"), got.header("retry-after-ms")), (Some("1"), Some("1000")));
        assert_eq!(got.header("x-should-retry"), Some("true"));
        while !leaves && read(&mut body, &mut stream).await.is_some() {}
        drop(body);
        let free = async {
            while house.open(house.laptop(), STREAM).await.status() != 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), free).await.expect("the place is free");
    }
}

#[tokio::test]
async fn limits_count_for_each_subject_by_itself() {
    let house = house(answer(1)).await;
    let other = house.new_project();
    let ((second, second_key), (_, third_key)) = (house.new_key(house.project), house.new_key(other));
    let user = |name: &'static str| [("x-tollkeeper-user", name)];
    let (ada, bob) = (user("ada"), user("bob"));
    let key = |key| Manner { key: Some(key), ..Manner::default() };
    let with = |headers| Manner { headers, ..house.laptop() };
    let everyone = [house.laptop(), key(&second_key), key(&third_key), with(&ada), with(&bob)];
    // Of three calls in each manner, one after the other, so many are served.
    for (subject, model, served) in [
        (LimitSubject::Organization, "*", [2, 0, 0, 0, 0]),
        (LimitSubject::Organization, "m", [2, 0, 0, 0, 0]),
        (LimitSubject::Organization, "m*", [2, 0, 0, 0, 0]),
        (LimitSubject::Organization, "many/*", [3, 3, 3, 3, 3]),
        (LimitSubject::Project(Some(house.project)), "*", [2, 0, 3, 0, 0]),
        (LimitSubject::Project(None), "*", [2, 0, 2, 0, 0]),
        (LimitSubject::Key(Some(second)), "*", [3, 2, 3, 3, 3]),
        (LimitSubject::Key(None), "*", [2, 2, 2, 0, 0]),
        (LimitSubject::User(Some("ada".to_owned())), "*", [3, 3, 3, 2, 3]),
        (LimitSubject::User(None), "*", [3, 3, 3, 2, 2]),
    ] {
        house.clock.advance(MINUTE);
        house.limit(subject.clone(), model, requests(2));
        for (manner, served) in everyone.iter().zip(served) {
            assert_eq!(house.served(*manner, BODY, 3).await, served, "{subject:?} {model}");
        }
        let (ids, now) = house.mandate();
        let id = house.service.directory().tenant(house.organization).unwrap().limits()[0].id;
        house.service.remove_limit(house.organization, id, &Mandate::operator(&ids, now)).unwrap();
    }
    // The body's user is the one of the header.
    house.clock.advance(MINUTE);
    house.limit(LimitSubject::User(None), "*", requests(2));
    let of_ada = BODY.replace("{\"model", "{\"user\":\"ada\",\"model");
    assert_eq!(house.served(with(&ada), BODY, 1).await, 1);
    assert_eq!(house.served(house.laptop(), &of_ada, 2).await, 1);
}

#[tokio::test]
async fn models_of_a_pattern_share_its_limit() {
    let house = house(answer(1)).await;
    house.limit(LimitSubject::Organization, "many/*", requests(2));
    let many = |name: &str| BODY.replace("\"m\"", &format!("\"many/{name}\""));
    assert_eq!(house.served(house.laptop(), &many("a"), 1).await, 1);
    assert_eq!(house.served(house.laptop(), &many("b"), 2).await, 1);
    assert_eq!(house.served(house.laptop(), BODY, 3).await, 3);
}

#[tokio::test]
async fn a_tiers_limits_are_each_organizations_own() {
    let mut house = house(answer(1)).await;
    let target = Target::new(house.provider.clone(), "m", super::contract(), Some(price()));
    let tier = |name: &str, most| Tier {
        name: name.into(),
        credit_purchased: Money::ZERO,
        account_days: 0,
        monthly_ceiling: None,
        models: vec!["*".to_owned()],
        limits: vec![TierLimit { models: "m*".to_owned(), caps: requests(most) }],
    };
    let tiers = Tiers::new(vec![tier("new", 1), tier("old", 3)]);
    let directory = house.service.directory().clone();
    house.configure(directory, Routes::new([Route::new("m", vec![target])]), tiers);
    let got = house.try_once(BODY).await;
    assert_eq!((got.status.as_u16(), got.told("requests")), (200, Some(["1", "0", "1m0s"])));
    let got = house.try_once(BODY).await;
    assert!(
        got.error()["message"].as_str().unwrap().contains("organization Acme (its usage tier)"),
        "{}",
        got.body
    );
    assert!(got.error()["next_step"].as_str().unwrap().contains("higher usage tier"), "{}", got.body);
    // A promotion holds for the next call, with what was used.
    let (ids, now) = house.mandate();
    let changes = directory::OrganizationChanges { tier: Some(Some("old".to_owned())), ..Default::default() };
    house.service.update_organization(house.organization, changes, &Mandate::operator(&ids, now)).unwrap();
    assert_eq!(house.served(house.laptop(), BODY, 5).await, 2);
    // The organization's own limit may be tighter.
    house.clock.advance(MINUTE);
    house.limit_all(requests(1));
    assert_eq!(house.served(house.laptop(), BODY, 5).await, 1);
}

#[tokio::test]
async fn the_tightest_limit_is_told() {
    let house = house(answer(1)).await;
    let got = house.try_once(BODY).await;
    assert_eq!((got.told("requests"), got.told("tokens"), got.told("project-tokens")), (None, None, None));
    let expected = input_of(CAPPED) + 100;
    house.limit_all(Caps { requests_per_day: Some(3), ..requests(50) });
    house.limit(LimitSubject::Project(None), "*", tokens(1_000));
    house.limit(LimitSubject::Key(None), "*", tokens(500));
    house.clock.advance(Duration::from_secs(3_600));
    let (thousand, five) = ((1_000 - expected).to_string(), (500 - expected).to_string());
    // 2027-01-15T09:00:00Z: fifteen hours to midnight.
    let got = house.try_once(CAPPED).await;
    assert_eq!(got.told("requests"), Some(["3", "2", "15h0m0s"]));
    assert_eq!(got.told("tokens"), Some(["500", &*five, "1m0s"]));
    assert_eq!(got.told("project-tokens"), Some(["1000", &*thousand, "1m0s"]));
    assert_eq!(got.header("retry-after"), None);
}

#[tokio::test]
async fn a_refusal_tells_how_long_to_wait() {
    let house = house(answer(1)).await;
    house.limit_all(Caps { requests_per_day: Some(3), ..requests(2) });
    assert_eq!(house.served(house.laptop(), BODY, 2).await, 2);
    house.clock.advance(Duration::from_millis(57_500));
    let got = house.try_once(BODY).await;
    let error = got.error();
    assert_eq!((&error["type"], &error["code"]), (&"requests".into(), &"rate_limit_exceeded".into()));
    assert_eq!(got.header("retry-after"), Some("3"));
    let wait: u64 = got.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((2_499..=2_500).contains(&wait), "{wait}");
    assert_eq!(got.header("x-should-retry"), Some("true"));
    let [limit, remaining, _] = got.told("requests").unwrap();
    assert_eq!((limit, remaining), ("2", "0"));
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .ends_with("Limit 2, Used 2, Requested 1. Please try again in 2.5s."),
        "{error}"
    );
    house.clock.advance(Duration::from_millis(wait));
    assert_eq!(house.served(house.laptop(), BODY, 2).await, 1);
    // The day's: nobody waits so long for an answer.
    house.clock.advance(MINUTE);
    let got = house.try_once(BODY).await;
    assert_eq!(got.error()["reason"], "requests_per_day_exceeded");
    assert_eq!(got.error()["resets_at"], "2027-01-16T00:00:00.000000Z");
    assert_eq!((got.header("retry-after"), got.header("retry-after-ms")), (Some("60"), None));
    assert_eq!(got.header("x-should-retry"), Some("false"));
    house.clock.advance(Duration::from_secs(16 * 3_600));
    assert_eq!(house.served(house.laptop(), BODY, 2).await, 2);
}
