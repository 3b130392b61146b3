//! Provider keys that organizations bring: kept sealed, one owner a secret.

use std::sync::Arc;

use domain::{OrganizationId, ProjectId, ProviderKeyId};

use super::{ChangeError, DirectoryService, Draft, Mandate, told, valid_name};
use crate::port::Change;
use crate::record::{KeyHash, ProviderKey, Sealed};

/// Provider keys of an organization at most.
const KEYS_MAX: usize = 1_000;

/// A provider key to be kept. Its id is given, because the secret is sealed for this id and no other.
#[derive(Clone, Debug)]
pub struct NewProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The organization that brings it.
    pub organization: OrganizationId,
    /// The one project that it is for; `None` for all.
    pub project: Option<ProjectId>,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What to call it, 1 to 100 characters.
    pub label: String,
    /// The last four characters of the secret.
    pub last_four: String,
    /// By what the same secret is recognised.
    pub fingerprint: KeyHash,
    /// The secret, sealed.
    pub sealed: Sealed,
    /// Whether the provider was asked and took it.
    pub tested: bool,
    /// What the provider said against it, if it was asked.
    pub test_failure: Option<String>,
}

/// What is to change of a provider key; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProviderKeyChanges {
    /// What to call it, 1 to 100 characters.
    pub label: Option<String>,
    /// Whether it is left unused until further notice.
    pub disabled: Option<bool>,
    /// What a test now came to: `Some(None)` if the provider took it.
    pub test: Option<Option<String>>,
    /// The same secret, sealed anew.
    pub sealed: Option<Sealed>,
}

impl DirectoryService {
    /// Keeps a provider key.
    ///
    /// # Errors
    /// When its secret is known already: of this organization, or of another one, which would make one secret two
    /// owners' (2.10).
    pub fn bring_provider_key(
        &self,
        new: NewProviderKey,
        mandate: &Mandate<'_>,
    ) -> Result<ProviderKey, ChangeError> {
        let label = valid_name(&new.label).map_err(as_label)?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", new.organization)?;
        if let Some(project) = new.project {
            tenant.project(project).ok_or_else(|| ChangeError::not_found("project", project))?;
        }
        self.check_one_owner(new.organization, new.fingerprint)?;
        if tenant.provider_keys.len() >= KEYS_MAX {
            let problem =
                format!("`secret`: the organization has {KEYS_MAX} provider keys; remove one first");
            return Err(ChangeError::conflict("secret", problem));
        }
        let asked = new.tested || new.test_failure.is_some();
        let key = ProviderKey {
            id: new.id,
            organization: new.organization,
            project: new.project,
            provider: new.provider,
            label,
            last_four: new.last_four,
            fingerprint: new.fingerprint,
            sealed: new.sealed,
            brought_by: mandate.actor.user(),
            created_at: mandate.now,
            disabled_at: None,
            tested_at: asked.then_some(mandate.now),
            test_failure: new.test_failure,
        };
        let mut draft = Draft::new(mandate, key.organization);
        draft.put(told("provider_key.created", key.project, key.id), None, &key);
        self.finish(draft)?;
        Ok(key)
    }

    /// Whether this organization may bring the secret of this fingerprint.
    ///
    /// # Errors
    /// When it is known already.
    pub fn check_one_owner(
        &self,
        organization: OrganizationId,
        fingerprint: KeyHash,
    ) -> Result<(), ChangeError> {
        let known = self.directory.tenants().into_iter().find_map(|tenant| {
            tenant.provider_keys.values().find(|key| key.fingerprint == fingerprint).map(Arc::clone)
        });
        match known {
            None => Ok(()),
            Some(key) if key.organization == organization => {
                let (id, label) = (key.id, &key.label);
                let problem = format!(
                    "`secret`: this key is here already, as `{label}` ({id}); change that one, or remove it first"
                );
                Err(ChangeError::conflict("secret", problem))
            }
            // Whose it is, is not for the other to know.
            Some(_) => Err(ChangeError::conflict(
                "secret",
                "`secret`: another organization has brought this key, and a key of two owners is nobody's (access class \
                 2.10): make a key of your own at the provider",
            )),
        }
    }

    /// Changes a provider key.
    pub fn update_provider_key(
        &self,
        organization: OrganizationId,
        id: ProviderKeyId,
        changes: ProviderKeyChanges,
        mandate: &Mandate<'_>,
    ) -> Result<ProviderKey, ChangeError> {
        let label = changes.label.as_deref().map(valid_name).transpose().map_err(as_label)?;
        let _guard = self.one_at_a_time();
        let before = self.provider_key(organization, id)?;
        let disabled_at = match changes.disabled {
            Some(true) => Some(before.disabled_at.unwrap_or(mandate.now)),
            Some(false) => None,
            None => before.disabled_at,
        };
        let action = if changes.sealed.is_some() { "provider_key.resealed" } else { "provider_key.updated" };
        let tested_at = if changes.test.is_some() { Some(mandate.now) } else { before.tested_at };
        let after = ProviderKey {
            label: label.unwrap_or_else(|| before.label.clone()),
            sealed: changes.sealed.unwrap_or_else(|| before.sealed.clone()),
            disabled_at,
            tested_at,
            test_failure: changes.test.unwrap_or_else(|| before.test_failure.clone()),
            ..ProviderKey::clone(&before)
        };
        let mut draft = Draft::new(mandate, organization);
        draft.put(told(action, before.project, id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Forgets a provider key, its sealed secret with it.
    pub fn remove_provider_key(
        &self,
        organization: OrganizationId,
        id: ProviderKeyId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let key = self.provider_key(organization, id)?;
        let mut draft = Draft::new(mandate, organization);
        let told = told("provider_key.deleted", key.project, id);
        draft.remove(told, Change::RemoveProviderKey(organization, id), &*key);
        self.finish(draft)
    }

    fn provider_key(
        &self,
        organization: OrganizationId,
        id: ProviderKeyId,
    ) -> Result<Arc<ProviderKey>, ChangeError> {
        let tenant = self.tenant("organization", organization)?;
        tenant.provider_key(id).cloned().ok_or_else(|| ChangeError::not_found("provider_key", id))
    }
}

/// What is wrong with a name, of a label.
fn as_label(error: ChangeError) -> ChangeError {
    match error {
        ChangeError::Invalid { problem, .. } => ChangeError::Invalid { field: "label", problem },
        error @ (ChangeError::NotFound { .. }
        | ChangeError::Archived { .. }
        | ChangeError::Conflict { .. }
        | ChangeError::Store(_)
        | ChangeError::Inconsistent(_)) => error,
    }
}
