//! The effective limits of a key: the whole chain that its calls pass, as the gateway would apply it now.
//!
//! It gathers what directory, limiter and books say and decides nothing: which limits there are the gateway says, which
//! budgets count a call the ledger.

use std::sync::Arc;

use axum::http::StatusCode;
use directory::{Directory, Principal};
use domain::{KeyId, Timestamp};
use gateway::{ModelGroup, Tier, effective_limits};
use ledger::{Budget, Subject, Tag, Use};
use store::{Balance, Reader, StoreError};

use super::view::{self, json};
use super::{Answered, Call};

/// Everything that binds a key.
pub(crate) struct Chain {
    pub(crate) principal: Principal,
    pub(crate) tier: Option<Tier>,
    /// The end user for whom it was asked, if for one.
    pub(crate) user: Option<String>,
    pub(crate) rates: Vec<ModelGroup>,
    pub(crate) budgets: Vec<(Budget, Use)>,
    /// The organization's money; `None` before its books are opened.
    pub(crate) balance: Option<Balance>,
    pub(crate) now: Timestamp,
}

pub(super) fn show(call: &Call) -> Answered {
    let (admin, id) = (&call.admin, call.key()?.id);
    let principal = principal_of(admin.directory.directory(), id).ok_or_else(|| call.unknown("key"))?;
    let user = call.query.one("user")?.map(str::to_owned);
    let shared = &admin.gateway;
    let rates = effective_limits(&shared.rates, &shared.tiers, &*shared.clock, &principal, user.as_deref());
    let tier = shared.tiers.of(principal.organization()).cloned();
    let (now, organization) = (admin.clock.now(), principal.organization().id);
    let budgets = budgets_of(&admin.reader, &principal, user.as_deref(), now)?;
    let balance = admin.reader.balance(organization, now)?;
    let chain = Chain { principal, tier, user, rates, budgets, balance, now };
    Ok(json(StatusCode::OK, &view::effective(&chain)))
}

/// The key, its project and its organization, whether or not the key is good.
pub(crate) fn principal_of(directory: &Directory, id: KeyId) -> Option<Principal> {
    let key = directory.key(id)?;
    let tenant = directory.tenant(key.organization)?;
    let project = Arc::clone(tenant.project(key.project)?);
    Some(Principal { key, project, tenant })
}

/// The budgets that calls with a key count in, each with what this key's part of them has consumed. Of those that count
/// what a call names (its user, feature or run) what is consumed is not known beforehand, but for the user asked for.
pub(crate) fn budgets_of(
    reader: &Reader,
    principal: &Principal,
    user: Option<&str>,
    now: Timestamp,
) -> Result<Vec<(Budget, Use)>, StoreError> {
    let one = |which: &Option<Box<str>>, own: String| {
        which.as_ref().is_none_or(|which| **which == *own).then(|| own.into_boxed_str())
    };
    reader.budgets_of(principal.organization().id, now, |budget| match &budget.subject {
        Subject::Organization => Some(Box::default()),
        Subject::Project(which) => one(which, principal.project.id.to_string()),
        Subject::Key(which) => one(which, principal.key.id.to_string()),
        Subject::Tag(Tag::Environment, which) => {
            one(which, principal.project.environment.as_str().to_owned())
        }
        Subject::User(which) => match user {
            Some(user) => one(which, user.to_owned()),
            None => Some(Box::default()),
        },
        Subject::Tag(Tag::Feature, _) | Subject::Run(_) => Some(Box::default()),
    })
}
