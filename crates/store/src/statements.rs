//! The writer's statements, prepared once, and how changes become rows.

use domain::OrganizationId;
use ledger::{Changes, CostRow, Entry, EntryKind, Hold, Idempotency, Lot, Wallet};
use rusqlite::{Connection, Statement, params};

use crate::columns::{count, kind_text, status_text};
use crate::{StoreError, draft};

/// Every statement of the hot path. Borrowed from the connection for the writer's whole life.
pub(crate) struct Statements<'c> {
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    insert_wallet: Statement<'c>,
    update_wallet: Statement<'c>,
    upsert_lot: Statement<'c>,
    upsert_hold: Statement<'c>,
    delete_hold: Statement<'c>,
    insert_entry: Statement<'c>,
    insert_row: Statement<'c>,
    insert_idempotency: Statement<'c>,
    /// Where a hold's draft is put together; kept for its memory.
    draft: Vec<u8>,
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> Result<Self, StoreError> {
        Ok(Self {
            begin: connection.prepare("BEGIN IMMEDIATE")?,
            commit: connection.prepare("COMMIT")?,
            rollback: connection.prepare("ROLLBACK")?,
            insert_wallet: connection.prepare(
                "INSERT INTO wallet (organization, id, currency, balance, held, debt, sequence, head, last_at, frozen)
                 VALUES (?1, ?2, 'USD', 0, 0, 0, 0, zeroblob(32), 0, 0)",
            )?,
            update_wallet: connection.prepare(
                "UPDATE wallet SET balance = ?3, held = ?4, debt = ?5, sequence = ?6, head = ?7, last_at = ?8, frozen = ?9
                 WHERE organization = ?1 AND id = ?2",
            )?,
            upsert_lot: connection.prepare(
                "INSERT INTO lot (organization, wallet, id, kind, granted, remaining, used, expired, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT DO UPDATE SET remaining = excluded.remaining, used = excluded.used, expired = excluded.expired",
            )?,
            upsert_hold: connection.prepare(
                "INSERT INTO hold (organization, wallet, request, amount, created_at, draft) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET amount = excluded.amount, draft = excluded.draft",
            )?,
            delete_hold: connection
                .prepare("DELETE FROM hold WHERE organization = ?1 AND wallet = ?2 AND request = ?3")?,
            insert_entry: connection.prepare(
                "INSERT INTO journal (organization, wallet, sequence, at, kind, reference, legs, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?,
            insert_row: connection.prepare(&insert_row_sql())?,
            insert_idempotency: connection.prepare(
                "INSERT INTO idempotency (organization, wallet, key, digest, lot, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            draft: Vec::new(),
        })
    }

    pub(crate) fn begin(&mut self) -> Result<(), StoreError> {
        self.begin.execute([])?;
        Ok(())
    }

    pub(crate) fn commit(&mut self) -> rusqlite::Result<()> {
        self.commit.execute([]).map(|_| ())
    }

    pub(crate) fn rollback(&mut self) -> Result<(), StoreError> {
        self.rollback.execute([])?;
        Ok(())
    }

    pub(crate) fn insert_wallet(&mut self, wallet: &Wallet) -> Result<(), StoreError> {
        self.insert_wallet.execute(params![wallet.organization.as_bytes(), wallet.id.as_bytes()])?;
        Ok(())
    }

    pub(crate) fn update_wallet(&mut self, wallet: &Wallet) -> Result<(), StoreError> {
        let changed = self.update_wallet.execute(params![
            wallet.organization.as_bytes(),
            wallet.id.as_bytes(),
            wallet.balance.nano(),
            wallet.held.nano(),
            wallet.debt.nano(),
            count(wallet.sequence),
            wallet.head,
            wallet.last_at.micros(),
            wallet.frozen,
        ])?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Unreadable("wallet row")) }
    }

    pub(crate) fn save_lot(&mut self, wallet: &Wallet, lot: &Lot) -> Result<(), StoreError> {
        self.upsert_lot.execute(params![
            wallet.organization.as_bytes(),
            wallet.id.as_bytes(),
            lot.id.as_bytes(),
            kind_text(lot.kind),
            lot.granted.nano(),
            lot.remaining.nano(),
            lot.used.nano(),
            lot.expired.nano(),
            lot.created_at.micros(),
            lot.expires_at.micros(),
        ])?;
        Ok(())
    }

    /// Saves what one command changed, but for the wallet and its lots, which are saved once a batch.
    pub(crate) fn save(&mut self, wallet: &Wallet, changes: &Changes) -> Result<(), StoreError> {
        for hold in &changes.holds {
            self.save_hold(wallet, hold)?;
        }
        for request in &changes.holds_ended {
            let key = params![wallet.organization.as_bytes(), wallet.id.as_bytes(), request.as_bytes()];
            self.delete_hold.execute(key)?;
        }
        for entry in &changes.entries {
            self.append_entry(wallet.organization, entry)?;
        }
        let settled_by = changes.entries.iter().find(|entry| entry.kind == EntryKind::Settle);
        for row in &changes.rows {
            let entry = settled_by.ok_or(StoreError::Unreadable("settlement without entry"))?;
            self.append_row(wallet, row, entry.sequence)?;
        }
        Ok(())
    }

    pub(crate) fn save_idempotency(
        &mut self,
        wallet: &Wallet,
        named: &Idempotency,
        lot: &Lot,
    ) -> Result<(), StoreError> {
        self.insert_idempotency.execute(params![
            wallet.organization.as_bytes(),
            wallet.id.as_bytes(),
            named.key,
            named.digest,
            lot.id.as_bytes(),
            lot.created_at.micros(),
        ])?;
        Ok(())
    }

    fn save_hold(&mut self, wallet: &Wallet, hold: &Hold) -> Result<(), StoreError> {
        draft::encode(&hold.draft, &mut self.draft);
        self.upsert_hold.execute(params![
            wallet.organization.as_bytes(),
            wallet.id.as_bytes(),
            hold.request.as_bytes(),
            hold.amount.nano(),
            hold.created_at.micros(),
            self.draft,
        ])?;
        Ok(())
    }

    fn append_entry(&mut self, organization: OrganizationId, entry: &Entry) -> Result<(), StoreError> {
        self.insert_entry.execute(params![
            organization.as_bytes(),
            entry.wallet.as_bytes(),
            count(entry.sequence),
            entry.at.micros(),
            entry.kind.code(),
            entry.reference,
            entry.encoded_legs(),
            entry.hash,
        ])?;
        Ok(())
    }

    fn append_row(&mut self, wallet: &Wallet, row: &CostRow, entry: u64) -> Result<(), StoreError> {
        self.insert_row.execute(params![
            row.organization.as_bytes(),
            row.request.as_bytes(),
            row.attempt,
            row.at.micros(),
            row.project.as_bytes(),
            row.key.as_bytes(),
            &*row.environment,
            &*row.model,
            &*row.target,
            &*row.provider,
            row.model_answered.as_deref(),
            &*row.price_version,
            count(row.usage.input),
            count(row.usage.cached),
            count(row.usage.cache_write),
            count(row.usage.audio_input),
            count(row.usage.output),
            count(row.usage.audio_output),
            count(row.usage.reasoning),
            row.cost_pico,
            row.cost.nano(),
            status_text(row.status),
            &*row.reason,
            row.estimated,
            row.http_status,
            row.streamed,
            count(row.duration_us),
            row.held.nano(),
            row.attribution.user.as_deref(),
            row.attribution.feature.as_deref(),
            row.attribution.run.as_deref(),
            wallet.id.as_bytes(),
            count(entry),
        ])?;
        Ok(())
    }
}

fn insert_row_sql() -> String {
    let columns = crate::columns::COST_ROW;
    let places = columns.split(',').count() + 2;
    let values = (1..=places).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO cost_row ({columns}, wallet, entry) VALUES ({values})")
}
