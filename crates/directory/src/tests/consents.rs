//! Consents: given, fetched once, ended by whatever ends them.

use domain::{ConsentId, Money, OrganizationId, UserId};

use super::at;
use super::house::{House, actions, field};
use super::world::visit;
use crate::{
    AccessMode, App, BoundsChanges, Consent, ConsentState, KeyChanges, KeyOwner, LimitReset, ModelAccess,
    NewConsent, ProjectRole,
};

/// When the code of a consent of [`House::agree`] ends, and when its key does, in seconds.
const FETCH: i64 = 600;
const EXPIRES: i64 = 86_400;

impl House {
    fn new_consent(&self, user: UserId) -> NewConsent {
        NewConsent {
            project: self.project,
            user,
            app: App::new("https://notes.example".to_owned(), Some("Notes")),
            limit: Money::from_nano(5_000_000_000),
            reset: LimitReset::Monthly,
            models: None,
            fetch_until: at(FETCH),
            expires_at: at(EXPIRES),
        }
    }

    fn agree(&self, user: UserId) -> Consent {
        self.service.give_consent(self.new_consent(user), &self.mandate(0)).unwrap()
    }

    fn consent(&self, id: ConsentId) -> Consent {
        let tenant = self.service.directory().tenant(self.organization).unwrap();
        Consent::clone(tenant.consent(id).unwrap())
    }

    fn state(&self, id: ConsentId, seconds: i64) -> ConsentState {
        let tenant = self.service.directory().tenant(self.organization).unwrap();
        tenant.state_of(tenant.consent(id).unwrap(), at(seconds))
    }
}

#[test]
fn a_consent_becomes_a_key_once() {
    let house = House::new();
    let user = house.add_member("ada@example.com");
    let models = ModelAccess { mode: AccessMode::Allow, models: vec!["sim*".to_owned()] };
    let new = NewConsent { models: Some(models.clone()), ..house.new_consent(user) };
    let consent = house.service.give_consent(new, &house.mandate(0)).unwrap();
    assert_eq!((consent.key, house.state(consent.id, 1)), (None, ConsentState::Pending));
    let fetch =
        |seconds| house.service.fetch_consented_key(house.organization, consent.id, &house.mandate(seconds));
    let mut made = None;
    let told = house.told(|| made = Some(fetch(1).unwrap()));
    let made = made.unwrap();
    assert_eq!(actions(&told), ["api_key.created", "consent.fetched"]);
    assert_eq!(made.key.owner, KeyOwner::User(user));
    assert_eq!((made.key.consent, made.key.name.as_str()), (Some(consent.id), "Notes (notes.example)"));
    assert_eq!((made.key.bounds.models.as_ref(), made.key.expires_at), (Some(&models), Some(at(EXPIRES))));
    assert_eq!(house.consent(consent.id).key, Some(made.key.id));
    let caller = house.service.directory().authenticate(made.secret.expose(), &visit(at(2))).unwrap();
    assert_eq!(caller.consent().unwrap().app.host(), "notes.example");
    assert_eq!(house.state(consent.id, 2), ConsentState::Active);
    assert_eq!(house.state(consent.id, EXPIRES), ConsentState::Expired);
    assert!(house.opens(&made.secret, EXPIRES - 1) && !house.opens(&made.secret, EXPIRES));
    assert_eq!(field(fetch(2)), "consent");
    house.is_in_step();
}

/// What comes between the consent and its key, and how the consent stands then.
#[test]
fn a_consent_that_does_not_wait_any_more_becomes_no_key() {
    type Before = fn(&House, UserId, ConsentId);
    let cases: [(Before, i64, ConsentState); 4] = [
        (|_, _, _| {}, FETCH, ConsentState::Lapsed),
        (
            |house, _, id| {
                house.service.revoke_consent(house.organization, id, &house.mandate(1)).unwrap();
            },
            2,
            ConsentState::Revoked,
        ),
        (
            |house, user, _| {
                house.service.remove_member(house.project, user, &house.mandate(1)).unwrap();
            },
            2,
            ConsentState::Ended,
        ),
        (
            |house, user, _| {
                house.service.remove_user(house.organization, user, &house.mandate(1)).unwrap();
            },
            2,
            ConsentState::Ended,
        ),
    ];
    for (before, seconds, state) in cases {
        let house = House::new();
        let user = house.add_member("ada@example.com");
        let consent = house.agree(user);
        before(&house, user, consent.id);
        assert_eq!(house.state(consent.id, seconds), state);
        let fetched =
            house.service.fetch_consented_key(house.organization, consent.id, &house.mandate(seconds));
        assert_eq!(field(fetched), "consent", "{state:?}");
        assert!(house.service.directory().keys(house.project, None, 9).is_empty(), "{state:?}");
    }
}

#[test]
fn revoking_a_consent_ends_its_key_and_the_other_way_round() {
    for by_key in [false, true] {
        let house = House::new();
        let user = house.add_member("ada@example.com");
        let consent = house.agree(user);
        let made =
            house.service.fetch_consented_key(house.organization, consent.id, &house.mandate(1)).unwrap();
        assert!(house.opens(&made.secret, 2));
        let revoke = || house.service.revoke_consent(house.organization, consent.id, &house.mandate(3));
        let told = house.told(|| {
            if by_key {
                house.service.revoke_key(made.key.id, &house.mandate(3)).unwrap();
            } else {
                revoke().unwrap();
            }
        });
        assert_eq!(actions(&told), ["api_key.deleted", "consent.revoked"]);
        assert!(!house.opens(&made.secret, 4));
        let revoked = house.consent(consent.id).revoked.unwrap();
        assert_eq!((revoked.at, revoked.by), (at(3), house.mandate(3).actor));
        assert_eq!(field(revoke()), "consent");
        assert_eq!(field(house.service.revoke_key(made.key.id, &house.mandate(4))), "key");
        house.is_in_step();
    }
}

#[test]
fn nobody_widens_what_was_agreed_to() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(2));
    let consent = house.agree(house.add_member("ada@example.com"));
    let made = service.fetch_consented_key(house.organization, consent.id, &mandate).unwrap();
    let id = made.key.id;
    let later = KeyChanges { expires_at: Some(None), ..KeyChanges::default() };
    assert_eq!(field(service.update_key(id, later, &mandate)), "key");
    let bounds = BoundsChanges { models: Some(None), ..BoundsChanges::default() };
    let more = KeyChanges { bounds, ..KeyChanges::default() };
    assert_eq!(field(service.update_key(id, more, &mandate)), "key");
    assert_eq!(field(service.rotate_key(id, 0, &mandate)), "key");
    // Whoever looks after the project may stop it for a while all the same.
    let stopped = KeyChanges { disabled: Some(true), ..KeyChanges::default() };
    service.update_key(id, stopped, &mandate).unwrap();
    assert!(!house.opens(&made.secret, 3));
}

#[test]
fn a_consent_that_cannot_be_meant_is_refused() {
    let house = House::new();
    let user = house.add_member("ada@example.com");
    let stranger = house.add_user("bob@example.com", crate::OrganizationRole::Reader).id;
    let plain = || house.new_consent(user);
    let wrong = ModelAccess { mode: AccessMode::Allow, models: vec!["a b".to_owned()] };
    for (new, named) in [
        (NewConsent { limit: Money::ZERO, ..plain() }, "limit"),
        (NewConsent { expires_at: at(0), ..plain() }, "expires_at"),
        (NewConsent { models: Some(wrong), ..plain() }, "models"),
        (NewConsent { user: stranger, ..plain() }, "user"),
        (NewConsent { project: domain::ProjectId::from_bytes([9; 16]), ..plain() }, "project"),
    ] {
        assert_eq!(field(house.service.give_consent(new, &house.mandate(0))), named);
    }
    let nobody = OrganizationId::from_bytes([9; 16]);
    let consent = house.agree(user);
    assert_eq!(field(house.service.revoke_consent(nobody, consent.id, &house.mandate(0))), "organization");
    assert_eq!(
        field(house.service.fetch_consented_key(nobody, consent.id, &house.mandate(0))),
        "organization"
    );
    // A script does not pile them up for ever; what has lapsed does not count.
    (1..100).for_each(|_| drop(house.agree(user)));
    assert_eq!(field(house.service.give_consent(plain(), &house.mandate(0))), "user");
    let later = NewConsent { fetch_until: at(2 * FETCH), ..plain() };
    assert!(house.service.give_consent(later, &house.mandate(FETCH)).is_ok());
}

#[test]
fn whoever_comes_back_finds_their_consents() {
    let house = House::new();
    let user = house.add_member("ada@example.com");
    let consent = house.agree(user);
    let made = house.service.fetch_consented_key(house.organization, consent.id, &house.mandate(1)).unwrap();
    house.service.remove_member(house.project, user, &house.mandate(2)).unwrap();
    assert!(!house.opens(&made.secret, 3));
    assert_eq!(house.state(consent.id, 3), ConsentState::Ended);
    house.service.set_member(house.project, user, ProjectRole::Member, &house.mandate(4)).unwrap();
    assert!(house.opens(&made.secret, 5));
    assert_eq!(house.state(consent.id, 5), ConsentState::Active);
}

#[test]
fn an_app_is_what_can_be_shown_of_it() {
    for (origin, name, title, local) in [
        ("https://notes.example", None, "notes.example", false),
        ("https://notes.example:8443", Some(" "), "notes.example:8443", false),
        ("https://notes.example", Some("  My\n\tNotes "), "My Notes (notes.example)", false),
        // Neither turned text nor text that takes no room.
        ("https://notes.example", Some("\u{202e}evil\u{200b}\u{7}"), "evil (notes.example)", false),
        ("http://localhost", Some("CLI"), "CLI (localhost)", true),
        ("http://127.0.0.1", None, "127.0.0.1", true),
        ("http://[::1]", None, "[::1]", true),
        ("https://127.0.0.1.example", None, "127.0.0.1.example", false),
        ("https://localhost.example", None, "localhost.example", false),
    ] {
        let app = App::new(origin.to_owned(), name);
        assert_eq!((app.title().as_str(), app.is_local()), (title, local), "{name:?}");
    }
    let long = App::new("https://a.example".to_owned(), Some(&"ü".repeat(1_000)));
    assert_eq!(long.name.unwrap().chars().count(), 60);
}
