//! The effective limits of a key as JSON. A limit is said with whose it is; where nothing in the chain limits a measure,
//! that is said, and nowhere "unlimited".

use domain::{Money, Timestamp};
use gateway::{EffectiveLimit, ModelGroup, ceiling_id};
use ledger::{Budget, Subject, Use, Wallet};
use limits::Measure;
use serde_json::{Value, json};

use super::OWN;
use super::budget::subject;
use super::expiry;
use crate::admin::effective::Chain;

/// What is said where nothing limits.
const NO_LIMIT: &str = "no limit in this chain";

/// The whole chain.
pub(crate) fn effective(chain: &Chain) -> Value {
    let (key, project) = (&chain.principal.key, &chain.principal.project);
    let organization = chain.principal.organization();
    let nothing_limits = chain.rates.iter().all(|group| group.limits.is_empty())
        && !chain.budgets.iter().any(|(budget, _)| budget.hard);
    json!({
        "object": "effective_limits",
        "key": {
            "id": key.id,
            "name": key.name,
            "redacted": key.redacted,
            "state": state_of(key, chain.now),
            "expires_at": key.expires_at,
            "endpoints": key.bounds.endpoints,
            "models": key.bounds.models,
            "networks": key.bounds.networks,
        },
        "project": {
            "id": project.id,
            "name": project.name,
            "state": if project.archived_at.is_some() { "archived" } else { "open" },
            "environment": project.environment,
            "data_class": project.data_class,
            "after_grant": project.after_grant,
            "models": project.models,
        },
        "organization": {
            "id": organization.id,
            "name": organization.name,
            "country": organization.country,
            "verified_at": organization.verified_at,
        },
        "tier": chain.tier.as_ref().map(|tier| json!({
            "name": tier.name,
            "models": tier.models,
            "monthly_ceiling": tier.monthly_ceiling,
        })),
        "user": chain.user,
        "rate_limits": chain.rates.iter().map(group).collect::<Vec<_>>(),
        "budgets": budgets(chain),
        "credit": credit(chain),
        "note": nothing_limits.then_some(NO_LIMIT),
    })
}

/// Whether a key is good, by itself.
pub(crate) fn state_of(key: &directory::Key, now: Timestamp) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.expires_at.is_some_and(|at| at <= now) {
        "expired"
    } else if key.disabled_at.is_some() {
        "disabled"
    } else {
        "enabled"
    }
}

fn group(group: &ModelGroup) -> Value {
    let limits: Vec<Value> = group.limits.iter().map(limit).collect();
    let bound = |measure: &Measure| group.limits.iter().any(|limit| limit.measure == *measure);
    let unbound: Vec<&str> =
        Measure::ALL.iter().filter(|measure| !bound(measure)).map(|measure| measure.as_str()).collect();
    let note = group.limits.is_empty().then_some(NO_LIMIT);
    json!({ "models": group.models, "limits": limits, "not_limited_in_this_chain": unbound, "note": note })
}

fn limit(limit: &EffectiveLimit) -> Value {
    json!({
        "measure": limit.measure.as_str(),
        "of": limit.whose,
        "id": limit.limit,
        "user": limit.user,
        "each_user": limit.remaining.is_none(),
        "models": limit.models,
        "limit": limit.most,
        "used": limit.remaining.map(|remaining| limit.most.saturating_sub(remaining)),
        "remaining": limit.remaining,
        "full_in_ms": limit.full_in_ms,
        "binding": limit.binding,
    })
}

/// What is left of a budget of money.
pub(crate) fn remaining(budget: &Budget, used: &Use) -> Option<Money> {
    let taken = used.spent.checked_add(used.held).unwrap_or(Money::MAX);
    Some(budget.caps.cost?.checked_sub(taken).unwrap_or_default().max(Money::ZERO))
}

/// Whether what a call names decides what is counted.
const fn is_of_the_call(budget: &Budget) -> bool {
    matches!(budget.subject, Subject::User(_) | Subject::Tag(ledger::Tag::Feature, _) | Subject::Run(_))
}

fn budgets(chain: &Chain) -> Vec<Value> {
    let is_known = |budget: &Budget| {
        !is_of_the_call(budget) || (chain.user.is_some() && matches!(budget.subject, Subject::User(_)))
    };
    let left = |(budget, used): &(Budget, Use)| remaining(budget, used);
    let bounding = chain.budgets.iter().filter(|(budget, _)| budget.hard && is_known(budget));
    let tightest = bounding.filter(|each| left(each).is_some()).min_by_key(|each| left(each));
    let tightest = tightest.map(|(budget, _)| budget.id);
    let ceiling = ceiling_id(chain.principal.organization().id);
    // A ceiling that no tier asks for any more stays on the books and refuses nothing.
    let told = chain.budgets.iter().filter(|(budget, _)| budget.id != ceiling || budget.hard);
    let told = told.map(|(budget, used)| {
        let (of, which) = subject(&budget.subject);
        let span = budget.span(chain.now);
        let known = is_known(budget);
        json!({
            "id": budget.id,
            "of": if budget.id == ceiling { "tier" } else { of },
            "which": which,
            "each": which.is_none() && of != "organization",
            "period": budget.period,
            "zone": budget.zone,
            "hard": budget.hard,
            "cost": budget.caps.cost,
            "tokens": budget.caps.tokens,
            "steps": budget.caps.steps,
            "spent": known.then_some(used.spent),
            "held": known.then_some(used.held),
            "remaining": remaining(budget, used).filter(|_| known),
            "tokens_used": known.then_some(used.tokens.saturating_add(used.tokens_held)),
            "steps_used": known.then_some(used.steps),
            "resets_at": expiry(span.end),
            "binding": Some(budget.id) == tightest,
        })
    });
    told.collect()
}

/// The wallets that can pay for the key's project, and what they have.
fn credit(chain: &Chain) -> Value {
    let Some(balance) = &chain.balance else {
        return json!({
            "available": Money::ZERO,
            "grants": Money::ZERO,
            "debt": Money::ZERO,
            "frozen": false,
            "wallets": [],
        });
    };
    let wallets = paying(chain, &balance.wallets);
    let sum = |figure: &dyn Fn(&Wallet) -> Money| {
        Money::sum(wallets.iter().map(|(_, wallet)| figure(wallet))).unwrap_or(Money::MAX)
    };
    let shown = wallets.iter().map(|(own, wallet)| {
        json!({
            "id": wallet.id,
            "name": if *own { OWN } else { &*wallet.purpose.name },
            "own": own,
            "project": wallet.purpose.project,
            "models": wallet.purpose.models,
            "available": wallet.available(),
            "grants": wallet.grants_at(chain.now),
            "debt": wallet.debt,
        })
    });
    json!({
        "available": sum(&Wallet::available),
        "grants": sum(&|wallet| wallet.grants_at(chain.now)),
        "debt": sum(&|wallet| wallet.debt),
        "frozen": balance.frozen,
        "wallets": shown.collect::<Vec<_>>(),
    })
}

/// Wallets that pay for the project's calls to some model or to all; the organization's own, which is the first, only
/// where the project does not live on its own.
fn paying<'a>(chain: &Chain, wallets: &'a [Wallet]) -> Vec<(bool, &'a Wallet)> {
    let project = chain.principal.project.id;
    let alone = |wallet: &Wallet| {
        let purpose = &wallet.purpose;
        purpose.project == Some(project) && !purpose.is_restricted() && !purpose.overflow
    };
    let lives_on_its_own = wallets.iter().any(alone);
    let pays = |(own, wallet): &(bool, &Wallet)| {
        wallet.purpose.project.is_none_or(|owner| owner == project) && !(*own && lives_on_its_own)
    };
    wallets.iter().enumerate().map(|(number, wallet)| (number == 0, wallet)).filter(pays).collect()
}
