//! Rate limits.

use domain::{LimitId, OrganizationId, ProjectId};

use super::organizations::check_models;
use super::{ChangeError, DirectoryService, Draft, Mandate, told};
use crate::port::Change;
use crate::record::{AccessMode, Caps, LimitSubject, ModelAccess, RateLimit};
use crate::tenant::Tenant;

/// The largest cap: what a counter of limits can hold (2^53).
const CAP_MAX: u64 = 1 << 53;
/// The longest name of an end user, in bytes, as calls are attributed.
const USER_BYTES_MAX: usize = 128;

/// A rate limit to be set.
#[derive(Clone, Debug)]
pub struct NewLimit {
    /// The organization.
    pub organization: OrganizationId,
    /// Whose calls are counted.
    pub subject: LimitSubject,
    /// For which models: a name, or `prefix*`; `*` is all.
    pub model: String,
    /// How much.
    pub caps: Caps,
}

impl DirectoryService {
    /// Sets a rate limit: of the same subject and model there is one, which gets these caps.
    pub fn set_limit(&self, new: NewLimit, mandate: &Mandate<'_>) -> Result<RateLimit, ChangeError> {
        self.put_limit(new, |caps, _| caps, mandate)
    }

    /// The same, but that a cap which is not named stays as it is: two who name different ones at once both get theirs.
    pub fn update_limit(&self, new: NewLimit, mandate: &Mandate<'_>) -> Result<RateLimit, ChangeError> {
        self.put_limit(new, merged, mandate)
    }

    fn put_limit(
        &self,
        new: NewLimit,
        caps: impl Fn(Caps, Caps) -> Caps,
        mandate: &Mandate<'_>,
    ) -> Result<RateLimit, ChangeError> {
        check_models("model", &ModelAccess { mode: AccessMode::Allow, models: vec![new.model.clone()] })?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", new.organization)?;
        self.check_subject(&tenant, &new.subject)?;
        let limits = tenant.limits();
        let before = limits.iter().find(|limit| limit.subject == new.subject && limit.model == new.model);
        let caps = caps(new.caps, before.map_or_else(Caps::default, |limit| limit.caps));
        check_caps(&caps)?;
        let limit = RateLimit {
            id: before.map_or_else(|| LimitId::fresh(mandate.ids), |limit| limit.id),
            organization: new.organization,
            subject: new.subject,
            model: new.model,
            caps,
        };
        let project = self.project_of(&limit);
        let mut draft = Draft::new(mandate, limit.organization);
        draft.put(told("rate_limit.updated", project, limit.id), before.map(|limit| &**limit), &limit);
        self.finish(draft)?;
        Ok(limit)
    }

    /// Ends a rate limit.
    pub fn remove_limit(
        &self,
        organization: OrganizationId,
        id: LimitId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let limit = tenant.limit(id).ok_or_else(|| ChangeError::not_found("id", id))?;
        let project = self.project_of(limit);
        let mut draft = Draft::new(mandate, organization);
        draft.remove(
            told("rate_limit.deleted", project, id),
            Change::RemoveLimit(organization, id),
            &**limit,
        );
        self.finish(draft)
    }

    /// The project under which people look for a limit's changes.
    fn project_of(&self, limit: &RateLimit) -> Option<ProjectId> {
        match limit.subject {
            LimitSubject::Project(project) => project,
            LimitSubject::Key(key) => Some(self.directory.key(key?)?.project),
            LimitSubject::Organization | LimitSubject::User(_) => None,
        }
    }

    fn check_subject(&self, tenant: &Tenant, subject: &LimitSubject) -> Result<(), ChangeError> {
        match subject {
            LimitSubject::Project(Some(project)) if tenant.project(*project).is_none() => {
                Err(ChangeError::not_found("project", project))
            }
            LimitSubject::Key(Some(key)) => {
                let known = self.directory.key(*key);
                let here = known.is_some_and(|known| known.organization == tenant.organization.id);
                here.then_some(()).ok_or_else(|| ChangeError::not_found("key", key))
            }
            LimitSubject::User(Some(user)) if user.is_empty() || user.len() > USER_BYTES_MAX => {
                Err(ChangeError::invalid("user", format!("must have 1 to {USER_BYTES_MAX} bytes")))
            }
            LimitSubject::Organization
            | LimitSubject::Project(_)
            | LimitSubject::Key(None)
            | LimitSubject::User(_) => Ok(()),
        }
    }
}

/// These caps, and where one is not named the one there was.
fn merged(new: Caps, before: Caps) -> Caps {
    Caps {
        requests_per_minute: new.requests_per_minute.or(before.requests_per_minute),
        tokens_per_minute: new.tokens_per_minute.or(before.tokens_per_minute),
        input_tokens_per_minute: new.input_tokens_per_minute.or(before.input_tokens_per_minute),
        output_tokens_per_minute: new.output_tokens_per_minute.or(before.output_tokens_per_minute),
        images_per_minute: new.images_per_minute.or(before.images_per_minute),
        requests_per_day: new.requests_per_day.or(before.requests_per_day),
        tokens_per_day: new.tokens_per_day.or(before.tokens_per_day),
        concurrent_requests: new.concurrent_requests.or(before.concurrent_requests),
    }
}

fn check_caps(caps: &Caps) -> Result<(), ChangeError> {
    let all = [
        ("requests_per_minute", caps.requests_per_minute),
        ("tokens_per_minute", caps.tokens_per_minute),
        ("input_tokens_per_minute", caps.input_tokens_per_minute),
        ("output_tokens_per_minute", caps.output_tokens_per_minute),
        ("images_per_minute", caps.images_per_minute),
        ("requests_per_day", caps.requests_per_day),
        ("tokens_per_day", caps.tokens_per_day),
        ("concurrent_requests", caps.concurrent_requests),
    ];
    if all.iter().all(|(_, cap)| cap.is_none()) {
        return Err(ChangeError::invalid("caps", "are none; set one at least, such as requests_per_minute"));
    }
    for (field, cap) in all {
        if cap.is_some_and(|cap| cap > CAP_MAX) {
            return Err(ChangeError::invalid(
                field,
                format!("is too large; at most {CAP_MAX} can be counted"),
            ));
        }
    }
    Ok(())
}
