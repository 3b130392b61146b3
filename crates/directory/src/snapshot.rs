//! All records at one moment, as a value: a change makes the next one, which shares nearly everything with the last.
//!
//! Keys are many (a million is a figure to serve), so they stand in maps that share their unchanged parts; whatever
//! else belongs to an organization stands in its [`Tenant`], and is found from a key at the moment of use. So a change
//! of a role, a project or a limit is one record's change, however many keys it concerns.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::{AdminKeyId, InviteId, KeyId, OrganizationId, ProjectId, Timestamp};

use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::port::{Change, Contents, Record, RecordKind};
use crate::record::{AdminKey, Key, KeyHash};
use crate::tag::Tagged as _;
use crate::tenant::Tenant;
use crate::trie::Trie;

/// A record names a parent that is not there, or not the one it should be. The store's foreign keys forbid it, so a
/// directory that meets it does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {child} {id} names a parent that the store does not hold; restore it from a backup")]
pub struct Inconsistent {
    child: RecordKind,
    id: String,
}

/// A key, and when it was last used.
#[derive(Debug)]
pub(crate) struct Known<K> {
    pub(crate) key: Arc<K>,
    used: Arc<AtomicI64>,
}

impl<K> Clone for Known<K> {
    fn clone(&self) -> Self {
        Self { key: Arc::clone(&self.key), used: Arc::clone(&self.used) }
    }
}

/// Never used.
const NEVER: i64 = i64::MIN;
/// A use is noted when the last one noted is this old, so that a busy key's cache line is mostly read.
const NOTED_MICROS: i64 = 1_000_000;

impl<K> Known<K> {
    fn new(key: K, before: Option<&Self>) -> Self {
        let used = before.map_or_else(|| Arc::new(AtomicI64::new(NEVER)), |known| Arc::clone(&known.used));
        Self { key: Arc::new(key), used }
    }

    /// Notes that it was used.
    pub(crate) fn note(&self, now: Timestamp) {
        if now.micros().saturating_sub(self.used.load(Ordering::Relaxed)) >= NOTED_MICROS {
            self.used.fetch_max(now.micros(), Ordering::Relaxed);
        }
    }

    /// When it was last used, to the second.
    pub(crate) fn last_used(&self) -> Option<Timestamp> {
        let micros = self.used.load(Ordering::Relaxed);
        (micros != NEVER).then(|| Timestamp::from_micros(micros))
    }
}

/// All records at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) tenants: Trie<Arc<Tenant>>,
    pub(crate) organization_of: HashTrieMapSync<ProjectId, OrganizationId>,
    pub(crate) keys: Trie<Known<Key>>,
    pub(crate) keys_of: RedBlackTreeSetSync<(ProjectId, KeyId)>,
    /// The same keys, by each hash they have.
    by_hash: Trie<Known<Key>>,
    pub(crate) admin_keys: HashTrieMapSync<AdminKeyId, Known<AdminKey>>,
    pub(crate) admin_keys_of: RedBlackTreeSetSync<(OrganizationId, AdminKeyId)>,
    pub(crate) admin_by_hash: HashTrieMapSync<KeyHash, AdminKeyId>,
    /// Invitations by the hashes of their tokens.
    pub(crate) invites: HashTrieMapSync<KeyHash, (OrganizationId, InviteId)>,
}

impl Snapshot {
    /// The key that has this hash, or had it before its last rotation.
    pub(crate) fn key_by_hash(&self, hash: KeyHash) -> Option<&Known<Key>> {
        self.by_hash.get(hash.tag(), |known| hashes(&known.key).any(|other| other == hash))
    }

    /// The key with this id.
    pub(crate) fn key(&self, id: KeyId) -> Option<&Known<Key>> {
        self.keys.get(id.tag(), |known| known.key.id == id)
    }

    /// The organization with this id.
    pub(crate) fn tenant(&self, id: OrganizationId) -> Option<&Arc<Tenant>> {
        self.tenants.get(id.tag(), |tenant| tenant.id == id)
    }

    /// The snapshot of what a store holds.
    pub(crate) fn of(contents: Contents) -> Result<Self, Inconsistent> {
        let mut snapshot = Self::default();
        let Contents { organizations, projects, users, members, service_accounts, .. } = contents;
        // Parents before children.
        let records = organizations
            .into_iter()
            .map(Record::Organization)
            .chain(projects.into_iter().map(Record::Project))
            .chain(users.into_iter().map(Record::User))
            .chain(members.into_iter().map(Record::Member))
            .chain(service_accounts.into_iter().map(Record::ServiceAccount))
            .chain(contents.consents.into_iter().map(Record::Consent))
            .chain(contents.keys.into_iter().map(Record::Key))
            .chain(contents.admin_keys.into_iter().map(Record::AdminKey))
            .chain(contents.invites.into_iter().map(Record::Invite))
            .chain(contents.limits.into_iter().map(Record::Limit))
            .chain(contents.provider_keys.into_iter().map(Record::ProviderKey));
        for record in records {
            snapshot.put(record)?;
        }
        for (id, at) in contents.uses {
            let used = snapshot.key(KeyId::from_bytes(id)).map(|known| &known.used);
            let admin = snapshot.admin_keys.get(&AdminKeyId::from_bytes(id)).map(|known| &known.used);
            if let Some(used) = used.or(admin) {
                used.store(at.micros(), Ordering::Relaxed);
            }
        }
        Ok(snapshot)
    }

    /// Takes one step of a change.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), Inconsistent> {
        match change {
            Change::Put(record) => return self.put(*record),
            Change::RemoveMember(organization, project, user) => {
                if let Some(tenant) = self.tenant_mut(organization) {
                    tenant.members.remove(&(project, user));
                }
            }
            Change::RemoveLimit(organization, limit) => {
                if let Some(tenant) = self.tenant_mut(organization) {
                    tenant.remove_limit(limit);
                }
            }
            Change::RemoveProviderKey(organization, key) => {
                if let Some(tenant) = self.tenant_mut(organization) {
                    tenant.provider_keys.remove(&key);
                }
            }
        }
        Ok(())
    }

    /// The organization's own copy of its tables, to be changed.
    fn tenant_mut(&mut self, id: OrganizationId) -> Option<&mut Tenant> {
        self.tenants.get_mut(id.tag(), |tenant| tenant.id == id).map(Arc::make_mut)
    }

    fn put(&mut self, record: Record) -> Result<(), Inconsistent> {
        let (child, id) = (record.kind(), id_of(&record));
        self.try_put(record).ok_or(Inconsistent { child, id })
    }

    /// `None` when the parent is not there.
    fn try_put(&mut self, record: Record) -> Option<()> {
        match record {
            Record::Organization(organization) => match self.tenant_mut(organization.id) {
                Some(tenant) => tenant.organization = Arc::new(organization),
                None => {
                    let id = organization.id;
                    let tenant = Arc::new(Tenant::new(organization));
                    self.tenants.insert(id.tag(), tenant, |other| other.id == id);
                }
            },
            Record::Project(project) => {
                let (id, organization) = (project.id, project.organization);
                self.tenant_mut(organization)?.projects.insert(id, Arc::new(project));
                self.organization_of.insert_mut(id, organization);
            }
            Record::User(user) => {
                self.tenant_mut(user.organization)?.users.insert(user.id, Arc::new(user));
            }
            Record::Member(member) => {
                let tenant = self.tenant_mut(member.organization)?;
                tenant.projects.get(&member.project)?;
                tenant.users.get(&member.user)?;
                tenant.members.insert((member.project, member.user), Arc::new(member));
            }
            Record::ServiceAccount(account) => {
                let tenant = self.tenant_mut(account.organization)?;
                tenant.projects.get(&account.project)?;
                tenant.service_accounts.insert(account.id, Arc::new(account));
            }
            Record::Consent(consent) => {
                let tenant = self.tenant_mut(consent.organization)?;
                tenant.projects.get(&consent.project)?;
                tenant.users.get(&consent.user)?;
                tenant.consents.insert(consent.id, Arc::new(consent));
            }
            Record::Key(key) => return self.put_key(key),
            Record::AdminKey(key) => return self.put_admin_key(key),
            Record::Invite(invite) => {
                let (organization, id, token) = (invite.organization, invite.id, invite.token);
                self.tenant_mut(organization)?.invites.insert(id, Arc::new(invite));
                self.invites.insert_mut(token, (organization, id));
            }
            Record::Limit(limit) => self.tenant_mut(limit.organization)?.put_limit(limit),
            Record::ProviderKey(key) => {
                let tenant = self.tenant_mut(key.organization)?;
                if let Some(project) = key.project {
                    tenant.projects.get(&project)?;
                }
                tenant.provider_keys.insert(key.id, Arc::new(key));
            }
        }
        Some(())
    }

    fn put_key(&mut self, key: Key) -> Option<()> {
        // A key never reaches another organization's project, even if a row says so.
        let tenant = self.tenant(key.organization)?;
        tenant.projects.get(&key.project)?;
        if let Some(consent) = key.consent {
            tenant.consents.get(&consent)?;
        }
        let before = self.key(key.id).cloned();
        let known = Known::new(key, before.as_ref());
        let id = known.key.id;
        let same = |other: &Known<Key>| other.key.id == id;
        let gone = before.iter().flat_map(|before| hashes(&before.key));
        for hash in gone.filter(|gone| !hashes(&known.key).any(|stays| stays == *gone)) {
            self.by_hash.remove(hash.tag(), same);
        }
        for hash in hashes(&known.key) {
            self.by_hash.insert(hash.tag(), known.clone(), same);
        }
        if before.is_none() {
            self.keys_of.insert_mut((known.key.project, id));
        }
        self.keys.insert(id.tag(), known, same);
        Some(())
    }

    fn put_admin_key(&mut self, key: AdminKey) -> Option<()> {
        self.tenant(key.organization)?.users.get(&key.user)?;
        let before = self.admin_keys.get(&key.id).cloned();
        self.admin_by_hash.insert_mut(key.hash, key.id);
        self.admin_keys_of.insert_mut((key.organization, key.id));
        self.admin_keys.insert_mut(key.id, Known::new(key, before.as_ref()));
        Some(())
    }
}

/// By what a key is recognised.
fn hashes(key: &Key) -> impl Iterator<Item = KeyHash> {
    std::iter::once(key.hash).chain(key.previous.as_ref().map(|previous| previous.hash))
}

fn id_of(record: &Record) -> String {
    match record {
        Record::Organization(organization) => organization.id.to_string(),
        Record::Project(project) => project.id.to_string(),
        Record::User(user) => user.id.to_string(),
        Record::Member(member) => format!("{} of {}", member.user, member.project),
        Record::ServiceAccount(account) => account.id.to_string(),
        Record::Consent(consent) => consent.id.to_string(),
        Record::Key(key) => key.id.to_string(),
        Record::AdminKey(key) => key.id.to_string(),
        Record::Invite(invite) => invite.id.to_string(),
        Record::Limit(limit) => limit.id.to_string(),
        Record::ProviderKey(key) => key.id.to_string(),
    }
}
