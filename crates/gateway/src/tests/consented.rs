//! Calls with keys that apps have by their users' consent: whose limits they fall under, and to whom they are put down.

use std::sync::Arc;
use std::time::Duration;

use directory::{
    App, Byok, Caps, KeyOwner, LimitReset, Mandate, NewConsent, NewUser, OrganizationRole, ProjectRole,
};
use domain::{AccessClass, Clock, Money, UserId};
use serde_json::Value;

use super::house::{Got, House, Manner, Steady, answer};
use crate::{ConsentedCaps, Rates, Route, Routes};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"user":"u-1"}"#;

fn requests(most: u64) -> Caps {
    Caps { requests_per_minute: Some(most), ..Caps::default() }
}

/// Ids behind those of the house.
fn ids() -> Steady {
    let ids = Steady::default();
    ids.advance(Duration::from_micros(128));
    ids
}

/// A house with these caps on the calls of apps.
async fn house(app: Caps, person: Caps) -> House {
    let mut house = House::new(directory::InFlight::Completes, 1_000_000_000_000, answer(3)).await;
    house.alter(|old| crate::Shared {
        rates: Arc::new(Rates::new(ConsentedCaps { app, person })),
        routes: Routes::new(old.routes.all().map(|route| Route::clone(route))),
        ..House::copy(old)
    });
    house
}

impl House {
    fn add_person(&self, ids: &Steady, email: &str) -> UserId {
        let mandate = Mandate::operator(ids, self.clock.now());
        let new = NewUser {
            organization: self.organization,
            email: email.to_owned(),
            name: None,
            role: OrganizationRole::Reader,
        };
        let user = self.service.add_user(new, &mandate).unwrap().id;
        self.service.set_member(self.project, user, ProjectRole::Member, &mandate).unwrap();
        user
    }

    /// The secret of an app's key.
    fn consent(&self, ids: &Steady, user: UserId, origin: &str) -> String {
        let mandate = Mandate::operator(ids, self.clock.now());
        let until = mandate.now.plus_seconds(600);
        let new = NewConsent {
            project: self.project,
            user,
            app: App::new(origin.to_owned(), None),
            limit: Money::from_nano(1),
            reset: LimitReset::Never,
            models: None,
            fetch_until: until,
            expires_at: until,
        };
        let consent = self.service.give_consent(new, &mandate).unwrap();
        let made = self.service.fetch_consented_key(self.organization, consent.id, &mandate).unwrap();
        assert_eq!(made.key.owner, KeyOwner::User(user));
        made.secret.expose().to_owned()
    }

    async fn call_as(&self, key: &str) -> Got {
        self.ask(Manner { key: Some(key), ..Manner::default() }, BODY).await
    }
}

fn error(got: &Got) -> Value {
    assert_eq!(got.status.as_u16(), 429, "{}", got.body);
    serde_json::from_str::<Value>(&got.body).unwrap()["error"].clone()
}

#[tokio::test]
async fn an_app_has_one_rate_whoever_pays_for_its_calls() {
    let house = house(requests(2), Caps::default()).await;
    let ids = ids();
    let [ada, bob] = ["ada@example.com", "bob@example.com"].map(|email| house.add_person(&ids, email));
    let of_ada = house.consent(&ids, ada, "https://notes.example");
    let of_bob = house.consent(&ids, bob, "https://notes.example");
    let other = house.consent(&ids, bob, "https://other.example");
    assert_eq!(house.call_as(&of_ada).await.status.as_u16(), 200);
    assert_eq!(house.call_as(&of_bob).await.status.as_u16(), 200);
    let refused = error(&house.call_as(&of_ada).await);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("in app notes.example") && message.contains("Limit 2, Used 2"), "{message}");
    assert!(refused["next_step"].as_str().unwrap().contains("user_pays.per_app_rpm"), "{refused}");
    assert!(refused["resets_at"].is_string(), "{refused}");
    // Another app is not concerned, nor is whoever calls with a key of their own.
    assert_eq!(house.call_as(&other).await.status.as_u16(), 200);
    assert_eq!(house.call_as(&house.keys["laptop"]).await.status.as_u16(), 200);
    let apps: Vec<_> = house.rows().iter().map(|row| row.attribution.app.clone()).collect();
    let expected = [Some("notes.example"), Some("notes.example"), Some("other.example"), None];
    assert_eq!(apps, expected.map(|app| app.map(Box::from)));
    assert!(house.rows().iter().all(|row| row.attribution.user.as_deref() == Some("u-1")));
}

#[tokio::test]
async fn a_person_has_one_rate_whichever_app_calls() {
    let house = house(Caps::default(), requests(2)).await;
    let ids = ids();
    let [ada, bob] = ["ada@example.com", "bob@example.com"].map(|email| house.add_person(&ids, email));
    let notes = house.consent(&ids, ada, "https://notes.example");
    let other = house.consent(&ids, ada, "https://other.example");
    let of_bob = house.consent(&ids, bob, "https://notes.example");
    assert_eq!(house.call_as(&notes).await.status.as_u16(), 200);
    assert_eq!(house.call_as(&other).await.status.as_u16(), 200);
    let refused = error(&house.call_as(&notes).await);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains(&format!("apps whose calls {ada} pays for")), "{message}");
    assert!(refused["next_step"].as_str().unwrap().contains("user_pays.per_user_rpm"), "{refused}");
    assert_eq!(house.call_as(&of_bob).await.status.as_u16(), 200);
}

/// Everybody's own machine has the same name, which makes it nobody's app in particular.
#[tokio::test]
async fn apps_on_their_users_machines_are_not_one_app() {
    let house = house(requests(1), Caps::default()).await;
    let ids = ids();
    let [ada, bob] = ["ada@example.com", "bob@example.com"].map(|email| house.add_person(&ids, email));
    let of_ada = house.consent(&ids, ada, "http://localhost");
    let of_bob = house.consent(&ids, bob, "http://localhost");
    assert_eq!(house.call_as(&of_ada).await.status.as_u16(), 200);
    error(&house.call_as(&of_ada).await);
    assert_eq!(house.call_as(&of_bob).await.status.as_u16(), 200);
}

/// Its user set a limit in money, which nothing counts against that a provider bills to the organization.
#[tokio::test]
async fn an_app_calls_by_no_provider_key_that_the_organization_keeps() {
    let house = house(Caps::default(), Caps::default()).await;
    house.keep_key();
    let ids = ids();
    let ada = house.add_person(&ids, "ada@example.com");
    let app = house.consent(&ids, ada, "https://notes.example");
    house.use_keys(Byok::First, false);
    assert_eq!(house.call_as(&house.keys["laptop"]).await.status.as_u16(), 200);
    assert_eq!((house.last_class(), house.rows()[0].cost), (AccessClass::Byok, Money::ZERO));
    assert_eq!(house.call_as(&app).await.status.as_u16(), 200);
    assert_eq!(house.last_class(), AccessClass::UserPays);
    assert!(house.rows()[1].cost > Money::ZERO, "its user's wallet pays");
    // Where the project never calls by our keys, an app cannot call.
    house.use_keys(Byok::Only, false);
    let refused = house.call_as(&app).await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.body);
    assert!(refused.body.contains("provider_key_missing"), "{}", refused.body);
    assert_eq!(house.rows().len(), 2);
    assert_eq!(house.call_as(&house.keys["laptop"]).await.status.as_u16(), 200);
}
