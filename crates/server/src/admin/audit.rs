//! The audit log: filtered and paged, or all of it as lines of JSON.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use directory::ActorKind;
use domain::{OrganizationId, Timestamp, UserId};
use http_body::Frame;
use serde_json::{Value, json};
use store::{AuditFilter, AuditLine, StoreError};
use tokio::sync::mpsc;

use super::input::{optional, shown};
use super::query::Query;
use super::view::{self, json};
use super::{Admin, Answered, Call, Problem};

/// Lines of an export that are read at once.
const LINES_AT_ONCE: usize = 500;
/// Parts of an export that wait for a slow reader.
const PARTS_WAITING: usize = 4;

/// The query of a page.
pub(crate) const FILTERS: &[&str] = &[
    "effective_at[gt]",
    "effective_at[gte]",
    "effective_at[lt]",
    "effective_at[lte]",
    "project_ids[]",
    "event_types[]",
    "actor_ids[]",
    "actor_emails[]",
    "resource_ids[]",
    "limit",
    "after",
    "before",
];
/// The same, and in which form they are wanted.
pub(super) const EXPORT_FILTERS: &[&str] = &[
    "effective_at[gt]",
    "effective_at[gte]",
    "effective_at[lt]",
    "effective_at[lte]",
    "project_ids[]",
    "event_types[]",
    "actor_ids[]",
    "actor_emails[]",
    "resource_ids[]",
    "limit",
    "after",
    "before",
    "format",
];

pub(super) fn show(call: &Call) -> Answered {
    match call.query.one("format")? {
        None | Some("json") => {
            let (lines, has_more) = page(call, 1_000)?;
            let data = lines.iter().map(|line| whole(call.tenant.organization.id, line)).collect();
            Ok(json(StatusCode::OK, &view::list(data, has_more)))
        }
        Some("jsonl") => {
            let organization = call.tenant.organization.id;
            Ok(export(&call.admin, organization, filter(&call.query)?))
        }
        Some(other) => {
            Err(Problem::field("format", format!("`format`: `{}` is neither json nor jsonl.", shown(other))))
        }
    }
}

/// The lines that a query asks for, newest first, and whether there are more in its direction.
pub(crate) fn page(call: &Call, limit_max: usize) -> Result<(Vec<AuditLine>, bool), Problem> {
    let page = call.query.page(20, limit_max)?;
    let filter = AuditFilter {
        after: optional("after", page.after.as_deref())?,
        before: optional("before", page.before.as_deref())?,
        ..filter(&call.query)?
    };
    let organization = call.tenant.organization.id;
    let mut lines = call.admin.reader.audit(organization, &filter, page.limit.saturating_add(1))?;
    let has_more = lines.len() > page.limit;
    if has_more && filter.before.is_some() {
        // A page before a line is the one that touches it, so what is too much stands in front.
        lines.remove(0);
    }
    lines.truncate(page.limit);
    Ok((lines, has_more))
}

fn filter(query: &Query) -> Result<AuditFilter, Problem> {
    // Moments are whole seconds here: what came in second 7 is neither after nor before 7.
    let second = |name: &str, add: i64| -> Result<Option<Timestamp>, Problem> {
        let seconds = query.value::<i64>(name)?;
        Ok(seconds
            .map(|seconds| Timestamp::from_micros(seconds.saturating_add(add).saturating_mul(1_000_000))))
    };
    let since = second("effective_at[gte]", 0)?.max(second("effective_at[gt]", 1)?);
    let until = [second("effective_at[lt]", 0)?, second("effective_at[lte]", 1)?].into_iter().flatten().min();
    Ok(AuditFilter {
        since,
        until,
        projects: query.values("project_ids")?,
        actions: query.list("event_types"),
        subjects: query.list("resource_ids"),
        actors: query.list("actor_ids"),
        emails: query.list("actor_emails"),
        after: None,
        before: None,
    })
}

/// A line with all that it says.
fn whole(organization: OrganizationId, line: &AuditLine) -> Value {
    json!({
        "id": line.id,
        "object": "audit_log",
        "organization": organization,
        "at": line.at,
        "action": line.action,
        "project": line.project,
        "subject": line.subject,
        "actor": line.actor,
        "before": record(line.before.as_deref()),
        "after": record(line.after.as_deref()),
    })
}

/// A line in OpenAI's shape, which calls the payload by the event's name; `before`, `after` and the address are ours.
pub(crate) fn openai(line: &AuditLine, project_name: Option<&str>) -> Value {
    let (before, after) = (record(line.before.as_deref()), record(line.after.as_deref()));
    let mut payload = json!({ "id": line.subject, "before": before, "after": after });
    let told =
        if before.is_null() { ("data", after) } else { ("changes_requested", changed(&before, &after)) };
    if let Some(members) = payload.as_object_mut() {
        members.insert(told.0.to_owned(), told.1);
    }
    let mut shown = json!({
        "id": line.id,
        "object": "organization.audit_log",
        "type": line.action,
        "effective_at": line.at.seconds(),
        "actor": actor(line),
    });
    if let Some(members) = shown.as_object_mut() {
        if let Some(id) = line.project {
            members.insert("project".to_owned(), json!({ "id": id, "name": project_name }));
        }
        members.insert(line.action.clone(), payload);
    }
    shown
}

fn actor(line: &AuditLine) -> Value {
    let address = line.actor.address;
    match &line.actor.by {
        ActorKind::AdminKey { key, user, email } => of_person(&key.to_string(), *user, email, address),
        ActorKind::Person { key, user, email } => of_person(&key.to_string(), *user, email, address),
        ActorKind::App { consent, origin } => json!({
            "type": "api_key",
            "api_key": { "id": consent, "type": "app", "app": { "origin": origin } },
            "ip_address": address,
        }),
        ActorKind::Operator => json!({
            "type": "api_key",
            "api_key": { "id": "operator", "type": "operator" },
            "ip_address": address,
        }),
        ActorKind::Invited { email } => json!({
            "type": "session",
            "session": { "user": { "id": null, "email": email }, "ip_address": address },
            "ip_address": address,
        }),
        ActorKind::Gateway => json!({ "type": "gateway", "ip_address": null }),
    }
}

fn of_person(key: &str, user: UserId, email: &str, address: Option<IpAddr>) -> Value {
    json!({
        "type": "api_key",
        "api_key": { "id": key, "type": "user", "user": { "id": user, "email": email } },
        "ip_address": address,
    })
}

/// The members that are not what they were.
fn changed(before: &Value, after: &Value) -> Value {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return Value::Null };
    new.iter()
        .filter(|(name, value)| old.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A record of the log, which is JSON since it was written.
fn record(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Everything that fits, newest first, one line each; it is read while it goes out.
fn export(admin: &Arc<Admin>, organization: OrganizationId, filter: AuditFilter) -> Response {
    let (sender, receiver) = mpsc::channel(PARTS_WAITING);
    let admin = Arc::clone(admin);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send_all(&admin, organization, filter, &sender) {
            tracing::error!(%error, "an export of the audit log broke off");
            // The reader shall not take what it has for the whole; if it has gone, that is as well.
            let _ = sender.blocking_send(Err(std::io::Error::other("the audit log cannot be read")));
        }
    });
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    (StatusCode::OK, [content_type], Body::new(Parts(receiver))).into_response()
}

type Part = Result<Bytes, std::io::Error>;

fn send_all(
    admin: &Admin,
    organization: OrganizationId,
    mut filter: AuditFilter,
    sender: &mpsc::Sender<Part>,
) -> Result<(), StoreError> {
    loop {
        let lines = admin.reader.audit(organization, &filter, LINES_AT_ONCE)?;
        let text: String = lines.iter().map(|line| format!("{}\n", whole(organization, line))).collect();
        let last = lines.len() < LINES_AT_ONCE;
        filter.after = lines.last().map(|line| line.id);
        if (!text.is_empty() && sender.blocking_send(Ok(text.into())).is_err()) || last {
            return Ok(());
        }
    }
}

/// A body that is made while it goes out.
struct Parts(mpsc::Receiver<Part>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}
