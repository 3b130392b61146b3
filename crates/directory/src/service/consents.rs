//! Consents: given by a person, fetched by the app as a key, revoked by whoever may.
//!
//! The key is made when the app fetches it and not before, so that its secret waits nowhere.

use std::sync::Arc;

use domain::{ConsentId, Money, OrganizationId, ProjectId, Timestamp, UserId};

use super::keys::in_the_future;
use super::organizations::check_models;
use super::{ChangeError, CreatedKey, DirectoryService, Draft, Mandate, NewKey, told};
use crate::record::{App, Bounds, Consent, ConsentState, Key, KeyOwner, LimitReset, ModelAccess, Revocation};
use crate::tenant::Tenant;

/// Consents of one person that are in force at most: more than anybody uses, and an end to what a script may pile up.
const IN_FORCE_MAX: usize = 100;
/// The longest name of a key, in characters.
const KEY_NAME_CHARS_MAX: usize = 100;

/// A consent to be given.
#[derive(Clone, Debug)]
pub struct NewConsent {
    /// The project whose wallet will pay.
    pub project: ProjectId,
    /// Who agrees.
    pub user: UserId,
    /// The app.
    pub app: App,
    /// The most that the app may spend, in each span that `reset` names.
    pub limit: Money,
    /// When the limit starts anew.
    pub reset: LimitReset,
    /// What the app's key may do less than its project.
    pub models: Option<ModelAccess>,
    /// Until when the app may fetch its key.
    pub fetch_until: Timestamp,
    /// From when on the app's key is refused.
    pub expires_at: Timestamp,
}

impl DirectoryService {
    /// Records that a person lets an app call. The app has no key yet.
    pub fn give_consent(&self, new: NewConsent, mandate: &Mandate<'_>) -> Result<Consent, ChangeError> {
        in_the_future("expires_at", Some(new.expires_at), mandate.now)?;
        if new.limit <= Money::ZERO {
            return Err(ChangeError::invalid("limit", "must be above zero"));
        }
        if let Some(models) = &new.models {
            check_models("models", models)?;
        }
        let _guard = self.one_at_a_time();
        let (tenant, project) = self.open_project(new.project)?;
        if !tenant.has_part(KeyOwner::User(new.user), project.id) {
            return Err(ChangeError::not_found("user", new.user));
        }
        check_count(&tenant, new.user, mandate.now)?;
        let consent = Consent {
            id: ConsentId::fresh(mandate.ids),
            organization: project.organization,
            project: project.id,
            user: new.user,
            app: new.app,
            limit: new.limit,
            reset: new.reset,
            models: new.models,
            given_at: mandate.now,
            fetch_until: new.fetch_until,
            expires_at: new.expires_at,
            key: None,
            revoked: None,
        };
        let mut draft = Draft::new(mandate, consent.organization);
        draft.put(told("consent.given", Some(consent.project), consent.id), None, &consent);
        self.finish(draft)?;
        Ok(consent)
    }

    /// Makes the key of a consent that waits for it. The secret in the answer is nowhere else.
    ///
    /// # Errors
    /// Also when the consent does not wait any more, whatever became of it.
    pub fn fetch_consented_key(
        &self,
        organization: OrganizationId,
        id: ConsentId,
        mandate: &Mandate<'_>,
    ) -> Result<CreatedKey, ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let before = tenant.consent(id).ok_or_else(|| ChangeError::not_found("consent", id))?;
        if tenant.state_of(before, mandate.now) != ConsentState::Pending {
            return Err(ChangeError::not_found("consent", id));
        }
        self.open_project(before.project)?;
        let owner = KeyOwner::User(before.user);
        let new = NewKey {
            project: before.project,
            owner: Some(owner),
            name: Some(before.app.title().chars().take(KEY_NAME_CHARS_MAX).collect()),
            bounds: Bounds { models: before.models.clone(), ..Bounds::default() },
            expires_at: Some(before.expires_at),
        };
        let mut draft = Draft::new(mandate, organization);
        let created = self.add_key(&mut draft, new, owner, Some(id))?;
        let after = Consent { key: Some(created.key.id), ..Consent::clone(before) };
        draft.put(told("consent.fetched", Some(before.project), id), Some(&**before), &after);
        self.finish(draft)?;
        Ok(created)
    }

    /// Ends a consent for good, and its key with it. One that has ended already in another way stays as it is.
    pub fn revoke_consent(
        &self,
        organization: OrganizationId,
        id: ConsentId,
        mandate: &Mandate<'_>,
    ) -> Result<Consent, ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let before = tenant.consent(id).filter(|consent| consent.revoked.is_none());
        let before = before.ok_or_else(|| ChangeError::not_found("consent", id))?;
        let mut draft = Draft::new(mandate, organization);
        if let Some(key) = before.key.and_then(|key| self.directory.key(key))
            && key.revoked_at.is_none()
        {
            let revoked = Key { revoked_at: Some(mandate.now), ..Key::clone(&key) };
            draft.put(told("api_key.deleted", Some(key.project), key.id), Some(&*key), &revoked);
        }
        let after = draft.revoke_consent(before);
        self.finish(draft)?;
        Ok(after)
    }

    /// The consent that a key was made by, if it was and the consent is in force.
    pub(super) fn consent_of(&self, key: &Key) -> Option<Arc<Consent>> {
        let tenant = self.directory.tenant(key.organization)?;
        tenant.consent(key.consent?).filter(|consent| consent.revoked.is_none()).cloned()
    }
}

impl Draft<'_> {
    pub(super) fn revoke_consent(&mut self, before: &Consent) -> Consent {
        let revoked = Revocation { at: self.mandate.now, by: self.mandate.actor.clone() };
        let after = Consent { revoked: Some(revoked), ..before.clone() };
        self.put(told("consent.revoked", Some(before.project), before.id), Some(before), &after);
        after
    }
}

/// Refuses to change what a person agreed to behind their back, or to hand an app's key to somebody else.
pub(super) fn check_own(key: &Key) -> Result<(), ChangeError> {
    let Some(consent) = key.consent else { return Ok(()) };
    let problem = format!(
        "`key`: {} is an app's, by the consent {consent}: its models, its expiry and its secret are what was agreed to; \
         revoke the consent, and let its person agree anew",
        key.id
    );
    Err(ChangeError::conflict("key", problem))
}

fn check_count(tenant: &Tenant, user: UserId, now: Timestamp) -> Result<(), ChangeError> {
    let in_force = |consent: &&Arc<Consent>| {
        consent.user == user && matches!(consent.state(now), ConsentState::Pending | ConsentState::Active)
    };
    if tenant.consents.values().filter(in_force).count() < IN_FORCE_MAX {
        return Ok(());
    }
    let problem =
        format!("{user} has {IN_FORCE_MAX} consents in force; revoke one that is not needed any more");
    Err(ChangeError::conflict("user", problem))
}
