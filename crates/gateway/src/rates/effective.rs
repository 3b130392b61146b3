//! The chain as people ask for it: for each group of models every limit that binds a caller, measure by measure, with
//! what is left of it now and which of them will refuse first.
//!
//! It reads what is counted and takes nothing.

use std::collections::BTreeSet;

use directory::{LimitSubject, Principal};
use domain::{Clock, LimitId};
use limits::{Cap, Measure};

use super::chain::{self, EndUsers, Link, Whose};
use super::{Rates, by_measure, day_of, wait_of};
use crate::tiers::{Tier, Tiers};

/// The limits of a caller's calls to some models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelGroup {
    /// The models: a name, `prefix*`, or `*` for all that no other group of the list means.
    pub models: String,
    /// Every limit that binds, by measure, each in the order in which they refuse.
    pub limits: Vec<EffectiveLimit>,
}

/// One limit that binds a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveLimit {
    /// What it counts.
    pub measure: Measure,
    /// Whose it is: `tier`, `organization`, `project`, `key`, `user`, or of a key that an app has `app` and `person`.
    pub whose: &'static str,
    /// Its record; a limit of the configuration has none.
    pub limit: Option<LimitId>,
    /// The end user that it is for, if it is for one.
    pub user: Option<String>,
    /// The models that share it.
    pub models: String,
    /// The most that there may be.
    pub most: u64,
    /// What is left now; `None` if it is counted for each end user separately.
    pub remaining: Option<u64>,
    /// In how many milliseconds all of it is there again, if nothing else is called; `None` with `remaining`.
    pub full_in_ms: Option<u64>,
    /// Whether it is the tightest of its measure in this group.
    pub binding: bool,
}

/// The effective rate limits of a caller, for each group of models that any of them names and for all models. With
/// `user` they are those of calls for that end user.
pub fn effective_limits(
    rates: &Rates,
    tiers: &Tiers,
    clock: &dyn Clock,
    principal: &Principal,
    user: Option<&str>,
) -> Vec<ModelGroup> {
    let tier = tiers.of(principal.organization());
    let users = user.map_or(EndUsers::All, |user| EndUsers::Of(Some(user)));
    let groups = groups(principal, tier).into_iter();
    let groups = groups.map(|models| {
        let mut limits = Vec::new();
        chain::walk(principal, (tier, &rates.consented), models, users, |link| {
            add(&mut limits, &link, rates, clock)
        });
        limits.sort_by(|(whose, a), (other, b)| {
            (a.measure, whose, &a.user, a.limit).cmp(&(b.measure, other, &b.user, b.limit))
        });
        let mut limits: Vec<EffectiveLimit> = limits.into_iter().map(|(_, limit)| limit).collect();
        mark(&mut limits, user.is_some());
        ModelGroup { models: models.to_owned(), limits }
    });
    groups.collect()
}

/// The groups of models that the caller's limits name, all models first.
fn groups<'a>(principal: &'a Principal, tier: Option<&'a Tier>) -> BTreeSet<&'a str> {
    // A star sorts before every letter and digit.
    let mut groups = BTreeSet::from(["*"]);
    groups.extend(tier.into_iter().flat_map(|tier| &tier.limits).map(|limit| limit.models.as_str()));
    let (project, key) = (principal.project.id, principal.key.id);
    groups.extend(principal.tenant.all_limits().filter_map(|limit| {
        let is_ours = match &limit.subject {
            LimitSubject::Organization | LimitSubject::User(_) => true,
            LimitSubject::Project(which) => which.is_none_or(|which| which == project),
            LimitSubject::Key(which) => which.is_none_or(|which| which == key),
        };
        is_ours.then_some(limit.model.as_str())
    }));
    groups
}

fn add(limits: &mut Vec<(Whose, EffectiveLimit)>, link: &Link<'_>, rates: &Rates, clock: &dyn Clock) {
    let now = clock.now();
    for (measure, most) in by_measure(link.caps) {
        let Some(most) = most else { continue };
        let caps = link.bucket.map(|bucket| [Cap { bucket, measure, most }]);
        let standing = caps.and_then(|caps| {
            rates.limiter.standings(clock.monotonic_micros(), day_of(now), &caps).into_iter().next()
        });
        let limit = EffectiveLimit {
            measure,
            whose: link.whose.as_str(),
            limit: link.limit,
            user: link.user.map(str::to_owned),
            models: link.models.to_owned(),
            most,
            remaining: standing.map(|standing| standing.remaining),
            full_in_ms: standing.map(|standing| match standing.remaining {
                left if left == standing.most => 0,
                _ => wait_of(standing.full, now).unwrap_or(0),
            }),
            binding: false,
        };
        limits.push((link.whose, limit));
    }
}

/// Marks the tightest limit of each measure: the one with the least left, which is the one that will refuse first. As
/// long as nobody knows which end user calls, one of an end user's is the tightest only where there is no other.
fn mark(limits: &mut [EffectiveLimit], is_user_known: bool) {
    for measure in Measure::ALL {
        let of_measure = limits.iter_mut().filter(|limit| limit.measure == measure);
        let tightest = of_measure.min_by_key(|limit| {
            let perhaps = limit.whose == Whose::User.as_str() && !is_user_known;
            (perhaps, limit.remaining.unwrap_or(limit.most), limit.most)
        });
        if let Some(tightest) = tightest {
            tightest.binding = true;
        }
    }
}
