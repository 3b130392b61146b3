//! The small world that the tests look at: one organization with everything in it, as records.

use std::net::IpAddr;

use domain::{
    AdminKeyId, KeyId, OrganizationId, ProjectId, ServiceAccountId, Timestamp, UserId, WalletId, Zone,
};

use super::{at, hasher};
use crate::{
    AdminKey, AfterGrant, Bounds, Contents, DataClass, Directory, Environment, InFlight, Key, KeyKind,
    KeyOwner, Member, Organization, OrganizationRole, Project, ProjectRole, Scope, Secret, ServiceAccount,
    User, Visit,
};

/// Secrets that differ by number and are the same in every run.
struct Numbered(u8);

impl domain::Ids for Numbered {
    fn uuid(&self) -> [u8; 16] {
        [self.0; 16]
    }

    fn secret(&self) -> [u8; 32] {
        [self.0; 32]
    }
}

pub(super) fn secret(number: u8, kind: KeyKind) -> Secret {
    Secret::generate(kind, &Numbered(number))
}

/// The secret of [`key`].
pub(super) fn own_secret() -> Secret {
    secret(1, KeyKind::Project)
}

/// The secret of [`admin_key`].
pub(super) fn admin_secret() -> Secret {
    secret(2, KeyKind::Admin)
}

pub(super) fn organization() -> Organization {
    Organization {
        id: OrganizationId::from_bytes([1; 16]),
        name: "Acme".to_owned(),
        wallet: WalletId::from_bytes([2; 16]),
        time_zone: Zone::default(),
        in_flight: InFlight::Stops,
        country: None,
        verified_at: None,
        tier: None,
        programmes: Vec::new(),
        created_at: at(0),
    }
}

pub(super) fn project() -> Project {
    Project {
        id: ProjectId::from_bytes([3; 16]),
        organization: organization().id,
        name: "chat".to_owned(),
        environment: Environment::Prod,
        data_class: DataClass::Sensitive,
        after_grant: AfterGrant::Stop,
        models: None,
        byok: crate::Byok::Off,
        byok_fallback: false,
        created_at: at(0),
        archived_at: None,
    }
}

/// A reader of the organization.
pub(super) fn user() -> User {
    User {
        id: UserId::from_bytes([5; 16]),
        organization: organization().id,
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        role: OrganizationRole::Reader,
        added_at: at(0),
        removed_at: None,
    }
}

pub(super) fn member() -> Member {
    Member {
        organization: organization().id,
        project: project().id,
        user: user().id,
        role: ProjectRole::Member,
        added_at: at(0),
    }
}

pub(super) fn account() -> ServiceAccount {
    ServiceAccount {
        id: ServiceAccountId::from_bytes([6; 16]),
        organization: organization().id,
        project: project().id,
        name: "robot".to_owned(),
        created_at: at(0),
        removed_at: None,
    }
}

/// A key of [`user`].
pub(super) fn key() -> Key {
    Key {
        id: KeyId::from_bytes([4; 16]),
        organization: organization().id,
        project: project().id,
        owner: KeyOwner::User(user().id),
        consent: None,
        name: "laptop".to_owned(),
        hash: hasher().hash(own_secret().expose()),
        redacted: own_secret().redacted(),
        previous: None,
        bounds: Bounds::default(),
        created_at: at(0),
        expires_at: None,
        disabled_at: None,
        revoked_at: None,
    }
}

/// An administrator's key of [`user`].
pub(super) fn admin_key() -> AdminKey {
    AdminKey {
        id: AdminKeyId::from_bytes([7; 16]),
        organization: organization().id,
        user: user().id,
        name: "terraform".to_owned(),
        hash: hasher().hash(admin_secret().expose()),
        redacted: admin_secret().redacted(),
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
    }
}

pub(super) fn contents() -> Contents {
    Contents {
        organizations: vec![organization()],
        projects: vec![project()],
        users: vec![user()],
        members: vec![member()],
        service_accounts: vec![account()],
        keys: vec![key()],
        admin_keys: vec![admin_key()],
        ..Contents::default()
    }
}

pub(super) fn directory(contents: Contents) -> Directory {
    Directory::new(hasher(), contents).unwrap()
}

/// The same world with another key.
pub(super) fn with_key(key: Key) -> Directory {
    directory(Contents { keys: vec![key], ..contents() })
}

pub(super) fn visit(now: Timestamp) -> Visit {
    Visit { address: None, endpoint: Scope::ChatCompletions, now }
}

pub(super) fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}
