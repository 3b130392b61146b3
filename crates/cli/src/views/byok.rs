//! Provider keys that organizations brought, and the vault, as a person reads them.

use domain::{OrganizationId, ProjectId, ProviderKeyId, Timestamp};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// A provider key.
#[derive(Debug, Deserialize)]
pub(crate) struct ProviderKey {
    id: ProviderKeyId,
    organization: OrganizationId,
    project: Option<ProjectId>,
    provider: String,
    label: String,
    last_four: String,
    created_at: Timestamp,
    disabled_at: Option<Timestamp>,
    tested_at: Option<Timestamp>,
    test_failure: Option<String>,
    trouble: Option<String>,
}

impl ProviderKey {
    /// How it stands, in words.
    fn state(&self) -> String {
        if let Some(trouble) = &self.trouble {
            return format!("unusable: {trouble}");
        }
        match (self.disabled_at, self.tested_at, &self.test_failure) {
            (Some(at), ..) => format!("disabled {}", second(at)),
            (None, None, _) => "never tested".to_owned(),
            (None, Some(at), None) => format!("taken {}", second(at)),
            (None, Some(at), Some(why)) => format!("not taken {}: {why}", second(at)),
        }
    }
}

impl View for ProviderKey {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("provider", self.provider.clone()),
            ("label", self.label.clone()),
            ("secret", format!("…{}", self.last_four)),
            ("organization", self.organization.to_string()),
            ("project", self.project.map_or_else(|| "all".to_owned(), |id| id.to_string())),
            ("brought", second(self.created_at)),
            ("state", self.state()),
        ])
    }

    fn note(&self) -> Option<String> {
        let usable = self.disabled_at.is_none() && self.trouble.is_none();
        let project = self.project.map_or_else(|| "PROJECT".to_owned(), |id| id.to_string());
        usable.then(|| format!("a project uses it with: tollkeeper project update {project} --byok first"))
    }
}

/// An organization's provider keys.
#[derive(Debug, Deserialize)]
pub(crate) struct ProviderKeys {
    data: Vec<ProviderKey>,
}

impl View for ProviderKeys {
    fn human(&self) -> String {
        let cells = self.data.iter().map(|key| {
            vec![
                key.id.to_string(),
                key.provider.clone(),
                key.label.clone(),
                format!("…{}", key.last_four),
                key.project.map_or_else(|| "all".to_owned(), |id| id.to_string()),
                key.state(),
            ]
        });
        let columns = ["ID", "PROVIDER", "LABEL", "SECRET", "PROJECT", "STATE"].map(Column::Text);
        rows(&columns, cells)
    }
}

/// A key that no master key opens.
#[derive(Debug, Deserialize)]
struct Unopened {
    id: ProviderKeyId,
    organization: OrganizationId,
    reason: String,
}

fn unopened(keys: &[Unopened]) -> Option<String> {
    let lines = keys.iter().map(|key| format!("{} of {}: {}", key.id, key.organization, key.reason));
    (!keys.is_empty())
        .then(|| format!("cannot be opened, and are not used:\n{}", lines.collect::<Vec<_>>().join("\n")))
}

/// The vault.
#[derive(Debug, Deserialize)]
pub(crate) struct Vault {
    master_keys: Vec<Master>,
    provider_keys: u64,
    unopened: Vec<Unopened>,
}

/// A master key.
#[derive(Debug, Deserialize)]
struct Master {
    id: String,
    seals: bool,
    keys: u64,
}

impl View for Vault {
    fn human(&self) -> String {
        let masters = self.master_keys.iter().map(|master| {
            let role = if master.seals { "seals and opens" } else { "opens" };
            format!("{} {role}, has sealed {}", master.id, master.keys)
        });
        let masters: Vec<String> = masters.collect();
        let named =
            if masters.is_empty() { "none: set vault.master_keys".to_owned() } else { masters.join("; ") };
        fields(&[("provider keys", self.provider_keys.to_string()), ("master keys", named)])
    }

    fn note(&self) -> Option<String> {
        unopened(&self.unopened)
    }
}

/// What came of sealing all keys anew.
#[derive(Debug, Deserialize)]
pub(crate) struct Rotation {
    master_keys: Vec<String>,
    resealed: u64,
    unchanged: u64,
    unopened: Vec<Unopened>,
}

impl View for Rotation {
    fn human(&self) -> String {
        fields(&[
            ("master key", self.master_keys.first().cloned().unwrap_or_else(|| "none".to_owned())),
            ("sealed anew", self.resealed.to_string()),
            ("sealed by it already", self.unchanged.to_string()),
            ("not opened", self.unopened.len().to_string()),
        ])
    }

    fn note(&self) -> Option<String> {
        unopened(&self.unopened)
    }
}
