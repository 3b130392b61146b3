//! Wallets, and what is in them.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use domain::{OrganizationId, WalletId};
use ledger::{Act, Denial, LedgerError, Purpose, Reply};
use serde::Deserialize;
use store::Balance;

use super::input::{Order, Page, blocking, field, strange_answer};
use super::view::{self, OWN, json};
use super::{Admin, Answered, Problem, Shared};

pub(super) async fn balance(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let balance = balance_of(&admin, "id", &id).await?;
    Ok(json(StatusCode::OK, &view::balance(&balance)))
}

pub(super) async fn list(State(admin): Shared, Query(page): Query<Page>) -> Answered {
    let balance = balance_of(&admin, "organization", page.organization()?).await?;
    Ok(json(StatusCode::OK, &view::wallets(&balance)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletBody {
    organization: String,
    name: String,
    project: Option<String>,
    #[serde(default)]
    models: Vec<Box<str>>,
    #[serde(default)]
    overflow: bool,
}

pub(super) async fn create(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: WalletBody = order.parse()?;
    let id = admin.organization("organization", &body.organization)?.id;
    let project = body.project.as_deref().map(|text| admin.project_of(id, "project", text)).transpose()?;
    let purpose = Purpose { name: body.name.into(), project, models: body.models, overflow: body.overflow };
    let wallet = WalletId::fresh(admin.ids.as_ref());
    let act = Act::OpenWallet { wallet, purpose: purpose.clone() };
    match admin.try_book(&order, id, None, act).await {
        Ok(Reply::Opened) => {}
        Ok(_) => return Err(strange_answer()),
        Err(LedgerError::Denied(Denial::Duplicate)) => {
            return Err(Problem::conflict(
                "There is a wallet for the same project and models already; `tollkeeper wallets list` shows it.",
            ));
        }
        Err(error) => return Err(Problem::ledger(error)),
    }
    // No two have the same purpose, so this finds the one that was made, also when the call is a repeated one.
    let balance = balance_of(&admin, "organization", &body.organization).await?;
    let same = |other: &Purpose| other.project == purpose.project && other.models == purpose.models;
    let made = balance.wallets.iter().skip(1).find(|wallet| same(&wallet.purpose));
    Ok(json(StatusCode::CREATED, &view::wallet(id, made.ok_or_else(strange_answer)?, false)))
}

async fn balance_of(admin: &std::sync::Arc<Admin>, name: &str, text: &str) -> Result<Balance, Problem> {
    let organization: OrganizationId = field(name, text)?;
    let admin = std::sync::Arc::clone(admin);
    let found = blocking(move || Ok(admin.reader.balance(organization, admin.clock.now())?)).await?;
    found.ok_or_else(|| Problem::not_found(name, organization))
}

impl Admin {
    /// The wallet that a field names: by its id, or `own`, which is also what a missing field means.
    pub(super) fn wallet_of(
        organization: &directory::Organization,
        name: &str,
        text: Option<&str>,
    ) -> Result<WalletId, Problem> {
        match text {
            None | Some(OWN) => Ok(organization.wallet),
            Some(text) => text.parse().map_err(|error| {
                Problem::field(
                    name,
                    format!("`{name}`: {error}; or write `{OWN}` for the organization's own."),
                )
            }),
        }
    }
}
