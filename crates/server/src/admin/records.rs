//! What has happened: calls, bookings, events.

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use domain::{LotId, OrganizationId, RequestId};
use ledger::{Account, Leg};
use store::RequestRecord;

use super::input::{Page, blocking, cut, field};
use super::view::{self, json};
use super::{Answered, Hand, Problem, Shared};

pub(super) async fn usage(State(admin): Shared, Query(page): Query<Page>) -> Answered {
    let organization = admin.organization("organization", page.organization()?)?.id;
    let limit = page.limit()?;
    let rows = blocking(move || Ok(admin.reader.usage(organization, limit.saturating_add(1))?)).await?;
    let (rows, has_more) = cut(rows, limit);
    Ok(json(StatusCode::OK, &view::usage(&rows, has_more)))
}

pub(super) async fn request(
    State(admin): Shared,
    Extension(hand): Extension<Hand>,
    Path(id): Path<String>,
) -> Answered {
    let request: RequestId = field("id", &id)?;
    let found = blocking(move || Ok(admin.reader.request(request)?)).await?;
    // Somebody else's request is as unknown as one that does not exist.
    let found = found.filter(|record| hand.may_see(organization_of(record)));
    let record = found.ok_or_else(|| Problem::not_found("id", request))?;
    Ok(json(StatusCode::OK, &view::request(request, &record)))
}

/// Whose request it was, by its attempts or by the one that runs.
pub(super) fn organization_of(record: &RequestRecord) -> Option<OrganizationId> {
    let running = record.hold.as_ref().map(|hold| &*hold.draft);
    record.rows.first().or(running).map(|row| row.organization)
}

pub(super) async fn ledger(
    State(admin): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> Answered {
    let organization = admin.organization("id", &id)?.id;
    let (before, limit) = (page.before()?.unsigned_abs(), page.limit()?);
    let (entries, lots, balance) = blocking(move || {
        let entries = admin.reader.journal(organization, before, limit.saturating_add(1))?;
        let legs = entries.iter().flat_map(|entry| &entry.legs);
        let lots: BTreeSet<LotId> = legs.filter_map(lot_of).collect();
        let lots = admin.reader.lots(organization, &Vec::from_iter(lots))?;
        Ok((entries, lots, admin.reader.balance(organization, admin.clock.now())?))
    })
    .await?;
    let wallets = balance.map(|balance| balance.wallets).unwrap_or_default();
    let places = lots.iter().map(|lot| (lot.id, lot.wallet)).collect();
    let (entries, has_more) = cut(entries, limit);
    let data = entries.iter().map(|entry| view::entry(entry, &wallets, &places)).collect();
    Ok(json(StatusCode::OK, &view::list(data, has_more)))
}

const fn lot_of(leg: &Leg) -> Option<LotId> {
    match leg.account {
        Account::Lot(lot) => Some(lot),
        Account::Cash
        | Account::PromoExpense
        | Account::Revenue
        | Account::Breakage
        | Account::Receivable
        | Account::Correction => None,
    }
}

pub(super) async fn events(State(admin): Shared, Query(page): Query<Page>) -> Answered {
    let organization = admin.organization("organization", page.organization()?)?.id;
    let (before, limit) = (page.before()?, page.limit()?);
    let events =
        blocking(move || Ok(admin.reader.events(organization, before, limit.saturating_add(1))?)).await?;
    let (events, has_more) = cut(events, limit);
    let data = events.iter().map(|(number, event)| view::event(*number, event)).collect();
    Ok(json(StatusCode::OK, &view::list(data, has_more)))
}
