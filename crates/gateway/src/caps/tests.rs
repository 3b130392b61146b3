//! Caps, the days of them, and what a provider says, against a clock that a test moves.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// A clock that stands still until it is moved.
#[derive(Debug)]
struct Hand(AtomicI64);

impl Hand {
    fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(text.parse::<Timestamp>().unwrap().micros())))
    }

    fn to(&self, text: &str) {
        self.0.store(text.parse::<Timestamp>().unwrap().micros(), Ordering::Relaxed);
    }

    fn on(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed).unsigned_abs()
    }
}

fn rules() -> CapRules {
    CapRules { zone: "America/Los_Angeles".parse().unwrap(), ..CapRules::default() }
}

fn account(rules: CapRules) -> Arc<Account> {
    Arc::new(Account::new("groq", rules))
}

/// Sends a call of so many tokens, if there is room.
fn send(accounts: &[Arc<Account>], tokens: u64, clock: &Arc<Hand>) -> Result<Seat, Box<Refusal>> {
    let mut seat = Seat::take(accounts, tokens, &(Arc::clone(clock) as Arc<dyn Clock>))?;
    seat.send();
    Ok(seat)
}

fn left(account: &Arc<Account>, clock: &Hand) -> Vec<(Measure, u64)> {
    let looks = account.look(clock.monotonic_micros(), clock.now());
    looks.into_iter().map(|look| (look.measure, look.left)).collect()
}

#[test]
fn a_day_begins_where_the_provider_says() {
    let clock = Hand::at("2026-11-22T07:59:59Z");
    let day = [account(CapRules { requests_per_day: Some(2), ..rules() })];
    for _ in 0..2 {
        drop(send(&day, 0, &clock).unwrap());
    }
    let refusal = send(&day, 0, &clock).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::ProviderCapReached);
    assert_eq!((refusal.limit.as_deref(), refusal.used.as_deref()), (Some("2 requests per day"), Some("2")));
    // Midnight in Los Angeles is eight in the morning of UTC, in winter.
    assert_eq!(refusal.resets_at, Some("2026-11-22T08:00:00Z".parse().unwrap()));
    for words in
        ["`groq`", "2 of 2 requests per day", "resets at 2026-11-22T08:00:00Z (00:00 America/Los_Angeles)"]
    {
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
    assert!(refusal.next_step.contains("a further key of the same account has no caps of its own"));
    clock.to("2026-11-22T08:00:00Z");
    drop(send(&day, 0, &clock).unwrap());
    assert_eq!(left(&day[0], &clock), [(Measure::RequestsPerDay, 1)]);
    // In summer it is seven; and a day may begin at another hour.
    for (at, reset_seconds, end) in [
        ("2026-07-01T06:59:59Z", 0, "2026-07-01T07:00:00Z"),
        ("2026-07-01T07:00:00Z", 0, "2026-07-02T07:00:00Z"),
        ("2026-07-01T07:00:00Z", 5_400, "2026-07-01T08:30:00Z"),
    ] {
        let rules = CapRules { reset_seconds, requests_per_day: Some(1), ..rules() };
        assert_eq!(rules.day(at.parse().unwrap()).end, end.parse().unwrap(), "{at}");
    }
}

#[test]
fn a_minute_slides_and_says_when_there_is_room() {
    let clock = Hand::at("2026-11-22T10:00:00Z");
    let minute =
        [account(CapRules { requests_per_minute: Some(30), tokens_per_minute: Some(6_000), ..rules() })];
    for _ in 0..30 {
        drop(send(&minute, 100, &clock).unwrap());
        clock.on(1);
    }
    let refusal = send(&minute, 100, &clock).unwrap_err();
    assert_eq!((refusal.retry_after_ms, refusal.resets_at), (Some(30_000), None), "{refusal:?}");
    assert!(refusal.message.contains("30 of 30 requests per minute"), "{}", refusal.message);
    clock.on(30);
    drop(send(&minute, 100, &clock).unwrap());
    // 30 calls of 100 tokens count, 29 of which leave within the next 29 seconds.
    let refusal = send(&minute, 3_001, &clock).unwrap_err();
    assert!(refusal.message.contains("requests per minute"), "{}", refusal.message);
    clock.on(1);
    let refusal = send(&minute, 3_101, &clock).unwrap_err();
    assert!(refusal.message.contains("2900 of 6000 tokens per minute"), "{}", refusal.message);
    let refusal = send(&minute, 6_001, &clock).unwrap_err();
    assert!(refusal.retry_after_ms.is_none() && refusal.message.contains("larger than the whole cap"));
}

#[test]
fn tokens_are_corrected_and_what_was_never_sent_is_given_back() {
    let clock = Hand::at("2026-11-22T10:00:00Z");
    let rules = CapRules {
        requests_per_day: Some(10),
        tokens_per_day: Some(1_000),
        tokens_per_minute: Some(1_000),
        ..rules()
    };
    let one = [account(rules)];
    let stands = |requests: u64, tokens: u64| {
        let all = [
            (Measure::RequestsPerDay, requests),
            (Measure::TokensPerDay, tokens),
            (Measure::TokensPerMinute, tokens),
        ];
        assert_eq!(left(&one[0], &clock), all);
    };
    send(&one, 600, &clock).unwrap().end(50);
    stands(9, 950);
    // Used more than was reserved.
    send(&one, 10, &clock).unwrap().end(500);
    stands(8, 450);
    // A failed one: its request counts.
    send(&one, 400, &clock).unwrap().end(0);
    stands(7, 450);
    let seat = Seat::take(&one, 400, &(Arc::clone(&clock) as Arc<dyn Clock>)).unwrap();
    stands(6, 50);
    assert!(seat.is_under(&one) && !seat.is_under(&[]));
    drop(seat);
    stands(7, 450);
}

#[test]
fn all_accounts_of_a_call_have_room_or_none_is_taken_from() {
    let clock = Hand::at("2026-11-22T10:00:00Z");
    let whole = account(CapRules { requests_per_day: Some(10), ..rules() });
    let model = Arc::new(Account::new("groq/llama", CapRules { requests_per_day: Some(1), ..rules() }));
    let both = [Arc::clone(&whole), Arc::clone(&model)];
    drop(send(&both, 1, &clock).unwrap());
    let refusal = send(&both, 1, &clock).unwrap_err();
    assert!(refusal.message.contains("`groq/llama`"), "{}", refusal.message);
    assert!(check(&both, 1, clock.as_ref()).is_err() && !have_room(&both, 1, clock.as_ref()));
    assert_eq!(left(&whole, &clock), [(Measure::RequestsPerDay, 9)]);
    drop(send(&[Arc::clone(&whole)], 1, &clock).unwrap());
}

#[test]
fn the_provider_has_the_last_word_where_it_has_less() {
    let clock = Hand::at("2026-11-22T10:00:00Z");
    let one = [account(CapRules { requests_per_day: Some(1_000), ..rules() })];
    let told = |pairs: &[(&'static str, &str)], status: u16| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        learn(&one, &headers, status, clock.as_ref());
    };
    // Groq's requests are those of the day; two are left.
    told(&[("x-ratelimit-remaining-requests", "2"), ("x-ratelimit-reset-requests", "2h0m0s")], 200);
    for _ in 0..2 {
        drop(send(&one, 0, &clock).unwrap());
    }
    let refusal = send(&one, 0, &clock).unwrap_err();
    assert!(refusal.message.contains("says that nothing is left"), "{}", refusal.message);
    assert_eq!(refusal.retry_after_ms, Some(7_200_000));
    // More than we counted is not believed beyond our own count, and no wait outlasts the day.
    told(&[("x-ratelimit-remaining-requests", "5000"), ("x-ratelimit-reset-requests", "1s")], 200);
    assert_eq!(left(&one[0], &clock), [(Measure::RequestsPerDay, 998)]);
    told(&[("retry-after", "99999999")], 429);
    assert!(send(&one, 0, &clock).is_err());
    clock.to("2026-11-23T08:00:00Z");
    drop(send(&one, 0, &clock).unwrap());
}

#[test]
fn a_refusal_for_the_day_closes_it_until_its_reset_and_over_a_restart() {
    let clock = Hand::at("2026-11-22T10:00:00Z");
    let rules = CapRules { requests_per_day: Some(1_000), ..rules() };
    let one = [account(rules.clone())];
    drop(send(&one, 0, &clock).unwrap());
    learn_refusal(&one, b"Rate limit reached for requests per minute (RPM)", clock.as_ref());
    drop(send(&one, 0, &clock).unwrap());
    for words in [
        &b"Rate limit reached for model `m` on requests per day (RPD): Limit 1000, Used 1000"[..],
        b"quotaId: GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    ] {
        learn_refusal(&one, words, clock.as_ref());
        let refusal = send(&one, 0, &clock).unwrap_err();
        assert_eq!(refusal.resets_at, Some("2026-11-23T08:00:00Z".parse().unwrap()));
    }
    let stored = one[0].day_counts(clock.now());
    assert_eq!(stored.iter().map(|count| count.used).collect::<Vec<_>>(), [1_000, 0]);
    assert!(one[0].day_counts(clock.now()).is_empty(), "nothing changed since");
    let again = [account(rules)];
    for count in &stored {
        assert_eq!(count.day, again[0].day_number(clock.now()));
        again[0].restore(clock.now(), count);
        // What is somebody else's, or of another day, is none of its.
        again[0].restore(clock.now(), &DayOfAccount { bucket: [0; 16], ..count.clone() });
        again[0].restore(clock.now(), &DayOfAccount { day: count.day - 1, ..count.clone() });
    }
    assert!(send(&again, 0, &clock).is_err());
    clock.to("2026-11-23T08:00:00Z");
    drop(send(&again, 0, &clock).unwrap());
    drop(send(&one, 0, &clock).unwrap());
}
