//! What each change makes of organizations, projects, keys and limits, and what it refuses.

use domain::{KeyId, OrganizationId, ProjectId, ServiceAccountId, UserId};

use super::at;
use super::house::{House, NEVER, field, new_key, new_project};
use super::world::visit;
use crate::{
    AccessMode, Bounds, Caps, ChangeError, InFlight, KeyChanges, KeyOwner, LimitSubject, ModelAccess,
    NewAdminKey, NewKey, NewLimit, OrganizationChanges, OrganizationRole, ProjectChanges, ProjectRole,
};

#[test]
fn what_is_made_works_at_once_and_after_a_restart() {
    let house = House::new();
    let made = house.add_key(None);
    assert_eq!((made.key.name.as_str(), &made.key.redacted), ("default", &made.secret.redacted()));
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    let accounts = tenant.service_accounts(house.project);
    assert_eq!(accounts.len(), 1, "the key's owner was made with it");
    assert_eq!(
        (accounts[0].name.as_str(), made.key.owner),
        ("default", KeyOwner::ServiceAccount(accounts[0].id))
    );
    // The next one without an owner belongs to the same.
    assert_eq!(house.add_key(None).key.owner, made.key.owner);
    assert!(house.opens(&made.secret, 1));
    house.is_in_step();
}

#[test]
fn a_changed_organization_is_seen_by_its_keys_at_once() {
    let house = House::new();
    let made = house.add_key(None);
    let seen = || {
        let found = house.service.directory().authenticate(made.secret.expose(), &visit(at(4))).unwrap();
        found.organization().clone()
    };
    let mut expected = seen();
    let none = OrganizationChanges::default;
    for (seconds, changes) in (10..).zip([
        none(),
        OrganizationChanges { in_flight: Some(InFlight::Stops), ..none() },
        OrganizationChanges { name: Some(" y ".to_owned()), ..none() },
        OrganizationChanges { time_zone: Some("Europe/Berlin".parse().unwrap()), ..none() },
        OrganizationChanges { country: Some("DE".parse().ok()), ..none() },
        OrganizationChanges { verified: Some(true), ..none() },
        // Verified again is verified since the first time.
        OrganizationChanges { verified: Some(true), ..none() },
        OrganizationChanges { tier: Some(Some("tier 2".to_owned())), ..none() },
        OrganizationChanges { verified: Some(false), country: Some(None), tier: Some(None), ..none() },
    ]) {
        expected.name = changes.name.as_deref().map_or(expected.name, |name| name.trim().to_owned());
        expected.time_zone = changes.time_zone.clone().unwrap_or(expected.time_zone);
        expected.in_flight = changes.in_flight.unwrap_or(expected.in_flight);
        expected.country = changes.country.unwrap_or(expected.country);
        expected.tier = changes.tier.clone().unwrap_or(expected.tier);
        expected.verified_at = match changes.verified {
            Some(true) => expected.verified_at.or(Some(at(seconds))),
            Some(false) => None,
            None => expected.verified_at,
        };
        let changed = house.service.update_organization(house.organization, changes, &house.mandate(seconds));
        assert_eq!(changed, Ok(expected.clone()));
        assert_eq!(seen(), expected);
        house.is_in_step();
    }
}

#[test]
fn parents_must_exist_and_be_open() {
    let house = House::new();
    let (nobody, nowhere) = (OrganizationId::from_bytes([9; 16]), ProjectId::from_bytes([9; 16]));
    let (service, mandate) = (&house.service, house.mandate(5));
    let lines = house.store.audit().len();
    let missing = |field, id: &dyn ToString| ChangeError::NotFound { field, id: id.to_string() };
    let to_name = || OrganizationChanges { name: Some("x".to_owned()), ..OrganizationChanges::default() };
    assert_eq!(
        service.create_project(new_project(nobody, "x"), &mandate),
        Err(missing("organization", &nobody))
    );
    assert_eq!(
        service.update_organization(nobody, to_name(), &mandate),
        Err(missing("organization", &nobody))
    );
    let error = service.create_key(new_key(nowhere), &mandate).unwrap_err();
    assert_eq!(error, missing("project", &nowhere));
    assert_eq!(error.to_string(), format!("`project`: there is no {nowhere}; check the id"));
    let changes = ProjectChanges::default;
    assert_eq!(service.update_project(nowhere, changes(), &mandate), Err(missing("project", &nowhere)));
    assert_eq!(service.archive_project(nowhere, &mandate), Err(missing("project", &nowhere)));

    let closed = house.add_project("closed");
    let user = house.add_user("ada@example.com", OrganizationRole::Reader).id;
    let archived = service.archive_project(closed, &house.mandate(3)).unwrap();
    assert_eq!(archived.archived_at, Some(at(3)));
    assert_eq!(service.archive_project(closed, &mandate).unwrap(), archived, "once is for good");
    let error = ChangeError::Archived { field: "project", id: closed.to_string() };
    assert_eq!(error.to_string(), format!("`project`: {closed} is archived; name a project that is open"));
    let outcomes = [
        service.create_key(new_key(closed), &mandate).map(drop),
        service.update_project(closed, changes(), &mandate).map(drop),
        service.set_member(closed, user, ProjectRole::Member, &mandate).map(drop),
        service.create_service_account(closed, "x", &mandate).map(drop),
    ];
    assert_eq!(outcomes, std::array::from_fn(|_| Err(error.clone())));
    assert_eq!(house.store.audit().len(), lines + 3, "only what was made or closed is told of");
}

#[test]
fn keys_take_owners_with_a_part_in_the_project_only() {
    let house = House::new();
    let other = house.add_project("other");
    let (service, mandate) = (&house.service, house.mandate(5));
    let member = house.add_member("ada@example.com");
    let reader = house.add_user("bob@example.com", OrganizationRole::Reader).id;
    let admin = house.add_user("cid@example.com", OrganizationRole::Admin).id;
    let owner = house.add_user("dan@example.com", OrganizationRole::Owner).id;
    let account = service.create_service_account(house.project, "robot", &mandate).unwrap().id;
    let foreign = service.create_service_account(other, "robot", &mandate).unwrap().id;
    let gone = service.create_service_account(house.project, "gone", &mandate).unwrap().id;
    service.remove_service_account(house.project, gone, &mandate).unwrap();
    for (owner, refused) in [
        (KeyOwner::User(member), None),
        (KeyOwner::User(owner), None),
        (KeyOwner::ServiceAccount(account), None),
        (KeyOwner::User(reader), Some("user")),
        (KeyOwner::User(admin), None),
        (KeyOwner::User(UserId::from_bytes([9; 16])), Some("user")),
        (KeyOwner::ServiceAccount(foreign), Some("service_account")),
        (KeyOwner::ServiceAccount(gone), Some("service_account")),
        (KeyOwner::ServiceAccount(ServiceAccountId::from_bytes([9; 16])), Some("service_account")),
    ] {
        let made = service.create_key(NewKey { owner: Some(owner), ..new_key(house.project) }, &mandate);
        match refused {
            None => assert_eq!(made.unwrap().key.owner, owner),
            Some(name) => assert_eq!(field(made), name, "{owner:?}"),
        }
    }
}

#[test]
fn bounds_and_moments_are_checked() {
    let house = House::new();
    let made = house.add_key(None);
    let access = |models: Vec<String>| Some(ModelAccess { mode: AccessMode::Allow, models });
    let names = |names: &[&str]| access(names.iter().map(|&name| name.to_owned()).collect());
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    let many = vec!["10.0.0.0/8".parse().unwrap(); 101];
    let long = "m".repeat(257);
    for (bounds, expires_at, refused) in [
        (Bounds { models: names(&[]), ..Bounds::default() }, NEVER, None),
        (Bounds { models: names(&["*", "gpt-5*", "a/b:free"]), ..Bounds::default() }, NEVER, None),
        (Bounds { models: access(vec!["m".to_owned(); 1_000]), ..Bounds::default() }, NEVER, None),
        (Bounds { models: access(vec!["m".to_owned(); 1_001]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&["g*t"]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&["**"]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&[""]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&["a b"]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&["a\n"]), ..Bounds::default() }, NEVER, Some("models")),
        (Bounds { models: names(&[&long]), ..Bounds::default() }, NEVER, Some("models")),
        (
            Bounds { networks: nets(&["10.0.0.0/8", "::/0", "192.0.2.7/32"]), ..Bounds::default() },
            NEVER,
            None,
        ),
        (Bounds { networks: nets(&["::ffff:10.0.0.0/104"]), ..Bounds::default() }, NEVER, None),
        (Bounds { networks: nets(&["10.0.0.1/8"]), ..Bounds::default() }, NEVER, Some("networks")),
        (Bounds { networks: nets(&["::1/64"]), ..Bounds::default() }, NEVER, Some("networks")),
        (Bounds { networks: nets(&["192.0.2.1/0"]), ..Bounds::default() }, NEVER, Some("networks")),
        (Bounds { networks: many[1..].to_vec(), ..Bounds::default() }, NEVER, None),
        (Bounds { networks: many, ..Bounds::default() }, NEVER, Some("networks")),
        (Bounds::default(), Some(at(5).plus_micros(1)), None),
        (Bounds::default(), Some(at(5)), Some("expires_at")),
        (Bounds::default(), Some(at(4)), Some("expires_at")),
    ] {
        let new = NewKey { bounds: bounds.clone(), expires_at, ..new_key(house.project) };
        let created = house.service.create_key(new, &house.mandate(5)).map(|created| created.key);
        let changes = KeyChanges {
            bounds: bounds.clone().into(),
            expires_at: Some(expires_at),
            ..KeyChanges::default()
        };
        let updated = house.service.update_key(made.key.id, changes, &house.mandate(5));
        for outcome in [created, updated] {
            match refused {
                None => assert_eq!(
                    outcome.map(|key| (key.bounds, key.expires_at)),
                    Ok((bounds.clone(), expires_at))
                ),
                Some(name) => assert_eq!(field(outcome), name, "{bounds:?}"),
            }
        }
    }
    // The refusal says what to write instead.
    let bounds = Bounds { networks: nets(&["10.0.0.1/8"]), ..Bounds::default() };
    let refused = house.service.create_key(NewKey { bounds, ..new_key(house.project) }, &house.mandate(5));
    assert!(refused.unwrap_err().to_string().ends_with("write 10.0.0.0/8 for the network"));
}

#[test]
fn a_key_is_disabled_enabled_and_revoked() {
    let house = House::new();
    let made = house.add_key(None);
    let disable = |disabled, seconds| {
        let changes = KeyChanges { disabled, ..KeyChanges::default() };
        house.service.update_key(made.key.id, changes, &house.mandate(seconds)).unwrap().disabled_at
    };
    assert_eq!(disable(Some(true), 1), Some(at(1)));
    assert_eq!(disable(Some(true), 2), Some(at(1)), "since the first time");
    assert_eq!(disable(None, 3), Some(at(1)));
    assert!(!house.opens(&made.secret, 3));
    assert_eq!(disable(Some(false), 4), None);
    assert!(house.opens(&made.secret, 4));
    let revoked = house.service.revoke_key(made.key.id, &house.mandate(5)).unwrap();
    assert_eq!(revoked.revoked_at, Some(at(5)));
    assert!(!house.opens(&made.secret, 1), "whatever the clock says");
    // It is gone for every change.
    let (id, mandate) = (made.key.id, house.mandate(6));
    assert_eq!(field(house.service.update_key(id, KeyChanges::default(), &mandate)), "key");
    assert_eq!(field(house.service.rotate_key(id, 0, &mandate)), "key");
    assert_eq!(field(house.service.revoke_key(id, &mandate)), "key");
    assert_eq!(field(house.service.revoke_key(KeyId::from_bytes([9; 16]), &mandate)), "key");
    house.is_in_step();
}

#[test]
fn a_rotated_key_has_two_secrets_for_a_while_and_never_three() {
    let house = House::new();
    let first = house.add_key(None);
    let id = first.key.id;
    let second = house.service.rotate_key(id, 100, &house.mandate(10)).unwrap();
    assert_eq!((second.key.id, &second.key.redacted), (id, &second.secret.redacted()));
    assert_eq!(second.key.previous.as_ref().map(|previous| previous.until), Some(at(110)));
    let open = |seconds| [&first.secret, &second.secret].map(|secret| house.opens(secret, seconds));
    assert_eq!(open(10), [true, true]);
    assert_eq!(open(109), [true, true]);
    assert_eq!(open(110), [false, true]);
    // Rotated again within the grace: the first secret ends at once, the second has its own grace.
    let third = house.service.rotate_key(id, 50, &house.mandate(20)).unwrap();
    let open =
        |seconds| [&first.secret, &second.secret, &third.secret].map(|secret| house.opens(secret, seconds));
    assert_eq!(open(20), [false, true, true]);
    assert_eq!(open(69), [false, true, true]);
    assert_eq!(open(70), [false, false, true]);
    // An incident leaves one secret, at once.
    let fourth = house.service.rotate_key(id, 0, &house.mandate(30)).unwrap();
    assert_eq!(open(30), [false; 3]);
    assert!(house.opens(&fourth.secret, 30));
    house.is_in_step();
    // Revoked, both secrets are told why.
    house.service.rotate_key(id, 100, &house.mandate(40)).unwrap();
    house.service.revoke_key(id, &house.mandate(41)).unwrap();
    let refusal = house.service.directory().authenticate(fourth.secret.expose(), &visit(at(42))).unwrap_err();
    assert!(refusal.message.contains("was revoked at"), "{refusal:?}");
    for (grace, fits) in [(0, true), (2_592_000, true), (2_592_001, false), (-1, false), (i64::MAX, false)] {
        let made = house.add_key(None);
        let rotated = house.service.rotate_key(made.key.id, grace, &house.mandate(50));
        if fits { assert!(rotated.is_ok()) } else { assert_eq!(field(rotated), "grace_seconds", "{grace}") }
    }
}

#[test]
fn administrators_keys_are_for_members_of_the_organization() {
    let house = House::new();
    let user = house.add_user("ada@example.com", OrganizationRole::Reader).id;
    let new = |user, name: &str, expires_at| NewAdminKey {
        organization: house.organization,
        user,
        name: name.to_owned(),
        expires_at,
    };
    let (service, mandate) = (&house.service, house.mandate(5));
    let nobody = UserId::from_bytes([9; 16]);
    assert_eq!(field(service.create_admin_key(new(nobody, "x", None), &mandate)), "user");
    assert_eq!(field(service.create_admin_key(new(user, " ", None), &mandate)), "name");
    assert_eq!(field(service.create_admin_key(new(user, "x", Some(at(5))), &mandate)), "expires_at");
    let made = service.create_admin_key(new(user, "x", Some(at(9))), &mandate).unwrap();
    let opens = |seconds| service.directory().administrator(made.secret.expose(), at(seconds)).is_ok();
    assert_eq!([opens(8), opens(9)], [true, false]);
    // Another organization cannot end it.
    let stranger = OrganizationId::from_bytes([9; 16]);
    assert_eq!(field(service.revoke_admin_key(stranger, made.key.id, &mandate)), "id");
    assert!(opens(8));
    service.revoke_admin_key(house.organization, made.key.id, &mandate).unwrap();
    assert!(!opens(8));
    assert_eq!(field(service.revoke_admin_key(house.organization, made.key.id, &mandate)), "id");
    house.is_in_step();
}

#[test]
fn a_subject_and_a_model_have_one_limit() {
    let house = House::new();
    let requests = |cap| Caps { requests_per_minute: Some(cap), ..Caps::default() };
    let set = |subject: LimitSubject, model: &str, caps| {
        let new = NewLimit { organization: house.organization, subject, model: model.to_owned(), caps };
        house.service.set_limit(new, &house.mandate(5))
    };
    let all = LimitSubject::Organization;
    let first = set(all.clone(), "*", requests(1)).unwrap();
    let changed = set(all.clone(), "*", requests(2)).unwrap();
    assert_eq!((changed.id, changed.caps), (first.id, requests(2)));
    let others = [
        set(all.clone(), "gpt-5*", requests(3)).unwrap(),
        set(LimitSubject::Project(None), "*", requests(4)).unwrap(),
        set(LimitSubject::Project(Some(house.project)), "*", requests(5)).unwrap(),
    ];
    let directory = house.service.directory();
    let caps = |subject: &LimitSubject, model: &str| -> Vec<u64> {
        let tenant = directory.tenant(house.organization).unwrap();
        tenant.limits_of(subject, model).filter_map(|limit| limit.caps.requests_per_minute).collect()
    };
    assert_eq!(caps(&all, "gpt-5.4"), [2, 3]);
    assert_eq!(caps(&all, "gpt-4"), [2]);
    assert_eq!(caps(&LimitSubject::Project(Some(house.project)), "x"), [5]);
    house.is_in_step();
    for limit in others {
        house.service.remove_limit(house.organization, limit.id, &house.mandate(6)).unwrap();
        assert_eq!(field(house.service.remove_limit(house.organization, limit.id, &house.mandate(6))), "id");
    }
    assert_eq!(caps(&all, "gpt-5.4"), [2]);
    house.is_in_step();
}

#[test]
fn of_two_changes_of_a_limit_neither_undoes_the_other() {
    let house = House::new();
    let update = |caps| {
        let (organization, subject) = (house.organization, LimitSubject::Organization);
        let new = NewLimit { organization, subject, model: "*".to_owned(), caps };
        house.service.update_limit(new, &house.mandate(5))
    };
    std::thread::scope(|scope| {
        scope.spawn(|| update(Caps { requests_per_minute: Some(1), ..Caps::default() }).unwrap());
        scope.spawn(|| update(Caps { tokens_per_day: Some(2), ..Caps::default() }).unwrap());
    });
    let both = Caps { requests_per_minute: Some(1), tokens_per_day: Some(2), ..Caps::default() };
    assert_eq!(update(Caps::default()).unwrap().caps, both);
    let changed = update(Caps { requests_per_minute: Some(3), ..Caps::default() }).unwrap().caps;
    assert_eq!(changed, Caps { requests_per_minute: Some(3), ..both });
    house.is_in_step();
}

#[test]
fn limits_are_checked() {
    let house = House::new();
    let key = house.add_key(None).key.id;
    let one = Caps { requests_per_day: Some(0), ..Caps::default() };
    let cap = |cap| Caps { tokens_per_day: Some(cap), ..Caps::default() };
    let user = |name: &str| LimitSubject::User(Some(name.to_owned()));
    let nowhere = LimitSubject::Project(Some(ProjectId::from_bytes([9; 16])));
    for (subject, model, caps, refused) in [
        (LimitSubject::Organization, "*", one, None),
        (LimitSubject::Organization, "*", cap(1 << 53), None),
        (LimitSubject::Organization, "*", cap((1 << 53) + 1), Some("tokens_per_day")),
        (LimitSubject::Organization, "*", cap(u64::MAX), Some("tokens_per_day")),
        (LimitSubject::Organization, "*", Caps::default(), Some("caps")),
        (LimitSubject::Organization, "a*b", one, Some("model")),
        (LimitSubject::Organization, "", one, Some("model")),
        (nowhere, "*", one, Some("project")),
        (LimitSubject::Key(Some(key)), "*", one, None),
        (LimitSubject::Key(Some(KeyId::from_bytes([9; 16]))), "*", one, Some("key")),
        (LimitSubject::Key(None), "*", one, None),
        (LimitSubject::User(None), "*", one, None),
        (user("grüße"), "*", one, None),
        (user(&"u".repeat(128)), "*", one, None),
        (user(&"ü".repeat(65)), "*", one, Some("user")),
        (user(""), "*", one, Some("user")),
    ] {
        let new = NewLimit { organization: house.organization, subject, model: model.to_owned(), caps };
        let set = house.service.set_limit(new.clone(), &house.mandate(5));
        match refused {
            None => assert_eq!(set.map(|limit| limit.subject), Ok(new.subject)),
            Some(name) => assert_eq!(field(set), name, "{new:?}"),
        }
    }
}
