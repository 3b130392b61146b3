//! The compiled-in catalogue, dated changes, and every mistake a price file can hold.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Price, ServiceTier, Timestamp};

use super::{NOW, listed, moment};
use crate::{Catalog, METERS, ModelKind, NewEntry, PriceSet, PriceVersion, RoutePrice, Schedule, file_head};

#[test]
fn the_compiled_in_catalogue_holds_every_file_and_forty_models() {
    let catalog = Catalog::embedded().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../prices");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(catalog.providers().map(str::to_owned).collect::<BTreeSet<_>>(), files);
    let models = catalog.providers().map(|provider| catalog.models(provider, moment(NOW)).count());
    assert!(models.sum::<usize>() >= 40);
    let simulated: Vec<&str> =
        catalog.models("simulated", moment(NOW)).map(|version| version.model.as_str()).collect();
    assert_eq!(
        simulated,
        ["sim-embed", "sim-image", "sim-large", "sim-moderate", "sim-picture", "sim-small"]
    );
}

/// Catches a slip of the point and a swapped field: the dearest model on the market costs less than the bound, a
/// cache write at most twice the input and a longer one two and a half times, an answer no less than a question, a step
/// no less than what it replaces, a cheap tier no more than the standard one and a dear one no less.
#[test]
fn listed_prices_are_plausible() {
    let catalog = Catalog::embedded().unwrap();
    let dearest = Price::per_million("500").unwrap();
    let mut ids = BTreeSet::new();
    for version in catalog.providers().flat_map(|provider| every_version(&catalog, provider)) {
        let PriceVersion { id, standard, tiers, context, .. } = &*version;
        assert!(ids.insert(id.clone()), "{id} twice");
        for ladder in std::iter::once(standard).chain(tiers.values()) {
            for set in ladder.sets() {
                plausible(set, &dearest, id);
            }
            // A dear tier that takes the standard prices beyond a length may become cheaper there.
            let own = std::ptr::eq(ladder, standard) || ladder.steps != standard.steps;
            let rises = |name: &str| !own || ladder.sets().is_sorted_by_key(|set| set.get(name));
            assert!(["input", "cached_input", "cache_write", "output"].into_iter().all(rises), "{id}");
            assert!(ladder.steps.iter().all(|step| Some(step.input_tokens) < *context), "{id}");
        }
        for (tier, ladder) in tiers {
            let usual = standard.base.get("input").cmp(&ladder.base.get("input"));
            let expected = match tier {
                ServiceTier::Flex | ServiceTier::Batch => Ordering::Greater,
                ServiceTier::Standard => Ordering::Equal,
                ServiceTier::Priority | ServiceTier::Ultrafast => Ordering::Less,
            };
            assert_eq!(usual, expected, "{id} {tier}");
        }
    }
}

fn plausible(set: &PriceSet, dearest: &Price, id: &str) {
    let price = |name: &str| set.get(name).unwrap_or(Price::FREE);
    let tokens = METERS.iter().filter(|meter| meter.is_tokens());
    assert!(tokens.clone().all(|meter| price(meter.field) <= *dearest), "{id}");
    let (input, write) = (price("input"), price("cache_write"));
    if set.get("input").is_none() {
        return assert!(set.iter().any(|(_, price)| price.is_some_and(|price| price.pico() > 0)), "{id}");
    }
    // What is free is so by a zero that is written down, and only what is free everywhere.
    assert!(input.pico() > 0 || id.contains("moderat"), "{id}");
    assert!(input <= price("output"), "{id}");
    assert!(price("cached_input") <= input && input <= price("audio_input"), "{id}");
    assert!(input <= write && write.pico() <= input.pico().saturating_mul(2), "{id}");
    let long = price("cache_write_long").pico().saturating_mul(2);
    assert!(write <= price("cache_write_long") && long <= input.pico().saturating_mul(5), "{id}");
    assert!(price("per_search") <= Price::of_one("0.05", 12).unwrap(), "{id}");
}

/// Each entry of a provider, whenever it holds.
fn every_version(catalog: &Catalog, provider: &str) -> Vec<Arc<PriceVersion>> {
    let models = catalog.models(provider, Timestamp::MAX);
    let schedules = models.filter_map(|version| catalog.schedule(provider, &version.model));
    schedules.flat_map(|schedule| schedule.versions.clone()).collect()
}

#[test]
fn facts_beside_the_price_are_read() {
    let version = listed("openai", "gpt-5", moment(NOW));
    assert_eq!(&*version.id, "openai/gpt-5@2026-11-12");
    assert_eq!((version.provider.as_str(), version.model.as_str()), ("openai", "gpt-5"));
    assert_eq!((version.context, version.max_output), (Some(272_000), Some(128_000)));
    assert_eq!((version.valid_from, version.ends), (None, Some(moment("2026-12-11"))));
    assert_eq!(version.kind, ModelKind::Chat);
    assert_eq!(listed("openai", "text-embedding-3-small", moment(NOW)).kind, ModelKind::Embedding);
}

#[test]
fn a_dated_change_holds_from_its_first_microsecond() {
    let first = moment("2026-12-01");
    let last = first.plus_micros(-1);
    for (model, at, id, input) in [
        ("gemini-4-argon", Timestamp::from_micros(0), "gemini/gemini-4-argon@2026-11-12", "2.00"),
        ("gemini-4-argon", last, "gemini/gemini-4-argon@2026-11-12", "2.00"),
        ("gemini-4-argon", first, "gemini/gemini-4-argon@2026-12-01", "4.00"),
        ("gemini-4-argon", Timestamp::MAX, "gemini/gemini-4-argon@2026-12-01", "4.00"),
        ("gemini-3.8-flash", first, "gemini/gemini-3.8-flash@2026-11-12", "0.75"),
        ("gemini-3.8-flash", moment("2027-01-01"), "gemini/gemini-3.8-flash@2027-01-01", "1.50"),
    ] {
        let version = listed("gemini", model, at);
        assert_eq!(&*version.id, id, "{model} at {at}");
        assert_eq!(version.prices(1).get("input").unwrap().to_per_million(), input, "{model} at {at}");
    }
}

const DATED: &str = r#"
    provider = "acme"
    source = "a test"
    retrieved = "2026-11-12"
    [[models]]
    id = "m"
    valid_from = "2027-01-01T12:00:00Z"
    input = "3"
    output = "3"
    [[models]]
    id = "m"
    valid_from = "2026-12-01"
    input = "2"
    output = "2"
"#;

#[test]
fn entries_count_by_date_and_not_by_their_order_in_the_file() {
    let catalog = Catalog::parse(&[("test", DATED)]).unwrap();
    for (at, id) in [
        ("2026-11-30T23:59:59.999999Z", None),
        ("2026-12-01", Some("acme/m@2026-12-01")),
        ("2027-01-01T11:59:59.999999Z", Some("acme/m@2026-12-01")),
        ("2027-01-01T12:00:00Z", Some("acme/m@2027-01-01T12:00:00Z")),
    ] {
        let found = catalog.find("acme", "m", moment(at)).map(|version| version.id.to_string());
        assert_eq!(found.as_deref(), id, "{at}");
        assert_eq!(catalog.models("acme", moment(at)).count(), usize::from(id.is_some()), "{at}");
    }
}

#[test]
fn only_the_exact_model_is_found_but_for_options_behind_a_question_mark() {
    let catalog = Catalog::embedded().unwrap();
    for (provider, model, found) in [
        ("simulated", "sim-small", Some("simulated/sim-small@2026-11-12")),
        ("simulated", "sim-small?fault=hang;tps=50", Some("simulated/sim-small@2026-11-12")),
        ("simulated", "sim-smal", None),
        ("simulated", "sim-small-2", None),
        ("simulated", "?sim-small", None),
        ("simulated", "", None),
        ("openai", "sim-small", None),
        ("openai", "gpt-4o-2024-05-13", None),
        ("groq", "openai/gpt-oss-20b", Some("groq/openai/gpt-oss-20b@2026-11-12")),
        ("nobody", "gpt-4o", None),
    ] {
        let version = catalog.find(provider, model, moment(NOW));
        assert_eq!(version.map(|version| version.id.to_string()).as_deref(), found, "{provider} {model}");
    }
    assert_eq!(catalog.models("nobody", moment(NOW)).count(), 0);
}

#[test]
fn an_inline_price_makes_a_schedule_that_always_holds() {
    let price = RoutePrice { input: "1".to_owned(), ..RoutePrice::default() };
    let version = PriceVersion::from_route("acme", "e", &price, ModelKind::Embedding).unwrap();
    let schedule = Schedule::from(version.clone());
    for at in [Timestamp::from_micros(i64::MIN), Timestamp::MAX] {
        assert_eq!(schedule.at(at).map(|found| &**found), Some(&version));
    }
}

/// A file with one good entry, of model `m`, followed by more lines.
fn file(more: &str) -> String {
    format!(
        "provider = \"acme\"\nsource = \"a test\"\nretrieved = \"2026-11-12\"\n\
         [[models]]\nid = \"m\"\ninput = \"1\"\noutput = \"2\"\n{more}\n"
    )
}

/// All messages that a file earns.
fn check(text: &str, expected: &[&str]) {
    let errors = Catalog::parse(&[("p.toml", text)]).err().unwrap_or_default();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(messages, expected, "{text}");
}

#[test]
fn a_mistake_in_a_field_names_file_model_and_field() {
    check(&file(""), &[]);
    for (more, message) in [
        ("outptu = '1'", "`outptu` is not a known field; remove it or correct its spelling"),
        ("cached_input = 0.5", r#"`cached_input` is not a text; write the price in quotes, such as "2.50""#),
        ("cached_input = '-1'", "`cached_input`: `-1` is negative; a price is zero or more"),
        ("audio_input = '1e3'", "`audio_input`: `1e3` is not a decimal amount; write it like 5.00"),
        (
            "kind = 'picture'",
            r#"`kind` is `picture`; write "chat", "embedding", "moderation", "image", "speech" or "transcription""#,
        ),
        ("kind = 1", "`kind` is not a text with something in it"),
        ("context = '1M'", "`context` is not a whole number above zero"),
        ("context = 0", "`context` is not a whole number above zero"),
        ("max_output = -1", "`max_output` is not a whole number above zero"),
        ("ends = 'soon'", "`ends`: `soon` is not a date; write 2027-01-31 or 2027-01-31T12:00:00Z"),
        ("valid_from = 2027-01-01", "`valid_from` is not a text with something in it"),
        ("above = []", "`above` is not a list of tables with something in it"),
        ("above = [1]", "`above` is not a list of tables with something in it"),
    ] {
        check(&file(more), &[&format!("p.toml: `m` (models[0]): {message}")]);
    }
}

#[test]
fn a_mistake_in_a_step_names_the_step() {
    let missing = r#"is missing; write a price per million tokens such as "2.50", or "0" if it is free"#;
    let good = "input_tokens = 9, input = '1', output = '1'";
    for (more, field, problem) in [
        ("above = [{ input_tokens = 9, input = '1' }]", "above[0].output", missing),
        // What the model states, its steps must state: no silent fall back to the step's input price.
        (&format!("cached_input = '0.1'\nabove = [{{ {good} }}]"), "above[0].cached_input", missing),
        ("above = [{ input = '1', output = '1' }]", "above[0].input_tokens", "is missing"),
        (
            &format!("above = [{{ {good}, id = 1 }}]"),
            "above[0].id",
            "is not a known field; remove it or correct its spelling",
        ),
        (
            &format!("above = [{{ {good} }}, {{ {good} }}]"),
            "above[1].input_tokens",
            "is not above the step before it; list steps from short to long input, each once",
        ),
    ] {
        check(&file(more), &[&format!("p.toml: `m` (models[0]): `{field}` {problem}")]);
    }
}

#[test]
fn a_mistake_in_a_service_tier_or_region_names_it() {
    let missing = r#"is missing; write a price per million tokens such as "2.50", or "0" if it is free"#;
    let tiny = "makes no whole number of pico-dollars of `cached_input`; write the tier's prices out, one by one, or a price \
                with fewer decimals";
    let no_factor = r#"is not a multiple such as "0.5": a text with at most four decimals, at most "100""#;
    let no_tier = "is no service tier with a price of its own; write flex, batch, priority or ultrafast";
    for (more, field, problem) in [
        ("tiers = { standard = '1' }", "tiers.standard", no_tier),
        ("tiers = { quick = { input = '1', output = '1' } }", "tiers.quick", no_tier),
        ("tiers = { flex = 0.5 }", "tiers.flex", no_factor),
        ("tiers = { flex = '0.12345' }", "tiers.flex", no_factor),
        ("cached_input = '0.000001'\ntiers = { flex = '0.5' }", "tiers.flex", tiny),
        ("cached_input = '0.000001'\nregions = { eu = '1.1' }", "regions.eu", tiny),
        ("regions = { eu = 1.1 }", "regions.eu", no_factor),
        ("tiers = { batch = { input = '1' } }", "tiers.batch.output", missing),
        (
            "cached_input = '0.1'\ntiers = { batch = { input = '1', output = '1' } }",
            "tiers.batch.cached_input",
            missing,
        ),
        (
            "tiers = { batch = { input = '1', output = '1', above = [{ input_tokens = 9, input = '1' }] } }",
            "tiers.batch.above[0].output",
            missing,
        ),
    ] {
        check(&file(more), &[&format!("p.toml: `m` (models[0]): `{field}` {problem}")]);
    }
    check(
        "provider = 'acme'\nsource = 'a test'\nretrieved = '2026-11-12'\n[[models]]\nid = 'm'\nkind = 'speech'\n",
        &[
            "p.toml: `m` (models[0]): no price is written; write those that the provider charges by, such as `input` or \
             `per_image`",
        ],
    );
}

#[test]
fn a_mistake_in_another_entry_names_that_entry() {
    let missing = r#"is missing; write a price per million tokens such as "2.50", or "0" if it is free"#;
    for (entry, message) in [
        ("id = 'n'\noutput = '1'", format!("`n` (models[1]): `input` {missing}")),
        ("id = 'n'\ninput = '1'", format!("`n` (models[1]): `output` {missing}")),
        (
            "id = 'n'\ninput = '1'\nkind = 'embedding'\noops = 1",
            "`n` (models[1]): `oops` is not a known field; remove it or correct its spelling".to_owned(),
        ),
        ("input = '1'\noutput = '1'", "models[1]: `id` is missing".to_owned()),
        (
            "id = ''\ninput = '1'\noutput = '1'",
            "`` (models[1]): `id` is not a text with something in it".to_owned(),
        ),
        (
            "id = 'm'\ninput = '1'\noutput = '1'",
            "`m` (models[1]): another entry of this model has the same `valid_from`, or lacks it too; \
             give each its own date"
                .to_owned(),
        ),
        (
            "id = 'm'\ninput = '1'\noutput = '1'\nvalid_from = '2026-11-12'",
            "`m` (models[1]): `valid_from` is not after 2026-11-12T00:00:00.000000Z, the `retrieved` that the \
             model's undated entry stands for; leave `retrieved` as it was and date the entry later"
                .to_owned(),
        ),
    ] {
        check(&file(&format!("[[models]]\n{entry}")), &[&format!("p.toml: {message}")]);
    }
}

#[test]
fn mistakes_of_a_whole_file_are_told_with_their_place() {
    check(
        "",
        &[
            "p.toml: `provider` is missing",
            "p.toml: `source` is missing",
            "p.toml: `retrieved` is missing",
            "p.toml: `models` is missing",
        ],
    );
    let broken = Catalog::parse(&[("p.toml", "provider = \"acme\"\n\nsource = oops\n")]).unwrap_err();
    let [error] = broken.as_slice() else { panic!("{broken:?}") };
    assert!(error.to_string().starts_with("p.toml: line 3 is not TOML: "), "{error}");
}

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let first =
        "provider = \"\"\nsource = \"x\"\nretrieved = \"2026-13-01\"\nmodels = [{ id = \"m\", input = 1 }]";
    let twice = file("");
    let errors = Catalog::parse(&[("a.toml", first), ("b.toml", &twice), ("c.toml", &twice)]).unwrap_err();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "a.toml: `provider` is not a text with something in it",
            "a.toml: `retrieved`: `2026-13-01` is not a date; write 2027-01-31 or 2027-01-31T12:00:00Z",
            r#"a.toml: `m` (models[0]): `input` is not a text; write the price in quotes, such as "2.50""#,
            "a.toml: `m` (models[0]): `output` is missing; write a price per million tokens such as \"2.50\", \
             or \"0\" if it is free",
            "c.toml: `m` (models[0]): another entry of this model has the same `valid_from`, or lacks it too; \
             give each its own date",
        ]
    );
}

/// What `prices set` starts from: the entry of any price, written and read again, says and costs the same.
#[test]
fn every_listed_price_comes_back_from_its_text() {
    let catalog = Catalog::embedded().unwrap();
    for version in catalog.providers().flat_map(|provider| every_version(&catalog, provider)) {
        let text = format!(
            "{}\n{}",
            file_head(&version.provider, "a test", "2026-11-12"),
            NewEntry::of(&version).write("2027-06-01")
        );
        let read =
            Catalog::parse(&[("written", &text)]).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
        let again = read.find(&version.provider, &version.model, Timestamp::MAX).unwrap();
        let expected = PriceVersion {
            id: again.id.clone(),
            valid_from: again.valid_from,
            ends: None,
            ..PriceVersion::clone(&version)
        };
        assert_eq!(*again, expected, "{text}");
        assert!(again.changes(&version).iter().all(|change| change.field == "ends"), "{text}");
    }
}

#[test]
fn the_price_file_in_the_documentation_is_one() {
    let page = include_str!("../../../../docs/prices.md");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split_once("```")).unwrap().0;
    let catalog = Catalog::parse(&[("docs/prices.md", block)]).unwrap();
    assert_eq!(catalog.models("acme", Timestamp::MAX).count(), 1);
}

#[test]
fn looks_of_images_have_prices_of_their_own() {
    let image = |id: &str, price: &str| {
        format!("[[models]]\nid = \"{id}\"\nkind = \"image\"\nper_image = \"{price}\"\n")
    };
    let listed = [
        image("painter", "1"),
        image("1024-x-1024/painter", "2"),
        image("standard/1024-x-1792/painter", "3"),
        image("hd/1024-x-1024/painter", "4"),
        image("hd/painter", "5"),
        image("2k/painter", "6"),
        // Whoever made it is no look.
        image("acme/painter", "7"),
        image("hd/1024-x-1024/sketcher", "8"),
        image("plain", "9"),
    ]
    .concat();
    let file = format!("provider = \"p\"\nsource = \"a test\"\nretrieved = \"2026-11-12\"\n{listed}");
    let catalog = Catalog::parse(&[("p.toml", &file)]).unwrap();
    for (model, size, quality, found) in [
        ("painter", None, None, Some("1")),
        ("painter", None, Some("standard"), Some("1")),
        ("painter", Some("1024x1024"), None, Some("2")),
        ("painter", Some("1024x1024"), Some("standard"), Some("2")),
        ("painter", Some("1024x1792"), None, Some("3")),
        ("painter", Some("1024x1792"), Some("standard"), Some("3")),
        ("painter", Some("1024x1024"), Some("hd"), Some("4")),
        ("painter", None, Some("hd"), Some("5")),
        ("painter", Some("2k"), None, Some("6")),
        ("painter", Some("1024x1792"), Some("hd"), None),
        ("painter", Some("512x512"), None, None),
        ("painter", None, Some("low"), None),
        ("acme/painter", Some("512x512"), None, Some("7")),
        ("sketcher", Some("1024x1024"), Some("hd"), Some("8")),
        ("sketcher", None, None, None),
        ("plain", Some("512x512"), Some("hd"), Some("9")),
    ] {
        let schedule = catalog.schedule("p", model).unwrap();
        let price = schedule
            .of_image(moment(NOW), size, quality)
            .and_then(|version| version.prices(0).get("per_image"));
        let price = price.map(|price| price.to_per_unit());
        assert_eq!(price.as_deref(), found, "{model} {size:?} {quality:?}");
    }
}
