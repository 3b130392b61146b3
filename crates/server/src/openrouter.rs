//! OpenRouter's `/api/v1/key`, `/keys`, `/credits` and `/generation`, in its shapes, for the programs that know them:
//! status lines, tray applications, its SDKs. Its calls of models are those of `/v1`, with errors of its own.
//!
//! It knows paths, JSON and who may ask. What a key has cost the books say, and its limit is a budget like any other.

mod access;
mod amount;
mod auth;
mod fault;
mod keys;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use bytes::Bytes;
use dialect::{Endpoint, ErrorBody};
use directory::Principal;
use domain::{KeyId, OrganizationId, RequestId, Zone};
use ledger::{CostRow, Period, Subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::KeyCost;

use self::access::{Audience, Manager, Sight, Who, identify};
use self::amount::Amount;
pub(crate) use self::fault::Fault;
pub(crate) use self::keys::THRESHOLDS as LIMIT_THRESHOLDS;
use self::shape::{Credits, Data, FreeRequests, Generation, OwnKey};
use crate::admin::effective::budgets_of;
use crate::admin::{Admin, ClientAddress};

/// Where all of it is.
pub(crate) const PATH: &str = "/api/v1/";
/// A call is a few fields.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// How OpenRouter's ids of calls begin; ours are as good.
const GENERATION: &str = "gen-";

type Answer = Result<(u16, Bytes), Fault>;

/// The call of a model at a path of OpenRouter's, which has OpenAI's and Anthropic's below its own.
pub(crate) fn endpoint(path: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::at(path.strip_prefix("/api").filter(|_| path.starts_with(PATH))?)?;
    let has = [Endpoint::Chat, Endpoint::Responses, Endpoint::Embeddings, Endpoint::Messages];
    has.contains(&endpoint).then_some(endpoint)
}

/// An answer as OpenRouter gives it there: a failure has its shape and status, but for those of responses and
/// messages, which keep their makers'.
pub(crate) fn told<B>(
    endpoint: Endpoint,
    mut response: Response<B>,
    body: impl FnOnce(Bytes) -> B,
) -> Response<B> {
    let keeps_shape = matches!(endpoint, Endpoint::Responses | Endpoint::Messages);
    match response.extensions_mut().remove::<ErrorBody>().filter(|_| !keeps_shape) {
        None => response,
        Some(error) => {
            let (status, answer) = Fault::from(error).into_answer();
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            response.map(|_| body(answer))
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    OwnKey,
    ListKeys,
    CreateKey,
    ShowKey(String),
    UpdateKey(String),
    RemoveKey(String),
    Credits,
    Generation,
    Exchange,
    MakeCode,
}

/// A call, and who makes it.
pub(crate) struct Asked {
    call: Call,
    who: Who,
    query: Query,
    address: Option<IpAddr>,
}

/// The fields of a query, as they were written: ids, numbers and words, none of which is ever encoded.
#[derive(Clone, Debug, Default)]
struct Query(String);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(field, _)| *field == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    }
}

/// What is asked and by whom, from the head alone.
pub(crate) fn receive(admin: &Admin, head: &Parts) -> Result<Asked, Fault> {
    let call = Call::of(&head.method, head.uri.path())?;
    let who = identify(admin, head, call.audience())?;
    let address = head.extensions.get().and_then(|ClientAddress(address)| *address);
    Ok(Asked { call, who, query: Query(head.uri.query().unwrap_or_default().to_owned()), address })
}

/// The answer, by its status and body.
pub(crate) async fn answer(admin: &Arc<Admin>, asked: Asked, body: Bytes) -> (u16, Bytes) {
    let admin = Arc::clone(admin);
    // Everything here reads or writes the store, which blocks.
    let answer = tokio::task::spawn_blocking(move || asked.answer(&admin, &body)).await;
    match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(fault)) => fault.into_answer(),
        Err(error) => Fault::internal(&error).into_answer(),
    }
}

impl Call {
    fn of(method: &Method, path: &str) -> Result<Self, Fault> {
        let rest = path.strip_prefix(PATH).unwrap_or_default().trim_end_matches('/');
        let (first, second) =
            rest.split_once('/').map_or((rest, None), |(first, second)| (first, Some(second)));
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let allowed = match (first, second) {
            ("key" | "credits" | "generation", None) => "GET",
            ("keys", None) => "GET, POST",
            ("auth", Some("keys" | "keys/code")) => "POST",
            ("keys", Some(hash)) if !hash.contains('/') => "GET, PATCH, DELETE",
            _ => return Err(Fault::new(404, format!("There is no {path} here."))),
        };
        let hash = || second.unwrap_or_default().to_owned();
        Ok(match (first, method, second) {
            ("key", &Method::GET, _) => Self::OwnKey,
            ("credits", &Method::GET, _) => Self::Credits,
            ("generation", &Method::GET, _) => Self::Generation,
            ("keys", &Method::GET, None) => Self::ListKeys,
            ("keys", &Method::POST, None) => Self::CreateKey,
            ("auth", &Method::POST, Some("keys")) => Self::Exchange,
            ("auth", &Method::POST, _) => Self::MakeCode,
            ("keys", &Method::GET, Some(_)) => Self::ShowKey(hash()),
            ("keys", &Method::PATCH, Some(_)) => Self::UpdateKey(hash()),
            ("keys", &Method::DELETE, Some(_)) => Self::RemoveKey(hash()),
            _ => {
                let message = format!("{method} is not a method of {path}; it takes {allowed}.");
                return Err(Fault::new(405, message));
            }
        })
    }

    const fn audience(&self) -> Audience {
        match self {
            Self::Exchange => Audience::Open,
            Self::OwnKey | Self::MakeCode => Audience::Projects,
            Self::Generation => Audience::Both,
            Self::ListKeys
            | Self::CreateKey
            | Self::ShowKey(_)
            | Self::UpdateKey(_)
            | Self::RemoveKey(_)
            | Self::Credits => Audience::Administrators,
        }
    }
}

impl Asked {
    fn answer(&self, admin: &Admin, body: &[u8]) -> Answer {
        match (&self.call, &self.who) {
            (Call::Exchange, _) => auth::exchange(admin, self.address, body),
            (Call::MakeCode, Who::Caller(caller)) => auth::make_code(admin, caller, self.address, body),
            (Call::Generation, who) => generation(admin, who, &self.query),
            (Call::OwnKey, Who::Caller(caller)) => own_key(admin, caller),
            (Call::ListKeys, Who::Manager(manager)) => keys::list(admin, manager, &self.query),
            (Call::CreateKey, Who::Manager(manager)) => keys::create(admin, manager, body),
            (Call::ShowKey(hash), Who::Manager(manager)) => keys::show(admin, manager, hash),
            (Call::UpdateKey(hash), Who::Manager(manager)) => keys::update(admin, manager, hash, body),
            (Call::RemoveKey(hash), Who::Manager(manager)) => keys::remove(admin, manager, hash),
            (Call::Credits, Who::Manager(manager)) => credits(admin, manager),
            // Whoever has come this far is of the call's audience.
            (_, Who::Caller(_) | Who::Manager(_) | Who::Anybody) => {
                Err(Fault::internal(&"a caller of the wrong kind"))
            }
        }
    }
}

/// `GET /key`: what a key may still spend and what it has cost.
fn own_key(admin: &Admin, caller: &Principal) -> Answer {
    let (now, organization) = (admin.clock.now(), caller.organization().id);
    let mut budgets = budgets_of(&admin.reader, caller, None, now)?;
    if caller.key.consent.is_some() {
        // What else its user and their organization may spend is no app's affair.
        let own = caller.key.id.to_string();
        budgets.retain(|(budget, _)| matches!(&budget.subject, Subject::Key(Some(which)) if **which == *own));
    }
    let cost = costs_of(admin, organization, Some(caller.key.id))?.remove(&caller.key.id);
    let is_apps = caller.key.consent.is_some();
    let has_bought = is_apps || !admin.reader.credit_totals(organization)?.purchased.is_zero();
    let (day, cap, _) = admin.gateway.pools.free_pool(organization, now);
    let used = if is_apps { 0 } else { admin.reader.pool(organization, &day)?.used };
    let free = FreeRequests::new(cap, used);
    let key = OwnKey::new(&caller.key, &budgets, cost.unwrap_or_default(), has_bought, free, now);
    found(&Data { data: key })
}

/// `GET /credits`: what the organization was given and has bought, and what it has spent.
fn credits(admin: &Admin, manager: &Manager) -> Answer {
    manager.must_read()?;
    let totals = admin.reader.credit_totals(manager.tenant.organization.id)?;
    let (total_credits, total_usage) = (Amount(totals.credited), Amount(totals.charged));
    found(&Data { data: Credits { total_credits, total_usage } })
}

/// `GET /generation?id=`: what a call was and what it cost.
fn generation(admin: &Admin, who: &Who, query: &Query) -> Answer {
    let id =
        query.get("id").ok_or_else(|| Fault::field("id", "is missing; it is the call's x-request-id"))?;
    let digits = id.strip_prefix(GENERATION).or_else(|| id.strip_prefix(RequestId::PREFIX)).unwrap_or(id);
    let request: Option<RequestId> = format!("{}{digits}", RequestId::PREFIX).parse().ok();
    let record = request.map(|request| admin.reader.request(request)).transpose()?.flatten();
    // A call of somebody else's is no call to this one; one that runs has no cost yet.
    let rows = record.map(|record| record.rows).unwrap_or_default();
    let is_shown = who.sight().is_some_and(|sight| is_for(&rows, &sight));
    let rows = if is_shown { rows } else { Vec::new() };
    let generation = Generation::of(id, &rows).ok_or_else(|| Fault::not_found("generation"))?;
    found(&Data { data: generation })
}

/// Whether a call may be shown to whoever sees so much.
fn is_for(rows: &[CostRow], sight: &Sight) -> bool {
    rows.iter().all(|row| {
        row.organization == sight.organization
            && sight.project.is_none_or(|project| row.project == project)
            && sight.key.is_none_or(|key| row.key == key)
    })
}

/// What keys have cost: in all, today, this week and this month (UTC).
fn costs_of(
    admin: &Admin,
    organization: OrganizationId,
    key: Option<KeyId>,
) -> Result<HashMap<KeyId, KeyCost>, Fault> {
    let (now, utc) = (admin.clock.now(), Zone::default());
    let since = [Period::Daily, Period::Weekly, Period::Monthly].map(|period| period.around(now, &utc).start);
    Ok(admin.reader.key_costs(organization, key, since)?)
}

fn found(body: &impl Serialize) -> Answer {
    written(200, body)
}

fn created(body: &impl Serialize) -> Answer {
    written(201, body)
}

fn written(status: u16, body: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(body).map_err(|error| Fault::internal(&error))?;
    Ok((status, Bytes::from(body)))
}

/// A JSON body.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(400, format!("The body is not what this call takes: {error}.")))
}
