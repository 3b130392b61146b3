//! No usage within the bounds of a ceiling costs more than the ceiling, whatever the prices.

use domain::{Pico, Price, Usage};
use proptest::prelude::*;

use crate::version::Tier;
use crate::{ModelKind, PriceSet, PriceVersion};

/// Mostly small numbers, so that thresholds and zeros are met, and now and then any number at all.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..12, 3 => 0_u64..1_000_000, 1 => any::<u64>()]
}

fn prices() -> impl Strategy<Value = PriceSet> {
    prop::array::uniform6(number()).prop_map(|pico| {
        let [input, cached, cache_write, audio_input, output, audio_output] = pico.map(Price::from_pico);
        PriceSet { input, cached, cache_write, audio_input, output, audio_output }
    })
}

fn version() -> impl Strategy<Value = PriceVersion> {
    (prices(), prop::collection::btree_map(number(), prices(), 0..4)).prop_map(|(base, tiers)| {
        let tiers = tiers.into_iter().map(|(input_tokens, prices)| Tier { input_tokens, prices }).collect();
        PriceVersion {
            id: "test".into(),
            provider: "acme".to_owned(),
            model: "any".to_owned(),
            valid_from: None,
            ends: None,
            kind: ModelKind::Chat,
            context: None,
            max_output: None,
            base,
            tiers,
        }
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    prop::array::uniform14(number()).prop_map(Usage::from_counts)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(
        version in version(),
        usage in usage(),
        slack_in in number(),
        slack_out in number(),
    ) {
        let input_max = usage.input_total().saturating_add(slack_in);
        let output_max = usage.output_total().saturating_add(slack_out);
        let counted = usage.input_total() < u64::MAX && usage.output_total() < u64::MAX;
        if let (true, Some(ceiling)) = (counted, version.ceiling(input_max, output_max)) {
            let cost = version.cost(&usage);
            prop_assert!(cost.is_some_and(|cost| cost <= ceiling), "{cost:?} above {ceiling:?}");
            // And so it stays after the one rounding of each.
            if let Some(money) = ceiling.ceil_to_money() {
                prop_assert!(cost.and_then(Pico::ceil_to_money).is_some_and(|cost| cost <= money));
            }
        }
    }

    #[test]
    fn a_ceiling_never_sinks_when_its_bounds_rise(
        version in version(),
        input in number(),
        output in number(),
        more_in in number(),
        more_out in number(),
    ) {
        let low = version.ceiling(input, output);
        let high = version.ceiling(input.saturating_add(more_in), output.saturating_add(more_out));
        // A ceiling that does not fit is above all that do.
        if let Some(high) = high {
            prop_assert!(low.is_some_and(|low| low <= high), "{low:?} above {high:?}");
        }
    }

    #[test]
    fn reasoning_is_never_priced_again(version in version(), usage in usage(), reasoning in number()) {
        prop_assert_eq!(version.cost(&usage), version.cost(&Usage { reasoning, ..usage }));
    }
}
