//! Loading books, and settling what a dead gateway left held.

use std::collections::HashMap;

use domain::{BudgetId, Clock, LotId, Money, OrganizationId, ProjectId, RequestId, Timestamp, WalletId};
use ledger::{
    Books, Budget, Changes, Command, Hold, Lot, Past, PoolKey, PoolUse, Purpose, Use, UseKey, Wallet, apply,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{from_json, kind_from_text, tokens};
use crate::statements::Statements;
use crate::unsaved::Unsaved;
use crate::{StoreError, draft};

/// Columns of a lot, in the order in which [`read_lot`] reads them.
const LOT: &str =
    "id, wallet, kind, granted, remaining, used, expired, withdrawn, created_at, expires_at, warned";

/// Loads the books of an organization whole: wallets, open lots, live holds, budgets and what the holds reserve there.
pub(crate) fn load(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Option<Books>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT frozen FROM books WHERE organization = ?1")?;
    let found = statement.query_row([organization.as_bytes()], |row| row.get(0)).optional()?;
    let Some(frozen) = found else { return Ok(None) };
    let end = load_end(connection, organization)?;
    let mut books = Books {
        organization,
        sequence: end.sequence,
        head: end.hash,
        net: end.net,
        last_at: end.at.max(load_last_event(connection, organization)?),
        // No command has come yet, so nothing was seen to be due.
        seen_at: Timestamp::default(),
        frozen,
        wallets: load_wallets(connection, organization)?,
        holds: HashMap::new(),
        budgets: Vec::new(),
        uses: HashMap::new(),
        pools: HashMap::new(),
    };
    for lot in load_lots(connection, organization, true)? {
        let wallet = books.wallets.iter_mut().find(|wallet| wallet.id == lot.wallet);
        wallet.ok_or(StoreError::Unreadable("lot.wallet"))?.lots.push(lot);
    }
    books.budgets = load_budgets(connection, organization)?;
    books.holds = load_holds(connection, &books)?;
    let keys: Vec<UseKey> = books.holds.values().flat_map(|hold| hold.uses.clone()).collect();
    for key in keys {
        if let Some(used) = load_use(connection, organization, &key)? {
            books.uses.insert(key, used);
        }
    }
    let covers = books.holds.values().flat_map(Hold::rows).filter_map(|row| row.cover.as_ref());
    let keys: Vec<PoolKey> = covers.map(|cover| cover.key.clone()).collect();
    load_pools(connection, &mut books, keys)?;
    Ok(Some(books))
}

/// Where a journal ends: its last entry's number, hash, sum and stamp, zeros before the first.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) sequence: u64,
    pub(crate) hash: [u8; 32],
    net: Money,
    at: Timestamp,
}

pub(crate) fn load_end(connection: &Connection, organization: OrganizationId) -> Result<End, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, hash, balance, at FROM journal WHERE organization = ?1 ORDER BY sequence DESC LIMIT 1",
    )?;
    let end = statement.query_row([organization.as_bytes()], |row| {
        Ok(End {
            sequence: row.get::<_, i64>(0)?.unsigned_abs(),
            hash: row.get(1)?,
            net: Money::from_nano(row.get(2)?),
            at: Timestamp::from_micros(row.get(3)?),
        })
    });
    Ok(end.optional()?.unwrap_or_default())
}

/// The latest stamp of an event: a command may tell something and book nothing.
fn load_last_event(connection: &Connection, organization: OrganizationId) -> Result<Timestamp, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT coalesce(max(at), 0) FROM event WHERE organization = ?1")?;
    let at = statement.query_row([organization.as_bytes()], |row| row.get(0))?;
    Ok(Timestamp::from_micros(at))
}

fn load_wallets(connection: &Connection, organization: OrganizationId) -> Result<Vec<Wallet>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, project, models, overflow, balance, held, debt FROM wallet
         WHERE organization = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query([organization.as_bytes()])?;
    let mut wallets = Vec::new();
    while let Some(row) = rows.next()? {
        let purpose = Purpose {
            name: row.get(1)?,
            project: row.get::<_, Option<[u8; 16]>>(2)?.map(ProjectId::from_bytes),
            models: from_json(&row.get::<_, String>(3)?, "wallet.models")?,
            overflow: row.get(4)?,
        };
        wallets.push(Wallet {
            balance: Money::from_nano(row.get(5)?),
            held: Money::from_nano(row.get(6)?),
            debt: Money::from_nano(row.get(7)?),
            ..Wallet::new(WalletId::from_bytes(row.get(0)?), purpose)
        });
    }
    Ok(wallets)
}

/// An organization's lots in waterfall order, the empty ones only when asked for.
pub(crate) fn load_lots(
    connection: &Connection,
    organization: OrganizationId,
    open_only: bool,
) -> Result<Vec<Lot>, StoreError> {
    let filter = if open_only { "AND remaining > 0" } else { "" };
    let sql = format!("SELECT {LOT} FROM lot WHERE organization = ?1 {filter}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([organization.as_bytes()])?;
    let mut lots = Vec::new();
    while let Some(row) = rows.next()? {
        lots.push(read_lot(row)?);
    }
    lots.sort_by_key(Lot::burn_order);
    Ok(lots)
}

/// One lot, open or closed.
pub(crate) fn load_lot(
    connection: &Connection,
    organization: OrganizationId,
    id: LotId,
) -> Result<Option<Lot>, StoreError> {
    let sql = format!("SELECT {LOT} FROM lot WHERE organization = ?1 AND id = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![organization.as_bytes(), id.as_bytes()])?;
    rows.next()?.map(read_lot).transpose()
}

fn read_lot(row: &Row<'_>) -> Result<Lot, StoreError> {
    Ok(Lot {
        id: LotId::from_bytes(row.get(0)?),
        wallet: WalletId::from_bytes(row.get(1)?),
        kind: kind_from_text(&row.get::<_, String>(2)?)?,
        granted: Money::from_nano(row.get(3)?),
        remaining: Money::from_nano(row.get(4)?),
        used: Money::from_nano(row.get(5)?),
        expired: Money::from_nano(row.get(6)?),
        withdrawn: Money::from_nano(row.get(7)?),
        created_at: Timestamp::from_micros(row.get(8)?),
        expires_at: Timestamp::from_micros(row.get(9)?),
        warned: row.get(10)?,
    })
}

/// An organization's budgets, in the order in which they refuse.
pub(crate) fn load_budgets(
    connection: &Connection,
    organization: OrganizationId,
) -> Result<Vec<Budget>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT definition FROM budget WHERE organization = ?1 AND removed = 0")?;
    let mut rows = statement.query([organization.as_bytes()])?;
    let mut budgets = Vec::new();
    while let Some(row) = rows.next()? {
        budgets.push(from_json::<Budget>(&row.get::<_, String>(0)?, "budget.definition")?);
    }
    budgets.sort_by_key(Budget::refusal_order);
    Ok(budgets)
}

/// Columns of a budget's period, in the order in which [`read_use`] reads them.
pub(crate) const USE: &str = "spent, held, tokens, tokens_held, steps, told";

pub(crate) fn read_use(row: &Row<'_>, first: usize) -> Result<Use, StoreError> {
    Ok(Use {
        spent: Money::from_nano(row.get(first)?),
        held: Money::from_nano(row.get(first + 1)?),
        tokens: tokens(row, first + 2)?,
        tokens_held: tokens(row, first + 3)?,
        steps: tokens(row, first + 4)?,
        told: row.get(first + 5)?,
    })
}

/// What was consumed in one period of a budget; `None` before anything was.
pub(crate) fn load_use(
    connection: &Connection,
    organization: OrganizationId,
    key: &UseKey,
) -> Result<Option<Use>, StoreError> {
    let sql = format!(
        "SELECT {USE} FROM budget_use WHERE organization = ?1 AND budget = ?2 AND value = ?3 AND start = ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let owner = (organization.as_bytes(), BudgetId::as_bytes(&key.budget));
    let mut rows = statement.query(params![owner.0, owner.1, &*key.value, key.start.micros()])?;
    rows.next()?.map(|row| read_use(row, 0)).transpose()
}

/// Loads what was used of these pools.
pub(crate) fn load_pools(
    connection: &Connection,
    books: &mut Books,
    keys: Vec<PoolKey>,
) -> Result<(), StoreError> {
    let sql = "SELECT used, held FROM pool_use WHERE organization = ?1 AND pool = ?2 AND start = ?3";
    for key in keys {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows =
            statement.query(params![books.organization.as_bytes(), &*key.pool, key.start.micros()])?;
        if let Some(row) = rows.next()? {
            books.pools.insert(key, PoolUse { used: tokens(row, 0)?, held: tokens(row, 1)? });
        }
    }
    Ok(())
}

fn load_holds(connection: &Connection, books: &Books) -> Result<HashMap<RequestId, Hold>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT request, amount, shares, tokens, created_at, draft, units FROM hold WHERE organization = ?1",
    )?;
    let mut rows = statement.query([books.organization.as_bytes()])?;
    let mut holds = HashMap::new();
    while let Some(row) = rows.next()? {
        let request = RequestId::from_bytes(row.get(0)?);
        let draft: Vec<u8> = row.get(5)?;
        let (draft, earlier) = draft::decode(&draft, books.organization, request)?;
        let created_at = Timestamp::from_micros(row.get(4)?);
        let hold = Hold {
            request,
            amount: Money::from_nano(row.get(1)?),
            shares: draft::decode_shares(&row.get::<_, Vec<u8>>(2)?)?,
            tokens: tokens(row, 3)?,
            units: tokens(row, 6)?,
            created_at,
            uses: books.uses_of(&draft, created_at),
            earlier,
            draft: Box::new(draft),
        };
        holds.insert(request, hold);
    }
    Ok(holds)
}

/// Settles every hold that is live in the database at its last checkpoint, an organization at a time; answers how many.
///
/// Called before the writer starts: whoever held them is dead, or the folder would be locked. Each gets the row that
/// was drafted when it was held, so that the call is on the books, marked as estimated. Books whose holds cannot be
/// settled are frozen, and the others go on.
pub(crate) fn recover(connection: &Connection, clock: &dyn Clock) -> Result<usize, StoreError> {
    let owners: Vec<[u8; 16]> = connection
        .prepare("SELECT DISTINCT organization FROM hold ORDER BY organization")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut statements = Statements::prepare(connection)?;
    let mut recovered = 0;
    for organization in owners.into_iter().map(OrganizationId::from_bytes) {
        statements.begin()?;
        match recover_books(connection, &mut statements, organization, clock) {
            Ok(settled) => {
                statements.commit()?;
                recovered += settled;
            }
            // A disk that fails is no fault of the books: the next start tries again.
            Err(error) if !error.is_of_the_data() => return Err(error),
            Err(error) => {
                tracing::error!(%organization, %error, "what a dead gateway held cannot be settled; the books are frozen");
                statements.rollback()?;
                set_frozen(connection, organization, true)?;
            }
        }
    }
    Ok(recovered)
}

fn recover_books(
    connection: &Connection,
    statements: &mut Statements<'_>,
    organization: OrganizationId,
    clock: &dyn Clock,
) -> Result<usize, StoreError> {
    let mut books = load(connection, organization)?.ok_or(StoreError::Unreadable("hold without books"))?;
    if books.frozen {
        return Ok(0);
    }
    let mut orphans: Vec<Hold> = books.holds.values().cloned().collect();
    orphans.sort_by_key(|hold| hold.request);
    let mut unsaved = Unsaved::default();
    for orphan in &orphans {
        let mut changes = Changes::default();
        let rows = orphan.rows_now(&orphan.draft.reason);
        let command = Command::Settle { organization, request: orphan.request, rows };
        apply(&mut books, command, Past::default(), clock.now(), &mut changes)
            .map_err(|denial| StoreError::Recovery(format!("{}: {denial}", orphan.request)))?;
        unsaved.take(statements, &books, &mut changes)?;
    }
    books.check().map_err(|breach| StoreError::Recovery(breach.to_string()))?;
    let by_owner = HashMap::from([(organization, books)]);
    unsaved.flush(statements, &by_owner)?;
    Ok(orphans.len())
}

/// Whether an operator must look at these books before anything moves in them.
pub(crate) fn are_frozen(connection: &Connection, organization: OrganizationId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM books WHERE organization = ?1 AND frozen";
    Ok(connection.prepare_cached(sql)?.exists([organization.as_bytes()])?)
}

/// Marks books as ones that an operator must look at, or lets them go on; answers whether there are such books.
pub(crate) fn set_frozen(
    connection: &Connection,
    organization: OrganizationId,
    frozen: bool,
) -> Result<bool, StoreError> {
    let sql = "UPDATE books SET frozen = ?2 WHERE organization = ?1";
    Ok(connection.execute(sql, params![organization.as_bytes(), frozen])? == 1)
}
