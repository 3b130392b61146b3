//! What each step of the pipeline proves, and how it is proved. A later step demands the evidence of the earlier ones,
//! so that none can be left out or put in another order.

use std::sync::Arc;

use dialect::openai::{BadRequest, Call, Endpoint};
use directory::{Directory, Principal};
use domain::{Refusal, RefusalCode, RequestId, Timestamp};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ledger::Attribution;
use pricing::{ModelKind, PriceVersion};

use crate::allowance::Allowance;
use crate::failure::Failure;
use crate::routes::{Route, Routes, Target};

/// A request's name and times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Began {
    pub(crate) id: RequestId,
    pub(crate) at: Timestamp,
    pub(crate) micros: u64,
}

/// Who calls (layers 1.1 and 1.2).
#[derive(Debug)]
pub struct Caller(Arc<Principal>);

/// What may be done: this caller, this call, this model's route (1.3 to 1.5).
pub(crate) struct Permit {
    pub(crate) principal: Arc<Principal>,
    pub(crate) call: Call,
    pub(crate) attribution: Attribution,
    route: Arc<Route>,
}

/// Where the call goes and at which price. The price stays the same until the receipt.
pub(crate) struct Plan {
    pub(crate) principal: Arc<Principal>,
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

/// Proves who calls, from the head alone: an unknown caller may not make us read a body.
pub(crate) fn identify(
    directory: &Directory,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let bearer = presented(headers).ok_or_else(directory::missing_key)?;
    directory.authenticate(bearer, now).map(Caller)
}

/// The key that came with these headers, whatever it is worth.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    // A header that is no text holds no key of ours; an empty one is told so like any other wrong key.
    let text = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default().trim();
    let (scheme, key) = text.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case("Bearer ").then(|| key.trim())
}

impl Caller {
    /// Who it is.
    pub(crate) const fn principal(&self) -> &Arc<Principal> {
        &self.0
    }
}

/// Service tiers that cost more than the catalogue's price, which is the standard one.
const DEARER_TIERS: [&str; 4] = ["priority", "fast", "ultrafast", "scale"];

/// Proves that the caller may make this call: the model exists for it, at a price that is known.
pub(crate) fn authorize(
    caller: Caller,
    call: Call,
    attribution: Attribution,
    routes: &Routes,
) -> Result<Permit, Failure> {
    let route = routes.find(call.model())?;
    if let Some(tier) = call.service_tier().filter(|tier| DEARER_TIERS.contains(tier)) {
        return Err(Failure::from(BadRequest {
            message: format!(
                "Invalid service_tier argument: this gateway has no price for `{tier}`; leave it out."
            ),
            param: Some("service_tier".to_owned()),
            code: Some("unsupported_value"),
        }));
    }
    if call.web_search() {
        return Err(Failure::from(BadRequest {
            message: "This gateway has no price for web searches; leave web_search_options out.".to_owned(),
            param: Some("web_search_options".to_owned()),
            code: Some("unsupported_parameter"),
        }));
    }
    Ok(Permit { principal: caller.0, call, attribution, route })
}

/// Chooses the target, pins its price and bounds the cost.
pub(crate) fn plan(permit: Permit, now: Timestamp, output_slice: u64) -> Result<Box<Plan>, Refusal> {
    let Permit { principal, call, attribution, route } = permit;
    let target = route.targets.first().ok_or_else(|| unpriced(&route.model, "", ""))?;
    let price = target.prices.as_ref().and_then(|prices| prices.at(now));
    let price = price.ok_or_else(|| unpriced(&route.model, &target.provider.name, &target.model))?;
    if call.endpoint() == Endpoint::Chat && price.kind == ModelKind::Embedding {
        // Its price says nothing about output.
        return Err(Refusal::new(
            RefusalCode::ModelNotFound,
            format!("The model `{}` is not a chat model; it makes embeddings.", route.model),
            "Call POST /v1/embeddings with it, or name a chat model.",
        ));
    }
    let allowance = Allowance::new(&call, price, principal.in_flight, output_slice);
    let input_guess = call.input_tokens_bound() / BYTES_PER_TOKEN;
    // Boxed, because it travels through every step from here on.
    Ok(Box::new(Plan {
        principal,
        attribution,
        model: Arc::clone(&route.model),
        target: target.clone(),
        price: Arc::clone(price),
        allowance,
        input_guess,
        call,
    }))
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
