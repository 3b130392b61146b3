//! Members, rate limits and the audit log as a person reads them.

use domain::{AdminKeyId, AuditId, LimitId, OrganizationId, Timestamp, UserId};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// Something that was ended.
#[derive(Debug, Deserialize)]
pub(crate) struct Gone {
    id: String,
}

impl View for Gone {
    fn human(&self) -> String {
        fields(&[("removed", self.id.clone())])
    }
}

/// A member just added.
#[derive(Debug, Deserialize)]
pub(crate) struct NewMember {
    organization: OrganizationId,
    #[serde(flatten)]
    member: Member,
}

#[derive(Debug, Deserialize)]
struct Member {
    id: UserId,
    email: String,
    name: String,
    role: String,
    added_at: Timestamp,
}

impl View for NewMember {
    fn human(&self) -> String {
        fields(&[
            ("id", self.member.id.to_string()),
            ("email", self.member.email.clone()),
            ("name", self.member.name.clone()),
            ("role", self.member.role.clone()),
            ("added", second(self.member.added_at)),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper members key {} --org {}", self.member.id, self.organization))
    }
}

/// An organization's members.
#[derive(Debug, Deserialize)]
pub(crate) struct Members {
    data: Vec<Member>,
}

impl View for Members {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("MEMBER"),
            Column::Text("EMAIL"),
            Column::Text("NAME"),
            Column::Text("ROLE"),
            Column::Text("ADDED"),
        ];
        let cells = self.data.iter().map(|member| {
            vec![
                member.id.to_string(),
                member.email.clone(),
                member.name.clone(),
                member.role.clone(),
                second(member.added_at),
            ]
        });
        rows(COLUMNS, cells)
    }
}

/// An administrator's key just made, with its secret.
#[derive(Debug, Deserialize)]
pub(crate) struct NewAdminKey {
    id: AdminKeyId,
    name: String,
    user: UserId,
    organization: OrganizationId,
    secret: String,
    created_at: Timestamp,
}

impl View for NewAdminKey {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("member", self.user.to_string()),
            ("organization", self.organization.to_string()),
            ("created", second(self.created_at)),
            ("secret", self.secret.clone()),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(
            "the secret is shown this once: put it where the client reads its key, usually OPENAI_ADMIN_KEY"
                .to_owned(),
        )
    }
}

/// A rate limit.
#[derive(Debug, Deserialize)]
pub(crate) struct Limit {
    id: LimitId,
    subject: String,
    which: Option<String>,
    model: String,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    input_tokens_per_minute: Option<u64>,
    output_tokens_per_minute: Option<u64>,
    images_per_minute: Option<u64>,
    requests_per_day: Option<u64>,
    tokens_per_day: Option<u64>,
    concurrent_requests: Option<u64>,
}

impl Limit {
    /// Its caps in words.
    fn caps(&self) -> String {
        let caps = [
            ("requests a minute", self.requests_per_minute),
            ("tokens a minute", self.tokens_per_minute),
            ("input tokens a minute", self.input_tokens_per_minute),
            ("output tokens a minute", self.output_tokens_per_minute),
            ("images a minute", self.images_per_minute),
            ("requests a day", self.requests_per_day),
            ("tokens a day", self.tokens_per_day),
            ("at once", self.concurrent_requests),
        ];
        let words: Vec<String> =
            caps.into_iter().filter_map(|(unit, cap)| Some(format!("{} {unit}", cap?))).collect();
        words.join(", ")
    }

    /// Whose calls it counts.
    fn subject(&self) -> String {
        match (self.subject.as_str(), &self.which) {
            (subject, Some(which)) => format!("{subject} {which}"),
            ("organization", None) => "organization".to_owned(),
            (subject, None) => format!("each {subject}"),
        }
    }
}

impl View for Limit {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("of", self.subject()),
            ("model", self.model.clone()),
            ("caps", self.caps()),
        ])
    }
}

/// An organization's rate limits.
#[derive(Debug, Deserialize)]
pub(crate) struct Limits {
    data: Vec<Limit>,
}

impl View for Limits {
    fn human(&self) -> String {
        const COLUMNS: &[Column] =
            &[Column::Text("LIMIT"), Column::Text("OF"), Column::Text("MODEL"), Column::Text("CAPS")];
        let cells = self
            .data
            .iter()
            .map(|limit| vec![limit.id.to_string(), limit.subject(), limit.model.clone(), limit.caps()]);
        rows(COLUMNS, cells)
    }
}

/// Lines of the audit log, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Audit {
    data: Vec<Line>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct Line {
    id: AuditId,
    at: Timestamp,
    action: String,
    subject: String,
    actor: Actor,
}

#[derive(Debug, Deserialize)]
struct Actor {
    #[serde(rename = "type")]
    kind: String,
    email: Option<String>,
    address: Option<String>,
}

impl View for Audit {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("AT"),
            Column::Text("WHO"),
            Column::Text("FROM"),
            Column::Text("WHAT"),
            Column::Text("OF WHAT"),
        ];
        let cells = self.data.iter().map(|line| {
            vec![
                second(line.at),
                line.actor.email.clone().unwrap_or_else(|| line.actor.kind.clone()),
                line.actor.address.clone().unwrap_or_default(),
                line.action.clone(),
                line.subject.clone(),
            ]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        let last = self.data.last().filter(|_| self.has_more)?;
        Some(format!("there are more: --after {}", last.id))
    }
}
