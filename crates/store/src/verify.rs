//! Verification: replays every organization's journal and compares it with the tables, row by row.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{LotId, Money, OrganizationId, RequestId};
use ledger::{Books, Breach, EntryKind, Hold, Invariant, Lot, Replayed, replay};
use rusqlite::{Connection, params};

use crate::columns::tokens;
use crate::reader::{ENTRY, read_entry};
use crate::{StoreError, books, database_path, schema};

/// What a verification looked at, and every broken promise it found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Organizations looked at.
    pub organizations: u64,
    /// Their wallets.
    pub wallets: u64,
    /// Journal entries replayed.
    pub entries: u64,
    /// Cost rows matched with their settlement.
    pub rows: u64,
    /// Live holds: calls in flight, or, when no gateway runs, calls to be settled at the next start.
    pub holds: u64,
    /// What calls earned, all wallets together.
    pub revenue: Money,
    /// What remains in all wallets.
    pub balance: Money,
    /// Organizations whose books are frozen; each is among the breaches too.
    pub frozen: Vec<OrganizationId>,
    /// What is broken; empty when all is well.
    pub breaches: Vec<String>,
}

/// Checks the database in `folder`, of one moment, while a gateway may be running on it.
///
/// # Errors
/// When there is no database or it cannot be read; broken promises are in the report.
pub fn verify(folder: &Path) -> Result<Report, StoreError> {
    let path = database_path(folder);
    if path.is_file() { verify_file(&path) } else { Err(StoreError::NoDatabase(folder.to_owned())) }
}

/// The same for a database file of any name.
pub(crate) fn verify_file(path: &Path) -> Result<Report, StoreError> {
    let mut connection = schema::open_for_reading(path)?;
    let transaction = connection.transaction()?;
    let mut report = Report::default();
    check_file(&transaction, &mut report)?;
    let ids: Vec<[u8; 16]> = transaction
        .prepare("SELECT organization FROM books")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in ids.into_iter().map(OrganizationId::from_bytes) {
        if books::are_frozen(&transaction, id)? {
            report.frozen.push(id);
            report.breaches.push(format!("the books of {id} are frozen"));
        }
        match check_books(&transaction, id, &mut report) {
            // What cannot be read is broken, and the others are looked at all the same.
            Err(error) if error.is_of_the_data() => {
                report.breaches.push(format!("the books of {id} cannot be read: {error}"));
            }
            checked => checked?,
        }
    }
    check_strays(&transaction, &mut report)?;
    report.breaches.extend(crate::payment_store::broken(&transaction)?);
    Ok(report)
}

/// The pages and indexes themselves.
fn check_file(connection: &Connection, report: &mut Report) -> Result<(), StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.breaches.push(format!("database file: {line}"));
        }
    }
    Ok(())
}

fn check_books(
    connection: &Connection,
    organization: OrganizationId,
    report: &mut Report,
) -> Result<(), StoreError> {
    report.organizations += 1;
    let books = &books::load(connection, organization)?.ok_or(StoreError::Unreadable("books row"))?;
    report.wallets += u64::try_from(books.wallets.len()).unwrap_or(u64::MAX);
    report.holds += u64::try_from(books.holds.len()).unwrap_or(u64::MAX);
    if let Err(breach) = books.check() {
        report.breaches.push(breach.to_string());
    }
    let sql = format!("SELECT {ENTRY} FROM journal WHERE organization = ?1 ORDER BY sequence");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([books.organization.as_bytes()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_entry(row)?);
    }
    report.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
    match replay(entries) {
        Err(breach) => report.breaches.push(breach.to_string()),
        Ok(replayed) => {
            compare(connection, books, &replayed, report)?;
            match_charges(connection, books, replayed, report)?;
        }
    }
    check_uses(connection, books, report)?;
    check_pools(connection, books, report)
}

/// I11: what the journal says is what the tables say.
fn compare(
    connection: &Connection,
    books: &Books,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut expect = |what: &str, journal: String, table: String| {
        if journal != table {
            let detail = format!("{what}: journal {journal}, table {table}");
            let organization = books.organization;
            let breach = Breach { invariant: Invariant::ReplayMatches, organization, detail };
            report.breaches.push(breach.to_string());
        }
    };
    let mut balances = replayed.balances().unwrap_or_default();
    for wallet in &books.wallets {
        let balance = balances.remove(&wallet.id).unwrap_or_default();
        expect(&format!("balance of {}", wallet.id), balance.to_string(), wallet.balance.to_string());
    }
    expect("wallets that are not there", format!("{balances:?}"), "{}".to_owned());
    for wallet in &books.wallets {
        let debt = replayed.debts.get(&wallet.id).copied().unwrap_or_default();
        expect(&format!("debt of {}", wallet.id), debt.to_string(), wallet.debt.to_string());
    }
    let lots = books::load_lots(connection, books.organization, false)?;
    let lots: BTreeMap<LotId, Lot> = lots.into_iter().map(|lot| (lot.id, lot)).collect();
    expect("lots", replayed.lots.len().to_string(), lots.len().to_string());
    for (id, lot) in &lots {
        let journal = replayed
            .lots
            .get(id)
            .map(|lot| (lot.wallet, lot.granted, lot.used, lot.expired, lot.withdrawn, lot.remaining()));
        let table =
            Some((Some(lot.wallet), lot.granted, lot.used, lot.expired, lot.withdrawn, Some(lot.remaining)));
        expect(&id.to_string(), format!("{journal:?}"), format!("{table:?}"));
    }
    let balances = books.wallets.iter().map(|wallet| wallet.balance);
    report.balance = Money::sum(balances.chain([report.balance])).unwrap_or(Money::MAX);
    report.revenue = Money::sum([report.revenue, replayed.revenue]).unwrap_or(Money::MAX);
    Ok(())
}

/// I5 and I6: every settled request has its rows, every row its settlement, and their sums agree.
fn match_charges(
    connection: &Connection,
    books: &Books,
    mut replayed: Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut breach = |invariant, detail: String| {
        let organization = books.organization;
        report.breaches.push(Breach { invariant, organization, detail }.to_string());
    };
    let mut statement = connection.prepare_cached(
        "SELECT request, sum(cost), count(*) FROM cost_row WHERE organization = ?1 GROUP BY request",
    )?;
    let mut rows = statement.query([books.organization.as_bytes()])?;
    let mut matched = 0_u64;
    while let Some(row) = rows.next()? {
        let request: [u8; 16] = row.get(0)?;
        let name = RequestId::from_bytes(request);
        let booked = Money::from_nano(row.get(1)?);
        matched += row.get::<_, i64>(2)?.unsigned_abs();
        match replayed.charges.remove(&request) {
            Some(charge) if charge == booked => {}
            Some(charge) => {
                breach(Invariant::ChargeIsCost, format!("{name}: rows {booked}, charged {charge}"))
            }
            None => breach(Invariant::OneEndPerHold, format!("{name} has rows and no settlement")),
        }
        if books.holds.contains_key(&name) {
            breach(Invariant::OneEndPerHold, format!("{name} is settled and still held"));
        }
    }
    for request in replayed.charges.keys() {
        let name = RequestId::from_bytes(*request);
        breach(Invariant::ChargeIsCost, format!("{name} was settled and has no row"));
    }
    report.rows += matched;
    Ok(())
}

/// Budgets reserve nothing but what live holds set aside: what they reserve is known with the holds, so all other
/// periods must reserve nothing.
fn check_uses(connection: &Connection, books: &Books, report: &mut Report) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT count(*) FROM budget_use WHERE organization = ?1 AND held > 0")?;
    let reserved: i64 = statement.query_row(params![books.organization.as_bytes()], |row| row.get(0))?;
    let expected = books.uses.values().filter(|used| !used.held.is_zero()).count();
    if usize::try_from(reserved).ok() != Some(expected) {
        let detail = format!("{reserved} periods reserve, {expected} have live holds");
        let (invariant, organization) = (Invariant::ReservedIsHolds, books.organization);
        report.breaches.push(Breach { invariant, organization, detail }.to_string());
    }
    Ok(())
}

/// What was used of pools is what they paid for, and what running calls took of strict ones; nothing is held that no
/// live hold counts on.
fn check_pools(connection: &Connection, books: &Books, report: &mut Report) -> Result<(), StoreError> {
    let mut expected: BTreeMap<(String, i64), (u64, u64)> = BTreeMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT pool, pool_start, sum(pool_units) FROM cost_row
         WHERE organization = ?1 AND pool IS NOT NULL GROUP BY pool, pool_start",
    )?;
    let mut rows = statement.query([books.organization.as_bytes()])?;
    while let Some(row) = rows.next()? {
        expected.entry((row.get(0)?, row.get(1)?)).or_default().0 = tokens(row, 2)?;
    }
    for cover in books.holds.values().flat_map(Hold::rows).filter_map(|row| row.cover.as_deref()) {
        let key = (cover.key.pool.to_string(), cover.key.start.micros());
        let (used, _) = expected.entry(key).or_default();
        *used = used.saturating_add(if cover.strict { cover.wanted() } else { 0 });
    }
    for (key, used) in &books.pools {
        expected.entry((key.pool.to_string(), key.start.micros())).or_default().1 = used.held;
    }
    let mut statement =
        connection.prepare_cached("SELECT pool, start, used, held FROM pool_use WHERE organization = ?1")?;
    let mut rows = statement.query([books.organization.as_bytes()])?;
    while let Some(row) = rows.next()? {
        let key = (row.get::<_, String>(0)?, row.get::<_, i64>(1)?);
        let (found, told) = ((tokens(row, 2)?, tokens(row, 3)?), expected.remove(&key).unwrap_or_default());
        if found != told {
            let detail = format!("{key:?}: used and held {found:?}, rows and holds {told:?}");
            let (invariant, organization) = (Invariant::PooledIsRows, books.organization);
            report.breaches.push(Breach { invariant, organization, detail }.to_string());
        }
    }
    for (key, told) in expected.into_iter().filter(|(_, told)| *told != (0, 0)) {
        let detail = format!("{key:?}: rows and holds {told:?}, nothing used");
        let (invariant, organization) = (Invariant::PooledIsRows, books.organization);
        report.breaches.push(Breach { invariant, organization, detail }.to_string());
    }
    Ok(())
}

/// Rows that belong to no books at all, or to nothing that was booked.
fn check_strays(connection: &Connection, report: &mut Report) -> Result<(), StoreError> {
    for table in
        ["wallet", "lot", "hold", "journal", "cost_row", "budget", "budget_use", "pool_use", "payment"]
    {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE organization NOT IN (SELECT organization FROM books)"
        );
        let strays: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        if strays > 0 {
            report.breaches.push(format!("{strays} rows of table {table} belong to no books"));
        }
    }
    let sql = "SELECT count(*) FROM promo_code WHERE uses <>
                 (SELECT count(*) FROM promo_redemption WHERE promo_redemption.code = promo_code.code)";
    let miscounted: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if miscounted > 0 {
        report.breaches.push(format!("{miscounted} promo codes count other uses than there are redemptions"));
    }
    let sql = "SELECT count(*) FROM payment WHERE NOT EXISTS (SELECT 1 FROM journal
                 WHERE journal.organization = payment.organization AND sequence = entry AND kind = ?1)";
    let unbooked: i64 = connection.query_row(sql, [EntryKind::TopUp.code()], |row| row.get(0))?;
    if unbooked > 0 {
        report.breaches.push(format!("{unbooked} payments have no entry"));
    }
    let sql = "SELECT (SELECT count(*) FROM journal WHERE kind > 3 AND kind = ?1)
                 - (SELECT count(*) FROM (SELECT DISTINCT organization, entry FROM payment))";
    let unpaid: i64 = connection.query_row(sql, [EntryKind::TopUp.code()], |row| row.get(0))?;
    if unpaid != 0 {
        report.breaches.push(format!("{unpaid} more top-ups are booked than there are payments"));
    }
    let sql = "SELECT count(*) FROM organization WHERE wallet NOT IN (SELECT id FROM wallet)
               OR id NOT IN (SELECT organization FROM books)";
    let lost: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if lost > 0 {
        report.breaches.push(format!("{lost} organizations have no books"));
    }
    Ok(())
}
