//! Provider keys that are not the gateway's: kept ones that can no longer be used, and sent ones that nobody may bring.

use std::sync::Arc;
use std::time::Duration;

use directory::{
    Byok, InFlight, KeyHash, Mandate, NewProviderKey, ProjectChanges, PublishedKeys, Sealed, published_line,
};
use domain::{AccessClass, Clock, ProviderKeyId};
use secrecy::SecretString;
use serde_json::Value;

use super::house::{Got, House, answer};
use crate::{Brought, OperatorKeys, Route, Routes, Shared};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
const CREDIT: i64 = 1_000_000_000;
/// The secret of the key that is kept.
const KEPT: &str = "sk-of-the-team";

impl House {
    /// Has the organization bring a key at the provider, which is open.
    pub(super) fn keep_key(&self) -> ProviderKeyId {
        let id = ProviderKeyId::from_bytes([0x77; 16]);
        let new = NewProviderKey {
            id,
            organization: self.organization,
            project: None,
            provider: self.provider.name.to_string(),
            label: "team".to_owned(),
            last_four: "team".to_owned(),
            fingerprint: KeyHash::from_bytes([0x77; 32]),
            sealed: Sealed::from_bytes(vec![1]),
            tested: true,
            test_failure: None,
        };
        // Far from the ids that the house was made with.
        self.clock.advance(Duration::from_secs(1));
        let mandate = Mandate::operator(&*self.clock, self.clock.now());
        self.service.bring_provider_key(new, &mandate).unwrap();
        let key = Brought::new(&self.provider, &SecretString::from(KEPT)).unwrap();
        self.gateway.shared().brought.put(id, key);
        id
    }

    /// Has the project use such keys so.
    pub(super) fn use_keys(&self, byok: Byok, fallback: bool) {
        let (byok, byok_fallback) = (Some(byok), Some(fallback));
        let changes = ProjectChanges { byok, byok_fallback, ..ProjectChanges::default() };
        // Far from the ids that the house was made with.
        self.clock.advance(Duration::from_secs(1));
        let mandate = Mandate::operator(&*self.clock, self.clock.now());
        self.service.update_project(self.project, changes, &mandate).unwrap();
    }

    /// The class of the last row.
    pub(super) fn last_class(&self) -> AccessClass {
        self.rows().last().unwrap().class
    }
}

/// Status, code and the member or header that is wrong.
fn refused(got: &Got) -> (u16, String, String) {
    let error = serde_json::from_str::<Value>(&got.body).unwrap()["error"].clone();
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    (got.status.as_u16(), text("code"), text("param"))
}

#[tokio::test]
async fn a_kept_key_that_is_no_longer_open_is_not_used_and_neither_is_ours_in_its_place() {
    let house = House::new(InFlight::Completes, CREDIT, answer(3)).await;
    let id = house.keep_key();
    house.use_keys(Byok::First, false);
    assert_eq!(house.call(1, BODY).await.status, 200);
    assert_eq!(house.last_class(), AccessClass::Byok);
    // What the server does with one that is known to be published by now, or that the operator calls with.
    house.gateway.shared().brought.remove(id);
    for byok in [Byok::First, Byok::Only] {
        house.use_keys(byok, false);
        let got = house.call(2, BODY).await;
        assert_eq!(refused(&got), (403, "provider_key_missing".to_owned(), String::new()));
        assert!(got.body.contains("`team`") && got.body.contains("byok list"), "{}", got.body);
    }
    assert_eq!((house.bodies().len(), house.rows().len()), (1, 1), "nothing was sent at our expense");
    house.use_keys(Byok::First, true);
    assert_eq!(house.call(3, BODY).await.status, 200);
    assert_eq!(house.last_class(), AccessClass::Direct, "unless the project allows that");
}

#[tokio::test]
async fn a_key_that_is_somebody_elses_is_not_taken_with_a_request() {
    let mut house = House::new(InFlight::Completes, CREDIT, answer(3)).await;
    let mut ours = OperatorKeys::default();
    ours.add(&house.provider, [published_line("sk-of-the-operator")]);
    house.alter(|old| {
        let routes = Routes::new(old.routes.all().map(|route| Route::clone(route)));
        Shared { routes, operator_keys: Arc::new(ours), ..House::copy(old) }
    });
    let list = PublishedKeys::read(&published_line("sk-of-a-paste")).unwrap();
    house.gateway.shared().directory.replace_published(list);
    for name in ["x-tollkeeper-provider-key", "x-tollkeeper-end-user-key"] {
        for (value, status, param) in [
            ("p=sk-of-the-operator", 400, name),
            ("p= sk-of-the-operator ", 400, name),
            ("p=sk-of-a-paste", 401, ""),
        ] {
            let got = house.call_with(1, BODY, &[(name, value)]).await;
            let (refused, _, about) = refused(&got);
            assert_eq!((refused, &*about), (status, param), "{name}: {value}: {}", got.body);
            assert!(!got.body.contains("sk-of-the-operator"), "{}", got.body);
        }
    }
    assert_eq!((house.bodies().len(), house.rows().len()), (0, 0));
    let own = [("x-tollkeeper-provider-key", "p=sk-of-my-own")];
    assert_eq!(house.call_with(2, BODY, &own).await.status, 200);
    assert_eq!(house.last_class(), AccessClass::Byok);
}
