//! What is learned of lengths: when it is believed, how exact it is, how it follows change, how much is kept.
#![expect(clippy::arithmetic_side_effects, reason = "tests")]

use proptest::prelude::*;
use tollkeeper_limits::{Bucket, Learned};

const PAIR: Bucket = Bucket([1, 2]);

#[test]
fn twenty_samples_are_believed() {
    let learned = Learned::default();
    for _ in 0..19 {
        learned.learn(PAIR, 100);
        assert_eq!(learned.expected_output(PAIR, None), 4_096);
        assert_eq!(learned.expected_output(PAIR, Some(50)), 50);
    }
    learned.learn(PAIR, 100);
    assert_eq!(learned.expected_output(PAIR, None), 112);
    assert_eq!(learned.expected_output(PAIR, Some(50)), 50);
    assert_eq!(learned.expected_output(Bucket([2, 1]), None), 4_096);
}

#[test]
fn it_follows_change() {
    let learned = Learned::default();
    let teach = |tokens, times| (0..times).for_each(|_| learned.learn(PAIR, tokens));
    teach(1_000, 10_000);
    assert_eq!(learned.expected_output(PAIR, None), 1_024);
    // Longer answers are expected as soon as they are more than one in twenty, shorter ones when the long ones are less.
    teach(20_000, 20);
    assert_eq!(learned.expected_output(PAIR, None), 20_480);
    teach(200, 800);
    assert_eq!(learned.expected_output(PAIR, None), 224);
    teach(u64::MAX, 800);
    assert_eq!(learned.expected_output(PAIR, None), 1 << 20);
}

#[test]
fn a_million_pairs_are_not_kept() {
    let learned = Learned::new(1_000);
    for number in 0..1_000_000 {
        learned.learn(Bucket::from(number), 5);
        // One that is asked for all the time is.
        if number < 30 {
            learned.learn(PAIR, 300);
        }
        assert_eq!(learned.expected_output(PAIR, Some(4_000)), if number < 19 { 4_000 } else { 320 });
    }
    assert!((300..=1_000).contains(&learned.len()), "{}", learned.len());
}

proptest! {
    #[test]
    fn the_percentile_is_rounded_up_by_less_than_a_quarter(
        mut sizes in prop::collection::vec(prop_oneof![0..200_u64, 0..10_000_u64, 0..1_000_000_u64], 20..250),
    ) {
        let learned = Learned::default();
        sizes.iter().for_each(|size| learned.learn(PAIR, *size));
        sizes.sort_unstable();
        let exact = sizes[(sizes.len() * 95).div_ceil(100) - 1];
        let found = learned.expected_output(PAIR, None);
        prop_assert!(found >= exact);
        prop_assert!(found == 64 || (found - exact) * 4 < exact, "{} for {}", found, exact);
    }
}
