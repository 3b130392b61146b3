//! `tollkeeper prices` and `tollkeeper tokens` as processes: what is typed, what comes, and with which exit code.

use crate::harness::{inside, tollkeeper};
use serde_json::Value;

const LIST: &str = r#"{"acme/a":{"litellm_provider":"acme","mode":"chat","input_cost_per_token":1.25e-06,"output_cost_per_token":1e-05,"input_cost_per_token_above_200k_tokens":2.5e-06,"output_cost_per_token_above_200k_tokens":1.5e-05,"regional_processing_uplift_multiplier_eu":1.1},
"acme/b":{"litellm_provider":"acme","mode":"chat","tiered_pricing":[]}}"#;

/// Runs a line that must end with this code, and reads what it printed.
fn json(line: &str, code: i32) -> Value {
    let (ended, data, said) = tollkeeper(line, &[]);
    assert_eq!(ended, code, "{line}: {data}{said}");
    serde_json::from_str(&data).unwrap()
}

/// Runs a line that must fail with this code; what it said.
fn fails(line: &str, code: i32) -> String {
    let (ended, data, said) = tollkeeper(line, &[]);
    assert_eq!((ended, data.as_str()), (code, ""), "{line}: {said}");
    said
}

#[test]
fn a_list_is_imported_compared_changed_and_has_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let (list, file, own) = (
        inside(folder.path(), "list.json"),
        inside(folder.path(), "acme.toml"),
        inside(folder.path(), "own.toml"),
    );
    std::fs::write(&list, LIST).unwrap();
    let import = format!("prices import --from litellm {list} --valid-from 2026-11-21 --to");
    let done = json(&format!("{import} {file} --provider acme"), 0);
    assert_eq!(done["models"], serde_json::json!(["a"]));
    assert_eq!(done["skipped"][0]["model"], "acme/b");
    assert_eq!(done["skipped"][0]["reason"], "has `tiered_pricing`, which a price file cannot say");
    assert!(fails(&format!("{import} {file} --provider acme"), 1).contains("never replaced"));
    assert!(fails(&format!("{import} {own} --provider nobody"), 1).contains("it has acme"));
    assert!(fails(&format!("{import} {own}"), 2).contains("say which with --provider"));
    let other = import.replace("litellm ", "toml ");
    assert!(fails(&format!("{other} {own} --provider acme"), 2).contains("possible values"));

    // A new version changes what is named; prices of long inputs must be stated with the others.
    let set = "prices set acme/a --valid-from 2027-01-01";
    assert!(
        fails(&format!("{set} --file {file} input=1.50"), 2).contains("state them, too: above.200000.input")
    );
    let done = json(
        &format!("{set} --file {file} input=1.50 above.200000.input=3.00 tiers.flex=0.5 per_search=0.01"),
        0,
    );
    assert_eq!(done["price_version"], "acme/a@2027-01-01");
    for (typed, why) in [
        ("input", "is not FIELD=VALUE"),
        ("inptu=1", "names no price; there are input, cached_input"),
        ("input=one", "is not a decimal amount"),
        ("tiers.quick=2", "names no tier"),
        ("regions.eu=1.12345", "is no multiple"),
        ("above.x.input=1", "names no number of tokens"),
    ] {
        let said = fails(&format!("prices set acme/a --valid-from 2027-02-01 --file {file} {typed}"), 2);
        assert!(said.contains(why), "{typed}: {said}");
    }
    // The past is not edited: neither the same day nor an earlier one.
    assert!(fails(&format!("{set} --file {file} per_search=0.02"), 6).contains("same `valid_from`"));
    let early = format!("prices set acme/a --valid-from 2026-12-01 --file {file} per_search=0.02");
    assert!(fails(&early, 2).contains("would not be the last version"));

    let history = json(&format!("prices history acme/a --with {file}"), 0);
    let changes = history["data"][1]["changes"].as_array().unwrap();
    let said: Vec<String> = changes
        .iter()
        .map(|change| format!("{} {} {}", change["field"], change["old"], change["new"]))
        .collect();
    assert_eq!(
        said,
        [
            r#""input" "1.25" "1.50""#,
            r#""above.200000.input" "2.50" "3.00""#,
            r#""per_search" null "0.01""#,
            r#""tiers.flex.input" null "0.75""#,
            r#""tiers.flex.output" null "5.00""#,
            r#""tiers.flex.above.200000.input" null "1.50""#,
            r#""tiers.flex.above.200000.output" null "7.50""#,
        ]
    );
    // A changed price drops the tiers that were multiples of the old one.
    let done = json(
        &format!("prices set acme/a --valid-from 2027-02-01 --file {file} output=11 above.200000.output=16"),
        0,
    );
    assert_eq!(done["dropped_tiers"], serde_json::json!(["flex"]));
    let then = json(&format!("prices show acme/a --at 2027-01-15 --with {file}"), 0);
    assert_eq!(then["price_version"], "acme/a@2027-01-01");
    assert!(
        fails(&format!("prices show acme/a --at 2026-11-01 --with {file}"), 5).contains("at that moment")
    );
}

#[test]
fn the_catalogue_is_listed_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let own = inside(folder.path(), "own.toml");
    let listed = json("prices list --provider simulated", 0);
    let models: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    let known = [
        "embed",
        "image",
        "large",
        "moderate",
        "picture",
        "small",
        "speech",
        "transcribe",
        "voice",
        "whisper",
    ];
    assert_eq!(models, known.map(|name| Value::from(format!("sim-{name}"))).each_ref());
    assert!(fails("prices list --provider nobody", 5).contains("there are those of anthropic"));
    assert!(fails("prices show simulated/nothing", 5).contains("there is no price"));
    assert!(fails("prices show gpt-5.4", 2).contains("names no provider"));
    let now = json("prices history gemini/gemini-4-argon", 0);
    assert_eq!(now["data"][1]["valid_from"], "2026-12-01T00:00:00.000000Z");
    assert_eq!(
        now["data"][1]["changes"][0],
        serde_json::json!({"field": "input", "old": "2.00", "new": "4.00"})
    );

    json(&format!("prices set simulated/sim-embed --valid-from 2027-01-01 --file {own} input=0.20"), 0);
    let (code, data, said) = tollkeeper(&format!("prices diff {own}"), &[]);
    let differs: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(code, 6, "{said}");
    assert_eq!(
        differs["data"],
        serde_json::json!([{"model": "simulated/sim-embed", "field": "input", "old": "0.10", "new": "0.20"}])
    );
    assert_eq!(json(&format!("prices diff {own} {own}"), 0)["data"], serde_json::json!([]));
    std::fs::write(&own, "provider = 'p'\n").unwrap();
    assert!(fails(&format!("prices diff {own}"), 6).contains("`models` is missing"));
    assert!(fails("prices diff /nowhere/prices.toml", 1).contains("/nowhere/prices.toml"));
}

#[test]
fn tokens_are_counted_and_said_to_be_exact_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = inside(folder.path(), "text");
    std::fs::write(&file, "You miss 100% of the shots you don't take").unwrap();
    let count = |options: &str| {
        let counted = json(&format!("tokens count{options}"), 0);
        (counted["tokens"].clone(), counted["encoding"].clone(), counted["exact"].clone())
    };
    let saying = |tokens: u64, encoding: &str, exact: bool| (tokens.into(), encoding.into(), exact.into());
    assert_eq!(count(&format!(" --file {file}")), saying(11, "o200k_base", true));
    assert_eq!(count(&format!(" --file {file} --model gpt-4")), saying(12, "cl100k_base", true));
    assert_eq!(count(&format!(" --file {file} --model claude-opus-5")), saying(11, "o200k_base", false));
    assert_eq!(count(" shots"), saying(1, "o200k_base", true));
    // Standard input is empty here.
    assert_eq!(count(""), saying(0, "o200k_base", true));
    std::fs::write(&file, [b'a', 0xff]).unwrap();
    assert!(fails(&format!("tokens count --file {file}"), 1).contains("is not UTF-8, from byte 1 on"));
    assert!(fails(&format!("tokens count a --file {file}"), 2).contains("cannot be used with"));
}
