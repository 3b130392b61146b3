//! Projects and keys as a person reads them.

use domain::{KeyId, OrganizationId, ProjectId, Timestamp};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// A project.
#[derive(Debug, Deserialize)]
pub(crate) struct Project {
    id: ProjectId,
    name: String,
    organization: OrganizationId,
    environment: String,
    data_class: String,
    after_grant: String,
    models: Option<Models>,
    byok: String,
    byok_fallback: bool,
    created_at: Timestamp,
    archived_at: Option<Timestamp>,
}

/// A list of models, and what being on it means.
#[derive(Debug, Deserialize)]
struct Models {
    mode: String,
    models: Vec<String>,
}

impl Models {
    fn words(models: Option<&Self>) -> String {
        match models {
            None => "all".to_owned(),
            Some(list) if list.mode == "deny_list" => format!("all but {}", list.models.join(", ")),
            Some(list) if list.models.is_empty() => "none".to_owned(),
            Some(list) => list.models.join(", "),
        }
    }
}

impl Project {
    fn byok_words(&self) -> String {
        let then = if self.byok_fallback { ", then the gateway's" } else { "" };
        match self.byok.as_str() {
            "off" => "the gateway's".to_owned(),
            "first" => format!("its own first{then}"),
            word => format!("its own {word}"),
        }
    }
}

impl View for Project {
    fn human(&self) -> String {
        let mut all = vec![
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("organization", self.organization.to_string()),
            ("environment", self.environment.clone()),
            ("data class", self.data_class.clone()),
            ("after grants", self.after_grant.clone()),
            ("models", Models::words(self.models.as_ref())),
            ("provider keys", self.byok_words()),
            ("created", second(self.created_at)),
        ];
        all.extend(self.archived_at.map(|at| ("archived", second(at))));
        fields(&all)
    }
}

/// A project just made.
#[derive(Debug, Deserialize)]
pub(crate) struct NewProject {
    id: ProjectId,
    name: String,
    organization: OrganizationId,
    environment: String,
    data_class: String,
    after_grant: String,
    created_at: Timestamp,
}

impl View for NewProject {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("organization", self.organization.to_string()),
            ("environment", self.environment.clone()),
            ("data class", self.data_class.clone()),
            ("after grants", self.after_grant.clone()),
            ("created", second(self.created_at)),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper keys create --project {}", self.id))
    }
}

/// An organization's projects.
#[derive(Debug, Deserialize)]
pub(crate) struct Projects {
    data: Vec<Project>,
}

impl View for Projects {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("PROJECT"),
            Column::Text("NAME"),
            Column::Text("ENVIRONMENT"),
            Column::Text("DATA"),
            Column::Text("AFTER GRANTS"),
            Column::Text("MODELS"),
            Column::Text("ARCHIVED"),
        ];
        let cells = self.data.iter().map(|project| {
            vec![
                project.id.to_string(),
                project.name.clone(),
                project.environment.clone(),
                project.data_class.clone(),
                project.after_grant.clone(),
                Models::words(project.models.as_ref()),
                project.archived_at.map(second).unwrap_or_default(),
            ]
        });
        rows(COLUMNS, cells)
    }
}

/// A key without its secret.
#[derive(Debug, Deserialize)]
pub(crate) struct Key {
    id: KeyId,
    name: String,
    project: ProjectId,
    owner: String,
    redacted: String,
    endpoints: Option<Vec<String>>,
    models: Option<Models>,
    networks: Vec<String>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl Key {
    fn state(&self) -> &'static str {
        match (self.revoked_at, self.disabled_at) {
            (Some(_), _) => "revoked",
            (None, Some(_)) => "disabled",
            (None, None) => "enabled",
        }
    }
}

impl View for Key {
    fn human(&self) -> String {
        let endpoints = self.endpoints.as_ref().map_or_else(|| "all".to_owned(), |names| names.join(", "));
        let networks = if self.networks.is_empty() { "all".to_owned() } else { self.networks.join(", ") };
        fields(&[
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("secret", self.redacted.clone()),
            ("state", self.state().to_owned()),
            ("project", self.project.to_string()),
            ("owner", self.owner.clone()),
            ("endpoints", endpoints),
            ("models", Models::words(self.models.as_ref())),
            ("networks", networks),
            ("created", second(self.created_at)),
            ("expires", self.expires_at.map_or_else(|| "never".to_owned(), second)),
            ("last used", self.last_used_at.map_or_else(|| "never".to_owned(), second)),
        ])
    }
}

/// A project's keys.
#[derive(Debug, Deserialize)]
pub(crate) struct Keys {
    data: Vec<Key>,
    has_more: bool,
}

impl View for Keys {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("KEY"),
            Column::Text("NAME"),
            Column::Text("SECRET"),
            Column::Text("STATE"),
            Column::Text("EXPIRES"),
            Column::Text("LAST USED"),
        ];
        let cells = self.data.iter().map(|key| {
            vec![
                key.id.to_string(),
                key.name.clone(),
                key.redacted.clone(),
                key.state().to_owned(),
                key.expires_at.map_or_else(|| "never".to_owned(), second),
                key.last_used_at.map_or_else(|| "never".to_owned(), second),
            ]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        let last = self.data.last().filter(|_| self.has_more)?;
        Some(format!("there are more: --after {}", last.id))
    }
}

/// A key just made or rotated, with its secret.
#[derive(Debug, Deserialize)]
pub(crate) struct NewKey {
    id: KeyId,
    name: String,
    project: ProjectId,
    organization: OrganizationId,
    secret: String,
    created_at: Timestamp,
}

impl View for NewKey {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("project", self.project.to_string()),
            ("organization", self.organization.to_string()),
            ("created", second(self.created_at)),
            ("secret", self.secret.clone()),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(
            "the secret is shown this once: put it where the client reads its key, usually OPENAI_API_KEY"
                .to_owned(),
        )
    }
}
