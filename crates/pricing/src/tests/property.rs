//! No usage within the bounds of a ceiling costs more than the ceiling, whatever the prices.

use std::collections::BTreeMap;

use domain::{Pico, Price, ServiceTier, Usage};
use proptest::prelude::*;

use crate::meter::COUNT;
use crate::version::{Ladder, Step};
use crate::{Bounds, ModelKind, PriceSet, PriceVersion};

/// Mostly small numbers, so that thresholds and zeros are met, and now and then any number at all.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0_u64..12, 3 => 0_u64..1_000_000, 1 => any::<u64>()]
}

/// Prices of which some are for nothing that is sold.
fn prices() -> impl Strategy<Value = PriceSet> {
    let price = prop_oneof![1 => Just(None), 5 => number().prop_map(|pico| Some(Price::from_pico(pico)))];
    prop::collection::vec(price, COUNT).prop_map(|prices| PriceSet::of(prices.try_into().unwrap()))
}

fn ladder() -> impl Strategy<Value = Ladder> {
    (prices(), prop::collection::btree_map(number(), prices(), 0..4)).prop_map(|(base, steps)| {
        let steps = steps.into_iter().map(|(input_tokens, prices)| Step { input_tokens, prices }).collect();
        Ladder { base, steps }
    })
}

fn version() -> impl Strategy<Value = PriceVersion> {
    (ladder(), ladder()).prop_map(|(standard, flex)| PriceVersion {
        id: "test".into(),
        provider: "acme".to_owned(),
        model: "any".to_owned(),
        valid_from: None,
        ends: None,
        kind: ModelKind::Chat,
        context: None,
        max_output: None,
        standard,
        tiers: BTreeMap::from([(ServiceTier::Flex, flex)]),
        regions: BTreeMap::new(),
        list: None,
    })
}

fn tier() -> impl Strategy<Value = ServiceTier> {
    prop_oneof![Just(ServiceTier::Standard), Just(ServiceTier::Flex)]
}

fn usage() -> impl Strategy<Value = Usage> {
    prop::array::uniform15(number()).prop_map(Usage::from_counts)
}

fn bounds() -> impl Strategy<Value = [u64; 7]> {
    prop::array::uniform7(number())
}

/// The bounds of a usage with so much more room in each.
fn around(usage: &Usage, slack: [u64; 7]) -> Bounds {
    let [input, output, images, audio, characters, searches, gpu] = slack;
    Bounds {
        input_tokens: usage.input_total().saturating_add(input),
        output_tokens: usage.output_total().saturating_add(output),
        images: usage.images.saturating_add(images),
        audio_ms: usage.audio_ms.saturating_add(audio),
        characters: usage.characters.saturating_add(characters),
        searches: usage.searches.saturating_add(searches),
        gpu_ms: usage.gpu_ms.saturating_add(gpu),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(
        version in version(),
        usage in usage(),
        slack in bounds(),
        tier in tier(),
    ) {
        let counted = usage.input_total() < u64::MAX && usage.output_total() < u64::MAX;
        let (sold, _) = version.priced_part(&usage);
        let ceiling = version.ceiling(&around(&usage, slack), tier);
        for usage in [usage, sold] {
            if let (true, Some(ceiling), Some(cost)) = (counted, ceiling, version.cost(&usage, tier)) {
                prop_assert!(cost <= ceiling, "{cost:?} above {ceiling:?}");
                // And so it stays after the one rounding of each.
                if let Some(money) = ceiling.ceil_to_money() {
                    prop_assert!(cost.ceil_to_money().is_some_and(|cost| cost <= money));
                }
            }
        }
    }

    #[test]
    fn what_fits_under_a_ceiling_has_a_cost(
        version in version(),
        usage in usage(),
        slack in bounds(),
        tier in tier(),
    ) {
        let counted = usage.input_total() < u64::MAX && usage.output_total() < u64::MAX;
        let bought = |set: &PriceSet| {
            set.iter().zip(crate::meter::quantities(&usage)).all(|((_, price), count)| price.is_some() || count == 0)
        };
        let ladder = if tier == ServiceTier::Flex { &version.tiers[&tier] } else { &version.standard };
        if counted && ladder.sets().all(bought) && version.ceiling(&around(&usage, slack), tier).is_some() {
            prop_assert!(version.cost(&usage, tier).is_some());
        }
    }

    #[test]
    fn a_ceiling_never_sinks_when_its_bounds_rise(
        version in version(),
        low in usage(),
        more in bounds(),
        tier in tier(),
    ) {
        let (below, above) = (around(&low, [0; 7]), around(&low, more));
        // A ceiling that does not fit is above all that do.
        if let Some(high) = version.ceiling(&above, tier) {
            let low = version.ceiling(&below, tier);
            prop_assert!(low.is_some_and(|low: Pico| low <= high), "{low:?} above {high:?}");
        }
    }

    #[test]
    fn reasoning_is_never_priced_again(version in version(), usage in usage(), reasoning in number(), tier in tier()) {
        prop_assert_eq!(version.cost(&usage, tier), version.cost(&Usage { reasoning, ..usage }, tier));
    }
}
