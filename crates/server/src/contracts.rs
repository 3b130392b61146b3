//! The routes' contracts as an operator sees them: which are stale, and what each says.
//!
//! It knows words and JSON. What a contract covers is the gateway's to say.

use std::sync::Arc;

use domain::{Payer, Timestamp};
use gateway::{Contract, Countries, Route, RouteExplanation, Routes, Target, TargetExplanation, date};
use serde_json::{Value, json};

/// A contract that nobody has verified for too long, and the models that go by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stale {
    /// The provider's name.
    pub(crate) provider: String,
    /// The day of the last check, such as `2026-11-01`.
    pub(crate) verified_on: String,
    /// How many days ago that was.
    pub(crate) days: u32,
    /// The models whose routes go by it.
    pub(crate) models: Vec<String>,
}

/// The stale contracts, each once however many routes go by it.
pub(crate) fn stale<'a>(routes: impl Iterator<Item = &'a Route>, now: Timestamp) -> Vec<Stale> {
    let mut found: Vec<(&Arc<Contract>, Stale)> = Vec::new();
    for (route, target) in routes.flat_map(|route| route.targets.iter().map(move |target| (route, target))) {
        let contract = &target.contract;
        let model = route.model.to_string();
        if let Some((_, known)) = found.iter_mut().find(|(known, _)| Arc::ptr_eq(known, contract)) {
            known.models.push(model);
        } else if let Some((day, days)) = contract.verified.age(now).filter(|_| contract.is_stale(now)) {
            let provider = target.provider.name.to_string();
            found.push((contract, Stale { provider, verified_on: date(day), days, models: vec![model] }));
        }
    }
    found.into_iter().map(|(_, stale)| stale).collect()
}

/// Tells of stale contracts in the log.
pub(crate) fn warn(routes: &Routes, now: Timestamp) {
    for stale in stale(routes.all().map(AsRef::as_ref), now) {
        tracing::warn!(provider = stale.provider, next_step = stale.next_step(), "{}", stale.message());
    }
}

impl Stale {
    /// What is the matter, and what it costs.
    pub(crate) fn message(&self) -> String {
        format!(
            "the contract of provider {} was verified on {}, {} days ago, and is stale; until it is verified anew, \
             public data of dev and staging is all that goes there ({})",
            self.provider,
            self.verified_on,
            self.days,
            self.models.join(", ")
        )
    }

    /// What to do about it.
    pub(crate) fn next_step(&self) -> String {
        "check the provider's terms and set verified_on to the day of that check; a provider offered by the \
         environment gets a [[providers]] table with a contract of its own, or a newer tollkeeper"
            .to_owned()
    }
}

/// Each route's contract, for `/admin/v1/status`: one object for each target.
pub(crate) fn view<'a>(routes: impl Iterator<Item = &'a Route>, now: Timestamp) -> Vec<Value> {
    routes.flat_map(|route| route.targets.iter().map(move |target| view_one(route, target, now))).collect()
}

fn view_one(route: &Route, target: &Target, now: Timestamp) -> Value {
    let contract = &target.contract;
    let (countries, countries_not) = match &contract.countries {
        Countries::All => (None, None),
        Countries::Only(named) => (Some(named), None),
        Countries::Except(named) => (None, Some(named)),
    };
    json!({
        "model": route.model,
        "target": target.label,
        "class": contract.class.as_str(),
        "owner": contract.owner,
        "payer": contract.payer,
        "limits": contract.limits,
        "support": contract.support,
        "terms": {
            "training": contract.terms.training,
            "retention_days": contract.terms.retention_days,
            "region": contract.terms.region,
            "text": contract.terms.text,
        },
        "data": contract.data,
        "environments": contract.environments,
        "countries": countries,
        "countries_not": countries_not,
        "verified_on": contract.verified.age(now).map(|(day, _)| date(day)),
        "stale": contract.is_stale(now),
    })
}

/// What a card of `GET /v1/models` says beside OpenAI's shape: on whose account a call of its caller would be made, who
/// would pay and by which contract, at the target where it would go first. Where it may go nowhere, why.
pub(crate) fn of_model(explained: &RouteExplanation, now: Timestamp) -> Value {
    let may = || explained.targets.iter().filter(|target| target.place.is_some());
    let targets: Vec<&str> = may().map(|one| &*one.target.label).collect();
    let Some(TargetExplanation { target, payers, .. }) = may().next() else {
        let why = explained.targets.first().map(|target| &target.why);
        return json!({
            "access_class": null, "payer": null, "owner": null, "contract": null, "targets": targets, "refused": why,
        });
    };
    let contract = &target.contract;
    json!({
        "access_class": contract.class,
        "payer": Payer::word(*payers),
        "owner": contract.owner,
        "contract": {
            "limits": contract.limits,
            "support": contract.support,
            "training": contract.terms.training,
            "retention_days": contract.terms.retention_days,
            "region": contract.terms.region,
            "data": contract.data,
            "environments": contract.environments,
            "verified_on": contract.verified.age(now).map(|(day, _)| date(day)),
            "stale": contract.is_stale(now),
        },
        "targets": targets,
        "refused": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment, simulated_models};

    #[test]
    fn a_contract_is_told_of_once_when_it_is_stale_and_shown_for_every_route() {
        let key = Environment::from([("OPENAI_API_KEY", "sk-test")]);
        let mut routes = Config::parse("", &key, "2026-11-21".parse().unwrap()).unwrap().routes;
        let offered = routes.len();
        routes.extend(simulated_models("http://127.0.0.1:1/v1").unwrap());
        let now = |day: &str| day.parse::<Timestamp>().unwrap();
        // Verified on 1 November, for 180 days.
        assert_eq!(stale(routes.iter(), now("2027-04-30")), []);
        let found = stale(routes.iter(), now("2027-05-01"));
        let [stale] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&*stale.provider, &*stale.verified_on, stale.days), ("openai", "2026-11-01", 181));
        assert_eq!(stale.models.len(), offered);
        assert!(
            stale.message().contains("verified on 2026-11-01, 181 days ago") && !stale.next_step().is_empty()
        );

        let shown = view(routes.iter(), now("2027-05-01"));
        assert_eq!(shown.len(), routes.len());
        let first = &shown[0];
        assert_eq!((&first["stale"], &first["verified_on"]), (&json!(true), &json!("2026-11-01")));
        assert_eq!(
            (&first["class"], &first["owner"]),
            (&json!("direct"), &json!("the holder of OPENAI_API_KEY"))
        );
        let last = &shown[shown.len() - 1];
        assert_eq!((&last["stale"], &last["verified_on"]), (&json!(false), &Value::Null));
        assert_eq!((&last["data"], &last["terms"]["retention_days"]), (&json!("sensitive"), &json!(0)));
    }
}
