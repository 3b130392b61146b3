//! What was decided about a request, recorded as it was decided: the layers it passed, with what each of them saw, and
//! the one that stopped it or the route it took.
//!
//! It knows the layers' order only by the order in which steps tell it what they saw, and writes that down at once as
//! JSON, into one buffer, so that a call that passes pays for one allocation and a few hundred copied bytes. It says
//! nothing twice: beyond a kilobyte a record takes the store several times as long. It must
//! never know a prompt, an answer or a secret, and what becomes of a decision is the [`Recorder`]'s affair: a call is
//! neither delayed nor failed for the sake of its record.

use directory::Principal;
use domain::{
    ConsentId, Country, KeyId, Money, OrganizationId, Owner, ProjectId, Refusal, RequestId, Timestamp,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::evidence::{Began, Plan};
use crate::failure::Failure;
use crate::rates::Pace;
use crate::routing::Strategy;

/// Room for the record of an ordinary call, so that it grows in one piece.
const BYTES_USUAL: usize = 1_024;
/// A model's name is the caller's text; longer ones are cut.
const MODEL_CHARS_MAX: usize = 128;

/// Keeps decisions, as well as it can.
pub trait Recorder: Send + Sync {
    /// Takes a decision. Called on the threads that serve: it never blocks, and what it cannot keep it drops.
    fn record(&self, decision: Decision);
}

/// A decision that has been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The request it is about.
    pub request: RequestId,
    /// When the request came.
    pub at: Timestamp,
    /// Whose request it was; `None` when nobody knows.
    pub organization: Option<OrganizationId>,
    /// Whether it was stopped before anything was sent.
    pub refused: bool,
    /// The rest as compact JSON: `endpoint`, `layers`, `caller`, and `stopped` or `taken`. What a layer saw is not
    /// repeated: of a caller whose key and project passed only the organization, of the route taken only its provider.
    pub body: String,
}

/// A decision as it is made. Every step of the pipeline says [`Trail::passed`] once for each layer that it let the
/// request pass.
pub(crate) struct Trail {
    request: RequestId,
    at: Timestamp,
    caller: Option<Principal>,
    /// The JSON so far, up to somewhere inside the list of layers.
    json: Vec<u8>,
    /// Whether a layer stands in the list already.
    has_layer: bool,
    /// Whether key and project stand there.
    has_caller: bool,
}

#[derive(Serialize)]
struct Passed<'a, S> {
    owner: Owner,
    saw: &'a S,
}

/// What the key's layer saw (1.1).
#[derive(Serialize)]
struct SawKey<'a> {
    id: KeyId,
    name: &'a str,
    redacted: &'a str,
    expires_at: Option<Timestamp>,
    /// The app that has the key, by which consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<ConsentId>,
}

/// What the project's layer saw (1.2).
#[derive(Serialize)]
struct SawProject<'a> {
    id: ProjectId,
    name: &'a str,
    environment: &'static str,
    data_class: &'static str,
}

/// What the model's layer saw (1.3).
#[derive(Serialize)]
pub(crate) struct SawModel<'a> {
    /// What the caller asked for.
    pub(crate) model: &'a str,
    /// The name of the route that it matched, a pattern perhaps.
    pub(crate) route: &'a str,
}

/// What the route's layer saw (1.5).
#[derive(Serialize)]
struct SawRoute<'a> {
    target: &'a str,
    price_version: &'a str,
    contract: &'a RawValue,
}

/// What the region's layer saw (1.4).
#[derive(Serialize)]
struct SawRegion {
    country: Option<Country>,
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<String>,
}

/// What the budgets' layer saw (1.6): what the call asked of each budget it counts in.
#[derive(Serialize)]
struct SawBudgets {
    asked: Money,
    tokens: u64,
}

/// What the billing layer saw (1.8): what was asked for, and what of it was set aside.
#[derive(Serialize)]
struct SawCredit<'a> {
    asked: Money,
    held: Money,
    /// The pool that pays before money does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
}

#[derive(Serialize)]
struct Named<'a, I> {
    id: I,
    name: &'a str,
}

#[derive(Serialize)]
struct Caller<'a> {
    organization: Named<'a, OrganizationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Named<'a, ProjectId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Named<'a, KeyId>>,
}

/// Where an admitted call goes; target, price and hold stand with their layers. The rest is told only where there is
/// any: of most routes there is one target.
#[derive(Serialize)]
struct Taken<'a> {
    provider: &'a str,
    /// The models that were asked for, where there are several, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<&'a str>,
    /// How the targets were ordered, where that is not as they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'static str>,
    /// The targets that are turned to when the first one fails, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then: Vec<&'a str>,
    /// The targets of the route that do not get the call, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<(&'a str, &'static str)>,
}

/// Why a request was stopped. Without an owner it was no limit: the request could not be read, or the gateway had no
/// room for it.
#[derive(Default, Serialize)]
struct Stopped<'a> {
    owner: Option<Owner>,
    kind: &'a str,
    code: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'a str>,
}

impl Trail {
    /// The decision about a request that has just come.
    pub(crate) fn begin(endpoint: &'static str, began: &Began) -> Self {
        let mut trail = Self {
            request: began.id,
            at: began.at,
            caller: None,
            json: Vec::with_capacity(BYTES_USUAL),
            has_layer: false,
            has_caller: false,
        };
        trail.json.extend_from_slice(b"{\"endpoint\":");
        trail.write(&endpoint);
        trail.json.extend_from_slice(b",\"layers\":[");
        trail
    }

    /// A layer let the request pass. What it saw is to be useful to a person, and holds no text of a prompt.
    pub(crate) fn passed(&mut self, owner: Owner, saw: &impl Serialize) {
        if self.has_layer {
            self.json.push(b',');
        }
        self.has_layer = true;
        self.write(&Passed { owner, saw });
    }

    /// It is known who calls, whether or not they may.
    pub(crate) fn recognised(&mut self, caller: &Principal) {
        self.caller = Some(caller.clone());
    }

    /// The key is good (1.1).
    pub(crate) fn passed_key(&mut self, caller: &Principal) {
        let saw = SawKey {
            id: caller.key.id,
            name: &caller.key.name,
            redacted: &caller.key.redacted,
            expires_at: caller.key.expires_at,
            app: caller.consent().map(|consent| consent.app.host()),
            consent: caller.key.consent,
        };
        self.passed(Owner::Key, &saw);
    }

    /// The key may call for its project (1.2).
    pub(crate) fn passed_project(&mut self, caller: &Principal) {
        let saw = SawProject {
            id: caller.project.id,
            name: &caller.project.name,
            environment: caller.project.environment.as_str(),
            data_class: caller.project.data_class.as_str(),
        };
        self.passed(Owner::Project, &saw);
        self.has_caller = true;
    }

    /// The model is there for the caller, at a price (1.3), and so is a route (1.5). `route` is the name that the model
    /// matched.
    pub(crate) fn passed_route(&mut self, plan: &Plan, route: &str) {
        self.passed(Owner::ModelAccess, &SawModel { model: cut(plan.model()), route });
        let contract = &plan.target().contract;
        let country = plan.principal.organization().country;
        self.passed(Owner::Region, &SawRegion { country, served: contract.countries.describe() });
        let saw = SawRoute {
            target: cut(&plan.target().label),
            price_version: &plan.candidate().price.id,
            contract: &plan.target().facts,
        };
        self.passed(Owner::Route, &saw);
    }

    /// The layers that a call passed before this failure stopped it on its way to a route (1.3 to 1.5).
    pub(crate) fn passed_before(&mut self, failure: &Failure, model: &str, route: &str) {
        let stopped_by = failure.refusal().map(|refusal| refusal.code.owner());
        if stopped_by > Some(Owner::ModelAccess) {
            self.passed(Owner::ModelAccess, &SawModel { model: cut(model), route });
        }
        if stopped_by > Some(Owner::Region) {
            let country = self.caller.as_ref().and_then(|caller| caller.organization().country);
            self.passed(Owner::Region, &SawRegion { country, served: None });
        }
    }

    /// Every budget has room for the call (1.6).
    pub(crate) fn passed_budgets(&mut self, plan: &Plan) {
        let ask = plan.ask;
        let tokens = plan.input_guess.saturating_add(ask.tokens);
        self.passed(Owner::UsageLimit, &SawBudgets { asked: ask.amount, tokens });
    }

    /// The call is within every rate limit (1.7).
    pub(crate) fn passed_rates(&mut self, pace: &Pace) {
        self.passed(Owner::RateLimit, &pace.seen());
    }

    /// The call goes where the plan says, and so much is set aside for it (1.8).
    pub(crate) fn taken(mut self, plan: &Plan, held: Money) -> Decision {
        let asked = plan.ask.amount;
        let pool = plan.candidate().funding.pool.as_ref().map(|pool| &*pool.key.pool);
        self.passed(Owner::Billing, &SawCredit { asked, held, pool });
        self.end_at(plan)
    }

    /// The call counted its prompt where the plan says: nothing is set aside for that.
    pub(crate) fn counted(self, plan: &Plan) -> Decision {
        self.end_at(plan)
    }

    fn end_at(self, plan: &Plan) -> Decision {
        let candidates = &plan.candidates;
        let strategy = plan.candidate().route.strategy;
        let fallbacks = plan.call.fallbacks().iter().map(|fallback| &*fallback.model);
        let models = std::iter::once(plan.call.model()).chain(fallbacks).map(cut);
        let taken = Taken {
            provider: &plan.target().provider.name,
            models: if plan.call.fallbacks().is_empty() { Vec::new() } else { models.collect() },
            by: (strategy != Strategy::Ordered).then_some(strategy.as_str()),
            then: candidates.others().iter().map(|other| cut(&other.target.label)).collect(),
            left_out: candidates.left_out().iter().map(|out| (cut(&out.target), out.code)).collect(),
        };
        self.end("taken", &taken, false)
    }

    /// The request gets no further.
    pub(crate) fn stopped(self, failure: &Failure) -> Decision {
        let own = failure.own_body();
        let plain = Stopped { kind: failure.outcome(), next_step: next_step(failure), ..Stopped::default() };
        let stopped = match failure {
            Failure::Refused(refusal) => of_refusal(refusal),
            Failure::Limited(over) => of_refusal(&over.refusal),
            Failure::BadRequest(error) => {
                Stopped { code: error.code, param: error.param.as_deref(), message: &error.message, ..plain }
            }
            Failure::Upstream(upstream) => Stopped { message: upstream.message(), ..plain },
            Failure::Body(_)
            | Failure::Busy
            | Failure::Unavailable
            | Failure::Draining
            | Failure::Unsettled => match &own {
                Some(body) => Stopped { code: body.code.as_deref(), message: &body.message, ..plain },
                None => plain,
            },
        };
        self.end("stopped", &stopped, true)
    }

    fn end(mut self, name: &str, end: &impl Serialize, refused: bool) -> Decision {
        self.json.extend_from_slice(b"],\"caller\":");
        let caller = self.caller.take();
        let seen = self.has_caller;
        let named = caller.as_ref().map(|caller| Caller {
            organization: Named { id: caller.organization().id, name: &caller.organization().name },
            project: (!seen).then_some(Named { id: caller.project.id, name: &caller.project.name }),
            key: (!seen).then_some(Named { id: caller.key.id, name: &caller.key.name }),
        });
        self.write(&named);
        self.json.extend_from_slice(b",\"");
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
        self.write(end);
        self.json.push(b'}');
        Decision {
            request: self.request,
            at: self.at,
            organization: caller.map(|caller| caller.organization().id),
            refused,
            // Whoever writes JSON writes UTF-8.
            body: String::from_utf8(self.json).unwrap_or_default(),
        }
    }

    /// Appends a value. One that cannot be written, which none of ours is, leaves a `null`.
    fn write(&mut self, value: &impl Serialize) {
        let before = self.json.len();
        if serde_json::to_writer(&mut self.json, value).is_err() {
            self.json.truncate(before);
            self.json.extend_from_slice(b"null");
        }
    }
}

fn of_refusal(refusal: &Refusal) -> Stopped<'_> {
    Stopped {
        owner: Some(refusal.code.owner()),
        kind: "refused",
        code: Some(refusal.code.as_str()),
        message: &refusal.message,
        param: None,
        limit: refusal.limit.as_deref(),
        used: refusal.used.as_deref(),
        resets_at: refusal.resets_at,
        retry_after_ms: refusal.retry_after_ms,
        next_step: Some(&refusal.next_step),
    }
}

/// What helps where no limit owner says it.
const fn next_step(failure: &Failure) -> Option<&'static str> {
    match failure {
        Failure::BadRequest(_) | Failure::Body(_) => {
            Some("mend the request as the message says; nothing was counted or charged")
        }
        Failure::Busy | Failure::Draining => Some("try again in a second; nothing was charged"),
        Failure::Unavailable => Some("the operator looks at the gateway's log, and restarts it"),
        Failure::Refused(_) | Failure::Limited(_) | Failure::Unsettled | Failure::Upstream(_) => None,
    }
}

/// A text of the caller's, as far as anybody needs it.
fn cut(text: &str) -> &str {
    text.char_indices().nth(MODEL_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
