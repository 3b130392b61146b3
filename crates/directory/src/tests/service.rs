//! Changes: what is taken, what is refused, and that requests see only what is stored.

use std::sync::Arc;

use domain::{KeyId, OrganizationId, ProjectId, Zone};

use super::{CountingIds, FixedIds, at, hasher};
use crate::{
    Contents, CreateError, DataClass, DirectoryService, DirectoryStore, Environment, InFlight, Key, KeyKind,
    MemoryDirectory, NewKey, NewOrganization, NewProject, OpenError, Organization, OrganizationChanges,
    Project, RecordKind, Secret, StoreError,
};

fn service() -> (Arc<MemoryDirectory>, DirectoryService, CountingIds) {
    let store = Arc::new(MemoryDirectory::default());
    let service = DirectoryService::open(Arc::clone(&store) as _, hasher()).unwrap();
    (store, service, CountingIds::default())
}

fn new_organization(name: &str) -> NewOrganization {
    NewOrganization { name: name.to_owned(), ..NewOrganization::default() }
}

fn new_project(organization: OrganizationId, name: &str) -> NewProject {
    NewProject {
        organization,
        name: name.to_owned(),
        environment: Environment::default(),
        data_class: DataClass::default(),
    }
}

fn new_key(project: ProjectId) -> NewKey {
    NewKey { project, name: None, expires_at: None }
}

#[test]
fn what_is_made_is_stored_and_works_at_once_and_after_a_restart() {
    let (store, service, ids) = service();
    let organization = service.create_organization(new_organization("  Acme  "), &ids, at(1)).unwrap();
    assert_eq!((organization.name.as_str(), organization.created_at), ("Acme", at(1)));
    let project = service.create_project(new_project(organization.id, "chat"), &ids, at(2)).unwrap();
    assert_eq!((project.environment, project.data_class), (Environment::Dev, DataClass::Internal));
    let made = service.create_key(new_key(project.id), &ids, at(3)).unwrap();
    assert_eq!((made.key.name.as_str(), &made.key.redacted), ("default", &made.secret.redacted()));

    let stored = Contents {
        organizations: vec![organization.clone()],
        projects: vec![project.clone()],
        keys: vec![made.key.clone()],
    };
    assert_eq!(store.load(), Ok(stored));
    let restarted = DirectoryService::open(store, hasher()).unwrap();
    for directory in [service.directory(), restarted.directory()] {
        let principal = directory.authenticate(made.secret.expose(), at(4)).unwrap();
        assert_eq!((principal.key, principal.project), (made.key.id, project.id));
        assert_eq!((principal.organization, principal.in_flight), (organization.id, InFlight::Completes));
    }
}

#[test]
fn a_changed_organization_is_stored_and_seen_by_its_keys_at_once() {
    let (store, service, ids) = service();
    let organization = service.create_organization(new_organization("x"), &ids, at(1)).unwrap();
    let other = service.create_organization(new_organization("other"), &ids, at(1)).unwrap();
    let project = service.create_project(new_project(organization.id, "x"), &ids, at(2)).unwrap();
    let made = service.create_key(new_key(project.id), &ids, at(3)).unwrap();
    let zone: Zone = "Europe/Berlin".parse().unwrap();
    let mut expected = organization;
    for changes in [
        OrganizationChanges::default(),
        OrganizationChanges { in_flight: Some(InFlight::Stops), ..OrganizationChanges::default() },
        OrganizationChanges { name: Some(" y ".to_owned()), ..OrganizationChanges::default() },
        OrganizationChanges { time_zone: Some(zone), ..OrganizationChanges::default() },
    ] {
        expected.name = changes.name.as_deref().map_or(expected.name, |name| name.trim().to_owned());
        expected.time_zone = changes.time_zone.clone().unwrap_or(expected.time_zone);
        expected.in_flight = changes.in_flight.unwrap_or(expected.in_flight);
        assert_eq!(service.update_organization(expected.id, changes), Ok(expected.clone()));
        assert!(store.load().unwrap().organizations.contains(&expected));
        assert_eq!(*service.directory().organization(expected.id).unwrap(), expected);
        let principal = service.directory().authenticate(made.secret.expose(), at(4)).unwrap();
        let seen = (principal.organization_name.as_str(), principal.in_flight);
        assert_eq!(seen, (expected.name.as_str(), expected.in_flight));
    }
    assert_eq!(*service.directory().organization(other.id).unwrap(), other);
    let unknown = OrganizationId::from_bytes([9; 16]);
    assert_eq!(
        service.update_organization(unknown, OrganizationChanges::default()),
        Err(CreateError::NotFound { field: "organization", id: unknown.to_string() })
    );
}

#[test]
fn names_are_checked_everywhere() {
    let (_, service, ids) = service();
    let organization = service.create_organization(new_organization("x"), &ids, at(0)).unwrap().id;
    let project = service.create_project(new_project(organization, "x"), &ids, at(0)).unwrap().id;
    let long = "ü".repeat(100);
    let too_long = "ü".repeat(101);
    for (name, problem) in [
        ("x", None),
        (long.as_str(), None),
        ("Grüße, 世界", None),
        ("", Some("`name` is empty")),
        (" \t\n ", Some("`name` is empty")),
        (too_long.as_str(), Some("`name` has 101 characters; at most 100")),
        ("a\nb", Some("`name` contains a control character")),
        ("a\u{1b}[31mb", Some("`name` contains a control character")),
    ] {
        let key = NewKey { name: Some(name.to_owned()), ..new_key(project) };
        let renamed = OrganizationChanges { name: Some(name.to_owned()), ..OrganizationChanges::default() };
        let outcomes = [
            service.create_organization(new_organization(name), &ids, at(0)).map(drop),
            service.create_project(new_project(organization, name), &ids, at(0)).map(drop),
            service.create_key(key, &ids, at(0)).map(drop),
            service.update_organization(organization, renamed).map(drop),
        ];
        for outcome in outcomes {
            let found = outcome.err().map(|error| error.to_string());
            match problem {
                None => assert_eq!(found, None, "{name:?}"),
                Some(problem) => assert!(found.unwrap().starts_with(problem), "{name:?}"),
            }
        }
    }
}

#[test]
fn parents_must_exist_and_be_open() {
    let (store, service, ids) = service();
    let unknown = OrganizationId::from_bytes([9; 16]);
    assert_eq!(
        service.create_project(new_project(unknown, "x"), &ids, at(0)),
        Err(CreateError::NotFound { field: "organization", id: unknown.to_string() })
    );
    let unknown = ProjectId::from_bytes([9; 16]);
    assert_eq!(
        service.create_key(new_key(unknown), &ids, at(0)).map(drop),
        Err(CreateError::NotFound { field: "project", id: unknown.to_string() })
    );
    let organization = service.create_organization(new_organization("x"), &ids, at(0)).unwrap().id;
    let open = service.create_project(new_project(organization, "x"), &ids, at(0)).unwrap();
    let key = NewKey { expires_at: Some(at(5)), ..new_key(open.id) };
    assert!(matches!(
        service.create_key(key.clone(), &ids, at(5)).map(drop),
        Err(CreateError::Invalid { field: "expires_at", .. })
    ));
    assert_eq!(service.create_key(key, &ids, at(4)).map(drop), Ok(()));

    let closed = Project { id: ProjectId::from_bytes([8; 16]), archived_at: Some(at(1)), ..open };
    assert_eq!(store.insert_project(&closed), Ok(()));
    let reopened = DirectoryService::open(store, hasher()).unwrap();
    assert_eq!(
        reopened.create_key(new_key(closed.id), &ids, at(2)).map(drop),
        Err(CreateError::Archived { field: "project", id: closed.id.to_string() })
    );
}

/// A store whose disk is full.
struct FullStore(MemoryDirectory);

fn full() -> Result<(), StoreError> {
    Err(StoreError::Failed("no space left".to_owned()))
}

impl DirectoryStore for FullStore {
    fn load(&self) -> Result<Contents, StoreError> {
        self.0.load()
    }

    fn insert_organization(&self, _: &Organization) -> Result<(), StoreError> {
        full()
    }

    fn update_organization(&self, _: &Organization) -> Result<(), StoreError> {
        full()
    }

    fn insert_project(&self, _: &Project) -> Result<(), StoreError> {
        full()
    }

    fn insert_key(&self, _: &Key) -> Result<(), StoreError> {
        full()
    }
}

#[test]
fn what_was_not_stored_is_not_seen() {
    let (store, service, ids) = service();
    let organization = service.create_organization(new_organization("x"), &ids, at(0)).unwrap().id;
    let project = service.create_project(new_project(organization, "x"), &ids, at(0)).unwrap().id;
    let full_store = FullStore(MemoryDirectory::with(store.load().unwrap()));
    let service = DirectoryService::open(Arc::new(full_store), hasher()).unwrap();
    let failed = CreateError::Store(StoreError::Failed("no space left".to_owned()));
    let (ids, bytes) = (&FixedIds, [0xee; 16]);
    assert_eq!(service.create_organization(new_organization("y"), ids, at(1)), Err(failed.clone()));
    assert!(service.directory().organization(OrganizationId::from_bytes(bytes)).is_none());
    let renamed = OrganizationChanges { name: Some("y".to_owned()), ..OrganizationChanges::default() };
    assert_eq!(service.update_organization(organization, renamed), Err(failed.clone()));
    assert_eq!(service.directory().organization(organization).unwrap().name, "x");
    assert_eq!(service.create_project(new_project(organization, "y"), ids, at(1)), Err(failed.clone()));
    assert!(service.directory().project(ProjectId::from_bytes(bytes)).is_none());
    assert_eq!(service.create_key(new_key(project), ids, at(1)).map(drop), Err(failed));
    assert!(service.directory().key(KeyId::from_bytes(bytes)).is_none());
    let secret = Secret::generate(KeyKind::Project, ids);
    assert!(service.directory().authenticate(secret.expose(), at(1)).is_err());
}

#[test]
fn opening_passes_on_what_is_wrong() {
    let broken = Contents {
        projects: vec![Project {
            id: ProjectId::from_bytes([1; 16]),
            organization: OrganizationId::from_bytes([2; 16]),
            name: "x".to_owned(),
            environment: Environment::Dev,
            data_class: DataClass::Public,
            created_at: at(0),
            archived_at: None,
        }],
        ..Contents::default()
    };
    let opened = DirectoryService::open(Arc::new(MemoryDirectory::with(broken)), hasher());
    assert!(matches!(opened.map(drop), Err(OpenError::Inconsistent(_))));
    assert_eq!(
        StoreError::Orphan(RecordKind::Key).to_string(),
        "this key belongs to a record that is not stored"
    );
}

#[test]
fn words_of_enums_go_both_ways() {
    for environment in Environment::ALL {
        assert_eq!(environment.to_string().parse(), Ok(*environment));
    }
    for policy in InFlight::ALL {
        assert_eq!(policy.as_str().parse(), Ok(*policy));
    }
    for class in DataClass::ALL {
        assert_eq!(class.as_str().parse(), Ok(*class));
    }
    let error = "Prod\n".parse::<Environment>().unwrap_err().to_string();
    assert_eq!(error, "`Prod` is not an environment; write dev, staging or prod");
}

#[test]
fn readers_never_see_half_a_change() {
    let (_, service, ids) = service();
    let organization = service.create_organization(new_organization("x"), &ids, at(0)).unwrap().id;
    let project = service.create_project(new_project(organization, "x"), &ids, at(0)).unwrap().id;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let made = service.create_key(new_key(project), &ids, at(1)).unwrap();
                    let principal = service.directory().authenticate(made.secret.expose(), at(1)).unwrap();
                    assert_eq!(principal.key, made.key.id);
                }
            });
        }
    });
}
