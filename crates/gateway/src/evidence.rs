//! What each step of the pipeline proves, and how it is proved. A later step demands the evidence of the earlier ones,
//! so that none can be left out or put in another order.

use std::sync::Arc;

use dialect::{BadRequest, Call, Endpoint};
use directory::{Directory, Principal, Scope, Visit};
use domain::{Refusal, RefusalCode, RequestId, ServiceTier, Timestamp};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ledger::Attribution;
use pricing::{ModelKind, PriceVersion};

use crate::access;
use crate::allowance::Allowance;
use crate::contract::Traffic;
use crate::failure::Failure;
use crate::routes::{Route, Routes, Target};
use crate::tiers::Tiers;

/// A request's name and times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    pub(crate) id: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) micros: u64,
}

/// Who calls (layers 1.1 and 1.2).
#[derive(Debug)]
pub struct Caller(Principal);

impl Caller {
    /// The key, its project and its organization.
    pub const fn principal(&self) -> &Principal {
        &self.0
    }
}

/// What may be done: this caller, this call, at this target of the model's route and its price now (1.3 to 1.5). The
/// price stays the same until the receipt.
pub(crate) struct Permit {
    principal: Principal,
    call: Call,
    attribution: Attribution,
    model: Arc<str>,
    target: Target,
    price: Arc<PriceVersion>,
}

/// Where the call goes, at which price, and the most that it can cost.
pub(crate) struct Plan {
    pub(crate) principal: Principal,
    pub(crate) call: Call,
    pub(crate) attribution: Attribution,
    pub(crate) model: Arc<str>,
    pub(crate) target: Target,
    pub(crate) price: Arc<PriceVersion>,
    /// What the call can cost, and how much output it may have.
    pub(crate) allowance: Allowance,
    /// A guess at the cost of the input alone, charged when the gateway dies during the call.
    pub(crate) input_guess: u64,
}

/// What a key must be allowed to call an endpoint.
pub(crate) const fn scope(endpoint: Endpoint) -> Scope {
    match endpoint {
        Endpoint::Chat => Scope::ChatCompletions,
        Endpoint::Embeddings => Scope::Embeddings,
    }
}

/// Proves who calls, from the head alone: an unknown caller may not make us read a body.
pub(crate) fn identify(directory: &Directory, headers: &HeaderMap, visit: &Visit) -> Result<Caller, Refusal> {
    let bearer = presented(headers).ok_or_else(directory::missing_key)?;
    directory.authenticate(bearer, visit).map(Caller)
}

/// The key that came with these headers, whatever it is worth.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    // Of two headers a proxy in front of us may have looked at the other one: neither counts.
    if values.next().is_some() {
        return Some("");
    }
    // A header that is no text holds no key of ours; an empty one is told so like any other wrong key.
    let text = value.to_str().unwrap_or_default().trim();
    let (scheme, key) = text.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case("Bearer ").then(|| key.trim())
}

/// Proves that the caller may make this call: the model exists and is open to it (1.3), at a price that is known (1.3),
/// on a route that serves its country (1.4) by a contract that covers its data and environment (1.5). The first owner in this
/// order refuses.
pub(crate) fn authorize(
    caller: Caller,
    call: Call,
    attribution: Attribution,
    (routes, tiers): (&Routes, &Tiers),
    now: Timestamp,
) -> Result<Permit, Failure> {
    let route = routes.find(call.model())?;
    check_kind(&route, &call, now)?;
    access::check(&caller.0, &route, tiers)?;
    let (target, price) = choose(&route, &call, &traffic(&caller.0), now)?;
    check_options(&call, price)?;
    Ok(Permit {
        principal: caller.0,
        call,
        attribution,
        model: Arc::clone(&route.model),
        target: target.clone(),
        price: Arc::clone(price),
    })
}

/// Refuses a model that does something else than what is asked for, wherever it is served: to the endpoint it is none.
fn check_kind(route: &Route, call: &Call, now: Timestamp) -> Result<(), Refusal> {
    let mut prices = route.targets.iter().filter_map(|target| target.prices.as_ref()?.at(now)).peekable();
    let Some(first) = prices.peek().map(|price| price.kind) else { return Ok(()) };
    if !prices.any(|price| suits(price, call)) {
        return Err(not_for_this(&route.model, first, call));
    }
    Ok(())
}

/// Whether a price is one for such a call: one for embeddings says nothing about output.
fn suits(price: &PriceVersion, call: &Call) -> bool {
    match price.kind {
        ModelKind::Chat => true,
        ModelKind::Embedding => !call.endpoint().generates(),
        ModelKind::Image | ModelKind::Speech | ModelKind::Transcription => false,
    }
}

fn not_for_this(model: &str, kind: ModelKind, call: &Call) -> Refusal {
    let (does, next_step) = match kind {
        ModelKind::Embedding => {
            ("makes embeddings", "Call POST /v1/embeddings with it, or name a chat model.")
        }
        ModelKind::Image => ("makes images", "Name another model."),
        ModelKind::Speech => ("speaks", "Name another model."),
        ModelKind::Transcription => ("writes down what was spoken", "Name another model."),
        ModelKind::Chat => ("answers in words", "Name another model."),
    };
    let wanted = if call.endpoint().generates() { "a chat model" } else { "an embedding model" };
    Refusal::new(
        RefusalCode::ModelNotFound,
        format!("The model `{model}` is not {wanted}; it {does}."),
        next_step,
    )
}

/// Refuses what is asked for and has no price in the version that will be charged.
fn check_options(call: &Call, price: &PriceVersion) -> Result<(), BadRequest> {
    let is_sold = |tier: &str| ServiceTier::of_wire(tier).is_some_and(|tier| price.sells(tier));
    if let Some(tier) = call.service_tier().filter(|tier| !is_sold(tier)) {
        let sold: Vec<&str> = price.tiers().map(ServiceTier::as_str).collect();
        return Err(BadRequest {
            message: format!(
                "Invalid service_tier argument: the price {} has none for `{tier}`; leave it out, or have the operator \
                 price it. It has: {}.",
                price.id,
                sold.join(", ")
            ),
            param: Some("service_tier".to_owned()),
            code: Some("unsupported_value"),
        });
    }
    if call.web_search() && !price.sells_meter("per_search") {
        return Err(BadRequest {
            message: format!(
                "The price {} has none for web searches; leave web_search_options out, or have the operator state \
                 `per_search`.",
                price.id
            ),
            param: Some("web_search_options".to_owned()),
            code: Some("unsupported_parameter"),
        });
    }
    Ok(())
}

/// What contracts are checked against.
fn traffic(principal: &Principal) -> Traffic<'_> {
    let (organization, project) = (principal.organization(), &principal.project);
    Traffic {
        organization: organization.id,
        organization_name: &organization.name,
        country: organization.country,
        project: &project.name,
        environment: project.environment,
        data_class: project.data_class,
    }
}

/// The first of the route's targets that may have the call, and its price now. A layer is passed when any target passes
/// it, so when none passes them all, the target that came farthest says what is missing.
fn choose<'a>(
    route: &'a Route,
    call: &Call,
    traffic: &Traffic<'_>,
    now: Timestamp,
) -> Result<(&'a Target, &'a Arc<PriceVersion>), Refusal> {
    let mut farthest: Option<Refusal> = None;
    for target in &route.targets {
        match admit(route, target, call, traffic, now) {
            Ok(price) => return Ok((target, price)),
            Err(refusal) if farthest.as_ref().is_none_or(|before| before.code < refusal.code) => {
                farthest = Some(refusal);
            }
            Err(_) => {}
        }
    }
    Err(farthest.unwrap_or_else(|| unpriced(&route.model, "", "")))
}

/// The price of a target that may have the call.
fn admit<'a>(
    route: &Route,
    target: &'a Target,
    call: &Call,
    traffic: &Traffic<'_>,
    now: Timestamp,
) -> Result<&'a Arc<PriceVersion>, Refusal> {
    let price = target.prices.as_ref().and_then(|prices| prices.at(now));
    let price = price.ok_or_else(|| unpriced(&route.model, &target.provider.name, &target.model))?;
    if !suits(price, call) {
        return Err(not_for_this(&route.model, price.kind, call));
    }
    target.contract.check(&target.label, traffic, now)?;
    Ok(price)
}

/// Bounds what the call can cost.
pub(crate) fn plan(permit: Permit, output_slice: u64) -> Box<Plan> {
    let Permit { principal, call, attribution, model, target, price } = permit;
    let allowance = Allowance::new(&call, &price, principal.organization().in_flight, output_slice);
    let input_guess = call.input_tokens_bound() / BYTES_PER_TOKEN;
    // Boxed, because it travels through every step from here on.
    Box::new(Plan { principal, attribution, model, target, price, allowance, input_guess, call })
}

/// English text has about four bytes to a token (8.3); used only where an exact count would cost every call.
const BYTES_PER_TOKEN: u64 = 4;

fn unpriced(model: &str, provider: &str, upstream: &str) -> Refusal {
    Refusal::new(
        RefusalCode::ModelUnpriced,
        format!(
            "The model `{model}` has no price at provider `{provider}`, and nothing is free by accident."
        ),
        format!(
            "The operator states one: in the route's target, price = {{ input = \"2.50\", output = \"10.00\" }} \
             (currency per million tokens; \"0\" is free), or in the price file of `{provider}` for `{upstream}`."
        ),
    )
}
