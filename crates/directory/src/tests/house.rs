//! A service on a store in memory, with an organization and a project to change.

use std::sync::Arc;

use domain::{OrganizationId, ProjectId, Timestamp, UserId};

use super::world::visit;
use super::{CountingIds, at, hasher};
use crate::{
    AfterGrant, AuditEntry, Bounds, ChangeError, CreatedKey, DataClass, DirectoryService, Environment,
    Invite, InvitedTo, KeyOwner, Mandate, MemoryDirectory, NewInvite, NewKey, NewOrganization, NewProject,
    NewUser, OrganizationRole, ProjectRole, Secret, SentInvite, User,
};

pub(super) struct House {
    pub(super) store: Arc<MemoryDirectory>,
    pub(super) service: DirectoryService,
    pub(super) ids: CountingIds,
    pub(super) organization: OrganizationId,
    pub(super) project: ProjectId,
}

impl House {
    pub(super) fn new() -> Self {
        let store = Arc::new(MemoryDirectory::default());
        let service = DirectoryService::open(Arc::clone(&store) as _, hasher()).unwrap();
        let ids = CountingIds::default();
        let mandate = Mandate::operator(&ids, at(0));
        let new = NewOrganization { name: "Acme".to_owned(), ..NewOrganization::default() };
        let organization = service.create_organization(new, &mandate).unwrap().id;
        let project = service.create_project(new_project(organization, "chat"), &mandate).unwrap().id;
        Self { store, service, ids, organization, project }
    }

    /// The operator's, at so many seconds.
    pub(super) fn mandate(&self, seconds: i64) -> Mandate<'_> {
        Mandate::operator(&self.ids, at(seconds))
    }

    pub(super) fn add_project(&self, name: &str) -> ProjectId {
        self.service.create_project(new_project(self.organization, name), &self.mandate(0)).unwrap().id
    }

    pub(super) fn add_user(&self, email: &str, role: OrganizationRole) -> User {
        self.service.add_user(self.new_user(email, role), &self.mandate(0)).unwrap()
    }

    pub(super) fn new_user(&self, email: &str, role: OrganizationRole) -> NewUser {
        NewUser { organization: self.organization, email: email.to_owned(), name: None, role }
    }

    /// Somebody with a part in the project.
    pub(super) fn add_member(&self, email: &str) -> UserId {
        let user = self.add_user(email, OrganizationRole::Reader).id;
        self.service.set_member(self.project, user, ProjectRole::Member, &self.mandate(0)).unwrap();
        user
    }

    pub(super) fn add_key(&self, owner: Option<KeyOwner>) -> CreatedKey {
        self.service.create_key(NewKey { owner, ..new_key(self.project) }, &self.mandate(0)).unwrap()
    }

    pub(super) fn invite(&self, email: &str, projects: &[ProjectId]) -> Result<SentInvite, ChangeError> {
        let projects = projects.iter().map(|id| InvitedTo { id: *id, role: ProjectRole::Member }).collect();
        let role = OrganizationRole::Reader;
        let new = NewInvite { organization: self.organization, email: email.to_owned(), role, projects };
        self.service.create_invite(new, &self.mandate(0))
    }

    pub(super) fn invitation(&self, sent: &SentInvite) -> Invite {
        let tenant = self.service.directory().tenant(self.organization).unwrap();
        Invite::clone(tenant.invite(sent.invite.id).unwrap())
    }

    /// Whether a key opens at so many seconds.
    pub(super) fn opens(&self, secret: &Secret, seconds: i64) -> bool {
        self.service.directory().authenticate(secret.expose(), &visit(at(seconds))).is_ok()
    }

    /// The lines of the audit log that something adds.
    pub(super) fn told(&self, change: impl FnOnce()) -> Vec<AuditEntry> {
        let before = self.store.audit().len();
        change();
        self.store.audit().split_off(before)
    }

    /// What is published is what is stored, and what a restart would load.
    pub(super) fn is_in_step(&self) {
        use crate::DirectoryStore as _;
        let stored = self.store.load().unwrap();
        let restarted = DirectoryService::open(Arc::clone(&self.store) as _, hasher()).unwrap();
        for directory in [self.service.directory(), restarted.directory()] {
            for organization in &stored.organizations {
                let tenant = directory.tenant(organization.id).unwrap();
                assert_eq!(*tenant.organization, *organization);
                let members = stored.projects.iter().flat_map(|project| tenant.members(project.id)).count();
                let kept = stored.members.iter().filter(|member| tenant.user(member.user).is_some()).count();
                assert_eq!(members, kept);
                assert_eq!(tenant.limits().len(), stored.limits.len());
            }
            for project in &stored.projects {
                assert_eq!(*directory.project(project.id).unwrap(), *project);
            }
            for user in &stored.users {
                let shown =
                    directory.tenant(user.organization).unwrap().user(user.id).map(|u| User::clone(u));
                assert_eq!(shown, user.removed_at.is_none().then(|| user.clone()));
            }
            for key in &stored.keys {
                assert_eq!(*directory.key(key.id).unwrap(), *key);
            }
            for key in &stored.admin_keys {
                assert_eq!(*directory.admin_key(key.id).unwrap().0, *key);
            }
        }
    }
}

pub(super) fn new_project(organization: OrganizationId, name: &str) -> NewProject {
    NewProject {
        organization,
        name: name.to_owned(),
        environment: Environment::default(),
        data_class: DataClass::default(),
        after_grant: AfterGrant::default(),
    }
}

pub(super) fn new_key(project: ProjectId) -> NewKey {
    NewKey { project, owner: None, name: None, bounds: Bounds::default(), expires_at: None }
}

/// The field that a refused change names.
pub(super) fn field<T: std::fmt::Debug>(outcome: Result<T, ChangeError>) -> &'static str {
    match outcome.unwrap_err() {
        ChangeError::Invalid { field, .. }
        | ChangeError::NotFound { field, .. }
        | ChangeError::Archived { field, .. }
        | ChangeError::Conflict { field, .. } => field,
        error @ (ChangeError::Store(_) | ChangeError::Inconsistent(_)) => panic!("{error}"),
    }
}

/// The actions of some lines.
pub(super) fn actions(lines: &[AuditEntry]) -> Vec<&'static str> {
    lines.iter().map(|line| line.action).collect()
}

/// The moment of nothing yet: what a test does not care about.
pub(super) const NEVER: Option<Timestamp> = None;
