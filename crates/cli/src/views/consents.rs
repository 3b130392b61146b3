//! Consents as a person reads them.

use domain::{ConsentId, KeyId, Money, Timestamp, UserId};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// What members agreed to.
#[derive(Debug, Deserialize)]
pub(crate) struct Consents {
    data: Vec<Consent>,
}

/// An app that calls at a member's expense.
#[derive(Debug, Deserialize)]
pub(crate) struct Consent {
    id: ConsentId,
    app: App,
    user: UserId,
    state: String,
    limit: Money,
    limit_reset: String,
    expires_at: Timestamp,
    key: Option<KeyId>,
}

#[derive(Debug, Deserialize)]
struct App {
    origin: String,
    name: Option<String>,
}

impl App {
    fn words(&self) -> String {
        self.name.as_ref().map_or_else(|| self.origin.clone(), |name| format!("{name} ({})", self.origin))
    }
}

impl Consent {
    fn limit(&self) -> String {
        if self.limit_reset == "none" {
            format!("{} in all", self.limit)
        } else {
            format!("{} {}", self.limit, self.limit_reset)
        }
    }
}

impl View for Consents {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("CONSENT"),
            Column::Text("APP"),
            Column::Text("MEMBER"),
            Column::Text("STATE"),
            Column::Text("LIMIT"),
            Column::Text("EXPIRES"),
        ];
        let cells = self.data.iter().map(|consent| {
            vec![
                consent.id.to_string(),
                consent.app.words(),
                consent.user.to_string(),
                consent.state.clone(),
                consent.limit(),
                second(consent.expires_at),
            ]
        });
        rows(COLUMNS, cells)
    }
}

impl View for Consent {
    fn human(&self) -> String {
        fields(&[
            ("id", self.id.to_string()),
            ("app", self.app.words()),
            ("member", self.user.to_string()),
            ("state", self.state.clone()),
            ("limit", self.limit()),
            ("expires", second(self.expires_at)),
            ("key", self.key.map_or_else(|| "none".to_owned(), |key| key.to_string())),
        ])
    }
}
