//! The port through which the directory is kept.

use std::fmt;

use domain::{LimitId, OrganizationId, ProjectId, ProviderKeyId, Timestamp, UserId};

use crate::record::{
    AdminKey, AuditEntry, Consent, Invite, Key, Member, Organization, Project, ProviderKey, RateLimit,
    ServiceAccount, User,
};

/// Everything a directory holds. The order of records has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// All organizations.
    pub organizations: Vec<Organization>,
    /// All projects.
    pub projects: Vec<Project>,
    /// All people, the removed ones too.
    pub users: Vec<User>,
    /// All parts of people in projects.
    pub members: Vec<Member>,
    /// All service accounts, the removed ones too.
    pub service_accounts: Vec<ServiceAccount>,
    /// All consents, the revoked ones too.
    pub consents: Vec<Consent>,
    /// All keys, the revoked ones too.
    pub keys: Vec<Key>,
    /// All administrators' keys, the revoked ones too.
    pub admin_keys: Vec<AdminKey>,
    /// All invitations.
    pub invites: Vec<Invite>,
    /// All rate limits.
    pub limits: Vec<RateLimit>,
    /// All provider keys that organizations brought.
    pub provider_keys: Vec<ProviderKey>,
    /// When keys were last used, by the bytes of their ids.
    pub uses: Vec<([u8; 16], Timestamp)>,
}

/// A record of any sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An organization.
    Organization(Organization),
    /// A project.
    Project(Project),
    /// A person.
    User(User),
    /// A person's part in a project.
    Member(Member),
    /// A service account.
    ServiceAccount(ServiceAccount),
    /// A consent.
    Consent(Consent),
    /// A key.
    Key(Key),
    /// An administrator's key.
    AdminKey(AdminKey),
    /// An invitation.
    Invite(Invite),
    /// A rate limit.
    Limit(RateLimit),
    /// A provider key that an organization brought.
    ProviderKey(ProviderKey),
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores a record; the one with its id becomes this one. What never changes of a record (an organization's wallet,
    /// the project of a key, when something was made) stays as it is.
    Put(Box<Record>),
    /// Ends a person's part in a project.
    RemoveMember(OrganizationId, ProjectId, UserId),
    /// Ends a rate limit.
    RemoveLimit(OrganizationId, LimitId),
    /// Forgets a provider key, its sealed secret with it.
    RemoveProviderKey(OrganizationId, ProviderKeyId),
}

/// A change that happens whole or not at all, with its lines of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The steps, in order.
    pub changes: Vec<Change>,
    /// The log's lines.
    pub audit: Vec<AuditEntry>,
    /// Usage tiers that organizations reached with it, which their owners are to hear of.
    pub reached: Vec<(OrganizationId, String, Timestamp)>,
}

impl Commit {
    /// A change that stores records, parents first, and is told nowhere.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        Self {
            changes: records.into_iter().map(|record| Change::Put(Box::new(record))).collect(),
            ..Self::default()
        }
    }
}

/// Which sort of record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// An [`Organization`].
    Organization,
    /// A [`Project`].
    Project,
    /// A [`User`].
    User,
    /// A [`Member`].
    Member,
    /// A [`ServiceAccount`].
    ServiceAccount,
    /// A [`Consent`].
    Consent,
    /// A [`Key`].
    Key,
    /// An [`AdminKey`].
    AdminKey,
    /// An [`Invite`].
    Invite,
    /// A [`RateLimit`].
    Limit,
    /// A [`ProviderKey`].
    ProviderKey,
    /// An [`AuditEntry`].
    Audit,
}

impl Record {
    /// Its sort.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Organization(_) => RecordKind::Organization,
            Self::Project(_) => RecordKind::Project,
            Self::User(_) => RecordKind::User,
            Self::Member(_) => RecordKind::Member,
            Self::ServiceAccount(_) => RecordKind::ServiceAccount,
            Self::Consent(_) => RecordKind::Consent,
            Self::Key(_) => RecordKind::Key,
            Self::AdminKey(_) => RecordKind::AdminKey,
            Self::Invite(_) => RecordKind::Invite,
            Self::Limit(_) => RecordKind::Limit,
            Self::ProviderKey(_) => RecordKind::ProviderKey,
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::User => "user",
            Self::Member => "member",
            Self::ServiceAccount => "service account",
            Self::Consent => "consent",
            Self::Key => "key",
            Self::AdminKey => "admin key",
            Self::Invite => "invite",
            Self::Limit => "rate limit",
            Self::ProviderKey => "provider key",
            Self::Audit => "line of the audit log",
        })
    }
}

/// Why a store did not do as told. Whatever the reason, it holds what it held before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The wallet of an organization, the hash of a key, the secret of a provider key, a person's mail address or the
    /// id of another's record is taken.
    #[error("this {0} is stored already")]
    Duplicate(RecordKind),
    /// The parent is not stored: a project's organization, or a key's project within the key's organization.
    #[error("this {0} belongs to a record that is not stored")]
    Orphan(RecordKind),
    /// The storage itself failed; the text is for the operator's log, not for a caller.
    #[error("the directory's storage failed: {0}")]
    Failed(String),
}

/// Keeps the directory. Calls block, so the server makes them off the data path; each commit is durable before it
/// returns. `conformance::check` (feature `conformance`) says the same in tests.
pub trait DirectoryStore: Send + Sync {
    /// Everything stored.
    fn load(&self) -> Result<Contents, StoreError>;

    /// Makes a change, whole or not at all.
    fn commit(&self, commit: Commit) -> Result<(), StoreError>;

    /// Notes when keys were last used, by the bytes of their ids. It is a convenience: what is lost is no harm.
    fn save_uses(&self, uses: Vec<([u8; 16], Timestamp)>) -> Result<(), StoreError>;
}

macro_rules! records {
    ($($variant:ident($record:ident),)*) => {$(
        impl From<crate::record::$record> for Record {
            fn from(record: crate::record::$record) -> Self {
                Self::$variant(record)
            }
        }
    )*};
}

records! {
    Organization(Organization),
    Project(Project),
    User(User),
    Member(Member),
    ServiceAccount(ServiceAccount),
    Consent(Consent),
    Key(Key),
    AdminKey(AdminKey),
    Invite(Invite),
    Limit(RateLimit),
    ProviderKey(ProviderKey),
}
