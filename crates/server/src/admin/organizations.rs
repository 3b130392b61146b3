//! Organizations and new projects, as the operator makes them.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use directory::{
    Administrator, AfterGrant, DataClass, Environment, InFlight, NewOrganization, NewProject,
    OrganizationChanges,
};
use domain::{Country, OrganizationId, ProjectId, Refusal, RefusalCode, Zone};
use serde::Deserialize;

use super::input::{blocking, field, nullable, optional, parse};
use super::view::{self, json};
use super::{Answered, Call, Hand, Problem, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationBody {
    name: String,
    time_zone: Option<String>,
    in_flight: Option<String>,
    country: Option<String>,
}

pub(super) async fn create(State(admin): Shared, Extension(hand): Extension<Hand>, body: Bytes) -> Answered {
    let body: OrganizationBody = parse(&body)?;
    let new = NewOrganization {
        name: body.name,
        time_zone: optional::<Zone>("time_zone", body.time_zone.as_deref())?.unwrap_or_default(),
        in_flight: optional::<InFlight>("in_flight", body.in_flight.as_deref())?.unwrap_or_default(),
        country: optional::<Country>("country", body.country.as_deref())?,
    };
    let made = blocking(move || Ok(admin.directory.create_organization(new, &admin.mandate(&hand))?));
    Ok(json(StatusCode::CREATED, &view::organization(&made.await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationPatch {
    name: Option<String>,
    time_zone: Option<String>,
    in_flight: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    country: Option<Option<String>>,
    verified: Option<bool>,
}

pub(super) fn update(call: &Call) -> Answered {
    let body: OrganizationPatch = parse(&call.body)?;
    let stated = [("country", body.country.is_some()), ("verified", body.verified.is_some())];
    let stated = stated.iter().find_map(|(name, is_stated)| is_stated.then_some(*name));
    if let (Some(name), Administrator::Member { .. }) = (stated, &call.hand.by) {
        return Err(Problem::refused(&for_the_operator(name)));
    }
    let changes = OrganizationChanges {
        name: body.name,
        time_zone: optional::<Zone>("time_zone", body.time_zone.as_deref())?,
        in_flight: optional::<InFlight>("in_flight", body.in_flight.as_deref())?,
        country: body.country.map(|text| optional("country", text.as_deref())).transpose()?,
        verified: body.verified,
        tier: None,
    };
    let (id, mandate) = (call.tenant.organization.id, call.admin.mandate(&call.hand));
    let changed = call.admin.directory.update_organization(id, changes, &mandate)?;
    Ok(json(StatusCode::OK, &view::organization(&changed)))
}

/// What decides which providers serve an organization, nobody says of their own one.
fn for_the_operator(name: &str) -> Refusal {
    Refusal::new(
        RefusalCode::EndpointNotAllowed,
        format!(
            "You have insufficient permissions for this operation: `{name}` decides which providers may serve the \
             organization, so only the operator says it."
        ),
        format!("leave `{name}` out, or ask whoever operates this gateway to set it"),
    )
}

pub(super) async fn show(State(admin): Shared, Path(id): Path<String>) -> Answered {
    Ok(json(StatusCode::OK, &view::organization(admin.organization("id", &id)?.as_ref())))
}

pub(super) async fn list(State(admin): Shared) -> Answered {
    let data = blocking(move || {
        let known = admin.directory.directory();
        let ids = admin.reader.organizations()?;
        // One that is stored and not published yet is about to be.
        let found = ids.into_iter().filter_map(|(id, _)| known.organization(id));
        Ok(found.map(|organization| view::organization(&organization)).collect())
    });
    Ok(json(StatusCode::OK, &view::list(data.await?, false)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectBody {
    name: String,
    organization: String,
    environment: Option<String>,
    data_class: Option<String>,
    after_grant: Option<String>,
}

pub(super) async fn create_project(
    State(admin): Shared,
    Extension(hand): Extension<Hand>,
    body: Bytes,
) -> Answered {
    let body: ProjectBody = parse(&body)?;
    let new = NewProject {
        organization: field("organization", &body.organization)?,
        name: body.name,
        environment: optional::<Environment>("environment", body.environment.as_deref())?.unwrap_or_default(),
        data_class: optional::<DataClass>("data_class", body.data_class.as_deref())?.unwrap_or_default(),
        after_grant: optional::<AfterGrant>("after_grant", body.after_grant.as_deref())?.unwrap_or_default(),
    };
    let made = blocking(move || Ok(admin.directory.create_project(new, &admin.mandate(&hand))?));
    Ok(json(StatusCode::CREATED, &view::project(&made.await?)))
}

impl super::Admin {
    /// The project that a field names, if it is one of this organization's.
    pub(super) fn project_of(
        &self,
        organization: OrganizationId,
        name: &str,
        text: &str,
    ) -> Result<ProjectId, Problem> {
        let id: ProjectId = field(name, text)?;
        let found = self.directory.directory().project(id);
        match found.filter(|project| project.organization == organization) {
            Some(_) => Ok(id),
            None => Err(Problem::not_found(name, format!("{id} in this organization"))),
        }
    }
}
