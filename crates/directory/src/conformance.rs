//! What every [`DirectoryStore`] must do, as one suite that each store's tests run.

use std::sync::Arc;

use domain::{KeyId, OrganizationId, ProjectId, Timestamp, WalletId, Zone};

use crate::port::{Contents, DirectoryStore, RecordKind, StoreError};
use crate::record::{DataClass, Environment, InFlight, Key, KeyHash, Organization, Project};

/// Runs the whole suite; `make_store` must give a fresh, empty store each time. Panics on the first difference.
pub fn check(make_store: impl Fn() -> Arc<dyn DirectoryStore>) {
    keeps_every_field(&*make_store());
    keeps_every_word(&*make_store());
    changes_organizations(&*make_store());
    refuses_duplicates(&*make_store());
    refuses_orphans(&*make_store());
    takes_insertions_from_many_threads(&*make_store());
}

/// The organization number `n` of the suite.
fn organization(n: u8) -> Organization {
    Organization {
        id: OrganizationId::from_bytes([n; 16]),
        name: format!("organization {n} – «Ünïcode» 'quoted' \"twice\"; -- 組織 🏛"),
        wallet: WalletId::from_bytes([n; 16]),
        time_zone: zone("America/New_York"),
        in_flight: InFlight::Stops,
        created_at: Timestamp::from_micros(1_790_000_000_123_456 + i64::from(n)),
    }
}

fn zone(name: &str) -> Zone {
    let zone = name.parse::<Zone>().unwrap_or_default();
    assert_eq!(zone.to_string(), name);
    zone
}

/// The project number `n` of the suite, of the organization with the same number.
fn project(n: u8) -> Project {
    Project {
        id: ProjectId::from_bytes([n; 16]),
        organization: organization(n).id,
        name: format!("project {n}"),
        environment: Environment::Staging,
        data_class: DataClass::Sensitive,
        created_at: Timestamp::from_micros(-1),
        archived_at: None,
    }
}

/// The key number `n` of the suite, of the project with the same number.
fn key(n: u8) -> Key {
    Key {
        id: KeyId::from_bytes([n; 16]),
        organization: organization(n).id,
        project: project(n).id,
        name: "x".repeat(100),
        hash: KeyHash::from_bytes([n; 32]),
        redacted: "tk-a1b…xyz9".to_owned(),
        created_at: Timestamp::from_micros(0),
        expires_at: None,
        disabled_at: None,
    }
}

/// Asserts what the store holds, in whatever order it gives it.
fn assert_holds(store: &dyn DirectoryStore, mut expected: Contents) {
    let sorted = |contents: &mut Contents| {
        contents.organizations.sort_by_key(|organization| organization.id);
        contents.projects.sort_by_key(|project| project.id);
        contents.keys.sort_by_key(|key| key.id);
    };
    sorted(&mut expected);
    let loaded = store.load().map(|mut contents| {
        sorted(&mut contents);
        contents
    });
    assert_eq!(loaded, Ok(expected));
}

/// Stores organization, project and key number `n`.
fn insert_family(store: &dyn DirectoryStore, n: u8) {
    assert_eq!(store.insert_organization(&organization(n)), Ok(()));
    assert_eq!(store.insert_project(&project(n)), Ok(()));
    assert_eq!(store.insert_key(&key(n)), Ok(()));
}

fn keeps_every_field(store: &dyn DirectoryStore) {
    assert_holds(store, Contents::default());
    insert_family(store, 1);
    let mut contents =
        Contents { organizations: vec![organization(1)], projects: vec![project(1)], keys: vec![key(1)] };
    assert_holds(store, contents.clone());

    let latest = Some(Timestamp::MAX);
    let archived = Project { id: ProjectId::from_bytes([0; 16]), archived_at: latest, ..project(1) };
    let expiring = Key {
        id: KeyId::from_bytes([0xff; 16]),
        hash: KeyHash::from_bytes([0xff; 32]),
        name: "–".to_owned(),
        expires_at: latest,
        ..key(1)
    };
    let disabled = Key {
        id: KeyId::from_bytes([0; 16]),
        hash: KeyHash::from_bytes([0; 32]),
        disabled_at: Some(Timestamp::from_micros(7)),
        ..key(1)
    };
    assert_eq!(store.insert_project(&archived), Ok(()));
    assert_eq!(store.insert_key(&expiring), Ok(()));
    assert_eq!(store.insert_key(&disabled), Ok(()));
    contents.projects.push(archived);
    contents.keys.extend([expiring, disabled]);
    assert_holds(store, contents);
}

fn keeps_every_word(store: &dyn DirectoryStore) {
    assert_eq!(store.insert_organization(&organization(1)), Ok(()));
    let words = Environment::ALL.iter().flat_map(|e| DataClass::ALL.iter().map(move |d| (*e, *d)));
    let projects: Vec<Project> = (1_u8..)
        .zip(words)
        .map(|(n, (environment, data_class))| Project {
            id: ProjectId::from_bytes([n; 16]),
            environment,
            data_class,
            ..project(1)
        })
        .collect();
    for project in &projects {
        assert_eq!(store.insert_project(project), Ok(()));
    }
    assert_holds(store, Contents { organizations: vec![organization(1)], projects, keys: vec![] });
}

fn changes_organizations(store: &dyn DirectoryStore) {
    let missing = Err(StoreError::Missing(RecordKind::Organization));
    assert_eq!(store.update_organization(&organization(1)), missing);
    insert_family(store, 1);
    insert_family(store, 2);
    let mut expected = families(1..=2);
    for (name, time_zone, in_flight) in [
        ("renamed", zone("Asia/Tokyo"), InFlight::Completes),
        ("organization 1", Zone::default(), InFlight::Stops),
        // The same once more changes nothing, and is no error.
        ("organization 1", Zone::default(), InFlight::Stops),
    ] {
        let changed = Organization { name: name.to_owned(), time_zone, in_flight, ..organization(1) };
        // What never changes is not read: neither another's wallet nor another time gets in this way.
        let written = Organization {
            wallet: organization(2).wallet,
            created_at: Timestamp::from_micros(3),
            ..changed.clone()
        };
        assert_eq!(store.update_organization(&written), Ok(()));
        expected.organizations[0] = changed;
        assert_holds(store, expected.clone());
    }
    assert_eq!(store.update_organization(&organization(3)), missing);
    assert_holds(store, expected);
}

fn refuses_duplicates(store: &dyn DirectoryStore) {
    insert_family(store, 1);
    insert_family(store, 2);
    let duplicate = |kind| Err(StoreError::Duplicate(kind));

    // The same id with other fields: the first record stays as it is.
    let renamed =
        Organization { name: "other".to_owned(), wallet: WalletId::from_bytes([9; 16]), ..organization(1) };
    assert_eq!(store.insert_organization(&renamed), duplicate(RecordKind::Organization));
    let renamed = Project { name: "other".to_owned(), ..project(1) };
    assert_eq!(store.insert_project(&renamed), duplicate(RecordKind::Project));
    let renamed = Key { name: "other".to_owned(), hash: KeyHash::from_bytes([9; 32]), ..key(1) };
    assert_eq!(store.insert_key(&renamed), duplicate(RecordKind::Key));

    // An id alone names a key, whatever its project.
    let moved = Key { id: key(1).id, hash: KeyHash::from_bytes([9; 32]), ..key(2) };
    assert_eq!(store.insert_key(&moved), duplicate(RecordKind::Key));

    // Two organizations never share a wallet, two keys never share a secret.
    let same_wallet = Organization { id: OrganizationId::from_bytes([9; 16]), ..organization(1) };
    assert_eq!(store.insert_organization(&same_wallet), duplicate(RecordKind::Organization));
    let same_secret = Key { id: KeyId::from_bytes([9; 16]), ..key(1) };
    assert_eq!(store.insert_key(&same_secret), duplicate(RecordKind::Key));

    assert_holds(store, families(1..=2));
}

fn refuses_orphans(store: &dyn DirectoryStore) {
    let orphan = |kind| Err(StoreError::Orphan(kind));
    assert_eq!(store.insert_project(&project(1)), orphan(RecordKind::Project));
    assert_eq!(store.insert_key(&key(1)), orphan(RecordKind::Key));
    assert_holds(store, Contents::default());

    insert_family(store, 1);
    insert_family(store, 2);
    // A key of one organization in the project of another would spend the other's money.
    let crossed = Key {
        id: KeyId::from_bytes([9; 16]),
        hash: KeyHash::from_bytes([9; 32]),
        project: project(2).id,
        ..key(1)
    };
    assert_eq!(store.insert_key(&crossed), orphan(RecordKind::Key));
    assert_holds(store, families(1..=2));
}

fn takes_insertions_from_many_threads(store: &dyn DirectoryStore) {
    std::thread::scope(|scope| {
        for n in 1..=8 {
            scope.spawn(move || insert_family(store, n));
        }
    });
    assert_holds(store, families(1..=8));
}

fn families(numbers: std::ops::RangeInclusive<u8>) -> Contents {
    Contents {
        organizations: numbers.clone().map(organization).collect(),
        projects: numbers.clone().map(project).collect(),
        keys: numbers.map(key).collect(),
    }
}
