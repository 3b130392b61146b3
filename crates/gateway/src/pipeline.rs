//! The life of a request. Read from top to bottom: this is the order, and why.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::Endpoint;
use directory::{Directory, Visit};
use domain::{Clock, Ids, Money, Owner, Refusal, RefusalCode, RequestId, Usage};
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body;
use ledger::LedgerStore;
use providers::Client;

use crate::access;
use crate::answer::Answer;
use crate::attempts::attempts;
use crate::brought::{BroughtKeys, sent};
use crate::credential::presented;
use crate::decision::{Recorder, Trail};
use crate::decode::{BodyLimits, Limit, decode, discard};
use crate::evidence::{Began, Caller, Plan, authorize, identify, plan, scope};
use crate::failure::Failure;
use crate::health::BreakerRules;
use crate::hold::{Held, hold, probe};
use crate::observer::{Finished, Observer};
use crate::operator_keys::OperatorKeys;
use crate::pools::Pools;
use crate::rates::{OverRate, Pace, Rates, pace};
use crate::retry::{RetryBudget, RetryRules};
use crate::routes::{Route, Routes};
use crate::shown::asks_for_access;
use crate::tasks::{Persistent, Presence, Tasks};
use crate::tiers::Tiers;

/// Limits of the pipeline, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The largest request body, in bytes.
    pub request_bytes_max: u64,
    /// The largest form with files, in bytes.
    pub form_bytes_max: u64,
    /// The largest answer that is not streamed, in bytes.
    pub answer_bytes_max: u64,
    /// How long a client may pause while it sends its request or takes its answer.
    pub client_idle: Duration,
    /// Output tokens held for at first, and in each further step of a stream.
    pub output_slice: u64,
    /// How long a provider may take to begin its answer, where its target says nothing else.
    pub first_byte: Duration,
    /// How often calls are tried again.
    pub retry: RetryRules,
    /// When a target's circuit opens.
    pub breaker: BreakerRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_bytes_max: 20 * 1024 * 1024,
            form_bytes_max: 26 * 1024 * 1024,
            answer_bytes_max: 64 * 1024 * 1024,
            client_idle: Duration::from_secs(60),
            output_slice: 4_096,
            first_byte: Duration::from_secs(600),
            retry: RetryRules::default(),
            breaker: BreakerRules::default(),
        }
    }
}

impl Settings {
    fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            json: Limit { bytes: self.request_bytes_max, setting: "server.request_bytes_max" },
            form: Limit { bytes: self.form_bytes_max, setting: "server.form_bytes_max" },
            idle: self.client_idle,
        }
    }
}

/// What all threads share.
pub struct Shared {
    /// Who may call.
    pub directory: Arc<Directory>,
    /// Where calls go.
    pub routes: Routes,
    /// The provider keys that organizations brought.
    pub brought: Arc<BroughtKeys>,
    /// Our own keys at providers.
    pub operator_keys: Arc<OperatorKeys>,
    /// What is counted under rate limits.
    pub rates: Arc<Rates>,
    /// What organizations may do that have bought so much.
    pub tiers: Tiers,
    /// By which rules pools pay before money does.
    pub pools: Pools,
    /// The retries of all calls together.
    pub retries: RetryBudget,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh request ids.
    pub ids: Arc<dyn Ids>,
    /// Work that outlives its caller.
    pub tasks: Arc<dyn Tasks>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// Who keeps what was decided.
    pub recorder: Arc<dyn Recorder>,
    /// The limits.
    pub settings: Settings,
}

/// The gateway of one serving thread: what all share, its own way to the ledger, and connections of its own.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) client: Client,
}

impl Gateway {
    /// A gateway that books on this ledger and calls providers through this client.
    pub fn new(shared: Arc<Shared>, ledger: Arc<dyn LedgerStore>, client: Client) -> Self {
        Self { shared, ledger, client }
    }

    /// What all threads share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Proves who calls, for what costs nothing.
    ///
    /// # Errors
    /// The refusal of layer 1.1 or 1.2.
    pub fn identify(&self, headers: &HeaderMap, visit: &Visit) -> Result<Caller, Refusal> {
        identify(&self.shared.directory, headers, visit)
    }

    /// The models that a caller may call and that have a name of their own, by name.
    pub fn models(&self, caller: &Caller) -> impl Iterator<Item = &Arc<Route>> {
        let Shared { routes, tiers, .. } = &*self.shared;
        routes.iter().filter(|route| access::check(caller.principal(), route, tiers).is_ok())
    }

    /// The route of a model that a caller may call.
    ///
    /// # Errors
    /// A refusal of layer 1.3.
    pub fn model(&self, caller: &Caller, model: &str) -> Result<Arc<Route>, Refusal> {
        let Shared { routes, tiers, .. } = &*self.shared;
        let route = routes.find(model)?;
        access::check(caller.principal(), &route, tiers)?;
        Ok(route)
    }

    /// Serves one call from this address, whatever becomes of it.
    pub async fn serve<B>(
        &self,
        endpoint: Endpoint,
        id: RequestId,
        address: Option<IpAddr>,
        request: Request<B>,
    ) -> Response<Answer>
    where
        B: Body<Data = Bytes>,
    {
        let began = Began { id, at: self.shared.clock.now(), micros: self.shared.clock.monotonic_micros() };
        let (head, body) = request.into_parts();
        let mut body = std::pin::pin!(body);
        let mut trail = Trail::begin(endpoint.as_str(), &began);
        match self.admit(endpoint, &began, address, &head, body.as_mut(), &mut trail).await {
            // Counting a prompt moves no money and is answered at once.
            Ok((plan, pace)) if endpoint.counts() => self.count(began, &plan, pace, trail).await,
            Ok((plan, pace)) => self.carry(endpoint, began, plan, pace, trail).await,
            Err(failure) => {
                self.shared.recorder.record(trail.stopped(&failure));
                // A client that is still sending would be cut off before it reads why, and the next call on its
                // connection with it. One that waits to be asked for its body is not asked.
                let waiting = head.headers.contains_key(EXPECT);
                let read = !waiting && discard(body).await;
                let mut response = self.refuse(endpoint, began, failure);
                if !read {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
        }
    }

    /// From a caller's bytes to the plan, before money moves.
    async fn admit<B>(
        &self,
        endpoint: Endpoint,
        began: &Began,
        address: Option<IpAddr>,
        head: &Parts,
        body: Pin<&mut B>,
        trail: &mut Trail,
    ) -> Result<(Box<Plan>, Pace), Failure>
    where
        B: Body<Data = Bytes>,
    {
        let Shared {
            directory, routes, brought, operator_keys, rates, tiers, pools, settings, clock, ..
        } = &*self.shared;
        let headers = &head.headers;
        // Who: before the body is read, so that a stranger cannot make us hold 20 MiB.
        let visit = Visit { address, endpoint: scope(endpoint), now: began.at };
        identify_on(trail, directory, headers, &visit)?;
        // What: one parse that keeps the body's bytes; nothing is consumed by a request that cannot be read.
        let (call, attribution) = decode(endpoint, head, body, settings.body_limits()).await?;
        let shows_access = asks_for_access(headers)?;
        // Who, again: a body may take its time, and a key that ended meanwhile has ended. What follows goes by what is so
        // now, the caller's limits and the prices too.
        let now = clock.now();
        let caller = match identify(directory, headers, &Visit { now, ..visit }) {
            Ok(caller) => caller,
            Err(refusal) => {
                *trail = Trail::begin(endpoint.as_str(), began);
                recognise(trail, directory, headers, &refusal);
                return Err(refusal.into());
            }
        };
        // May it, where, and at which price: before anything is counted, so that a forbidden request costs nobody's
        // quota. The price is pinned here, so that a change of it never touches a call that is under way.
        let model = Box::<str>::from(call.model());
        let moment = (began.id, now, clock.monotonic_micros());
        let sent = sent(headers, routes, operator_keys, directory)?;
        let keys = (&**brought, &*sent);
        let by = (routes, tiers, pools, &settings.breaker);
        let permit = authorize(caller, call, attribution, by, keys, moment)
            .inspect_err(|failure| trail.passed_before(failure, &model, routes.name_of(&model)))?;
        // How much it can cost at most.
        let mut plan = plan(permit, settings);
        plan.shows_access = shows_access;
        // Whether the provider lets our credential have it: a target whose caps have no room is left out, before anything is
        // sent that it would refuse.
        if let Err(refusal) = plan.sit(clock) {
            trail.passed_route(&plan, routes.name_of(plan.model()));
            if !plan.call.endpoint().counts() && probe(&self.ledger, began, &plan, pools).await? {
                trail.passed_budgets(&plan);
            }
            return Err(Failure::Refused(refusal));
        }
        // How fast: taken before the hold, so that a call over its rate never becomes a write. Of several models it is for
        // the first one whose limits have room.
        let paced = pace(rates, (tiers, pools), clock, &mut plan, now);
        trail.passed_route(&plan, routes.name_of(plan.model()));
        let pace = self.paced_on(trail, began, &plan, paced).await?;
        Ok((plan, pace))
    }

    /// When a rate limit refuses, the budgets are asked first: they come before it in precedence, though they are looked
    /// at after it.
    async fn paced_on(
        &self,
        trail: &mut Trail,
        began: &Began,
        plan: &Plan,
        paced: Result<Pace, Box<OverRate>>,
    ) -> Result<Pace, Failure> {
        match paced {
            Ok(pace) => Ok(pace),
            Err(over) => {
                if !plan.call.endpoint().counts()
                    && probe(&self.ledger, began, plan, &self.shared.pools).await?
                {
                    trail.passed_budgets(plan);
                }
                Err(Failure::Limited(over))
            }
        }
    }

    /// From the plan to the answer. The call belongs to the books now: it goes on even if the client hangs up.
    async fn carry(
        &self,
        endpoint: Endpoint,
        began: Began,
        plan: Box<Plan>,
        pace: Pace,
        trail: Trail,
    ) -> Response<Answer> {
        let presence = Presence::default();
        let work = conduct(self.clone(), began, plan, pace, trail, presence.clone());
        match Persistent::new(work, presence, Arc::clone(&self.shared.tasks)).await {
            Ok(answer) => answer,
            Err(failure) => self.refuse(endpoint, began, failure),
        }
    }

    /// Records a call that was turned away before anybody looked at it.
    pub fn turned_away(&self, endpoint: Endpoint, id: RequestId, failure: &Failure) {
        let began = Began { id, at: self.shared.clock.now(), micros: self.shared.clock.monotonic_micros() };
        self.shared.recorder.record(Trail::begin(endpoint.as_str(), &began).stopped(failure));
    }

    pub(crate) fn refuse(&self, endpoint: Endpoint, began: Began, failure: Failure) -> Response<Answer> {
        let (outcome, booked) = (failure.outcome(), failure.is_booked());
        let response = failure.into_response(endpoint.dialect(), began.id);
        if !booked {
            self.shared.observer.finished(&Finished {
                request: began.id,
                endpoint: endpoint.as_str(),
                provider: None,
                outcome,
                status: response.status().as_u16(),
                streamed: false,
                duration_us: self.shared.clock.monotonic_micros().saturating_sub(began.micros),
                first_byte_us: 0,
                usage: Usage::default(),
                cost: Money::ZERO,
                estimated: false,
                attempts: 0,
                substituted: false,
            });
        }
        response
    }
}

/// From the hold to the receipt.
async fn conduct(
    gateway: Gateway,
    began: Began,
    plan: Box<Plan>,
    pace: Pace,
    trail: Trail,
    presence: Presence,
) -> Result<Response<Answer>, Failure> {
    // Who pays: durable before anything is sent, so that no crash can lose a call that a provider may bill.
    // Either way that ends the decision, which is recorded now: what the provider makes of it, its rows will tell.
    let (held, pace) = hold_on(trail, &gateway, &began, &plan, pace).await?;
    // The call itself, at one target after the other until one answers; relayed, metered and settled. Its end is released
    // when the settlement is durable, and after its first byte nothing is tried again.
    attempts(gateway, began, plan, held, pace, presence).await
}

/// Proves who calls, and notes it: also who it was whose key is no longer good.
fn identify_on(
    trail: &mut Trail,
    directory: &Directory,
    headers: &HeaderMap,
    visit: &Visit,
) -> Result<Caller, Refusal> {
    let identified = identify(directory, headers, visit);
    match &identified {
        Ok(caller) => {
            trail.recognised(caller.principal());
            trail.passed_key(caller.principal());
            trail.passed_project(caller.principal());
        }
        Err(refusal) => recognise(trail, directory, headers, refusal),
    }
    identified
}

/// Notes who it was whose key is no longer good.
fn recognise(trail: &mut Trail, directory: &Directory, headers: &HeaderMap, refusal: &Refusal) {
    if let Some(holder) = presented(headers).ok().flatten().and_then(|key| directory.holder(key)) {
        trail.recognised(&holder);
        if refusal.code.owner() > Owner::Key {
            trail.passed_key(&holder);
        }
    }
}

/// Sets the money aside, and records what was decided.
async fn hold_on(
    mut trail: Trail,
    gateway: &Gateway,
    began: &Began,
    plan: &Plan,
    pace: Pace,
) -> Result<(Held, Pace), Failure> {
    let held = hold(&gateway.ledger, began, plan, &gateway.shared.pools).await;
    let decision = match &held {
        Ok(held) => {
            trail.passed_budgets(plan);
            trail.passed_rates(&pace);
            trail.taken(plan, held.amount())
        }
        Err(failure) => {
            // The ledger looks at the budgets before it looks for credit; frozen books are not looked into at all.
            if let Failure::Refused(refusal) = failure
                && matches!(
                    refusal.code,
                    RefusalCode::CreditExhausted
                        | RefusalCode::WalletInDebt
                        | RefusalCode::GrantsUsedUp
                        | RefusalCode::FreeRequestsUsedUp
                )
            {
                trail.passed_budgets(plan);
                trail.passed_rates(&pace);
            }
            trail.stopped(failure)
        }
    };
    gateway.shared.recorder.record(decision);
    match held {
        Ok(held) => Ok((held, pace)),
        Err(failure) => {
            // What was not paid for has not used anything.
            pace.give_back();
            Err(failure)
        }
    }
}
