//! Meters against a model that keeps every use, and against what they promise.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "tests")]

use proptest::prelude::*;
use tollkeeper_limits::{Limit, Meter, Taken};

const SPAN: u64 = 60_000_000;

/// One thing that happens to a meter.
#[derive(Clone, Debug)]
enum Step {
    /// So many microseconds pass.
    Pass(u64),
    /// So much is taken, if it fits.
    Take(u64),
    /// One of the uses so far (of those that there are) turns out to be so much.
    Correct(usize, u64),
}

fn steps(most: u64) -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![Just(0), Just(1), 0..1_000_u64, 0..SPAN / 8, SPAN - 2..SPAN + 3, 0..SPAN * 3];
    let amount = prop_oneof![Just(0), Just(1), 0..=most / 4 + 1, 0..=most + 1];
    let step = prop_oneof![
        3 => pass.prop_map(Step::Pass),
        5 => amount.clone().prop_map(Step::Take),
        2 => (any::<usize>(), amount).prop_map(|(which, amount)| Step::Correct(which, amount)),
    ];
    prop::collection::vec(step, 1..120)
}

/// Every use there ever was, each with its moment.
#[derive(Default)]
struct Model(Vec<(u64, u64)>);

impl Model {
    /// What was used in the span that ends now.
    fn used(&self, now: u64) -> u64 {
        self.0.iter().filter(|(at, _)| at + SPAN > now).map(|(_, amount)| amount).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn exact_windows_count_like_a_list(most in 0..=60_u64, steps in steps(60)) {
        let limit = Limit::new(most, SPAN).unwrap();
        let mut meter = Meter::new(limit);
        let mut model = Model::default();
        let mut taken: Vec<Taken> = Vec::new();
        let mut now = 7;
        for step in steps {
            match step {
                Step::Pass(micros) => now += micros,
                Step::Take(amount) => {
                    let fits = model.used(now) + amount <= most;
                    let answer = meter.check(now, amount);
                    prop_assert_eq!(answer.is_ok(), fits);
                    if let Err(wait) = answer {
                        prop_assert_eq!(wait.is_none(), amount > most);
                        if let Some(wait) = wait {
                            // The first moment at which it fits, if nothing else happens.
                            prop_assert!(wait > 0 && wait <= SPAN);
                            prop_assert!(model.used(now + wait) + amount <= most);
                            prop_assert!(model.used(now + wait - 1) + amount > most);
                        }
                    } else {
                        taken.push(meter.take(now, amount));
                        model.0.push((now, amount));
                    }
                }
                Step::Correct(which, amount) if !taken.is_empty() => {
                    let which = which % taken.len();
                    meter.correct(now, &mut taken[which], amount);
                    model.0[which].1 = amount;
                }
                Step::Correct(..) => {}
            }
            let reading = meter.read(now);
            prop_assert_eq!(reading.used, model.used(now));
            prop_assert_eq!(reading.remaining, most.saturating_sub(reading.used));
            let last = model.0.iter().filter(|(at, amount)| *amount > 0 && at + SPAN > now).map(|(at, _)| *at).max();
            prop_assert_eq!(reading.empty_in, last.map_or(0, |at| at + SPAN - now));
        }
    }

    #[test]
    fn smooth_ones_keep_to_their_bound(most in 1_001..9_000_u64, steps in steps(9_000)) {
        let limit = Limit::new(most, SPAN).unwrap();
        let mut meter = Meter::new(limit);
        let mut admitted = Model::default();
        let mut now = 7;
        for step in steps {
            match step {
                Step::Pass(micros) => now += micros,
                Step::Take(amount) | Step::Correct(_, amount) => match meter.check(now, amount) {
                    Ok(()) => {
                        let _ = meter.take(now, amount);
                        admitted.0.push((now, amount));
                    }
                    Err(wait) => {
                        prop_assert_eq!(wait.is_none(), amount > most);
                        if let Some(wait) = wait {
                            prop_assert!(wait > 0 && wait <= SPAN);
                            prop_assert!(meter.clone().check(now + wait, amount).is_ok());
                            prop_assert!(meter.clone().check(now + wait - 1, amount).is_err());
                        }
                    }
                },
            }
            prop_assert!(admitted.used(now) <= limit.bound());
            // Any number of spans holds one limit more than it has spans.
            let all: u64 = admitted.0.iter().map(|(_, amount)| amount).sum();
            prop_assert!(all <= most * ((now - 7) / SPAN + 2));
        }
    }

    #[test]
    fn what_is_given_back_was_never_taken(
        most in 1_001..9_000_u64,
        before in prop::collection::vec((0..SPAN / 50, 1..200_u64), 1..40),
        amount in 1..1_000_u64,
        after in prop::collection::vec((0..200_000_u64, 1..200_u64), 0..20),
    ) {
        let limit = Limit::new(most, SPAN).unwrap();
        let (mut with, mut without) = (Meter::new(limit), Meter::new(limit));
        let mut now = 3;
        for (pass, amount) in before {
            now += pass;
            let _ = (with.take(now, amount), without.take(now, amount));
        }
        // As long as it has not drained to nothing, giving back is as if it had never been.
        let mut taken = with.take(now, amount);
        for (pass, amount) in after {
            now += pass;
            prop_assume!(without.read(now).used > 0);
            let _ = (with.take(now, amount), without.take(now, amount));
        }
        with.correct(now, &mut taken, 0);
        prop_assert_eq!(with.read(now), without.read(now));
    }
}

#[test]
fn twenty_a_minute_is_never_twenty_one() {
    let mut meter = Meter::new(Limit::per_minute(20).unwrap());
    let mut admitted = Vec::new();
    // A client that asks every 100 ms for an hour.
    for now in (0..3_600_000_000_u64).step_by(100_000) {
        if meter.check(now, 1).is_ok() {
            let _ = meter.take(now, 1);
            admitted.push(now);
        }
    }
    assert_eq!(admitted.len(), 20 * 60);
    assert!(admitted.windows(21).all(|window| window[20] - window[0] >= SPAN));
}

#[test]
fn a_large_limit_is_used_up_and_no_more() {
    let limit = Limit::per_minute(6_000).unwrap();
    let mut meter = Meter::new(limit);
    let mut admitted = 0_u64;
    for now in (0..3_600_000_000_u64).step_by(5_000) {
        if meter.check(now, 1).is_ok() {
            let _ = meter.take(now, 1);
            admitted += 1;
        }
    }
    // Sixty limits in sixty minutes, and the one that it began with.
    assert!((6_000 * 61 - 1..=6_000 * 61).contains(&admitted), "{admitted}");
}

#[test]
fn nothing_and_too_much_never_fit() {
    let mut none = Meter::new(Limit::per_minute(0).unwrap());
    assert_eq!((none.check(5, 1), none.check(5, 0)), (Err(None), Ok(())));
    let mut large = Meter::new(Limit::per_minute(2_000).unwrap());
    assert_eq!((large.check(5, 2_001), large.check(5, 2_000)), (Err(None), Ok(())));
    assert!(Limit::new(1, 0).is_err() && Limit::new(1, 86_400_000_001).is_err());
    assert!(Limit::new(Limit::MOST_MAX + 1, 1).is_err());
    let mut largest = Meter::new(Limit::new(Limit::MOST_MAX, 86_400_000_000).unwrap());
    let _ = largest.take(u64::MAX, u64::MAX);
    assert_eq!(largest.read(u64::MAX).remaining, 0);
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    let mut meter = Meter::new(Limit::per_minute(1).unwrap());
    let _ = meter.take(SPAN, 1);
    assert_eq!(meter.check(0, 1), Err(Some(SPAN)));
    assert_eq!(meter.read(2 * SPAN).used, 0);
}

#[test]
fn a_changed_limit_counts_what_was_used() {
    let mut meter = Meter::new(Limit::per_minute(10).unwrap());
    let _ = meter.take(0, 4);
    let _ = meter.take(30_000_000, 4);
    meter.change(30_000_000, Limit::per_minute(5).unwrap());
    assert_eq!(meter.check(30_000_000, 1), Err(Some(30_000_000)));
    meter.change(30_000_000, Limit::per_minute(5_000).unwrap());
    assert_eq!((meter.read(30_000_000).used, meter.read(30_000_000).remaining), (8, 4_992));
    meter.change(30_000_000, Limit::per_minute(9).unwrap());
    assert_eq!(meter.check(30_000_000, 2), Err(Some(SPAN)));
}
