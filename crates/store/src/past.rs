//! Looking up what a command's rule must know of the past.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use domain::{BudgetId, LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{
    Account, Act, Booking, Books, Budget, Charged, Command, EntryKind, Past, PromoCode, Reply, Use, UseKey,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{COST_ROW, from_json, read_cost_row, tokens};
use crate::reader::{ENTRY, read_entry};
use crate::{StoreError, books};

/// A request's id begins with the moment it came, by the clock that also stamps its row. Rows of a period are looked
/// for from this much earlier, in case the clock was set in between.
pub(crate) const CLOCK_SLACK_MS: i64 = 24 * 60 * 60 * 1_000;

/// The newest request of each organization that has ended. Ids rise with time, and one that is greater cannot have
/// ended: nearly every hold is spared the search for its rows.
#[derive(Default)]
pub(crate) struct Ended(HashMap<OrganizationId, RequestId>);

impl Ended {
    /// A request has ended.
    pub(crate) fn add(&mut self, organization: OrganizationId, request: RequestId) {
        // Those that are not known are read when they are wanted.
        if let Some(newest) = self.0.get_mut(&organization) {
            *newest = request.max(*newest);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn contains(
        &mut self,
        connection: &Connection,
        organization: OrganizationId,
        request: RequestId,
    ) -> Result<bool, StoreError> {
        let newest = match self.0.entry(organization) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => *unknown.insert(newest_ended(connection, organization)?),
        };
        Ok(request <= newest && has_ended(connection, organization, request)?)
    }
}

/// The past as this command needs it.
pub(crate) fn look_up(
    connection: &Connection,
    books: &Books,
    ended: &mut Ended,
    command: &Command,
    now: Timestamp,
) -> Result<Past, StoreError> {
    match command {
        Command::Hold(hold) | Command::Probe(hold) => {
            let taken = ended.contains(connection, books.organization, hold.request)?;
            Ok(Past { taken, ..Past::default() })
        }
        Command::Book(booking) => of_booking(connection, books, booking, now),
        Command::Open { .. }
        | Command::Extend(_)
        | Command::Settle { .. }
        | Command::Sweep { .. }
        | Command::Issue(_) => Ok(Past::default()),
    }
}

/// Loads the budget periods that a hold counts in, or would, and the pools that a command draws on, so that the rules
/// find them.
pub(crate) fn load_uses(
    connection: &Connection,
    books: &mut Books,
    command: &Command,
    now: Timestamp,
) -> Result<(), StoreError> {
    let absent = books.absent_pools(command);
    books::load_pools(connection, books, absent)?;
    let (Command::Hold(hold) | Command::Probe(hold)) = command else { return Ok(()) };
    for key in books.absent_uses(&hold.draft, now) {
        if let Some(used) = books::load_use(connection, books.organization, &key)? {
            books.uses.insert(key, used);
        }
    }
    Ok(())
}

fn of_booking(
    connection: &Connection,
    books: &Books,
    booking: &Booking,
    now: Timestamp,
) -> Result<Past, StoreError> {
    let organization = books.organization;
    let mut past = Past::default();
    if let Some(named) = &booking.idempotency {
        past.answered = answered(connection, organization, &named.key)?;
    }
    let used = |lot: LotId| is_reference(connection, organization, (lot, lot));
    match &booking.act {
        Act::Grant(grant) => past.taken = used(grant.lot)?,
        Act::TopUp { grant, payment } => {
            past.taken = used(grant.lot)?;
            past.paid = paid(connection, payment)?;
        }
        Act::Redeem { code, lot, wallet } => {
            past.taken = used(*lot)? || is_wallet(connection, *wallet)?;
            past.promo = promo(connection, code)?;
            past.redeemed = exists(
                connection,
                "SELECT 1 FROM promo_redemption WHERE organization = ?1 AND code = ?2",
                params![organization.as_bytes(), &**code],
            )?;
        }
        Act::OpenWallet { wallet, .. } => past.taken = is_wallet(connection, *wallet)?,
        Act::Refund { request, lot, .. } => {
            past.taken = used(*lot)?;
            past.charged = charged(connection, organization, *request)?;
        }
        Act::Transfer { lot, .. } => {
            past.taken = is_reference(connection, organization, Past::lot_ids(books, *lot))?;
        }
        Act::Adjust { lot, .. } | Act::PayOut { payout: lot, .. } => {
            past.taken = used(*lot)?;
        }
        Act::SetBudget(budget) => {
            let known = books.budgets.iter().any(|known| known.id == budget.id);
            past.taken = !known && is_budget(connection, organization, budget.id)?;
            if !known {
                past.consumed = consumed(connection, organization, budget, now)?;
            }
        }
        Act::RemoveBudget(_) => {}
    }
    Ok(past)
}

fn exists(connection: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached(sql)?.exists(values)?)
}

/// The greatest id among the requests that have ended, zeros when none has.
fn newest_ended(connection: &Connection, organization: OrganizationId) -> Result<RequestId, StoreError> {
    let sql = "SELECT request FROM cost_row WHERE organization = ?1 ORDER BY request DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let newest = statement.query_row([organization.as_bytes()], |row| row.get(0)).optional()?;
    Ok(RequestId::from_bytes(newest.unwrap_or_default()))
}

fn has_ended(
    connection: &Connection,
    organization: OrganizationId,
    request: RequestId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM cost_row WHERE organization = ?1 AND request = ?2";
    exists(connection, sql, params![organization.as_bytes(), request.as_bytes()])
}

/// Whether a lot, or a booking named like one, has one of these ids, the last one included.
fn is_reference(
    connection: &Connection,
    organization: OrganizationId,
    (first, last): (LotId, LotId),
) -> Result<bool, StoreError> {
    let key = params![organization.as_bytes(), first.as_bytes(), last.as_bytes()];
    let lot = "SELECT 1 FROM lot WHERE organization = ?1 AND id BETWEEN ?2 AND ?3";
    let booked = "SELECT 1 FROM journal WHERE organization = ?1 AND reference BETWEEN ?2 AND ?3 AND kind > 3";
    Ok(exists(connection, lot, key)? || exists(connection, booked, key)?)
}

pub(crate) fn is_wallet(connection: &Connection, id: WalletId) -> Result<bool, StoreError> {
    exists(connection, "SELECT 1 FROM wallet WHERE id = ?1", [id.as_bytes()])
}

fn is_budget(
    connection: &Connection,
    organization: OrganizationId,
    id: BudgetId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM budget WHERE organization = ?1 AND id = ?2";
    exists(connection, sql, params![organization.as_bytes(), id.as_bytes()])
}

/// What an organization's books remember and no reader shows, in the order of its keys.
#[cfg(feature = "simulation")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The idempotency keys, each with the digest of the body that it came with.
    pub names: Vec<(String, [u8; 32])>,
    /// The budgets that there are, and those that were removed.
    pub budgets: Vec<BudgetId>,
}

#[cfg(feature = "simulation")]
impl Remembered {
    pub(crate) fn load(connection: &Connection, organization: OrganizationId) -> Result<Self, StoreError> {
        let owner = params![organization.as_bytes()];
        let mut names = connection
            .prepare_cached("SELECT key, digest FROM idempotency WHERE organization = ?1 ORDER BY key")?;
        let names = names.query_map(owner, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut budgets =
            connection.prepare_cached("SELECT id FROM budget WHERE organization = ?1 ORDER BY id")?;
        let budgets = budgets.query_map(owner, |row| Ok(BudgetId::from_bytes(row.get(0)?)))?;
        Ok(Self { names: names.collect::<Result<_, _>>()?, budgets: budgets.collect::<Result<_, _>>()? })
    }
}

/// The digest and the answer under an idempotency key.
fn answered(
    connection: &Connection,
    organization: OrganizationId,
    key: &str,
) -> Result<Option<([u8; 32], Reply)>, StoreError> {
    let found: Option<([u8; 32], String)> = connection
        .prepare_cached("SELECT digest, answer FROM idempotency WHERE organization = ?1 AND key = ?2")?
        .query_row(params![organization.as_bytes(), key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(digest, answer)| Ok((digest, from_json(&answer, "idempotency.answer")?))).transpose()
}

fn paid(connection: &Connection, payment: &str) -> Result<Option<(OrganizationId, Reply)>, StoreError> {
    let found: Option<([u8; 16], String)> = connection
        .prepare_cached("SELECT organization, answer FROM payment WHERE payment = ?1")?
        .query_row([payment], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(owner, answer)| Ok((OrganizationId::from_bytes(owner), from_json(&answer, "payment.answer")?)))
        .transpose()
}

/// A promo code by its normal form.
pub(crate) fn promo(connection: &Connection, code: &str) -> Result<Option<PromoCode>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {PROMO} FROM promo_code WHERE code = ?1"))?;
    let mut rows = statement.query([code])?;
    rows.next()?.map(read_promo).transpose()
}

/// Columns of a promo code, in the order in which [`read_promo`] reads them.
pub(crate) const PROMO: &str = "code, amount, expires_at, credit_seconds, uses_max, uses, models, created_at";

pub(crate) fn read_promo(row: &Row<'_>) -> Result<PromoCode, StoreError> {
    Ok(PromoCode {
        code: row.get(0)?,
        amount: Money::from_nano(row.get(1)?),
        expires_at: Timestamp::from_micros(row.get(2)?),
        credit_seconds: row.get(3)?,
        uses_max: tokens(row, 4)?,
        uses: tokens(row, 5)?,
        models: from_json(&row.get::<_, String>(6)?, "promo_code.models")?,
        created_at: Timestamp::from_micros(row.get(7)?),
    })
}

/// What a settled call was charged, and what was given back of it.
pub(crate) fn charged(
    connection: &Connection,
    organization: OrganizationId,
    request: RequestId,
) -> Result<Option<Charged>, StoreError> {
    let key = params![organization.as_bytes(), request.as_bytes()];
    let settled = format!(
        "SELECT {ENTRY} FROM journal WHERE organization = ?1 AND sequence =
           (SELECT entry FROM cost_row WHERE organization = ?1 AND request = ?2 LIMIT 1)"
    );
    let mut statement = connection.prepare_cached(&settled)?;
    let mut rows = statement.query(key)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let entry = read_entry(row)?;
    let unreadable = StoreError::Unreadable("journal.legs");
    let amount = entry.amount_on(Account::Revenue).and_then(Money::checked_neg).ok_or(unreadable)?;
    let mut refunded = Money::ZERO;
    let refunds =
        format!("SELECT {ENTRY} FROM journal WHERE organization = ?1 AND reference = ?2 AND kind > 3");
    let mut statement = connection.prepare_cached(&refunds)?;
    let mut rows = statement.query(key)?;
    while let Some(row) = rows.next()? {
        let refund = read_entry(row)?;
        if refund.kind == EntryKind::Refund {
            let back = refund.amount_on(Account::Revenue).and_then(|back| refunded.checked_add(back));
            refunded = back.ok_or(StoreError::Unreadable("journal.legs"))?;
        }
    }
    Ok(Some(Charged { wallet: entry.wallet, amount, refunded }))
}

/// What calls that were dispatched in the period that runs have consumed of a new budget. Reads the period's rows, once
/// in a budget's life.
fn consumed(
    connection: &Connection,
    organization: OrganizationId,
    budget: &Budget,
    now: Timestamp,
) -> Result<Vec<(UseKey, Use)>, StoreError> {
    let span = budget.span(now);
    let first_ms = (span.start.micros() / 1_000).saturating_sub(CLOCK_SLACK_MS).max(0);
    let sql = format!("SELECT {COST_ROW} FROM cost_row WHERE organization = ?1 AND request >= ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![organization.as_bytes(), first_request(first_ms)])?;
    let mut uses: std::collections::BTreeMap<UseKey, Use> = std::collections::BTreeMap::new();
    while let Some(row) = rows.next()? {
        let row = read_cost_row(row)?;
        let Some(value) = budget.subject.of_call(&row).filter(|_| span.contains(row.at)) else { continue };
        let key = UseKey { budget: budget.id, value, start: span.start };
        uses.entry(key).or_default().count(&row);
    }
    Ok(uses.into_iter().collect())
}

/// The smallest UUIDv7 of a millisecond: its first 48 bits are the time.
pub(crate) fn first_request(ms: i64) -> [u8; 16] {
    (u128::from(ms.max(0).unsigned_abs()) << 80).to_be_bytes()
}
