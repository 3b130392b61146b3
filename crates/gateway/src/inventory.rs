//! Which models a server of one's own says it has (2.9).
//!
//! Anybody can start such a server with another model than yesterday's, and some answer with whatever they have, under
//! whichever name they were called by. So what the server lists counts: a target whose model it does not list gets no
//! call, and a prompt longer than what it takes is not sent. It knows the last list; who asks for it, and when, it must
//! never know.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dialect::ModelList;
use domain::{Refusal, RefusalCode};
use providers::Provider;

use crate::routes::{Target, shown};

/// What one server said last, shared by all targets that are served there.
#[derive(Debug)]
pub struct Inventory {
    provider: Arc<Provider>,
    /// `None` until the server has told a list, and where it has none to tell.
    list: ArcSwapOption<ModelList>,
}

impl Inventory {
    /// That of this provider, of which nothing is known yet.
    pub(crate) fn new(provider: Arc<Provider>) -> Self {
        Self { provider, list: ArcSwapOption::empty() }
    }

    /// Whose it is.
    pub const fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }

    /// The server has told this list; `None` when it has answered that it tells none.
    pub fn put(&self, list: Option<ModelList>) {
        self.list.store(list.map(Arc::new));
    }

    /// Whether it has a target's model; `None` while nobody knows.
    pub fn has(&self, target: &Target) -> Option<bool> {
        self.list.load().as_ref().map(|list| target.listed_in(list).is_some())
    }

    /// Whether this is a name of a target's model there.
    pub(crate) fn is_one(&self, target: &Target, name: &str) -> bool {
        let list = self.list.load();
        list.as_ref().and_then(|list| target.listed_in(list)).is_some_and(|listed| listed.is_called(name))
    }

    /// The tokens that a call of a target's model may have there, where the server has said so.
    pub(crate) fn context(&self, target: &Target) -> Option<u64> {
        target.listed_in(self.list.load().as_ref()?)?.context
    }

    /// Refuses a target whose model is not there.
    ///
    /// # Errors
    /// [`RefusalCode::ModelNotServed`].
    pub(crate) fn check(&self, model: &str, target: &Target) -> Result<(), Refusal> {
        if self.has(target) != Some(false) {
            return Ok(());
        }
        // Which others it has is not told: a caller may see the models of its routes, and no more.
        Err(Refusal::new(
            RefusalCode::ModelNotServed,
            format!(
                "The model `{}` is not served now: `{}` does not have `{}`.",
                shown(model),
                self.provider.name,
                shown(&target.model)
            ),
            "Call another model, or have the operator load this one there or mend the target's model; `tollkeeper doctor` \
             says which it has.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use domain::AccessClass;
    use providers::Kind;

    use super::*;
    use crate::contract::Contract;
    use crate::routes::{Route, Routes, TargetRules};
    use crate::tests::contract;

    fn target(kind: &str, class: AccessClass, model: &str) -> Target {
        let provider = Provider::new("own", Kind::named(kind).unwrap(), Some("http://127.0.0.1:1/v1"), None);
        let contract = Contract { class, ..Contract::clone(&contract()) };
        Target::new(Arc::new(provider.unwrap()), model, Arc::new(contract), None)
    }

    fn list(text: &str) -> Option<ModelList> {
        ModelList::read(text.as_bytes())
    }

    #[test]
    fn a_target_is_served_while_nobody_knows_and_when_its_server_lists_it() {
        let own = |model: &str| target("vllm", AccessClass::SelfHosted, model);
        let route = |model: &str, upstream: &str| Route::new(model, vec![own(upstream)]);
        let routes = Routes::new([route("llama", "llama-3"), route("any/*", "*")]);
        let inventory = Arc::clone(routes.inventories().next().unwrap());
        assert_eq!(routes.inventories().count(), 1, "a server has one list");
        let refused = |model: &str| {
            let target = routes.find(model).unwrap().targets[0].clone();
            target
                .check_served(model)
                .err()
                .map(|refusal| (refusal.code, refusal.message + &refusal.next_step))
        };
        // What is asked for, what the server said, and whether it is refused.
        for (said, missing) in [
            (None, [false; 3]),
            (list(r#"{"data":[{"id":"llama-3"},{"id":"phi"}]}"#), [false, false, true]),
            (list(r#"{"data":[{"id":"qwen"}]}"#), [true; 3]),
            (list(r#"{"data":[]}"#), [true; 3]),
            // A server that no longer tells a list is one of which nobody knows.
            (None, [false; 3]),
        ] {
            inventory.put(said);
            let found = ["llama", "any/phi", "any/other"].map(|model| refused(model).is_some());
            assert_eq!(found, missing, "{inventory:?}");
        }
        inventory.put(list(r#"{"data":[{"id":"qwen"}]}"#));
        let (code, message) = refused("any/\u{1b}x").unwrap();
        assert_eq!(code, RefusalCode::ModelNotServed);
        assert!(message.contains("`own` does not have `x`.") && !message.contains("qwen"), "{message}");
    }

    #[test]
    fn a_model_may_answer_by_any_name_that_its_server_lists() {
        let routes =
            Routes::new([Route::new("m", vec![target("llamacpp", AccessClass::SelfHosted, "short")])]);
        let inventory = Arc::clone(routes.inventories().next().unwrap());
        let one = |name: &str| routes.find("m").unwrap().targets[0].lists_as_one(name);
        assert!(!one("org/long"), "nothing is known");
        inventory.put(list(r#"{"data":[{"id":"org/long","aliases":["short"]},{"id":"other"}]}"#));
        assert!(one("org/long") && one("short") && !one("other"));
        inventory.put(list(r#"{"data":[{"id":"other"}]}"#));
        assert!(!one("other"), "the model that was called is not there");
    }

    #[test]
    fn a_target_is_listed_by_any_of_its_names_however_they_are_written() {
        let rules = TargetRules { aliases: vec!["org/Long".into()], ..TargetRules::default() };
        let target = target("vllm", AccessClass::SelfHosted, "Short").with_rules(rules);
        for (listed, is_there) in [("short", true), ("ORG/long", true), ("long", false)] {
            let list = list(&format!(r#"{{"data":[{{"id":"{listed}"}}]}}"#)).unwrap();
            assert_eq!(target.listed_in(&list).is_some(), is_there, "{listed}");
        }
    }

    #[test]
    fn a_server_whose_list_is_not_whole_is_not_asked() {
        let mut target = target("vllm", AccessClass::SelfHosted, "m");
        let mut provider =
            Provider::new("own", target.provider.kind, Some("http://127.0.0.1:1/v1"), None).unwrap();
        provider.lists_all_models = false;
        target.provider = Arc::new(provider);
        assert_eq!(Routes::new([Route::new("m", vec![target])]).inventories().count(), 0);
    }

    #[test]
    fn only_servers_of_ones_own_are_asked() {
        for (kind, class, is_asked) in [
            ("vllm", AccessClass::SelfHosted, true),
            ("ollama", AccessClass::SelfHosted, true),
            ("llamacpp", AccessClass::SelfHosted, true),
            ("openai-compatible", AccessClass::SelfHosted, true),
            ("openai", AccessClass::SelfHosted, true),
            // It answers under any name.
            ("simulated", AccessClass::SelfHosted, false),
            ("openai", AccessClass::Direct, false),
            ("openai-compatible", AccessClass::Reseller, false),
        ] {
            let routes = Routes::new([Route::new("m", vec![target(kind, class, "m")])]);
            assert_eq!(routes.inventories().count() == 1, is_asked, "{kind} {class:?}");
        }
    }

    #[test]
    fn the_smaller_of_two_words_on_the_context_counts() {
        let told = |tokens: u64| list(&format!(r#"{{"data":[{{"id":"m","max_model_len":{tokens}}}]}}"#));
        for (written, said, known) in [
            (None, None, None),
            (Some(100), None, Some(100)),
            (None, Some(200), Some(200)),
            (Some(100), Some(200), Some(100)),
            (Some(300), Some(200), Some(200)),
        ] {
            let rules = TargetRules { context: written, ..TargetRules::default() };
            let target = target("vllm", AccessClass::SelfHosted, "m").with_rules(rules);
            let routes = Routes::new([Route::new("m", vec![target])]);
            routes.inventories().next().unwrap().put(said.and_then(told));
            assert_eq!(routes.find("m").unwrap().targets[0].context(None), known);
        }
    }
}
