//! Who calls OpenRouter's routes: a project's key for what is its own, an administrator's key or the operator's for what
//! is the organization's.
//!
//! It knows credentials. What an administrator may do the directory says.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use directory::{Administrator, Key, KeyKind, Permission, Principal, Project, Tenant, Visit};
use domain::{KeyId, OrganizationId, ProjectId};
use ledger::Budget;

use super::fault::Fault;
use crate::admin::{Admin, ClientAddress, bearer};

/// The header by which the operator says which organization is meant.
const ORGANIZATION: &str = "openai-organization";

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever calls models, about itself.
    Projects,
    /// Whoever administers.
    Administrators,
    /// Both.
    Both,
    /// Whoever brings its credential in the body.
    Open,
}

/// Who came.
pub(super) enum Who {
    Caller(Box<Principal>),
    Manager(Manager),
    Anybody,
}

/// Somebody who administers an organization.
pub(super) struct Manager {
    pub(super) by: Administrator,
    pub(super) tenant: Arc<Tenant>,
    pub(super) address: Option<IpAddr>,
}

/// Who comes, from the head alone.
pub(super) fn identify(admin: &Admin, head: &Parts, audience: Audience) -> Result<Who, Fault> {
    if audience == Audience::Open {
        return Ok(Who::Anybody);
    }
    let key = bearer(&head.headers).ok_or_else(directory::missing_key)?;
    admin.directory.directory().check_published(key)?;
    let address = head.extensions.get().and_then(|ClientAddress(address)| *address);
    if admin.is_operator(key) {
        return for_administrators(audience, || of_operator(admin, head, address));
    }
    if KeyKind::of(key) == Ok(KeyKind::Admin) {
        let by = admin.directory.directory().administrator(key, admin.clock.now())?;
        return for_administrators(audience, || of_member(by, head, address));
    }
    let caller = of_project(admin, key, address)?;
    if audience == Audience::Administrators {
        return Err(Fault::forbidden(
            "Only management keys can perform this operation.",
            "Send an administrator's key, which begins with `tk-admin-`: this one calls models.",
        ));
    }
    Ok(Who::Caller(Box::new(caller)))
}

fn for_administrators(
    audience: Audience,
    who: impl FnOnce() -> Result<Manager, Fault>,
) -> Result<Who, Fault> {
    if audience == Audience::Projects {
        return Err(Fault::forbidden(
            "This is a management key, and the call tells about the key of a project.",
            "Send the project's key, which begins with `tk-`; GET /api/v1/keys lists all keys of a project.",
        ));
    }
    who().map(Who::Manager)
}

fn of_project(admin: &Admin, key: &str, address: Option<IpAddr>) -> Result<Principal, Fault> {
    let directory = admin.directory.directory();
    // What a key may see of itself does not depend on which endpoints it may call.
    let scopes = directory.holder(key).and_then(|holder| holder.key.bounds.endpoints.clone());
    let endpoint = scopes.and_then(|scopes| scopes.first().copied()).unwrap_or_default();
    Ok(directory.authenticate(key, &Visit { address, endpoint, now: admin.clock.now() })?)
}

fn of_operator(admin: &Admin, head: &Parts, address: Option<IpAddr>) -> Result<Manager, Fault> {
    let Some(named) = named(head) else {
        return Err(Fault::new(
            400,
            "The operator's key is for all organizations: name one in the header OpenAI-Organization.",
        ));
    };
    let id: OrganizationId = named.parse().map_err(|error| Fault::field("OpenAI-Organization", error))?;
    let tenant = admin.directory.directory().tenant(id);
    let tenant = tenant.ok_or_else(|| Fault::new(404, format!("There is no {id}; check the id.")))?;
    Ok(Manager { by: Administrator::Operator, tenant, address })
}

fn of_member(by: Administrator, head: &Parts, address: Option<IpAddr>) -> Result<Manager, Fault> {
    let tenant = match &by {
        Administrator::Member { tenant, .. } => Arc::clone(tenant),
        Administrator::Operator => return Err(Fault::internal(&"the operator is no member")),
    };
    if named(head).is_some_and(|named| named != tenant.organization.id.to_string()) {
        return Err(Fault::forbidden(
            "The header OpenAI-Organization names another organization than the key's.",
            "Leave the header out, or send a key of that organization.",
        ));
    }
    Ok(Manager { by, tenant, address })
}

fn named(head: &Parts) -> Option<&str> {
    let text = head.headers.get(ORGANIZATION)?.to_str().unwrap_or("-").trim();
    (!text.is_empty()).then_some(text)
}

/// Which calls somebody may see.
pub(super) struct Sight {
    pub(super) organization: OrganizationId,
    /// Those of this project alone.
    pub(super) project: Option<ProjectId>,
    /// Those of this key alone.
    pub(super) key: Option<KeyId>,
}

impl Who {
    /// An administrator sees the organization's calls, a project's key those of its project, and an app its own.
    pub(super) fn sight(&self) -> Option<Sight> {
        match self {
            Self::Anybody => None,
            Self::Manager(manager) => {
                Some(Sight { organization: manager.tenant.organization.id, project: None, key: None })
            }
            Self::Caller(caller) => Some(Sight {
                organization: caller.organization().id,
                project: Some(caller.project.id),
                key: caller.key.consent.map(|_| caller.key.id),
            }),
        }
    }
}

impl Manager {
    /// The project that is meant: the one named, or the organization's first open one.
    pub(super) fn project(&self, named: Option<&str>) -> Result<Arc<Project>, Fault> {
        let project = match named {
            Some(text) => {
                let id: ProjectId = text.parse().map_err(|error| Fault::field("workspace_id", error))?;
                self.tenant.project(id).cloned().ok_or_else(|| Fault::not_found("workspace"))?
            }
            None => {
                let open = self.tenant.projects().into_iter().find(|project| project.archived_at.is_none());
                open.ok_or_else(|| {
                    Fault::new(
                        404,
                        "The organization has no open project; make one, or name one as workspace_id.",
                    )
                })?
            }
        };
        self.must_manage(project.id)?;
        Ok(project)
    }

    /// Whether this one may change the project's keys.
    pub(super) fn must_manage(&self, project: ProjectId) -> Result<(), Fault> {
        let organization = self.tenant.organization.id;
        if self.by.may(Permission::ManageProject, organization, Some(project)) {
            return Ok(());
        }
        Err(Fault::forbidden(
            format!("The member to whom this key belongs may not manage the project {project}."),
            "Ask an owner of the organization to make them an owner of the project.",
        ))
    }

    /// Whether this one may weaken a budget that a key has: as on every other way, whoever sets budgets.
    pub(super) fn must_loosen(&self, key: &Key, budget: &Budget) -> Result<(), Fault> {
        if self.by.may(Permission::ManageLimits, key.organization, Some(key.project)) {
            return Ok(());
        }
        Err(Fault::forbidden(
            format!(
                "The key has a limit already, the budget {}: only owners and admins of the organization raise it, lift \
                 it or give it another period.",
                budget.id
            ),
            "Ask an owner or admin of the organization to do it; you may lower it.",
        ))
    }

    /// Whether this one may see what the organization has and spends.
    pub(super) fn must_read(&self) -> Result<(), Fault> {
        if self.by.may(Permission::Read, self.tenant.organization.id, None) {
            return Ok(());
        }
        Err(Fault::forbidden("This key may not read the organization.", "Ask an owner of the organization."))
    }
}
