//! Other people's price lists, small ones in their true shape, against the price files that must come of them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use tollkeeper_pricing::import::{Import, ImportError, litellm, models_dev, openrouter};
use tollkeeper_pricing::{Catalog, file_head};

const LITELLM: &str = include_str!("lists/litellm.json");
const MODELS_DEV: &str = include_str!("lists/models_dev.json");
const OPENROUTER: &str = include_str!("lists/openrouter.json");

/// The price file of an import, and below it what it does not hold.
fn told(import: &Import) -> String {
    let mut text = file_head("acme", "a test", "2026-11-21");
    for entry in &import.entries {
        write!(text, "\n{}", entry.write("2026-11-21")).unwrap();
    }
    let catalog = Catalog::parse(&[("written", &text)]).unwrap();
    let found = catalog.models("acme", domain::Timestamp::MAX).count();
    assert_eq!(found, import.entries.len(), "a price file takes every entry");
    text.push('\n');
    for (model, why) in &import.skipped {
        writeln!(text, "# not taken: {model} {why}").unwrap();
    }
    for (model, fields) in &import.left_out {
        writeln!(text, "# left out of {model}: {}", fields.join(", ")).unwrap();
    }
    text
}

#[test]
fn lists_become_price_files() {
    for (name, import, expected) in [
        ("litellm", litellm(LITELLM, "acme"), include_str!("lists/litellm.toml")),
        ("models.dev", models_dev(MODELS_DEV, "acme"), include_str!("lists/models_dev.toml")),
        ("openrouter", openrouter(OPENROUTER), include_str!("lists/openrouter.toml")),
    ] {
        let told = told(&import.unwrap());
        assert_eq!(told, expected, "{name} became:\n{told}");
    }
}

#[test]
fn another_file_and_another_provider_are_told_apart() {
    for (error, expected) in [
        (litellm("[]", "acme"), "this is not LiteLLM's model_prices_and_context_window.json: "),
        (litellm(LITELLM, "nobody"), "the list has no provider `nobody`; it has acme, other"),
        (models_dev("{", "acme"), "this is not models.dev's api.json: "),
        (models_dev(MODELS_DEV, "nobody"), "the list has no provider `nobody`; it has acme, other"),
        (openrouter(LITELLM), "this is not OpenRouter's list of models: "),
    ] {
        let error: ImportError = error.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
