//! Organizations and projects.

use domain::{Country, OrganizationId, ProjectId, WalletId, Zone};

use super::{ChangeError, DirectoryService, Draft, Mandate, told, valid_name};
use crate::record::{AfterGrant, Byok, DataClass, Environment, InFlight, ModelAccess, Organization, Project};

/// Entries of a list of models at most.
const MODELS_MAX: usize = 1_000;

/// An organization to be made.
#[derive(Clone, Debug, Default)]
pub struct NewOrganization {
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// Where its days begin.
    pub time_zone: Zone,
    /// What becomes of its running calls when its credit runs out.
    pub in_flight: InFlight,
    /// Where it is.
    pub country: Option<Country>,
}

/// What is to change of an organization; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct OrganizationChanges {
    /// Its name, 1 to 100 characters.
    pub name: Option<String>,
    /// Where its days begin. Budgets that are made already keep the zone they were made with.
    pub time_zone: Option<Zone>,
    /// What becomes of its running calls when its credit runs out. Calls that run already keep the policy they began
    /// with.
    pub in_flight: Option<InFlight>,
    /// Where it is; `Some(None)` takes the statement back.
    pub country: Option<Option<Country>>,
    /// Whether somebody has verified who it is.
    pub verified: Option<bool>,
    /// The usage tier it has reached.
    pub tier: Option<Option<String>>,
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// What its traffic is for.
    pub environment: Environment,
    /// What its prompts may contain.
    pub data_class: DataClass,
    /// What pays for its calls when no grant can.
    pub after_grant: AfterGrant,
}

/// What is to change of a project; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProjectChanges {
    /// Its name, 1 to 100 characters.
    pub name: Option<String>,
    /// What its traffic is for.
    pub environment: Option<Environment>,
    /// What its prompts may contain.
    pub data_class: Option<DataClass>,
    /// What pays for its calls when no grant can. Calls that are held already keep what they began with.
    pub after_grant: Option<AfterGrant>,
    /// Models that it may call; `Some(None)` lets it call all.
    pub models: Option<Option<ModelAccess>>,
    /// Whether its calls use the provider keys that its organization brought.
    pub byok: Option<Byok>,
    /// Whether a call by a brought key may go on with ours.
    pub byok_fallback: Option<bool>,
}

impl DirectoryService {
    /// Makes an organization with an empty wallet.
    pub fn create_organization(
        &self,
        new: NewOrganization,
        mandate: &Mandate<'_>,
    ) -> Result<Organization, ChangeError> {
        let organization = Organization {
            id: OrganizationId::fresh(mandate.ids),
            name: valid_name(&new.name)?,
            wallet: WalletId::fresh(mandate.ids),
            time_zone: new.time_zone,
            in_flight: new.in_flight,
            country: new.country,
            verified_at: None,
            tier: None,
            programmes: Vec::new(),
            created_at: mandate.now,
        };
        let mut draft = Draft::new(mandate, organization.id);
        draft.put(told("organization.created", None, organization.id), None, &organization);
        self.finish(draft)?;
        Ok(organization)
    }

    /// Changes an organization. Calls that are admitted after this returns go by what it says now.
    pub fn update_organization(
        &self,
        id: OrganizationId,
        changes: OrganizationChanges,
        mandate: &Mandate<'_>,
    ) -> Result<Organization, ChangeError> {
        let name = changes.name.as_deref().map(valid_name).transpose()?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", id)?;
        let before = &*tenant.organization;
        let verified_at = match changes.verified {
            Some(true) => Some(before.verified_at.unwrap_or(mandate.now)),
            Some(false) => None,
            None => before.verified_at,
        };
        let after = Organization {
            name: name.unwrap_or_else(|| before.name.clone()),
            time_zone: changes.time_zone.unwrap_or_else(|| before.time_zone.clone()),
            in_flight: changes.in_flight.unwrap_or(before.in_flight),
            country: changes.country.unwrap_or(before.country),
            verified_at,
            tier: changes.tier.unwrap_or_else(|| before.tier.clone()),
            ..before.clone()
        };
        let mut draft = Draft::new(mandate, id);
        if let Some(tier) = after.tier.as_ref().filter(|_| after.tier != before.tier) {
            draft.commit.reached.push((id, tier.clone(), mandate.now));
        }
        draft.put(told("organization.updated", None, id), Some(before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Has an organization join a programme, or leave it. One that has is left as it is.
    pub fn join_programme(
        &self,
        id: OrganizationId,
        programme: &str,
        joins: bool,
        mandate: &Mandate<'_>,
    ) -> Result<Organization, ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", id)?;
        let before = &*tenant.organization;
        let others = before.programmes.iter().filter(|joined| *joined != programme).cloned();
        let mut programmes: Vec<String> = others.chain(joins.then(|| programme.to_owned())).collect();
        programmes.sort_unstable();
        let after = Organization { programmes, ..before.clone() };
        let action = if joins { "organization.programme_joined" } else { "organization.programme_left" };
        let mut draft = Draft::new(mandate, id);
        draft.put(told(action, None, id), Some(before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Makes a project of an existing organization.
    pub fn create_project(&self, new: NewProject, mandate: &Mandate<'_>) -> Result<Project, ChangeError> {
        let name = valid_name(&new.name)?;
        self.tenant("organization", new.organization)?;
        let project = Project {
            id: ProjectId::fresh(mandate.ids),
            organization: new.organization,
            name,
            environment: new.environment,
            data_class: new.data_class,
            after_grant: new.after_grant,
            models: None,
            byok: Byok::default(),
            byok_fallback: false,
            created_at: mandate.now,
            archived_at: None,
        };
        let mut draft = Draft::new(mandate, project.organization);
        draft.put(told("project.created", Some(project.id), project.id), None, &project);
        self.finish(draft)?;
        Ok(project)
    }

    /// Changes an open project.
    pub fn update_project(
        &self,
        id: ProjectId,
        changes: ProjectChanges,
        mandate: &Mandate<'_>,
    ) -> Result<Project, ChangeError> {
        let name = changes.name.as_deref().map(valid_name).transpose()?;
        if let Some(Some(access)) = &changes.models {
            check_models("models", access)?;
        }
        let _guard = self.one_at_a_time();
        let (_, before) = self.open_project(id)?;
        let after = Project {
            name: name.unwrap_or_else(|| before.name.clone()),
            environment: changes.environment.unwrap_or(before.environment),
            data_class: changes.data_class.unwrap_or(before.data_class),
            after_grant: changes.after_grant.unwrap_or(before.after_grant),
            models: changes.models.unwrap_or_else(|| before.models.clone()),
            byok: changes.byok.unwrap_or(before.byok),
            byok_fallback: changes.byok_fallback.unwrap_or(before.byok_fallback),
            ..Project::clone(&before)
        };
        let mut draft = Draft::new(mandate, before.organization);
        draft.put(told("project.updated", Some(id), id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Closes a project for calls, for good. One that is closed stays as it is.
    pub fn archive_project(&self, id: ProjectId, mandate: &Mandate<'_>) -> Result<Project, ChangeError> {
        let _guard = self.one_at_a_time();
        let (_, before) = self.project(id)?;
        let archived_at = Some(before.archived_at.unwrap_or(mandate.now));
        let after = Project { archived_at, ..Project::clone(&before) };
        let mut draft = Draft::new(mandate, before.organization);
        draft.put(told("project.archived", Some(id), id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(after)
    }
}

/// Whether a list of models can be meant.
pub(super) fn check_models(field: &'static str, access: &ModelAccess) -> Result<(), ChangeError> {
    if access.models.len() > MODELS_MAX {
        let problem = format!("has {} models; at most {MODELS_MAX} are allowed", access.models.len());
        return Err(ChangeError::invalid(field, problem));
    }
    for model in &access.models {
        let star = model.find('*').is_some_and(|at| at + 1 != model.len());
        let blank = model.is_empty() || model.chars().any(|c| c.is_whitespace() || c.is_control());
        if star || blank || model.len() > 256 {
            let problem = "contains what is no model; write its name, or the beginning of names and a `*`";
            return Err(ChangeError::invalid(field, problem));
        }
    }
    Ok(())
}
