//! Who may call which model (1.3): the lists of the project and the key, the organization's usage tier, and models for
//! verified organizations only.
//!
//! It knows lists and what the refusals say. Whether the model has a route and a price is not its question.

use directory::{ModelAccess, Principal};
use domain::{Refusal, RefusalCode};

use crate::routes::Route;
use crate::tiers::{Tier, Tiers};

/// Whether a principal may call a route's model, in the order of precedence.
///
/// # Errors
/// [`RefusalCode::ModelNotAllowed`], [`RefusalCode::ModelNotInTier`] or [`RefusalCode::VerificationRequired`].
pub(crate) fn check(principal: &Principal, route: &Route, tiers: &Tiers) -> Result<(), Refusal> {
    let model = &*route.model;
    let (organization, project, key) = (principal.organization(), &principal.project, &principal.key);
    if !project.models.as_ref().is_none_or(|access| access.allows(model)) {
        let whose = format!("Project `{}`", project.id);
        let next_step = format!(
            "Call a model of the project's list, or ask an owner of the project to change it: \
             `tollkeeper project update {} --models …`.",
            project.id
        );
        return Err(not_allowed(&whose, project.models.as_ref(), model, next_step));
    }
    if !key.bounds.models.as_ref().is_none_or(|access| access.allows(model)) {
        let whose = format!("The API key `{}`", key.name);
        let next_step = format!(
            "Call a model of the key's list, or ask an owner of the project to change it: \
             `tollkeeper keys update {} --models …`.",
            key.id
        );
        return Err(not_allowed(&whose, key.bounds.models.as_ref(), model, next_step));
    }
    if let Some(tier) = tiers.of(organization).filter(|tier| !tier.has(model)) {
        return Err(not_in_tier(&organization.name, tier, tiers.first_with(model), model));
    }
    if route.verified_only && organization.verified_at.is_none() {
        return Err(Refusal::new(
            RefusalCode::VerificationRequired,
            format!("Your organization `{}` must be verified to use the model `{model}`.", organization.name),
            format!(
                "Ask the operator of this gateway to verify the organization: \
                 `tollkeeper org update {} --verified true`.",
                organization.id
            ),
        ));
    }
    Ok(())
}

fn not_allowed(whose: &str, access: Option<&ModelAccess>, model: &str, next_step: String) -> Refusal {
    let message = format!("{whose} does not have access to model `{model}`.");
    let mut refusal = Refusal::new(RefusalCode::ModelNotAllowed, message, next_step);
    refusal.limit = access.map(|access| format!("{} {}", access.mode, access.models.join(", ")));
    refusal
}

fn not_in_tier(organization: &str, tier: &Tier, first: Option<&Tier>, model: &str) -> Refusal {
    let message = format!(
        "The usage tier `{}` of organization `{organization}` does not have the model `{model}`.",
        tier.name
    );
    let next_step = match first {
        Some(first) => format!(
            "Call another model, or reach the tier `{}`: {} of credit bought in all, and {} days since the \
             organization was made.",
            first.name, first.credit_purchased, first.account_days
        ),
        None => "Call another model: no tier has this one.".to_owned(),
    };
    let mut refusal = Refusal::new(RefusalCode::ModelNotInTier, message, next_step);
    refusal.limit = Some(tier.name.to_string());
    refusal
}
