//! What each step of the pipeline proves, and how it is proved. A later step demands the evidence of the earlier ones,
//! so that none can be left out or put in another order.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use dialect::openai::Fallback;
use dialect::{BadRequest, Call, Conversion, CutCall, Endpoint, Look, Upstream};
use directory::{Directory, Principal, Scope, Visit};
use domain::{Clock, Refusal, RefusalCode, RequestId, ServiceTier, Timestamp};
use http::HeaderMap;
use ledger::Attribution;
use pricing::{ModelKind, PriceVersion};

use crate::access;
use crate::allowance::Ask;
use crate::brought::{BroughtKeys, OwnKeys, Sent, offered};
use crate::candidate::{Admitted, Candidate, Candidates, Choice, LeftOut, PromptCount};
use crate::caps::Seat;
use crate::contract::Traffic;
use crate::credential::presented;
use crate::failure::Failure;
use crate::health::BreakerRules;
use crate::operator_keys::check_published;
use crate::pipeline::Settings;
use crate::pools::Pools;
use crate::routes::{Route, Routes, Target};
use crate::routing::{Occasion, arrange, check_preferences, expected};
use crate::substitution::Substitution;
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

/// What may be done: this caller, this call, at these targets of the model's route and their prices now (1.3 to 1.5). The
/// prices stay the same until the receipt.
pub(crate) struct Permit {
    principal: Principal,
    call: Call,
    attribution: Attribution,
    choice: Choice,
}

/// Where the call goes and may go, at which prices, and the most that it can cost.
pub(crate) struct Plan {
    pub(crate) principal: Principal,
    pub(crate) call: Call,
    pub(crate) attribution: Attribution,
    /// Where it goes, and where it may go when that fails.
    pub(crate) candidates: Candidates,
    /// What is asked of the books: enough for any of the candidates.
    pub(crate) ask: Ask,
    /// Its place under the provider's caps at the target where it goes first.
    pub(crate) seat: Option<Seat>,
    /// A guess at the cost of the input alone, charged when the gateway dies during the call; 0 where nothing is charged.
    pub(crate) input_guess: u64,
    /// Whether the caller wants to be told on whose account the call is made.
    pub(crate) shows_access: bool,
}

impl Plan {
    /// Where the call is now.
    pub(crate) const fn candidate(&self) -> &Candidate {
        self.candidates.now()
    }

    /// The model that the call is for now, of those the caller asked for.
    pub(crate) fn model(&self) -> &Arc<str> {
        &self.candidate().route.model
    }

    /// What is done when another model answers.
    pub(crate) fn substitution(&self) -> Substitution {
        self.candidate().route.substitution
    }

    /// Leaves out the present model, which may not have the call for this reason, if the caller asked for another one.
    pub(crate) fn leave_model(&mut self, code: &'static str) -> bool {
        let left = self.candidates.leave_model(code);
        self.ask = self.candidates.ask();
        left
    }

    /// Tokens that the call is expected to use, as providers count them against their caps.
    pub(crate) fn tokens_expected(&self) -> u64 {
        let usage = expected(&self.call);
        usage.input.saturating_add(usage.output)
    }

    /// Takes its place under the provider's caps, at the first target that has room; the others before it are left out.
    ///
    /// # Errors
    /// What the last of them says, if none has.
    pub(crate) fn sit(&mut self, clock: &Arc<dyn Clock>) -> Result<(), Box<Refusal>> {
        let tokens = self.tokens_expected();
        loop {
            match Seat::take(&self.target().accounts, tokens, clock) {
                Ok(seat) => self.seat = Some(seat),
                Err(_) if self.candidates.leave(RefusalCode::ProviderCapReached.as_str()) => {
                    self.ask = self.candidates.ask();
                    continue;
                }
                Err(refusal) => return Err(refusal),
            }
            return Ok(());
        }
    }

    /// The call as it goes upstream now: in the form of the provider's endpoint.
    pub(crate) fn sent(&self) -> &Call {
        self.candidate().converted.as_ref().map_or(&self.call, |converted| converted.call())
    }

    /// What an answer is made of that is not in it.
    pub(crate) fn cut_call<'a>(&'a self, began: &Began, request_id: &'a str) -> CutCall<'a> {
        CutCall { request_id, at: began.at, model: &self.target().model, choices: self.call.choices() }
    }

    /// The target that has the call now.
    pub(crate) const fn target(&self) -> &Target {
        &self.candidate().target
    }
}

/// What a key must be allowed to call an endpoint.
pub(crate) const fn scope(endpoint: Endpoint) -> Scope {
    match endpoint {
        // Nobody calls by Converse.
        Endpoint::Chat | Endpoint::Converse => Scope::ChatCompletions,
        Endpoint::Responses => Scope::Responses,
        Endpoint::Embeddings => Scope::Embeddings,
        Endpoint::Moderations => Scope::Moderations,
        Endpoint::Images | Endpoint::ImageEdits => Scope::Images,
        Endpoint::Speech | Endpoint::Transcriptions | Endpoint::Translations => Scope::Audio,
        Endpoint::Messages | Endpoint::CountTokens => Scope::Messages,
        Endpoint::GenerateContent | Endpoint::CountContent => Scope::GenerateContent,
    }
}

/// Proves who calls, from the head alone: an unknown caller may not make us read a body.
pub(crate) fn identify(directory: &Directory, headers: &HeaderMap, visit: &Visit) -> Result<Caller, Refusal> {
    let key = presented(headers)?.ok_or_else(directory::missing_key)?;
    directory.authenticate(key, visit).map(Caller)
}

/// Proves that the caller may make this call: the model exists and is open to it (1.3), at a price that is known (1.3),
/// on a route that serves its country (1.4) by a contract that covers its data and environment (1.5). The first owner in this
/// order refuses.
///
/// Of several models all must exist, since a name that nobody knows is a mistake; those that may not have the call are
/// left out. If none may, the one that came farthest says what is missing.
pub(crate) fn authorize(
    caller: Caller,
    call: Call,
    attribution: Attribution,
    (routes, tiers, pools, breaker): (&Routes, &Tiers, &Pools, &BreakerRules),
    (brought, sent): (&BroughtKeys, &[Sent]),
    (request, now, now_us): (RequestId, Timestamp, u64),
) -> Result<Permit, Failure> {
    let asked = routes_of(&call, routes)?;
    let keys = OwnKeys::of(&caller.0, brought, sent, &asked);
    let (mut choices, mut left_out) = (VecDeque::with_capacity(asked.len()), Vec::new());
    let (mut farthest, mut keeper) = (None, None);
    for route in &asked {
        match admit_model(&caller.0, &call, (route, keys.as_ref()), (tiers, pools), &mut keeper, now) {
            Ok(choice) => choices.push_back(choice),
            Err(failure) => {
                left_out.push(LeftOut { target: Arc::clone(&route.model), code: failure.code() });
                if farthest.as_ref().is_none_or(|before| distance(before) < distance(&failure)) {
                    farthest = Some(failure);
                }
            }
        }
    }
    let Some(first) = choices.pop_front() else {
        // At least one was asked for.
        return Err(farthest.unwrap_or(Failure::Unavailable));
    };
    let mut choice = arrange(first, choices.into(), &call, &Occasion { breaker, request, now_us });
    choice.left_out.extend(left_out);
    let app = caller.0.consent().map(|consent| consent.app.host().into());
    Ok(Permit { principal: caller.0, call, attribution: Attribution { app, ..attribution }, choice })
}

/// The routes of the models that a call names, in its order.
fn routes_of(call: &Call, routes: &Routes) -> Result<Vec<Arc<Route>>, Refusal> {
    let mut asked = vec![routes.find(call.model())?];
    for Fallback { place, model } in call.fallbacks() {
        let found = routes.find(model).map_err(|refusal| Refusal {
            message: format!("Invalid 'models[{place}]': {}", refusal.message),
            ..refusal
        });
        asked.push(found?);
    }
    Ok(asked)
}

/// The targets of one model that may have the call.
fn admit_model(
    principal: &Principal,
    call: &Call,
    (route, keys): (&Arc<Route>, Option<&OwnKeys<'_>>),
    (tiers, pools): (&Tiers, &Pools),
    keeper: &mut Option<Arc<str>>,
    now: Timestamp,
) -> Result<Choice, Failure> {
    check_kind(route, call, now)?;
    access::check(principal, route, tiers)?;
    let choice = choose((route, keys), call, principal, (tiers, pools), now)?;
    let choice = if route.must_fit { choice.fitting(call)? } else { choice };
    let count = PromptCount::default();
    let choice = choice.keep("context_too_short", |admitted| admitted.check_context(call, &count))?;
    let choice = choice.keep("option_unpriced", |admitted| check_options(call, &admitted.price))?;
    let choice = choice.keep_state_of(call, keeper)?;
    let choice = choice.keep("inexpressible", |admitted| convert(call, admitted))?;
    Ok(choice.keep("not_preferred", |admitted| check_preferences(call, admitted))?)
}

/// How far a model came before it was refused: what is wrong with the request as such is looked at after all owners.
fn distance(failure: &Failure) -> (bool, Option<RefusalCode>) {
    let code = failure.refusal().map(|refusal| refusal.code);
    (code.is_none(), code)
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
    let endpoint = call.endpoint();
    match price.kind {
        ModelKind::Chat => needed(endpoint).is_none(),
        ModelKind::Embedding => endpoint == Endpoint::Embeddings || endpoint.counts(),
        ModelKind::Moderation | ModelKind::Image | ModelKind::Speech | ModelKind::Transcription => {
            needed(endpoint) == Some(price.kind)
        }
    }
}

/// The kind of model that an endpoint is for, where it is for no other.
const fn needed(endpoint: Endpoint) -> Option<ModelKind> {
    match endpoint {
        Endpoint::Moderations => Some(ModelKind::Moderation),
        Endpoint::Images | Endpoint::ImageEdits => Some(ModelKind::Image),
        Endpoint::Speech => Some(ModelKind::Speech),
        Endpoint::Transcriptions | Endpoint::Translations => Some(ModelKind::Transcription),
        Endpoint::Chat
        | Endpoint::Responses
        | Endpoint::Embeddings
        | Endpoint::Messages
        | Endpoint::CountTokens
        | Endpoint::GenerateContent
        | Endpoint::CountContent
        | Endpoint::Converse => None,
    }
}

fn not_for_this(model: &str, kind: ModelKind, call: &Call) -> Refusal {
    let (does, next_step) = match kind {
        ModelKind::Embedding => {
            ("makes embeddings", "Call POST /v1/embeddings with it, or name another model.")
        }
        ModelKind::Moderation => {
            ("judges what is harmful", "Call POST /v1/moderations with it, or name another model.")
        }
        ModelKind::Image => {
            ("makes images", "Call POST /v1/images/generations with it, or name another model.")
        }
        ModelKind::Speech => ("speaks", "Call POST /v1/audio/speech with it, or name another model."),
        ModelKind::Transcription => (
            "writes down what was spoken",
            "Call POST /v1/audio/transcriptions with it, or name another model.",
        ),
        ModelKind::Chat => (
            "answers in words",
            "Name another model, or have the operator state in its price what it is, such as kind = \"moderation\".",
        ),
    };
    let wanted = match needed(call.endpoint()) {
        Some(ModelKind::Moderation) => "a moderation model",
        Some(ModelKind::Image) => "an image model",
        Some(ModelKind::Speech) => "a model that speaks",
        Some(ModelKind::Transcription) => "a model that writes down what was spoken",
        Some(_) | None if call.endpoint().generates() => "a chat model",
        Some(_) | None => "an embedding model",
    };
    Refusal::new(
        RefusalCode::ModelNotFound,
        format!("The model `{model}` is not {wanted}; it {does}."),
        next_step,
    )
}

/// Refuses what is asked for and has no price in the version that would be charged.
fn check_options(call: &Call, price: &PriceVersion) -> Result<(), BadRequest> {
    let refused = |message: String, param: &str, code| BadRequest {
        message,
        param: Some(param.to_owned()),
        code: Some(code),
    };
    let is_sold = |tier: &str| ServiceTier::of_wire(tier).is_some_and(|tier| price.sells(tier));
    if let Some(tier) = call.service_tier().filter(|tier| !is_sold(tier)) {
        let param = call.endpoint().tier_param();
        let sold: Vec<&str> = price.tiers().map(ServiceTier::as_str).collect();
        let message = format!(
            "Invalid {param} argument: the price {} has none for `{tier}`; leave it out, or have the operator price it. It \
             has: {}.",
            price.id,
            sold.join(", ")
        );
        return Err(refused(message, param, "unsupported_value"));
    }
    if let Some(param) = call.web_search().filter(|_| !price.sells_meter("per_search")) {
        let member = if param == "tools" { "the web search tool" } else { param };
        let message = format!(
            "The price {} has none for web searches; leave {member} out, or have the operator state `per_search`.",
            price.id
        );
        return Err(refused(message, param, "unsupported_parameter"));
    }
    if let Some(tool) = call.charged_tool() {
        let message = format!("This gateway has no price for the tool `{tool}`; leave it out.");
        return Err(refused(message, "tools", "unsupported_value"));
    }
    if let Some(param) = call.input_elsewhere().filter(|_| price.context.is_none()) {
        let message = format!(
            "'{param}' brings input that is not in the body, and the price {} does not say how much the model takes at \
             most, so this gateway cannot bound what the call costs; leave it out, and send all of the input in the body.",
            price.id
        );
        return Err(refused(message, param, "unsupported_parameter"));
    }
    Ok(())
}

/// The output tokens that a converted call asks for where its form demands a number, the caller names none, and nobody
/// knows what the model can.
const OUTPUT_TOKENS: NonZeroU64 = NonZeroU64::new(4_096).unwrap();

/// Puts the call in the provider's form, where that is not the caller's.
fn convert(call: &Call, admitted: &mut Admitted) -> Result<(), BadRequest> {
    let Target { provider, model, .. } = &admitted.target;
    let outbound = provider.outbound(call.endpoint()).filter(|outbound| *outbound != call.endpoint());
    if let Some(outbound) = outbound {
        let upstream = Upstream { model, manners: provider.kind.manners, output_cap: None };
        let most = admitted.price.max_output.and_then(NonZeroU64::new).unwrap_or(OUTPUT_TOKENS);
        admitted.converted = Some(Box::new(Conversion::of(call, outbound, upstream, most)?));
    }
    Ok(())
}

/// What contracts are checked against.
pub(crate) fn traffic(principal: &Principal) -> Traffic<'_> {
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

/// The route's targets that may have the call, with their prices now, and those that may not. A layer is passed when any
/// target passes it, so when none passes them all, the target that came farthest says what is missing.
fn choose(
    (route, keys): (&Arc<Route>, Option<&OwnKeys<'_>>),
    call: &Call,
    principal: &Principal,
    (tiers, pools): (&Tiers, &Pools),
    now: Timestamp,
) -> Result<Choice, Refusal> {
    let traffic = traffic(principal);
    let mut farthest: Option<Refusal> = None;
    let (mut first, mut rest, mut left_out) = (None, Vec::new(), Vec::new());
    for target in offered(route, keys) {
        // By the free router, too, nobody gets at a model that is not for them.
        let open = target.of.as_ref().map_or(Ok(()), |own| access::check(principal, own, tiers));
        let price = open.and_then(|()| admit(route, &target, call, &traffic, now).cloned());
        let funded = price.and_then(|price| Ok((price, pools.fund(&target, principal, now)?)));
        match funded.and_then(|funded| check_published(&target).map(|()| funded)) {
            Ok((price, funding)) => {
                let (route, target) = (Arc::clone(route), target.into_owned());
                let admitted = Admitted { route, target, price, converted: None, funding };
                match first {
                    None => first = Some(admitted),
                    Some(_) => rest.push(admitted),
                }
            }
            Err(refusal) => {
                let code = refusal.code.as_str();
                left_out.push(LeftOut { target: Arc::clone(&target.label), code });
                if farthest.as_ref().is_none_or(|before| before.code < refusal.code) {
                    farthest = Some(refusal);
                }
            }
        }
    }
    match first {
        Some(first) => Ok(Choice { first, rest, left_out }),
        None => Err(farthest
            .or_else(|| not_even_ours(route, call, &traffic, now))
            .or_else(|| keys.map(|keys| keys.missing(route)))
            .unwrap_or_else(|| unpriced(&route.model, "", ""))),
    }
}

/// Why a call could not have any target of a route, whoever's key it came with: that is told before a key is asked for.
fn not_even_ours(route: &Route, call: &Call, traffic: &Traffic<'_>, now: Timestamp) -> Option<Refusal> {
    let mut farthest: Option<Refusal> = None;
    for target in &route.targets {
        let refusal = admit(route, target, call, traffic, now).err()?;
        if farthest.as_ref().is_none_or(|before| before.code < refusal.code) {
            farthest = Some(refusal);
        }
    }
    farthest
}

/// The price of a target that may have the call.
pub(crate) fn admit<'a>(
    route: &Route,
    target: &'a Target,
    call: &Call,
    traffic: &Traffic<'_>,
    now: Timestamp,
) -> Result<&'a Arc<PriceVersion>, Refusal> {
    let prices = target.prices.as_ref();
    let price = match call.look() {
        None => prices.and_then(|prices| prices.at(now)),
        Some(Look { size, quality }) => {
            prices.and_then(|prices| prices.of_image(now, size.as_deref(), quality.as_deref()))
        }
    };
    let price = price.ok_or_else(|| match call.look() {
        Some(look) if prices.is_some() => unpriced_look(&route.model, target, look),
        Some(_) | None => unpriced(&route.model, &target.provider.name, &target.model),
    })?;
    if !suits(price, call) {
        return Err(not_for_this(&route.model, price.kind, call));
    }
    if !price.sells_kind() {
        return Err(unpriced_unit(&route.model, price));
    }
    // What a provider does not count is counted here.
    let is_spoken = target.provider.outbound(call.endpoint()).is_some();
    if !is_spoken && !call.endpoint().counts() {
        return Err(not_spoken(route, target, call.endpoint()));
    }
    target.contract.check(&target.label, traffic, now)?;
    target.check_served(&route.model)?;
    Ok(price)
}

/// Refuses a call of a form that the target's provider does not take.
fn not_spoken(route: &Route, target: &Target, endpoint: Endpoint) -> Refusal {
    let provider = &target.provider;
    Refusal::new(
        RefusalCode::ModelNotFound,
        format!(
            "The model `{}` cannot be called by `{}`: its provider has no such endpoint.",
            route.model,
            endpoint.as_str()
        ),
        format!(
            "Call it by another endpoint, or have the operator add a target for it at a provider that takes such calls; \
             `{}` is of kind `{}`.",
            provider.name, provider.kind.name
        ),
    )
}

/// Bounds what the call can cost.
pub(crate) fn plan(permit: Permit, settings: &Settings) -> Box<Plan> {
    let Permit { principal, call, attribution, choice } = permit;
    let in_flight = principal.organization().in_flight;
    let candidates = Candidates::new(choice, &call, in_flight, settings);
    let ask = candidates.ask();
    let is_free = call.endpoint().counts();
    let input_guess = if is_free { 0 } else { call.prompt_tokens_bound() / BYTES_PER_TOKEN };
    // Boxed, because it travels through every step from here on.
    Box::new(Plan {
        principal,
        attribution,
        candidates,
        ask,
        seat: None,
        input_guess,
        shows_access: false,
        call,
    })
}

/// English text has about four bytes to a token (8.3); used only where an exact count would cost every call.
const BYTES_PER_TOKEN: u64 = 4;

/// Refuses an image that looks otherwise than those that have a price.
fn unpriced_look(model: &str, target: &Target, look: &Look) -> Refusal {
    let word = |word: &Option<String>| word.as_deref().unwrap_or("any").chars().take(32).collect::<String>();
    let (size, quality) = (word(&look.size), word(&look.quality));
    Refusal::new(
        RefusalCode::ModelUnpriced,
        format!(
            "Images of `{model}` of size `{size}` and quality `{quality}` have no price at provider `{}`, and nothing is \
             free by accident.",
            target.provider.name
        ),
        format!(
            "Ask for a size and quality that has one; the operator states it in a price file as the model \
             `QUALITY/WIDTH-x-HEIGHT/{}`.",
            target.model
        ),
    )
}

/// Refuses a model whose price is of something else than what it does.
fn unpriced_unit(model: &str, price: &PriceVersion) -> Refusal {
    let unit = price.kind.usual_unit();
    Refusal::new(
        RefusalCode::ModelUnpriced,
        format!(
            "The price {} of the model `{model}` has no unit that such calls are charged by, and nothing is free by accident.",
            price.id
        ),
        format!("The operator states `{unit}` there, or the prices of its tokens."),
    )
}

pub(crate) fn unpriced(model: &str, provider: &str, upstream: &str) -> Refusal {
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
