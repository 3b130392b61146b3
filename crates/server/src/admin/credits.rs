//! Credit that comes, moves and goes on the operator's word.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use domain::{LotId, Money, RequestId, Timestamp, WalletId};
use ledger::{Act, Denial, Grant, LedgerError, LotKind, PromoCode, Reply};
use serde::Deserialize;
use store::RequestRecord;

use super::input::{Order, blocking, field, optional, positive, shown, strange_answer};
use super::view::{self, json};
use super::{Admin, Answered, Problem, Shared};

/// How long purchased credit lasts (3.4), and what is given back or put right.
const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantBody {
    organization: String,
    wallet: Option<String>,
    amount: String,
    kind: String,
    expires_at: Option<String>,
    reason: Option<String>,
}

pub(super) async fn grant(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: GrantBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let kind = match body.kind.as_str() {
        "promo" => LotKind::Promo,
        "prepaid" => LotKind::Prepaid,
        other => return Err(Problem::field("kind", format!("`{}` must be promo or prepaid.", shown(other)))),
    };
    // A promotion lasts as long as it says, and for ever if it does not.
    let default = if kind == LotKind::Prepaid { admin.in_a_year() } else { Timestamp::MAX };
    let grant = Grant {
        wallet: Some(Admin::wallet_of(&organization, "wallet", body.wallet.as_deref())?),
        lot: LotId::fresh(admin.ids.as_ref()),
        kind,
        amount: field("amount", &body.amount)?,
        expires_at: optional("expires_at", body.expires_at.as_deref())?.unwrap_or(default),
    };
    created_lot(organization.id, admin.book(&order, organization.id, body.reason, Act::Grant(grant)).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    organization: String,
    from: String,
    to: String,
    amount: String,
    reason: Option<String>,
}

pub(super) async fn transfer(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: TransferBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let from = Admin::wallet_of(&organization, "from", Some(&body.from))?;
    let to = Admin::wallet_of(&organization, "to", Some(&body.to))?;
    let amount = field("amount", &body.amount)?;
    let act = Act::Transfer { from, to, amount, lot: LotId::fresh(admin.ids.as_ref()) };
    let booked = admin.book(&order, organization.id, body.reason, act).await;
    let Reply::Granted(lots) = booked.map_err(|problem| problem.rename("wallet", "from"))? else {
        return Err(strange_answer());
    };
    Ok(json(StatusCode::CREATED, &view::transfer(organization.id, (from, to), amount, &lots)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    request: String,
    amount: Option<String>,
    expires_at: Option<String>,
    reason: String,
}

pub(super) async fn refund(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: RefundBody = order.parse()?;
    let request: RequestId = field("request", &body.request)?;
    let named = body.amount.as_deref().map(|text| positive("amount", text)).transpose()?;
    let expires_at = optional("expires_at", body.expires_at.as_deref())?.unwrap_or(admin.in_a_year());
    let reader = std::sync::Arc::clone(&admin.reader);
    let found = blocking(move || Ok(reader.request(request)?)).await?;
    let record = found.ok_or_else(|| Problem::not_found("request", request))?;
    let (organization, charged) = settled(&record)?;
    let lot = LotId::fresh(admin.ids.as_ref());
    let act = |amount| Act::Refund { request, amount, lot, expires_at };
    let reason = Some(body.reason);
    let answer = admin.try_book(&order, organization, reason.clone(), act(named.unwrap_or(charged))).await;
    let answer = match answer {
        // All that is left was asked for, and a part had been given back before.
        Err(LedgerError::Denied(Denial::RefundTooLarge { charged, refunded })) if named.is_none() => {
            let left = charged.checked_sub(refunded).filter(|left| *left > Money::ZERO);
            let left = left.ok_or_else(|| {
                Problem::conflict(format!("The {charged} that {request} was charged was given back already."))
            })?;
            admin.try_book(&order, organization, reason, act(left)).await
        }
        answer => answer,
    };
    created_lot(organization, answer.map_err(Problem::ledger)?)
}

/// Whose call it was, and what it was charged.
fn settled(record: &RequestRecord) -> Result<(domain::OrganizationId, Money), Problem> {
    let entry = record.entry.as_ref().zip(record.rows.first());
    let Some((entry, row)) = entry else {
        return Err(Problem::conflict("This call has not ended yet; refund it when it is settled."));
    };
    if entry.amount.is_zero() {
        return Err(Problem::conflict("This call was charged nothing, so there is nothing to give back."));
    }
    Ok((row.organization, entry.amount))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayOutBody {
    organization: String,
    wallet: Option<String>,
    amount: String,
    reason: String,
}

pub(super) async fn pay_out(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: PayOutBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let wallet = Admin::wallet_of(&organization, "wallet", body.wallet.as_deref())?;
    let amount = field("amount", &body.amount)?;
    let payout = admin.own_lot_id(&order, organization.id);
    let act = Act::PayOut { wallet, amount, payout };
    let Reply::Withdrawn(draws) = admin.book(&order, organization.id, Some(body.reason), act).await? else {
        return Err(strange_answer());
    };
    let shown = view::withdrawal("payout", payout, (organization.id, wallet), amount, &draws);
    Ok(json(StatusCode::CREATED, &shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustmentBody {
    organization: String,
    wallet: Option<String>,
    amount: String,
    expires_at: Option<String>,
    reason: String,
}

pub(super) async fn adjust(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: AdjustmentBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let wallet = Admin::wallet_of(&organization, "wallet", body.wallet.as_deref())?;
    let amount: Money = field("amount", &body.amount)?;
    if amount.is_zero() {
        return Err(Problem::field(
            "amount",
            "`amount` must be above zero to add credit, below zero to take it.",
        ));
    }
    let expires_at = optional("expires_at", body.expires_at.as_deref())?;
    if amount.is_negative() && expires_at.is_some() {
        return Err(Problem::field("expires_at", "`expires_at` is for credit that is added; leave it out."));
    }
    let lot = if amount.is_negative() {
        admin.own_lot_id(&order, organization.id)
    } else {
        LotId::fresh(admin.ids.as_ref())
    };
    let expires_at = expires_at.unwrap_or(admin.in_a_year());
    let act = Act::Adjust { wallet, amount, lot, expires_at };
    let reply = admin.book(&order, organization.id, Some(body.reason), act).await?;
    let Reply::Withdrawn(draws) = &reply else { return created_lot(organization.id, reply) };
    let shown = view::withdrawal("adjustment", lot, (organization.id, wallet), amount, draws);
    Ok(json(StatusCode::CREATED, &shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedeemBody {
    organization: String,
    code: String,
}

pub(super) async fn redeem(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: RedeemBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let code = PromoCode::normal_form(&body.code);
    if !(4..=64).contains(&code.len()) {
        return Err(Problem::field("code", "`code` must have 4 to 64 letters, digits and hyphens."));
    }
    // The journal knows lots and not codes, so the entry says it in its reason.
    let reason = Some(format!("promo code {}", shown(&code)));
    let ids = admin.ids.as_ref();
    let act = Act::Redeem { code, lot: LotId::fresh(ids), wallet: WalletId::fresh(ids) };
    created_lot(organization.id, admin.book(&order, organization.id, reason, act).await?)
}

fn created_lot(organization: domain::OrganizationId, reply: Reply) -> Answered {
    let Reply::Granted(lots) = reply else { return Err(strange_answer()) };
    let lot = lots.first().ok_or_else(strange_answer)?;
    Ok(json(StatusCode::CREATED, &view::granted(organization, lot)))
}

impl Admin {
    fn in_a_year(&self) -> Timestamp {
        self.clock.now().plus_seconds(YEAR_SECONDS)
    }

    /// An id of a booking that the ledger's answer does not repeat.
    fn own_lot_id(&self, order: &Order, organization: domain::OrganizationId) -> LotId {
        LotId::from_bytes(order.own_id(organization, self.ids.uuid()))
    }
}
