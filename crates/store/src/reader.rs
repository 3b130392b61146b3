//! Queries, on connections of their own that can only read. All calls block; none waits for the writer.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use directory::ProviderKey;
use domain::{LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{
    Account, Budget, Changes, CostRow, Draw, Entry, EntryKind, Event, Hold, Lot, Note, PoolKey, PromoCode,
    Use, UseKey, Wallet, expire,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::books::{self, USE, read_use};
use crate::columns::{COST_ROW, from_json, read_cost_row, tokens};
use crate::directory_store::{AuditFilter, AuditLine};
use crate::past::{CLOCK_SLACK_MS, PROMO, charged, first_request, read_promo};
use crate::{StoreError, database_path, directory_store, schema};

/// Connections kept for the next query.
const IDLE_MAX: usize = 8;

/// An organization's money as it stood at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The owner.
    pub organization: OrganizationId,
    /// What remains in all wallets less what they owe.
    pub net: Money,
    /// Whether nothing moves until an operator has looked.
    pub frozen: bool,
    /// The organization's own wallet first, each with its open lots in the order in which they burn.
    pub wallets: Vec<Wallet>,
}

impl Balance {
    /// The sum of one figure over all wallets, at most the largest amount there is.
    pub fn total(&self, figure: impl Fn(&Wallet) -> Money) -> Money {
        Money::sum(self.wallets.iter().map(figure)).unwrap_or(Money::MAX)
    }
}

/// A budget, and what was consumed of it in the periods that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRecord {
    /// Its definition.
    pub budget: Budget,
    /// Consumption in the period that runs, by subject.
    pub uses: Vec<(UseKey, Use)>,
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
    /// What was given back of its charge.
    pub refunded: Money,
}

/// The queries of the product.
pub struct Reader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

/// One period of one pool, and the calls that drew on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolRecord {
    /// Units that paid for attempts, or that attempts took.
    pub used: u64,
    /// Units that running calls count on.
    pub held: u64,
    /// Attempts that are booked.
    pub calls: u64,
    /// Tokens that they consumed, input and output.
    pub wanted: u64,
    /// What they are worth at list price, in pico-units.
    pub list_pico: i128,
    /// What was paid for them in money.
    pub paid: Money,
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

    /// The provider keys that organizations brought, sealed as they are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn provider_keys(&self) -> Result<Vec<ProviderKey>, StoreError> {
        self.read(directory_store::provider_keys)
    }

    /// What each organization has bought in all, less what was paid back to it. Those that never bought are left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn purchased(&self) -> Result<Vec<(OrganizationId, Money)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT organization, sum(granted - withdrawn) FROM lot WHERE kind = 'prepaid' GROUP BY organization",
            )?;
            let mut rows = statement.query([])?;
            let mut purchased = Vec::new();
            while let Some(row) = rows.next()? {
                purchased.push((OrganizationId::from_bytes(row.get(0)?), Money::from_nano(row.get(1)?)));
            }
            Ok(purchased)
        })
    }

    /// An organization's lines of the audit log, newest first, `limit` at most.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn audit(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<Vec<AuditLine>, StoreError> {
        self.read(|connection| directory_store::read_audit(connection, organization, filter, limit))
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
            let Some(mut books) = books::load(connection, organization)? else { return Ok(None) };
            // What has expired is booked with the books' next command; what they have is less by it already.
            if expire(&mut books, now, &mut Changes::default()).is_err() {
                return Err(StoreError::Unreadable("wallet sums"));
            }
            let (net, frozen, wallets) = (books.net, books.frozen, books.wallets);
            Ok(Some(Balance { organization, net, frozen, wallets }))
        })
    }

    /// An organization's newest entries, newest first: those before the entry `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn journal(
        &self,
        organization: OrganizationId,
        before: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {ENTRY} FROM journal WHERE organization = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let before = i64::try_from(before).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![organization.as_bytes(), before, limit])?;
            let mut entries = Vec::new();
            while let Some(row) = rows.next()? {
                entries.push(read_entry(row)?);
            }
            Ok(entries)
        })
    }

    /// An organization's budgets in the order in which they refuse, each with its consumption in the period around
    /// `now`; of a budget with many subjects the `limit` that consumed most.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn budgets(
        &self,
        organization: OrganizationId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<BudgetRecord>, StoreError> {
        self.read(|connection| {
            let mut records = Vec::new();
            for budget in books::load_budgets(connection, organization)? {
                let uses = uses_of(connection, organization, &budget, now, limit)?;
                records.push(BudgetRecord { budget, uses });
            }
            Ok(records)
        })
    }

    /// An organization's newest events with their numbers, newest first: those before number `before`, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events(
        &self,
        organization: OrganizationId,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, at, detail FROM event WHERE organization = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![organization.as_bytes(), before, limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let kind = from_json(&row.get::<_, String>(2)?, "event.detail")?;
                let at = Timestamp::from_micros(row.get(1)?);
                events.push((row.get(0)?, Event { organization, at, kind }));
            }
            Ok(events)
        })
    }

    /// Every promo code, by code.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn promo_codes(&self) -> Result<Vec<PromoCode>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {PROMO} FROM promo_code ORDER BY code");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut codes = Vec::new();
            while let Some(row) = rows.next()? {
                codes.push(read_promo(row)?);
            }
            Ok(codes)
        })
    }

    /// Organizations for which time alone has something to do at `now`: credit that is due, or will be at `warn_until`
    /// and was not warned of; or holds admitted before `held_before`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn due(
        &self,
        now: Timestamp,
        warn_until: Timestamp,
        held_before: Timestamp,
    ) -> Result<Vec<OrganizationId>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT organization FROM lot WHERE remaining > 0 AND expires_at <= max(?1, ?2)
                   AND expires_at < 9223372036854775807 AND (expires_at <= ?1 OR warned = 0)
                 UNION SELECT organization FROM hold WHERE created_at < ?3",
            )?;
            let found = statement
                .query_map(params![now.micros(), warn_until.micros(), held_before.micros()], |row| {
                    Ok(OrganizationId::from_bytes(row.get(0)?))
                })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// The events of all organizations after number `after`, oldest first; at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events_after(&self, after: i64, limit: u32) -> Result<Vec<(i64, Event)>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, organization, at, detail FROM event WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![after, limit])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                let kind = from_json(&row.get::<_, String>(3)?, "event.detail")?;
                let (organization, at) =
                    (OrganizationId::from_bytes(row.get(1)?), Timestamp::from_micros(row.get(2)?));
                events.push((row.get(0)?, Event { organization, at, kind }));
            }
            Ok(events)
        })
    }

    /// An organization's lots with these ids, the closed ones too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn lots(&self, organization: OrganizationId, ids: &[LotId]) -> Result<Vec<Lot>, StoreError> {
        self.read(|connection| {
            let found = ids.iter().map(|id| books::load_lot(connection, organization, *id));
            Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
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
                let charged = charged(connection, first.organization, request)?;
                let refunded = charged.map_or(Money::ZERO, |charged| charged.refunded);
                return Ok(Some(RequestRecord { hold: None, rows, entry, refunded }));
            }
            let hold = live_hold(connection, request)?;
            Ok(hold.map(|hold| RequestRecord {
                hold: Some(hold),
                rows: Vec::new(),
                entry: None,
                refunded: Money::ZERO,
            }))
        })
    }

    /// What was used of a period of an organization's pool, and what the calls that drew on it came to.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pool(&self, organization: OrganizationId, key: &PoolKey) -> Result<PoolRecord, StoreError> {
        let owner = params![organization.as_bytes(), &*key.pool, key.start.micros()];
        self.read(|connection| {
            let sql = "SELECT used, held FROM pool_use WHERE organization = ?1 AND pool = ?2 AND start = ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let mut found = statement.query(owner)?;
            let mut record = PoolRecord::default();
            if let Some(row) = found.next()? {
                (record.used, record.held) = (tokens(row, 0)?, tokens(row, 1)?);
            }
            // A request's id begins with the moment it came, by a clock that may have been set in between.
            let first_ms = (key.start.micros() / 1_000).saturating_sub(CLOCK_SLACK_MS);
            // Whole nano-units and the rest apart: no month's sum of pico-units need fit.
            let sql = "SELECT count(*), coalesce(sum(cost), 0), coalesce(sum(list_pico / 1000), 0),
                         coalesce(sum(list_pico % 1000), 0),
                         coalesce(sum(input_tokens + cached_tokens + cache_write_tokens + cache_write_long_tokens
                           + audio_input_tokens + image_input_tokens + output_tokens + audio_output_tokens
                           + image_output_tokens), 0)
                       FROM cost_row WHERE organization = ?1 AND request >= ?4 AND pool = ?2 AND pool_start = ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![
                organization.as_bytes(),
                &*key.pool,
                key.start.micros(),
                first_request(first_ms)
            ])?;
            if let Some(row) = rows.next()? {
                (record.calls, record.paid) = (tokens(row, 0)?, Money::from_nano(row.get(1)?));
                let (nano, rest): (i64, i64) = (row.get(2)?, row.get(3)?);
                record.list_pico = i128::from(nano) * 1_000 + i128::from(rest);
                record.wanted = tokens(row, 4)?;
            }
            Ok(record)
        })
    }

    pub(crate) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
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
    let sql = format!(
        "SELECT {ENTRY} FROM journal WHERE organization = ?1 AND sequence =
           (SELECT entry FROM cost_row WHERE organization = ?1 AND request = ?2 LIMIT 1)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
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

/// Columns of an entry, in the order in which [`read_entry`] reads them.
pub(crate) const ENTRY: &str =
    "organization, sequence, at, kind, wallet, reference, legs, balance, actor, reason, hash";

pub(crate) fn read_entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let legs: Vec<u8> = row.get(6)?;
    let actor: Option<Box<str>> = row.get(8)?;
    let reason = row.get(9)?;
    Ok(Entry {
        organization: OrganizationId::from_bytes(row.get(0)?),
        sequence: row.get::<_, i64>(1)?.unsigned_abs(),
        at: Timestamp::from_micros(row.get(2)?),
        kind: EntryKind::from_code(row.get(3)?).ok_or(StoreError::Unreadable("journal.kind"))?,
        wallet: WalletId::from_bytes(row.get(4)?),
        reference: row.get(5)?,
        legs: Entry::decode_legs(&legs).map_err(|_| StoreError::Unreadable("journal.legs"))?,
        balance: Money::from_nano(row.get(7)?),
        note: actor.map(|actor| Note { actor, reason }),
        hash: row.get(10)?,
    })
}

fn uses_of(
    connection: &Connection,
    organization: OrganizationId,
    budget: &Budget,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<(UseKey, Use)>, StoreError> {
    let start = budget.span(now).start;
    let sql = format!(
        "SELECT value, {USE} FROM budget_use WHERE organization = ?1 AND budget = ?2 AND start = ?3
         ORDER BY spent DESC, tokens DESC, steps DESC, value LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let key = params![organization.as_bytes(), budget.id.as_bytes(), start.micros(), limit];
    let mut rows = statement.query(key)?;
    let mut uses = Vec::new();
    while let Some(row) = rows.next()? {
        let key = UseKey { budget: budget.id, value: row.get(0)?, start };
        uses.push((key, read_use(row, 1)?));
    }
    Ok(uses)
}

fn live_hold(connection: &Connection, request: RequestId) -> Result<Option<Hold>, StoreError> {
    let found: Option<[u8; 16]> = connection
        .prepare_cached(
            "SELECT hold.organization FROM books CROSS JOIN hold ON hold.organization = books.organization
             WHERE request = ?1",
        )?
        .query_row([request.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(id) = found else { return Ok(None) };
    let books = books::load(connection, OrganizationId::from_bytes(id))?;
    Ok(books.and_then(|mut books| books.holds.remove(&request)))
}
