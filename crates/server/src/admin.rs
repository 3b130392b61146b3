//! The operator's API, `/admin/v1/*`: what has no standard shape. Every route asks for the operator's key.

mod view;

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use directory::{
    CreateError, DataClass, DirectoryService, Environment, KeyHash, KeyHasher, NewKey, NewProject,
};
use domain::{Clock, Ids, LotId, Money, OrganizationId, ProjectId, RequestId, Timestamp};
use ledger::{Command, Denial, Grant, Idempotency, LedgerError, LedgerStore, LotKind, Reply};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::{Reader, StoreError};

use view::json;

/// Everything the routes need.
pub(crate) struct Admin {
    pub(crate) operator: KeyHash,
    pub(crate) hasher: KeyHasher,
    pub(crate) directory: DirectoryService,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    /// The answer to `/admin/v1/status`, but for what changes.
    pub(crate) status: Box<dyn Fn() -> Value + Send + Sync>,
}

type Shared = State<Arc<Admin>>;
type Answered = Result<Response, Problem>;

/// Why a call was not done, as the caller reads it.
pub(crate) struct Problem {
    status: StatusCode,
    message: String,
    param: Option<String>,
    code: &'static str,
}

impl Problem {
    fn field(param: &str, message: impl Into<String>) -> Self {
        let code = "invalid_value";
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), param: Some(param.to_owned()), code }
    }

    fn not_found(param: &str, id: &str) -> Self {
        let message = format!("There is no {id}; check the id.");
        Self { status: StatusCode::NOT_FOUND, message, param: Some(param.to_owned()), code: "not_found" }
    }

    fn conflict(message: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, message: message.into(), param: None, code: "conflict" }
    }

    /// A failure of ours: the log has the reason, the caller only the fact.
    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "an operator's call failed");
        let message = "The gateway could not do this; its log says why. Nothing was changed.".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message, param: None, code: "store_unavailable" }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        view::error(self.status, &self.message, kind, self.param.as_deref(), self.code)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        let message = error.to_string();
        match error {
            CreateError::Invalid { field, .. } => Self::field(field, message),
            CreateError::NotFound { field, .. } => Self {
                status: StatusCode::NOT_FOUND,
                message,
                param: Some(field.to_owned()),
                code: "not_found",
            },
            CreateError::Archived { .. } => Self::conflict(message),
            CreateError::Store(_) | CreateError::Inconsistent(_) => Self::internal(&message),
        }
    }
}

/// All routes. Whatever is added here is behind the operator's key, because the check wraps the router.
pub(crate) fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/admin/v1/organizations", post(create_organization))
        .route("/admin/v1/organizations/{id}/balance", get(balance))
        .route("/admin/v1/projects", post(create_project))
        .route("/admin/v1/keys", post(create_key))
        .route("/admin/v1/credits/grants", post(grant))
        .route("/admin/v1/usage", get(usage))
        .route("/admin/v1/requests/{id}", get(request))
        .route("/admin/v1/status", get(status))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&admin), operator_only))
        .with_state(admin)
}

impl Admin {
    /// Whether the operator's key came with these headers.
    pub(crate) fn is_operator(&self, headers: &HeaderMap) -> bool {
        // Two hashes are compared, not two keys: how long that takes tells nothing about the key.
        bearer(headers).is_some_and(|key| self.hasher.hash(key) == self.operator)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(key.trim())
}

async fn operator_only(State(admin): Shared, request: Request, next: Next) -> Response {
    if admin.is_operator(request.headers()) {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationBody {
    name: String,
}

async fn create_organization(State(admin): Shared, body: Bytes) -> Answered {
    let OrganizationBody { name } = parse(&body)?;
    let made = blocking(move || {
        Ok(admin.directory.create_organization(&name, admin.ids.as_ref(), admin.clock.now())?)
    });
    Ok(json(StatusCode::CREATED, &view::organization(&made.await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectBody {
    name: String,
    organization: String,
    environment: Option<String>,
    data_class: Option<String>,
}

async fn create_project(State(admin): Shared, body: Bytes) -> Answered {
    let body: ProjectBody = parse(&body)?;
    let new = NewProject {
        organization: field("organization", &body.organization)?,
        name: body.name,
        environment: optional::<Environment>("environment", body.environment.as_deref())?.unwrap_or_default(),
        data_class: optional::<DataClass>("data_class", body.data_class.as_deref())?.unwrap_or_default(),
    };
    let made =
        blocking(move || Ok(admin.directory.create_project(new, admin.ids.as_ref(), admin.clock.now())?));
    Ok(json(StatusCode::CREATED, &view::project(&made.await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    project: String,
    name: Option<String>,
    expires_at: Option<String>,
}

async fn create_key(State(admin): Shared, body: Bytes) -> Answered {
    let body: KeyBody = parse(&body)?;
    let new = NewKey {
        project: field::<ProjectId>("project", &body.project)?,
        name: body.name,
        expires_at: optional::<Timestamp>("expires_at", body.expires_at.as_deref())?,
    };
    let made =
        blocking(move || Ok(admin.directory.create_key(new, admin.ids.as_ref(), admin.clock.now())?));
    Ok(json(StatusCode::CREATED, &view::created_key(&made.await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantBody {
    organization: String,
    amount: String,
    kind: String,
    expires_at: Option<String>,
}

async fn grant(State(admin): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    let idempotency = idempotency(&headers, &body)?;
    let body: GrantBody = parse(&body)?;
    let id: OrganizationId = field("organization", &body.organization)?;
    let amount: Money = field("amount", &body.amount)?;
    let kind = match body.kind.as_str() {
        "promo" => LotKind::Promo,
        "prepaid" => LotKind::Prepaid,
        other => return Err(Problem::field("kind", format!("`{}` must be promo or prepaid.", shown(other)))),
    };
    let expires_at = optional::<Timestamp>("expires_at", body.expires_at.as_deref())?;
    let organization = admin.directory.directory().organization(id);
    let organization = organization.ok_or_else(|| Problem::not_found("organization", &body.organization))?;
    let grant = Grant {
        wallet: organization.wallet,
        lot: LotId::fresh(admin.ids.as_ref()),
        kind,
        amount,
        expires_at: expires_at.unwrap_or_else(|| default_expiry(kind, admin.clock.now())),
        idempotency,
    };
    match admin.ledger.submit(Command::Grant(grant)).await {
        Ok(Reply::Granted(lot)) => Ok(json(StatusCode::CREATED, &view::granted(id, &lot))),
        Ok(_) => Err(Problem::internal(&"another command was answered")),
        Err(LedgerError::Denied(denial)) => Err(denied(&denial)),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// Purchased credit lasts twelve months (3.4); a promotion lasts as long as it says, and for ever if it does not.
fn default_expiry(kind: LotKind, now: Timestamp) -> Timestamp {
    const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;
    if kind == LotKind::Prepaid { now.plus_seconds(YEAR_SECONDS) } else { Timestamp::MAX }
}

fn denied(denial: &Denial) -> Problem {
    match denial {
        Denial::Invalid { field: "amount" } => Problem::field("amount", "`amount` must be above zero."),
        Denial::Invalid { field } => Problem::field(field, format!("`{field}` must lie in the future.")),
        Denial::IdempotencyConflict => Problem::conflict(
            "This Idempotency-Key came with another body before; use a fresh key for another grant.",
        ),
        Denial::Overflow => Problem::field("amount", "`amount` is more than a wallet can hold."),
        Denial::Frozen => Problem::conflict("The wallet is frozen; run `tollkeeper verify`."),
        Denial::InsufficientCredit { .. }
        | Denial::InDebt { .. }
        | Denial::UnknownWallet
        | Denial::Duplicate
        | Denial::HoldGone => Problem::internal(denial),
    }
}

fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().map(str::trim).filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        Problem::field("Idempotency-Key", "`Idempotency-Key` must have 1 to 255 characters.")
    })?;
    Ok(Some(Idempotency { key: key.to_owned(), digest: *blake3::hash(body).as_bytes() }))
}

async fn balance(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let organization: OrganizationId = field("id", &id)?;
    let found = blocking(move || Ok(admin.reader.balance(organization, admin.clock.now())?)).await?;
    let balance = found.ok_or_else(|| Problem::not_found("id", &id))?;
    Ok(json(StatusCode::OK, &view::balance(&balance)))
}

#[derive(Deserialize)]
struct UsageQuery {
    organization: Option<String>,
    limit: Option<String>,
}

async fn usage(State(admin): Shared, Query(query): Query<UsageQuery>) -> Answered {
    let id =
        query.organization.ok_or_else(|| Problem::field("organization", "`organization` is missing."))?;
    let organization: OrganizationId = field("organization", &id)?;
    let limit = match query.limit.as_deref() {
        None => 20,
        Some(text) => text
            .parse::<u32>()
            .ok()
            .filter(|limit| (1..=1_000).contains(limit))
            .ok_or_else(|| Problem::field("limit", "`limit` must be a number from 1 to 1000."))?,
    };
    if admin.directory.directory().organization(organization).is_none() {
        return Err(Problem::not_found("organization", &id));
    }
    let mut rows = blocking(move || Ok(admin.reader.usage(organization, limit + 1)?)).await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok(json(StatusCode::OK, &view::usage(&rows, has_more)))
}

async fn request(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let request: RequestId = field("id", &id)?;
    let found = blocking(move || Ok(admin.reader.request(request)?)).await?;
    let record = found.ok_or_else(|| Problem::not_found("id", &id))?;
    Ok(json(StatusCode::OK, &view::request(request, &record)))
}

async fn status(State(admin): Shared) -> Response {
    json(StatusCode::OK, &(admin.status)())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not what this call takes: {error}.");
        let status = StatusCode::BAD_REQUEST;
        // serde names the field between backquotes.
        let param = message.split('`').nth(1).map(str::to_owned);
        Problem { status, message, param, code: "invalid_body" }
    })
}

fn field<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::field(name, format!("`{name}`: {error}.")))
}

fn optional<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| field(name, text)).transpose()
}

fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}

/// Runs what blocks on the store away from the threads that serve.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}
