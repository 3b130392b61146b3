//! Where a call of a model would go now, and why: each target of the route with what speaks for and against it.
//!
//! It asks the same functions that calls are decided by and sends nothing; what only a call can tell (its length, what it
//! needs) is that of a short one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::{Call, Endpoint};
use directory::Principal;
use domain::{Payer, Refusal, RefusalCode, RequestId, Timestamp};
use pricing::{ModelKind, PriceVersion};

use crate::access;
use crate::brought::{OwnKeys, offered};
use crate::candidate::{Admitted, Choice};
use crate::caps::{self, CapLook};
use crate::evidence::{admit, traffic};
use crate::funding::Funding;
use crate::health::Look;
use crate::operator_keys::check_published;
use crate::pipeline::Shared;
use crate::pools::Pools;
use crate::routes::{Route, Target};
use crate::routing::{Occasion, Strategy, arrange, expected};
use crate::substitution::Substitution;

/// A route, explained.
#[derive(Debug)]
pub struct RouteExplanation {
    /// The name of the route that the model matched, a pattern perhaps.
    pub route: String,
    /// How its targets are ordered.
    pub strategy: Strategy,
    /// What is done when another model answers.
    pub substitution: Substitution,
    /// After how long a second attempt is sent beside the first.
    pub hedge_after: Option<Duration>,
    /// Why the key may not call the model at all, if it may not.
    pub refused: Option<Refusal>,
    /// The targets in the order in which they would be tried, then those that would not be.
    pub targets: Vec<TargetExplanation>,
}

/// A target of a route, explained.
#[derive(Debug)]
pub struct TargetExplanation {
    /// The target.
    pub target: Target,
    /// Its place in the order, from 1; `None` when it would not be tried.
    pub place: Option<usize>,
    /// Who pays for a call there, as far as that can be told before one; of two, the first before the other.
    pub payers: (Payer, Option<Payer>),
    /// Its price now.
    pub price: Option<Arc<PriceVersion>>,
    /// Whether its contract covers the key's traffic; `None` when no key was named, and nobody can say.
    pub covered: Option<bool>,
    /// How it is now.
    pub look: Look,
    /// How the provider's caps stand that its calls count under.
    pub caps: Vec<CapLook>,
    /// Why it has its place, or none.
    pub why: String,
}

/// Explains where a call of this model would go, of this key if one is named.
///
/// # Errors
/// When no route serves the model.
pub fn explain_route(
    shared: &Shared,
    model: &str,
    principal: Option<&Principal>,
) -> Result<RouteExplanation, Refusal> {
    let route = shared.routes.find(model)?;
    let now = shared.clock.now();
    let refused = principal.and_then(|principal| access::check(principal, &route, &shared.tiers).err());
    let call = short_call(&route, now);
    let usage = call.as_ref().map(expected).unwrap_or_default();
    let tokens = usage.input.saturating_add(usage.output);
    let looked = |target: &Target| {
        target.health.look(&shared.settings.breaker, shared.clock.monotonic_micros(), tokens)
    };
    let has_room = |target: &Target| caps::check(&target.accounts, tokens, shared.clock.as_ref());
    let standing = |target: &Target| {
        let now_us = shared.clock.monotonic_micros();
        target.accounts.iter().flat_map(|account| account.look(now_us, now)).collect::<Vec<_>>()
    };
    let mut admitted = Vec::new();
    let mut targets = Vec::new();
    let asked = std::slice::from_ref(&route);
    let keys = principal.and_then(|principal| OwnKeys::of(principal, &shared.brought, &[], asked));
    let all: Vec<Target> = offered(&route, keys.as_ref()).map(Cow::into_owned).collect();
    let missing = || keys.as_ref().filter(|_| all.is_empty()).map(|keys| keys.missing(&route));
    let refused = refused.or_else(missing);
    for target in &all {
        let price = target.prices.as_ref().and_then(|prices| prices.at(now)).cloned();
        let verdict = verdict(&route, target, call.as_ref(), price.as_ref(), (principal, &shared.pools), now);
        match verdict.and_then(|price| has_room(target).map(|()| price).map_err(|refusal| *refusal)) {
            Ok(price) => {
                let (route, (price, funding)) = (Arc::clone(&route), price);
                admitted.push(Admitted { route, target: target.clone(), price, converted: None, funding });
            }
            Err(refusal) => targets.push(TargetExplanation {
                target: target.clone(),
                place: None,
                payers: (target.contract.class.payer(), None),
                price,
                covered: principal.map(|_| {
                    matches!(refusal.code, RefusalCode::ModelUnpriced | RefusalCode::ProviderCapReached)
                }),
                look: looked(target),
                caps: standing(target),
                why: refusal.message,
            }),
        }
    }
    let mut explained: Vec<TargetExplanation> = Vec::new();
    if let Some(choice) = chosen(admitted, call.as_ref(), shared) {
        for (place, admitted) in (1..).zip(std::iter::once(choice.first).chain(choice.rest)) {
            let Admitted { target, price, funding, .. } = admitted;
            let payers = funding.payers();
            let look = looked(&target);
            let why = why(route.strategy, place, &look);
            let (place, price, covered) = (Some(place), Some(price), principal.map(|_| true));
            let caps = standing(&target);
            explained.push(TargetExplanation { target, place, payers, price, covered, look, caps, why });
        }
    }
    explained.append(&mut targets);
    Ok(RouteExplanation {
        route: shared.routes.name_of(model).to_owned(),
        strategy: route.strategy,
        substitution: route.substitution,
        hedge_after: route.hedge_after,
        refused,
        targets: explained,
    })
}

/// The targets in order.
fn chosen(admitted: Vec<Admitted>, call: Option<&Call>, shared: &Shared) -> Option<Choice> {
    let mut admitted = admitted.into_iter();
    let choice = Choice { first: admitted.next()?, rest: admitted.collect(), left_out: Vec::new() };
    let occasion = Occasion {
        breaker: &shared.settings.breaker,
        request: RequestId::fresh(shared.ids.as_ref()),
        now_us: shared.clock.monotonic_micros(),
    };
    Some(match call {
        Some(call) => arrange(choice, Vec::new(), call, &occasion),
        None => choice,
    })
}

/// The price at which the target may have a call; without a key its contract is not asked.
fn verdict(
    route: &Route,
    target: &Target,
    call: Option<&Call>,
    price: Option<&Arc<PriceVersion>>,
    (principal, pools): (Option<&Principal>, &Pools),
    now: Timestamp,
) -> Result<(Arc<PriceVersion>, Funding), Refusal> {
    match (principal, call, price) {
        (Some(principal), Some(call), _) => {
            let price = admit(route, target, call, &traffic(principal), now)?;
            let funding = pools.fund(target, principal, now)?;
            check_published(target)?;
            Ok((Arc::clone(price), funding))
        }
        (_, _, Some(price)) => {
            target.check_served(&route.model)?;
            check_published(target)?;
            Ok((Arc::clone(price), Funding::by_price(target.contract.class)))
        }
        (_, _, None) => Err(crate::evidence::unpriced(&route.model, &target.provider.name, &target.model)),
    }
}

/// A short call of the kind that the route serves.
fn short_call(route: &Route, now: Timestamp) -> Option<Call> {
    let kind = route.targets.iter().find_map(|target| Some(target.prices.as_ref()?.at(now)?.kind));
    let model = serde_json::Value::from(&*route.model);
    let (endpoint, rest) = match kind {
        Some(ModelKind::Embedding) => (Endpoint::Embeddings, r#""input":"hi""#),
        Some(ModelKind::Moderation) => (Endpoint::Moderations, r#""input":"hi""#),
        Some(ModelKind::Image) => (Endpoint::Images, r#""prompt":"hi""#),
        Some(ModelKind::Speech) => (Endpoint::Speech, r#""input":"hi""#),
        Some(ModelKind::Transcription) => return short_recording(&route.model),
        Some(ModelKind::Chat) | None => (Endpoint::Chat, r#""messages":[{"role":"user","content":"hi"}]"#),
    };
    let body = format!(r#"{{"model":{model},{rest}}}"#);
    Call::read(endpoint, Bytes::from(body)).ok()
}

/// The same of one with a recording, which is a second long: 500 bytes of no known format.
fn short_recording(model: &str) -> Option<Call> {
    let field = |name: &str| format!("--x\r\ncontent-disposition: form-data; {name}\r\n\r\n");
    let (named, file, sound) = (field("name=model"), field("name=file; filename=a"), "0".repeat(500));
    let body = format!("{named}{model}\r\n{file}{sound}\r\n--x--");
    Call::read_form(Endpoint::Transcriptions, "multipart/form-data; boundary=x", Bytes::from(body)).ok()
}

/// Why a target has its place, in words.
fn why(strategy: Strategy, place: usize, look: &Look) -> String {
    let by = match strategy {
        Strategy::Ordered => "as it is written",
        Strategy::Weighted => "drawn by its weight; another call may draw another one",
        Strategy::LowestCost => "by what a short call costs there",
        Strategy::LowestLatency => "by its load, of two at random; another call may find another two",
    };
    let rank = if place == 1 { "called first".to_owned() } else { format!("turned to as number {place}") };
    let trouble = match (look.usable, look.circuit, look.closed_ms) {
        (true, ..) => "",
        (false, "open" | "half_open", _) => ", after those that are well: its circuit is open",
        (false, _, 0) => ", after those that are well: its rate there is used up",
        (false, ..) => ", after those that are well: the provider wants no call yet",
    };
    format!("{rank}, {by}{trouble}")
}
