//! Queries, on connections of their own that can only read. All calls block; none waits for the writer.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use domain::{LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{Account, Changes, CostRow, Draw, Entry, EntryKind, Hold, Lot, Wallet, expire};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{COST_ROW, read_cost_row};
use crate::{StoreError, database_path, schema, wallets};

/// Connections kept for the next query.
const IDLE_MAX: usize = 8;

/// A wallet's money as it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The owner.
    pub organization: OrganizationId,
    /// What remains in the lots, held or free.
    pub posted: Money,
    /// What running calls may still use.
    pub held: Money,
    /// What a new call may use.
    pub available: Money,
    /// What is owed.
    pub debt: Money,
    /// Lots with something remaining, in the order in which they burn.
    pub lots: Vec<Lot>,
}

/// One booking of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedEntry {
    /// Its number in the wallet's journal.
    pub sequence: u64,
    /// What was booked.
    pub kind: EntryKind,
    /// When.
    pub at: Timestamp,
    /// The charge.
    pub amount: Money,
    /// The lots that paid.
    pub draws: Vec<Draw>,
    /// What became debt.
    pub debt: Money,
}

/// Everything on record about one request.
#[derive(Clone, Debug)]
pub struct RequestRecord {
    /// The hold, while it is live.
    pub hold: Option<Hold>,
    /// Its attempts, in order.
    pub rows: Vec<CostRow>,
    /// The booking that settled it.
    pub entry: Option<BookedEntry>,
}

/// The queries of the product.
pub struct Reader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// The queries on a data folder whose gateway may or may not be running.
    ///
    /// # Errors
    /// When there is no database in it.
    pub fn of_folder(folder: &Path) -> Result<Self, StoreError> {
        let path = database_path(folder);
        if path.is_file() { Ok(Self::new(path)) } else { Err(StoreError::NoDatabase(folder.to_owned())) }
    }

    /// Every organization's id and name, by id, which is the order in which they were made.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn organizations(&self) -> Result<Vec<(OrganizationId, String)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, name FROM organization ORDER BY id")?;
            let rows =
                statement.query_map([], |row| Ok((OrganizationId::from_bytes(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// An organization's money at the time `now`; `None` when there is no such organization.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn balance(
        &self,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Option<Balance>, StoreError> {
        self.read(|connection| {
            let found: Option<[u8; 16]> = connection
                .prepare_cached("SELECT wallet FROM organization WHERE id = ?1")?
                .query_row([organization.as_bytes()], |row| row.get(0))
                .optional()?;
            let Some(id) = found else { return Ok(None) };
            let wallet = wallets::load(connection, WalletId::from_bytes(id))?;
            let mut wallet = wallet.ok_or(StoreError::Unreadable("organization.wallet"))?;
            // What has expired is booked with the wallet's next command; what it has is less by it already.
            if expire(&mut wallet, now, &mut Changes::default()).is_err() {
                return Err(StoreError::Unreadable("wallet sums"));
            }
            Ok(Some(Balance {
                organization,
                posted: wallet.balance,
                held: wallet.held,
                available: wallet.available(),
                debt: wallet.debt,
                lots: wallet.lots,
            }))
        })
    }

    /// An organization's newest cost rows, newest first; at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn usage(&self, organization: OrganizationId, limit: u32) -> Result<Vec<CostRow>, StoreError> {
        self.read(|connection| {
            // Request ids rise with time, so the key's order is the order of time.
            let sql = format!(
                "SELECT {COST_ROW} FROM cost_row WHERE organization = ?1 ORDER BY request DESC, attempt DESC LIMIT ?2"
            );
            collect_rows(connection, &sql, params![organization.as_bytes(), limit])
        })
    }

    /// Everything on record about a request; `None` when nothing is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn request(&self, request: RequestId) -> Result<Option<RequestRecord>, StoreError> {
        self.read(|connection| {
            // One look into each organization: a second index on every row would cost each call for the sake of this.
            let sql = format!(
                "SELECT {} FROM organization CROSS JOIN cost_row ON cost_row.organization = organization.id
                 WHERE request = ?1 ORDER BY attempt",
                COST_ROW
                    .split(',')
                    .map(|name| format!("cost_row.{}", name.trim()))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            let rows = collect_rows(connection, &sql, [request.as_bytes()])?;
            if let Some(first) = rows.first() {
                let entry = settling_entry(connection, first.organization, request)?;
                return Ok(Some(RequestRecord { hold: None, rows, entry }));
            }
            let hold = live_hold(connection, request)?;
            Ok(hold.map(|hold| RequestRecord { hold: Some(hold), rows: Vec::new(), entry: None }))
        })
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_for_reading(&self.path)?,
        };
        // One transaction, so that all parts of an answer are of one moment.
        let transaction = connection.transaction()?;
        let answer = query(&transaction);
        drop(transaction);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }
}

fn collect_rows(
    connection: &Connection,
    sql: &str,
    arguments: impl rusqlite::Params,
) -> Result<Vec<CostRow>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(arguments)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read_cost_row(row)?);
    }
    Ok(found)
}

fn settling_entry(
    connection: &Connection,
    organization: OrganizationId,
    request: RequestId,
) -> Result<Option<BookedEntry>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT journal.wallet, sequence, journal.at, journal.kind, reference, legs, hash
         FROM cost_row JOIN journal
           ON journal.organization = cost_row.organization AND journal.wallet = cost_row.wallet AND sequence = entry
         WHERE cost_row.organization = ?1 AND request = ?2 LIMIT 1",
    )?;
    let mut rows = statement.query(params![organization.as_bytes(), request.as_bytes()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let entry = read_entry(row)?;
    let total = |account| entry.amount_on(account).ok_or(StoreError::Unreadable("journal.legs"));
    Ok(Some(BookedEntry {
        sequence: entry.sequence,
        kind: entry.kind,
        at: entry.at,
        amount: total(Account::Revenue)?.checked_neg().ok_or(StoreError::Unreadable("journal.legs"))?,
        draws: entry.draws().collect(),
        debt: total(Account::Receivable)?,
    }))
}

/// Reads a journal row selected as wallet, sequence, at, kind, reference, legs, hash.
pub(crate) fn read_entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let legs: Vec<u8> = row.get(5)?;
    Ok(Entry {
        wallet: WalletId::from_bytes(row.get(0)?),
        sequence: row.get::<_, i64>(1)?.unsigned_abs(),
        at: Timestamp::from_micros(row.get(2)?),
        kind: EntryKind::from_code(row.get(3)?).ok_or(StoreError::Unreadable("journal.kind"))?,
        reference: row.get(4)?,
        legs: Entry::decode_legs(&legs).map_err(|_| StoreError::Unreadable("journal.legs"))?,
        hash: row.get(6)?,
    })
}

fn live_hold(connection: &Connection, request: RequestId) -> Result<Option<Hold>, StoreError> {
    let found: Option<[u8; 16]> = connection
        .prepare_cached(
            "SELECT hold.wallet FROM organization CROSS JOIN hold
             ON hold.organization = organization.id AND hold.wallet = organization.wallet WHERE request = ?1",
        )?
        .query_row([request.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(id) = found else { return Ok(None) };
    let wallet = wallets::load(connection, WalletId::from_bytes(id))?;
    Ok(wallet.and_then(|mut wallet: Wallet| wallet.holds.remove(&request)))
}

/// A lot as the tables have it, by id; for verification.
pub(crate) fn lots_by_id(
    connection: &Connection,
    wallet: &Wallet,
) -> Result<std::collections::BTreeMap<LotId, Lot>, StoreError> {
    Ok(wallets::load_lots(connection, wallet, false)?.into_iter().map(|lot| (lot.id, lot)).collect())
}
