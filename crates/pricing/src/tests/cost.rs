//! Costs against sums made by hand, and inline prices of routes.

use domain::{ServiceTier, Usage};

use super::{NOW, listed, moment};
use crate::{Bounds, Catalog, ModelKind, PriceError, PriceVersion, RoutePrice};

const NONE: Usage = Usage::from_counts([0; 15]);

/// A cost in pico-units, and rounded up as the decimal that is booked.
fn check(case: &str, version: &PriceVersion, usage: Usage, pico: i128, booked: &str) {
    let cost = version.cost(&usage, ServiceTier::Standard).expect("a cost that fits");
    assert_eq!(cost.get(), pico, "{case}: exact cost with {}", version.id);
    let money = cost.ceil_to_money().expect("money that fits");
    assert_eq!(money.to_string(), booked, "{case}: booked cost with {}", version.id);
}

/// The cost at the catalogue's own price.
fn check_listed(provider: &str, model: &str, usage: Usage, pico: i128, booked: &str) {
    check("listed", &listed(provider, model, moment(NOW)), usage, pico, booked);
}

/// The most that so many tokens can cost, in pico-units.
fn ceiling(version: &PriceVersion, input_tokens: u64, output_tokens: u64) -> Option<i128> {
    let bounds = Bounds { input_tokens, output_tokens, ..Bounds::default() };
    version.ceiling(&bounds, ServiceTier::Standard).map(domain::Pico::get)
}

fn route_price(input: &str, output: Option<&str>) -> RoutePrice {
    RoutePrice { input: input.to_owned(), output: output.map(str::to_owned), ..RoutePrice::default() }
}

#[test]
fn listed_models_cost_what_the_hand_computes() {
    for (provider, model, usage, pico, booked) in [
        // 1000 × 0.50 + 500 × 2.00 per million.
        ("simulated", "sim-small", Usage { input: 1_000, output: 500, ..NONE }, 1_500_000_000, "0.0015"),
        // 100 × 5.00 + 900 × 0.50 + 10 × 20.00; the 8 reasoning tokens are among the 10.
        (
            "simulated",
            "sim-large",
            Usage { input: 100, cached: 900, output: 10, reasoning: 8, ..NONE },
            1_150_000_000,
            "0.00115",
        ),
        ("simulated", "sim-embed", Usage { input: 7, ..NONE }, 700_000, "0.0000007"),
        // 1000 × 4.00 + 2000 × 0.20 + 400 × 5.00 + 100 × 20.00.
        (
            "anthropic",
            "claude-opus-5-5",
            Usage { input: 1_000, cached: 2_000, cache_write: 400, output: 100, ..NONE },
            8_400_000_000,
            "0.0084",
        ),
        // 50 × 0.60 + 300 × 10.00 + 20 × 2.40 + 200 × 20.00.
        (
            "openai",
            "gpt-audio-mini",
            Usage { input: 50, audio_input: 300, output: 20, audio_output: 200, ..NONE },
            7_078_000_000,
            "0.007078",
        ),
        // Audio without a price of its own costs the text price: (10 + 5) × 0.15 + (2 + 3) × 0.60.
        (
            "openai",
            "gpt-4o-mini",
            Usage { input: 10, audio_input: 5, output: 2, audio_output: 3, ..NONE },
            5_250_000,
            "0.00000525",
        ),
        // No cached and no write price: the full input price, (10 + 20 + 30) × 21.00.
        (
            "openai",
            "gpt-5.2-pro",
            Usage { input: 10, cached: 20, cache_write: 30, ..NONE },
            1_260_000_000,
            "0.00126",
        ),
        // A cached price, and no write price: 10 × 1.25 + 20 × 0.125 + 30 × 1.25.
        (
            "openai",
            "gpt-5",
            Usage { input: 10, cached: 20, cache_write: 30, ..NONE },
            52_500_000,
            "0.0000525",
        ),
        ("openai", "gpt-5", NONE, 0, "0.00"),
    ] {
        check_listed(provider, model, usage, pico, booked);
    }
}

#[test]
fn a_tier_reprices_the_whole_request_above_its_threshold() {
    for (model, usage, pico, booked) in [
        // At the threshold: 272,000 × 2.50 + 1000 × 15.00.
        ("gpt-5.4", Usage { input: 272_000, output: 1_000, ..NONE }, 695_000_000_000, "0.695"),
        // One above: 272,001 × 5.00 + 1000 × 22.50.
        ("gpt-5.4", Usage { input: 272_001, output: 1_000, ..NONE }, 1_382_505_000_000, "1.382505"),
        // Every input bucket counts towards the threshold, output does not:
        // 200,000 × 2.50 + 72,000 × 0.25 + 9 × 15.00.
        ("gpt-5.4", Usage { input: 200_000, cached: 72_000, output: 9, ..NONE }, 518_135_000_000, "0.518135"),
        // 200,000 × 5.00 + 72,000 × 0.50 + 1 audio token × 5.00.
        (
            "gpt-5.4",
            Usage { input: 200_000, cached: 72_000, audio_input: 1, ..NONE },
            1_036_005_000_000,
            "1.036005",
        ),
        // Cache writes have a price of their own in the tier too: 272,000 × 4.00 + 1 × 5.00.
        ("gpt-6-sol", Usage { input: 272_000, cache_write: 1, ..NONE }, 1_088_005_000_000, "1.088005"),
    ] {
        check_listed("openai", model, usage, pico, booked);
    }
}

#[test]
fn several_tiers_apply_each_from_its_own_threshold() {
    let file = r#"
        provider = "acme"
        source = "a test"
        retrieved = "2026-11-12"
        [[models]]
        id = "steps"
        input = "1"
        output = "1"
        above = [
          { input_tokens = 100, input = "2", output = "2" },
          { input_tokens = 200, input = "0.5", output = "3" },
        ]
    "#;
    let catalog = Catalog::parse(&[("test", file)]).unwrap();
    let version = catalog.find("acme", "steps", moment(NOW)).unwrap();
    for (input, pico, booked) in [
        (100, 101_000_000, "0.000101"),
        (101, 204_000_000, "0.000204"),
        (200, 402_000_000, "0.000402"),
        (201, 103_500_000, "0.0001035"),
    ] {
        check("steps", &version, Usage { input, output: 1, ..NONE }, pico, booked);
    }
    // The dearest request of at most 201 input tokens has 200 of them: the last tier is cheaper again.
    for (input_max, output_max, pico) in [
        (100, 1, 101_000_000),
        (101, 1, 204_000_000),
        (200, 1, 402_000_000),
        (201, 1, 402_000_000),
        (u64::MAX, 0, 9_223_372_036_854_775_807_500_000),
        (0, 5, 5_000_000),
        (0, 0, 0),
    ] {
        let ceiling = ceiling(&version, input_max, output_max);
        assert_eq!(ceiling, Some(pico), "at most {input_max} in, {output_max} out");
    }
}

/// The cost at a service tier, and what it would be in a region.
#[track_caller]
fn check_tier(
    (provider, model): (&str, &str),
    region: Option<&str>,
    tier: ServiceTier,
    usage: Usage,
    booked: &str,
) {
    let listed = listed(provider, model, moment(NOW));
    let version = region.map_or_else(|| (*listed).clone(), |region| listed.in_region(region).unwrap());
    let cost = version.cost(&usage, tier).unwrap().ceil_to_money().unwrap().to_string();
    assert_eq!(cost, booked, "{} at {tier}", version.id);
}

#[test]
fn service_tiers_and_regions_cost_what_the_hand_computes() {
    use ServiceTier::{Batch, Flex, Priority, Standard, Ultrafast};
    let usage = Usage { input: 1_000, cached: 2_000, output: 100, ..NONE };
    let small = ("simulated", "sim-small");
    // 1000 × 0.50 + 2000 × 0.05 + 100 × 2.00 = 800 per million.
    for (region, tier, booked) in [
        (None, Standard, "0.0008"),
        (None, Flex, "0.0004"),
        (None, Batch, "0.0004"),
        (None, Priority, "0.0016"),
        (Some("eu"), Standard, "0.00088"),
        (Some("eu"), Priority, "0.00176"),
    ] {
        check_tier(small, region, tier, usage, booked);
    }
    // Searches cost the same in every tier and region.
    let searching = Usage { searches: 3, ..usage };
    check_tier(small, Some("eu"), Flex, searching, "0.03044");
    // A table of its own: flex's cached price is not half of 0.25.
    check_tier(("openai", "gpt-5.4"), None, Flex, Usage { cached: 1_000_000, ..NONE }, "0.25");
    check_tier(("openai", "gpt-5.4"), None, Flex, Usage { cached: 100_000, ..NONE }, "0.013");
    // Beyond 272,000 tokens nothing is served at priority: 300,000 × 5.00 of the standard tier.
    check_tier(("openai", "gpt-5.4"), None, Priority, Usage { input: 300_000, ..NONE }, "1.50");
    check_tier(("openai", "gpt-6-astra"), None, Ultrafast, Usage { output: 10, ..NONE }, "0.003");
    // Twelve hours in the cache cost twice what thirty minutes do, and a surcharge comes on top.
    let writes = Usage { cache_write: 1_000, cache_write_long: 1_000, ..NONE };
    check_tier(("openai", "gpt-6.1-sol"), Some("us"), Batch, writes, "0.004125");
}

#[test]
fn what_is_not_sold_has_no_cost_and_no_region_by_accident() {
    let version = listed("simulated", "sim-large", moment(NOW));
    assert!(!version.sells(ServiceTier::Flex) && !version.sells_meter("per_search"));
    assert_eq!(version.cost(&Usage { input: 1, ..NONE }, ServiceTier::Flex), None);
    let searched = Usage { input: 1, searches: 2, ..NONE };
    assert_eq!(version.cost(&searched, ServiceTier::Standard), None);
    assert_eq!(version.priced_part(&searched), (Usage { input: 1, ..NONE }, vec!["per_search"]));
    let error = version.in_region("eu").unwrap_err().to_string();
    assert_eq!(error, "the price simulated/sim-large@2026-11-12 has no region `eu`; it has none at all");
    let small = listed("simulated", "sim-small", moment(NOW));
    assert_eq!(small.in_region("us").unwrap_err().known, ["eu"]);
    assert_eq!(&*small.in_region("eu").unwrap().id, "simulated/sim-small@2026-11-12+eu");
}

#[test]
fn what_is_sold_by_the_piece_costs_what_the_hand_computes() {
    let file = r#"
        provider = "acme"
        source = "a test"
        retrieved = "2026-11-12"
        [[models]]
        id = "painter"
        kind = "image"
        per_image = "0.04"
        [[models]]
        id = "scribe"
        kind = "transcription"
        per_audio_second = "0.0001"
        [[models]]
        id = "speaker"
        kind = "speech"
        per_character = "0.000015"
    "#;
    let catalog = Catalog::parse(&[("test", file)]).unwrap();
    for (model, usage, booked) in [
        ("painter", Usage { images: 3, ..NONE }, "0.12"),
        ("scribe", Usage { audio_ms: 60_001, ..NONE }, "0.0060001"),
        ("speaker", Usage { characters: 1_001, ..NONE }, "0.015015"),
    ] {
        let version = catalog.find("acme", model, moment(NOW)).unwrap();
        let cost = version.cost(&usage, ServiceTier::Standard).unwrap();
        assert_eq!(cost.ceil_to_money().unwrap().to_string(), booked, "{model}");
        assert_eq!(version.cost(&Usage { input: 1, ..usage }, ServiceTier::Standard), None, "{model}");
    }
}

#[test]
fn time_on_ones_own_hardware_is_charged_exactly() {
    let by_time = |price: RoutePrice| {
        let price = RoutePrice { per_gpu_second: Some("0.0008".to_owned()), ..price };
        PriceVersion::from_route("own", "llama", &price, ModelKind::Chat).unwrap()
    };
    let tokens = Usage { input: 100, output: 50, ..NONE };
    let alone = by_time(RoutePrice::default());
    assert_eq!(&*alone.id, "own/llama@per_gpu_second=0.0008");
    // Tokens are counted and cost nothing; a millisecond costs 800 pico-units of a thousandth, rounded up once.
    check("time alone", &alone, Usage { gpu_ms: 1, ..tokens }, 800_000, "0.0000008");
    check("time alone", &alone, Usage { gpu_ms: 12_345, ..tokens }, 9_876_000_000, "0.009876");
    check("no time", &alone, tokens, 0, "0.00");
    let both = by_time(route_price("1", Some("2")));
    check("time and tokens", &both, Usage { gpu_ms: 1_000, ..tokens }, 800_000_000 + 200_000_000, "0.001");
    let bounds = Bounds { input_tokens: 100, output_tokens: 50, gpu_ms: 1_000, ..Bounds::default() };
    assert_eq!(both.ceiling(&bounds, ServiceTier::Standard).unwrap().get(), 1_000_000_000);
    // What is a price of tokens alone sells no time.
    assert!(!listed("simulated", "sim-small", moment(NOW)).sells_meter("per_gpu_second"));
}

#[test]
fn a_ceiling_takes_the_dearest_bucket_of_each_direction() {
    let price = RoutePrice {
        cached_input: Some("7".to_owned()),
        audio_output: Some("9".to_owned()),
        ..route_price("2", Some("3"))
    };
    let version = PriceVersion::from_route("acme", "odd", &price, ModelKind::Chat).unwrap();
    assert_eq!(ceiling(&version, 10, 100), Some(970_000_000));
}

#[test]
fn fractions_of_a_nano_round_up_once() {
    let version =
        PriceVersion::from_route("acme", "tiny", &route_price("0.0003", Some("0.0004")), ModelKind::Chat)
            .unwrap();
    for (input, output, pico, booked) in [
        (1, 0, 300, "0.000000001"),
        // 0.3 + 0.4 nano: one nano for the sum, not one for each part.
        (1, 1, 700, "0.000000001"),
        (2, 1, 1_000, "0.000000001"),
        (3, 1, 1_300, "0.000000002"),
    ] {
        check("tiny", &version, Usage { input, output, ..NONE }, pico, booked);
    }
}

#[test]
fn zero_is_a_price_and_absent_is_not_zero() {
    let free = PriceVersion::from_route("acme", "free", &route_price("0", Some("0")), ModelKind::Chat);
    check("free", &free.unwrap(), Usage { input: 9, output: 9, ..NONE }, 0, "0.00");

    let writes_free = RoutePrice { cache_write: Some("0".to_owned()), ..route_price("1", Some("2")) };
    let version = PriceVersion::from_route("acme", "writes", &writes_free, ModelKind::Chat).unwrap();
    check("free writes", &version, Usage { cache_write: 9, cached: 1, ..NONE }, 1_000_000, "0.000001");

    // An embedding gives no tokens; should one come, it is not given away.
    let embedding = PriceVersion::from_route("acme", "e", &route_price("1", None), ModelKind::Embedding);
    check("embedding", &embedding.unwrap(), Usage { input: 1, output: 1, ..NONE }, 2_000_000, "0.000002");
}

#[test]
fn what_does_not_fit_has_no_cost() {
    let dear = route_price("18446744073709.551615", Some("0"));
    let version = PriceVersion::from_route("acme", "dear", &dear, ModelKind::Chat).unwrap();
    let most = u64::MAX.saturating_sub(1);
    assert_eq!(version.cost(&Usage { input: most, ..NONE }, ServiceTier::Standard), None);
    assert_eq!(ceiling(&version, most, 0), None);
    let cheap = PriceVersion::from_route("acme", "cheap", &route_price("1", Some("1")), ModelKind::Chat);
    let cheap = cheap.unwrap();
    for saturated in
        [Usage { input: most, cached: most, ..NONE }, Usage { output: most, audio_output: most, ..NONE }]
    {
        assert_eq!(cheap.cost(&saturated, ServiceTier::Standard), None, "{saturated:?}");
    }
}

#[test]
fn an_inline_price_is_named_by_what_it_says() {
    let tiers = [("priority".to_owned(), "1.75".to_owned()), ("batch".to_owned(), "0.50".to_owned())];
    let price = RoutePrice {
        per_search: Some("0.010".to_owned()),
        tiers: tiers.into(),
        ..route_price("2", Some("4"))
    };
    let version = PriceVersion::from_route("acme", "m", &price, ModelKind::Chat).unwrap();
    assert_eq!(&*version.id, "acme/m@input=2.00,output=4.00,per_search=0.01,batch*0.5,priority*1.75");
    let cost = version.cost(&Usage { output: 4, ..NONE }, ServiceTier::Priority);
    assert_eq!(cost.map(domain::Pico::get), Some(28_000_000));

    let price = RoutePrice { cached_input: Some("0.250".to_owned()), ..route_price("2.5", Some("10")) };
    let version = PriceVersion::from_route("acme", "llama-5", &price, ModelKind::Chat).unwrap();
    assert_eq!(&*version.id, "acme/llama-5@input=2.50,cached_input=0.25,output=10.00");
    check("inline", &version, Usage { input: 100, cached: 100, output: 10, ..NONE }, 375_000_000, "0.000375");
}

#[test]
fn mistakes_in_an_inline_price_are_all_named() {
    let price = RoutePrice {
        input: "2,50".to_owned(),
        output: None,
        cached_input: Some("-1".to_owned()),
        cache_write: Some("0.0000001".to_owned()),
        audio_input: Some(String::new()),
        audio_output: Some("99999999999999999999".to_owned()),
        per_audio_second: Some("0.0000000001".to_owned()),
        ..RoutePrice::default()
    };
    let errors = PriceVersion::from_route("acme", "llama", &price, ModelKind::Chat).unwrap_err();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "`input`: `2,50` is not a decimal amount; write it like 5.00",
            "`cached_input`: `-1` is negative; a price is zero or more",
            "`cache_write`: `0.0000001` has more than 6 decimals, the smallest unit there is",
            "`audio_input`: `` is not a decimal amount; write it like 5.00",
            r#"`output` is missing; write a price per million tokens such as "2.50", or "0" if it is free"#,
            "`audio_output`: amount out of range",
            "`per_audio_second`: `0.0000000001` has more than 9 decimals, the smallest unit there is",
        ]
    );
}

#[test]
fn an_inline_price_reads_from_a_configuration() {
    let read = toml::from_str::<RoutePrice>(
        r#"input = "2.50"
        output = "10.00"
        cached_input = "0.25""#,
    );
    let expected = RoutePrice { cached_input: Some("0.25".to_owned()), ..route_price("2.50", Some("10.00")) };
    assert_eq!(read, Ok(expected));
    for (text, part) in [
        (
            "kind = \"picture\"",
            "unknown variant `picture`, expected one of `chat`, `embedding`, `moderation`",
        ),
        ("input = \"1\"\noutptu = \"1\"", "unknown field `outptu`"),
        ("input = 2.5", "expected a string"),
    ] {
        let error = toml::from_str::<RoutePrice>(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn what_is_sold_by_other_units_needs_no_price_for_tokens() {
    let image = RoutePrice { per_image: Some("0.04".to_owned()), ..RoutePrice::default() };
    let version = PriceVersion::from_route("acme", "paint", &image, ModelKind::Image).unwrap();
    assert_eq!(&*version.id, "acme/paint@kind=image,per_image=0.04");
    let made = Usage { images: 3, ..NONE };
    assert_eq!(
        version.cost(&made, ServiceTier::Standard).unwrap().ceil_to_money().unwrap().to_string(),
        "0.12"
    );
    for (kind, field) in [
        (ModelKind::Chat, "input"),
        (ModelKind::Embedding, "input"),
        (ModelKind::Moderation, "input"),
        (ModelKind::Image, "per_image"),
        (ModelKind::Speech, "per_character"),
        (ModelKind::Transcription, "per_audio_second"),
    ] {
        let refused = PriceVersion::from_route("acme", "m", &RoutePrice::default(), kind).unwrap_err();
        assert_eq!(refused[0], PriceError::Missing { field: field.to_owned() }, "{kind:?}");
        assert_eq!(ModelKind::named(kind.as_str()), Some(kind));
    }
}
