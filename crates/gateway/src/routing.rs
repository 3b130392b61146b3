//! The order in which the targets that may have a call are tried: by the route's strategy, and those in trouble last.
//!
//! It knows prices, weights and how targets are; it must never know whether a target may have the call, which was decided
//! before, or what an attempt does. Whatever is random follows from the request's id, so that it can be worked out again.

use dialect::openai::{Preferences, Sort};
use dialect::{BadRequest, Call, Made};
use domain::{Pico, RequestId, ServiceTier, Usage};

use crate::allowance::tier_asked;
use crate::candidate::{Admitted, Choice, LeftOut};
use crate::capability::Needs;
use crate::health::BreakerRules;
use crate::retry::draw;

/// How a route orders its targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As they are written.
    #[default]
    Ordered,
    /// At random, each as often as its weight says.
    Weighted,
    /// The cheapest for this call first.
    LowestCost,
    /// Of two at random the one that would begin its answer sooner, by its latency and the calls that wait there.
    LowestLatency,
}

impl Strategy {
    /// The words for it in the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("ordered", Self::Ordered),
        ("weighted", Self::Weighted),
        ("lowest_cost", Self::LowestCost),
        ("lowest_latency", Self::LowestLatency),
    ];

    /// The word for this one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Weighted => "weighted",
            Self::LowestCost => "lowest_cost",
            Self::LowestLatency => "lowest_latency",
        }
    }
}

/// What the order depends on beside the targets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) breaker: &'a BreakerRules,
    pub(crate) request: RequestId,
    /// By the clock that never steps.
    pub(crate) now_us: u64,
}

/// Output tokens that a call is compared by where it names no smaller cap: most answers are shorter than their caps.
const USUAL_OUTPUT: u64 = 500;
/// English text has about four bytes to a token (8.3).
const BYTES_PER_TOKEN: u64 = 4;

/// English is spoken at some 15 characters a second.
const SPOKEN_MS_PER_CHARACTER: u64 = 65;

/// What a call is expected to use, for comparing targets: never for a bill.
pub(crate) fn expected(call: &Call) -> Usage {
    let each = call.output_cap().unwrap_or(USUAL_OUTPUT).min(USUAL_OUTPUT);
    let output = each.saturating_mul(call.choices());
    let input = call.prompt_tokens_bound() / BYTES_PER_TOKEN;
    if call.output_is_fixed() {
        let audio_ms = call.characters().saturating_mul(SPOKEN_MS_PER_CHARACTER);
        let made = Made { images: call.images(), audio_ms };
        return Usage { input, ..call.reckoned(made) };
    }
    Usage { input, output, ..Usage::default() }
}

/// Puts the targets that may have a call in order: those of the model that it names first, then those of the others.
pub(crate) fn arrange(first: Choice, others: Vec<Choice>, call: &Call, occasion: &Occasion<'_>) -> Choice {
    if first.rest.is_empty() && others.is_empty() {
        return first;
    }
    let usage = expected(call);
    let mut left_out = Vec::new();
    let targets_of = |Choice { first, mut rest, left_out: mut of_model }: Choice| {
        left_out.append(&mut of_model);
        rest.insert(0, first);
        rest
    };
    let mut models: Vec<Vec<Admitted>> = std::iter::once(first).chain(others).map(targets_of).collect();
    drop_incapable(&mut models, &mut left_out, call, &usage);
    let preferences = call.preferences();
    let tokens = usage.input.saturating_add(usage.output);
    let in_trouble =
        |one: &Admitted| !one.target.health.look(occasion.breaker, occasion.now_us, tokens).usable;
    for targets in &mut models {
        order(targets, (&usage, tier_asked(call)), preferences.and_then(|wish| wish.sort), occasion);
        // Stable, as all that follows: a key of one's own goes before ours.
        targets.sort_by_key(|one| one.target.access.is_none());
        if let Some(preferences) = preferences {
            prefer(targets, &mut left_out, preferences);
        }
        // Stable: among those that are well the strategy decides, and among those in trouble, too. The models stay as the
        // caller has them: who pays follows from the first.
        targets.sort_by_cached_key(in_trouble);
    }
    let mut targets: Vec<Admitted> = models.into_iter().flatten().collect();
    // There is always one: never all are left out.
    let first = targets.remove(0);
    Choice { first, rest: targets, left_out }
}

/// The strategy that a caller asks for.
const fn by(sort: Sort) -> Strategy {
    match sort {
        Sort::Price => Strategy::LowestCost,
        Sort::Latency => Strategy::LowestLatency,
    }
}

/// Puts those first that the caller names first, and leaves out all but the first if it names none and wants no
/// fallbacks.
fn prefer(targets: &mut Vec<Admitted>, left_out: &mut Vec<LeftOut>, preferences: &Preferences) {
    targets.sort_by_key(|one| preferences.place(names(one)));
    if !preferences.allow_fallbacks && preferences.order.is_empty() && !targets.is_empty() {
        let leave = |one: Admitted| LeftOut { target: one.target.label, code: "not_preferred" };
        left_out.extend(targets.drain(1..).map(leave));
    }
}

/// The names by which a caller can mean a target.
fn names(admitted: &Admitted) -> [&str; 2] {
    [&admitted.target.provider.name, &admitted.target.label]
}

/// Refuses a target that the caller's preferences rule out, by the member that does.
pub(crate) fn check_preferences(call: &Call, admitted: &Admitted) -> Result<(), BadRequest> {
    let Some(preferences) = call.preferences() else { return Ok(()) };
    let (price, terms) = (&admitted.price, &admitted.target.contract.terms);
    let dearer = |field: &str, most: Option<Pico>| {
        let per_million = price.prices(0).get(field).map_or(0, |price| u128::from(price.pico()) * 1_000_000);
        most.is_some_and(|most| u128::try_from(most.get()).is_ok_and(|most| per_million > most))
    };
    let drops = admitted.converted.as_ref().is_some_and(|converted| !converted.dropped().is_empty());
    let ruled_out = preferences.rules_out(names(admitted)).or_else(|| {
        let reasons = [
            (preferences.deny_collection && terms.training, "provider.data_collection"),
            (preferences.zero_retention && terms.retention_days > 0, "provider.zdr"),
            (dearer("input", preferences.prompt_max), "provider.max_price.prompt"),
            (dearer("output", preferences.completion_max), "provider.max_price.completion"),
            (preferences.require_parameters && drops, "provider.require_parameters"),
        ];
        reasons.into_iter().find(|(holds, _)| *holds).map(|(_, param)| param)
    });
    match ruled_out {
        None => Ok(()),
        Some(param) => Err(BadRequest {
            message: format!(
                "No target of the model `{}` is left by '{param}': leave it out, or name another provider. \
                 `tollkeeper route explain` shows which there are.",
                admitted.route.model
            ),
            param: Some(param.to_owned()),
            code: Some("no_allowed_providers"),
        }),
    }
}

/// Leaves out the targets that are said not to be capable of the call, unless none is: then the provider says what is
/// wrong.
fn drop_incapable(models: &mut [Vec<Admitted>], left_out: &mut Vec<LeftOut>, call: &Call, usage: &Usage) {
    let declares =
        |admitted: &Admitted| admitted.target.rules.capabilities.is_some() || admitted.context().is_some();
    if !models.iter().flatten().any(declares) {
        return;
    }
    let needs = Needs::of(call, usage.input);
    let lacking = |one: &Admitted| needs.lacking(&one.target.rules, one.context());
    if models.iter().flatten().all(|one| lacking(one).is_some()) {
        return;
    }
    for targets in models {
        targets.retain(|one| match lacking(one) {
            None => true,
            Some(code) => {
                left_out.push(LeftOut { target: std::sync::Arc::clone(&one.target.label), code });
                false
            }
        });
    }
}

/// Puts the targets of one model in order: as the caller wishes, or by the strategy of their route.
fn order(
    targets: &mut Vec<Admitted>,
    (usage, tier): (&Usage, ServiceTier),
    wish: Option<Sort>,
    occasion: &Occasion<'_>,
) {
    let Some(first) = targets.first() else { return };
    match wish.map_or(first.route.strategy, by) {
        Strategy::Ordered => {}
        // What cannot be priced is dearer than anything.
        Strategy::LowestCost => {
            targets.sort_by_cached_key(|one| one.price.cost(usage, tier).map_or(i128::MAX, Pico::get));
        }
        Strategy::Weighted => deal(targets, occasion.request),
        Strategy::LowestLatency => pair_off(targets, occasion),
    }
}

/// Draws one target after the other, each as likely as its weight says; those without weight stay last, as written.
fn deal(targets: &mut [Admitted], request: RequestId) {
    let mut left = targets;
    let mut salt = 0;
    while !left.is_empty() {
        let weight = |one: &Admitted| u64::from(one.target.rules.weight);
        let total: u64 = left.iter().map(weight).sum();
        let mut at = draw(request, salt).checked_rem(total).unwrap_or(0);
        let drawn = left.iter().position(|target| {
            let here = at < weight(target);
            at = at.saturating_sub(weight(target));
            here
        });
        let Some(part) = left.get_mut(..=drawn.unwrap_or(0)) else { return };
        part.rotate_right(1);
        let Some((_, rest)) = left.split_first_mut() else { return };
        (left, salt) = (rest, salt.saturating_add(1));
    }
}

/// Puts two targets at random before the others, the one with less load first. Were it always the best of all, everybody
/// would go there at once, and it would be the best no longer.
fn pair_off(targets: &mut Vec<Admitted>, occasion: &Occasion<'_>) {
    let count = u64::try_from(targets.len()).unwrap_or(u64::MAX);
    let random = |salt, below: u64| draw(occasion.request, salt).checked_rem(below).unwrap_or(0);
    let one = random(0, count);
    let two = one.saturating_add(1).saturating_add(random(1, count.saturating_sub(1)));
    let two = two.checked_rem(count).unwrap_or(0);
    let mut ranked: Vec<((bool, u64), Admitted)> = (0_u64..)
        .zip(targets.drain(..))
        .map(|(place, admitted)| {
            let load = admitted.target.health.look(occasion.breaker, occasion.now_us, 0).load();
            ((place != one && place != two, load), admitted)
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    targets.extend(ranked.into_iter().map(|(_, admitted)| admitted));
}
