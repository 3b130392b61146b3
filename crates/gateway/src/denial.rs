//! A hold that the books denied, as the refusal that the caller reads: whose limit it was, and the one step that helps.

use std::borrow::Cow;

use directory::{AfterGrant, Principal};
use domain::{Money, Refusal, RefusalCode, Timestamp, WalletId};
use ledger::{BudgetBound, Denial, LedgerError, Measure, Subject, Tag};

use crate::allowance::Ask;
use crate::failure::Failure;
use crate::pools::FreeRules;
use crate::tiers::ceiling_id;

/// The rules of free requests, and when their day ends.
pub(crate) type FreeDay<'a> = (&'a FreeRules, Option<Timestamp>);

/// Why a call does not begin. `beside` is what there is beside the grants that a project's calls stop at the end of.
pub(crate) fn refuse(
    error: LedgerError,
    principal: &Principal,
    ask: &Ask,
    free: FreeDay<'_>,
    beside: Option<Money>,
) -> Failure {
    match error {
        LedgerError::Denied(Denial::PoolUsedUp { cap, used, .. }) => {
            free_used_up(cap, used, principal, free).into()
        }
        LedgerError::Denied(Denial::BudgetExceeded(bound)) => over_budget(&bound, principal).into(),
        LedgerError::Denied(Denial::InDebt { wallet, debt }) => in_debt(wallet, debt, principal).into(),
        LedgerError::Denied(Denial::InsufficientCredit { available, needed })
            if principal.project.after_grant == AfterGrant::Stop =>
        {
            grants_used_up(available, needed, beside, principal, ask).into()
        }
        LedgerError::Denied(Denial::InsufficientCredit { available, needed }) => {
            exhausted(available, needed, principal, ask).into()
        }
        LedgerError::Denied(Denial::Frozen) => Refusal::new(
            RefusalCode::WalletFrozen,
            "The wallet is frozen because its books do not add up; no money has moved since.",
            "The operator runs `tollkeeper verify` and restores the wallet.",
        )
        .into(),
        LedgerError::Denied(denial) => {
            tracing::error!(%denial, "a hold was denied for a reason that should not occur");
            Failure::Unavailable
        }
        LedgerError::Busy => Failure::Busy,
        LedgerError::Store(_) | LedgerError::Stopped => Failure::Unavailable,
    }
}

/// What a call asks for, in words: where less than the whole would do, what is needed is the least of use.
const fn asks(shrunk: bool) -> &'static str {
    if shrunk { "needs at least" } else { "may cost up to" }
}

fn grants_used_up(
    available: Money,
    needed: Money,
    beside: Option<Money>,
    principal: &Principal,
    ask: &Ask,
) -> Refusal {
    let (project, organization) = (&principal.project, principal.organization());
    let may = asks(ask.least < ask.amount);
    let other =
        beside.map(|beside| format!(" Other credit, which it leaves alone: {beside}.")).unwrap_or_default();
    let message = format!(
        "You exceeded your current quota: project {} has chosen to stop where its grants end (after_grant = \"stop\"). \
         This call {may} {needed}, and the promotional credit that may pay for it is {available}.{other}",
        project.name
    );
    let grant = format!("tollkeeper credits grant --org {} --amount 10.00 --kind promo", organization.id);
    let enough = beside.and_then(|beside| beside.checked_add(available)).is_some_and(|all| all >= needed);
    let next_step = if enough {
        format!(
            "Let other credit pay: `tollkeeper project update {} --after-grant paid`. Or the operator gives a grant: \
             `{grant}`.",
            project.id
        )
    } else {
        format!("The operator gives a grant: `{grant}`.")
    };
    let mut refusal = Refusal::new(RefusalCode::GrantsUsedUp, message, next_step);
    (refusal.limit, refusal.used) = (Some(available.to_string()), Some(needed.to_string()));
    refusal
}

fn exhausted(available: Money, needed: Money, principal: &Principal, ask: &Ask) -> Refusal {
    let shrunk = ask.least < ask.amount;
    let may = asks(shrunk);
    let message = format!(
        "You exceeded your current quota: this call {may} {needed} and organization {} has {available} available.",
        principal.organization().name
    );
    let top_up = top_up(principal, None);
    let next_step = match (available.is_zero(), shrunk) {
        (true, _) => top_up,
        (false, false) => format!("{top_up} Or name a smaller max_tokens, or send a shorter prompt."),
        (false, true) => format!("{top_up} Or send a shorter prompt."),
    };
    let mut refusal = Refusal::new(RefusalCode::CreditExhausted, message, next_step);
    refusal.limit = Some(available.to_string());
    refusal.used = Some(needed.to_string());
    refusal
}

/// The day's free requests are used up: whose they are, when they start anew, and what raises the cap.
fn free_used_up(cap: u64, used: u64, principal: &Principal, (rules, ends): FreeDay<'_>) -> Refusal {
    let organization = principal.organization();
    let anew = ends.map(|ends| format!(" They start anew at {ends}.")).unwrap_or_default();
    let message = format!(
        "You exceeded your current quota: organization {} has had {used} of the {cap} free requests of a day; failed \
         attempts count, and all free models share them.{anew}",
        organization.name
    );
    let more = if cap < rules.per_day_purchased {
        format!(
            "buy credit of {} in all, from which on there are {} a day (`tollkeeper topup` or the operator's \
             `tollkeeper credits grant --org {} --kind prepaid`)",
            rules.threshold, rules.per_day_purchased, organization.id
        )
    } else {
        "call a model that is paid for".to_owned()
    };
    let next_step = match ends {
        Some(ends) => format!("Wait until {ends}, or {more}."),
        None => format!("Call a model that is paid for, or {more}."),
    };
    let mut refusal = Refusal::new(RefusalCode::FreeRequestsUsedUp, message, next_step);
    (refusal.limit, refusal.used, refusal.resets_at) = (Some(cap.to_string()), Some(used.to_string()), ends);
    refusal
}

fn in_debt(wallet: WalletId, debt: Money, principal: &Principal) -> Refusal {
    let message = format!(
        "You exceeded your current quota: the wallet {wallet} of organization {} owes {debt}, and calls that it would \
         pay for wait until that is paid.",
        principal.organization().name
    );
    let mut refusal = Refusal::new(RefusalCode::WalletInDebt, message, top_up(principal, Some(wallet)));
    refusal.used = Some(debt.to_string());
    refusal
}

fn top_up(principal: &Principal, wallet: Option<WalletId>) -> String {
    let organization = principal.organization().id;
    let wallet = wallet.map(|wallet| format!(" --wallet {wallet}")).unwrap_or_default();
    format!(
        "Top up: the operator runs `tollkeeper credits grant --org {organization}{wallet} --amount 10.00 --kind prepaid`."
    )
}

/// The monthly ceiling of the organization's usage tier, which is kept as a budget.
fn over_ceiling(bound: &BudgetBound, principal: &Principal) -> Refusal {
    let organization = principal.organization();
    let tier = organization.tier.as_deref().map(|tier| format!(" `{tier}`")).unwrap_or_default();
    let resets = bound.resets_at.map(|at| format!(" until {at}")).unwrap_or_default();
    let mut refusal = Refusal::new(
        RefusalCode::OrganizationUsageLimitExceeded,
        format!(
            "You exceeded your current quota: organization {} may spend {} a month in its usage tier{tier}, of which \
             {} are used or held, and this call needs {}.",
            organization.name, bound.cap, bound.used, bound.needed
        ),
        format!(
            "Wait{resets}, or reach a higher usage tier by buying credit: `tollkeeper org show {}` says which tier the \
             organization is in.",
            organization.id
        ),
    );
    refusal.limit = Some(bound.cap.clone());
    (refusal.used, refusal.resets_at) = (Some(bound.used.clone()), bound.resets_at);
    refusal
}

fn over_budget(bound: &BudgetBound, principal: &Principal) -> Refusal {
    if bound.budget == ceiling_id(principal.organization().id) {
        return over_ceiling(bound, principal);
    }
    let BudgetBound { budget, subject, value, measure, cap, used, needed, resets_at } = bound;
    let (code, whose) = owner(subject, value, principal);
    let (unit, taken) = match measure {
        Measure::Cost => ("", "used or held"),
        Measure::Tokens => (" tokens", "used or expected of running calls"),
        Measure::Steps => (" calls", "made"),
    };
    let anew = resets_at.map(|at| format!(" It starts anew at {at}.")).unwrap_or_default();
    let message = format!(
        "You exceeded your current quota: the budget of {whose} is {cap}{unit}, of which {used} are {taken}, and this \
         call needs {needed}.{anew}"
    );
    let raise = format!(
        "he operator raises it: `tollkeeper budgets set --org {} --id {budget} {}`.",
        principal.organization().id,
        enough(*measure, cap, used, needed)
    );
    let next_step = match resets_at {
        Some(at) => format!("Wait until {at}, or t{raise}"),
        None => format!("T{raise}"),
    };
    let mut refusal = Refusal::new(code, message, next_step);
    (refusal.limit, refusal.used, refusal.resets_at) = (Some(cap.clone()), Some(used.clone()), *resets_at);
    refusal
}

/// Whose budget it is: the code for programs, and the words for people.
fn owner<'a>(subject: &Subject, value: &'a str, principal: &'a Principal) -> (RefusalCode, Cow<'a, str>) {
    // Callers name their users, features and runs; what they wrote is shown as text and nothing else.
    let named = |what: &str, name: &str| {
        let name: String = name.chars().filter(|character| !character.is_control()).collect();
        Cow::Owned(format!("{what} `{name}`"))
    };
    match subject {
        Subject::Organization => (
            RefusalCode::OrganizationBudgetExceeded,
            Cow::Owned(format!("organization {}", principal.organization().name)),
        ),
        Subject::Project(_) => {
            (RefusalCode::ProjectBudgetExceeded, named("project", &principal.project.name))
        }
        Subject::Key(_) => (RefusalCode::KeyBudgetExceeded, named("key", &principal.key.name)),
        Subject::User(_) => (RefusalCode::UserBudgetExceeded, named("user", value)),
        Subject::Tag(Tag::Feature, _) => (RefusalCode::TagBudgetExceeded, named("feature", value)),
        Subject::Tag(Tag::Environment, _) => (RefusalCode::TagBudgetExceeded, named("environment", value)),
        Subject::Run(_) => (RefusalCode::RunBudgetExceeded, named("run", value)),
    }
}

/// The option that raises a cap to twice what it is, or as far as this call needs if that is more.
fn enough(measure: Measure, cap: &str, used: &str, needed: &str) -> String {
    match measure {
        Measure::Cost => {
            let amount = |text: &str| text.parse::<Money>().unwrap_or_default().nano();
            let twice = amount(cap).saturating_mul(2);
            let enough = twice.max(amount(used).saturating_add(amount(needed)));
            format!("--cost {}", Money::from_nano(enough))
        }
        Measure::Tokens | Measure::Steps => {
            let count = |text: &str| text.parse::<u64>().unwrap_or_default();
            let enough = count(cap).saturating_mul(2).max(count(used).saturating_add(count(needed)));
            let option = if measure == Measure::Tokens { "tokens" } else { "steps" };
            format!("--{option} {enough}")
        }
    }
}
