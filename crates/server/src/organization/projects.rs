//! Projects.

use directory::{AfterGrant, DataClass, Environment, NewProject, Project, ProjectChanges};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ok, page, seconds};
use crate::admin::input::optional;
use crate::admin::{Answered, Call};

fn show(project: &Project) -> Value {
    json!({
        "id": project.id,
        "object": "organization.project",
        "name": project.name,
        "created_at": project.created_at.seconds(),
        "archived_at": seconds(project.archived_at),
        "status": if project.archived_at.is_some() { "archived" } else { "active" },
        "environment": project.environment,
        "data_class": project.data_class,
        "after_grant": project.after_grant,
    })
}

pub(super) fn list(call: &Call) -> Answered {
    let archived = call.query.flag("include_archived")?;
    let mut projects = call.tenant.projects();
    projects.retain(|project| archived || project.archived_at.is_none());
    page(call, &projects, 20, |project| project.id, |project| show(project))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    environment: Option<String>,
    data_class: Option<String>,
    after_grant: Option<String>,
}

pub(super) fn create(call: &Call) -> Answered {
    let body: Create = call.members()?;
    let new = NewProject {
        organization: call.tenant.organization.id,
        name: body.name,
        environment: optional::<Environment>("environment", body.environment.as_deref())?.unwrap_or_default(),
        data_class: optional::<DataClass>("data_class", body.data_class.as_deref())?.unwrap_or_default(),
        after_grant: optional::<AfterGrant>("after_grant", body.after_grant.as_deref())?.unwrap_or_default(),
    };
    ok(&show(&call.admin.directory.create_project(new, &call.admin.mandate(&call.hand))?))
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&show(call.project()?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
}

pub(super) fn update(call: &Call) -> Answered {
    let Update { name } = call.members()?;
    let changes = ProjectChanges { name, ..ProjectChanges::default() };
    let mandate = call.admin.mandate(&call.hand);
    ok(&show(&call.admin.directory.update_project(call.project()?.id, changes, &mandate)?))
}

pub(super) fn archive(call: &Call) -> Answered {
    let mandate = call.admin.mandate(&call.hand);
    ok(&show(&call.admin.directory.archive_project(call.project()?.id, &mandate)?))
}
