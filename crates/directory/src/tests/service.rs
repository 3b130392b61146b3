//! What holds of every change: stored before it is seen, told in the log, and nothing secret told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{IdError, ProjectId, Timestamp};

use super::at;
use super::house::{House, actions, new_key, new_project};
use super::world::{project, visit};
use crate::{
    Actor, ActorKind, AuditEntry, Bounds, Caps, ChangeError, Commit, Contents, DirectoryService,
    DirectoryStore, Environment, InFlight, KeyChanges, KeyOwner, LimitSubject, Mandate, MemoryDirectory,
    NewAdminKey, NewLimit, NewOrganization, NewUser, OpenError, OrganizationChanges, OrganizationRole,
    ProjectChanges, ProjectRole, RecordKind, StoreError, UserChanges,
};

/// A store whose disk fills up when told to.
struct Filling {
    kept: Arc<MemoryDirectory>,
    full: AtomicBool,
}

impl DirectoryStore for Filling {
    fn load(&self) -> Result<Contents, StoreError> {
        self.kept.load()
    }

    fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) { Err(full()) } else { self.kept.commit(commit) }
    }

    fn save_uses(&self, uses: Vec<([u8; 16], Timestamp)>) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) { Err(full()) } else { self.kept.save_uses(uses) }
    }
}

fn full() -> StoreError {
    StoreError::Failed("no space left".to_owned())
}

/// The outcome of a change that is told by its name.
type Outcome = (&'static str, Result<(), ChangeError>);

/// Every operation once, on what a house has. Each finds something to change.
fn every_change(house: &House, service: &DirectoryService, seconds: i64) -> Vec<Outcome> {
    let mandate = Mandate::operator(&house.ids, at(seconds));
    let tenant = service.directory().tenant(house.organization).unwrap();
    let person = |email| tenant.user_by_email(email).unwrap().id;
    let (user, leaving) = (person("ada@example.com"), person("bob@example.com"));
    let account = tenant.service_accounts(house.project)[0].id;
    let keys = service.directory().keys(house.project, None, 2);
    let admin = service.directory().admin_keys(house.organization)[0].id;
    let limit = tenant.limits()[0].id;
    let invite = tenant.invites()[0].id;
    let (organization, project) = (house.organization, house.project);
    let text = || Some(format!("name {seconds}"));
    let caps = Caps { requests_per_day: Some(7), ..Caps::default() };
    let new_limit =
        NewLimit { organization, subject: LimitSubject::Organization, model: "m".to_owned(), caps };
    let new_admin = NewAdminKey { organization, user, name: "x".to_owned(), expires_at: None };
    let new_organization = NewOrganization { name: "new".to_owned(), ..NewOrganization::default() };
    let new_user = NewUser {
        organization,
        email: "new@example.com".to_owned(),
        name: None,
        role: OrganizationRole::Reader,
    };
    let new_invite = crate::NewInvite {
        organization,
        email: "invited@example.com".to_owned(),
        role: OrganizationRole::Reader,
        projects: vec![],
    };
    let (none, mandate) = (OrganizationChanges::default, &mandate);
    vec![
        ("organization.created", service.create_organization(new_organization, mandate).map(drop)),
        (
            "organization.updated",
            service
                .update_organization(organization, OrganizationChanges { name: text(), ..none() }, mandate)
                .map(drop),
        ),
        ("project.created", service.create_project(new_project(organization, "new"), mandate).map(drop)),
        (
            "project.updated",
            service
                .update_project(
                    project,
                    ProjectChanges { name: text(), ..ProjectChanges::default() },
                    mandate,
                )
                .map(drop),
        ),
        ("user.added", service.add_user(new_user, mandate).map(drop)),
        (
            "user.updated",
            service
                .update_user(
                    organization,
                    user,
                    UserChanges { name: text(), ..UserChanges::default() },
                    mandate,
                )
                .map(drop),
        ),
        ("project.user.updated", service.set_member(project, user, ProjectRole::Owner, mandate).map(drop)),
        ("project.user.added", service.set_member(project, leaving, ProjectRole::Owner, mandate).map(drop)),
        ("project.user.deleted", service.remove_member(project, leaving, mandate)),
        ("user.deleted", service.remove_user(organization, leaving, mandate)),
        ("service_account.created", service.create_service_account(project, "new", mandate).map(drop)),
        (
            "service_account.updated",
            service.rename_service_account(project, account, &text().unwrap(), mandate).map(drop),
        ),
        (
            "api_key.created",
            service
                .create_key(crate::NewKey { owner: Some(KeyOwner::User(user)), ..new_key(project) }, mandate)
                .map(drop),
        ),
        (
            "api_key.updated",
            service
                .update_key(keys[0].id, KeyChanges { name: text(), ..KeyChanges::default() }, mandate)
                .map(drop),
        ),
        ("api_key.rotated", service.rotate_key(keys[0].id, 60, mandate).map(drop)),
        ("api_key.deleted", service.revoke_key(keys[1].id, mandate).map(drop)),
        ("admin_api_key.created", service.create_admin_key(new_admin, mandate).map(drop)),
        ("admin_api_key.deleted", service.revoke_admin_key(organization, admin, mandate).map(drop)),
        ("invite.sent", service.create_invite(new_invite, mandate).map(drop)),
        ("invite.deleted", service.withdraw_invite(organization, invite, mandate)),
        ("rate_limit.updated", service.set_limit(new_limit, mandate).map(drop)),
        ("rate_limit.deleted", service.remove_limit(organization, limit, mandate)),
        ("service_account.deleted", service.remove_service_account(project, account, mandate)),
        ("project.archived", service.archive_project(project, mandate).map(drop)),
    ]
}

/// A house with one of everything.
fn furnished() -> House {
    let house = House::new();
    let user = house.add_member("ada@example.com");
    house.add_user("bob@example.com", OrganizationRole::Reader);
    house.service.create_service_account(house.project, "robot", &house.mandate(0)).unwrap();
    house.add_key(Some(KeyOwner::User(user)));
    house.add_key(Some(KeyOwner::User(user)));
    house.invite("cid@example.com", &[]).unwrap();
    let (organization, mandate) = (house.organization, house.mandate(0));
    let new = NewAdminKey { organization, user, name: "admin".to_owned(), expires_at: None };
    house.service.create_admin_key(new, &mandate).unwrap();
    let caps = Caps { requests_per_day: Some(1), ..Caps::default() };
    let subject = LimitSubject::Project(Some(house.project));
    let new = NewLimit { organization, subject, model: "*".to_owned(), caps };
    house.service.set_limit(new, &mandate).unwrap();
    house
}

#[test]
fn what_was_not_stored_is_not_seen() {
    let house = furnished();
    let store = Arc::new(Filling { kept: Arc::clone(&house.store), full: AtomicBool::new(true) });
    let service = DirectoryService::open(Arc::clone(&store) as _, super::hasher()).unwrap();
    let (stored, lines) = (house.store.load(), house.store.audit());
    let shown = |service: &DirectoryService| format!("{:?}", service.directory().tenants());
    let keys = |service: &DirectoryService| service.directory().keys(house.project, None, 99);
    let before = (shown(&service), keys(&service));
    for (action, outcome) in every_change(&house, &service, 5) {
        // Whoever has no part yet cannot lose it.
        if action == "project.user.deleted" {
            continue;
        }
        assert_eq!(outcome, Err(ChangeError::Store(full())), "{action}");
    }
    assert_eq!((shown(&service), keys(&service)), before);
    assert_eq!((house.store.load(), house.store.audit()), (stored, lines));
    // When the disk has room again, the same changes are made.
    store.full.store(false, Ordering::Relaxed);
    for (action, outcome) in every_change(&house, &service, 6) {
        assert_eq!(outcome, Ok(()), "{action}");
    }
    assert_ne!(shown(&service), before.0);
}

#[test]
fn every_change_is_one_line_of_the_log() {
    let house = furnished();
    let before = house.store.audit().len();
    let mut outcomes = every_change(&house, &house.service, 5);
    assert_eq!(outcomes.iter().find(|(_, outcome)| outcome.is_err()), None);
    let lines = house.store.audit().split_off(before);
    let expected: Vec<&str> = outcomes.drain(..).map(|(action, _)| action).collect();
    assert_eq!(actions(&lines), expected);
    let operator = Actor { by: ActorKind::Operator, address: None };
    for line in &lines {
        assert_eq!((line.at, &line.actor), (at(5), &operator), "{line:?}");
        let (made, gone) = (line.before.is_none(), line.after.is_none());
        assert_eq!(
            made,
            ["created", "added", "sent"].iter().any(|end| line.action.ends_with(end))
                || line.action == "rate_limit.updated",
            "{line:?}"
        );
        // What is marked as ended still is something; what is taken away is nothing.
        let removed = ["project.user.deleted", "rate_limit.deleted"].contains(&line.action);
        assert_eq!(gone, removed, "{line:?}");
        assert_ne!(line.before, line.after, "{line:?}");
        for json in [&line.before, &line.after].into_iter().flatten() {
            assert!(serde_json::from_str::<serde_json::Value>(json).unwrap().is_object(), "{json}");
        }
        // Whatever is of a project is found under it, from its making to its end.
        let of_project =
            ["api_key.", "service_account.", "project."].iter().any(|begin| line.action.starts_with(begin));
        if line.action == "project.created" {
            assert_eq!(line.project.map(|id| id.to_string()), Some(line.subject.clone()));
        } else if of_project || line.action == "rate_limit.deleted" {
            assert_eq!(line.project, Some(house.project), "{line:?}");
        } else {
            assert_eq!(line.project, None, "{line:?}");
        }
    }
    let mut ids: Vec<_> = house.store.audit().iter().map(|line| line.id).collect();
    assert!(ids.is_sorted(), "ids rise, so the order of the log is theirs");
    ids.dedup();
    assert_eq!(ids.len(), house.store.audit().len());
}

#[test]
fn no_secret_and_no_hash_is_in_the_log() {
    let house = furnished();
    let made = house.add_key(None);
    let rotated = house.service.rotate_key(made.key.id, 60, &house.mandate(1)).unwrap();
    let sent = house.invite("dan@example.com", &[house.project]).unwrap();
    let accepted = house.service.accept_invite(sent.token.expose(), None, &house.mandate(1)).unwrap();
    assert!(every_change(&house, &house.service, 5).iter().all(|(_, outcome)| outcome.is_ok()));
    let log = format!("{:?}", house.store.audit());
    for secret in [&made.secret, &rotated.secret, &sent.token, &accepted.admin_key.secret] {
        let text = secret.expose();
        let random = &text[secret.kind().prefix().len()..];
        for start in 0..random.len() - 5 {
            assert!(!log.contains(&random[start..start + 5]), "{secret:?} at {start}");
        }
        let hash = super::hasher().hash(text);
        let hex: String = hash.as_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{:?}", &hash.as_bytes()[..4]).replace(['[', ']', ' '], "");
        assert!(!log.contains(&hex) && !log.replace(' ', "").contains(&list), "{secret:?}");
    }
    for word in ["hash", "token\\\"", "secret", "pepper"] {
        assert!(!log.contains(word), "{word}");
    }
    assert!(log.contains(&rotated.secret.redacted()), "what may be shown is shown");
}

#[test]
fn a_line_tells_who_and_from_where_and_what_was() {
    let house = furnished();
    let person = house.service.directory().tenant(house.organization).unwrap().users()[0].id;
    let admin = house.service.directory().admin_keys(house.organization)[0].id;
    let actor = Actor {
        by: ActorKind::AdminKey { key: admin, user: person, email: "ada@example.com".to_owned() },
        address: super::world::address("2001:db8::7"),
    };
    let mandate = Mandate { actor: actor.clone(), ids: &house.ids, now: at(9) };
    let changes = ProjectChanges { environment: Some(Environment::Prod), ..ProjectChanges::default() };
    let lines: Vec<AuditEntry> =
        house.told(|| drop(house.service.update_project(house.project, changes, &mandate).unwrap()));
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line.actor, line.at, line.organization), (&actor, at(9), house.organization));
    assert_eq!((line.project, line.subject.clone()), (Some(house.project), house.project.to_string()));
    let environment = |json: &Option<String>| {
        let json: serde_json::Value = serde_json::from_str(json.as_deref().unwrap()).unwrap();
        json["environment"].as_str().map(str::to_owned)
    };
    assert_eq!(environment(&line.before).as_deref(), Some("dev"));
    assert_eq!(environment(&line.after).as_deref(), Some("prod"));
    let names = [admin.to_string(), person.to_string(), "ada@example.com".to_owned()];
    assert_eq!(actor.names(), names);
    // It reads back as it was written.
    let json = serde_json::to_string(&actor).unwrap();
    assert_eq!(serde_json::from_str::<Actor>(&json).unwrap(), actor);
    assert!(json.contains(r#""type":"admin_key""#) && json.contains(r#""address":"2001:db8::7""#), "{json}");
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let house = furnished();
    let store = Arc::new(Filling { kept: Arc::clone(&house.store), full: AtomicBool::new(true) });
    // Not even a store that is full notices.
    let service = DirectoryService::open(store, super::hasher()).unwrap();
    let (organization, id, mandate) = (house.organization, house.project, house.mandate(9));
    let tenant = service.directory().tenant(organization).unwrap();
    let user = tenant.user_by_email("ada@example.com").unwrap().id;
    let account = tenant.service_accounts(id)[0].clone();
    let key = service.directory().keys(id, None, 1)[0].clone();
    let limit = tenant.limits()[0].clone();
    let same = NewLimit {
        organization,
        subject: limit.subject.clone(),
        model: limit.model.clone(),
        caps: limit.caps,
    };
    let stays = OrganizationChanges {
        name: Some(" Acme ".to_owned()),
        in_flight: Some(InFlight::Completes),
        verified: Some(false),
        ..OrganizationChanges::default()
    };
    let key_stays = KeyChanges {
        name: Some(key.name.clone()),
        bounds: Some(Bounds::default()),
        expires_at: Some(None),
        disabled: Some(false),
    };
    let lines = house.store.audit().len();
    assert!(service.update_organization(organization, stays, &mandate).is_ok());
    assert!(service.update_organization(organization, OrganizationChanges::default(), &mandate).is_ok());
    assert!(service.update_project(id, ProjectChanges::default(), &mandate).is_ok());
    assert!(service.update_user(organization, user, UserChanges::default(), &mandate).is_ok());
    assert!(service.set_member(id, user, ProjectRole::Member, &mandate).is_ok());
    assert!(service.rename_service_account(id, account.id, &account.name, &mandate).is_ok());
    assert_eq!(service.update_key(key.id, key_stays, &mandate), Ok((*key).clone()));
    assert_eq!(service.set_limit(same, &mandate), Ok((*limit).clone()));
    assert_eq!(house.store.audit().len(), lines);
}

#[test]
fn uses_are_stored_and_outlive_a_restart() {
    let house = House::new();
    let made = house.add_key(None);
    let never = Timestamp::from_micros(i64::MIN);
    assert_eq!(house.service.save_uses(never), Ok(()));
    assert!(house.opens(&made.secret, 5));
    house.service.save_uses(never).unwrap();
    let restarted = DirectoryService::open(Arc::clone(&house.store) as _, super::hasher()).unwrap();
    assert_eq!(restarted.directory().last_used(made.key.id), Some(at(5)));
    // A change of the key does not forget it.
    let changes = KeyChanges { name: Some("x".to_owned()), ..KeyChanges::default() };
    restarted.update_key(made.key.id, changes, &house.mandate(6)).unwrap();
    assert_eq!(restarted.directory().last_used(made.key.id), Some(at(5)));
    restarted.directory().authenticate(made.secret.expose(), &visit(at(8))).unwrap();
    assert_eq!(restarted.directory().last_used(made.key.id), Some(at(8)));
    let store = Filling { kept: Arc::clone(&house.store), full: AtomicBool::new(true) };
    let full_service = DirectoryService::open(Arc::new(store), super::hasher()).unwrap();
    assert_eq!(full_service.save_uses(never), Err(full()));
}

#[test]
fn opening_passes_on_what_is_wrong() {
    let broken = Contents { projects: vec![project()], ..Contents::default() };
    let opened = DirectoryService::open(Arc::new(MemoryDirectory::with(broken)), super::hasher());
    assert!(matches!(opened.map(drop), Err(OpenError::Inconsistent(_))));
    assert_eq!(
        StoreError::Orphan(RecordKind::Key).to_string(),
        "this key belongs to a record that is not stored"
    );
    assert_eq!(StoreError::Duplicate(RecordKind::Limit).to_string(), "this rate limit is stored already");
    let wrong: Result<ProjectId, IdError> = "proj_".parse();
    assert!(wrong.is_err());
}

#[test]
fn words_of_enums_go_both_ways() {
    for environment in Environment::ALL {
        assert_eq!(environment.to_string().parse(), Ok(*environment));
    }
    for role in OrganizationRole::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
        assert_eq!(serde_json::to_string(role).unwrap(), format!("\"{role}\""));
    }
    for role in ProjectRole::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
    }
    for scope in crate::Scope::ALL {
        assert_eq!(scope.as_str().parse(), Ok(*scope));
    }
    for mode in crate::AccessMode::ALL {
        assert_eq!(mode.as_str().parse(), Ok(*mode));
    }
    let error = "Prod\n".parse::<Environment>().unwrap_err().to_string();
    assert_eq!(error, "`Prod` is not an environment; write dev, staging or prod");
}
