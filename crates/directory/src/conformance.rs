//! What every [`DirectoryStore`] must do, as one suite that each store's tests run.

use std::sync::Arc;

use domain::{
    AdminKeyId, AuditId, ConsentId, InviteId, KeyId, LimitId, Money, OrganizationId, ProjectId,
    ProviderKeyId, ServiceAccountId, Timestamp, UserId, WalletId, Zone,
};

use crate::port::{Change, Commit, Contents, DirectoryStore, Record, RecordKind, StoreError};
use crate::record::{
    AccessMode, Actor, ActorKind, AdminKey, AfterGrant, App, AuditEntry, Bounds, Byok, Caps, Consent,
    DataClass, Environment, InFlight, Invite, InvitedTo, Key, KeyHash, KeyOwner, LimitReset, LimitSubject,
    Member, ModelAccess, Organization, OrganizationRole, Previous, Project, ProjectRole, ProviderKey,
    RateLimit, Revocation, Scope, Sealed, ServiceAccount, User,
};

/// Runs the whole suite; `make_store` must give a fresh, empty store each time. Panics on the first difference.
pub fn check(make_store: impl Fn() -> Arc<dyn DirectoryStore>) {
    keeps_every_field(&*make_store());
    keeps_every_word(&*make_store());
    changes_what_may_change(&*make_store());
    removes(&*make_store());
    refuses_what_is_taken(&*make_store());
    refuses_moves(&*make_store());
    keeps_what_never_changes(&*make_store());
    refuses_orphans(&*make_store());
    is_whole_or_nothing(&*make_store());
    remembers_uses(&*make_store());
    takes_commits_from_many_threads(&*make_store());
}

/// The organization number `n` of the suite.
fn organization(n: u8) -> Organization {
    Organization {
        id: OrganizationId::from_bytes([n; 16]),
        name: format!("organization {n} – «Ünïcode» 'quoted' \"twice\"; -- 組織 🏛"),
        wallet: WalletId::from_bytes([n; 16]),
        time_zone: zone("America/New_York"),
        in_flight: InFlight::Stops,
        country: "DE".parse().ok(),
        verified_at: Some(Timestamp::from_micros(3)),
        tier: Some("tier 2".to_owned()),
        programmes: vec![format!("shared-{n}")],
        created_at: Timestamp::from_micros(1_790_000_000_123_456 + i64::from(n)),
    }
}

fn zone(name: &str) -> Zone {
    let zone = name.parse::<Zone>().unwrap_or_default();
    assert_eq!(zone.to_string(), name);
    zone
}

fn access() -> ModelAccess {
    ModelAccess { mode: AccessMode::Deny, models: vec!["gpt-5*".to_owned(), "a\"b".to_owned()] }
}

/// The project number `n` of the suite, of the organization with the same number.
fn project(n: u8) -> Project {
    Project {
        id: ProjectId::from_bytes([n; 16]),
        organization: organization(n).id,
        name: format!("project {n}"),
        environment: Environment::Staging,
        data_class: DataClass::Sensitive,
        after_grant: AfterGrant::Stop,
        models: Some(access()),
        byok: Byok::Only,
        byok_fallback: true,
        created_at: Timestamp::from_micros(-1),
        archived_at: Some(Timestamp::MAX),
    }
}

fn user(n: u8) -> User {
    User {
        id: UserId::from_bytes([n; 16]),
        organization: organization(n).id,
        email: "Ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        role: OrganizationRole::Owner,
        added_at: Timestamp::from_micros(9),
        removed_at: None,
    }
}

fn member(n: u8) -> Member {
    Member {
        organization: organization(n).id,
        project: project(n).id,
        user: user(n).id,
        role: ProjectRole::Owner,
        added_at: Timestamp::from_micros(8),
    }
}

fn service_account(n: u8) -> ServiceAccount {
    ServiceAccount {
        id: ServiceAccountId::from_bytes([n; 16]),
        organization: organization(n).id,
        project: project(n).id,
        name: "robot".to_owned(),
        created_at: Timestamp::from_micros(7),
        removed_at: Some(Timestamp::from_micros(70)),
    }
}

fn consent(n: u8) -> Consent {
    Consent {
        id: ConsentId::from_bytes([n; 16]),
        organization: organization(n).id,
        project: project(n).id,
        user: user(n).id,
        app: App::new("https://app.example:8443".to_owned(), Some("Notes «ü»")),
        limit: Money::from_nano(i64::MAX),
        reset: LimitReset::Weekly,
        models: Some(access()),
        given_at: Timestamp::from_micros(1),
        fetch_until: Timestamp::from_micros(2),
        expires_at: Timestamp::MAX,
        key: Some(KeyId::from_bytes([n; 16])),
        revoked: Some(Revocation {
            at: Timestamp::from_micros(3),
            by: Actor { by: ActorKind::Gateway, address: "2001:db8::1".parse().ok() },
        }),
    }
}

/// The key number `n` of the suite, of the project with the same number.
fn key(n: u8) -> Key {
    Key {
        id: KeyId::from_bytes([n; 16]),
        organization: organization(n).id,
        project: project(n).id,
        owner: KeyOwner::User(user(n).id),
        consent: Some(consent(n).id),
        name: "x".repeat(100),
        hash: KeyHash::from_bytes([n; 32]),
        redacted: "tk-a1b…xyz9".to_owned(),
        previous: Some(Previous {
            hash: KeyHash::from_bytes([0x80 | n; 32]),
            redacted: "tk-c3d…abc1".to_owned(),
            until: Timestamp::from_micros(5),
        }),
        bounds: Bounds {
            endpoints: Some(vec![Scope::Embeddings, Scope::Models]),
            models: Some(access()),
            networks: ["10.0.0.0/8", "2001:db8::/32"].iter().filter_map(|net| net.parse().ok()).collect(),
        },
        created_at: Timestamp::from_micros(0),
        expires_at: Some(Timestamp::MAX),
        disabled_at: Some(Timestamp::from_micros(7)),
        revoked_at: Some(Timestamp::from_micros(8)),
    }
}

fn admin_key(n: u8) -> AdminKey {
    AdminKey {
        id: AdminKeyId::from_bytes([n; 16]),
        organization: organization(n).id,
        user: user(n).id,
        name: "terraform".to_owned(),
        hash: KeyHash::from_bytes([0x40 | n; 32]),
        redacted: "tk-admin-a1b…xyz9".to_owned(),
        created_at: Timestamp::from_micros(1),
        expires_at: Some(Timestamp::from_micros(2)),
        revoked_at: Some(Timestamp::from_micros(3)),
    }
}

fn invite(n: u8) -> Invite {
    Invite {
        id: InviteId::from_bytes([n; 16]),
        organization: organization(n).id,
        email: "bob@example.com".to_owned(),
        role: OrganizationRole::Reader,
        projects: vec![InvitedTo { id: project(n).id, role: ProjectRole::Member }],
        invited_by: Some(user(n).id),
        token: KeyHash::from_bytes([0x20 | n; 32]),
        created_at: Timestamp::from_micros(1),
        expires_at: Timestamp::from_micros(2),
        accepted_at: Some(Timestamp::from_micros(3)),
        withdrawn_at: Some(Timestamp::from_micros(4)),
    }
}

fn limit(n: u8) -> RateLimit {
    RateLimit {
        id: LimitId::from_bytes([n; 16]),
        organization: organization(n).id,
        subject: LimitSubject::User(Some("ü \"user\"".to_owned())),
        model: "gpt-5*".to_owned(),
        caps: Caps {
            requests_per_minute: Some(0),
            tokens_per_minute: Some(1 << 53),
            input_tokens_per_minute: None,
            output_tokens_per_minute: Some(4),
            images_per_minute: Some(5),
            requests_per_day: Some(6),
            tokens_per_day: Some(7),
            concurrent_requests: Some(8),
        },
    }
}

fn provider_key(n: u8) -> ProviderKey {
    ProviderKey {
        id: ProviderKeyId::from_bytes([n; 16]),
        organization: organization(n).id,
        project: Some(project(n).id),
        provider: "openai".to_owned(),
        label: "ours – «Ünïcode»".to_owned(),
        last_four: "wxyz".to_owned(),
        fingerprint: KeyHash::from_bytes([0x10 | n; 32]),
        sealed: Sealed::from_bytes(vec![n, 0, 0xff]),
        brought_by: Some(user(n).id),
        created_at: Timestamp::from_micros(1),
        disabled_at: Some(Timestamp::from_micros(2)),
        tested_at: Some(Timestamp::from_micros(3)),
        test_failure: Some("it said \"no\"".to_owned()),
    }
}

/// The records of the family number `n`, parents first.
fn family(n: u8) -> Vec<Record> {
    vec![
        organization(n).into(),
        project(n).into(),
        user(n).into(),
        member(n).into(),
        service_account(n).into(),
        consent(n).into(),
        key(n).into(),
        admin_key(n).into(),
        invite(n).into(),
        limit(n).into(),
        provider_key(n).into(),
    ]
}

fn families(numbers: std::ops::RangeInclusive<u8>) -> Contents {
    Contents {
        organizations: numbers.clone().map(organization).collect(),
        projects: numbers.clone().map(project).collect(),
        users: numbers.clone().map(user).collect(),
        members: numbers.clone().map(member).collect(),
        service_accounts: numbers.clone().map(service_account).collect(),
        consents: numbers.clone().map(consent).collect(),
        keys: numbers.clone().map(key).collect(),
        admin_keys: numbers.clone().map(admin_key).collect(),
        invites: numbers.clone().map(invite).collect(),
        limits: numbers.clone().map(limit).collect(),
        provider_keys: numbers.map(provider_key).collect(),
        uses: Vec::new(),
    }
}

fn put_all(store: &dyn DirectoryStore, records: Vec<Record>) -> Result<(), StoreError> {
    store.commit(Commit::of(records))
}

fn put(store: &dyn DirectoryStore, record: impl Into<Record>) -> Result<(), StoreError> {
    put_all(store, vec![record.into()])
}

/// Asserts what the store holds, in whatever order it gives it.
fn assert_holds(store: &dyn DirectoryStore, mut expected: Contents) {
    let sorted = |contents: &mut Contents| {
        contents.organizations.sort_by_key(|organization| organization.id);
        contents.projects.sort_by_key(|project| project.id);
        contents.users.sort_by_key(|user| user.id);
        contents.members.sort_by_key(|member| (member.project, member.user));
        contents.service_accounts.sort_by_key(|account| account.id);
        contents.consents.sort_by_key(|consent| consent.id);
        contents.keys.sort_by_key(|key| key.id);
        contents.admin_keys.sort_by_key(|key| key.id);
        contents.invites.sort_by_key(|invite| invite.id);
        contents.limits.sort_by_key(|limit| limit.id);
        contents.provider_keys.sort_by_key(|key| key.id);
        contents.uses.sort();
    };
    sorted(&mut expected);
    let loaded = store.load().map(|mut contents| {
        sorted(&mut contents);
        contents
    });
    assert_eq!(loaded, Ok(expected));
}

fn keeps_every_field(store: &dyn DirectoryStore) {
    assert_holds(store, Contents::default());
    for record in family(1) {
        assert_eq!(put_all(store, vec![record]), Ok(()));
    }
    assert_holds(store, families(1..=1));
    // All of another in one commit; what may be absent is absent.
    assert_eq!(put_all(store, family(2)), Ok(()));
    assert_holds(store, families(1..=2));
    let bare_key = Key {
        id: KeyId::from_bytes([9; 16]),
        hash: KeyHash::from_bytes([9; 32]),
        owner: KeyOwner::ServiceAccount(service_account(1).id),
        consent: None,
        previous: None,
        bounds: Bounds::default(),
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
        ..key(1)
    };
    let bare_project = Project {
        id: ProjectId::from_bytes([9; 16]),
        models: None,
        byok: Byok::Off,
        byok_fallback: false,
        archived_at: None,
        ..project(1)
    };
    let bare_provider_key = ProviderKey {
        id: ProviderKeyId::from_bytes([9; 16]),
        project: None,
        fingerprint: KeyHash::from_bytes([9; 32]),
        brought_by: None,
        disabled_at: None,
        tested_at: None,
        test_failure: None,
        ..provider_key(1)
    };
    assert_eq!(put(store, bare_project.clone()), Ok(()));
    assert_eq!(put(store, bare_key.clone()), Ok(()));
    let bare_consent = Consent {
        id: ConsentId::from_bytes([9; 16]),
        app: App { name: None, ..consent(1).app },
        models: None,
        key: None,
        revoked: None,
        ..consent(1)
    };
    assert_eq!(put(store, bare_consent.clone()), Ok(()));
    assert_eq!(put(store, bare_provider_key.clone()), Ok(()));
    let mut expected = families(1..=2);
    expected.projects.push(bare_project);
    expected.keys.push(bare_key);
    expected.consents.push(bare_consent);
    expected.provider_keys.push(bare_provider_key);
    assert_holds(store, expected);
}

fn keeps_every_word(store: &dyn DirectoryStore) {
    assert_eq!(put(store, organization(1)), Ok(()));
    let words = Environment::ALL.iter().flat_map(|e| DataClass::ALL.iter().map(move |d| (*e, *d)));
    let words = words.zip(Byok::ALL.iter().cycle());
    let after = AfterGrant::ALL.iter().cycle();
    let projects: Vec<Project> = (1_u8..)
        .zip(words)
        .zip(after)
        .map(|((n, ((environment, data_class), byok)), after_grant)| Project {
            id: ProjectId::from_bytes([n; 16]),
            environment,
            data_class,
            after_grant: *after_grant,
            byok: *byok,
            ..project(1)
        })
        .collect();
    let users: Vec<User> = (1_u8..)
        .zip(OrganizationRole::ALL)
        .map(|(n, role)| User {
            id: UserId::from_bytes([n; 16]),
            email: format!("{role}@example.com"),
            role: *role,
            ..user(1)
        })
        .collect();
    let subjects = [
        LimitSubject::Organization,
        LimitSubject::Project(None),
        LimitSubject::Project(Some(project(1).id)),
        LimitSubject::Key(None),
        LimitSubject::Key(Some(key(1).id)),
        LimitSubject::User(None),
    ];
    let limits: Vec<RateLimit> = (1_u8..)
        .zip(subjects)
        .map(|(n, subject)| RateLimit { id: LimitId::from_bytes([n; 16]), subject, ..limit(1) })
        .collect();
    let records = projects.iter().cloned().map(Record::from);
    let records = records.chain(users.iter().cloned().map(Record::from));
    let records = records.chain(limits.iter().cloned().map(Record::from));
    assert_eq!(put_all(store, records.collect()), Ok(()));
    let organizations = vec![organization(1)];
    assert_holds(store, Contents { organizations, projects, users, limits, ..Contents::default() });
}

fn changes_what_may_change(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    assert_eq!(put_all(store, family(2)), Ok(()));
    let mut expected = families(1..=2);
    let changed = Organization {
        name: "renamed".to_owned(),
        time_zone: Zone::default(),
        in_flight: InFlight::Completes,
        country: None,
        verified_at: None,
        tier: None,
        programmes: Vec::new(),
        ..organization(1)
    };
    // What never changes is not read: neither another's wallet nor another time gets in this way.
    let written = Organization {
        wallet: WalletId::from_bytes([7; 16]),
        created_at: Timestamp::from_micros(3),
        ..changed.clone()
    };
    assert_eq!(put(store, written), Ok(()));
    expected.organizations[0] = changed;
    let changed = Key {
        name: "renamed".to_owned(),
        hash: KeyHash::from_bytes([0x77; 32]),
        previous: None,
        bounds: Bounds::default(),
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
        ..key(1)
    };
    let written = Key {
        owner: KeyOwner::ServiceAccount(service_account(1).id),
        consent: None,
        created_at: Timestamp::from_micros(99),
        ..changed.clone()
    };
    assert_eq!(put(store, written), Ok(()));
    expected.keys[0] = changed;
    let (byok, byok_fallback) = (Byok::First, false);
    let changed =
        Project { name: "p".to_owned(), archived_at: None, models: None, byok, byok_fallback, ..project(1) };
    assert_eq!(put(store, changed.clone()), Ok(()));
    expected.projects[0] = changed;
    let changed = Member { role: ProjectRole::Member, ..member(1) };
    assert_eq!(put(store, changed.clone()), Ok(()));
    expected.members[0] = changed;
    let changed = Consent { key: None, revoked: None, ..consent(1) };
    assert_eq!(put(store, changed.clone()), Ok(()));
    expected.consents[0] = changed;
    let changed = RateLimit { caps: Caps { requests_per_day: Some(3), ..Caps::default() }, ..limit(1) };
    assert_eq!(put(store, changed.clone()), Ok(()));
    expected.limits[0] = changed;
    let changed = ProviderKey {
        label: "renamed".to_owned(),
        sealed: Sealed::from_bytes(vec![7; 99]),
        disabled_at: None,
        tested_at: Some(Timestamp::from_micros(30)),
        test_failure: None,
        ..provider_key(1)
    };
    assert_eq!(put(store, changed.clone()), Ok(()));
    expected.provider_keys[0] = changed;
    assert_holds(store, expected);
}

/// What was written with a record stays, whatever is written again.
fn keeps_what_never_changes(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    let at = Timestamp::from_micros(99);
    let hash = KeyHash::from_bytes([9; 32]);
    let written: [Record; 9] = [
        Project { created_at: at, ..project(1) }.into(),
        Consent {
            app: App::new("https://other.example".to_owned(), None),
            limit: Money::ZERO,
            reset: LimitReset::Never,
            models: None,
            given_at: at,
            fetch_until: at,
            expires_at: at,
            ..consent(1)
        }
        .into(),
        User { added_at: at, ..user(1) }.into(),
        Member { added_at: at, ..member(1) }.into(),
        ServiceAccount { created_at: at, ..service_account(1) }.into(),
        AdminKey { hash, redacted: "x".to_owned(), created_at: at, ..admin_key(1) }.into(),
        Invite {
            email: "x@example.com".to_owned(),
            role: OrganizationRole::Owner,
            projects: Vec::new(),
            token: hash,
            created_at: at,
            expires_at: at,
            ..invite(1)
        }
        .into(),
        RateLimit { subject: LimitSubject::Organization, model: "x".to_owned(), ..limit(1) }.into(),
        ProviderKey {
            project: None,
            provider: "x".to_owned(),
            last_four: "x".to_owned(),
            fingerprint: hash,
            brought_by: None,
            created_at: at,
            ..provider_key(1)
        }
        .into(),
    ];
    assert_eq!(put_all(store, written.into()), Ok(()));
    assert_holds(store, families(1..=1));
}

fn removes(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    assert_eq!(put_all(store, family(2)), Ok(()));
    let (organization, project, user) = (organization(1).id, project(1).id, user(1).id);
    let changes = vec![
        Change::RemoveMember(organization, project, user),
        Change::RemoveLimit(organization, limit(1).id),
        Change::RemoveProviderKey(organization, provider_key(1).id),
        // What is not there is gone already.
        Change::RemoveLimit(organization, LimitId::from_bytes([9; 16])),
    ];
    assert_eq!(store.commit(Commit { changes, ..Commit::default() }), Ok(()));
    let mut expected = families(1..=2);
    expected.members.remove(0);
    expected.limits.remove(0);
    expected.provider_keys.remove(0);
    assert_holds(store, expected);
}

fn refuses_what_is_taken(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    assert_eq!(put_all(store, family(2)), Ok(()));
    let duplicate = |kind| Err(StoreError::Duplicate(kind));
    // Two organizations never share a wallet, two keys never share a secret.
    let same_wallet = Organization { id: OrganizationId::from_bytes([9; 16]), ..organization(1) };
    assert_eq!(put(store, same_wallet), duplicate(RecordKind::Organization));
    let same_secret = Key { id: KeyId::from_bytes([9; 16]), ..key(1) };
    assert_eq!(put(store, same_secret), duplicate(RecordKind::Key));
    let same_secret = AdminKey { id: AdminKeyId::from_bytes([9; 16]), ..admin_key(1) };
    assert_eq!(put(store, same_secret), duplicate(RecordKind::AdminKey));
    // An id alone names a key, whatever its project.
    let moved = Key { id: key(1).id, hash: KeyHash::from_bytes([9; 32]), ..key(2) };
    assert_eq!(put(store, moved), duplicate(RecordKind::Key));
    // One address for mail, one member, however it is spelled; but a removed one has left it.
    let same_mail = User { id: UserId::from_bytes([9; 16]), email: "ADA@EXAMPLE.COM".to_owned(), ..user(1) };
    assert_eq!(put(store, same_mail.clone()), duplicate(RecordKind::User));
    assert_holds(store, families(1..=2));
    // Nor is an invitation's token or a limit's place another's.
    let same_token = Invite { id: InviteId::from_bytes([9; 16]), ..invite(1) };
    assert_eq!(put(store, same_token), duplicate(RecordKind::Invite));
    let same_place = RateLimit { id: LimitId::from_bytes([9; 16]), caps: Caps::default(), ..limit(1) };
    assert_eq!(put(store, same_place), duplicate(RecordKind::Limit));
    // One secret has one owner (2.10).
    let fingerprint = provider_key(1).fingerprint;
    let same_secret = ProviderKey { id: ProviderKeyId::from_bytes([9; 16]), fingerprint, ..provider_key(2) };
    assert_eq!(put(store, same_secret), duplicate(RecordKind::ProviderKey));
    assert_holds(store, families(1..=2));
    let removed = User { removed_at: Some(Timestamp::from_micros(10)), ..user(1) };
    assert_eq!(put_all(store, vec![removed.into(), same_mail.into()]), Ok(()));
}

/// No record becomes another organization's, or another project's.
fn refuses_moves(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    assert_eq!(put_all(store, family(2)), Ok(()));
    let hash = KeyHash::from_bytes([9; 32]);
    let moved: [Record; 9] = [
        Consent { id: consent(1).id, ..consent(2) }.into(),
        Project { id: project(1).id, ..project(2) }.into(),
        User { id: user(1).id, email: "new@example.com".to_owned(), ..user(2) }.into(),
        ServiceAccount { id: service_account(1).id, ..service_account(2) }.into(),
        Key { id: key(1).id, hash, ..key(2) }.into(),
        AdminKey { id: admin_key(1).id, hash, ..admin_key(2) }.into(),
        Invite { id: invite(1).id, token: hash, ..invite(2) }.into(),
        RateLimit { id: limit(1).id, model: "new".to_owned(), ..limit(2) }.into(),
        ProviderKey { id: provider_key(1).id, fingerprint: hash, ..provider_key(2) }.into(),
    ];
    for record in moved {
        let kind = record.kind();
        assert_eq!(put_all(store, vec![record]), Err(StoreError::Duplicate(kind)), "{kind}");
    }
    assert_holds(store, families(1..=2));
}

fn refuses_orphans(store: &dyn DirectoryStore) {
    let orphan = |kind| Err(StoreError::Orphan(kind));
    for record in family(1).into_iter().skip(1) {
        let kind = record.kind();
        assert_eq!(put_all(store, vec![record]), orphan(kind));
    }
    assert_holds(store, Contents::default());
    assert_eq!(put_all(store, family(1)), Ok(()));
    assert_eq!(put_all(store, family(2)), Ok(()));
    // A key of one organization in the project of another would spend the other's money.
    let crossed = Key {
        id: KeyId::from_bytes([9; 16]),
        hash: KeyHash::from_bytes([9; 32]),
        project: project(2).id,
        ..key(1)
    };
    assert_eq!(put(store, crossed), orphan(RecordKind::Key));
    // Nor does it belong to somebody of another organization, or to nobody.
    for owner in [
        KeyOwner::User(user(2).id),
        KeyOwner::User(UserId::from_bytes([9; 16])),
        KeyOwner::ServiceAccount(service_account(2).id),
    ] {
        let crossed =
            Key { id: KeyId::from_bytes([9; 16]), hash: KeyHash::from_bytes([9; 32]), owner, ..key(1) };
        assert_eq!(put(store, crossed), orphan(RecordKind::Key));
    }
    let consent = Some(consent(2).id);
    let crossed =
        Key { id: KeyId::from_bytes([9; 16]), hash: KeyHash::from_bytes([9; 32]), consent, ..key(1) };
    assert_eq!(put(store, crossed), orphan(RecordKind::Key));
    let crossed = Member { user: user(2).id, ..member(1) };
    assert_eq!(put(store, crossed), orphan(RecordKind::Member));
    let crossed = AdminKey {
        id: AdminKeyId::from_bytes([9; 16]),
        hash: KeyHash::from_bytes([9; 32]),
        user: user(2).id,
        ..admin_key(1)
    };
    assert_eq!(put(store, crossed), orphan(RecordKind::AdminKey));
    let crossed = ProviderKey {
        id: ProviderKeyId::from_bytes([9; 16]),
        fingerprint: KeyHash::from_bytes([9; 32]),
        project: Some(project(2).id),
        ..provider_key(1)
    };
    assert_eq!(put(store, crossed), orphan(RecordKind::ProviderKey));
    assert_holds(store, families(1..=2));
}

fn is_whole_or_nothing(store: &dyn DirectoryStore) {
    assert_eq!(put_all(store, family(1)), Ok(()));
    let renamed = Project { name: "renamed".to_owned(), ..project(1) };
    let taken = Organization { id: OrganizationId::from_bytes([9; 16]), ..organization(1) };
    let refused = put_all(store, vec![renamed.into(), organization(3).into(), taken.into()]);
    assert_eq!(refused, Err(StoreError::Duplicate(RecordKind::Organization)));
    // A line of the log cannot be written twice, and takes its change with it.
    let entry = AuditEntry {
        id: AuditId::from_bytes([1; 16]),
        organization: organization(1).id,
        project: None,
        at: Timestamp::from_micros(1),
        actor: Actor { by: ActorKind::Operator, address: None },
        action: "project.updated",
        subject: project(1).id.to_string(),
        before: None,
        after: Some("{}".to_owned()),
    };
    let changes = Commit::of([Project { name: "again".to_owned(), ..project(1) }.into()]).changes;
    let twice = Commit { changes, audit: vec![entry.clone(), entry], ..Commit::default() };
    assert_eq!(store.commit(twice), Err(StoreError::Duplicate(RecordKind::Audit)));
    assert_holds(store, families(1..=1));
}

fn remembers_uses(store: &dyn DirectoryStore) {
    let uses = vec![([1; 16], Timestamp::from_micros(1)), ([2; 16], Timestamp::from_micros(2))];
    assert_eq!(store.save_uses(uses.clone()), Ok(()));
    assert_eq!(store.save_uses(vec![([1; 16], Timestamp::from_micros(3))]), Ok(()));
    assert_eq!(store.save_uses(Vec::new()), Ok(()));
    let uses = vec![([1; 16], Timestamp::from_micros(3)), ([2; 16], Timestamp::from_micros(2))];
    assert_holds(store, Contents { uses, ..Contents::default() });
}

fn takes_commits_from_many_threads(store: &dyn DirectoryStore) {
    std::thread::scope(|scope| {
        for n in 1..=8 {
            scope.spawn(move || assert_eq!(put_all(store, family(n)), Ok(())));
        }
    });
    assert_holds(store, families(1..=8));
}
