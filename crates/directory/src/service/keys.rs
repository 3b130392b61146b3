//! Keys, of both sorts.

use std::sync::Arc;

use domain::{AdminKeyId, ConsentId, KeyId, OrganizationId, ProjectId, Timestamp, UserId};
use ipnet::IpNet;

use super::consents::check_own;
use super::organizations::check_models;
use super::{ChangeError, DirectoryService, Draft, Mandate, told, valid_name};
use crate::record::{AdminKey, Bounds, Key, KeyOwner, ModelAccess, Previous, Scope};
use crate::secret::{KeyKind, Secret};
use crate::tenant::Tenant;

/// What a key is called whose maker gave no name, and the service account it belongs to when no owner is named.
pub const DEFAULT_KEY_NAME: &str = "default";
/// Networks of a key at most.
const NETWORKS_MAX: usize = 100;
/// The longest a rotated secret may go on working.
const GRACE_SECONDS_MAX: i64 = 30 * 24 * 60 * 60;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The project it will call for.
    pub project: ProjectId,
    /// Who will call with it; without one the project's service account `default`, which is made when it is not there.
    pub owner: Option<KeyOwner>,
    /// Its name, 1 to 100 characters; [`DEFAULT_KEY_NAME`] without one.
    pub name: Option<String>,
    /// What it may do less than its project.
    pub bounds: Bounds,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// What is to change of a key; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct KeyChanges {
    /// Its name, 1 to 100 characters.
    pub name: Option<String>,
    /// What it may do less than its project.
    pub bounds: BoundsChanges,
    /// From when on it is refused; `Some(None)` is never.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether it is refused until further notice.
    pub disabled: Option<bool>,
}

/// What is to change of a key's bounds; `None` stays as it is, `Some(None)` is no bound.
#[derive(Clone, Debug, Default)]
pub struct BoundsChanges {
    /// Endpoints that may be called.
    pub endpoints: Option<Option<Vec<Scope>>>,
    /// Models that may be called.
    pub models: Option<Option<ModelAccess>>,
    /// Networks that may be called from; empty for all.
    pub networks: Option<Vec<IpNet>>,
}

impl From<Bounds> for BoundsChanges {
    /// These bounds in the place of whatever there were.
    fn from(bounds: Bounds) -> Self {
        let Bounds { endpoints, models, networks } = bounds;
        Self { endpoints: Some(endpoints), models: Some(models), networks: Some(networks) }
    }
}

/// A key just made or rotated, with the one copy of its secret there is.
#[derive(Debug)]
pub struct CreatedKey {
    /// The record.
    pub key: Key,
    /// Its secret, to be shown once.
    pub secret: Secret,
}

/// An administrator's key to be made.
#[derive(Clone, Debug)]
pub struct NewAdminKey {
    /// The organization it will administer.
    pub organization: OrganizationId,
    /// In whose name.
    pub user: UserId,
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// An administrator's key just made, with the one copy of its secret there is.
#[derive(Debug)]
pub struct CreatedAdminKey {
    /// The record.
    pub key: AdminKey,
    /// Its secret, to be shown once.
    pub secret: Secret,
}

impl DirectoryService {
    /// Makes a key of an existing, open project. The secret in the answer is nowhere else.
    pub fn create_key(&self, new: NewKey, mandate: &Mandate<'_>) -> Result<CreatedKey, ChangeError> {
        in_the_future("expires_at", new.expires_at, mandate.now)?;
        check_bounds(&new.bounds)?;
        valid_name(new.name.as_deref().unwrap_or(DEFAULT_KEY_NAME))?;
        let _guard = self.one_at_a_time();
        let (tenant, project) = self.open_project(new.project)?;
        let mut draft = Draft::new(mandate, project.organization);
        let owner = match new.owner {
            Some(owner) if tenant.has_part(owner, project.id) => owner,
            Some(KeyOwner::User(user)) => return Err(ChangeError::not_found("user", user)),
            Some(KeyOwner::ServiceAccount(id)) => return Err(ChangeError::not_found("service_account", id)),
            None => KeyOwner::ServiceAccount(draft.default_account(&tenant, project.id)),
        };
        let created = self.add_key(&mut draft, new, owner, None)?;
        self.finish(draft)?;
        Ok(created)
    }

    /// Adds a key of this owner to a change, and of the consent that it is made by.
    pub(super) fn add_key(
        &self,
        draft: &mut Draft<'_>,
        new: NewKey,
        owner: KeyOwner,
        consent: Option<ConsentId>,
    ) -> Result<CreatedKey, ChangeError> {
        let secret = Secret::generate(KeyKind::Project, draft.mandate.ids);
        let key = Key {
            id: KeyId::fresh(draft.mandate.ids),
            organization: draft.organization,
            project: new.project,
            owner,
            consent,
            name: valid_name(new.name.as_deref().unwrap_or(DEFAULT_KEY_NAME))?,
            hash: self.directory.hash(secret.expose()),
            redacted: secret.redacted(),
            previous: None,
            bounds: new.bounds,
            created_at: draft.mandate.now,
            expires_at: new.expires_at,
            disabled_at: None,
            revoked_at: None,
        };
        draft.put(told("api_key.created", Some(key.project), key.id), None, &key);
        Ok(CreatedKey { key, secret })
    }

    /// Changes a key that was not revoked.
    pub fn update_key(
        &self,
        id: KeyId,
        changes: KeyChanges,
        mandate: &Mandate<'_>,
    ) -> Result<Key, ChangeError> {
        let name = changes.name.as_deref().map(valid_name).transpose()?;
        in_the_future("expires_at", changes.expires_at.flatten(), mandate.now)?;
        let _guard = self.one_at_a_time();
        let before = self.live_key(id)?;
        if changes.expires_at.is_some() || changes.bounds.models.is_some() {
            check_own(&before)?;
        }
        let bounds = Bounds {
            endpoints: changes.bounds.endpoints.unwrap_or_else(|| before.bounds.endpoints.clone()),
            models: changes.bounds.models.unwrap_or_else(|| before.bounds.models.clone()),
            networks: changes.bounds.networks.unwrap_or_else(|| before.bounds.networks.clone()),
        };
        check_bounds(&bounds)?;
        let disabled_at = match changes.disabled {
            Some(true) => Some(before.disabled_at.unwrap_or(mandate.now)),
            Some(false) => None,
            None => before.disabled_at,
        };
        let after = Key {
            name: name.unwrap_or_else(|| before.name.clone()),
            bounds,
            expires_at: changes.expires_at.unwrap_or(before.expires_at),
            disabled_at,
            ..Key::clone(&before)
        };
        self.change_key("api_key.updated", &before, after, mandate)
    }

    /// Gives a key another secret. The old one goes on working for so many seconds; one that was replaced before it and
    /// still worked ends at once, so that a key never has more than two secrets.
    pub fn rotate_key(
        &self,
        id: KeyId,
        grace_seconds: i64,
        mandate: &Mandate<'_>,
    ) -> Result<CreatedKey, ChangeError> {
        if !(0..=GRACE_SECONDS_MAX).contains(&grace_seconds) {
            let problem = format!("must be between 0 and {GRACE_SECONDS_MAX}");
            return Err(ChangeError::invalid("grace_seconds", problem));
        }
        let _guard = self.one_at_a_time();
        let before = self.live_key(id)?;
        check_own(&before)?;
        let secret = Secret::generate(KeyKind::Project, mandate.ids);
        let previous = Previous {
            hash: before.hash,
            redacted: before.redacted.clone(),
            until: mandate.now.plus_seconds(grace_seconds),
        };
        let after = Key {
            hash: self.directory.hash(secret.expose()),
            redacted: secret.redacted(),
            previous: Some(previous),
            ..Key::clone(&before)
        };
        Ok(CreatedKey { key: self.change_key("api_key.rotated", &before, after, mandate)?, secret })
    }

    /// Ends a key for good, with every secret it has: the former one, too, tells whoever still has it why. With an app's
    /// key the consent ends that it was made by.
    pub fn revoke_key(&self, id: KeyId, mandate: &Mandate<'_>) -> Result<Key, ChangeError> {
        let _guard = self.one_at_a_time();
        let before = self.live_key(id)?;
        let after = Key { revoked_at: Some(mandate.now), ..Key::clone(&before) };
        let mut draft = Draft::new(mandate, before.organization);
        draft.put(told("api_key.deleted", Some(before.project), id), Some(&*before), &after);
        if let Some(consent) = self.consent_of(&before) {
            draft.revoke_consent(&consent);
        }
        self.finish(draft)?;
        Ok(after)
    }

    /// Makes an administrator's key. The secret in the answer is nowhere else.
    pub fn create_admin_key(
        &self,
        new: NewAdminKey,
        mandate: &Mandate<'_>,
    ) -> Result<CreatedAdminKey, ChangeError> {
        in_the_future("expires_at", new.expires_at, mandate.now)?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", new.organization)?;
        tenant.user(new.user).ok_or_else(|| ChangeError::not_found("user", new.user))?;
        let mut draft = Draft::new(mandate, new.organization);
        let created = self.add_admin_key(&mut draft, new)?;
        self.finish(draft)?;
        Ok(created)
    }

    /// Ends an administrator's key for good.
    pub fn revoke_admin_key(
        &self,
        organization: OrganizationId,
        id: AdminKeyId,
        mandate: &Mandate<'_>,
    ) -> Result<AdminKey, ChangeError> {
        let _guard = self.one_at_a_time();
        let found = self.directory.admin_key(id).map(|(key, _)| key);
        let found = found.filter(|key| key.organization == organization && key.revoked_at.is_none());
        let before = found.ok_or_else(|| ChangeError::not_found("id", id))?;
        let after = AdminKey { revoked_at: Some(mandate.now), ..AdminKey::clone(&before) };
        let mut draft = Draft::new(mandate, organization);
        draft.put(told("admin_api_key.deleted", None, id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    pub(super) fn add_admin_key(
        &self,
        draft: &mut Draft<'_>,
        new: NewAdminKey,
    ) -> Result<CreatedAdminKey, ChangeError> {
        let secret = Secret::generate(KeyKind::Admin, draft.mandate.ids);
        let key = AdminKey {
            id: AdminKeyId::fresh(draft.mandate.ids),
            organization: new.organization,
            user: new.user,
            name: valid_name(&new.name)?,
            hash: self.directory.hash(secret.expose()),
            redacted: secret.redacted(),
            created_at: draft.mandate.now,
            expires_at: new.expires_at,
            revoked_at: None,
        };
        draft.put(told("admin_api_key.created", None, key.id), None, &key);
        Ok(CreatedAdminKey { key, secret })
    }

    fn live_key(&self, id: KeyId) -> Result<Arc<Key>, ChangeError> {
        let found = self.directory.key(id).filter(|key| key.revoked_at.is_none());
        found.ok_or_else(|| ChangeError::not_found("key", id))
    }

    fn change_key(
        &self,
        action: &'static str,
        before: &Key,
        after: Key,
        mandate: &Mandate<'_>,
    ) -> Result<Key, ChangeError> {
        let mut draft = Draft::new(mandate, before.organization);
        draft.put(told(action, Some(before.project), before.id), Some(before), &after);
        self.finish(draft)?;
        Ok(after)
    }
}

impl Draft<'_> {
    /// The service account for keys of which nobody says whose they are.
    fn default_account(&mut self, tenant: &Tenant, project: ProjectId) -> domain::ServiceAccountId {
        let accounts = tenant.service_accounts(project);
        match accounts.iter().find(|account| account.name == DEFAULT_KEY_NAME) {
            Some(account) => account.id,
            None => self.add_service_account(project, DEFAULT_KEY_NAME.to_owned()).id,
        }
    }
}

pub(super) fn in_the_future(
    field: &'static str,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), ChangeError> {
    match at {
        Some(at) if at <= now => {
            Err(ChangeError::invalid(field, format!("is not in the future; now is {now}")))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_bounds(bounds: &Bounds) -> Result<(), ChangeError> {
    if let Some(models) = &bounds.models {
        check_models("models", models)?;
    }
    if bounds.networks.len() > NETWORKS_MAX {
        let problem = format!("are {}; at most {NETWORKS_MAX} are allowed", bounds.networks.len());
        return Err(ChangeError::invalid("networks", problem));
    }
    // 10.0.0.1/8 is a network to some and an address to others; whoever writes it means one of the two.
    match bounds.networks.iter().find(|network| network.trunc() != **network) {
        Some(network) => {
            let problem = format!(
                "contains {network}, which has bits beyond its prefix; write {} for the network",
                network.trunc()
            );
            Err(ChangeError::invalid("networks", problem))
        }
        None => Ok(()),
    }
}
