//! OpenAI's administration API, `/v1/organization/*`: its paths, shapes, pages and errors over our directory, so that
//! clients of OpenAI's administer this gateway unchanged.
//!
//! It knows OpenAI's words for what the directory has; what a change does the directory decides, and who may make it
//! `admin/route.rs` has asked before anything here runs.

mod admin_keys;
mod api_keys;
mod audit_logs;
mod invites;
mod model_permissions;
mod projects;
mod rate_limits;
mod service_accounts;
mod spend_limits;
mod users;

use std::fmt::Display;
use std::str::FromStr;

use axum::http::StatusCode;
use axum::response::Response;
use directory::Permission::{
    ManageAdminKeys, ManageLimits, ManagePeople, ManageProject, ManageProjects, ManageReaders, Read,
    ReadAudit,
};
use domain::Timestamp;
use serde_json::{Value, json};

use crate::admin::input::optional;
use crate::admin::route::Access::{May, OfKey};
use crate::admin::route::Verb::{Delete, Get, Post};
use crate::admin::route::Work;
use crate::admin::{Answered, Call, Problem, Route, view};

/// Objects of a page at most.
const LIMIT_MAX: usize = 100;
const PAGE: &[&str] = &["limit", "after"];
const SPEND_LIMIT: &[&str] = &["threshold_amount!: integer", "currency!: USD", "interval!: month"];
const SCOPES: &str =
    "scopes: [chat_completions|responses|embeddings|moderations|images|audio|messages|models]";
const LIFE: &str = "expires_in_seconds: integer";

/// Every route. Paths are OpenAI's, but that ours name what stands in them.
pub(crate) const ROUTES: &[Route] = &[
    Route::new(Get, "/v1/organization/projects", May(Read), "List projects", projects::list).query(&[
        "limit",
        "after",
        "include_archived",
    ]),
    Route::new(Post, "/v1/organization/projects", May(ManageProjects), "Make a project", projects::create)
        .takes(&[
            "name!: string",
            "environment: dev|staging|prod",
            "data_class: public|internal|sensitive",
            "after_grant: stop|paid",
        ]),
    Route::new(Get, "/v1/organization/projects/{project}", May(Read), "Show a project", projects::retrieve),
    Route::new(
        Post,
        "/v1/organization/projects/{project}",
        May(ManageProject),
        "Rename a project",
        projects::update,
    )
    .takes(&["name: string"]),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/archive",
        May(ManageProjects),
        "Close a project for calls, for good",
        projects::archive,
    ),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/users",
        May(Read),
        "List a project's people",
        users::in_project,
    )
    .query(PAGE),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/users",
        May(ManageProject),
        "Give a member a part in a project",
        users::join_project,
    )
    .takes(&["user_id: string", "email: string", "role!: owner|member"]),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/users/{user}",
        May(Read),
        "Show a person's part in a project",
        users::part_in_project,
    ),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/users/{user}",
        May(ManageProject),
        "Change a person's role in a project",
        users::change_part,
    )
    .takes(&["role!: owner|member"]),
    Route::new(
        Delete,
        "/v1/organization/projects/{project}/users/{user}",
        May(ManageProject),
        "End a person's part in a project",
        users::leave_project,
    ),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/service_accounts",
        May(Read),
        "List a project's service accounts",
        service_accounts::list,
    )
    .query(PAGE),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/service_accounts",
        May(ManageProject),
        "Make a service account, with a key that is shown once",
        service_accounts::create,
    )
    .takes(&["name!: string", LIFE, "create_service_account_only: boolean"]),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/service_accounts/{service_account}",
        May(Read),
        "Show a service account",
        service_accounts::retrieve,
    ),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/service_accounts/{service_account}",
        May(ManageProject),
        "Rename a service account",
        service_accounts::update,
    )
    .takes(&["name: string", "role: member"]),
    Route::new(
        Delete,
        "/v1/organization/projects/{project}/service_accounts/{service_account}",
        May(ManageProject),
        "Remove a service account and its keys",
        service_accounts::delete,
    ),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/service_accounts/{service_account}/api_keys",
        May(ManageProject),
        "Make a key of a service account, shown once",
        service_accounts::create_key,
    )
    .takes(&["name: string", SCOPES, LIFE]),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/api_keys",
        May(Read),
        "List a project's keys, without their secrets",
        api_keys::list,
    )
    .query(&["limit", "after", "owner_project_access"]),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/api_keys/{key}",
        May(Read),
        "Show a key, without its secret",
        api_keys::retrieve,
    ),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/api_keys/{key}",
        OfKey,
        "Change a key's scopes and expiry",
        api_keys::update,
    )
    .takes(&[SCOPES, LIFE]),
    Route::new(
        Delete,
        "/v1/organization/projects/{project}/api_keys/{key}",
        OfKey,
        "Revoke a key, for good",
        api_keys::delete,
    ),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/rate_limits",
        May(Read),
        "List the rate limits that are set for a project's models",
        rate_limits::list,
    )
    .query(&["limit", "after", "before"]),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/rate_limits/{rate_limit}",
        May(ManageProject),
        "Set a rate limit, by its id or as rl-MODEL for a model that has none yet",
        rate_limits::update,
    )
    .takes(&[
        "max_requests_per_1_minute: integer",
        "max_tokens_per_1_minute: integer",
        "max_images_per_1_minute: integer",
        "max_requests_per_1_day: integer",
    ]),
    Route::new(
        Get,
        "/v1/organization/projects/{project}/model_permissions",
        May(Read),
        "Show which models a project may call",
        model_permissions::retrieve,
    ),
    Route::new(
        Post,
        "/v1/organization/projects/{project}/model_permissions",
        May(ManageProject),
        "Say which models a project may call",
        model_permissions::update,
    )
    .takes(&["mode!: allow_list|deny_list", "model_ids!: [string]"]),
    Route::new(
        Delete,
        "/v1/organization/projects/{project}/model_permissions",
        May(ManageProject),
        "Let a project call all models",
        model_permissions::delete,
    ),
    Route::with(
        Get,
        "/v1/organization/projects/{project}/spend_limit",
        May(Read),
        "Show a project's hard monthly budget",
        Work::Waiting(|call| Box::pin(spend_limits::retrieve(call))),
    ),
    Route::with(
        Post,
        "/v1/organization/projects/{project}/spend_limit",
        May(ManageLimits),
        "Set a project's hard monthly budget, in cents",
        Work::Waiting(|call| Box::pin(spend_limits::update(call))),
    )
    .takes(SPEND_LIMIT),
    Route::with(
        Delete,
        "/v1/organization/projects/{project}/spend_limit",
        May(ManageLimits),
        "Remove a project's hard monthly budget",
        Work::Waiting(|call| Box::pin(spend_limits::delete(call))),
    ),
    Route::with(
        Get,
        "/v1/organization/spend_limit",
        May(Read),
        "Show the hard monthly budget",
        Work::Waiting(|call| Box::pin(spend_limits::retrieve(call))),
    ),
    Route::with(
        Post,
        "/v1/organization/spend_limit",
        May(ManageLimits),
        "Set the hard monthly budget, in cents",
        Work::Waiting(|call| Box::pin(spend_limits::update(call))),
    )
    .takes(SPEND_LIMIT),
    Route::with(
        Delete,
        "/v1/organization/spend_limit",
        May(ManageLimits),
        "Remove the hard monthly budget",
        Work::Waiting(|call| Box::pin(spend_limits::delete(call))),
    ),
    Route::new(Get, "/v1/organization/users", May(Read), "List members", users::list)
        .query(&["limit", "after", "emails[]"]),
    Route::new(Get, "/v1/organization/users/{user}", May(Read), "Show a member", users::retrieve),
    Route::new(
        Post,
        "/v1/organization/users/{user}",
        May(ManagePeople),
        "Change a member's role",
        users::update,
    )
    .takes(&["role!: owner|admin|reader"]),
    Route::new(
        Delete,
        "/v1/organization/users/{user}",
        May(ManageReaders),
        "Remove a member; owners alone remove owners and admins",
        users::delete,
    ),
    Route::new(Get, "/v1/organization/invites", May(Read), "List invitations", invites::list).query(PAGE),
    Route::new(
        Post,
        "/v1/organization/invites",
        May(ManageReaders),
        "Invite a person; the token in the answer is shown once. Owners alone invite owners and admins",
        invites::create,
    )
    .takes(&["email!: string", "role!: owner|admin|reader", "projects: [object]"]),
    Route::new(Get, "/v1/organization/invites/{invite}", May(Read), "Show an invitation", invites::retrieve),
    Route::new(
        Delete,
        "/v1/organization/invites/{invite}",
        May(ManageReaders),
        "Withdraw an invitation that was not accepted",
        invites::delete,
    ),
    Route::new(
        Get,
        "/v1/organization/admin_api_keys",
        May(Read),
        "List administrators' keys, without their secrets",
        admin_keys::list,
    )
    .query(&["limit", "after", "order"]),
    Route::new(
        Post,
        "/v1/organization/admin_api_keys",
        May(ManageAdminKeys),
        "Make an administrator's key in one's own name, shown once",
        admin_keys::create,
    )
    .takes(&["name!: string", LIFE]),
    Route::new(
        Get,
        "/v1/organization/admin_api_keys/{admin_key}",
        May(Read),
        "Show an administrator's key, without its secret",
        admin_keys::retrieve,
    ),
    Route::new(
        Delete,
        "/v1/organization/admin_api_keys/{admin_key}",
        May(ManageAdminKeys),
        "Revoke an administrator's key, for good",
        admin_keys::delete,
    ),
    Route::new(
        Get,
        "/v1/organization/audit_logs",
        May(ReadAudit),
        "Read the audit log, newest first",
        audit_logs::list,
    )
    .query(audit_logs::QUERY),
];

fn ok(body: &Value) -> Answered {
    Ok(view::json(StatusCode::OK, body))
}

/// What a DELETE answers.
fn deleted(object: &str, id: impl Display) -> Answered {
    ok(&json!({ "object": object, "id": id.to_string(), "deleted": true }))
}

/// A page in OpenAI's shape.
fn list(data: &[Value], has_more: bool) -> Response {
    let id = |object: Option<&Value>| object.and_then(|object| object.get("id")).cloned().unwrap_or_default();
    let (first_id, last_id) = (id(data.first()), id(data.last()));
    let body = json!({
        "object": "list",
        "data": data,
        "first_id": first_id,
        "last_id": last_id,
        "has_more": has_more,
    });
    view::json(StatusCode::OK, &body)
}

/// The page of `all` that a call asks for; `all` is sorted by id. An id in `after` is a place, whether its object is
/// still there or not, so that deleting what one pages through skips nothing.
fn page<T, I: Ord + FromStr<Err: Display>>(
    call: &Call,
    all: &[T],
    default: usize,
    id: impl Fn(&T) -> I,
    show: impl Fn(&T) -> Value,
) -> Answered {
    let page = call.query.page(default, LIMIT_MAX)?;
    let after = optional::<I>("after", page.after.as_deref())?;
    let before = optional::<I>("before", page.before.as_deref())?;
    let start = after.map_or(0, |after| all.partition_point(|object| id(object) <= after));
    let end = before.as_ref().map_or(all.len(), |before| all.partition_point(|object| id(object) < *before));
    let asked = all.get(start..end).unwrap_or_default();
    let has_more = asked.len() > page.limit;
    // What comes before an object ends at it, what comes after one begins there.
    let shown = if before.is_some() {
        asked.get(asked.len().saturating_sub(page.limit)..).unwrap_or_default()
    } else {
        asked.get(..page.limit.min(asked.len())).unwrap_or_default()
    };
    Ok(list(&shown.iter().map(show).collect::<Vec<_>>(), has_more))
}

/// A moment as OpenAI writes it.
fn seconds(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::seconds)
}

/// The end of something that is to live for so many seconds.
fn expiry(call: &Call, expires_in_seconds: Option<i64>) -> Result<Option<Timestamp>, Problem> {
    const YEAR: i64 = 31_536_000;
    match expires_in_seconds {
        None => Ok(None),
        Some(life) if (1..=YEAR).contains(&life) => Ok(Some(call.admin.clock.now().plus_seconds(life))),
        Some(_) => {
            let message = format!("`expires_in_seconds` must be a number from 1 to {YEAR}.");
            Err(Problem::field("expires_in_seconds", message))
        }
    }
}
