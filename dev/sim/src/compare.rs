//! Whether the ledger's books say what the model says, in every figure.

use std::fmt::Debug;

use domain::{Money, Timestamp};
use ledger::{Books, Hold, Lot, PoolKey, PoolUse, Share, Use, UseKey, Wallet};

use crate::model::{Owner, Purse, Stake};

/// The first difference between the model and the books; `None` when there is none.
pub(crate) fn difference(owner: &Owner, books: &Books) -> Option<String> {
    let net = Money::from_nano(i64::try_from(owner.net()).ok()?);
    if books.net != net {
        return Some(format!("the books' net is {}, the model's {net}", books.net));
    }
    if books.wallets.len() != owner.purses.len() {
        return Some(format!(
            "the books have {} wallets, the model {}",
            books.wallets.len(),
            owner.purses.len()
        ));
    }
    for (position, (purse, wallet)) in owner.purses.iter().zip(&books.wallets).enumerate() {
        let expected = shown_purse(owner, position, purse);
        if expected != *wallet {
            return Some(contrast("wallet", wallet, &expected));
        }
    }
    if books.budgets != owner.budgets {
        return Some(contrast("budgets", &books.budgets, &owner.budgets));
    }
    if books.holds.len() != owner.stakes.len() {
        return Some(format!("the books have {} holds, the model {}", books.holds.len(), owner.stakes.len()));
    }
    for (request, stake) in &owner.stakes {
        let Some(hold) = books.holds.get(request) else {
            return Some(format!("the books lack hold {request}"));
        };
        if !is_same_hold(owner, stake, hold) {
            return Some(format!("the books have {hold:#?}, the model {stake:#?}"));
        }
    }
    let uses = books.uses.iter().find_map(|(key, used)| {
        let expected = use_of(owner, key);
        (expected != *used).then(|| format!("{key:?}: the books have {used:?}, the model {expected:?}"))
    });
    let pools = books.pools.iter().find_map(|(key, used)| {
        let expected = pool_of(owner, key);
        (expected != *used).then(|| format!("{key:?}: the books have {used:?}, the model {expected:?}"))
    });
    uses.or(pools)
}

/// What was used of a pool in a period, as the ledger would say it.
pub(crate) fn pool_of(owner: &Owner, key: &PoolKey) -> PoolUse {
    let count = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    PoolUse { used: count(owner.pool_used(key)), held: count(owner.pool_held(key)) }
}

/// What was consumed of a budget in a period, as the ledger would say it.
pub(crate) fn use_of(owner: &Owner, key: &UseKey) -> Use {
    let tab =
        owner.tabs.get(&(key.budget, key.value.clone(), key.start.micros())).copied().unwrap_or_default();
    let (held, tokens_held) = owner.reserved_in(key.budget, &key.value, key.start.micros());
    let money = |amount: i128| Money::from_nano(i64::try_from(amount).unwrap_or(i64::MAX));
    let count = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
    Use {
        spent: money(tab.spent),
        held: money(held),
        tokens: count(tab.tokens),
        tokens_held: count(tokens_held),
        steps: count(tab.steps),
        told: tab.told,
    }
}

fn shown_purse(owner: &Owner, position: usize, purse: &Purse) -> Wallet {
    let money = |amount: i128| Money::from_nano(i64::try_from(amount).unwrap_or(i64::MAX));
    let lots: Vec<Lot> = purse.lots.values().map(|piece| piece.shown(purse.id)).collect();
    Wallet {
        id: purse.id,
        purpose: purse.purpose.clone(),
        balance: money(purse.balance()),
        held: money(owner.held(position)),
        debt: money(purse.debt),
        lots,
    }
}

fn is_same_hold(owner: &Owner, stake: &Stake, hold: &Hold) -> bool {
    let same_share = |((position, amount), share): (&(usize, i128), &Share)| {
        owner.purses.get(*position).is_some_and(|purse| purse.id == share.wallet)
            && i128::from(share.amount.nano()) == *amount
    };
    let uses: Vec<UseKey> = hold.uses.clone();
    let keys = owner.tabs_of(&stake.draft, stake.created_at);
    let same_uses = uses.len() == keys.len()
        && uses.iter().zip(&keys).all(|(a, b)| (a.budget, &a.value, a.start.micros()) == (b.0, &b.1, b.2));
    stake.shares.len() == hold.shares.len()
        && stake.shares.iter().zip(&hold.shares).all(same_share)
        && i128::from(hold.amount.nano()) == stake.shares.iter().map(|(_, amount)| amount).sum::<i128>()
        && u128::from(hold.tokens) == stake.tokens
        && u128::from(hold.units) == stake.units
        && hold.created_at == Timestamp::from_micros(stake.created_at)
        && *hold.draft == stake.draft
        && hold.earlier == stake.earlier
        && same_uses
}

/// Two things that should be the same, in text: the lines in which they differ, with a few around them.
pub(crate) fn contrast(name: &str, ledger: &impl Debug, model: &impl Debug) -> String {
    let (ledger, model) = (format!("{ledger:#?}"), format!("{model:#?}"));
    let (ledger, model): (Vec<&str>, Vec<&str>) = (ledger.lines().collect(), model.lines().collect());
    let same = ledger.iter().zip(&model).take_while(|(a, b)| a == b).count();
    let rest = ledger.len().min(model.len()) - same;
    let tail = ledger.iter().rev().zip(model.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str]| {
        let end = (lines.len() - tail + 2).min(lines.len());
        lines.get(same.saturating_sub(4)..end).unwrap_or_default().join("\n")
    };
    format!("{name}: the ledger says\n{}\nthe model says\n{}", part(&ledger), part(&model))
}
