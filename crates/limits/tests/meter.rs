//! Meters against a model that keeps every use, and against what they promise.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tollkeeper_limits::{Limit, Meter, Taken};

const SPAN: u64 = 60_000_000;
/// How late a use of a large limit may stop counting.
const GRAIN: u64 = 1_000_000;

/// One thing that happens to a meter.
#[derive(Clone, Debug)]
enum Step {
    /// So many microseconds pass.
    Pass(u64),
    /// So much is taken, if it fits.
    Take(u64),
    /// One of the uses so far (of those that there are) turns out to be so much.
    Correct(usize, u64),
    /// It is taken back whole.
    GiveBack(usize),
    /// Another limit, from here on.
    Change(u64),
}

fn steps(most: u64) -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![
        Just(0),
        Just(1),
        0..1_000_u64,
        0..SPAN / 8,
        SPAN - 2..SPAN + 3,
        SPAN..SPAN + GRAIN + 2,
        0..SPAN * 3
    ];
    let amount = prop_oneof![Just(0), Just(1), 0..=most / 4 + 1, 0..=most + 1];
    let step = prop_oneof![
        6 => pass.prop_map(Step::Pass),
        10 => amount.clone().prop_map(Step::Take),
        3 => (any::<usize>(), amount).prop_map(|(which, amount)| Step::Correct(which, amount)),
        2 => any::<usize>().prop_map(Step::GiveBack),
        1 => (0..=2 * most).prop_map(Step::Change),
    ];
    prop::collection::vec(step, 1..120)
}

/// Every use there ever was: for each call, what it used at which moments.
#[derive(Default)]
struct Model(Vec<Vec<(u64, u64)>>);

impl Model {
    fn counting(&self, now: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().flatten().copied().filter(move |(at, amount)| at + SPAN > now && *amount > 0)
    }

    fn used(&self, now: u64) -> u64 {
        self.counting(now).map(|(_, amount)| amount).sum()
    }

    fn correct(&mut self, which: usize, now: u64, amount: u64) {
        let call = &mut self.0[which];
        let before: u64 = call[..call.len() - 1].iter().map(|(_, amount)| amount).sum();
        let last = call.last_mut().unwrap();
        if amount > before + last.1 && last.0 + SPAN <= now {
            let more = amount - before - last.1;
            call.push((now.next_multiple_of(GRAIN), more));
        } else {
            last.1 = amount.saturating_sub(before);
            // What counted at moments before is beyond reach.
            let mut over = before.saturating_sub(amount);
            for (_, piece) in call.iter_mut() {
                let less = over.min(*piece);
                *piece -= less;
                over -= less;
            }
        }
    }
}

/// Plays some steps on a meter and on the model; they must agree at every one.
fn agree(most: u64, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut limit = Limit::new(most, SPAN).unwrap();
    let mut meter = Meter::new(limit);
    let mut model = Model::default();
    let mut taken: Vec<Taken> = Vec::new();
    let mut now = 7;
    for step in steps {
        match step {
            Step::Pass(micros) => now += micros,
            Step::Take(amount) => {
                let most = limit.most();
                let answer = meter.check(now, amount);
                prop_assert_eq!(answer.is_ok(), model.used(now) + amount <= most);
                match answer {
                    Ok(()) => {
                        taken.push(meter.take(now, amount));
                        model.0.push(vec![(now.next_multiple_of(limit.grain_micros()), amount)]);
                    }
                    Err(None) => prop_assert!(amount > most),
                    Err(Some(wait)) => {
                        // The first moment at which it fits, if nothing else happens.
                        prop_assert!(wait > 0 && wait < SPAN + GRAIN);
                        prop_assert!(model.used(now + wait) + amount <= most);
                        prop_assert!(model.used(now + wait - 1) + amount > most);
                    }
                }
            }
            Step::Correct(which, amount) if !taken.is_empty() => {
                let which = which % taken.len();
                meter.correct(now, &mut taken[which], amount);
                model.correct(which, now, amount);
            }
            Step::GiveBack(which) if !taken.is_empty() => {
                let which = which % taken.len();
                meter.correct(now, &mut taken[which], 0);
                model.correct(which, now, 0);
            }
            Step::Correct(..) | Step::GiveBack(_) => {}
            Step::Change(most) => {
                limit = Limit::new(most, SPAN).unwrap();
                meter.change(limit);
            }
        }
        let reading = meter.read(now);
        prop_assert_eq!(reading.used, model.used(now));
        prop_assert_eq!(reading.remaining, limit.most().saturating_sub(reading.used));
        let last = model.counting(now).map(|(at, _)| at).max();
        prop_assert_eq!(reading.empty_in, last.map_or(0, |at| at + SPAN - now));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn small_limits_count_like_a_list(most in 0..=60_u64, steps in steps(60)) {
        agree(most, steps)?;
    }

    #[test]
    fn large_limits_count_like_a_list_by_the_grain(most in 1_001..9_000_u64, steps in steps(9_000)) {
        agree(most, steps)?;
    }

    #[test]
    fn limits_around_the_border_change_without_a_loss(most in 900..=1_100_u64, steps in steps(1_000)) {
        agree(most, steps)?;
    }

    #[test]
    fn what_is_given_back_was_never_taken(
        most in prop_oneof![1..1_000_u64, 1_001..9_000_u64],
        before in prop::collection::vec((0..SPAN / 20, 1..200_u64), 0..40),
        amount in 1..1_000_u64,
        after in prop::collection::vec((0..SPAN / 10, 1..200_u64), 0..20),
    ) {
        let limit = Limit::new(most, SPAN).unwrap();
        let (mut with, mut without) = (Meter::new(limit), Meter::new(limit));
        let mut now = 3;
        for (pass, amount) in before {
            now += pass;
            let _ = (with.take(now, amount), without.take(now, amount));
        }
        // However much later, and whatever came in between.
        let mut taken = with.take(now, amount);
        for (pass, amount) in after {
            now += pass;
            let _ = (with.take(now, amount), without.take(now, amount));
        }
        with.correct(now, &mut taken, 0);
        for later in [0, SPAN / 3, SPAN / 2, SPAN, SPAN + GRAIN] {
            prop_assert_eq!(with.read(now + later), without.read(now + later));
            for amount in [1, most / 2, most] {
                prop_assert_eq!(with.check(now + later, amount), without.check(now + later, amount));
            }
        }
    }
}

/// An hour of bursts of some hundred clients, all at their own pace; the same each time.
fn bursts(most: u64) -> Vec<(u64, u64)> {
    let mut meter = Meter::new(Limit::per_minute(most));
    let mut chance = 42_u64;
    let mut random = move |below: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut calls: Vec<(u64, u64)> = Vec::new();
    for client in 0..200_u64 {
        let mut at = random(SPAN);
        while at < 60 * SPAN {
            for _ in 0..=random(8) {
                at += random(50_000 * (client % 7 + 1));
                calls.push((at, if most <= 1_000 { 1 } else { 1 + random(most / 50) }));
            }
            at += random(30_000_000);
        }
    }
    calls.sort_unstable();
    calls.retain(|(at, amount)| {
        let fits = meter.check(*at, *amount).is_ok();
        if fits {
            let _ = meter.take(*at, *amount);
        }
        fits
    });
    calls
}

/// The fullest window of a span, and all.
fn fullest(uses: &[(u64, u64)]) -> (u64, u64) {
    let (mut first, mut sum, mut fullest, mut all) = (0, 0, 0, 0);
    for (at, amount) in uses {
        sum += amount;
        all += amount;
        while uses[first].0 + SPAN <= *at {
            sum -= uses[first].1;
            first += 1;
        }
        fullest = fullest.max(sum);
    }
    (fullest, all)
}

#[test]
fn no_window_of_an_hour_of_bursts_holds_more_and_little_is_wasted() {
    for most in [1, 20, 500, 1_000, 1_001, 6_000, 2_000_000, 1 << 40] {
        let (fullest, all) = fullest(&bursts(most));
        assert!(fullest <= most, "{fullest} of {most}");
        // The limit is reached, but for what no call was small enough for.
        assert!(fullest >= most - most / 50, "{fullest} of {most}");
        // A use counts for at most 61 seconds, so at least 60 of 61 parts are used.
        let least = most * 60 * 60 / 61 - most * 60 / 50;
        assert!(all >= least && all <= 60 * most + most, "{all} of {most} a minute");
    }
}

#[test]
fn twenty_a_minute_is_never_twenty_one() {
    let mut meter = Meter::new(Limit::per_minute(20));
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
fn nothing_and_too_much_never_fit() {
    let mut none = Meter::new(Limit::per_minute(0));
    assert_eq!((none.check(5, 1), none.check(5, 0)), (Err(None), Ok(())));
    let mut large = Meter::new(Limit::per_minute(2_000));
    assert_eq!((large.check(5, 2_001), large.check(5, 2_000)), (Err(None), Ok(())));
    assert!(Limit::new(1, 0).is_err() && Limit::new(1, 86_400_000_001).is_err());
}

#[test]
fn the_largest_numbers_saturate() {
    for most in [1, 1_000, 1_001, u64::MAX - 1, u64::MAX] {
        let mut meter = Meter::new(Limit::new(most, 86_400_000_000).unwrap());
        let mut first = meter.take(u64::MAX - 1, u64::MAX);
        let mut second = meter.take(u64::MAX, u64::MAX);
        assert_eq!(meter.read(u64::MAX).remaining, most.saturating_sub(u64::MAX));
        assert!(meter.check(u64::MAX, 1).is_err());
        meter.correct(u64::MAX, &mut second, 0);
        meter.correct(u64::MAX, &mut first, 0);
        assert_eq!(meter.read(u64::MAX).used, 0);
        assert!(meter.check(u64::MAX, most).is_ok());
    }
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    let mut meter = Meter::new(Limit::per_minute(1));
    let _ = meter.take(SPAN, 1);
    assert_eq!(meter.check(0, 1), Err(Some(SPAN)));
    assert_eq!(meter.read(2 * SPAN).used, 0);
}

#[test]
fn a_call_of_many_minutes_counts_in_each() {
    let mut meter = Meter::new(Limit::per_minute(10_000));
    let mut taken = meter.take(0, 4_096);
    // 100 tokens a second; told when they are more than expected.
    for second in 41..=600 {
        meter.correct(second * 1_000_000, &mut taken, second * 100);
        if second % 60 == 59 {
            // Those of the last minute, to one second.
            let used = meter.read(second * 1_000_000).used;
            assert!((5_900..=6_100).contains(&used), "{used} at {second} s");
        }
    }
}
