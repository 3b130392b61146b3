//! Costs against a table that was worked out elsewhere: `tests/e2e/price_table.py` reads the price files by itself and
//! computes in exact fractions. It shares nothing with this crate but the files.
#![expect(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use domain::{ServiceTier, Timestamp, Usage};
use tollkeeper_pricing::{Bounds, Catalog};

const TABLE: &str = include_str!("price_table.tsv");

/// What one line says.
struct Case<'t> {
    line: &'t str,
    provider: &'t str,
    model: &'t str,
    at: Timestamp,
    tier: ServiceTier,
    region: Option<&'t str>,
    usage: Usage,
    pico: i128,
}

fn cases() -> Vec<Case<'static>> {
    let mut lines = TABLE.lines();
    let names: Vec<&str> = lines.next().unwrap().split('\t').collect();
    assert_eq!(names[5..20], Usage::NAMES, "the table's buckets are ours");
    lines.map(read).collect()
}

fn read(line: &'static str) -> Case<'static> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [provider, model, at, tier, region, counts @ .., pico] = cells.as_slice() else { panic!("{line}") };
    let counts: Vec<u64> = counts.iter().map(|count| count.parse().unwrap()).collect();
    Case {
        line,
        provider,
        model,
        at: at.parse().unwrap(),
        tier: tier.parse().unwrap(),
        region: (*region != "-").then_some(*region),
        usage: Usage::from_counts(counts.try_into().unwrap()),
        pico: pico.parse().unwrap(),
    }
}

#[test]
fn every_cost_is_the_one_that_was_worked_out_elsewhere() {
    let catalog = Catalog::embedded().unwrap();
    let cases = cases();
    assert!(cases.len() >= 1_000, "{} cases are too few", cases.len());
    for Case { line, provider, model, at, tier, region, usage, pico } in cases {
        let listed = catalog.find(provider, model, at).unwrap_or_else(|| panic!("no price: {line}"));
        let version = match region {
            None => (*listed).clone(),
            Some(region) => listed.in_region(region).unwrap(),
        };
        let cost = version.cost(&usage, tier).unwrap_or_else(|| panic!("no cost: {line}"));
        assert_eq!(cost.get(), pico, "{} at {tier}: {line}", version.id);
        let Usage { images, audio_ms, characters, searches, gpu_ms, .. } = usage;
        let (input_tokens, output_tokens) = (usage.input_total(), usage.output_total());
        let bounds = Bounds { input_tokens, output_tokens, images, audio_ms, characters, searches, gpu_ms };
        assert!(version.ceiling(&bounds, tier).is_some_and(|ceiling| ceiling >= cost), "{line}");
    }
}

/// Every price that is for sale is in the table, so that none is wrong unseen.
#[test]
fn every_model_tier_and_region_is_in_the_table() {
    let catalog = Catalog::embedded().unwrap();
    let cases = cases();
    for provider in catalog.providers() {
        for version in catalog.models(provider, Timestamp::MAX) {
            let schedule = catalog.schedule(provider, &version.model).unwrap();
            for version in schedule.versions() {
                for tier in version.tiers() {
                    let regions = version.regions().map(Some).chain([None]);
                    for region in regions {
                        let found = cases.iter().any(|case| {
                            (case.provider, case.model) == (provider, &*version.model)
                                && (case.tier, case.region) == (tier, region)
                                && schedule.at(case.at).is_some_and(|found| found.id == version.id)
                        });
                        assert!(found, "{} at {tier} in {region:?}", version.id);
                    }
                }
            }
        }
    }
}
