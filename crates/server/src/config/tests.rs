//! The configuration: the sample, the defaults, and every mistake at once.

use super::*;

fn environment() -> Environment {
    Environment::from([("OPENAI_API_KEY", "sk-test"), ("OLLAMA_HOST", "0.0.0.0"), ("EMPTY", " ")])
}

#[test]
fn the_sample_is_the_default() {
    let sample = Config::parse(DEFAULT, &Environment::default()).unwrap();
    let default = Config::load(None, &Environment::default()).unwrap();
    assert_eq!(format!("{sample:?}"), format!("{default:?}"));
    assert_eq!(default.listen.to_string(), "127.0.0.1:4400");
    assert_eq!(default.durability, Durability::Power);
    let sweep = default.sweep;
    assert_eq!((sweep.every.as_secs(), sweep.warn_seconds, sweep.hold_seconds), (30, 1_209_600, 7_200));
    assert_eq!((default.explain.recorded, default.explain.keep_days), (Recorded::All, 30));
    assert!(default.offers.simulated && default.offers.environment);
}

#[test]
fn the_examples_in_the_sample_are_valid_when_uncommented() {
    let uncommented: String = DEFAULT
        .lines()
        .skip_while(|line| !line.starts_with("# [offers]"))
        .filter(|line| line.starts_with("# ") && (line.contains('=') || line.contains('[') || *line == "# ]"))
        .filter(|line| !line.starts_with("# # "))
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    let config = Config::parse(&uncommented, &environment())
        .unwrap_or_else(|errors| panic!("{uncommented}\n{errors}"));
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].contract.as_ref().unwrap().owner, "Example Ltd");
    assert_eq!(&*config.routes[0].model, "gpt-5.4");
    assert_eq!(&*config.routes[0].targets[0].label, "openai/gpt-5.4");
    assert!(config.offers.simulated, "said explicitly in the sample");
}

#[test]
fn the_environment_offers_what_it_has_keys_for() {
    let config = Config::load(None, &environment()).unwrap();
    let names: Vec<&str> = config.routes.iter().map(|route| &*route.model).collect();
    assert!(names.contains(&"gpt-5.4") && names.contains(&"text-embedding-3-small"), "{names:?}");
    assert!(names.contains(&"ollama/*"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("claude")), "{names:?}");
    let ollama = config.routes.iter().find(|route| &*route.model == "ollama/*").unwrap();
    assert_eq!(ollama.targets[0].provider.uri("/models").unwrap(), "http://127.0.0.1:11434/v1/models");
    let written = Config::parse(
        "[[providers]]\nname = \"a\"\ndialect = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"",
        &environment(),
    );
    assert!(written.unwrap().routes.is_empty(), "a written provider switches the offers off");
}

#[test]
fn every_mistake_is_reported_at_once() {
    let text = r#"
        [server]
        listen = "here"
        worker = 3
        request_bytes_max = "big"
        [ledger]
        durability = "eternal"
        sweep_seconds = 0
        hold_timeout_minutes = 0
        [explain]
        record = "some"
        keep_days = 0
        [[providers]]
        name = "a"
        dialect = "openai"
        base_url = "api.example.com"
        [[providers]]
        name = "b"
        dialect = "klingon"
        base_url = "http://127.0.0.1:1/v1"
        api_key = "sk-this-is-a-value"
        contract = { owner = "me" }
        [[providers]]
        name = "c"
        dialect = "openai"
        base_url = "http://127.0.0.1:1/v1"
        api_key = "env:EMPTY"
        [[routes]]
        model = "x"
        targets = [{ provider = "nobody", model = "y" }, { provider = "c", model = "y", price = { input = "a lot", output = "1" } }]
        [[routes]]
        targets = []
    "#;
    let errors = Config::parse(text, &environment()).unwrap_err().0;
    for expected in [
        "server.listen: `here` is not an address",
        "server.worker: unknown name; did you mean `workers`?",
        "server.request_bytes_max: expected a whole number, found string",
        "ledger.durability: must be \"power\" or \"process\", is \"eternal\"",
        "ledger.sweep_seconds: ",
        "ledger.hold_timeout_minutes: ",
        "explain.record: must be \"all\" or \"refused\" or \"none\", is \"some\"",
        "explain.keep_days: ",
        "providers[0]",
        "providers[1].dialect: must be \"openai\", is \"klingon\"",
        "providers[1].api_key: must be a reference",
        "providers[1].contract.payer: is missing",
        "providers[2].api_key: the environment variable EMPTY is not set",
        "routes[0].targets[0].provider: there is no [[providers]] named `nobody`",
        "routes[0].targets[1].price: ",
        "routes[1].model: is missing",
        "routes[1].targets: at least one target is needed",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}\nnot in {errors:#?}");
    }
    assert!(!errors.concat().contains("sk-this-is-a-value"));
    assert!(Config::parse("[server", &environment()).is_err());
}
