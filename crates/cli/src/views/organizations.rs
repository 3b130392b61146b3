//! Organizations as a person reads them.

use domain::{OrganizationId, Timestamp};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// An organization.
#[derive(Debug, Deserialize)]
pub(crate) struct Organization {
    id: OrganizationId,
    name: String,
    time_zone: String,
    in_flight: String,
    country: Option<String>,
    verified_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl View for Organization {
    fn human(&self) -> String {
        let mut all = vec![
            ("id", self.id.to_string()),
            ("name", self.name.clone()),
            ("time zone", self.time_zone.clone()),
            ("running calls", self.in_flight.clone()),
        ];
        all.extend(self.country.clone().map(|country| ("country", country)));
        all.extend(self.verified_at.map(|at| ("verified", second(at))));
        all.push(("created", second(self.created_at)));
        fields(&all)
    }
}

/// An organization just made.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct NewOrganization(Organization);

impl View for NewOrganization {
    fn human(&self) -> String {
        self.0.human()
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper project create NAME --org {}", self.0.id))
    }
}

/// All organizations.
#[derive(Debug, Deserialize)]
pub(crate) struct Organizations {
    data: Vec<Organization>,
}

impl View for Organizations {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("ORGANIZATION"),
            Column::Text("NAME"),
            Column::Text("TIME ZONE"),
            Column::Text("RUNNING CALLS"),
            Column::Text("CREATED"),
        ];
        let cells = self.data.iter().map(|organization| {
            vec![
                organization.id.to_string(),
                organization.name.clone(),
                organization.time_zone.clone(),
                organization.in_flight.clone(),
                second(organization.created_at),
            ]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        self.data.is_empty().then(|| "next: tollkeeper org create NAME".to_owned())
    }
}
