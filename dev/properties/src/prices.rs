//! What must hold of every price list and every number in it: an amount is exactly what its text says, what is written
//! is read again as the same, and no usage costs more than what is held for it.

use domain::{Money, Pico, Price, ServiceTier, Timestamp, Usage, scaled};
use pricing::{Bounds, Catalog, Factor, METERS, NewEntry, PriceVersion, file_head, import};

use crate::decimal::Decimal;
use crate::input::Input;

/// Providers that lists are asked for.
const PROVIDERS: [&str; 6] = ["openai", "anthropic", "gemini", "groq", "mistral", "xai"];
/// After every entry of a file that says it was retrieved before.
const LATER: &str = "2100-01-01";

/// Bytes as a price list, with one byte that chooses whose: our own files', LiteLLM's, models.dev's, OpenRouter's, or a
/// single amount.
pub fn prices(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.byte();
    let usage = Usage::from_counts(std::array::from_fn(|_| if kind < 128 { 7 } else { input.number() }));
    let Some(text) = input.text() else { return };
    let provider = PROVIDERS.get(usize::from(kind >> 3 & 7)).copied().unwrap_or("acme");
    match kind & 7 {
        0 => check_file(text, &usage),
        1 => check_import(import::litellm(text, provider)),
        2 => check_import(import::models_dev(text, provider)),
        3 => check_import(import::openrouter(text)),
        _ => check_amount(text),
    }
}

fn at(day: &str) -> Timestamp {
    day.parse().expect("a day of ours")
}

/// A price file: what it says is written and read again as the same, and costs are within their ceilings.
fn check_file(text: &str, usage: &Usage) {
    let catalog = match Catalog::parse(&[("prices.toml", text)]) {
        Ok(catalog) => catalog,
        Err(mistakes) => {
            assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| !mistake.to_string().is_empty()));
            return;
        }
    };
    for provider in catalog.providers() {
        for version in catalog.models(provider, Timestamp::from_micros(i64::MAX)) {
            check_costs(version, usage);
            check_rewritten(version);
        }
    }
}

fn check_costs(version: &PriceVersion, usage: &Usage) {
    let bounds = Bounds {
        input_tokens: usage.input_total(),
        output_tokens: usage.output_total(),
        images: usage.images,
        audio_ms: usage.audio_ms,
        characters: usage.characters,
        searches: usage.searches,
        gpu_ms: usage.gpu_ms,
    };
    for tier in version.tiers() {
        let (cost, ceiling) = (version.cost(usage, tier), version.ceiling(&bounds, tier));
        if let (Some(cost), Some(ceiling)) = (cost, ceiling) {
            assert!(cost <= ceiling, "{cost} above {ceiling}: {version:?}");
            assert!(cost >= Pico::ZERO, "{cost} of {version:?}");
        }
        if tier == ServiceTier::Standard {
            assert_eq!(cost.map(Pico::get), sum(version, usage), "{usage:?} of {version:?}");
        }
    }
    for region in version.regions() {
        assert!(version.in_region(region).is_ok(), "{region} of {version:?}");
    }
}

/// The cost by the prices' own texts, price by price.
fn sum(version: &PriceVersion, usage: &Usage) -> Option<i128> {
    let counts = usage.counts();
    let total = usage.input_total();
    if total == u64::MAX || usage.output_total() == u64::MAX {
        return None;
    }
    let prices = version.prices(total);
    let names = METERS.iter().map(|meter| match meter.field {
        "cached_input" => "cached",
        "per_image" => "images",
        "per_audio_second" => "audio_ms",
        "per_character" => "characters",
        "per_search" => "searches",
        same => same,
    });
    METERS.iter().zip(names).try_fold(0_i128, |sum, (meter, name)| {
        let place = Usage::NAMES.iter().position(|known| *known == name).expect("a bucket of this name");
        let count = counts.get(place).copied().unwrap_or_default();
        match prices.get(meter.field) {
            Some(price) => sum.checked_add(i128::from(price.pico()) * i128::from(count)),
            None => (count == 0).then_some(sum),
        }
    })
}

fn check_rewritten(version: &PriceVersion) {
    let entry = NewEntry::of(version);
    let file = file_head(&version.provider, "https://prices.test", "2026-01-01") + &entry.write(LATER);
    let again = Catalog::parse(&[("prices.toml", &file)]);
    let again = again.as_ref().map(|catalog| catalog.find(&version.provider, &version.model, at(LATER)));
    let again = again.map(|found| found.map(|version| NewEntry::of(&version)));
    assert_eq!(again, Ok(Some(entry)), "{file}");
}

/// Another's list: what it became is a price file without mistakes.
fn check_import(list: Result<import::Import, import::ImportError>) {
    let list = match list {
        Ok(list) => list,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    if list.entries.is_empty() {
        return;
    }
    let entries: String = list.entries.iter().map(|entry| entry.write(LATER)).collect();
    let file = file_head("acme", "https://prices.test", "2026-01-01") + &entries;
    match Catalog::parse(&[("prices.toml", &file)]) {
        Ok(catalog) => {
            for entry in &list.entries {
                assert!(
                    catalog.find("acme", &entry.model, at(LATER)).is_some(),
                    "{} is lost: {file}",
                    entry.model
                );
            }
        }
        Err(mistakes) => assert!(mistakes.is_empty(), "{mistakes:?} in {file}"),
    }
}

/// One amount, as every reader of amounts takes it.
fn check_amount(text: &str) {
    let exact = Decimal::read(text);
    let bare = exact.clone().filter(|_| !text.contains(['e', 'E']));
    check_money(text, bare.as_ref());
    for digits in [0, 4, 9, 12] {
        let read = scaled(text, digits);
        let shifted = exact.clone().map(|exact| exact.shifted(i64::from(digits)));
        let whole = shifted.as_ref().and_then(Decimal::whole);
        match read {
            Some(read) => {
                assert_eq!(whole.or(Some(read.whole)), Some(read.whole), "{text} by ten to the {digits}");
                assert_eq!(shifted.map(|shifted| shifted.has_decimals(0)), Some(read.is_exact), "{text}");
            }
            // What fits into the sum of a bill is read: a number of twenty digits, of which some are zeros in front.
            None => assert!(whole.is_none() || text.len() > 30, "{text} by ten to the {digits} is not read"),
        }
        let cost = Pico::of_number(text, digits).map(Pico::get);
        if let (Some(cost), Some(exact)) = (cost, exact.clone()) {
            let exact = exact.shifted(12 - i64::from(digits));
            let up = i128::from(!exact.has_decimals(0) && !text.starts_with('-'));
            assert_eq!(exact.whole().map(|whole| whole + up), Some(cost), "{text}");
        }
    }
    for meter in METERS {
        if let Ok(price) = meter.read(text) {
            let written = meter.write(price);
            assert_eq!(meter.read(&written), Ok(price), "{} of {text}, written {written}", meter.field);
            assert_eq!(Decimal::read(&written), bare, "{} of {text}", meter.field);
        }
    }
    if let Some(price) = Price::per_unit(text) {
        assert_eq!(Price::per_unit(&price.to_per_unit()), Some(price), "{text}");
        assert_eq!(Decimal::read(&price.to_per_unit()), bare, "{text}");
    }
    if let Some(factor) = Factor::read(text) {
        assert_eq!(Factor::read(&factor.to_string()), Some(factor), "{text}");
        assert_eq!(Decimal::read(&factor.to_string()), bare, "{text}");
    }
}

fn check_money(text: &str, bare: Option<&Decimal>) {
    match text.parse::<Money>() {
        Ok(money) => {
            let nano = bare.map(|bare| bare.clone().shifted(9));
            assert_eq!(nano.as_ref().and_then(Decimal::whole), Some(i128::from(money.nano())), "{text}");
            assert!(nano.is_some_and(|nano| nano.has_decimals(0)), "{text} was cut");
            let written = money.to_string();
            assert_eq!(written.parse(), Ok(money), "{text} written {written}");
            assert_eq!(Decimal::read(&written).as_ref(), bare, "{text} written {written}");
            let pico = Pico::new(i128::from(money.nano()) * 1_000);
            assert_eq!(pico.ceil_to_money(), Some(money), "{text}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let fits = |bare: &Decimal| {
                let nano = bare.clone().shifted(9);
                nano.has_decimals(0) && nano.whole().is_some_and(|nano| i64::try_from(nano).is_ok())
            };
            // Zeros behind the ninth decimal are refused as decimals, too.
            assert!(text.len() > 30 || !bare.is_some_and(fits) || decimals(text) > 9, "{text} is refused");
        }
    }
}

fn decimals(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, decimals)| decimals.len())
}
