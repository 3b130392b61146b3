//! The configuration: the sample, the defaults, and every mistake at once.

use directory::{DataClass, Environment as Stage};
use domain::AccessClass;
use gateway::{Countries, Verified};

use super::*;

mod classes;
mod google;

/// The day on which the configurations of these tests are read.
const TODAY: &str = "2026-11-21";

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, &environment(), TODAY.parse().unwrap())
}

fn environment() -> Environment {
    Environment::from([("OPENAI_API_KEY", "sk-test"), ("OLLAMA_HOST", "0.0.0.0"), ("EMPTY", " ")])
}

#[test]
fn the_sample_is_the_default() {
    let sample = Config::parse(DEFAULT, &Environment::default(), TODAY.parse().unwrap()).unwrap();
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
    let config = parse(&uncommented).unwrap_or_else(|errors| panic!("{uncommented}\n{errors}"));
    assert_eq!(config.routes[0].targets[0].contract.owner, "Example Ltd");
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
    let written = parse(&provider(CONTRACT));
    assert_eq!(written.unwrap().routes.len(), 1, "a written provider switches the offers off");
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
        kind = "openai"
        base_url = "api.example.com"
        [[providers]]
        name = "b"
        kind = "klingon"
        base_url = "http://127.0.0.1:1/v1"
        api_key = "sk-this-is-a-value"
        contract = { owner = "me" }
        [[providers]]
        name = "c"
        kind = "openai"
        base_url = "http://127.0.0.1:1/v1"
        api_key = "env:EMPTY"
        [[providers]]
        name = "d"
        kind = "vllm"
        [[providers]]
        name = "e"
        kind = "groq"
        api_version = "x"
        [[routes]]
        model = "x"
        hedge_after_ms = 0
        targets = [{ provider = "nobody", model = "y" }, { provider = "c", model = "y", price = { input = "a lot", output = "1" }, retries = 11, weight = -1, capabilities = ["telepathy"] }]
        strategy = "fastest"
        substitution = "ignore"
        [routing]
        attempts = 0
        retry_percent = "ten"
        [[routes]]
        targets = []
        [[routes]]
        model = "z"
        hedge_after_ms = 800
        targets = [{ provider = "c", model = "z", price = { input = "1" } }]
    "#;
    let errors = parse(text).unwrap_err().0;
    for expected in [
        "server.listen: `here` is not an address",
        "server.worker: unknown name; did you mean `workers`?",
        "server.request_bytes_max: expected a whole number, found string",
        "ledger.durability: must be \"power\" or \"process\", is \"eternal\"",
        "ledger.sweep_seconds: ",
        "ledger.hold_timeout_minutes: ",
        "explain.record: must be \"all\" or \"refused\" or \"none\", is \"some\"",
        "explain.keep_days: ",
        "providers[0].base_url: `api.example.com` is not",
        "providers[1].kind: `klingon` is not one of openai, azure, anthropic, ",
        "providers[3].base_url: a provider of kind `vllm` needs one",
        "providers[4].api_version: `x` is no version; only kind = \"azure\" has one",
        "providers[1].api_key: must be a reference",
        "providers[0].contract: is missing; without one no data goes there. It states owner, payer, limits, support, \
         terms = { training, retention_days, region } and verified_on",
        "providers[1].contract.payer: is missing; name who pays",
        "providers[1].contract.terms.training: is missing; say whether",
        "providers[1].contract.terms.retention_days: is missing; say for how many days",
        "providers[1].contract.terms.region: is missing; say where",
        "providers[1].contract.verified_on: is missing; say on which day",
        "providers[2].api_key: the environment variable EMPTY is not set",
        "routes[0].targets[0].provider: there is no [[providers]] named `nobody`",
        "routes[0].targets[1].price: ",
        "routes[0].targets[1].retries: must be between 0 and 10, is 11",
        "routes[0].targets[1].weight: must be between 0 and 1000000, is -1",
        "routes[0].targets[1].capabilities: holds ",
        "routes[0].strategy: must be ",
        "routes[0].substitution: must be ",
        "routes[0].hedge_after_ms: must be between 1 and 86400000, is 0",
        "routes[2].hedge_after_ms: a second attempt goes to another target, and this route has one",
        "routing.attempts: must be between 1 and 20, is 0",
        "routing.retry_percent: expected a whole number, found string",
        "routes[1].model: is missing",
        "routes[1].targets: at least one target is needed",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}\nnot in {errors:#?}");
    }
    assert!(!errors.concat().contains("sk-this-is-a-value"));
    assert!(parse("[server").is_err());
}

/// Everything that a contract must say.
const CONTRACT: &str = r#"
    owner = "me"
    payer = "me"
    limits = "tier 1"
    support = "help"
    terms = { training = false, retention_days = 30, region = "EU" }
    verified_on = "2026-11-01"
"#;

/// A configuration with one provider, whose contract has these lines, and a route to it.
fn provider(contract: &str) -> String {
    format!(
        "[[routes]]\nmodel = \"m\"\ntargets = [{{ provider = \"a\", model = \"m\" }}]\n\
         [[providers]]\nname = \"a\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         [providers.contract]\n{contract}"
    )
}

/// The contract with one line in place of another, or one more.
fn contract(line: &str) -> String {
    let name = line.split('=').next().unwrap().trim();
    let other = |old: &&str| old.split('=').next().is_none_or(|field| field.trim() != name);
    let kept: Vec<&str> = CONTRACT.lines().filter(other).collect();
    format!("{}\n{line}\n", kept.join("\n"))
}

#[test]
fn a_contract_is_what_is_written_and_cautious_where_nothing_is() {
    let read = |text: &str| {
        let config = parse(&provider(text)).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        Contract::clone(&config.routes[0].targets[0].contract)
    };
    let plain = read(CONTRACT);
    let day = "2026-11-01".parse().unwrap();
    assert_eq!(plain.verified, Verified::On { day, days_max: 180 });
    assert_eq!(
        (plain.class, plain.data, &plain.countries),
        (AccessClass::Direct, DataClass::Internal, &Countries::All)
    );
    assert_eq!(plain.environments, Stage::ALL);
    let country = |code: &str| code.parse().unwrap();
    let trains = "terms = { training = true, retention_days = 0, region = \"EU\", text = \"a link\" }";
    assert_eq!(read(&contract(trains)).data, DataClass::Public);
    assert_eq!(read(&contract("data = \"sensitive\"")).data, DataClass::Sensitive);
    assert_eq!(read(&contract("environments = [\"dev\"]")).environments, [Stage::Dev]);
    assert_eq!(read(&contract("countries = [\"DE\"]")).countries, Countries::Only(vec![country("DE")]));
    assert_eq!(read(&contract("countries_not = [\"KP\"]")).countries, Countries::Except(vec![country("KP")]));
    // A day that has begun somewhere is no day of the future.
    assert!(parse(&provider(&contract("verified_on = \"2026-11-21\""))).is_ok());
    // What a programme pays for names the programme, which `pools.rs` reads.
    for class in AccessClass::ALL.iter().filter(|class| **class != AccessClass::Complimentary) {
        let text = provider(&contract(&format!("class = \"{}\"", class.as_str())));
        // What a free tier costs is stated.
        let text =
            text.replace("model = \"m\" }", "model = \"m\", price = { input = \"0\", output = \"0\" } }");
        assert_eq!(parse(&text).unwrap().routes[0].targets[0].contract.class, *class);
    }
    let shorter = format!("[contracts]\nstale_after_days = 7\n{}", provider(CONTRACT));
    let config = parse(&shorter).unwrap();
    let contract = &config.routes[0].targets[0].contract;
    assert_eq!(contract.verified, Verified::On { day, days_max: 7 });
    assert!(contract.is_stale(TODAY.parse().unwrap()), "stale, and no mistake");
}

#[test]
fn a_target_may_have_a_contract_of_its_own() {
    let own = "{ owner = \"you\", payer = \"you\", limits = \"-\", support = \"you\", verified_on = \"2026-11-01\", \
               terms = { training = true, retention_days = 1, region = \"US\" } }";
    let text = provider(CONTRACT).replace("model = \"m\" }", &format!("model = \"m\", contract = {own} }}"));
    let config = parse(&text).unwrap();
    assert_eq!(config.routes[0].targets[0].contract.owner, "you");
    // It is whole: nothing of the provider's is taken.
    let text =
        provider(CONTRACT).replace("model = \"m\" }", "model = \"m\", contract = { owner = \"you\" } }");
    let errors = parse(&text).unwrap_err().0;
    assert_eq!(errors.len(), 7, "{errors:#?}");
    assert!(errors.iter().all(|error| error.starts_with("routes[0].targets[0].contract.")), "{errors:#?}");
}

#[test]
fn mistakes_in_a_contract_name_the_field_and_the_fix() {
    for (line, field, fix) in [
        ("owner = \"\"", "owner", "is empty; name who owns the account"),
        ("owner = 3", "owner", "expected a text in quotes, found integer"),
        ("payer = \"  \"", "payer", "is empty; name who pays"),
        ("owner = \"Unknown\"", "owner", "\"Unknown\" is access class 2.10"),
        ("payer = \"someone else\"", "payer", "nobody can say who owns such a key"),
        ("limits = \"\"", "limits", "is empty; say which limits"),
        ("support = \"\"", "support", "is empty; say who helps"),
        ("terms = \"no training\"", "terms", "expected a table, found string"),
        ("terms = {}", "terms.training", "is missing; say whether the provider may train"),
        ("terms = { training = \"no\" }", "terms.training", "expected true or false, found string"),
        ("terms = { retention_days = -1 }", "terms.retention_days", "must be between 0 and 36500, is -1"),
        ("terms = { region = \"\" }", "terms.region", "is empty; say where"),
        ("terms = { retention = 30 }", "terms.retention", "unknown name"),
        ("verified_on = \"yesterday\"", "verified_on", "`yesterday` is not a day; write it as 2026-11-01"),
        ("verified_on = \"2026-11-01T12:00:00Z\"", "verified_on", "is not a day"),
        ("verified_on = 2026-11-01", "verified_on", "expected a text in quotes, found datetime"),
        ("verified_on = \"2026-11-22\"", "verified_on", "2026-11-22 is in the future (today is 2026-11-21)"),
        ("class = \"cheap\"", "class", "must be \"direct\" or \"trial\" or \"complimentary\""),
        (
            "class = \"copied\"",
            "class",
            "\"copied\" is access class 2.10, which cannot be configured: nobody can say",
        ),
        ("class = \"shared\"", "class", "\"shared\" is access class 2.10"),
        ("class = \"generated\"", "class", "Use a key of your own account"),
        ("class = \"chatgpt_plus\"", "class", "a subscription to an app, which is never API credit"),
        ("countries = [\"XX\"]", "countries[0]", "`XX` is not a country; write its two letters"),
        ("countries = []", "countries", "is empty; leave it out"),
        ("countries = \"DE\"", "countries", "expected a list of texts in quotes, found string"),
        ("countries_not = [\"DE\", 7]", "countries_not[1]", "expected a text in quotes, found integer"),
        ("countries = [\"DE\"]\ncountries_not = [\"FR\"]", "countries_not", "stands beside `countries`"),
        ("data = \"secret\"", "data", "`secret` is not a data class; write public, internal or sensitive"),
        (
            "environments = [\"production\"]",
            "environments[0]",
            "`production` is not an environment; write dev",
        ),
        ("environments = []", "environments", "is empty; leave it out"),
        ("dates = [\"dev\"]", "dates", "unknown name; did you mean `data`?"),
    ] {
        let errors = parse(&provider(&contract(line))).unwrap_err().0;
        let expected = format!("providers[0].contract.{field}: ");
        let found = errors.iter().any(|error| error.starts_with(&expected) && error.contains(fix));
        assert!(found, "{expected}{fix}\nnot in {errors:#?}");
    }
    for data in ["internal", "sensitive"] {
        let trains = contract("terms = { training = true, retention_days = 1, region = \"EU\" }");
        let errors = parse(&provider(&format!("{trains}data = \"{data}\""))).unwrap_err().0;
        let fix = "cannot stand beside terms.training = true";
        assert!(errors.len() == 1 && errors[0].starts_with("providers[0].contract.data: "), "{errors:#?}");
        assert!(errors[0].contains(fix), "{errors:#?}");
    }
    for days in ["0", "3651", "\"long\""] {
        let errors = parse(&format!("[contracts]\nstale_after_days = {days}")).unwrap_err().0;
        assert!(errors[0].starts_with("contracts.stale_after_days: "), "{errors:#?}");
    }
}

#[test]
fn offered_providers_have_contracts_and_what_is_unknown_is_kept_out() {
    let offered = |variables: [(&str, &str); 2]| {
        let config = Config::parse("", &Environment::from(variables), TODAY.parse().unwrap()).unwrap();
        let target = config.routes[0].targets[0].clone();
        (
            target.contract.class,
            target.contract.terms.training,
            target.contract.data,
            target.contract.verified,
        )
    };
    let checked = Verified::On { day: "2026-11-01".parse().unwrap(), days_max: 180 };
    let careful = (AccessClass::Direct, true, DataClass::Public, checked);
    let vendor = (AccessClass::Direct, false, DataClass::Internal, checked);
    let unknown = (AccessClass::Reseller, true, DataClass::Public, checked);
    let own = (AccessClass::SelfHosted, false, DataClass::Sensitive, Verified::Always);
    for (variable, value, expected) in [
        ("OPENAI_API_KEY", "sk-test", vendor),
        ("ANTHROPIC_API_KEY", "sk-test", vendor),
        ("GEMINI_API_KEY", "sk-test", careful),
        ("GROQ_API_KEY", "sk-test", vendor),
        ("MISTRAL_API_KEY", "sk-test", careful),
        ("DEEPSEEK_API_KEY", "sk-test", careful),
        ("XAI_API_KEY", "sk-test", vendor),
        ("OPENROUTER_API_KEY", "sk-test", unknown),
        ("OLLAMA_HOST", "127.0.0.1", own),
    ] {
        assert_eq!(offered([(variable, value), ("EMPTY", "")]), expected, "{variable}");
    }
    // Whoever answers elsewhere has not agreed to OpenAI's terms.
    let elsewhere = [("OPENAI_API_KEY", "sk-test"), ("OPENAI_BASE_URL", "https://example.com/v1")];
    assert_eq!(offered(elsewhere), unknown);
    let simulated = simulated_models("http://127.0.0.1:1/v1").unwrap();
    let contract = &simulated[0].targets[0].contract;
    assert_eq!((contract.class, contract.data, contract.verified), (own.0, own.2, own.3));
}

#[test]
fn providers_of_amazons_are_told_a_region_and_one_credential() {
    const BOTH: &str = "access_key_id = 'env:ID'\nsecret_access_key = 'env:SECRET'";
    let written = |kind: &str, lines: &str| {
        let lines =
            format!("[[providers]]\nname = 'a'\nkind = '{kind}'\n{lines}\n[providers.contract]\n{CONTRACT}");
        let environment = Environment::from([
            ("ID", "AKIDEXAMPLE"),
            ("SECRET", "s3cret"),
            ("ODD", "a b,c"),
            ("NL", "a\nb"),
        ]);
        let route = "[[routes]]\nmodel = 'm'\ntargets = [{ provider = 'a', model = 'eu.x-v1:0' }]\n";
        let parsed = Config::parse(&format!("{lines}{route}"), &environment, TODAY.parse().unwrap());
        parsed.map(|config| {
            let provider = Arc::clone(&config.routes[0].targets[0].provider);
            assert!(!format!("{provider:?}").contains("s3cret"));
            provider.address(dialect::Endpoint::Converse, "eu.x-v1:0", true).unwrap().to_string()
        })
    };
    let usual = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.x-v1%3A0/converse-stream";
    for (lines, address) in [
        ("region = 'eu-west-1'\napi_key = 'env:SECRET'".to_owned(), usual),
        (format!("region = 'eu-west-1'\n{BOTH}"), usual),
        (format!("region = 'eu-west-1'\n{BOTH}\nsession_token = 'env:SECRET'"), usual),
        (
            format!("region = 'eu-west-1'\nbase_url = 'http://127.0.0.1:1'\n{BOTH}"),
            "http://127.0.0.1:1/model/eu.x-v1%3A0/converse-stream",
        ),
        (
            "base_url = 'http://127.0.0.1:1'\napi_key = 'env:SECRET'".to_owned(),
            "http://127.0.0.1:1/model/eu.x-v1%3A0/converse-stream",
        ),
    ] {
        assert_eq!(written("bedrock", &lines), Ok(address.to_owned()), "{lines}");
    }
    for (kind, lines, mistakes) in [
        (
            "bedrock",
            String::new(),
            vec!["region: is missing; name the region", "api_key: is missing; give a key of"],
        ),
        (
            "bedrock",
            "region = 'EU west'\napi_key = 'env:SECRET'".to_owned(),
            vec!["region: `EU west` is no region of AWS"],
        ),
        ("bedrock", format!("base_url = 'http://x'\n{BOTH}"), vec!["region: is missing"]),
        (
            "bedrock",
            "region = 'r'\naccess_key_id = 'env:ID'".to_owned(),
            vec!["secret_access_key: is missing; an access"],
        ),
        (
            "bedrock",
            "region = 'r'\nsession_token = 'env:ID'".to_owned(),
            vec!["access_key_id: is missing", "secret_access_key: is missing"],
        ),
        (
            "bedrock",
            format!("region = 'r'\napi_key = 'env:SECRET'\n{BOTH}"),
            vec!["api_key: stands beside an access key"],
        ),
        (
            "bedrock",
            "region = 'r'\naccess_key_id = 'env:NONE'\nsecret_access_key = 's3cret'".to_owned(),
            vec![
                "access_key_id: the environment variable NONE is not set",
                "secret_access_key: must be a reference",
            ],
        ),
        (
            "bedrock",
            "region = 'r'\naccess_key_id = 'env:ODD'\nsecret_access_key = 'env:SECRET'".to_owned(),
            vec!["access_key_id: the value is no id of an access key"],
        ),
        (
            "bedrock",
            format!("region = 'r'\n{BOTH}\nsession_token = 'env:NL'"),
            vec!["session_token: the value has characters"],
        ),
        (
            "openai",
            format!("region = 'r'\n{BOTH}"),
            vec![
                "region: is out of place",
                "access_key_id: is out of place",
                "secret_access_key: is out of place",
            ],
        ),
    ] {
        let errors = written(kind, &lines).unwrap_err().0;
        for mistake in &mistakes {
            assert!(
                errors.iter().any(|error| error.starts_with(&format!("providers[0].{mistake}"))),
                "{mistake}\nnot in {errors:#?}"
            );
        }
        let own = errors.iter().filter(|error| error.starts_with("providers[0]")).count();
        assert_eq!(own, mistakes.len(), "{errors:#?}");
        assert!(!errors.concat().contains("s3cret"), "{errors:#?}");
    }
}

#[test]
fn the_examples_of_providers_are_valid() {
    let documented = include_str!("../../../../docs/providers.md");
    let environment =
        Environment::from([("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
    let mut labels = Vec::new();
    for block in documented.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        let config = Config::parse(example, &environment, TODAY.parse().unwrap()).unwrap();
        for target in config.routes.iter().flat_map(|route| &route.targets) {
            assert!(target.prices.is_some(), "{}", target.label);
            labels.push(target.label.to_string());
        }
    }
    assert_eq!(
        labels,
        [
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "vertex/gemini-2.5-pro",
            "vertex-claude/claude-sonnet-4-5@20250929",
        ]
    );
}

/// The table of kinds in the documentation is this one.
#[test]
fn every_kind_is_documented() {
    use providers::KINDS;

    let documented = include_str!("../../../../docs/providers.md");
    for kind in KINDS {
        let row = kind_row(kind);
        assert!(documented.contains(&row), "docs/providers.md has no line\n{row}");
    }
    let rows = documented.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, KINDS.len(), "docs/providers.md has a kind that there is not");
}

fn kind_row(kind: &providers::Kind) -> String {
    let fixed = kind.base_url.map(|base_url| format!("<{base_url}>"));
    let place = if kind.publisher.is_some() { "location" } else { "region" };
    let regional = || kind.base_url_in(place).map(|url| format!("`{url}`"));
    let address = fixed.or_else(regional).unwrap_or("`base_url`".to_owned());
    let header = kind.credential_headers().join("`, `");
    let endpoints: Vec<&str> = kind.endpoints.iter().map(|endpoint| endpoint.as_str()).collect();
    let mut done = Vec::new();
    if let Some(cap) = kind.manners.cap {
        done.push(format!("the cap on the answer is named `{cap}`"));
    }
    if !kind.manners.stream_options {
        done.push("`stream_options` is left out".to_owned());
    }
    if kind.manners.preferences {
        done.push("`provider` passes".to_owned());
    }
    if kind.has_deployments {
        done.push("with `api_version`, the model is a deployment in the path".to_owned());
    }
    if kind.signs() {
        done.push("with `access_key_id`, calls are signed".to_owned());
    }
    if let Some(publisher) = kind.publisher {
        done.push(format!("`{publisher}`'s models of the `project`; access tokens are had and renewed"));
    }
    if let Some(version) = kind.manners.version_in_body {
        done.push(format!("`anthropic_version` stands in the body, `{version}`"));
    }
    if !kind.openai_path.is_empty() {
        done.push(format!("embeddings go to `{}`, below the address", kind.openai_path));
    }
    let (endpoints, done) = (endpoints.join(", "), done.join("; "));
    format!("| `{}` | {address} | `{header}` | {endpoints} | {done} |", kind.name)
}

#[test]
fn price_files_and_regions_are_checked_with_the_rest() {
    let folder = std::env::temp_dir().join(format!("tollkeeper-prices-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let head = "provider = 'p'\nsource = 'a test'\nretrieved = '2026-11-12'\n";
    let good = write(
        "good.toml",
        &format!("{head}[[models]]\nid = 'm'\ninput = '1'\noutput = '2'\nregions.eu = '1.1'\n"),
    );
    let bad = write("bad.toml", &format!("{head}[[models]]\nid = 'n'\ninput = 1\n"));
    let route = |region: &str| {
        provider(&contract(""))
            .replace("provider = \"a\", model = \"m\"", &format!("provider = \"p\", model = \"m\"{region}"))
            .replace("name = \"a\"", "name = \"p\"")
    };
    let files = |path: &str| format!("[prices]\nfiles = ['{path}']\n");
    let id = |region: &str| {
        let config = parse(&format!("{}{}", files(&good), route(region))).unwrap();
        let version = config.routes[0].targets[0].prices.as_ref().unwrap().at(Timestamp::MAX).unwrap();
        (version.id.to_string(), version.prices(1).get("output").unwrap().to_per_million())
    };
    assert_eq!(id(""), ("p/m@2026-11-12".to_owned(), "2.00".to_owned()));
    assert_eq!(id(", region = 'eu'"), ("p/m@2026-11-12+eu".to_owned(), "2.20".to_owned()));
    for (text, mistakes) in [
        (
            format!("{}{}", files(&good), route(", region = 'us'")),
            vec![
                "routes[0].targets[0].region: the price p/m@2026-11-12 has no region `us`; it has eu"
                    .to_owned(),
            ],
        ),
        (
            files(&bad),
            vec![
                format!(
                    "prices.files: {bad}: `n` (models[0]): `input` is not a text; write the price in quotes, such as \"2.50\""
                ),
                format!(
                    "prices.files: {bad}: `n` (models[0]): `output` is missing; write a price per million tokens such as \"2.50\", or \"0\" if it is free"
                ),
            ],
        ),
        (
            "[prices]\nfile = []\n".to_owned(),
            vec!["prices.file: unknown name; did you mean `files`?".to_owned()],
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err().0, mistakes, "{text}");
    }
    let gone = parse(&files("/nowhere/prices.toml")).unwrap_err().0;
    assert!(gone[0].starts_with("prices.files: /nowhere/prices.toml: "), "{gone:?}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn keys_are_pooled_within_one_owners_account_only() {
    let provider = |name: &str, address: &str, owner: &str| {
        format!(
            "[[providers]]\nname = '{name}'\nkind = 'openai'\nbase_url = 'http://127.0.0.1:{address}/v1'\n\
             contract = {{ owner = '{owner}', payer = 'me', limits = '-', support = 'me', verified_on = '2026-11-01', \
             terms = {{ training = false, retention_days = 0, region = 'EU' }} }}\n"
        )
    };
    let price = "price = { input = '1', output = '2' }";
    // The second account's address, owner and model; whether both may serve a route.
    for (address, owner, model, may) in
        [("1", "me", "m", true), ("1", "you", "m", false), ("2", "you", "m", true), ("1", "you", "n", true)]
    {
        let text = format!(
            "{}{}[[routes]]\nmodel = 'm'\ntargets = [{{ provider = 'a', model = 'm', {price} }}, \
             {{ provider = 'b', model = '{model}', {price} }}]\n",
            provider("a", "1", "me"),
            provider("b", address, owner)
        );
        let read = parse(&text);
        assert_eq!(read.is_ok(), may, "{address} {owner} {model}: {:?}", read.err());
        if let Err(mistakes) = parse(&text) {
            let [mistake] = mistakes.0.as_slice() else { panic!("{mistakes:?}") };
            let start = "routes[0].targets: `a` and `b` are accounts of `me` and `you` at one provider";
            assert!(mistake.to_string().starts_with(start), "{mistake}");
        }
    }
}

#[test]
fn amounts_are_read_alike_everywhere() {
    const NEGATIVE: &str = "must not be negative";
    const NOTHING: &str = "must be above zero";
    // The table, the setting in it, what it says to nothing and to less than nothing.
    for (table, field, nothing, less) in [
        ("[free]", "free.credit_purchased", None, NEGATIVE),
        ("[byok]", "byok.free_value_per_month", None, NEGATIVE),
        ("[[tiers]]\nname = 'one'", "tiers[0].monthly_ceiling", None, NEGATIVE),
        ("[user_pays]", "user_pays.limit_default", Some(NOTHING), NOTHING),
        ("[payments]", "payments.amount_min", Some(NOTHING), NOTHING),
    ] {
        let name = field.rsplit('.').next().unwrap();
        for (written, problem) in [
            ("'1.00'", None),
            ("'0.00'", nothing),
            ("'-1'", Some(less)),
            ("'much'", Some("")),
            ("1", Some("expected a text in quotes, found integer")),
        ] {
            let read = parse(&format!("{table}\n{name} = {written}\n"));
            let found = read.err().map(|errors| errors.0).unwrap_or_default();
            let told = found.iter().any(|mistake| {
                problem.is_some_and(|problem| mistake.starts_with(&format!("{field}: {problem}")))
            });
            assert_eq!((told, found.is_empty()), (problem.is_some(), problem.is_none()), "{field} {found:?}");
        }
    }
}
