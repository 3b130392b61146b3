//! How calls are tried again and where they go: the table `[routing]`, and what a route's targets say of it.

use std::time::Duration;

use domain::AccessClass;
use gateway::{BreakerRules, Capability, RetryRules, Strategy, Substitution, Target, TargetRules};

use super::read::{Mistakes, Section};

/// Reads `[routing]`: how calls are tried again, when a circuit opens, and how often servers of the operator's own are
/// asked for their models, if ever.
pub(super) fn read(
    mut section: Section,
    mistakes: &mut Mistakes,
) -> Option<(RetryRules, BreakerRules, Option<Duration>)> {
    let attempts_max = section.number("attempts", 1..=20, mistakes);
    let within = section.millis("retry_within_ms", mistakes);
    let backoff = section.millis("backoff_ms", mistakes);
    let wait_max = section.millis("wait_max_ms", mistakes);
    let percent = section.number("retry_percent", 0..=1_000, mistakes);
    let per_second = section.number("retries_per_second", 0..=100_000, mistakes);
    let failures = section.number("breaker_failures", 1..=1_000_000, mistakes);
    let window = section.millis("breaker_window_ms", mistakes);
    let open = section.millis("breaker_open_ms", mistakes);
    let lists_seconds = section.number("model_lists_seconds", 0..=86_400, mistakes);
    section.finish(mistakes);
    let breaker = BreakerRules { failures: u32::try_from(failures?).ok()?, window: window?, open: open? };
    let retry = RetryRules {
        attempts_max: u32::try_from(attempts_max?).ok()?,
        within: within?,
        backoff: backoff?,
        wait_max: wait_max?,
        percent: u32::try_from(percent?).ok()?,
        per_second: u32::try_from(per_second?).ok()?,
    };
    let lists_every = Some(Duration::from_secs(lists_seconds?)).filter(|every| !every.is_zero());
    Some((retry, breaker, lists_every))
}

/// How a route orders its targets.
pub(super) fn read_strategy(section: &mut Section, mistakes: &mut Mistakes) -> Strategy {
    section.word("strategy", &Strategy::WORDS, mistakes).unwrap_or_default()
}

/// What a route to these targets does when another model answers than its target's; `None` where nothing is written. A
/// reseller's route cannot only log it: which model answers is the reseller's own word.
pub(super) fn read_substitution(
    section: &mut Section,
    targets: &[Target],
    mistakes: &mut Mistakes,
) -> Option<Substitution> {
    let found = section.word("substitution", &Substitution::WORDS, mistakes)?;
    let reseller = targets.iter().find(|target| target.contract.class == AccessClass::Reseller);
    if let (Substitution::Log, Some(target)) = (found, reseller) {
        let message = format!(
            "must be \"refuse\" or \"alert\" here, is \"log\": `{}` is a reseller's, who says itself which model \
             answers. Leave it out for \"refuse\"",
            target.label
        );
        mistakes.add(&section.field("substitution"), message);
    }
    Some(found)
}

/// Refuses a route that makes a pool of the accounts of several owners: the same model of the same provider by the keys of
/// each. Accounts of one owner may share the calls; whose limits are used up is not to be made good by somebody else's.
pub(super) fn check_pool(field: &str, targets: &[Target], mistakes: &mut Mistakes) {
    let is_pool = |one: &Target, other: &Target| {
        one.provider.name != other.provider.name
            && one.provider.kind.name == other.provider.kind.name
            && one.provider.origin() == other.provider.origin()
            && one.model == other.model
    };
    for (place, target) in targets.iter().enumerate() {
        let Some(other) = targets.iter().take(place).find(|other| is_pool(other, target)) else { continue };
        let owners = (&other.contract.owner, &target.contract.owner);
        if owners.0 != owners.1 {
            let message = format!(
                "`{}` and `{}` are accounts of `{}` and `{}` at one provider, for one model: keys may be pooled within \
                 one owner's account only. Leave one out, or give it a route of its own",
                other.provider.name, target.provider.name, owners.0, owners.1
            );
            mistakes.add(field, message);
        }
    }
}

/// After how long without an answer a route sends a second attempt beside the first, to one of its other targets.
pub(super) fn read_hedge(section: &mut Section, targets: usize, mistakes: &mut Mistakes) -> Option<Duration> {
    let after = section.millis("hedge_after_ms", mistakes)?;
    if targets == 1 {
        let field = section.field("hedge_after_ms");
        mistakes.add(
            &field,
            "a second attempt goes to another target, and this route has one: add another, or leave it out",
        );
    }
    Some(after)
}

/// Reads what one target says of how it is used.
pub(super) fn read_target(section: &mut Section, mistakes: &mut Mistakes) -> TargetRules {
    let retries = section.number("retries", 0..=10, mistakes).unwrap_or(0);
    let first_byte = section.millis("first_byte_ms", mistakes);
    let weight = section.number("weight", 0..=1_000_000, mistakes).unwrap_or(1);
    let capabilities = section.words("capabilities", &Capability::WORDS, mistakes);
    let context = section.number("context", 1..=1_000_000_000, mistakes);
    let aliases = section.texts("aliases", mistakes).unwrap_or_default();
    let aliases = aliases.into_iter().map(Into::into).collect();
    let number = |number| u32::try_from(number).unwrap_or(0);
    TargetRules {
        retries: number(retries),
        first_byte,
        weight: number(weight),
        capabilities,
        context,
        aliases,
    }
}
