//! One organization's books and everything they ever said: applies commands, and after each checks all that must
//! always hold, and that what changed is told completely enough for a store.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BudgetId, LotId, Money, RequestId, Timestamp, WalletId};
use tollkeeper_ledger::conformance::Payer;
use tollkeeper_ledger::{
    Account, Act, Booking, Books, Budget, Changes, Charged, Command, CostRow, Denial, Entry, EntryKind,
    Event, Hold, Lot, LotKind, Past, PoolKey, PoolUse, PromoCode, Purpose, Replayed, Reply, Use, UseKey,
    apply, replay,
};

/// The books' owner.
pub(crate) fn payer() -> Payer {
    Payer::number(1)
}

/// A wallet's row in a store's table.
type WalletRow = (Purpose, Money, Money, Money);

/// Books, and the tables a store would have made of their changes.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) books: Books,
    /// Every lot there ever was.
    pub(crate) lots: BTreeMap<LotId, Lot>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) events: Vec<Event>,
    pub(crate) rows: BTreeMap<(RequestId, u32), CostRow>,
    pub(crate) promos: BTreeMap<Box<str>, PromoCode>,
    wallets: BTreeMap<WalletId, WalletRow>,
    holds: BTreeMap<RequestId, Hold>,
    uses: BTreeMap<UseKey, Use>,
    pools: BTreeMap<PoolKey, PoolUse>,
    budgets: BTreeMap<BudgetId, Option<Budget>>,
    redeemed: BTreeSet<Box<str>>,
    payments: BTreeMap<Box<str>, (u64, Reply)>,
    answers: BTreeMap<String, ([u8; 32], Reply)>,
}

impl Bench {
    /// Empty books.
    pub(crate) fn new() -> Self {
        let books = Books::new(payer().organization, payer().wallet);
        let wallets = books.wallets.iter().map(|wallet| (wallet.id, row_of(wallet))).collect();
        Self {
            books,
            lots: BTreeMap::new(),
            entries: Vec::new(),
            events: Vec::new(),
            rows: BTreeMap::new(),
            promos: BTreeMap::new(),
            wallets,
            holds: BTreeMap::new(),
            uses: BTreeMap::new(),
            pools: BTreeMap::new(),
            budgets: BTreeMap::new(),
            redeemed: BTreeSet::new(),
            payments: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Applies a command, saves what changed, and checks every promise.
    pub(crate) fn apply(&mut self, command: impl Into<Command>, now: Timestamp) -> Result<Reply, Denial> {
        let command = command.into();
        let before = self.books.clone();
        let past = self.past(&command, now);
        let booking = if let Command::Book(booking) = &command { Some(booking.clone()) } else { None };
        let mut changes = Changes::default();
        let foreseen = self.probe(&command, now);
        let answer = apply(&mut self.books, command, past, now, &mut changes);
        if let Some(foreseen) = foreseen {
            assert_eq!(foreseen, answer, "a probe and the hold after it");
        }
        if answer.is_err() {
            denied(&before, &self.books, &changes);
        }
        self.check_entries(&before, &changes);
        self.check_events(&changes);
        self.save(changes, &answer, booking.map(|booking| *booking));
        self.check_tables();
        assert_eq!(self.books.check(), Ok(()));
        answer
    }

    /// What a probe says of a hold, as the hold would be answered. It must change nothing at all.
    fn probe(&self, command: &Command, now: Timestamp) -> Option<Result<Reply, Denial>> {
        let Command::Hold(hold) = command else { return None };
        let (mut books, mut changes) = (self.books.clone(), Changes::default());
        let answer =
            apply(&mut books, Command::Probe(hold.clone()), self.past(command, now), now, &mut changes);
        assert_eq!(books, self.books, "a probe leaves the books as they are");
        assert!(changes.is_empty() && changes.entries.is_empty() && changes.events.is_empty());
        Some(
            answer
                .map(|reply| if let Reply::WouldHold(amount) = reply { Reply::Held(amount) } else { reply }),
        )
    }

    /// What a store would find in its tables.
    fn past(&self, command: &Command, now: Timestamp) -> Past {
        match command {
            Command::Hold(hold) | Command::Probe(hold) => {
                let attempts = (hold.request, 0)..=(hold.request, u32::MAX);
                Past { taken: self.rows.range(attempts).next().is_some(), ..Past::default() }
            }
            Command::Book(booking) => self.past_of(booking, now),
            Command::Open { .. }
            | Command::Extend(_)
            | Command::Settle { .. }
            | Command::Sweep { .. }
            | Command::Issue(_) => Past::default(),
        }
    }

    fn past_of(&self, booking: &Booking, now: Timestamp) -> Past {
        let named = booking.idempotency.as_ref();
        let mut past = Past {
            answered: named.and_then(|named| self.answers.get(&named.key).cloned()),
            ..Past::default()
        };
        match &booking.act {
            Act::Grant(grant) => past.taken = self.is_used(grant.lot),
            Act::TopUp { grant, payment } => {
                past.taken = self.is_used(grant.lot);
                past.paid =
                    self.payments.get(payment).map(|(_, reply)| (booking.organization, reply.clone()));
            }
            Act::Redeem { code, lot, wallet } => {
                past.taken = self.is_used(*lot) || self.wallets.contains_key(wallet);
                past.promo = self.promos.get(code).cloned();
                past.redeemed = self.redeemed.contains(code);
            }
            Act::OpenWallet { wallet, .. } => past.taken = self.wallets.contains_key(wallet),
            Act::Transfer { lot, .. } => {
                let (first, last) = Past::lot_ids(&self.books, *lot);
                let number = |lot: LotId| u128::from_be_bytes(*lot.as_bytes());
                let mut ids = (number(first)..=number(last)).map(|id| LotId::from_bytes(id.to_be_bytes()));
                past.taken = ids.any(|id| self.is_used(id));
            }
            Act::Refund { request, lot, .. } => {
                past.taken = self.is_used(*lot);
                past.charged = self.charged(*request);
            }
            Act::PayOut { payout: lot, .. } | Act::Adjust { lot, .. } => past.taken = self.is_used(*lot),
            Act::SetBudget(budget) => {
                past.taken = self.budgets.contains_key(&budget.id);
                past.consumed = self.consumed(budget, now);
            }
            Act::RemoveBudget(_) => {}
        }
        past
    }

    fn is_used(&self, lot: LotId) -> bool {
        let bears = |entry: &Entry| {
            matches!(entry.kind, EntryKind::PayOut | EntryKind::Adjust) && entry.reference == *lot.as_bytes()
        };
        self.lots.contains_key(&lot) || self.entries.iter().any(bears)
    }

    fn charged(&self, request: RequestId) -> Option<Charged> {
        let about = |kind| move |entry: &&Entry| entry.kind == kind && entry.reference == *request.as_bytes();
        let revenue = |entry: &Entry| entry.amount_on(Account::Revenue).unwrap_or_default();
        let settled = self.entries.iter().find(about(EntryKind::Settle))?;
        let refunds = self.entries.iter().filter(about(EntryKind::Refund));
        Some(Charged {
            wallet: settled.wallet,
            amount: revenue(settled).checked_neg()?,
            refunded: Money::sum(refunds.map(revenue))?,
        })
    }

    fn consumed(&self, budget: &Budget, now: Timestamp) -> Vec<(UseKey, Use)> {
        let span = budget.span(now);
        let mut uses: BTreeMap<UseKey, Use> = BTreeMap::new();
        for row in self.rows.values().filter(|row| span.contains(row.at)) {
            if let Some(value) = budget.subject.of_call(row) {
                let key = UseKey { budget: budget.id, value, start: span.start };
                uses.entry(key).or_default().count(row);
            }
        }
        uses.into_iter().collect()
    }

    /// Each entry follows the one before, is stamped with the command's time, and tells what the rows tell.
    fn check_entries(&self, before: &Books, changes: &Changes) {
        let (mut sequence, mut head, mut net) = (before.sequence, before.head, before.net);
        for entry in &changes.entries {
            assert_eq!(entry.check((sequence, &head, net)), Ok(()));
            assert_eq!(entry.at, self.books.last_at);
            assert!(entry.at > before.last_at || entry.at == Timestamp::MAX, "{entry:?}");
            assert!(entry.legs.iter().all(|leg| !leg.amount.is_zero()), "{entry:?}");
            assert_eq!(Entry::decode_legs(&entry.encoded_legs()).as_ref(), Ok(&entry.legs));
            (sequence, head, net) = (entry.sequence, entry.hash, entry.balance);
        }
        assert_eq!((self.books.sequence, self.books.head, self.books.net), (sequence, head, net));

        let ends = changes.entries.iter().filter(|entry| entry.kind == EntryKind::Settle);
        let ends: Vec<_> = ends
            .map(|entry| {
                let rows = changes.rows.iter().filter(|(sequence, _)| *sequence == entry.sequence);
                let charge = Money::sum(rows.map(|(_, row)| row.cost)).and_then(Money::checked_neg);
                assert_eq!(entry.amount_on(Account::Revenue), charge, "a charge is what the rows cost");
                entry.reference
            })
            .collect();
        let expected: Vec<_> = changes.holds_ended.iter().map(|hold| *hold.as_bytes()).collect();
        assert_eq!(ends, expected, "each hold that ended has its entry");
    }

    fn check_events(&self, changes: &Changes) {
        for event in &changes.events {
            assert_eq!((event.organization, event.at), (self.books.organization, self.books.last_at));
        }
    }

    fn save(&mut self, changes: Changes, answer: &Result<Reply, Denial>, booking: Option<Booking>) {
        assert!(!changes.is_empty() || changes.entries.is_empty() && changes.events.is_empty());
        let books = &self.books;
        let wallet = |id: WalletId| (id, row_of(books.wallet(id).expect("a wallet that changed is there")));
        self.wallets.extend(changes.wallets.into_iter().map(wallet));
        let used = |key: UseKey| {
            let used = books.uses[&key];
            (key, used)
        };
        self.uses.extend(changes.uses.into_iter().map(used));
        self.pools.extend(changes.pools.into_iter().map(|key| {
            let used = books.pools[&key];
            (key, used)
        }));
        for id in changes.budgets {
            let known = books.budgets.iter().find(|budget| budget.id == id).cloned();
            if known.is_none() {
                self.uses.retain(|key, _| key.budget != id);
            }
            self.budgets.insert(id, known);
        }
        self.lots.extend(changes.lots.into_iter().map(|lot| (lot.id, lot)));
        self.holds.extend(changes.holds.into_iter().map(|request| (request, books.holds[&request].clone())));
        for ended in changes.holds_ended {
            let hold = self.holds.remove(&ended).expect("what ends was saved");
            let rows = changes.rows.iter().filter(|(_, row)| row.request == ended);
            assert!(rows.clone().all(|(_, row)| row.held == hold.amount), "{ended}");
        }
        for (_, row) in changes.rows {
            let taken = self.rows.insert((row.request, row.attempt), row);
            assert_eq!(taken, None, "one attempt, two rows");
        }
        self.entries.extend(changes.entries);
        self.events.extend(changes.events);
        if let Some(promo) = changes.promo {
            assert!(self.redeemed.insert(promo.code.clone()), "{promo:?} was redeemed twice");
            self.promos.insert(promo.code.clone(), promo);
        }
        let (Ok(reply), Some(booking)) = (answer, booking) else { return };
        if let Some((payment, entry)) = changes.payment {
            assert_eq!(
                self.entries[usize::try_from(entry).expect("a small number") - 1].kind,
                EntryKind::TopUp
            );
            let known = self.payments.insert(payment, (entry, reply.clone()));
            assert_eq!(known, None, "one payment, two bookings");
        }
        if let Some(named) = booking.idempotency {
            self.answers.entry(named.key).or_insert((named.digest, reply.clone()));
        }
    }

    /// What was saved is what the books know.
    fn check_tables(&self) {
        let mut open: BTreeMap<WalletId, Vec<Lot>> = BTreeMap::new();
        for lot in self.lots.values() {
            let parts = [lot.remaining, lot.used, lot.expired, lot.withdrawn];
            assert!(parts.iter().all(|part| !part.is_negative()), "{lot:?}");
            assert_eq!(Money::sum(parts), Some(lot.granted), "{lot:?}");
            if !lot.remaining.is_zero() {
                open.entry(lot.wallet).or_default().push(lot.clone());
            }
        }
        assert_eq!(self.wallets.len(), self.books.wallets.len());
        for wallet in &self.books.wallets {
            let mut lots = open.remove(&wallet.id).unwrap_or_default();
            lots.sort_by_key(|lot| (lot.kind != LotKind::Promo, lot.expires_at, lot.id));
            assert_eq!(lots, wallet.lots);
            assert_eq!(self.wallets[&wallet.id], row_of(wallet), "{}", wallet.id);
        }
        assert_eq!(open, BTreeMap::new());
        self.check_holds();
        let known: BTreeMap<UseKey, Use> =
            self.books.uses.iter().map(|(key, used)| (key.clone(), *used)).collect();
        assert_eq!(known, self.uses);
        self.check_pools();
        let mut budgets: Vec<Budget> = self.budgets.values().flatten().cloned().collect();
        budgets.sort_by_key(|budget| (budget.subject.clone(), budget.id));
        assert_eq!(budgets, self.books.budgets);
    }

    /// A store does not save in which budgets a hold counts: that follows from the rest.
    fn check_holds(&self) {
        assert_eq!(self.holds.len(), self.books.holds.len());
        let mut held: BTreeMap<UseKey, (Money, u64)> = BTreeMap::new();
        for (id, saved) in &self.holds {
            let hold = &self.books.holds[id];
            assert_eq!(hold.uses, self.books.uses_of(&hold.draft, hold.created_at), "{id}");
            assert_eq!(hold.draft.held, hold.amount);
            assert_eq!(Hold { uses: hold.uses.clone(), ..saved.clone() }, *hold);
            for key in &hold.uses {
                let (amount, tokens) = held.entry(key.clone()).or_default();
                *amount = amount.checked_add(hold.amount).expect("a small sum");
                *tokens += hold.tokens;
            }
        }
        for (key, used) in &self.books.uses {
            let expected = held.remove(key).unwrap_or_default();
            assert_eq!((used.held, used.tokens_held), expected, "{key:?}");
        }
        assert_eq!(held, BTreeMap::new());
    }

    /// What pools have used is what settled rows say and what live calls took of strict ones; what they have held is
    /// what live holds count on.
    fn check_pools(&self) {
        let known: BTreeMap<PoolKey, PoolUse> =
            self.books.pools.iter().map(|(key, used)| (key.clone(), *used)).collect();
        assert_eq!(known, self.pools);
        let mut expected: BTreeMap<PoolKey, PoolUse> =
            known.keys().map(|key| (key.clone(), PoolUse::default())).collect();
        for cover in self.rows.values().filter_map(|row| row.cover.as_ref()) {
            let pool = expected.entry(cover.key.clone()).or_default();
            pool.used = pool.used.saturating_add(cover.units);
            assert!(cover.parts.is_empty(), "{cover:?} is settled");
        }
        for hold in self.books.holds.values() {
            for cover in hold.rows().filter_map(|row| row.cover.as_ref()).filter(|cover| cover.strict) {
                let pool = expected.entry(cover.key.clone()).or_default();
                pool.used = pool.used.saturating_add(cover.wanted());
            }
            if let Some(cover) = hold.draft.cover.as_ref().filter(|_| hold.units > 0) {
                assert!(!cover.strict, "{cover:?} is nothing to count on");
                expected.entry(cover.key.clone()).or_default().held += hold.units;
            }
        }
        expected.retain(|key, used| known.contains_key(key) || *used != PoolUse::default());
        assert_eq!(known, expected);
    }

    /// The journal alone tells the same story.
    pub(crate) fn check_replay(&self) {
        let replayed = replay(self.entries.iter().cloned());
        assert!(replayed.is_ok(), "{replayed:?}");
        let replayed = replayed.unwrap_or_default();
        let balances = replayed.balances().expect("balances that fit");
        let Replayed { lots, debts, net, revenue, sequence, head, charges, refunds } = replayed;
        let books = &self.books;
        assert_eq!((sequence, head, net), (books.sequence, books.head, books.net));
        for wallet in &books.wallets {
            assert_eq!(balances.get(&wallet.id).copied().unwrap_or_default(), wallet.balance);
            assert_eq!(debts.get(&wallet.id).copied().unwrap_or_default(), wallet.debt);
        }
        assert_eq!(lots.len(), self.lots.len());
        for (id, lot) in lots {
            let known = &self.lots[&id];
            let columns = [lot.granted, lot.used, lot.expired, lot.withdrawn];
            assert_eq!(columns, [known.granted, known.used, known.expired, known.withdrawn]);
            assert_eq!((lot.remaining(), lot.wallet), (Some(known.remaining), Some(known.wallet)));
        }
        let mut costs: BTreeMap<[u8; 16], Money> = BTreeMap::new();
        for row in self.rows.values() {
            let cost = costs.entry(*row.request.as_bytes()).or_default();
            *cost = cost.checked_add(row.cost).unwrap_or(Money::MAX);
        }
        assert_eq!(charges, costs);
        let sum = |amounts: &BTreeMap<[u8; 16], Money>| {
            amounts.values().map(|it| i128::from(it.nano())).sum::<i128>()
        };
        let given_back =
            self.lots.values().filter(|lot| lot.kind == LotKind::Refund && !is_moved(&self.entries, lot));
        assert_eq!(given_back.map(|lot| i128::from(lot.granted.nano())).sum::<i128>(), sum(&refunds));
        if sum(&charges) <= i128::from(i64::MAX) {
            assert_eq!(i128::from(revenue.nano()), sum(&charges) - sum(&refunds));
        }
    }
}

/// Whether a lot was made by a transfer.
fn is_moved(entries: &[Entry], lot: &Lot) -> bool {
    let made = |entry: &&Entry| {
        entry.legs.iter().any(|leg| leg.account == Account::Lot(lot.id) && leg.amount.is_negative())
    };
    entries.iter().find(made).is_some_and(|entry| entry.kind == EntryKind::Transfer)
}

fn row_of(wallet: &tollkeeper_ledger::Wallet) -> WalletRow {
    (wallet.purpose.clone(), wallet.balance, wallet.held, wallet.debt)
}

/// A denial has moved no money, apart from credit that was due.
pub(crate) fn denied(before: &Books, after: &Books, changes: &Changes) {
    if before.frozen {
        assert_eq!(before, after);
        assert!(changes.is_empty() && changes.entries.is_empty());
    }
    assert!(changes.holds.is_empty() && changes.holds_ended.is_empty() && changes.rows.is_empty());
    assert!(changes.uses.is_empty() && changes.budgets.is_empty() && changes.events.is_empty());
    assert!(changes.pools.is_empty());
    assert_eq!(before.pools, after.pools);
    assert!(changes.promo.is_none() && changes.payment.is_none());
    assert!(changes.entries.iter().all(|entry| entry.kind == EntryKind::Expire), "{:?}", changes.entries);
    assert_eq!((&before.holds, &before.uses, &before.budgets), (&after.holds, &after.uses, &after.budgets));
    assert_eq!(before.wallets.len(), after.wallets.len());
    for (was, is) in before.wallets.iter().zip(&after.wallets) {
        assert_eq!((was.held, was.debt, &was.purpose), (is.held, is.debt, &is.purpose));
        for lot in &was.lots {
            let due = lot.expires_at <= after.seen_at && lot.expires_at != Timestamp::MAX;
            assert!(due || is.lots.contains(lot), "{lot:?} was changed by a denial");
        }
        assert!(is.lots.iter().all(|lot| was.lots.iter().any(|old| old.id == lot.id)));
    }
    for lot in &changes.lots {
        let was = before.wallets.iter().flat_map(|wallet| &wallet.lots).find(|was| was.id == lot.id);
        let was = was.map(|was| (was.used, was.withdrawn, was.warned));
        assert_eq!(was, Some((lot.used, lot.withdrawn, lot.warned)), "{lot:?} was drawn by a denial");
    }
}
