//! The writer's statements, prepared once, and how changes become rows.

use domain::{BudgetId, OrganizationId, Payer};
use ledger::{
    Books, Budget, CostRow, Entry, Event, Hold, Idempotency, Lot, Note, PoolKey, PoolUse, PromoCode, Reply,
    Use, UseKey, Wallet,
};
use rusqlite::{Connection, PrepFlags, Statement, params};

use crate::columns::{count, kind_text, status_text, to_json};
use crate::{StoreError, draft};

/// Every statement that writes the ledger. Borrowed from the connection for the writer's whole life.
pub(crate) struct Statements<'c> {
    connection: &'c Connection,
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    update_wallet: Statement<'c>,
    save_lot: Statement<'c>,
    save_hold: Statement<'c>,
    delete_hold: Statement<'c>,
    insert_entry: Statement<'c>,
    insert_row: Statement<'c>,
    save_use: Statement<'c>,
    save_pool: Statement<'c>,
    /// Where a hold's draft is put together; kept for its memory.
    draft: Vec<u8>,
}

impl<'c> Statements<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> Result<Self, StoreError> {
        // Told that they stay, they leave the connection's fast memory to what comes and goes.
        let prepare = |sql: &str| connection.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT);
        Ok(Self {
            connection,
            begin: prepare("BEGIN IMMEDIATE")?,
            commit: prepare("COMMIT")?,
            rollback: prepare("ROLLBACK")?,
            update_wallet: prepare(
                "UPDATE wallet SET balance = ?3, held = ?4, debt = ?5 WHERE organization = ?1 AND id = ?2",
            )?,
            save_lot: prepare(
                "INSERT INTO lot (organization, id, wallet, kind, granted, remaining, used, expired, withdrawn,
                   created_at, expires_at, warned)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT DO UPDATE SET remaining = excluded.remaining, used = excluded.used,
                   expired = excluded.expired, withdrawn = excluded.withdrawn, warned = excluded.warned",
            )?,
            save_hold: prepare(
                "INSERT INTO hold (organization, request, amount, shares, tokens, units, created_at, draft)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT DO UPDATE SET amount = excluded.amount, shares = excluded.shares,
                   tokens = excluded.tokens, units = excluded.units, draft = excluded.draft",
            )?,
            delete_hold: prepare("DELETE FROM hold WHERE organization = ?1 AND request = ?2")?,
            insert_entry: prepare(
                "INSERT INTO journal (organization, sequence, at, kind, wallet, reference, legs, balance, actor, reason, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            insert_row: prepare(&insert_row_sql())?,
            save_use: prepare(
                "INSERT INTO budget_use (organization, budget, value, start, spent, held, tokens, tokens_held, steps, told)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT DO UPDATE SET spent = excluded.spent, held = excluded.held, tokens = excluded.tokens,
                   tokens_held = excluded.tokens_held, steps = excluded.steps, told = excluded.told",
            )?,
            save_pool: prepare(
                "INSERT INTO pool_use (organization, pool, start, used, held) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET used = excluded.used, held = excluded.held",
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

    /// A wallet's sums; all of it when it is new.
    pub(crate) fn save_wallet(&mut self, books: &Books, wallet: &Wallet) -> Result<(), StoreError> {
        let updated = self.update_wallet.execute(params![
            books.organization.as_bytes(),
            wallet.id.as_bytes(),
            wallet.balance.nano(),
            wallet.held.nano(),
            wallet.debt.nano(),
        ])?;
        if updated == 1 { Ok(()) } else { self.insert_wallet(books, wallet) }
    }

    pub(crate) fn save_lot(&mut self, organization: OrganizationId, lot: &Lot) -> Result<(), StoreError> {
        self.save_lot.execute(params![
            organization.as_bytes(),
            lot.id.as_bytes(),
            lot.wallet.as_bytes(),
            kind_text(lot.kind),
            lot.granted.nano(),
            lot.remaining.nano(),
            lot.used.nano(),
            lot.expired.nano(),
            lot.withdrawn.nano(),
            lot.created_at.micros(),
            lot.expires_at.micros(),
            lot.warned,
        ])?;
        Ok(())
    }

    pub(crate) fn save_hold(&mut self, organization: OrganizationId, hold: &Hold) -> Result<(), StoreError> {
        draft::encode(&hold.draft, &hold.earlier, &mut self.draft);
        self.save_hold.execute(params![
            organization.as_bytes(),
            hold.request.as_bytes(),
            hold.amount.nano(),
            draft::encode_shares(&hold.shares),
            count(hold.tokens),
            count(hold.units),
            hold.created_at.micros(),
            self.draft,
        ])?;
        Ok(())
    }

    pub(crate) fn delete_hold(
        &mut self,
        organization: OrganizationId,
        request: domain::RequestId,
    ) -> Result<(), StoreError> {
        self.delete_hold.execute(params![organization.as_bytes(), request.as_bytes()])?;
        Ok(())
    }

    pub(crate) fn append_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let note = entry.note.as_ref();
        self.insert_entry.execute(params![
            entry.organization.as_bytes(),
            count(entry.sequence),
            entry.at.micros(),
            entry.kind.code(),
            entry.wallet.as_bytes(),
            entry.reference,
            entry.encoded_legs(),
            entry.balance.nano(),
            note.map(|Note { actor, .. }| &**actor),
            note.and_then(|Note { reason, .. }| reason.as_deref()),
            entry.hash,
        ])?;
        Ok(())
    }

    pub(crate) fn append_row(&mut self, row: &CostRow, entry: u64) -> Result<(), StoreError> {
        let (u, cover) = (row.usage.counts().map(count), row.cover.as_deref());
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
            row.service_tier.as_str(),
            row.class.as_str(),
            Payer::word(row.payers()),
            row.list_pico,
            cover.map(|cover| &*cover.key.pool),
            cover.map(|cover| cover.key.start.micros()),
            cover.map(|cover| count(cover.cap)),
            cover.map(|cover| cover.strict),
            cover.map(|cover| count(cover.units)),
            // One for each of `Usage::NAMES`, in their order.
            u[0],
            u[1],
            u[2],
            u[3],
            u[4],
            u[5],
            u[6],
            u[7],
            u[8],
            u[9],
            u[10],
            u[11],
            u[12],
            u[13],
            u[14],
            row.cost_pico,
            row.cost.nano(),
            row.reported_pico,
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
            count(entry),
        ])?;
        Ok(())
    }

    pub(crate) fn save_use(
        &mut self,
        organization: OrganizationId,
        key: &UseKey,
        used: &Use,
    ) -> Result<(), StoreError> {
        self.save_use.execute(params![
            organization.as_bytes(),
            key.budget.as_bytes(),
            &*key.value,
            key.start.micros(),
            used.spent.nano(),
            used.held.nano(),
            count(used.tokens),
            count(used.tokens_held),
            count(used.steps),
            used.told,
        ])?;
        Ok(())
    }
}

impl Statements<'_> {
    pub(crate) fn save_pool(
        &mut self,
        organization: OrganizationId,
        PoolKey { pool, start }: &PoolKey,
        used: PoolUse,
    ) -> Result<(), StoreError> {
        let owner = organization.as_bytes();
        self.save_pool.execute(params![
            owner,
            &**pool,
            start.micros(),
            count(used.used),
            count(used.held)
        ])?;
        Ok(())
    }
}

/// Rare writes, whose statements the connection keeps.
impl Statements<'_> {
    /// New books, with all their wallets.
    pub(crate) fn insert_books(&self, books: &Books) -> Result<(), StoreError> {
        let sql = "INSERT INTO books (organization, frozen) VALUES (?1, 0)";
        self.execute(sql, [books.organization.as_bytes()])?;
        books.wallets.iter().try_for_each(|wallet| self.insert_wallet(books, wallet))
    }

    fn insert_wallet(&self, books: &Books, wallet: &Wallet) -> Result<(), StoreError> {
        let place = books.wallets.iter().position(|other| other.id == wallet.id).unwrap_or_default();
        let purpose = &wallet.purpose;
        self.execute(
            "INSERT INTO wallet (organization, id, place, name, project, models, overflow, currency, balance, held, debt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'USD', ?8, ?9, ?10)",
            params![
                books.organization.as_bytes(),
                wallet.id.as_bytes(),
                i64::try_from(place).unwrap_or(i64::MAX),
                &*purpose.name,
                purpose.project.as_ref().map(domain::ProjectId::as_bytes),
                to_json(&purpose.models),
                purpose.overflow,
                wallet.balance.nano(),
                wallet.held.nano(),
                wallet.debt.nano(),
            ],
        )
    }

    /// A budget as it is now, `None` when it was removed: then its counts go too.
    pub(crate) fn save_budget(
        &self,
        organization: OrganizationId,
        id: BudgetId,
        budget: Option<&Budget>,
    ) -> Result<(), StoreError> {
        let (organization, id) = (organization.as_bytes(), id.as_bytes());
        let Some(budget) = budget else {
            self.execute(
                "UPDATE budget SET removed = 1 WHERE organization = ?1 AND id = ?2",
                params![organization, id],
            )?;
            return self.execute(
                "DELETE FROM budget_use WHERE organization = ?1 AND budget = ?2",
                params![organization, id],
            );
        };
        self.execute(
            "INSERT INTO budget (organization, id, definition, removed) VALUES (?1, ?2, ?3, 0)
             ON CONFLICT DO UPDATE SET definition = excluded.definition",
            params![organization, id, to_json(budget)],
        )
    }

    pub(crate) fn save_promo(&self, promo: &PromoCode) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO promo_code (code, amount, expires_at, credit_seconds, uses_max, uses, models, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET uses = excluded.uses",
            params![
                &*promo.code,
                promo.amount.nano(),
                promo.expires_at.micros(),
                promo.credit_seconds,
                count(promo.uses_max),
                count(promo.uses),
                to_json(&promo.models),
                promo.created_at.micros(),
            ],
        )
    }

    pub(crate) fn save_redemption(&self, organization: OrganizationId, code: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO promo_redemption (organization, code) VALUES (?1, ?2)";
        self.execute(sql, params![organization.as_bytes(), code])
    }

    pub(crate) fn save_payment(
        &self,
        organization: OrganizationId,
        payment: &str,
        entry: u64,
        answer: &Reply,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO payment (payment, organization, entry, answer) VALUES (?1, ?2, ?3, ?4)",
            params![payment, organization.as_bytes(), count(entry), to_json(answer)],
        )
    }

    pub(crate) fn save_answer(
        &self,
        books: &Books,
        named: &Idempotency,
        answer: &Reply,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO idempotency (organization, key, digest, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            params![
                books.organization.as_bytes(),
                named.key,
                named.digest,
                to_json(answer),
                books.last_at.micros()
            ],
        )
    }

    pub(crate) fn append_event(&self, event: &Event) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO event (organization, at, detail) VALUES (?1, ?2, ?3)",
            params![event.organization.as_bytes(), event.at.micros(), to_json(&event.kind)],
        )
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

fn insert_row_sql() -> String {
    let columns = crate::columns::COST_ROW;
    let places = columns.split(',').count() + 1;
    let values = (1..=places).map(|place| format!("?{place}")).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO cost_row ({columns}, entry) VALUES ({values})")
}
