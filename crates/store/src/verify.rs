//! Verification: replays every wallet's journal and compares it with the tables, row by row.

use std::path::Path;

use domain::{Money, WalletId};
use ledger::{Breach, Invariant, Replayed, Wallet, replay};
use rusqlite::{Connection, params};

use crate::reader::{lots_by_id, read_entry};
use crate::{StoreError, database_path, schema, wallets};

/// What a verification looked at, and every broken promise it found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Wallets looked at.
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
    /// What is broken; empty when all is well.
    pub breaches: Vec<String>,
}

/// Checks the database in `folder`, of one moment, while a gateway may be running on it.
///
/// # Errors
/// When there is no database or it cannot be read; broken promises are in the report.
pub fn verify(folder: &Path) -> Result<Report, StoreError> {
    let path = database_path(folder);
    if !path.is_file() {
        return Err(StoreError::NoDatabase(folder.to_owned()));
    }
    let mut connection = schema::open_for_reading(&path)?;
    let transaction = connection.transaction()?;
    let mut report = Report::default();
    check_file(&transaction, &mut report)?;
    let ids: Vec<[u8; 16]> = transaction
        .prepare("SELECT id FROM wallet")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in ids {
        let wallet = wallets::load(&transaction, WalletId::from_bytes(id))?;
        let wallet = wallet.ok_or(StoreError::Unreadable("wallet row"))?;
        check_wallet(&transaction, &wallet, &mut report)?;
    }
    check_strays(&transaction, &mut report)?;
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

fn check_wallet(connection: &Connection, wallet: &Wallet, report: &mut Report) -> Result<(), StoreError> {
    report.wallets += 1;
    report.holds += u64::try_from(wallet.holds.len()).unwrap_or(u64::MAX);
    if let Err(breach) = wallet.check(true) {
        report.breaches.push(breach.to_string());
    }
    if wallet.frozen {
        report.breaches.push(format!("wallet {} is frozen", wallet.id));
    }
    let mut statement = connection.prepare_cached(
        "SELECT wallet, sequence, at, kind, reference, legs, hash FROM journal
         WHERE organization = ?1 AND wallet = ?2 ORDER BY sequence",
    )?;
    let owner = params![wallet.organization.as_bytes(), wallet.id.as_bytes()];
    let mut rows = statement.query(owner)?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read_entry(row)?);
    }
    report.entries += u64::try_from(entries.len()).unwrap_or(u64::MAX);
    match replay(entries) {
        Err(breach) => report.breaches.push(breach.to_string()),
        Ok(replayed) => {
            compare(connection, wallet, &replayed, report)?;
            match_charges(connection, wallet, replayed, report)?;
        }
    }
    Ok(())
}

/// I11: what the journal says is what the tables say.
fn compare(
    connection: &Connection,
    wallet: &Wallet,
    replayed: &Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut expect = |what: &str, journal: String, table: String| {
        if journal != table {
            let detail = format!("{what}: journal {journal}, table {table}");
            let breach = Breach { invariant: Invariant::ReplayMatches, wallet: wallet.id, detail };
            report.breaches.push(breach.to_string());
        }
    };
    expect("balance", replayed.balance.to_string(), wallet.balance.to_string());
    expect("debt", replayed.debt.to_string(), wallet.debt.to_string());
    expect("sequence", replayed.sequence.to_string(), wallet.sequence.to_string());
    expect("head", format!("{:?}", replayed.head), format!("{:?}", wallet.head));
    let lots = lots_by_id(connection, wallet)?;
    expect("lots", replayed.lots.len().to_string(), lots.len().to_string());
    for (id, lot) in &lots {
        let journal = replayed.lots.get(id).map(|lot| (lot.granted, lot.used, lot.expired, lot.remaining()));
        let table = Some((lot.granted, lot.used, lot.expired, Some(lot.remaining)));
        expect(&id.to_string(), format!("{journal:?}"), format!("{table:?}"));
    }
    report.balance = Money::sum([report.balance, wallet.balance]).unwrap_or(Money::MAX);
    report.revenue = Money::sum([report.revenue, replayed.revenue]).unwrap_or(Money::MAX);
    Ok(())
}

/// I5 and I6: every settled request has its rows, every row its settlement, and their sums agree.
fn match_charges(
    connection: &Connection,
    wallet: &Wallet,
    mut replayed: Replayed,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut breach = |invariant, detail: String| {
        report.breaches.push(Breach { invariant, wallet: wallet.id, detail }.to_string());
    };
    let mut statement = connection.prepare_cached(
        "SELECT request, sum(cost), count(*) FROM cost_row WHERE organization = ?1 AND wallet = ?2 GROUP BY request",
    )?;
    let mut rows = statement.query(params![wallet.organization.as_bytes(), wallet.id.as_bytes()])?;
    let mut matched = 0_u64;
    while let Some(row) = rows.next()? {
        let request: [u8; 16] = row.get(0)?;
        let name = domain::RequestId::from_bytes(request);
        let booked = Money::from_nano(row.get(1)?);
        matched += row.get::<_, i64>(2)?.unsigned_abs();
        match replayed.charges.remove(&request) {
            Some(charge) if charge == booked => {}
            Some(charge) => {
                breach(Invariant::ChargeIsCost, format!("{name}: rows {booked}, charged {charge}"))
            }
            None => breach(Invariant::OneEndPerHold, format!("{name} has rows and no settlement")),
        }
        if wallet.holds.contains_key(&name) {
            breach(Invariant::OneEndPerHold, format!("{name} is settled and still held"));
        }
    }
    for request in replayed.charges.keys() {
        let name = domain::RequestId::from_bytes(*request);
        breach(Invariant::ChargeIsCost, format!("{name} was settled and has no row"));
    }
    report.rows += matched;
    Ok(())
}

/// Rows that belong to no wallet at all.
fn check_strays(connection: &Connection, report: &mut Report) -> Result<(), StoreError> {
    for (table, column) in
        [("lot", "wallet"), ("hold", "wallet"), ("journal", "wallet"), ("cost_row", "wallet")]
    {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM wallet)");
        let strays: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
        if strays > 0 {
            report.breaches.push(format!("{strays} rows of table {table} belong to no wallet"));
        }
    }
    let sql = "SELECT count(*) FROM organization WHERE wallet NOT IN (SELECT id FROM wallet)";
    let lost: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if lost > 0 {
        report.breaches.push(format!("{lost} organizations have no wallet"));
    }
    Ok(())
}
