//! Routes: which targets serve the model a caller asks for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dialect::{ListedModel, ModelList};
use domain::{AccessClass, Refusal, RefusalCode};
use pricing::{PriceVersion, Schedule};
use providers::Provider;
use serde_json::value::RawValue;

use crate::brought::Access;
use crate::capability::Capability;
use crate::caps::Account;
use crate::contract::Contract;
use crate::health::Health;
use crate::inventory::Inventory;
use crate::routing::Strategy;
use crate::substitution::Substitution;

/// Where a call can go: an upstream model at a provider, and what it costs there.
#[derive(Clone, Debug)]
pub struct Target {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The provider's name for the model.
    pub model: Arc<str>,
    /// `provider/model`, as cost rows say it.
    pub label: Arc<str>,
    /// Who owns, who pays, and on which terms.
    pub contract: Arc<Contract>,
    /// What of the contract is told with each decision, written once: a decision is made for every call.
    pub(crate) facts: Arc<RawValue>,
    /// The dated prices; `None` when nobody has stated one, which refuses the call.
    pub prices: Option<Arc<Schedule>>,
    /// How it is used among the targets of its route.
    pub rules: Arc<TargetRules>,
    /// How it is now.
    pub health: Arc<Health>,
    /// The provider's caps that its calls count under: the credential's, then the model's own.
    pub accounts: Arc<[Arc<Account>]>,
    /// What its server says it has, where that is one of the operator's own.
    pub inventory: Option<Arc<Inventory>>,
    /// The route of the model that it is a target of, where another one leads there, too: that of the free router.
    pub of: Option<Arc<Route>>,
    /// Whose key it is called with, where it is not ours.
    pub access: Option<Arc<Access>>,
}

/// How a target is used among the targets of its route, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRules {
    /// How often it is tried again after a failure that may pass by itself, before the next target is turned to.
    pub retries: u32,
    /// How long it may take to begin its answer; `None` for as long as any provider may.
    pub first_byte: Option<Duration>,
    /// Its share of the calls where they are dealt out by weight; 0 is none but what others failed at.
    pub weight: u32,
    /// What it can do beside text; `None` where nobody has said, and the provider will tell.
    pub capabilities: Option<Vec<Capability>>,
    /// The longest input that it takes, in tokens; `None` where the price list's word counts.
    pub context: Option<u64>,
    /// Other names by which the model may answer.
    pub aliases: Vec<Arc<str>>,
}

impl Default for TargetRules {
    fn default() -> Self {
        Self {
            retries: 0,
            first_byte: None,
            weight: 1,
            capabilities: None,
            context: None,
            aliases: Vec::new(),
        }
    }
}

impl Target {
    /// A target whose label follows from its parts.
    pub fn new(
        provider: Arc<Provider>,
        model: &str,
        contract: Arc<Contract>,
        prices: Option<Arc<Schedule>>,
    ) -> Self {
        let label = Arc::from(format!("{}/{model}", provider.name));
        let facts = contract.facts();
        let (rules, health, accounts, inventory, of, access) = Default::default();
        let model = Arc::from(model);
        Self {
            provider,
            model,
            label,
            contract,
            facts,
            prices,
            rules,
            health,
            accounts,
            inventory,
            of,
            access,
        }
    }

    /// The same, used by these rules.
    #[must_use]
    pub fn with_rules(self, rules: TargetRules) -> Self {
        Self { rules: Arc::new(rules), ..self }
    }

    /// The same, whose calls count under these caps of the provider's: the credential's before the model's own.
    #[must_use]
    pub fn with_accounts(self, accounts: impl IntoIterator<Item = Arc<Account>>) -> Self {
        Self { accounts: accounts.into_iter().collect(), ..self }
    }

    /// The same with a key that is not ours, by the contract that says whose it is.
    pub(crate) fn called_with(
        &self,
        provider: Arc<Provider>,
        health: Arc<Health>,
        contract: Arc<Contract>,
        access: Arc<Access>,
    ) -> Self {
        let facts = contract.facts();
        // Our caps are those of our own credential.
        let (accounts, inventory) = Default::default();
        Self { provider, health, contract, facts, accounts, inventory, access: Some(access), ..self.clone() }
    }

    /// Whether its server is one of the operator's own, which anybody can start with another model (2.9), and lists those
    /// that it has.
    pub fn is_listed(&self) -> bool {
        self.contract.class == AccessClass::SelfHosted && self.provider.lists_all_models
    }

    /// The model of a list that it leads to, by the model's name or one of its aliases.
    pub fn listed_in<'a>(&self, list: &'a ModelList) -> Option<&'a ListedModel> {
        std::iter::once(&self.model).chain(&self.rules.aliases).find_map(|name| list.find(name))
    }

    /// The longest prompt that the model takes there, in tokens, where anybody has said so: the operator or the server,
    /// whichever says less, or else the price list.
    pub fn context(&self, price: Option<&PriceVersion>) -> Option<u64> {
        let told = self.inventory.as_ref().and_then(|inventory| inventory.context(self));
        let known = [self.rules.context, told].into_iter().flatten().min();
        known.or_else(|| price?.context)
    }

    /// Refuses it where its server says that it does not have the model.
    ///
    /// # Errors
    /// [`RefusalCode::ModelNotServed`].
    pub(crate) fn check_served(&self, model: &str) -> Result<(), Refusal> {
        self.inventory.as_ref().map_or(Ok(()), |inventory| inventory.check(model, self))
    }

    /// Whether its server says that this is another name of the model.
    pub(crate) fn lists_as_one(&self, name: &str) -> bool {
        self.inventory.as_ref().is_some_and(|inventory| inventory.is_one(self, name))
    }

    /// The account that is called, by a name: what one account keeps, no other has.
    pub(crate) fn account(&self) -> Arc<str> {
        match &self.access {
            None => Arc::clone(&self.provider.name),
            Some(access) => Arc::from(format!("{} by {}", self.provider.name, access.named())),
        }
    }

    /// The same for another model of the provider.
    fn of_model(&self, model: &str) -> Self {
        let label = Arc::from(format!("{}/{model}", self.provider.name));
        Self { model: Arc::from(model), label, ..self.clone() }
    }
}

/// A model's ordered targets.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name a caller asks for.
    pub model: Arc<str>,
    /// The targets, the preferred one first. Never empty.
    pub targets: Vec<Target>,
    /// Whether only verified organizations may call it.
    pub verified_only: bool,
    /// In which order the targets are tried.
    pub strategy: Strategy,
    /// What is done when another model answers than the target's.
    pub substitution: Substitution,
    /// After how long without an answer a second attempt is sent to another target beside the first; `None` for never.
    pub hedge_after: Option<Duration>,
    /// Whether it stands for whichever of its targets can do what a call needs, and for none that cannot.
    pub must_fit: bool,
}

impl Route {
    /// A route that is open to everybody. Where a reseller is among its targets, it is strict about which model answers:
    /// nobody else sees to that the one that is paid for is the one that is called.
    pub fn new(model: &str, targets: Vec<Target>) -> Self {
        let (strategy, hedge_after) = Default::default();
        let (verified_only, must_fit) = (false, false);
        let resold = targets.iter().any(|target| target.contract.class == AccessClass::Reseller);
        let substitution = if resold { Substitution::Refuse } else { Substitution::default() };
        let model = Arc::from(model);
        Self { model, targets, verified_only, strategy, substitution, hedge_after, must_fit }
    }
}

/// Every route of the gateway. A route named `prefix*` serves all models that begin so; its targets' `*` stands for
/// the rest of the name.
#[derive(Debug, Default)]
pub struct Routes {
    exact: BTreeMap<Arc<str>, Arc<Route>>,
    patterns: Vec<Arc<Route>>,
    /// The providers that routes lead to, by name.
    known: BTreeMap<Arc<str>, Arc<Provider>>,
    health: Known,
    /// The provider's caps that calls count under, by whose they are.
    accounts: BTreeMap<Arc<str>, Arc<Account>>,
    /// What servers of the operator's own say they have, by their providers' names.
    inventories: BTreeMap<Arc<str>, Arc<Inventory>>,
}

/// How targets are, by `provider/model`: routes that lead to one target see it with one pair of eyes, and the models of
/// a pattern are targets of their own, since one of them may fail, or be made up, while the others are well.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<BTreeMap<Arc<str>, Arc<Health>>>);

/// Targets that are told apart. Callers name the models of patterns, so there could be any number; the models beyond
/// this one share the state of their pattern's target.
const KNOWN_MAX: usize = 4_096;

impl Known {
    /// The state of the target of this label, `fresh` if it is met for the first time; `shared`, if there are too many.
    ///
    /// What is not used now and has never answered makes room for others, so that nobody can take all of it for good by
    /// calling models that do not exist.
    pub(crate) fn of(
        &self,
        label: &Arc<str>,
        shared: &Arc<Health>,
        fresh: impl FnOnce() -> Arc<Health>,
    ) -> Arc<Health> {
        // What a thread that panicked left here is whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(health) = known.get(label) {
            return Arc::clone(health);
        }
        if known.len() >= KNOWN_MAX {
            known.retain(|_, health| Arc::strong_count(health) > 1 || health.has_answered());
        }
        if known.len() >= KNOWN_MAX {
            return Arc::clone(shared);
        }
        Arc::clone(known.entry(Arc::clone(label)).or_insert_with(fresh))
    }
}

impl Routes {
    /// The table of these routes. Of two with one name the first is kept.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut table = Self::default();
        for mut route in routes {
            for target in &mut route.targets {
                let own = || Arc::clone(&target.health);
                target.health = table.health.of(&target.label, &target.health, own);
                // Whichever route leads there, what is used is used of one cap.
                let known = |account: &Arc<Account>| {
                    let whose = Arc::clone(account.whose());
                    Arc::clone(table.accounts.entry(whose).or_insert_with(|| Arc::clone(account)))
                };
                target.accounts = target.accounts.iter().map(known).collect();
                let provider = &target.provider;
                if target.is_listed() {
                    let fresh = || Arc::new(Inventory::new(Arc::clone(provider)));
                    let inventory = table.inventories.entry(Arc::clone(&provider.name)).or_insert_with(fresh);
                    target.inventory = Some(Arc::clone(inventory));
                }
                table.known.entry(Arc::clone(&provider.name)).or_insert_with(|| Arc::clone(provider));
            }
            let route = Arc::new(route);
            if route.model.ends_with('*') {
                table.patterns.push(route);
            } else {
                table.exact.entry(Arc::clone(&route.model)).or_insert(route);
            }
        }
        // The longest prefix is the most specific.
        table.patterns.sort_by_key(|route| std::cmp::Reverse(route.model.len()));
        table
    }

    /// The same with a model that stands for whichever free one can do what a call needs (5.2). None where no model is
    /// free, or one has this name.
    #[must_use]
    pub fn with_free_router(mut self, name: &Arc<str>) -> Self {
        let free = |route: &Arc<Route>| -> Vec<Target> {
            let targets = route.targets.iter().filter(|target| target.contract.class == AccessClass::Free);
            // Each as likely as any other: what they weigh among the targets of their own route says nothing here.
            let alike = |target: &Target| {
                let rules = TargetRules { weight: 1, ..TargetRules::clone(&target.rules) };
                Target { of: Some(Arc::clone(route)), ..target.clone().with_rules(rules) }
            };
            targets.map(alike).collect()
        };
        let targets: Vec<Target> = self.exact.values().flat_map(free).collect();
        if !targets.is_empty() {
            let (strategy, must_fit) = (Strategy::Weighted, true);
            let route = Route { strategy, must_fit, ..Route::new(name, targets) };
            self.exact.entry(Arc::clone(name)).or_insert_with(|| Arc::new(route));
        }
        self
    }

    /// The route of a model.
    ///
    /// # Errors
    /// [`RefusalCode::ModelNotFound`].
    pub fn find(&self, model: &str) -> Result<Arc<Route>, Refusal> {
        if let Some(route) = self.exact.get(model) {
            return Ok(Arc::clone(route));
        }
        self.patterns
            .iter()
            .find_map(|pattern| expand(pattern, model, &self.health))
            .map(Arc::new)
            .ok_or_else(|| {
                Refusal::new(
                    RefusalCode::ModelNotFound,
                    format!("The model `{}` does not exist or you do not have access to it.", shown(model)),
                    "List the models with GET /v1/models, or have the operator add a route for this one.",
                )
            })
    }

    /// The name of the route that [`Routes::find`] answers for a model: its own, or the pattern's that it matches.
    pub fn name_of<'a>(&'a self, model: &'a str) -> &'a str {
        if self.exact.contains_key(model) {
            return model;
        }
        let matches = |pattern: &&Arc<Route>| {
            pattern
                .model
                .strip_suffix('*')
                .and_then(|start| model.strip_prefix(start))
                .is_some_and(|rest| !rest.is_empty())
        };
        self.patterns.iter().find(matches).map_or(model, |pattern| &pattern.model)
    }

    /// Every route with a name of its own, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.exact.values()
    }

    /// Every route: by name, then the patterns, the most specific first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.exact.values().chain(&self.patterns)
    }

    /// The provider's caps that calls count under.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    /// What servers of the operator's own say they have.
    pub fn inventories(&self) -> impl Iterator<Item = &Arc<Inventory>> {
        self.inventories.values()
    }

    /// The provider of this name, if a route leads there.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.known.get(name)
    }

    /// The names of the providers that routes lead to, each as often as it is led to.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all().flat_map(|route| &route.targets).map(|target| &target.provider.name)
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.exact.len() + self.patterns.len()
    }

    /// Whether there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The route that a pattern makes of a model's name.
fn expand(pattern: &Route, model: &str, known: &Known) -> Option<Route> {
    let rest = model.strip_prefix(pattern.model.strip_suffix('*')?)?;
    if rest.is_empty() {
        return None;
    }
    let targets = pattern.targets.iter().map(|target| {
        let target = target.of_model(&target.model.replace('*', rest));
        Target { health: known.of(&target.label, &target.health, Arc::default), ..target }
    });
    Some(Route {
        model: Arc::from(model),
        targets: targets.collect(),
        verified_only: pattern.verified_only,
        strategy: pattern.strategy,
        substitution: pattern.substitution,
        hedge_after: pattern.hedge_after,
        must_fit: pattern.must_fit,
    })
}

/// Somebody else's text as a message may show it.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(128).collect()
}

#[cfg(test)]
mod tests {
    use providers::Kind;

    use super::*;
    use crate::health::BreakerRules;
    use crate::tests::contract;

    fn route(model: &str, upstream: &str) -> Route {
        let provider =
            Arc::new(Provider::new("p", Kind::openai(), Some("http://127.0.0.1:1/v1"), None).unwrap());
        Route::new(model, vec![Target::new(provider, upstream, contract(), None)])
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = Routes::new([
            route("local/*", "*"),
            route("local/big/*", "big-*"),
            route("local/one", "exact"),
            route("local/one", "second"),
        ]);
        for (asked, answer) in [
            ("local/one", Some("p/exact")),
            ("local/x", Some("p/x")),
            ("local/big/x", Some("p/big-x")),
            ("local/", None),
            ("gpt", None),
        ] {
            let found = routes.find(asked).ok().map(|route| route.targets[0].label.to_string());
            assert_eq!(found.as_deref(), answer, "{asked}");
            let named = routes.name_of(asked);
            assert_eq!(
                named == asked,
                !asked.starts_with("local/x") && !asked.starts_with("local/b"),
                "{asked}: {named}"
            );
        }
        assert_eq!(routes.len(), 3);
    }

    #[test]
    fn the_models_of_a_pattern_are_targets_of_their_own() {
        let routes = Routes::new([route("local/*", "*"), route("one", "one"), route("other", "one")]);
        let health = |model: &str| Arc::clone(&routes.find(model).unwrap().targets[0].health);
        assert!(Arc::ptr_eq(&health("local/a"), &health("local/a")));
        assert!(!Arc::ptr_eq(&health("local/a"), &health("local/b")));
        // By whichever name it is called.
        assert!(Arc::ptr_eq(&health("local/one"), &health("one")));
        assert!(Arc::ptr_eq(&health("other"), &health("one")));
        // There is no end to names that nobody has, and one to what is kept of them; they take nobody's place for good.
        let (rules, real) = (BreakerRules::default(), Arc::downgrade(&health("local/real")));
        health("local/real").began(&rules, 1, 1);
        for number in 0..3 * KNOWN_MAX {
            health(&format!("local/made-up-{number}"));
            assert!(routes.health.0.lock().unwrap().len() <= KNOWN_MAX);
        }
        assert!(real.ptr_eq(&Arc::downgrade(&health("local/real"))), "what has answered stays");
        assert!(Arc::ptr_eq(&health("local/one"), &health("one")));
        // All at once are more than there is room for.
        let held: Vec<_> = (0..KNOWN_MAX).map(|number| health(&format!("local/busy-{number}"))).collect();
        assert!(Arc::ptr_eq(&health("local/late"), &health("local/later")), "the pattern's own");
        drop(held);
        assert!(!Arc::ptr_eq(&health("local/late"), &health("local/later")));
    }

    #[test]
    fn an_unknown_model_is_named_without_its_control_characters() {
        let refusal = Routes::default().find("a\u{1b}[31mb").unwrap_err();
        assert_eq!(refusal.code, RefusalCode::ModelNotFound);
        assert!(refusal.message.contains("`a[31mb`"), "{}", refusal.message);
    }
}
