//! Access classes in the configuration: what each of them must say, and what is refused (mission section 2).

use directory::published_line;
use gateway::Substitution;

use super::*;

/// A provider with a contract of this owner and this class.
fn account(name: &str, key: &str, owner: &str, class: &str) -> String {
    format!(
        "[[providers]]\nname = '{name}'\nkind = 'openai'\nbase_url = 'http://127.0.0.1:1/v1'\napi_key = '{key}'\n\
         contract = {{ class = '{class}', owner = '{owner}', payer = 'me', limits = '-', support = 'me', \
         verified_on = '2026-11-01', terms = {{ training = false, retention_days = 0, region = 'EU' }} }}\n"
    )
}

/// What is wrong with a configuration, given these variables.
fn wrong<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Vec<String> {
    let read = Config::parse(text, &Environment::from(variables), TODAY.parse().unwrap());
    read.err().map(|errors| errors.0).unwrap_or_default()
}

#[test]
fn a_key_without_an_owner_is_refused() {
    let ownerless = account("a", "env:A", "me", "direct").replace("owner = 'me', ", "");
    let found = wrong(&ownerless, [("A", "sk-one")]);
    let expected = "providers[0].contract.owner: is missing; name who owns the account whose key is used";
    assert_eq!(found, [expected]);
}

#[test]
fn one_secret_has_one_owner() {
    // The owners of two providers, their secrets; whether they may stand side by side.
    for (owners, secrets, may) in [
        (["me", "me"], ["sk-one", "sk-one"], true),
        (["me", "you"], ["sk-one", "sk-two"], true),
        (["me", "you"], ["sk-one", "sk-one"], false),
        (["me", "you"], ["sk-one", " sk-one\n"], false),
    ] {
        let text = account("a", "env:A", owners[0], "direct") + &account("b", "env:B", owners[1], "direct");
        let found = wrong(&text, [("A", secrets[0]), ("B", secrets[1])]);
        assert_eq!(found.is_empty(), may, "{owners:?} {secrets:?}: {found:?}");
        if let [mistake] = found.as_slice() {
            let start = "providers[1].contract.owner: provider `b` has the same secret as provider `a` (providers[0])";
            assert!(mistake.starts_with(start) && mistake.contains("`you` and `me`"), "{mistake}");
        }
        assert!(found.len() < 2 && !found.concat().contains("sk-one"), "{found:?}");
    }
}

#[test]
fn a_target_with_another_owner_for_its_providers_secret_is_refused() {
    let own = "{ owner = 'you', payer = 'me', limits = '-', support = 'me', verified_on = '2026-11-01', \
               terms = { training = false, retention_days = 0, region = 'EU' } }";
    let targets = format!(
        "[[routes]]\nmodel = 'm'\ntargets = [{{ provider = 'a', model = 'm' }}, \
         {{ provider = 'a', model = 'n', contract = {own} }}]\n"
    );
    let found = wrong(&(account("a", "env:A", "me", "direct") + &targets), [("A", "sk-one")]);
    let [mistake] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        mistake.starts_with("routes[0].targets[1].contract.owner: provider `a` has the same secret"),
        "{mistake}"
    );
    // Without a key nothing is shared.
    let keyless = account("a", "env:A", "me", "direct").replace("api_key = 'env:A'\n", "");
    assert_eq!(wrong(&(keyless + &targets), []), [""; 0]);
}

#[test]
fn keys_that_are_known_to_be_published_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("published");
    let access = format!("[access]\npublished_keys = 'file:{}'\n", path.display());
    std::fs::write(&path, format!("# from a paste\n{}\n", published_line("sk-one"))).unwrap();
    let text =
        access.clone() + &account("a", "env:A", "me", "direct") + &account("b", "env:B", "me", "direct");
    assert_eq!(wrong(&text, [("A", "sk-two"), ("B", "sk-three")]), [""; 0]);
    let found = wrong(&text, [("A", "sk-two"), ("B", "sk-one")]);
    let [mistake] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        mistake.starts_with("providers[1].api_key: the key of env:B is known to be published"),
        "{mistake}"
    );
    assert!(!mistake.contains("sk-one"));
    // One that is offered without being written down, too.
    let found = wrong(&access, [("OPENAI_API_KEY", "sk-one")]);
    assert!(
        found[0].starts_with("environment, provider openai, api_key: the key of env:OPENAI_API_KEY"),
        "{found:?}"
    );

    // All of them are known to the gateway as its own.
    let variables = [("A", "sk-two"), ("B", "sk-three"), ("OPENAI_API_KEY", "sk-four")];
    let offered = text.clone() + "[offers]\nenvironment = true\n";
    let config = Config::parse(&offered, &Environment::from(variables), TODAY.parse().unwrap()).unwrap();
    for (secret, is_ours) in [("sk-two", true), ("sk-three", true), ("sk-four", true), ("sk-five", false)] {
        assert_eq!(config.operator_keys.has(secret), is_ours, "{secret}");
    }
    let list = directory::PublishedKeys::read(&published_line("sk-four")).unwrap();
    assert_eq!(config.operator_keys.note_published(&list), [("openai".into(), true)]);

    std::fs::write(&path, "nonsense\n\nABC\n").unwrap();
    let found = wrong(&access, []);
    assert_eq!(found.len(), 2);
    for (mistake, line) in found.iter().zip(["line 1", "line 3"]) {
        assert!(mistake.starts_with("access.published_keys: ") && mistake.contains(line), "{mistake}");
    }
    for (setting, expected) in [
        ("'/etc/keys'", "access.published_keys: must be a reference to a file"),
        ("'file:/nowhere/keys'", "access.published_keys: /nowhere/keys: "),
        ("3", "access.published_keys: expected a text in quotes"),
    ] {
        let found = wrong(&format!("[access]\npublished_keys = {setting}\n"), []);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    }
}

/// A configuration with one reseller, whose provider has these further lines, and a route with these.
fn resold(provider: &str, target: &str, route: &str) -> Result<Config, Vec<String>> {
    let account = account("shop", "env:A", "shop", "reseller");
    let text = format!(
        "{account}{provider}\n[[routes]]\nmodel = 'm'\n{route}\n\
         targets = [{{ provider = 'shop', model = 'gpt-5.4', {target} }}]\n"
    );
    let environment = Environment::from([("A", "sk-one")]);
    Config::parse(&text, &environment, TODAY.parse().unwrap()).map_err(|errors| errors.0)
}

const PRICED: &str = "price = { input = '5', output = '15' }";

#[test]
fn a_resellers_route_is_strict_and_carries_public_data() {
    let config = resold("", PRICED, "").unwrap();
    let route = &config.routes[0];
    assert_eq!(route.substitution, Substitution::Refuse);
    assert_eq!(route.targets[0].contract.data, DataClass::Public, "it does not say more");
    let config = resold("", PRICED, "substitution = 'alert'").unwrap();
    assert_eq!(config.routes[0].substitution, Substitution::Alert);
    let found = resold("", PRICED, "substitution = 'log'").unwrap_err();
    let expected =
        "routes[0].substitution: must be \"refuse\" or \"alert\" here, is \"log\": `shop/gpt-5.4` is a";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    // Those that are offered, too.
    let config = Config::load(None, &Environment::from([("OPENROUTER_API_KEY", "sk-or")])).unwrap();
    let offered = config.routes.iter().find(|route| &*route.model == "openrouter/*").unwrap();
    assert_eq!(offered.substitution, Substitution::Refuse);
}

#[test]
fn a_resellers_prices_become_ours_with_the_list_price_beside() {
    let credits =
        "resale = { price_unit = 'credit', unit_value = '0.001', per_tokens = 1000, markup_percent = '5.5' }";
    let listed = "list = 'openai/gpt-5.4'";
    // What the provider and the target say; pico-units of an input token, and at list.
    for (provider, target, paid, list) in [
        ("", PRICED.to_owned(), 5_000_000, 5_000_000),
        (credits, PRICED.to_owned(), 5_275_000, 5_000_000),
        (credits, format!("{PRICED}, {listed}"), 5_275_000, 2_500_000),
        ("", format!("{PRICED}, {credits}, {listed}"), 5_275_000, 2_500_000),
        ("resale = { markup_percent = '5.5' }", listed.to_owned(), 2_637_500, 2_500_000),
        (credits, listed.to_owned(), 2_637_500, 2_500_000),
        ("", format!("price = {{ input = '0', output = '0' }}, {listed}"), 0, 2_500_000),
    ] {
        let config = resold(provider, &target, "").unwrap_or_else(|errors| panic!("{target}: {errors:?}"));
        let prices = config.routes[0].targets[0].prices.as_ref().unwrap();
        let price = prices.at(TODAY.parse().unwrap()).unwrap();
        let usage = domain::Usage { input: 1, ..domain::Usage::default() };
        let cost = |cost: Option<domain::Pico>| cost.unwrap().get();
        assert_eq!(cost(price.cost(&usage, domain::ServiceTier::Standard)), paid, "{provider} {target}");
        assert_eq!(cost(price.list_cost(&usage, domain::ServiceTier::Standard)), list, "{provider} {target}");
    }
}

#[test]
fn mistakes_in_a_resale_name_the_field_and_the_fix() {
    for (provider, target, field, fix) in [
        ("resale = { price_unit = 'credit' }", PRICED, "providers[0].resale", "belong together"),
        (
            "resale = { price_unit = 'a b', unit_value = '1' }",
            PRICED,
            "providers[0].resale",
            "must be a word",
        ),
        (
            "resale = { markup_percent = 5.5 }",
            PRICED,
            "providers[0].resale.markup_percent",
            "expected a text",
        ),
        ("resale = { markup_percent = '-1' }", PRICED, "providers[0].resale", "`markup_percent` must be"),
        ("resale = { per_tokens = 0 }", PRICED, "providers[0].resale.per_tokens", "must be between 1 and"),
        ("resale = { fee = '1' }", PRICED, "providers[0].resale.fee", "unknown name"),
        ("", "list = 'gpt-5.4'", "routes[0].targets[0].list", "write provider/model"),
        ("", "list = 'openai/nothing'", "routes[0].targets[0].list", "has no `openai/nothing`"),
    ] {
        let found = resold(provider, target, "").unwrap_err();
        let [mistake] = found.as_slice() else { panic!("{provider} {target}: {found:?}") };
        assert!(mistake.starts_with(&format!("{field}: ")) && mistake.contains(fix), "{mistake}");
    }
    let direct = account("a", "env:A", "me", "direct") + "resale = { markup_percent = '5' }\n";
    let found = wrong(&direct, [("A", "sk-one")]);
    let expected = "providers[0].resale: is out of place; only where the contract says class = \"reseller\"";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

/// A configuration with one free tier, whose provider has these further lines, and a route with this target.
fn free_tier(provider: &str, target: &str) -> Result<Config, Vec<String>> {
    let account = account("tier", "env:A", "me", "free_tier");
    let text = format!(
        "{account}{provider}\n[[routes]]\nmodel = 'm'\ntargets = [{{ provider = 'tier', model = 'm', {target} }}]\n"
    );
    let environment = Environment::from([("A", "sk-one")]);
    Config::parse(&text, &environment, TODAY.parse().unwrap()).map_err(|errors| errors.0)
}

const NOTHING: &str = "price = { input = '0', output = '0' }";

#[test]
fn caps_are_a_credentials_and_a_models_and_one_wherever_they_are_led_to() {
    let caps = "caps = { rpm = 30, rpd = 1000, tpm = 6000, tpd = 500000, reset = '07:30', zone = 'America/Los_Angeles' }";
    let config = free_tier(caps, &format!("{NOTHING}, caps = {{ rpd = 5 }}")).unwrap();
    let accounts = &config.routes[0].targets[0].accounts;
    let [whole, model] = &accounts[..] else { panic!("{accounts:?}") };
    assert_eq!((&**whole.whose(), &**model.whose()), ("tier", "tier/m"));
    let rules = gateway::CapRules {
        requests_per_minute: Some(30),
        tokens_per_minute: Some(6_000),
        requests_per_day: Some(1_000),
        tokens_per_day: Some(500_000),
        reset_seconds: 27_000,
        zone: "America/Los_Angeles".parse().unwrap(),
    };
    assert_eq!(*whole.rules(), rules);
    assert_eq!(
        *model.rules(),
        gateway::CapRules { requests_per_day: Some(5), ..gateway::CapRules::default() }
    );
    let routes =
        gateway::Routes::new(config.routes.iter().cloned().chain(
            config.routes.iter().map(|route| gateway::Route { model: "other".into(), ..route.clone() }),
        ));
    assert_eq!(routes.accounts().count(), 2);
    let first = |model: &str| Arc::clone(&routes.find(model).unwrap().targets[0].accounts[0]);
    assert!(Arc::ptr_eq(&first("m"), &first("other")));
}

#[test]
fn mistakes_in_caps_name_the_field_and_the_fix() {
    for (provider, target, field, fix) in [
        ("caps = {}", NOTHING, "providers[0].caps", "caps nothing; write what the provider does"),
        ("caps = { reset = '00:00' }", NOTHING, "providers[0].caps", "caps nothing"),
        ("caps = { rpm = -1 }", NOTHING, "providers[0].caps.rpm", "must be between 0 and"),
        ("caps = { rpd = 1, reset = '24:00' }", NOTHING, "providers[0].caps.reset", "is no time of a day"),
        ("caps = { rpd = 1, reset = '7:30' }", NOTHING, "providers[0].caps.reset", "is no time of a day"),
        ("caps = { rpd = 1, zone = 'Pacific' }", NOTHING, "providers[0].caps.zone", "is not a time zone"),
        ("caps = { rph = 1 }", NOTHING, "providers[0].caps.rph", "unknown name"),
        ("", "price = { input = '0', output = '0' }, caps = {}", "routes[0].targets[0].caps", "caps nothing"),
        ("", "weight = 1", "routes[0].targets[0].price", "is not that of a free tier"),
    ] {
        let found = free_tier(provider, target).unwrap_err();
        let mistake = found.first().unwrap();
        assert!(mistake.starts_with(&format!("{field}: ")) && mistake.contains(fix), "{found:?}");
    }
}
