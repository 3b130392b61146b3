//! Many threads at one limiter: never above a limit, and nothing left at the end.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};

use tollkeeper_limits::{Bucket, Cap, Limiter, Measure, Need, When};

const SPAN: u64 = 60_000_000;
const THREADS: u64 = 8;
const ROUNDS: u64 = 3_000;
/// How much time passes from round to round.
const STEP: u64 = 100_000;
const PLACES: u64 = 5;
const REQUESTS: u64 = 300;
const TOKENS: u64 = 20_000;

fn cap(bucket: u64, measure: Measure, most: u64) -> Cap {
    Cap { bucket: Bucket([bucket, bucket]), measure, most }
}

fn caps(thread: u64) -> Vec<Cap> {
    let mut caps = vec![
        cap(1, Measure::ConcurrentRequests, PLACES),
        cap(2, Measure::RequestsPerMinute, REQUESTS),
        cap(3, Measure::TokensPerMinute, TOKENS),
        cap(4, Measure::RequestsPerDay, u64::MAX),
        cap(100 + thread, Measure::RequestsPerMinute, u64::MAX),
    ];
    // Each thread names them in an order of its own, which must not make two wait for each other.
    caps.rotate_left(usize::try_from(thread).unwrap() % 5);
    caps
}

#[test]
fn never_above_a_limit_and_nothing_left() {
    let limiter = Limiter::new();
    let (running, admitted) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    // All threads are in the same round: one that was held up would ask of a moment that is long over.
    let together = Barrier::new(usize::try_from(THREADS).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, together, running, admitted) = (limiter.clone(), &together, &running, &admitted);
            scope.spawn(move || {
                let caps = caps(thread);
                for round in 0..ROUNDS {
                    together.wait();
                    let now = round * STEP;
                    let tokens = 1 + (round * 37 + thread * 11) % 400;
                    let need = Need { input_tokens: tokens, ..Need::default() };
                    let Ok(mut slot) = limiter.admit(now, 1, &caps, &need) else { continue };
                    assert!(running.fetch_add(1, Ordering::SeqCst) < PLACES);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    match round % 3 {
                        0 => slot.give_back(now),
                        1 => {
                            slot.correct(now, &Need { input_tokens: tokens / 2, ..need });
                            admitted.lock().unwrap().push((now, tokens / 2));
                        }
                        _ => admitted.lock().unwrap().push((now, tokens)),
                    }
                }
            });
        }
    });
    let mut admitted = admitted.into_inner().unwrap();
    admitted.sort_unstable();
    assert!(admitted.len() > 500, "{}", admitted.len());
    let (mut first, mut tokens, mut fullest) = (0, 0, (0, 0));
    for (place, (at, amount)) in admitted.iter().enumerate() {
        tokens += amount;
        while admitted[first].0 + SPAN <= *at {
            tokens -= admitted[first].1;
            first += 1;
        }
        fullest = (fullest.0.max(place - first + 1), fullest.1.max(tokens));
    }
    assert!(fullest.0 <= usize::try_from(REQUESTS).unwrap() && fullest.1 <= TOKENS, "{fullest:?}");
    assert!(fullest.1 > TOKENS / 2, "the limits are reached: {fullest:?}");
    let now = ROUNDS * STEP;
    let stands = limiter.standings(now, 1, &caps(0));
    assert_eq!((stands[0].remaining, stands[0].full), (PLACES, When::In(0)));
    let mut days = limiter.day_counts(1);
    assert_eq!(days.pop().map(|(_, _, used)| used), u64::try_from(admitted.len()).ok());
    limiter.forget(now + 2 * SPAN, 2);
    assert!(limiter.is_empty());
}

#[test]
fn another_request_that_is_refused_takes_nothing_meanwhile() {
    // Eight threads fill the room for one request, again and again; whoever asks for too much beside must not be seen.
    let limiter = Limiter::new();
    let room = cap(1, Measure::ConcurrentRequests, 1);
    let never = cap(2, Measure::RequestsPerMinute, 0);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (limiter, done) = (limiter.clone(), &done);
            scope.spawn(move || {
                while done.load(Ordering::SeqCst) == 0 {
                    assert!(limiter.admit(0, 1, &[room, never], &Need::default()).is_err());
                }
            });
        }
        for _ in 0..20_000 {
            assert!(limiter.admit(0, 1, &[room], &Need::default()).is_ok());
        }
        done.store(1, Ordering::SeqCst);
    });
}
