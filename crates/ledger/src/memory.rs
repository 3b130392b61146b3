//! The port in memory: the rules without a store, for tests and simulations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use domain::{BudgetId, Clock, LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};

use crate::{
    Account, Act, Booking, Books, Budget, Changes, Charged, Command, CostRow, Denial, Entry, EntryKind,
    Event, LedgerError, LedgerStore, Past, PromoCode, Reply, Ticket, Use, UseKey, apply, issue,
};

/// A ledger that forgets everything when dropped.
pub struct MemoryLedger<C> {
    clock: C,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    books: HashMap<OrganizationId, Books>,
    wallets: HashSet<WalletId>,
    /// Lots, and bookings that bear a lot's id, of each organization.
    references: BTreeSet<(OrganizationId, LotId)>,
    budgets: HashSet<(OrganizationId, BudgetId)>,
    answers: HashMap<(OrganizationId, String), ([u8; 32], Reply)>,
    payments: HashMap<Box<str>, (OrganizationId, Reply)>,
    promos: BTreeMap<Box<str>, PromoCode>,
    redeemed: HashSet<(OrganizationId, Box<str>)>,
    charges: HashMap<(OrganizationId, RequestId), Charged>,
    entries: Vec<Entry>,
    rows: Vec<CostRow>,
    events: Vec<Event>,
}

impl<C: Clock> MemoryLedger<C> {
    /// An empty ledger on this clock.
    pub fn new(clock: C) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// An organization's books as they are now.
    pub fn books(&self, organization: OrganizationId) -> Option<Books> {
        self.lock().books.get(&organization).cloned()
    }

    /// Everything booked so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// Every cost row so far.
    pub fn rows(&self) -> Vec<CostRow> {
        self.lock().rows.clone()
    }

    /// Everything told so far.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Clock> LedgerStore for MemoryLedger<C> {
    fn submit(&self, command: Command) -> Ticket {
        let now = self.clock.now();
        let answer = self.lock().run(command, now);
        Ticket::answered(answer.map_err(LedgerError::Denied))
    }
}

impl State {
    fn run(&mut self, command: Command, now: Timestamp) -> Result<Reply, Denial> {
        let Some(id) = command.organization() else { return self.run_outside(command) };
        if let Command::Open { organization, wallet } = command {
            if self.books.contains_key(&organization) || !self.wallets.insert(wallet) {
                return Err(Denial::Duplicate);
            }
            self.books.insert(organization, Books::new(organization, wallet));
            return Ok(Reply::Opened);
        }
        let past = self.past(&command, now);
        let booking =
            if let Command::Book(booking) = &command { Some(Booking::clone(booking)) } else { None };
        let books = self.books.get_mut(&id).ok_or(Denial::UnknownOrganization)?;
        let mut changes = Changes::default();
        let answer = apply(books, command, past, now, &mut changes);
        if books.check_or_freeze(&[], true).is_err() {
            return Err(Denial::Frozen);
        }
        self.keep(id, booking, changes, &answer);
        answer
    }

    /// What touches nobody's books.
    fn run_outside(&mut self, command: Command) -> Result<Reply, Denial> {
        let Command::Issue(code) = command else { return Err(Denial::UnknownOrganization) };
        let code = issue(code.clone(), self.promos.get(&code.code))?;
        self.promos.insert(code.code.clone(), code.clone());
        Ok(Reply::Issued(code))
    }

    fn past(&self, command: &Command, now: Timestamp) -> Past {
        match command {
            Command::Hold(hold) | Command::Probe(hold) => {
                let ended = self.charges.contains_key(&(hold.organization, hold.request));
                Past { taken: ended, ..Past::default() }
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
        let organization = booking.organization;
        let used = |lot: &LotId| self.references.contains(&(organization, *lot));
        let named = booking.idempotency.as_ref().map(|named| (organization, named.key.clone()));
        let mut past =
            Past { answered: named.and_then(|named| self.answers.get(&named).cloned()), ..Past::default() };
        match &booking.act {
            Act::Grant(grant) => past.taken = used(&grant.lot),
            Act::TopUp { grant, payment } => {
                past.taken = used(&grant.lot);
                past.paid = self.payments.get(payment).cloned();
            }
            Act::Redeem { code, lot, wallet } => {
                past.taken = used(lot) || self.wallets.contains(wallet);
                past.promo = self.promos.get(code).cloned();
                past.redeemed = self.redeemed.contains(&(organization, code.clone()));
            }
            Act::OpenWallet { wallet, .. } => past.taken = self.wallets.contains(wallet),
            Act::Refund { request, lot, .. } => {
                past.taken = used(lot);
                past.charged = self.charges.get(&(organization, *request)).copied();
            }
            Act::Transfer { lot, .. } => {
                let ids = self.books.get(&organization).map(|books| Past::lot_ids(books, *lot));
                past.taken = ids.is_some_and(|(first, last)| {
                    let ids = (organization, first)..=(organization, last);
                    self.references.range(ids).next().is_some()
                });
            }
            Act::Adjust { lot, .. } | Act::PayOut { payout: lot, .. } => {
                past.taken = used(lot);
            }
            Act::SetBudget(budget) => {
                past.taken = self.budgets.contains(&(organization, budget.id));
                past.consumed = self.consumed(organization, budget, now);
            }
            Act::RemoveBudget(_) => {}
        }
        past
    }

    /// What calls that were dispatched in the period that runs have consumed of a budget.
    fn consumed(&self, organization: OrganizationId, budget: &Budget, now: Timestamp) -> Vec<(UseKey, Use)> {
        let span = budget.span(now);
        let mut uses: BTreeMap<UseKey, Use> = BTreeMap::new();
        for row in &self.rows {
            let counts = row.organization == organization && span.contains(row.at);
            let Some(value) = budget.subject.of_call(row).filter(|_| counts) else { continue };
            let key = UseKey { budget: budget.id, value, start: span.start };
            uses.entry(key).or_default().count(row);
        }
        uses.into_iter().collect()
    }

    fn keep(
        &mut self,
        organization: OrganizationId,
        booking: Option<Booking>,
        changes: Changes,
        answer: &Result<Reply, Denial>,
    ) {
        self.references.extend(changes.lots.iter().map(|lot| (organization, lot.id)));
        self.wallets.extend(changes.wallets);
        self.budgets.extend(changes.budgets.into_iter().map(|budget| (organization, budget)));
        for entry in &changes.entries {
            self.note_charge(entry);
        }
        self.entries.extend(changes.entries);
        self.rows.extend(changes.rows.into_iter().map(|(_, row)| row));
        self.events.extend(changes.events);
        if let Some(promo) = changes.promo {
            self.redeemed.insert((organization, promo.code.clone()));
            self.promos.insert(promo.code.clone(), promo);
        }
        let (Some(booking), Ok(reply)) = (booking, answer) else { return };
        if let Some((payment, _)) = changes.payment {
            self.payments.insert(payment, (organization, reply.clone()));
        }
        if let Some(named) = booking.idempotency {
            self.answers.entry((organization, named.key)).or_insert((named.digest, reply.clone()));
        }
    }

    fn note_charge(&mut self, entry: &Entry) {
        let on_revenue = entry.amount_on(Account::Revenue).unwrap_or(Money::ZERO);
        let request = (entry.organization, RequestId::from_bytes(entry.reference));
        match entry.kind {
            EntryKind::Settle => {
                let amount = on_revenue.checked_neg().unwrap_or(Money::ZERO);
                let charged = Charged { wallet: entry.wallet, amount, refunded: Money::ZERO };
                self.charges.insert(request, charged);
            }
            EntryKind::Refund => {
                if let Some(charged) = self.charges.get_mut(&request) {
                    charged.refunded = charged.refunded.checked_add(on_revenue).unwrap_or(Money::MAX);
                }
            }
            EntryKind::PayOut | EntryKind::Adjust | EntryKind::Transfer => {
                self.references.insert((entry.organization, LotId::from_bytes(entry.reference)));
            }
            EntryKind::Grant
            | EntryKind::Expire
            | EntryKind::PayDebt
            | EntryKind::TopUp
            | EntryKind::Redeem => {}
        }
    }
}
