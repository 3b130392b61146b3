//! A store made of nothing but what [`Changes`] told it to save, as a database would be. It answers what commands must
//! know of the past, and gives back books after a crash. What it forgets, the ledger forgot to tell.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BudgetId, LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{
    Account, Act, Booking, Books, Budget, Changes, Charged, Command, CostRow, Entry, EntryKind, Hold, Lot,
    Past, PoolKey, PoolUse, PromoCode, Purpose, Reply, Use, UseKey, Wallet,
};

/// The rows of all organizations.
#[derive(Debug, Default)]
pub struct Tables {
    /// By organization.
    pub owners: BTreeMap<OrganizationId, OwnerTables>,
    /// Promo codes.
    pub promos: BTreeMap<Box<str>, PromoCode>,
    payments: BTreeMap<Box<str>, (OrganizationId, Reply)>,
    lot_ids: BTreeSet<LotId>,
    wallet_ids: BTreeSet<WalletId>,
    budget_ids: BTreeSet<BudgetId>,
}

/// The rows of one organization.
#[derive(Debug, Default)]
pub struct OwnerTables {
    /// The stamp of the last event.
    told_at: Timestamp,
    wallets: Vec<WalletRow>,
    /// Every lot there ever was.
    pub lots: BTreeMap<LotId, Lot>,
    holds: BTreeMap<RequestId, Hold>,
    uses: BTreeMap<UseKey, Use>,
    pools: BTreeMap<PoolKey, PoolUse>,
    budgets: BTreeMap<BudgetId, Budget>,
    /// The journal.
    pub entries: Vec<Entry>,
    /// Cost rows, each with the number of the entry that settled it.
    pub rows: Vec<(u64, CostRow)>,
    charged: BTreeMap<RequestId, Charged>,
    answers: BTreeMap<String, ([u8; 32], Reply)>,
    redeemed: BTreeSet<Box<str>>,
}

#[derive(Clone, Debug)]
struct WalletRow {
    id: WalletId,
    purpose: Purpose,
    balance: Money,
    held: Money,
    debt: Money,
}

impl Tables {
    /// Saves new books.
    pub fn open(&mut self, books: &Books) {
        let rows = self.owners.entry(books.organization).or_default();
        for wallet in &books.wallets {
            rows.save_wallet(wallet);
            self.wallet_ids.insert(wallet.id);
        }
    }

    /// The number, the hash and the net of the last entry.
    pub fn head(&self, organization: OrganizationId) -> (u64, [u8; 32], Money) {
        let last = self.owners.get(&organization).and_then(|rows| rows.entries.last());
        last.map(|entry| (entry.sequence, entry.hash, entry.balance)).unwrap_or_default()
    }

    /// What a command must know of the past.
    pub fn past(&self, books: Option<&Books>, command: &Command, now: Timestamp) -> Past {
        match command {
            Command::Hold(hold) | Command::Probe(hold) => {
                let ended = self
                    .owners
                    .get(&hold.organization)
                    .is_some_and(|rows| rows.charged.contains_key(&hold.request));
                Past { taken: ended, ..Past::default() }
            }
            Command::Book(booking) => self.past_of_booking(books, booking, now),
            Command::Open { .. }
            | Command::Extend(_)
            | Command::Settle { .. }
            | Command::Sweep { .. }
            | Command::Issue(_) => Past::default(),
        }
    }

    fn past_of_booking(&self, books: Option<&Books>, booking: &Booking, now: Timestamp) -> Past {
        let Some(rows) = self.owners.get(&booking.organization) else { return Past::default() };
        let key = booking.idempotency.as_ref().map(|idempotency| &idempotency.key);
        let mut past =
            Past { answered: key.and_then(|key| rows.answers.get(key).cloned()), ..Past::default() };
        match &booking.act {
            Act::Grant(grant) => past.taken = self.lot_ids.contains(&grant.lot),
            Act::TopUp { grant, payment } => {
                past.taken = self.lot_ids.contains(&grant.lot);
                past.paid = self.payments.get(payment).cloned();
            }
            Act::Redeem { code, lot, wallet } => {
                past.taken = self.lot_ids.contains(lot) || self.wallet_ids.contains(wallet);
                past.promo = self.promos.get(code).cloned();
                past.redeemed = rows.redeemed.contains(code);
            }
            Act::OpenWallet { wallet, .. } => past.taken = self.wallet_ids.contains(wallet),
            Act::Transfer { lot, .. } => {
                if let Some(books) = books {
                    let (first, last) = Past::lot_ids(books, *lot);
                    past.taken = self.lot_ids.range(first..=last).next().is_some();
                }
            }
            Act::Adjust { lot, .. } => past.taken = self.lot_ids.contains(lot),
            Act::Refund { request, lot, .. } => {
                past.taken = self.lot_ids.contains(lot);
                past.charged = rows.charged.get(request).copied();
            }
            Act::PayOut { payout, .. } => past.taken = self.lot_ids.contains(payout),
            Act::SetBudget(budget) => {
                past.taken = self.budget_ids.contains(&budget.id);
                if !past.taken {
                    past.consumed = rows.consumed(budget, now);
                }
            }
            Act::RemoveBudget(_) => {}
        }
        past
    }

    /// Saves what a command changed; `books` are the books after it.
    pub fn save(&mut self, books: &Books, changes: &mut Changes) {
        if changes.is_empty() && changes.entries.is_empty() {
            return;
        }
        let rows = self.owners.entry(books.organization).or_default();
        if let Some(event) = changes.events.last() {
            rows.told_at = event.at;
        }
        for id in changes.wallets.drain(..) {
            if let Some(wallet) = books.wallet(id) {
                rows.save_wallet(wallet);
                self.wallet_ids.insert(id);
            }
        }
        for lot in changes.lots.drain(..) {
            self.lot_ids.insert(lot.id);
            rows.lots.insert(lot.id, lot);
        }
        for request in changes.holds.drain(..) {
            if let Some(hold) = books.holds.get(&request) {
                rows.holds.insert(request, hold.clone());
            }
        }
        for request in changes.holds_ended.drain(..) {
            rows.holds.remove(&request);
        }
        for key in changes.uses.drain(..) {
            if let Some(used) = books.uses.get(&key) {
                rows.uses.insert(key, *used);
            }
        }
        for key in changes.pools.drain(..) {
            if let Some(used) = books.pools.get(&key) {
                rows.pools.insert(key, *used);
            }
        }
        for id in changes.budgets.drain(..) {
            rows.save_budget(id, books);
            self.budget_ids.insert(id);
        }
        for entry in changes.entries.drain(..) {
            if matches!(entry.kind, EntryKind::PayOut | EntryKind::Adjust) {
                self.lot_ids.insert(LotId::from_bytes(entry.reference));
            }
            rows.save_entry(entry);
        }
        rows.rows.append(&mut changes.rows);
    }

    /// Saves what came of a booking beside what it changed: the answer, the payment, the promo code.
    pub fn remember(&mut self, booking: &Booking, reply: &Reply, changes: &mut Changes) {
        if let Some((payment, _)) = changes.payment.take() {
            self.payments.insert(payment, (booking.organization, reply.clone()));
        }
        let rows = self.owners.entry(booking.organization).or_default();
        if let Some(promo) = changes.promo.take() {
            rows.redeemed.insert(promo.code.clone());
            self.promos.insert(promo.code.clone(), promo);
        }
        if let Some(idempotency) = &booking.idempotency {
            let answer = (idempotency.digest, reply.clone());
            rows.answers.entry(idempotency.key.clone()).or_insert(answer);
        }
    }

    /// Fetches what budgets have consumed, where the books do not know it.
    pub fn load_uses(&self, books: &mut Books, call: &CostRow, at: Timestamp) {
        if books.budgets.is_empty() {
            return;
        }
        let Some(rows) = self.owners.get(&books.organization) else { return };
        for key in books.absent_uses(call, at) {
            if let Some(used) = rows.uses.get(&key) {
                books.uses.insert(key, *used);
            }
        }
    }

    /// Fetches what was used of the pools that a command draws on, where the books do not know it.
    pub fn load_pools(&self, books: &mut Books, command: &Command) {
        let Some(rows) = self.owners.get(&books.organization) else { return };
        for key in books.absent_pools(command) {
            if let Some(used) = rows.pools.get(&key) {
                books.pools.insert(key, *used);
            }
        }
    }

    /// The books as a start would load them.
    pub fn load(&self, organization: OrganizationId) -> Option<Books> {
        let rows = self.owners.get(&organization)?;
        let own = rows.wallets.first()?;
        let mut books = Books::new(organization, own.id);
        (books.sequence, books.head, books.net) = self.head(organization);
        books.last_at = rows.entries.last().map_or(rows.told_at, |entry| entry.at.max(rows.told_at));
        books.wallets = rows.wallets.iter().map(|wallet| rows.load_wallet(wallet)).collect();
        books.budgets = rows.budgets.values().cloned().collect();
        books.budgets.sort_by(|a, b| (&a.subject, a.id).cmp(&(&b.subject, b.id)));
        for hold in rows.holds.values() {
            let mut hold = hold.clone();
            hold.uses = books.uses_of(&hold.draft, hold.created_at);
            for key in &hold.uses {
                if let Some(used) = rows.uses.get(key) {
                    books.uses.insert(key.clone(), *used);
                }
            }
            for cover in hold.rows().filter_map(|row| row.cover.as_ref()) {
                if let Some(used) = rows.pools.get(&cover.key) {
                    books.pools.insert(cover.key.clone(), *used);
                }
            }
            books.holds.insert(hold.request, hold);
        }
        Some(books)
    }
}

impl OwnerTables {
    /// What was consumed of budgets, as saved.
    pub const fn uses(&self) -> &BTreeMap<UseKey, Use> {
        &self.uses
    }

    /// What was used of pools, as saved.
    pub const fn pools(&self) -> &BTreeMap<PoolKey, PoolUse> {
        &self.pools
    }

    fn save_wallet(&mut self, wallet: &Wallet) {
        let (balance, held, debt) = (wallet.balance, wallet.held, wallet.debt);
        match self.wallets.iter_mut().find(|known| known.id == wallet.id) {
            Some(known) => (known.balance, known.held, known.debt) = (balance, held, debt),
            None => {
                let purpose = wallet.purpose.clone();
                self.wallets.push(WalletRow { id: wallet.id, purpose, balance, held, debt });
            }
        }
    }

    fn load_wallet(&self, row: &WalletRow) -> Wallet {
        let open = self.lots.values().filter(|lot| lot.wallet == row.id && !lot.remaining.is_zero());
        let mut lots: Vec<Lot> = open.cloned().collect();
        lots.sort_by_key(Lot::burn_order);
        Wallet {
            id: row.id,
            purpose: row.purpose.clone(),
            balance: row.balance,
            held: row.held,
            debt: row.debt,
            lots,
        }
    }

    fn save_budget(&mut self, id: BudgetId, books: &Books) {
        match books.budgets.iter().find(|budget| budget.id == id) {
            Some(budget) => {
                self.budgets.insert(id, budget.clone());
            }
            None => {
                self.budgets.remove(&id);
                self.uses.retain(|key, _| key.budget != id);
            }
        }
    }

    fn save_entry(&mut self, entry: Entry) {
        let request = RequestId::from_bytes(entry.reference);
        let revenue = || entry.amount_on(Account::Revenue).unwrap_or_default();
        match entry.kind {
            EntryKind::Settle => {
                let amount = revenue().checked_neg().unwrap_or_default();
                let charged = Charged { wallet: entry.wallet, amount, refunded: Money::ZERO };
                self.charged.insert(request, charged);
            }
            EntryKind::Refund => {
                if let Some(charged) = self.charged.get_mut(&request) {
                    charged.refunded = charged.refunded.checked_add(revenue()).unwrap_or(Money::MAX);
                }
            }
            EntryKind::Grant
            | EntryKind::Expire
            | EntryKind::PayDebt
            | EntryKind::TopUp
            | EntryKind::Redeem
            | EntryKind::Transfer
            | EntryKind::PayOut
            | EntryKind::Adjust => {}
        }
        self.entries.push(entry);
    }

    /// What calls have consumed of a new budget in the running period, from their rows.
    fn consumed(&self, budget: &Budget, now: Timestamp) -> Vec<(UseKey, Use)> {
        let span = budget.span(now);
        let mut uses: BTreeMap<UseKey, Use> = BTreeMap::new();
        for (_, row) in self.rows.iter().filter(|(_, row)| span.contains(row.at)) {
            if let Some(value) = budget.subject.of_call(row) {
                uses.entry(UseKey { budget: budget.id, value, start: span.start }).or_default().count(row);
            }
        }
        uses.into_iter().collect()
    }
}
