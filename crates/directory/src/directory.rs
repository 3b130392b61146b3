//! The directory as requests see it: an immutable snapshot behind one atomic pointer, read without a lock.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::{AdminKeyId, KeyId, OrganizationId, ProjectId, Refusal, Timestamp};
use secrecy::SecretString;

use crate::authority::Administrator;
use crate::port::{Change, Contents};
use crate::published::PublishedKeys;
use crate::record::{AdminKey, Consent, Invite, Key, KeyHash, Organization, Project, Scope};
use crate::refusal;
use crate::secret::{KeyHasher, KeyKind};
use crate::snapshot::{Inconsistent, Snapshot};
use crate::tenant::Tenant;

/// Who is calling: a key, its project and its organization as they were when it called.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The key.
    pub key: Arc<Key>,
    /// The project it calls for.
    pub project: Arc<Project>,
    /// The organization that pays, and what belongs to it.
    pub tenant: Arc<Tenant>,
}

impl Principal {
    /// The organization that pays.
    pub fn organization(&self) -> &Organization {
        &self.tenant.organization
    }

    /// The consent that the key was made by: which app calls, at its user's expense. `None` for a key that its owner has.
    pub fn consent(&self) -> Option<&Arc<Consent>> {
        self.tenant.consent(self.key.consent?)
    }
}

/// How a key is presented.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// From which address, where that is known.
    pub address: Option<IpAddr>,
    /// Where it knocks.
    pub endpoint: Scope,
    /// When.
    pub now: Timestamp,
}

/// All organizations and what belongs to them, with reads that take no lock.
#[derive(Debug)]
pub struct Directory {
    hasher: KeyHasher,
    snapshot: ArcSwap<Snapshot>,
    publishing: Mutex<()>,
    /// Keys that anybody may hold.
    published: ArcSwap<PublishedKeys>,
}

impl Directory {
    /// The directory of these contents, whose keys were hashed by `hasher`. Fails when a record's parent is missing.
    pub fn new(hasher: KeyHasher, contents: Contents) -> Result<Self, Inconsistent> {
        let snapshot = Snapshot::of(contents)?;
        let (snapshot, published) = (ArcSwap::from_pointee(snapshot), ArcSwap::default());
        Ok(Self { hasher, snapshot, publishing: Mutex::new(()), published })
    }

    /// Refuses a key that is known to be published, whoever's it is: ours, or a provider's that a caller brings.
    ///
    /// # Errors
    /// [`domain::RefusalCode::InvalidKey`], which says why.
    pub fn check_published(&self, key: &str) -> Result<(), Refusal> {
        self.published.load().check(key)
    }

    /// Takes another list of published keys, from the next look on.
    pub fn replace_published(&self, list: PublishedKeys) {
        self.published.store(Arc::new(list));
    }

    /// Who presents this key. One checksum, one keyed hash, a few look-ups, no lock, no allocation unless the answer is
    /// a refusal. Refusals come in the order of [`domain::RefusalCode`].
    pub fn authenticate(&self, presented: &str, visit: &Visit) -> Result<Principal, Refusal> {
        self.check_published(presented)?;
        match KeyKind::of(presented) {
            Ok(KeyKind::Project) => {}
            Ok(kind) => return Err(refusal::wrong_kind(presented, kind)),
            Err(malformed) => return Err(refusal::not_a_key(presented, malformed)),
        }
        let snapshot = self.snapshot.load();
        let hash = self.hasher.hash(presented);
        let known = snapshot.key_by_hash(hash);
        let known = known.ok_or_else(|| refusal::unknown_key(presented))?;
        let key = &known.key;
        let tenant = snapshot.tenant(key.organization);
        let (tenant, project) = tenant
            .and_then(|tenant| Some((tenant, tenant.project(key.project)?)))
            .ok_or_else(|| refusal::unknown_key(presented))?;
        let principal =
            Principal { key: Arc::clone(key), project: Arc::clone(project), tenant: Arc::clone(tenant) };
        admit(&principal, presented, hash, visit)?;
        known.note(visit.now);
        Ok(principal)
    }

    /// Whose key this is, whether or not it is still good; `None` when nobody knows it. For records and messages: only
    /// [`Directory::authenticate`] lets anybody in.
    pub fn holder(&self, presented: &str) -> Option<Principal> {
        let hash = (KeyKind::of(presented) == Ok(KeyKind::Project)).then(|| self.hash(presented))?;
        let snapshot = self.snapshot.load();
        let key = &snapshot.key_by_hash(hash)?.key;
        let tenant = snapshot.tenant(key.organization)?;
        let project = Arc::clone(tenant.project(key.project)?);
        Some(Principal { key: Arc::clone(key), project, tenant: Arc::clone(tenant) })
    }

    /// Who administers with this key.
    ///
    /// # Errors
    /// A refusal of layer 1.1 or 1.2.
    pub fn administrator(&self, presented: &str, now: Timestamp) -> Result<Administrator, Refusal> {
        self.check_published(presented)?;
        match KeyKind::of(presented) {
            Ok(KeyKind::Admin) => {}
            Ok(kind) => return Err(refusal::wrong_kind(presented, kind)),
            Err(malformed) => return Err(refusal::not_a_key(presented, malformed)),
        }
        let snapshot = self.snapshot.load();
        let known = snapshot.admin_by_hash.get(&self.hasher.hash(presented));
        let known = known.and_then(|id| snapshot.admin_keys.get(id));
        let known = known.ok_or_else(|| refusal::unknown_key(presented))?;
        let key = &known.key;
        let tenant = snapshot.tenant(key.organization).ok_or_else(|| refusal::unknown_key(presented))?;
        if let Some(expires_at) = key.expires_at.filter(|at| *at <= now) {
            return Err(refusal::admin_key_ended(key, "expired", expires_at));
        }
        if let Some(revoked_at) = key.revoked_at {
            return Err(refusal::admin_key_ended(key, "was revoked", revoked_at));
        }
        let user = tenant.user(key.user).ok_or_else(|| refusal::administrator_removed(key))?;
        known.note(now);
        Ok(Administrator::Member { key: Arc::clone(key), user: Arc::clone(user), tenant: Arc::clone(tenant) })
    }

    /// An organization and what belongs to it.
    pub fn tenant(&self, id: OrganizationId) -> Option<Arc<Tenant>> {
        self.snapshot.load().tenant(id).cloned()
    }

    /// Every organization and what belongs to it, in the order in which they were made.
    pub fn tenants(&self) -> Vec<Arc<Tenant>> {
        let mut tenants: Vec<Arc<Tenant>> = self.snapshot.load().tenants.values().cloned().collect();
        tenants.sort_by_key(|tenant| tenant.organization.id);
        tenants
    }

    /// The organization with this id.
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<Organization>> {
        self.snapshot.load().tenant(id).map(|tenant| Arc::clone(&tenant.organization))
    }

    /// The project with this id.
    pub fn project(&self, id: ProjectId) -> Option<Arc<Project>> {
        let snapshot = self.snapshot.load();
        snapshot.tenant(*snapshot.organization_of.get(&id)?)?.project(id).cloned()
    }

    /// The key with this id, without its secret.
    pub fn key(&self, id: KeyId) -> Option<Arc<Key>> {
        self.snapshot.load().key(id).map(|known| Arc::clone(&known.key))
    }

    /// The key whose secret has this hash now.
    pub fn key_by_hash(&self, hash: KeyHash) -> Option<Arc<Key>> {
        let snapshot = self.snapshot.load();
        let known = snapshot.key_by_hash(hash).filter(|known| known.key.hash == hash);
        known.map(|known| Arc::clone(&known.key))
    }

    /// When a key was last used, to the second.
    pub fn last_used(&self, id: KeyId) -> Option<Timestamp> {
        self.snapshot.load().key(id)?.last_used()
    }

    /// Keys of a project that were made after one of them, the revoked ones too, in the order in which they were made.
    pub fn keys(&self, project: ProjectId, after: Option<KeyId>, limit: usize) -> Vec<Arc<Key>> {
        let snapshot = self.snapshot.load();
        let first = after.unwrap_or(KeyId::from_bytes([0; 16]));
        let range = snapshot.keys_of.range((project, first)..=(project, KeyId::from_bytes([0xff; 16])));
        let keys = range.filter(|(_, id)| Some(*id) != after).filter_map(|(_, id)| snapshot.key(*id));
        keys.take(limit).map(|known| Arc::clone(&known.key)).collect()
    }

    /// The administrator's key with this id, and when it was last used.
    pub fn admin_key(&self, id: AdminKeyId) -> Option<(Arc<AdminKey>, Option<Timestamp>)> {
        let snapshot = self.snapshot.load();
        snapshot.admin_keys.get(&id).map(|known| (Arc::clone(&known.key), known.last_used()))
    }

    /// An organization's administrators' keys, the revoked ones too, in the order in which they were made.
    pub fn admin_keys(&self, organization: OrganizationId) -> Vec<Arc<AdminKey>> {
        let snapshot = self.snapshot.load();
        let (first, last) = (AdminKeyId::from_bytes([0; 16]), AdminKeyId::from_bytes([0xff; 16]));
        let range = snapshot.admin_keys_of.range((organization, first)..=(organization, last));
        let known = range.filter_map(|(_, id)| snapshot.admin_keys.get(id));
        known.map(|known| Arc::clone(&known.key)).collect()
    }

    /// The invitation that a token accepts, whatever became of it.
    pub fn invitation(&self, token: &str) -> Option<(Arc<Tenant>, Arc<Invite>)> {
        let hash = (KeyKind::of(token) == Ok(KeyKind::Invite)).then(|| self.hash(token))?;
        let snapshot = self.snapshot.load();
        let (organization, invite) = snapshot.invites.get(&hash)?;
        let tenant = snapshot.tenant(*organization)?;
        Some((Arc::clone(tenant), Arc::clone(tenant.invites.get(invite)?)))
    }

    /// When keys of either sort were last used, for those that were used after `since`.
    pub fn uses_since(&self, since: Timestamp) -> Vec<([u8; 16], Timestamp)> {
        let snapshot = self.snapshot.load();
        let keys = snapshot.keys.values().map(|known| (*known.key.id.as_bytes(), known.last_used()));
        let admin = snapshot.admin_keys.iter().map(|(id, known)| (*id.as_bytes(), known.last_used()));
        keys.chain(admin).filter_map(|(id, used)| Some((id, used.filter(|at| *at > since)?))).collect()
    }

    /// By what the secret of a provider is recognised when it is brought again.
    pub fn fingerprint(&self, secret: &SecretString) -> KeyHash {
        self.hasher.fingerprint(secret)
    }

    /// The hash by which a key with this text is known.
    pub(crate) fn hash(&self, text: &str) -> KeyHash {
        self.hasher.hash(text)
    }

    /// Shows a stored change to requests, all of it at once.
    pub(crate) fn publish(&self, changes: Vec<Change>) -> Result<(), Inconsistent> {
        // Writers queue here; readers never see this lock.
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.snapshot.load());
        changes.into_iter().try_for_each(|change| next.apply(change))?;
        self.snapshot.store(Arc::new(next));
        Ok(())
    }
}

/// Whether a known key may be used like this. The order is the specification.
fn admit(principal: &Principal, presented: &str, hash: KeyHash, visit: &Visit) -> Result<(), Refusal> {
    let Principal { key, project, tenant } = principal;
    if let Some(expires_at) = key.expires_at.filter(|at| *at <= visit.now) {
        return Err(refusal::expired(presented, principal, expires_at));
    }
    if let Some(previous) = key.previous.as_ref().filter(|previous| previous.hash == hash)
        && previous.until <= visit.now
    {
        return Err(refusal::rotated(presented, principal, previous.until));
    }
    // Whenever it was: a wall clock that steps back must not revive a disabled key or an archived project.
    if let Some(revoked_at) = key.revoked_at {
        return Err(refusal::revoked(presented, principal, revoked_at));
    }
    if let Some(disabled_at) = key.disabled_at {
        return Err(refusal::disabled(presented, principal, disabled_at));
    }
    if !key.bounds.allow_address(visit.address) {
        return Err(refusal::address(presented, principal, visit.address));
    }
    if !key.bounds.allow_endpoint(visit.endpoint) {
        return Err(refusal::endpoint(presented, principal, visit.endpoint));
    }
    if !tenant.has_part(key.owner, key.project) {
        return Err(refusal::no_part(principal));
    }
    match project.archived_at {
        Some(archived_at) => Err(refusal::archived(principal, archived_at)),
        None => Ok(()),
    }
}
