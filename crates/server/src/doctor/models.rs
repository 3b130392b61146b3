//! Whether servers of the operator's own have the models that targets lead to, and take prompts as long as is thought (2.9).
//!
//! It knows what a server tells and what to say of it. It calls no model.

use dialect::ModelList;
use domain::Clock;
use gateway::Target;
use providers::{Client, Provider};

use super::Finding;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::inventory::{Untold, ask};

/// Asks the provider for its models, if it is a server of the operator's own, and compares its targets with them.
pub(super) async fn check(client: &Client, provider: &Provider, config: &Config) -> Vec<Finding> {
    let all = config.routes.iter().flat_map(|route| &route.targets);
    let targets: Vec<&Target> =
        all.filter(|target| target.provider.name == provider.name && target.is_listed()).collect();
    if targets.is_empty() {
        return Vec::new();
    }
    match ask(client, provider, SystemClock::start().now()).await {
        Ok(list) => compare(&provider.name, &list, &targets),
        Err(Untold::NoList) => vec![Finding {
            next_step: Some("see to it yourself that it has the models of its targets".to_owned()),
            ..Finding::ok(check_of(&provider.name), "it tells no list of its models")
        }],
        // That it cannot be reached has been said already.
        Err(Untold::Unasked(why)) => vec![Finding::found(
            check_of(&provider.name),
            format!("it could not be asked which models it has: {why}"),
            "check that the server is up and speaks OpenAI's dialect at base_url",
        )],
    }
}

fn check_of(provider: &str) -> String {
    format!("models of {provider}")
}

fn compare(provider: &str, list: &ModelList, targets: &[&Target]) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(check_of(provider), format!("it has {}", list.named()))];
    for target in targets.iter().filter(|target| !target.model.contains('*')) {
        let check = format!("model of {}", target.label);
        let written = target.rules.context;
        let told = target.listed_in(list).map(|model| model.context);
        findings.extend(match (told, written) {
            (None, _) => Some(Finding::found(
                check,
                format!("`{}` is not there, so no call goes to it", target.model),
                "load it there, or name one that is in the target's model",
            )),
            (Some(Some(told)), Some(written)) if told < written => Some(Finding::found(
                check,
                format!("its context is {told} tokens there, and {written} in the configuration; the former counts"),
                "mend the target's context, or start the server with a longer one",
            )),
            (Some(None), None) => Some(Finding {
                next_step: Some(
                    "set context at the target; many such servers cut a longer prompt off in silence".to_owned(),
                ),
                ..Finding::ok(check, "nobody says how long a prompt it takes")
            }),
            (Some(_), _) => None,
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// A server with these targets, each with its rest of TOML.
    fn config(targets: &[(&str, &str)]) -> Config {
        let routes: Vec<String> = targets
            .iter()
            .map(|(model, rest)| {
                format!(
                    "[[routes]]\nmodel = '{model}'\ntargets = [{{ provider = 'own', model = '{model}', \
                     price = {{ input = '0', output = '0' }}{rest} }}]\n"
                )
            })
            .collect();
        let text = format!(
            "[[providers]]\nname = 'own'\nkind = 'vllm'\nbase_url = 'http://127.0.0.1:1/v1'\n\
             contract = {{ class = 'self_hosted', owner = 'me', payer = 'me', limits = '-', support = 'me', \
             verified_on = '2026-11-01', terms = {{ training = false, retention_days = 0, region = 'here' }} }}\n{}",
            routes.concat()
        );
        Config::parse(&text, &Environment::default(), "2026-11-21".parse().unwrap()).unwrap()
    }

    #[test]
    fn what_the_server_has_is_compared_with_what_is_written() {
        let list = ModelList::read(
            br#"{"data":[{"id":"known","max_model_len":100},{"id":"silent"},{"id":"other","max_model_len":5}]}"#,
        );
        let list = list.unwrap();
        // A target, its context, and what is said of it beside what the server has: whether that is well, and some words.
        for (model, rest, said) in [
            ("known", "", None),
            ("known", ", context = 100", None),
            ("known", ", context = 90", None),
            ("known", ", context = 101", Some((false, "100 tokens there, and 101 in the configuration"))),
            ("silent", "", Some((true, "nobody says how long a prompt it takes"))),
            ("silent", ", context = 10", None),
            ("gone", "", Some((false, "`gone` is not there"))),
            ("any*", "", None),
        ] {
            let config = config(&[(model, rest)]);
            let targets: Vec<&Target> = config.routes.iter().flat_map(|route| &route.targets).collect();
            let found = compare("own", &list, &targets);
            assert_eq!(found[0].message, "it has `known`, `silent`, `other`");
            let rest: Vec<(bool, &str)> =
                found[1..].iter().map(|finding| (finding.ok, &*finding.message)).collect();
            match said {
                None => assert_eq!(rest, [], "{model}"),
                Some((ok, words)) => {
                    assert!(matches!(rest[..], [(is, text)] if is == ok && text.contains(words)), "{rest:?}");
                }
            }
        }
    }
}
