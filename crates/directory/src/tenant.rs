//! One organization as requests see it: its record and what belongs to it, but for its keys.
//!
//! A change copies the organization's tables of pointers, and no other's; what a request reads is never changed.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{
    ConsentId, InviteId, LimitId, OrganizationId, ProjectId, ProviderKeyId, ServiceAccountId, Timestamp,
    UserId, name_fits,
};

use crate::record::{
    Consent, ConsentState, Invite, KeyOwner, LimitSubject, Member, Organization, OrganizationRole, Project,
    ProviderKey, RateLimit, ServiceAccount, User,
};
use crate::tag::IdMap;

/// An organization and what belongs to it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The organization's id once more, where a look-up need not follow a pointer to see it.
    pub(crate) id: OrganizationId,
    /// The organization.
    pub organization: Arc<Organization>,
    pub(crate) projects: IdMap<ProjectId, Arc<Project>>,
    pub(crate) users: IdMap<UserId, Arc<User>>,
    pub(crate) members: IdMap<(ProjectId, UserId), Arc<Member>>,
    pub(crate) service_accounts: IdMap<ServiceAccountId, Arc<ServiceAccount>>,
    pub(crate) consents: IdMap<ConsentId, Arc<Consent>>,
    pub(crate) invites: IdMap<InviteId, Arc<Invite>>,
    pub(crate) provider_keys: IdMap<ProviderKeyId, Arc<ProviderKey>>,
    limits: IdMap<LimitId, Arc<RateLimit>>,
    /// The same limits by whose calls they count, so that a call looks at its own.
    limits_of: HashMap<LimitSubject, Vec<Arc<RateLimit>>>,
}

impl Tenant {
    pub(crate) fn new(organization: Organization) -> Self {
        Self {
            id: organization.id,
            organization: Arc::new(organization),
            projects: IdMap::default(),
            users: IdMap::default(),
            members: IdMap::default(),
            service_accounts: IdMap::default(),
            consents: IdMap::default(),
            invites: IdMap::default(),
            provider_keys: IdMap::default(),
            limits: IdMap::default(),
            limits_of: HashMap::new(),
        }
    }

    /// A project of the organization.
    pub fn project(&self, id: ProjectId) -> Option<&Arc<Project>> {
        self.projects.get(&id)
    }

    /// All projects, the archived ones too, in the order in which they were made.
    pub fn projects(&self) -> Vec<Arc<Project>> {
        sorted(self.projects.values(), |project| project.id)
    }

    /// A person who has a part in the organization.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id).filter(|user| user.removed_at.is_none())
    }

    /// All people who have a part, in the order in which they came.
    pub fn users(&self) -> Vec<Arc<User>> {
        sorted(self.users.values().filter(|user| user.removed_at.is_none()), |user| user.id)
    }

    /// The person with this address for mail.
    pub fn user_by_email(&self, email: &str) -> Option<&Arc<User>> {
        let same = |user: &&Arc<User>| user.removed_at.is_none() && user.email.eq_ignore_ascii_case(email);
        self.users.values().find(same)
    }

    /// A person's part in a project.
    pub fn member(&self, project: ProjectId, user: UserId) -> Option<&Arc<Member>> {
        self.user(user)?;
        self.members.get(&(project, user))
    }

    /// All parts in a project, in the order in which the people came.
    pub fn members(&self, project: ProjectId) -> Vec<Arc<Member>> {
        let here = |member: &&Arc<Member>| member.project == project && self.user(member.user).is_some();
        sorted(self.members.values().filter(here), |member| member.user)
    }

    /// A service account that is there.
    pub fn service_account(&self, id: ServiceAccountId) -> Option<&Arc<ServiceAccount>> {
        self.service_accounts.get(&id).filter(|account| account.removed_at.is_none())
    }

    /// All service accounts of a project that are there, in the order in which they were made.
    pub fn service_accounts(&self, project: ProjectId) -> Vec<Arc<ServiceAccount>> {
        let here =
            |account: &&Arc<ServiceAccount>| account.project == project && account.removed_at.is_none();
        sorted(self.service_accounts.values().filter(here), |account| account.id)
    }

    /// A consent, whatever became of it.
    pub fn consent(&self, id: ConsentId) -> Option<&Arc<Consent>> {
        self.consents.get(&id)
    }

    /// All consents, whatever became of them, in the order in which they were given.
    pub fn consents(&self) -> Vec<Arc<Consent>> {
        sorted(self.consents.values(), |consent| consent.id)
    }

    /// How a consent stands: also one whose person has no part in its project any more is no consent.
    pub fn state_of(&self, consent: &Consent, now: Timestamp) -> ConsentState {
        let state = consent.state(now);
        let is_open = matches!(state, ConsentState::Pending | ConsentState::Active);
        if is_open && !self.has_part(KeyOwner::User(consent.user), consent.project) {
            return ConsentState::Ended;
        }
        state
    }

    /// An invitation, whatever became of it.
    pub fn invite(&self, id: InviteId) -> Option<&Arc<Invite>> {
        self.invites.get(&id)
    }

    /// All invitations that were not withdrawn, in the order in which they were sent.
    pub fn invites(&self) -> Vec<Arc<Invite>> {
        sorted(self.invites.values().filter(|invite| invite.withdrawn_at.is_none()), |invite| invite.id)
    }

    /// A provider key that the organization brought.
    pub fn provider_key(&self, id: ProviderKeyId) -> Option<&Arc<ProviderKey>> {
        self.provider_keys.get(&id)
    }

    /// All provider keys that it brought, the disabled ones too, in the order in which they came.
    pub fn provider_keys(&self) -> Vec<Arc<ProviderKey>> {
        sorted(self.provider_keys.values(), |key| key.id)
    }

    /// The provider key that a project's calls use at a provider: the project's own before the organization's, of several
    /// the one that came last.
    pub fn provider_key_for(&self, project: ProjectId, provider: &str) -> Option<&Arc<ProviderKey>> {
        let usable = |key: &&Arc<ProviderKey>| {
            key.provider == provider
                && key.disabled_at.is_none()
                && key.project.is_none_or(|only| only == project)
        };
        self.provider_keys.values().filter(usable).max_by_key(|key| (key.project.is_some(), key.id))
    }

    /// A rate limit.
    pub fn limit(&self, id: LimitId) -> Option<&Arc<RateLimit>> {
        self.limits.get(&id)
    }

    /// All rate limits, in the order in which they were made.
    pub fn limits(&self) -> Vec<Arc<RateLimit>> {
        sorted(self.limits.values(), |limit| limit.id)
    }

    /// Whether there is any rate limit at all.
    pub fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// The rate limits that count the calls of a subject to a model.
    pub fn limits_of(&self, subject: &LimitSubject, model: &str) -> impl Iterator<Item = &Arc<RateLimit>> {
        let limits = self.limits_of.get(subject).map(Vec::as_slice).unwrap_or_default();
        limits.iter().filter(move |limit| name_fits(&limit.model, model))
    }

    /// Every rate limit, in no order.
    pub fn all_limits(&self) -> impl Iterator<Item = &RateLimit> {
        self.limits.values().map(|limit| &**limit)
    }

    /// The rate limits that count the calls for end users, one of them or each, to a model.
    pub fn limits_of_users(&self, model: &str) -> impl Iterator<Item = &RateLimit> {
        let of_users = |limit: &&RateLimit| matches!(limit.subject, LimitSubject::User(_));
        self.all_limits().filter(of_users).filter(move |limit| name_fits(&limit.model, model))
    }

    /// Whether the owner of a key still has a part in the project. Who manages all of the organization's projects, an
    /// owner or an admin, has one in each.
    pub fn has_part(&self, owner: KeyOwner, project: ProjectId) -> bool {
        match owner {
            KeyOwner::User(user) => self.user(user).is_some_and(|known| {
                known.role != OrganizationRole::Reader || self.members.contains_key(&(project, user))
            }),
            KeyOwner::ServiceAccount(id) => {
                self.service_account(id).is_some_and(|account| account.project == project)
            }
        }
    }

    pub(crate) fn put_limit(&mut self, limit: RateLimit) {
        self.remove_limit(limit.id);
        let limit = Arc::new(limit);
        self.limits_of.entry(limit.subject.clone()).or_default().push(Arc::clone(&limit));
        self.limits.insert(limit.id, limit);
    }

    pub(crate) fn remove_limit(&mut self, id: LimitId) {
        if let Some(limit) = self.limits.remove(&id)
            && let Some(others) = self.limits_of.get_mut(&limit.subject)
        {
            others.retain(|other| other.id != id);
        }
    }
}

/// Ids rise with time, so their order is that of making.
fn sorted<'a, T: 'a, K: Ord>(records: impl Iterator<Item = &'a Arc<T>>, id: impl Fn(&T) -> K) -> Vec<Arc<T>> {
    let mut sorted: Vec<Arc<T>> = records.cloned().collect();
    sorted.sort_by_key(|record| id(record));
    sorted
}
