//! The operator's API, `/admin/v1/*`: what has no standard shape. Every route asks for the operator's key.
//!
//! It knows JSON, the words that people use and which refusal helps them; how money moves it leaves to the ledger.

mod budgets;
mod credits;
pub(crate) mod effective;
mod explain;
pub(crate) mod input;
mod organizations;
mod problem;
mod promo;
mod records;
mod statement;
mod topups;
pub(crate) mod view;
mod wallets;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, patch, post};
use directory::{Administrator, DirectoryService, KeyHash, KeyHasher, Mandate};
use domain::{Clock, Ids};
use ledger::LedgerStore;
use serde_json::Value;
use store::Reader;

use problem::Problem;

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
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) explain: crate::decisions::ExplainSettings,
    /// The answer to `/admin/v1/status`, but for what changes.
    pub(crate) status: Box<dyn Fn() -> Value + Send + Sync>,
}

type Shared = State<Arc<Admin>>;
type Answered = Result<Response, Problem>;

/// All routes. Whatever is added here is behind the operator's key, because the check wraps the router.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/admin/v1/organizations", post(organizations::create).get(organizations::list))
        .route("/admin/v1/organizations/{id}", patch(organizations::update).get(organizations::show))
        .route("/admin/v1/organizations/{id}/balance", get(wallets::balance))
        .route("/admin/v1/organizations/{id}/ledger", get(records::ledger))
        .route("/admin/v1/organizations/{id}/statement", get(statement::show))
        .route("/admin/v1/projects", post(organizations::create_project))
        .route("/admin/v1/keys", post(organizations::create_key))
        .route("/admin/v1/keys/{id}/limits", get(effective::show))
        .route("/admin/v1/wallets", post(wallets::create).get(wallets::list))
        .route("/admin/v1/credits/grants", post(credits::grant))
        .route("/admin/v1/credits/transfers", post(credits::transfer))
        .route("/admin/v1/credits/refunds", post(credits::refund))
        .route("/admin/v1/credits/payouts", post(credits::pay_out))
        .route("/admin/v1/credits/adjustments", post(credits::adjust))
        .route("/admin/v1/credits/redeem", post(credits::redeem))
        .route("/admin/v1/promo-codes", post(promo::create).get(promo::list))
        .route("/admin/v1/budgets", post(budgets::create).get(budgets::list))
        .route("/admin/v1/budgets/{id}", patch(budgets::update).delete(budgets::remove))
        .route("/admin/v1/events", get(records::events))
        .route("/admin/v1/topups", post(topups::create).get(topups::list))
        .route("/admin/v1/topups/{id}", get(topups::show))
        .route("/admin/v1/topups/{id}/confirm", post(topups::confirm))
        .route(
            "/admin/v1/organizations/{id}/recharge",
            get(topups::show_recharge).put(topups::set_recharge).delete(topups::stop_recharge),
        )
        .route("/admin/v1/usage", get(records::usage))
        .route("/admin/v1/requests/{id}", get(records::request))
        .route("/admin/v1/requests/{id}/explain", get(explain::show))
        .route("/admin/v1/status", get(status))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), operator_only))
        .with_state(admin)
}

impl Admin {
    /// What a change is made with.
    pub(crate) fn mandate(&self, hand: &Hand) -> Mandate<'_> {
        Mandate { actor: hand.by.actor(hand.address), ids: self.ids.as_ref(), now: self.clock.now() }
    }

    /// Whether the operator's key came with these headers.
    pub(crate) fn is_operator(&self, headers: &HeaderMap) -> bool {
        // Two hashes are compared, not two keys: how long that takes tells nothing about the key.
        bearer(headers).is_some_and(|key| self.hasher.hash(key) == self.operator)
    }
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(key.trim())
}

/// Who asks for a change, and from where.
#[derive(Clone, Debug)]
pub(crate) struct Hand {
    by: Administrator,
    address: Option<IpAddr>,
}

/// The client's address, as the front door found it out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

async fn operator_only(State(admin): Shared, mut request: Request, next: Next) -> Response {
    if admin.is_operator(request.headers()) {
        let address = request.extensions().get().and_then(|ClientAddress(address)| *address);
        request.extensions_mut().insert(Hand { by: Administrator::Operator, address });
        return next.run(request).await;
    }
    let message = if bearer(request.headers()).is_some() {
        "This is not the operator's key."
    } else {
        "The operator's key is missing."
    };
    let message =
        format!("{message} Set TOLLKEEPER_OPERATOR_KEY to what operator.key in the data folder holds.");
    view::error(StatusCode::UNAUTHORIZED, &message, "invalid_request_error", None, "invalid_api_key")
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
