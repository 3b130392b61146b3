//! The directory's audit log in the store: what it finds, that nothing of it changes, and that a backup brings all of it
//! back.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;

use directory::{
    Actor, ActorKind, AuditEntry, Bounds, Caps, Change, Commit, Contents, DirectoryService, InvitedTo,
    KeyHasher, KeyOwner, LimitSubject, Mandate, NewAdminKey, NewInvite, NewKey, NewLimit, NewOrganization,
    NewProject, NewUser, OrganizationRole, ProjectChanges, ProjectRole, Record, RecordKind, StoreError,
};
use domain::{AdminKeyId, AuditId, Ids, OrganizationId, ProjectId, Timestamp, UserId};
use ledger::conformance::{ManualClock, START};
use tollkeeper_store::{AuditFilter, AuditLine, Durability, Store, backup, restore, verify};

fn open(folder: &Path) -> Store {
    Store::open(folder, Durability::Process, Arc::new(ManualClock::new(START))).unwrap()
}

fn organization(n: u8) -> OrganizationId {
    OrganizationId::from_bytes([n; 16])
}

fn project(n: u8) -> ProjectId {
    ProjectId::from_bytes([n; 16])
}

fn id(n: u8) -> AuditId {
    AuditId::from_bytes([n; 16])
}

fn at(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

fn ada() -> Actor {
    let by = ActorKind::AdminKey {
        key: AdminKeyId::from_bytes([1; 16]),
        user: UserId::from_bytes([2; 16]),
        email: "ada@example.com".to_owned(),
    };
    Actor { by, address: "2001:db8::7".parse().ok() }
}

/// The line number `n`, of the second `n`.
fn entry(n: u8) -> AuditEntry {
    AuditEntry {
        id: id(n),
        organization: organization(1),
        project: (n.is_multiple_of(2)).then(|| project(n % 4)),
        at: at(n.into()),
        actor: match n % 3 {
            0 => ada(),
            1 => Actor { by: ActorKind::Operator, address: None },
            _ => Actor { by: ActorKind::Invited { email: "bob@example.com".to_owned() }, address: None },
        },
        action: if n < 6 { "api_key.created" } else { "api_key.deleted" },
        subject: format!("key_{}", n % 5),
        before: (n > 5).then(|| "{\"name\":\"ü\"}".to_owned()),
        after: Some("{}".to_owned()),
    }
}

/// A store with the lines 1 to 12 of one organization and one line of another.
fn logged(folder: &Path) -> Store {
    let store = open(folder);
    let other = AuditEntry { organization: organization(2), ..entry(3) };
    let audit = (1..=12).map(entry).chain([other]).collect();
    store.directory().commit(Commit { audit, ..Commit::default() }).unwrap();
    store
}

fn find(store: &Store, filter: &AuditFilter, limit: usize) -> Vec<AuditLine> {
    store.reader().audit(organization(1), filter, limit).unwrap()
}

#[test]
fn filters_find_what_they_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = logged(folder.path());
    let all = AuditFilter::default;
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let (key, user) = (AdminKeyId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
    for (filter, expected) in [
        (all(), &[12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1][..]),
        // From this moment, and before that one.
        (AuditFilter { since: Some(at(11)), ..all() }, &[12, 11]),
        (AuditFilter { until: Some(at(3)), ..all() }, &[2, 1]),
        (AuditFilter { since: Some(at(4)), until: Some(at(6)), ..all() }, &[5, 4]),
        (AuditFilter { since: Some(at(6)), until: Some(at(6)), ..all() }, &[]),
        (AuditFilter { projects: vec![project(2)], ..all() }, &[10, 6, 2]),
        (AuditFilter { projects: vec![project(0), project(2)], ..all() }, &[12, 10, 8, 6, 4, 2]),
        (AuditFilter { projects: vec![project(9)], ..all() }, &[]),
        (AuditFilter { actions: texts(&["api_key.created"]), ..all() }, &[5, 4, 3, 2, 1]),
        // A word is a whole word.
        (AuditFilter { actions: texts(&["api_key"]), ..all() }, &[]),
        (AuditFilter { subjects: texts(&["key_1", "key_2"]), ..all() }, &[12, 11, 7, 6, 2, 1]),
        (AuditFilter { actors: texts(&["operator"]), ..all() }, &[10, 7, 4, 1]),
        (AuditFilter { actors: texts(&["bob@example.com"]), ..all() }, &[11, 8, 5, 2]),
        // A person is found by mail address, by id and by key.
        (AuditFilter { actors: texts(&["ada@example.com"]), ..all() }, &[12, 9, 6, 3]),
        (AuditFilter { actors: vec![key], ..all() }, &[12, 9, 6, 3]),
        (AuditFilter { actors: vec![user, "operator".to_owned()], ..all() }, &[12, 10, 9, 7, 6, 4, 3, 1]),
        // What is asked for at once must all be so.
        (
            AuditFilter {
                actors: texts(&["operator"]),
                actions: texts(&["api_key.deleted"]),
                projects: vec![project(2)],
                since: Some(at(2)),
                ..all()
            },
            &[10],
        ),
    ] {
        let found: Vec<AuditId> = find(&store, &filter, 99).iter().map(|line| line.id).collect();
        assert_eq!(found, expected.iter().map(|n| id(*n)).collect::<Vec<_>>(), "{filter:?}");
    }
    let line = &find(&store, &AuditFilter { subjects: texts(&["key_1"]), ..all() }, 1)[0];
    let expected = entry(11);
    assert_eq!((line.at, line.project, &line.actor), (expected.at, expected.project, &expected.actor));
    assert_eq!((line.action.as_str(), &line.subject), (expected.action, &expected.subject));
    assert_eq!((&line.before, &line.after), (&expected.before, &expected.after));
    // Nothing of another organization, whatever its number.
    assert_eq!(store.reader().audit(organization(2), &all(), 99).unwrap().len(), 1);
    assert_eq!(store.reader().audit(organization(3), &all(), 99).unwrap(), []);
}

#[test]
fn pages_go_both_ways_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = logged(folder.path());
    let page = |after: Option<u8>, before: Option<u8>, limit| -> Vec<u8> {
        let filter = AuditFilter { after: after.map(id), before: before.map(id), ..AuditFilter::default() };
        find(&store, &filter, limit).iter().map(|line| line.id.as_bytes()[0]).collect()
    };
    for (after, before, limit, expected) in [
        (None, None, 3, &[12, 11, 10][..]),
        (Some(10), None, 3, &[9, 8, 7]),
        (Some(2), None, 3, &[1]),
        (Some(1), None, 3, &[]),
        // The page before a line is the one next to it, newest first like every page.
        (None, Some(4), 3, &[7, 6, 5]),
        (None, Some(10), 3, &[12, 11]),
        (None, Some(12), 3, &[]),
        (Some(10), Some(4), 99, &[9, 8, 7, 6, 5]),
        (Some(10), Some(4), 2, &[6, 5]),
        (None, None, 0, &[]),
        // A line that is not there is a place like another.
        (Some(200), None, 1, &[12]),
    ] {
        assert_eq!(page(after, before, limit), expected, "{after:?} {before:?} {limit}");
    }
    // A limit counts what is found, not what is looked at.
    let filter = AuditFilter { projects: vec![project(2)], ..AuditFilter::default() };
    assert_eq!(find(&store, &filter, 2).len(), 2);
    let filter = AuditFilter { before: Some(id(1)), ..filter };
    let found: Vec<AuditId> = find(&store, &filter, 2).iter().map(|line| line.id).collect();
    assert_eq!(found, [id(6), id(2)]);
}

#[test]
fn a_line_is_written_once_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = logged(folder.path());
    let (lines, contents) = (find(&store, &AuditFilter::default(), 99), store.directory().load().unwrap());
    // The same line again, and a forged one with its number: the change that comes with it is not made either.
    let named = |name: &str| -> Change {
        let organization = directory::Organization {
            id: organization(1),
            name: name.to_owned(),
            wallet: domain::WalletId::from_bytes([1; 16]),
            time_zone: domain::Zone::default(),
            in_flight: directory::InFlight::default(),
            country: None,
            verified_at: None,
            tier: None,
            programmes: Vec::new(),
            created_at: START,
        };
        Change::Put(Box::new(Record::Organization(organization)))
    };
    let forged = AuditEntry { action: "project.created", actor: ada(), ..entry(4) };
    for audit in [vec![entry(4)], vec![forged], vec![entry(13), entry(4)], vec![entry(13), entry(13)]] {
        let refused =
            store.directory().commit(Commit { changes: vec![named("x")], audit, ..Commit::default() });
        assert_eq!(refused, Err(StoreError::Duplicate(RecordKind::Audit)));
    }
    // A change that is refused leaves no line.
    let orphan = Commit { audit: vec![entry(13)], ..orphan() };
    assert_eq!(store.directory().commit(orphan), Err(StoreError::Orphan(RecordKind::Project)));
    assert_eq!(find(&store, &AuditFilter::default(), 99), lines);
    assert_eq!(store.directory().load().unwrap(), contents);
    // And neither stands in the way of the next.
    store
        .directory()
        .commit(Commit { changes: vec![named("y")], audit: vec![entry(13)], ..Commit::default() })
        .unwrap();
    assert_eq!(find(&store, &AuditFilter::default(), 99).len(), lines.len() + 1);
    drop(store);
    let again = open(folder.path());
    assert_eq!(find(&again, &AuditFilter::default(), 99)[1..], lines);
    assert_eq!(again.directory().load().unwrap().organizations[0].name, "y");
}

/// A project of an organization that is not there.
fn orphan() -> Commit {
    let project = directory::Project {
        id: project(1),
        organization: organization(9),
        name: "x".to_owned(),
        environment: directory::Environment::default(),
        data_class: directory::DataClass::default(),
        after_grant: directory::AfterGrant::default(),
        models: None,
        byok: directory::Byok::Off,
        byok_fallback: false,
        created_at: START,
        archived_at: None,
    };
    Commit::of([project.into()])
}

/// Ids and secrets that count up.
#[derive(Default)]
struct Counter(std::sync::atomic::AtomicU64);

impl Ids for Counter {
    fn uuid(&self) -> [u8; 16] {
        let number = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        u128::from(number).to_be_bytes()
    }

    fn secret(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.uuid());
        bytes
    }
}

/// Makes one of everything, by the service.
fn furnish(service: &DirectoryService, ids: &Counter) -> OrganizationId {
    let mandate = Mandate { actor: ada(), ids, now: at(1) };
    let new = NewOrganization { name: "Ünïcode 🏛".to_owned(), ..NewOrganization::default() };
    let organization = service.create_organization(new, &mandate).unwrap().id;
    let new = NewProject {
        organization,
        name: "chat".to_owned(),
        environment: directory::Environment::default(),
        data_class: directory::DataClass::default(),
        after_grant: directory::AfterGrant::default(),
    };
    let project = service.create_project(new, &mandate).unwrap().id;
    let role = OrganizationRole::Owner;
    let new = NewUser { organization, email: "ada@example.com".to_owned(), name: None, role };
    let user = service.add_user(new, &mandate).unwrap().id;
    service.set_member(project, user, ProjectRole::Owner, &mandate).unwrap();
    let bounds = Bounds { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Bounds::default() };
    let new =
        NewKey { project, owner: Some(KeyOwner::User(user)), name: None, bounds, expires_at: Some(at(99)) };
    let key = service.create_key(new.clone(), &mandate).unwrap().key.id;
    service.rotate_key(key, 60, &mandate).unwrap();
    let robots = service.create_key(NewKey { owner: None, ..new }, &mandate).unwrap().key.id;
    service.revoke_key(robots, &mandate).unwrap();
    let new = NewAdminKey { organization, user, name: "x".to_owned(), expires_at: None };
    service.create_admin_key(new, &mandate).unwrap();
    let projects = vec![InvitedTo { id: project, role: ProjectRole::Member }];
    let email = "bob@example.com".to_owned();
    let new = NewInvite { organization, email, role: OrganizationRole::Reader, projects };
    let by = ActorKind::AdminKey {
        key: AdminKeyId::from_bytes([1; 16]),
        user,
        email: "ada@example.com".to_owned(),
    };
    let sent =
        service.create_invite(new, &Mandate { actor: Actor { by, address: None }, ids, now: at(1) }).unwrap();
    service.accept_invite(sent.token.expose(), Some("Bob".to_owned()), &mandate).unwrap();
    let caps = Caps { requests_per_minute: Some(60), ..Caps::default() };
    for subject in [LimitSubject::Organization, LimitSubject::Key(Some(key)), LimitSubject::User(None)] {
        let new = NewLimit { organization, subject, model: "*".to_owned(), caps };
        service.set_limit(new, &mandate).unwrap();
    }
    let changes = ProjectChanges { name: Some("chats".to_owned()), ..ProjectChanges::default() };
    service.update_project(project, changes, &mandate).unwrap();
    organization
}

#[test]
fn a_backup_brings_the_whole_directory_back() {
    let (folder, place, fresh) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    let service = DirectoryService::open(store.directory(), KeyHasher::new([7; 32])).unwrap();
    let organization = furnish(&service, &Counter::default());
    store.directory().save_uses(vec![([1; 16], at(5))]).unwrap();
    let sorted = |mut contents: Contents| {
        contents.keys.sort_by_key(|key| key.id);
        contents.limits.sort_by_key(|limit| limit.id);
        contents
    };
    let contents = sorted(store.directory().load().unwrap());
    let lines = store.reader().audit(organization, &AuditFilter::default(), 99).unwrap();
    assert_eq!((contents.users.len(), contents.members.len(), contents.keys.len()), (2, 2, 2));
    assert_eq!((contents.admin_keys.len(), contents.invites.len(), contents.limits.len()), (2, 1, 3));
    assert_eq!((contents.uses.len(), contents.service_accounts.len(), lines.len()), (1, 1, 19));
    // While the gateway runs.
    let file = place.path().join("backup");
    let made = backup(folder.path(), &file, false).unwrap();
    assert_eq!(made.report.breaches, Vec::<String>::new());
    drop((service, store));
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.organizations, report.breaches), (1, Vec::new()));

    restore(&file, fresh.path(), false).unwrap();
    assert_eq!(verify(fresh.path()).unwrap().breaches, Vec::<String>::new());
    let store = open(fresh.path());
    assert_eq!(sorted(store.directory().load().unwrap()), contents);
    assert_eq!(store.reader().audit(organization, &AuditFilter::default(), 99).unwrap(), lines);
    assert!(DirectoryService::open(store.directory(), KeyHasher::new([7; 32])).is_ok());
}
