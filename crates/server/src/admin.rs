//! The administration: `/admin/v1/*`, what has no standard shape, and with `organization.rs` OpenAI's
//! `/v1/organization/*`.
//!
//! It knows JSON, the words that people use and which refusal helps them; how money moves it leaves to the ledger, and
//! who may do what to the directory.

mod access;
mod accounts;
pub(crate) mod audit;
mod budgets;
mod consents;
mod credits;
pub(crate) mod effective;
mod explain;
pub(crate) mod input;
pub(crate) mod keys;
pub(crate) mod openapi;
mod organizations;
mod pools;
mod problem;
mod promo;
mod provider_keys;
pub(crate) mod query;
mod rates;
mod records;
pub(crate) mod route;
mod routing;
mod statement;
mod table;
#[cfg(test)]
mod tests;
mod topups;
pub(crate) mod view;
mod wallets;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use directory::{DirectoryService, KeyHash, KeyHasher};
use domain::{Clock, Ids};
use ledger::LedgerStore;
use serde_json::Value;
use store::Reader;

pub(crate) use access::{ClientAddress, Hand, Reception, bearer};
pub(crate) use problem::Problem;
pub(crate) use route::{Call, Route};

/// Everything the routes need.
pub(crate) struct Admin {
    pub(crate) operator: KeyHash,
    pub(crate) hasher: KeyHasher,
    pub(crate) directory: DirectoryService,
    /// What calls are decided by: routes, tiers, and what is counted under rate limits.
    pub(crate) gateway: Arc<gateway::Shared>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) payments: Arc<crate::payments::Payments>,
    /// The provider keys that organizations bring.
    pub(crate) keyring: crate::keyring::Keyring,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) user_pays: crate::user_pays::UserPays,
    pub(crate) decisions: store::Decisions,
    pub(crate) explain: crate::decisions::ExplainSettings,
    /// The answer to `/admin/v1/status`, but for what changes.
    pub(crate) status: Box<dyn Fn() -> Value + Send + Sync>,
}

type Shared = State<Arc<Admin>>;
pub(crate) type Answered = Result<Response, Problem>;

/// Every route there is.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    [table::ORGANIZATIONS, table::PROJECTS, table::PROVIDER_KEYS, table::MONEY, crate::organization::ROUTES]
        .into_iter()
        .flatten()
}

/// The router of all routes. It is for requests that [`Admin::receive`] has let in.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    let router = routes().fold(Router::new(), |router, route| route.join(router, &admin));
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(admin)
}

async fn unknown(request: Request) -> Response {
    let message = format!("Invalid URL ({} {})", request.method(), request.uri().path());
    view::error(StatusCode::NOT_FOUND, &message, "invalid_request_error", None, "unknown_url")
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} is not a method of {}", request.method(), request.uri().path());
    view::error(StatusCode::METHOD_NOT_ALLOWED, &message, "invalid_request_error", None, "method_not_allowed")
}

async fn status(State(admin): Shared) -> Response {
    view::json(StatusCode::OK, &(admin.status)())
}
