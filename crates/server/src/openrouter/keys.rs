//! `/api/v1/keys`: the keys of a project, for those who administer them.
//!
//! A key's limit is a hard budget on the key, by days, weeks or months in UTC or for ever; the ledger holds to it.

use std::sync::Arc;

use directory::{Bounds, Directory, Key, KeyChanges, KeyOwner, Mandate, NewKey};
use domain::{BudgetId, Money, OrganizationId, ProjectId, Timestamp, UserId, Zone};
use ledger::{Act, Booking, Budget, Caps, Command, Note, Period, Subject, Use};
use serde::Deserialize;
use serde_json::value::RawValue;
use store::KeyCost;

use super::access::Manager;
use super::amount;
use super::fault::Fault;
use super::shape::{CreatedKey, Data, ManagedKey, hash_of, limit_of};
use super::{Answer, Query, costs_of, created, found, parse};
use crate::admin::Admin;
use crate::admin::effective::{budgets_of, principal_of};
use crate::admin::input::nullable;
use crate::admin::keys::somebody_elses;

const PAGE: usize = 100;
/// Keys that are looked through at once for those that are asked for.
const KEYS_AT_ONCE: usize = 1_000;
/// When whoever administers hears of a limit, in percent of it.
pub(crate) const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// The keys of a project that were not revoked, a page of them.
pub(super) fn list(admin: &Admin, manager: &Manager, query: &Query) -> Answer {
    let project = manager.project(query.get("workspace_id"))?;
    let offset = query.get("offset").unwrap_or("0");
    let offset: usize =
        offset.parse().map_err(|_| Fault::field("offset", "must be a number of 0 or more"))?;
    let [with_disabled, with_expired] =
        ["include_disabled", "include_expired"].map(|field| query.get(field) == Some("true"));
    let now = admin.clock.now();
    let fits = |key: &Key| {
        key.revoked_at.is_none()
            && (with_disabled || key.disabled_at.is_none())
            && (with_expired || key.expires_at.is_none_or(|at| at > now))
    };
    let page = page_of(admin.directory.directory(), project.id, offset, fits);
    let mut costs = costs_of(admin, manager.tenant.organization.id, None)?;
    let shown = page.iter().map(|key| shown(admin, key, costs.remove(&key.id).unwrap_or_default()));
    found(&Data { data: shown.collect::<Result<Vec<_>, Fault>>()? })
}

/// A page of a project's keys that fit, behind so many others. A project may have a million keys, so they are looked
/// through a few at a time.
fn page_of(
    directory: &Directory,
    project: ProjectId,
    offset: usize,
    fits: impl Fn(&Key) -> bool,
) -> Vec<Arc<Key>> {
    let (mut after, mut skipped, mut page) = (None, 0, Vec::new());
    loop {
        let keys = directory.keys(project, after, KEYS_AT_ONCE);
        let is_last = keys.len() < KEYS_AT_ONCE;
        after = keys.last().map(|key| key.id);
        for key in keys.into_iter().filter(|key| fits(key)) {
            if skipped < offset {
                skipped += 1;
            } else if page.len() < PAGE {
                page.push(key);
            } else {
                return page;
            }
        }
        if is_last {
            return page;
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    limit: Option<Box<RawValue>>,
    limit_reset: Option<String>,
    include_byok_in_limit: Option<bool>,
    expires_at: Option<String>,
    workspace_id: Option<String>,
    creator_user_id: Option<String>,
}

/// Makes a key.
pub(super) fn create(admin: &Admin, manager: &Manager, body: &[u8]) -> Answer {
    let body: NewBody = parse(body)?;
    counts_no_byok(body.include_byok_in_limit)?;
    let project = manager.project(body.workspace_id.as_deref())?;
    let limit = body.limit.as_deref().map(read_limit).transpose()?;
    let period = period(body.limit_reset.as_deref())?;
    if limit.is_none() && period != Period::Total {
        return Err(Fault::field("limit_reset", "says when a limit starts anew, and there is no `limit`"));
    }
    let owner = body.creator_user_id.as_deref().map(str::parse::<UserId>).transpose();
    let owner = owner.map_err(|error| Fault::field("creator_user_id", error))?.map(KeyOwner::User);
    if let Some(problem) = owner.and_then(|owner| somebody_elses(&manager.by, owner)) {
        return Err(Fault::field("creator_user_id", problem));
    }
    let expires_at = body.expires_at.as_deref().map(str::parse::<Timestamp>).transpose();
    let new = NewKey {
        project: project.id,
        owner,
        name: Some(body.name),
        bounds: Bounds::default(),
        expires_at: expires_at.map_err(|error| Fault::field("expires_at", error))?,
    };
    let made = admin.directory.create_key(new, &mandate(admin, manager))?;
    if let Some(limit) = limit {
        let set = set_limit(admin, manager, &made.key, None, (limit, period));
        if let Err(fault) = set {
            // Nobody has its secret yet; without its limit nobody shall.
            admin.directory.revoke_key(made.key.id, &mandate(admin, manager))?;
            return Err(fault);
        }
    }
    let data = shown(admin, &made.key, KeyCost::default())?;
    created(&CreatedKey { data, key: made.secret.expose() })
}

/// One key.
pub(super) fn show(admin: &Admin, manager: &Manager, name: &str) -> Answer {
    answer(admin, &*find(admin, manager, name)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "a missing limit stays, null takes it away")]
struct Patch {
    name: Option<String>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    limit: Option<Option<Box<RawValue>>>,
    #[serde(default, deserialize_with = "nullable")]
    limit_reset: Option<Option<String>>,
    include_byok_in_limit: Option<bool>,
    /// A key stays in its project.
    workspace_id: Option<String>,
}

/// Changes a key: its name, whether it works, its limit.
pub(super) fn update(admin: &Admin, manager: &Manager, name: &str, body: &[u8]) -> Answer {
    let key = find(admin, manager, name)?;
    let patch: Patch = parse(body)?;
    counts_no_byok(patch.include_byok_in_limit)?;
    if patch.workspace_id.as_ref().is_some_and(|named| *named != key.project.to_string()) {
        return Err(Fault::field("workspace_id", "cannot be changed: make a key in the other workspace"));
    }
    let before = limit_budget(admin, &key)?.map(|(budget, _)| budget);
    let limit = limit_after(&patch, before.as_ref())?;
    // A key that is only renamed keeps its budget as it is.
    let touched = patch.limit.is_some() || patch.limit_reset.is_some();
    if let Some(before) = before.as_ref().filter(|before| touched && is_weaker(before, limit)) {
        // Whoever set it may have been the operator, or an owner of the organization for the project's.
        manager.must_loosen(&key, before)?;
    }
    let changes = KeyChanges { name: patch.name, disabled: patch.disabled, ..KeyChanges::default() };
    let key = admin.directory.update_key(key.id, changes, &mandate(admin, manager))?;
    match (limit, before) {
        _ if !touched => {}
        (Some(limit), before) => set_limit(admin, manager, &key, before, limit)?,
        (None, Some(before)) => book_removal(admin, manager, &key, &before)?,
        (None, None) => {}
    }
    answer(admin, &key)
}

/// Refuses a limit on what providers bill to others: it is told, and no budget counts it.
fn counts_no_byok(wanted: Option<bool>) -> Result<(), Fault> {
    if wanted == Some(true) {
        let problem = "must be false: a limit counts what this gateway charges, and not what a provider charges to an \
                       account of one's own";
        return Err(Fault::field("include_byok_in_limit", problem));
    }
    Ok(())
}

/// How much a key may spend in which period when a patch has been followed; `None` when it has no limit.
fn limit_after(patch: &Patch, before: Option<&Budget>) -> Result<Option<(Money, Period)>, Fault> {
    let limit = match &patch.limit {
        Some(limit) => limit.as_deref().map(read_limit).transpose()?,
        None => before.and_then(|budget| budget.caps.cost),
    };
    let period = match &patch.limit_reset {
        Some(reset) => period(reset.as_deref())?,
        None => before.map_or(Period::Total, |budget| budget.period),
    };
    if limit.is_none() && patch.limit_reset.as_ref().is_some_and(Option::is_some) {
        return Err(Fault::field("limit_reset", "says when a limit starts anew, and the key has no `limit`"));
    }
    Ok(limit.map(|limit| (limit, period)))
}

/// Whether a limit lets a key spend what the budget would have refused. Another period is another budget, which forgets
/// what was spent.
fn is_weaker(before: &Budget, limit: Option<(Money, Period)>) -> bool {
    let is_held = |(limit, period)| is_of(before, period) && before.caps.cost.is_some_and(|cap| limit <= cap);
    !limit.is_some_and(is_held)
}

/// Whether a budget counts over this period as limits of keys do.
fn is_of(budget: &Budget, period: Period) -> bool {
    budget.period == period && budget.zone == Zone::default()
}

/// Ends a key for good.
pub(super) fn remove(admin: &Admin, manager: &Manager, name: &str) -> Answer {
    let key = find(admin, manager, name)?;
    admin.directory.revoke_key(key.id, &mandate(admin, manager))?;
    found(&serde_json::json!({ "deleted": true }))
}

/// The key of the organization that has this hash.
fn find(admin: &Admin, manager: &Manager, name: &str) -> Result<Arc<Key>, Fault> {
    let key = hash_of(name).and_then(|hash| admin.directory.directory().key_by_hash(hash));
    let organization = manager.tenant.organization.id;
    let key = key.filter(|key| key.revoked_at.is_none() && key.organization == organization);
    let key = key.ok_or_else(|| Fault::not_found("key"))?;
    manager.must_manage(key.project)?;
    Ok(key)
}

fn answer(admin: &Admin, key: &Key) -> Answer {
    let cost = costs_of(admin, key.organization, Some(key.id))?.remove(&key.id);
    found(&Data { data: shown(admin, key, cost.unwrap_or_default())? })
}

fn shown(admin: &Admin, key: &Key, cost: KeyCost) -> Result<ManagedKey, Fault> {
    let limit = limit_budget(admin, key)?;
    let last_used = admin.directory.directory().last_used(key.id);
    Ok(ManagedKey::new(key, limit.as_ref(), cost, last_used))
}

/// The budget that is the key's limit.
fn limit_budget(admin: &Admin, key: &Key) -> Result<Option<(Budget, Use)>, Fault> {
    let principal = principal_of(admin.directory.directory(), key.id);
    let Some(principal) = principal else { return Ok(None) };
    let budgets = budgets_of(&admin.reader, &principal, None, admin.clock.now())?;
    Ok(limit_of(key, &budgets).cloned())
}

/// Makes the key's limit this one.
fn set_limit(
    admin: &Admin,
    manager: &Manager,
    key: &Key,
    before: Option<Budget>,
    (limit, period): (Money, Period),
) -> Result<(), Fault> {
    if let Some(before) = before.as_ref().filter(|before| is_of(before, period)) {
        let caps = Caps { cost: Some(limit), ..before.caps };
        return book_budget(admin, manager, key, Some(before), Budget { caps, ..before.clone() });
    }
    // What a budget has counted it has counted for its period, so another period is another budget. The new one comes
    // first: for a moment both hold, and never none.
    let budget = Budget {
        id: BudgetId::fresh(admin.ids.as_ref()),
        subject: Subject::Key(Some(key.id.to_string().into())),
        period,
        zone: Zone::default(),
        caps: Caps { cost: Some(limit), ..before.as_ref().map_or_else(Caps::default, |before| before.caps) },
        hard: true,
        thresholds: THRESHOLDS.to_vec(),
    };
    book_budget(admin, manager, key, None, budget)?;
    before.map_or(Ok(()), |before| book_removal(admin, manager, key, &before))
}

/// Sets a budget, and tells the audit log.
fn book_budget(
    admin: &Admin,
    manager: &Manager,
    key: &Key,
    before: Option<&Budget>,
    budget: Budget,
) -> Result<(), Fault> {
    book(admin, manager, key.organization, Act::SetBudget(budget.clone()))?;
    let mandate = mandate(admin, manager);
    Ok(admin.tell_budget(key.organization, budget.id, before, Some(&budget), &mandate)?)
}

/// Removes a budget, and tells the audit log.
fn book_removal(admin: &Admin, manager: &Manager, key: &Key, before: &Budget) -> Result<(), Fault> {
    book(admin, manager, key.organization, Act::RemoveBudget(before.id))?;
    Ok(admin.tell_budget(key.organization, before.id, Some(before), None, &mandate(admin, manager))?)
}

fn book(admin: &Admin, manager: &Manager, organization: OrganizationId, act: Act) -> Result<(), Fault> {
    let actor = match &manager.by {
        directory::Administrator::Operator => "operator".to_owned(),
        directory::Administrator::Member { key, .. } => key.id.to_string(),
    };
    let note = Note { actor: actor.into(), reason: Some("limit of a key".into()) };
    let booking = Booking { organization, idempotency: None, note, act };
    admin.ledger.submit(Command::Book(Box::new(booking))).wait()?;
    Ok(())
}

fn mandate<'a>(admin: &'a Admin, manager: &Manager) -> Mandate<'a> {
    Mandate { actor: manager.by.actor(manager.address), ids: admin.ids.as_ref(), now: admin.clock.now() }
}

fn read_limit(number: &RawValue) -> Result<Money, Fault> {
    amount::read(number).map_err(|problem| Fault::field("limit", problem))
}

fn period(reset: Option<&str>) -> Result<Period, Fault> {
    match reset {
        None => Ok(Period::Total),
        Some("daily") => Ok(Period::Daily),
        Some("weekly") => Ok(Period::Weekly),
        Some("monthly") => Ok(Period::Monthly),
        Some(_) => Err(Fault::field("limit_reset", "must be daily, weekly, monthly or null")),
    }
}
