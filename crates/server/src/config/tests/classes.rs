//! Access classes in the configuration: what each of them must say, and what is refused (mission section 2).

use directory::published_line;

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
