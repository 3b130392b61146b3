//! The limiter against a model that keeps every use, and case by case.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tollkeeper_limits::{Bucket, Cap, Limiter, Measure, Need, Slot, Standing, When};

const SPAN: u64 = 60_000_000;
const DAY: u64 = 86_400_000_000;

fn cap(bucket: u64, measure: Measure, most: u64) -> Cap {
    Cap { bucket: Bucket([bucket, 0]), measure, most }
}

const fn need(input_tokens: u64, output_tokens: u64) -> Need {
    Need { input_tokens, output_tokens, images: 0 }
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Admit(Vec<Cap>, Need),
    Correct(usize, Need),
    GiveBack(usize),
    End(usize),
    Forget,
}

fn caps() -> impl Strategy<Value = Vec<Cap>> {
    // Few buckets and small limits, so that requests meet; some limits are large enough to count by the grain.
    let cap = (0..4_u64, 0..8_usize, prop_oneof![0..30_u64, Just(1_500), Just(u64::MAX)]);
    let cap = cap.prop_map(|(bucket, measure, most)| cap_of(bucket, measure, most));
    prop::collection::vec(cap, 0..20)
}

fn cap_of(bucket: u64, measure: usize, most: u64) -> Cap {
    cap(bucket, Measure::ALL[measure], most)
}

fn needs() -> impl Strategy<Value = Need> {
    (0..12_u64, 0..12_u64, 0..3_u64).prop_map(|(input_tokens, output_tokens, images)| Need {
        input_tokens,
        output_tokens,
        images,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![Just(0), 0..SPAN / 8, SPAN - 1..SPAN + 2, SPAN..2 * SPAN, DAY / 3..DAY];
    let step = prop_oneof![
        4 => pass.prop_map(Step::Pass),
        10 => (caps(), needs()).prop_map(|(caps, need)| Step::Admit(caps, need)),
        3 => (any::<usize>(), needs()).prop_map(|(which, need)| Step::Correct(which, need)),
        2 => any::<usize>().prop_map(Step::GiveBack),
        4 => any::<usize>().prop_map(Step::End),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a call used under one bucket and measure: pieces, each with its moment (or day), and whether it runs.
#[derive(Clone, Debug)]
struct Used {
    bucket: Bucket,
    measure: Measure,
    pieces: Vec<(u64, u64)>,
}

/// Every use there ever was, by call.
#[derive(Default)]
struct Model {
    calls: Vec<Vec<Used>>,
    now: u64,
}

impl Model {
    fn counts(&self, measure: Measure, at: u64) -> bool {
        match measure {
            Measure::RequestsPerDay | Measure::TokensPerDay => at == self.now / DAY,
            Measure::ConcurrentRequests => true,
            Measure::RequestsPerMinute
            | Measure::TokensPerMinute
            | Measure::InputTokensPerMinute
            | Measure::OutputTokensPerMinute
            | Measure::ImagesPerMinute => at + SPAN > self.now,
        }
    }

    fn used(&self, cap: &Cap) -> u64 {
        let all = self.calls.iter().flatten();
        let same = all.filter(|used| used.bucket == cap.bucket && used.measure == cap.measure);
        let pieces = same.flat_map(|used| &used.pieces).filter(|(at, _)| self.counts(cap.measure, *at));
        pieces.map(|(_, amount)| amount).sum()
    }

    fn moment(&self, cap: &Cap) -> u64 {
        match cap.measure {
            Measure::RequestsPerDay | Measure::TokensPerDay => self.now / DAY,
            Measure::ConcurrentRequests => 0,
            Measure::RequestsPerMinute
            | Measure::TokensPerMinute
            | Measure::InputTokensPerMinute
            | Measure::OutputTokensPerMinute
            | Measure::ImagesPerMinute => {
                self.now.next_multiple_of(if cap.most > 1_000 { 1_000_000 } else { 1 })
            }
        }
    }

    /// The cap that refuses, if one does.
    fn admit(&mut self, caps: &[Cap], need: &Need) -> Option<usize> {
        let over = |cap: &Cap| need.of(cap.measure) > 0 && self.used(cap) + need.of(cap.measure) > cap.most;
        if let Some(index) = caps.iter().position(over) {
            return Some(index);
        }
        let mut call: Vec<Used> = Vec::new();
        for cap in caps {
            if !call.iter().any(|used| used.bucket == cap.bucket && used.measure == cap.measure) {
                let pieces = vec![(self.moment(cap), need.of(cap.measure))];
                call.push(Used { bucket: cap.bucket, measure: cap.measure, pieces });
            }
        }
        self.calls.push(call);
        None
    }

    fn correct(&mut self, which: usize, amount: impl Fn(Measure) -> u64) {
        let mut call = std::mem::take(&mut self.calls[which]);
        for used in &mut call {
            let (amount, measure) = (amount(used.measure), used.measure);
            let before: u64 = used.pieces[..used.pieces.len() - 1].iter().map(|(_, amount)| amount).sum();
            let last = *used.pieces.last().unwrap();
            let is_day = matches!(measure, Measure::RequestsPerDay | Measure::TokensPerDay);
            if amount > before + last.1 && !self.counts(measure, last.0) && !is_day {
                used.pieces.push((self.now.next_multiple_of(1_000_000), amount - before - last.1));
            } else {
                // Pieces before the last have passed out of every window, so only their sum matters.
                used.pieces = vec![(0, before.min(amount)), (last.0, amount.saturating_sub(before))];
            }
        }
        self.calls[which] = call;
    }

    fn end(&mut self, which: usize) {
        self.calls[which].retain(|used| used.measure != Measure::ConcurrentRequests);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn all_or_nothing_as_the_model_says(steps in steps()) {
        let limiter = Limiter::new();
        // The first day is over, so that no piece of the model is at 0.
        let mut model = Model { now: DAY * 3 / 2, ..Model::default() };
        let mut slots: Vec<Option<Slot>> = Vec::new();
        for step in steps {
            let day = u32::try_from(model.now / DAY).unwrap();
            match step {
                Step::Pass(micros) => model.now += micros,
                Step::Admit(caps, need) => {
                    let used: Vec<u64> = caps.iter().map(|cap| model.used(cap)).collect();
                    let expected = model.admit(&caps, &need);
                    match limiter.admit(model.now, day, &caps, &need) {
                        Ok(slot) => {
                            prop_assert_eq!(expected, None);
                            let stands: Vec<Standing> = slot.standings().collect();
                            prop_assert_eq!(&stands, &limiter.standings(model.now, day, &caps));
                            slots.push(Some(slot));
                        }
                        Err(bound) => {
                            prop_assert_eq!(expected, Some(bound.index));
                            let cap = caps[bound.index];
                            let needed = need.of(cap.measure);
                            prop_assert_eq!((bound.measure, bound.most), (cap.measure, cap.most));
                            prop_assert_eq!((bound.used, bound.needed), (used[bound.index], needed));
                            prop_assert_eq!(bound.fits == When::Never, needed > cap.most);
                        }
                    }
                    for cap in &caps {
                        let standing = limiter.standings(model.now, day, &[*cap])[0];
                        prop_assert_eq!(standing.remaining, cap.most.saturating_sub(model.used(cap)));
                    }
                }
                Step::Correct(which, need) if !slots.is_empty() => {
                    let which = which % slots.len();
                    if let Some(slot) = &mut slots[which] {
                        slot.correct(model.now, &need);
                        model.correct(which, |measure| need.of(measure));
                    }
                }
                Step::GiveBack(which) if !slots.is_empty() => {
                    let which = which % slots.len();
                    if let Some(slot) = slots[which].take() {
                        slot.give_back(model.now);
                        model.correct(which, |_| 0);
                    }
                }
                Step::End(which) if !slots.is_empty() => {
                    let which = which % slots.len();
                    if slots[which].take().is_some() {
                        model.end(which);
                    }
                }
                Step::Forget => limiter.forget(model.now, day),
                Step::Correct(..) | Step::GiveBack(_) | Step::End(_) => {}
            }
        }
        // Once everything has ended and a day has passed nothing is left.
        slots.clear();
        let _ = limiter.day_counts(u32::try_from(model.now / DAY).unwrap());
        limiter.forget(model.now + 2 * DAY, u32::try_from(model.now / DAY).unwrap() + 2);
        prop_assert!(limiter.is_empty());
    }
}

#[test]
fn the_first_cap_that_refuses_is_named() {
    let limiter = Limiter::new();
    let caps = [
        cap(1, Measure::RequestsPerMinute, 1),
        cap(1, Measure::TokensPerMinute, 10),
        cap(2, Measure::RequestsPerDay, 1),
        cap(2, Measure::ConcurrentRequests, 1),
    ];
    let slot = limiter.admit(0, 5, &caps, &need(4, 4)).unwrap();
    let fits = |caps: &[Cap], tokens| limiter.admit(10, 5, caps, &need(tokens, 0)).unwrap_err().fits;
    assert_eq!(fits(&caps, 4), When::In(SPAN - 10));
    assert_eq!(fits(&caps[1..], 4), When::In(SPAN - 10));
    assert_eq!(fits(&caps[1..], 11), When::Never);
    assert_eq!(fits(&caps[2..], 4), When::NextDay);
    assert_eq!(fits(&caps[3..], 4), When::CallEnds);
    assert_eq!(fits(&[cap(9, Measure::RequestsPerDay, 0)], 0), When::Never);
    let full: Vec<When> = slot.standings().map(|standing| standing.full).collect();
    assert_eq!(full, [When::In(SPAN), When::In(SPAN), When::NextDay, When::CallEnds]);
    drop(slot);
    assert!(limiter.admit(10, 5, &caps[3..], &need(1, 0)).is_ok());
}

#[test]
fn a_day_ends_and_another_begins() {
    let limiter = Limiter::new();
    let caps = [cap(1, Measure::TokensPerDay, 10)];
    let mut late = limiter.admit(0, 5, &caps, &need(8, 0)).unwrap();
    assert!(limiter.admit(1, 5, &caps, &need(3, 0)).is_err());
    let today = limiter.admit(2, 6, &caps, &need(3, 0)).unwrap();
    // Yesterday's call ends today: nothing of it counts today.
    late.correct(3, &need(1_000, 0));
    assert_eq!(limiter.standings(3, 6, &caps)[0].remaining, 7);
    // A straggler that read its day before midnight counts as today.
    let _ = limiter.admit(4, 5, &caps, &need(3, 0)).unwrap();
    assert_eq!(limiter.standings(4, 6, &caps)[0].remaining, 4);
    today.give_back(5);
    assert_eq!(limiter.standings(5, 6, &caps)[0].remaining, 7);
    // A clock that was far ahead and has been put right does not stop anybody until then.
    let _ = limiter.admit(6, 900, &caps, &need(10, 0)).unwrap();
    assert!(limiter.admit(7, 7, &caps, &need(10, 0)).is_ok());
}

#[test]
fn days_survive_a_restart() {
    let (first, second) = (Limiter::new(), Limiter::new());
    let caps = [
        cap(1, Measure::TokensPerDay, 10),
        cap(1, Measure::RequestsPerDay, 9),
        cap(1, Measure::TokensPerMinute, 99),
    ];
    let slot = first.admit(0, 5, &caps, &need(4, 2)).unwrap();
    let mut told = first.day_counts(5);
    told.sort_unstable();
    let bucket = caps[0].bucket;
    assert_eq!(told, [(bucket, Measure::RequestsPerDay, 1), (bucket, Measure::TokensPerDay, 6)]);
    assert!(first.day_counts(5).is_empty(), "nothing changed since");
    for (bucket, measure, used) in told {
        second.restore(5, bucket, measure, used);
        second.restore(5, bucket, Measure::TokensPerMinute, used);
    }
    assert!(second.day_counts(5).is_empty(), "what is restored is stored");
    assert_eq!(second.admit(0, 5, &caps, &need(5, 0)).unwrap_err().used, 6);
    assert!(second.admit(0, 5, &caps, &need(4, 0)).is_ok());
    // Back to nothing is a change, which is told even after the limiter has swept.
    slot.give_back(1);
    first.forget(2 * SPAN, 5);
    assert_eq!(first.day_counts(5).iter().map(|(_, _, used)| used).sum::<u64>(), 0);
    first.forget(2 * SPAN, 5);
    assert!(first.is_empty());
    // A day that is over is told no more.
    let _ = first.admit(3 * SPAN, 5, &caps, &need(1, 0)).unwrap();
    let _ = first.admit(3 * SPAN, 6, &caps[..1], &need(1, 0)).unwrap();
    assert_eq!(first.day_counts(6), [(bucket, Measure::TokensPerDay, 1)]);
}

#[test]
fn a_million_names_are_not_kept() {
    let limiter = Limiter::new();
    let mut largest = 0;
    for number in 0..1_000_000_u64 {
        // 10,000 new end users a minute.
        let now = number * 6_000;
        let measure = if number % 2 == 0 { Measure::RequestsPerMinute } else { Measure::ConcurrentRequests };
        assert!(limiter.admit(now, 1, &[cap(number, measure, 5)], &Need::default()).is_ok());
        if number % 50_000 == 0 {
            largest = largest.max(limiter.len());
        }
    }
    // Half of them counts for a minute: 5,000; a table keeps twice what it had when it was swept, or 32.
    assert!((5_000..=40_000).contains(&largest), "{largest}");
    limiter.forget(u64::MAX, 1);
    assert!(limiter.is_empty());
    // What was refused leaves no trace either.
    assert!(limiter.admit(u64::MAX, 1, &[cap(1, Measure::RequestsPerMinute, 0)], &Need::default()).is_err());
    assert!(limiter.is_empty());
}

#[test]
fn measures_have_names() {
    for measure in Measure::ALL {
        assert_eq!(measure.as_str().parse(), Ok(measure));
    }
    let error = "rpm".parse::<Measure>().unwrap_err().to_string();
    assert!(error.starts_with("`rpm` is no measure") && error.contains("requests_per_minute"), "{error}");
    assert!(Measure::ALL.is_sorted());
}

#[test]
fn buckets_are_sixteen_bytes() {
    let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
    assert_eq!(Bucket::from_bytes(bytes).to_bytes(), bytes);
    assert_eq!(Bucket::from(u128::MAX), Bucket([u64::MAX; 2]));
}
