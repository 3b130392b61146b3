//! Which models a project may call. A project without a list may call all, which shows as an empty list of denials.

use directory::{AccessMode, ModelAccess, ProjectChanges};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ok;
use crate::admin::input::field;
use crate::admin::{Answered, Call};

fn show(access: Option<&ModelAccess>) -> Value {
    let mode = access.map_or(AccessMode::Deny, |access| access.mode);
    let models = access.map(|access| access.models.as_slice()).unwrap_or_default();
    json!({ "object": "project.model_permissions", "mode": mode, "model_ids": models })
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&show(call.project()?.models.as_ref()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    mode: String,
    model_ids: Vec<String>,
}

pub(super) fn update(call: &Call) -> Answered {
    let Update { mode, model_ids } = call.members()?;
    set(call, Some(ModelAccess { mode: field("mode", &mode)?, models: model_ids }))
}

pub(super) fn delete(call: &Call) -> Answered {
    set(call, None)?;
    ok(&json!({ "object": "project.model_permissions.deleted", "deleted": true }))
}

fn set(call: &Call, models: Option<ModelAccess>) -> Answered {
    let changes = ProjectChanges { models: Some(models), ..ProjectChanges::default() };
    let mandate = call.admin.mandate(&call.hand);
    let changed = call.admin.directory.update_project(call.project()?.id, changes, &mandate)?;
    ok(&show(changed.models.as_ref()))
}
