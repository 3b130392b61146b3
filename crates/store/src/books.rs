//! Loading wallets, and settling what a dead gateway left held.

use std::collections::HashMap;

use domain::{Clock, LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{Changes, Command, CostRow, Hold, Idempotency, Lot, Wallet, apply};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::kind_from_text;
use crate::statements::Statements;
use crate::{StoreError, draft};

const LOT: &str = "id, kind, granted, remaining, used, expired, created_at, expires_at";

/// Loads a wallet whole: its row, its open lots, its live holds.
pub(crate) fn load(connection: &Connection, id: WalletId) -> Result<Option<Wallet>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT organization, balance, held, debt, sequence, head, last_at, frozen FROM wallet WHERE id = ?1",
    )?;
    let found = statement
        .query_row([id.as_bytes()], |row| {
            let mut wallet = Wallet::new(id, OrganizationId::from_bytes(row.get(0)?));
            wallet.balance = Money::from_nano(row.get(1)?);
            wallet.held = Money::from_nano(row.get(2)?);
            wallet.debt = Money::from_nano(row.get(3)?);
            wallet.sequence = row.get::<_, i64>(4)?.unsigned_abs();
            wallet.head = row.get(5)?;
            wallet.last_at = Timestamp::from_micros(row.get(6)?);
            wallet.frozen = row.get(7)?;
            Ok(wallet)
        })
        .optional()?;
    let Some(mut wallet) = found else { return Ok(None) };
    wallet.lots = load_lots(connection, &wallet, true)?;
    wallet.holds = load_holds(connection, &wallet)?;
    Ok(Some(wallet))
}

/// A wallet's lots in waterfall order, the empty ones only when asked for.
pub(crate) fn load_lots(
    connection: &Connection,
    wallet: &Wallet,
    open_only: bool,
) -> Result<Vec<Lot>, StoreError> {
    let filter = if open_only { "AND remaining > 0" } else { "" };
    let sql = format!("SELECT {LOT} FROM lot WHERE organization = ?1 AND wallet = ?2 {filter}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![wallet.organization.as_bytes(), wallet.id.as_bytes()])?;
    let mut lots = Vec::new();
    while let Some(row) = rows.next()? {
        lots.push(read_lot(row)?);
    }
    lots.sort_by_key(Lot::burn_order);
    Ok(lots)
}

/// What an idempotency key brought about in a wallet: the digest of its body, and the lot.
pub(crate) fn load_named_grant(
    connection: &Connection,
    wallet: &Wallet,
    named: &Idempotency,
) -> Result<Option<([u8; 32], Lot)>, StoreError> {
    let owner = (wallet.organization.as_bytes(), wallet.id.as_bytes());
    let mut statement = connection.prepare_cached(
        "SELECT digest, lot FROM idempotency WHERE organization = ?1 AND wallet = ?2 AND key = ?3",
    )?;
    let found: Option<([u8; 32], [u8; 16])> = statement
        .query_row(params![owner.0, owner.1, named.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((digest, lot)) = found else { return Ok(None) };
    let sql = format!("SELECT {LOT} FROM lot WHERE organization = ?1 AND wallet = ?2 AND id = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![owner.0, owner.1, lot])?;
    let row = rows.next()?.ok_or(StoreError::Unreadable("idempotency.lot"))?;
    Ok(Some((digest, read_lot(row)?)))
}

/// Whether a lot's id is taken anywhere, by an open lot or an empty one.
pub(crate) fn lot_exists(connection: &Connection, wallet: &Wallet, lot: LotId) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM lot WHERE organization = ?1 AND wallet = ?2 AND id = ?3")?;
    Ok(statement.exists(params![wallet.organization.as_bytes(), wallet.id.as_bytes(), lot.as_bytes()])?)
}

fn read_lot(row: &Row<'_>) -> Result<Lot, StoreError> {
    Ok(Lot {
        id: LotId::from_bytes(row.get(0)?),
        kind: kind_from_text(&row.get::<_, String>(1)?)?,
        granted: Money::from_nano(row.get(2)?),
        remaining: Money::from_nano(row.get(3)?),
        used: Money::from_nano(row.get(4)?),
        expired: Money::from_nano(row.get(5)?),
        created_at: Timestamp::from_micros(row.get(6)?),
        expires_at: Timestamp::from_micros(row.get(7)?),
    })
}

fn load_holds(connection: &Connection, wallet: &Wallet) -> Result<HashMap<RequestId, Hold>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT request, amount, created_at, draft FROM hold WHERE organization = ?1 AND wallet = ?2",
    )?;
    let mut rows = statement.query(params![wallet.organization.as_bytes(), wallet.id.as_bytes()])?;
    let mut holds = HashMap::new();
    while let Some(row) = rows.next()? {
        let request = RequestId::from_bytes(row.get(0)?);
        let draft: Vec<u8> = row.get(3)?;
        let draft = Box::new(draft::decode(&draft, wallet.organization, request)?);
        let (amount, created_at) = (Money::from_nano(row.get(1)?), Timestamp::from_micros(row.get(2)?));
        holds.insert(request, Hold { request, amount, created_at, draft });
    }
    Ok(holds)
}

/// Settles every hold that is live in the database at its last checkpoint, a wallet at a time; answers how many.
///
/// Called before the writer starts: whoever held them is dead, or the folder would be locked. Each gets the row that
/// was drafted when it was held, so that the call is on the books, marked as estimated. A wallet whose holds cannot be
/// settled is frozen, and the others go on.
pub(crate) fn recover(connection: &Connection, clock: &dyn Clock) -> Result<usize, StoreError> {
    let wallets: Vec<[u8; 16]> = connection
        .prepare("SELECT DISTINCT wallet FROM hold")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut statements = Statements::prepare(connection)?;
    let mut recovered = 0;
    for id in wallets.into_iter().map(WalletId::from_bytes) {
        statements.begin()?;
        match recover_wallet(connection, &mut statements, id, clock) {
            Ok(settled) => {
                statements.commit()?;
                recovered += settled;
            }
            Err(error) => {
                tracing::error!(wallet = %id, %error, "what a dead gateway held cannot be settled; the wallet is frozen");
                statements.rollback()?;
                freeze(connection, &mut statements, id)?;
            }
        }
    }
    Ok(recovered)
}

fn recover_wallet(
    connection: &Connection,
    statements: &mut Statements<'_>,
    id: WalletId,
    clock: &dyn Clock,
) -> Result<usize, StoreError> {
    let mut wallet = load(connection, id)?.ok_or(StoreError::Unreadable("hold without wallet"))?;
    let orphans: Vec<Hold> = wallet.holds.values().cloned().collect();
    for orphan in &orphans {
        let mut changes = Changes::default();
        let rows = vec![CostRow::clone(&orphan.draft)];
        let command = Command::Settle { wallet: id, request: orphan.request, rows };
        apply(&mut wallet, command, clock.now(), &mut changes)
            .map_err(|denial| StoreError::Recovery(format!("{}: {denial}", orphan.request)))?;
        for lot in &changes.lots {
            statements.save_lot(&wallet, lot)?;
        }
        statements.save(&wallet, &changes)?;
    }
    wallet.check(true).map_err(|breach| StoreError::Recovery(breach.to_string()))?;
    statements.update_wallet(&wallet)?;
    Ok(orphans.len())
}

/// Marks a wallet as one that an operator must look at, as it stands in the database.
pub(crate) fn freeze(
    connection: &Connection,
    statements: &mut Statements<'_>,
    id: WalletId,
) -> Result<(), StoreError> {
    let mut wallet = load(connection, id)?.ok_or(StoreError::Unreadable("frozen wallet"))?;
    wallet.frozen = true;
    statements.update_wallet(&wallet)
}
