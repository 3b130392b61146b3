//! One simulated world: the ledger's books, the tables that its changes were saved in, and the model. Every command is
//! given to both, and everything that comes of it is compared.

use std::collections::BTreeMap;

use domain::{Money, OrganizationId, RequestId, Timestamp};
use ledger::{Account, Books, Changes, Command, CostRow, Denial, Entry, EntryKind, Reply, UseKey, replay};

use crate::compare::{contrast, difference, pool_of, use_of};
use crate::model::{Booked, Expected, Model, Piece};
use crate::script::Step;
use crate::tables::Tables;
use crate::tally::{Counted, Tally, command_name, denial_name, entry_name, event_name, reply_name};

/// How much is checked after each command, beyond its answer, its entries and its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Every how many commands all promises are checked and all figures compared; 1 for each.
    pub every: u64,
}

/// A world.
#[derive(Debug)]
pub struct World {
    /// The model.
    pub model: Model,
    /// What happened so far.
    pub tally: Tally,
    books: BTreeMap<OrganizationId, Books>,
    tables: Tables,
    changes: Changes,
    depth: Depth,
    commands: u64,
}

impl World {
    /// A world with nothing in it.
    pub fn new(depth: Depth) -> Self {
        Self {
            model: Model::default(),
            tally: Tally::default(),
            books: BTreeMap::new(),
            tables: Tables::default(),
            changes: Changes::default(),
            depth,
            commands: 0,
        }
    }

    /// Does one step.
    ///
    /// # Errors
    /// The first difference from the model, or the first broken promise.
    pub fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Do(command, now) => self.command(command, now),
            Step::Crash => self.crash(),
            Step::Forget(organization) => {
                if let Some(books) = self.books.get_mut(&organization) {
                    books.forget_idle_uses();
                }
                Ok(())
            }
            Step::Freeze(organization) => {
                self.set_frozen(organization, true);
                Ok(())
            }
            Step::Thaw(organization) => {
                self.set_frozen(organization, false);
                Ok(())
            }
        }
    }

    fn set_frozen(&mut self, organization: OrganizationId, frozen: bool) {
        if let (Some(books), Some(owner)) =
            (self.books.get_mut(&organization), self.model.owners.get_mut(&organization))
        {
            books.frozen = frozen;
            owner.frozen = frozen;
        }
    }

    fn command(&mut self, command: Command, now: Timestamp) -> Result<(), String> {
        let name = command_name(&command);
        self.commands += 1;
        self.tally.add(Counted::Command, name);
        let asked = asked_amount(&command);
        let expected = self.model.run(&command, now);
        let organization = command.organization();
        let before = organization.and_then(|id| self.books.get(&id)).map(|books| books.last_at);
        let reply = self.ask(command, now);
        if reply != expected.reply {
            return Err(contrast(name, &reply, &expected.reply));
        }
        self.count(&reply, &expected, asked);
        let Some(organization) = organization else { return Ok(()) };
        if let Some(last_at) = before {
            self.check_stamps(organization, last_at, now)?;
        }
        self.compare(organization, &expected).map_err(|what| format!("{name}: {what}"))?;
        self.save(organization)?;
        if self.commands.is_multiple_of(self.depth.every) {
            self.check(organization)?;
        }
        Ok(())
    }

    /// Gives a command to the ledger, as a store does.
    fn ask(&mut self, command: Command, now: Timestamp) -> Result<Reply, Denial> {
        let known = command.organization().and_then(|owner| self.books.get(&owner));
        let past = self.tables.past(known, &command, now);
        if let Command::Issue(code) = &command {
            let issued = ledger::issue(code.clone(), self.tables.promos.get(&code.code))?;
            self.tables.promos.insert(issued.code.clone(), issued.clone());
            return Ok(Reply::Issued(issued));
        }
        let organization = command.organization().ok_or(Denial::UnknownOrganization)?;
        let Some(books) = self.books.get_mut(&organization) else {
            let Command::Open { wallet, .. } = command else { return Err(Denial::UnknownOrganization) };
            let books = Books::new(organization, wallet);
            self.tables.open(&books);
            self.books.insert(organization, books);
            return Ok(Reply::Opened);
        };
        if let Command::Hold(hold) | Command::Probe(hold) = &command {
            self.tables.load_uses(books, &hold.draft, now);
        }
        self.tables.load_pools(books, &command);
        let booking = if let Command::Book(booking) = &command { Some(booking.clone()) } else { None };
        let reply = ledger::apply(books, command, past, now, &mut self.changes)?;
        if let Some(booking) = booking {
            self.tables.remember(&booking, &reply, &mut self.changes);
        }
        Ok(reply)
    }

    fn count(&mut self, reply: &Result<Reply, Denial>, expected: &Expected, asked: Option<Money>) {
        match reply {
            Ok(reply) => self.tally.add(Counted::Reply, reply_name(reply)),
            Err(denial) => self.tally.add(Counted::Denial, denial_name(denial)),
        }
        for entry in &expected.entries {
            self.tally.add(Counted::Entry, entry_name(entry.kind));
        }
        for situation in &expected.seen {
            self.tally.add(Counted::Seen, situation);
        }
        for event in &expected.events {
            self.tally.add(Counted::Event, event_name(&event.kind));
        }
        match reply {
            Ok(Reply::Held(amount)) => {
                if asked.is_some_and(|asked| asked > *amount) {
                    self.tally.add(Counted::Seen, "shrunk hold");
                }
                if amount.is_zero() {
                    self.tally.add(Counted::Seen, "held zero");
                }
            }
            Ok(Reply::Settled(settled)) => {
                if settled.draws.len() > 1 {
                    self.tally.add(Counted::Seen, "several lots paid");
                }
                if settled.draws.is_empty() && settled.debt.is_zero() {
                    self.tally.add(Counted::Seen, "zero charge");
                }
                if expected.entries.iter().any(|entry| entry.kind == EntryKind::Expire) {
                    self.tally.add(Counted::Seen, "expiry in a settlement");
                }
                if expected.entries.iter().any(|entry| entry.kind == EntryKind::PayDebt) {
                    self.tally.add(Counted::Seen, "debt paid");
                }
            }
            _ => {}
        }
    }

    /// Stamps only rise, and what one command books shares its stamp.
    fn check_stamps(
        &self,
        organization: OrganizationId,
        last_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), String> {
        let stamp = now.max(last_at.plus_micros(1));
        match self.changes.entries.iter().find(|entry| entry.at != stamp) {
            Some(entry) => Err(format!("{organization}: stamped {}, not {stamp}", entry.at)),
            None => Ok(()),
        }
    }

    /// Compares what a command booked and told with what the model says.
    fn compare(&self, organization: OrganizationId, expected: &Expected) -> Result<(), String> {
        let changes = &self.changes;
        let same = |(entry, booked): (&Entry, &Booked)| {
            entry.kind == booked.kind
                && entry.wallet == booked.wallet
                && entry.reference == booked.reference
                && entry.legs == booked.legs
                && entry.balance == booked.balance
                && entry.organization == organization
        };
        if changes.entries.len() != expected.entries.len()
            || !changes.entries.iter().zip(&expected.entries).all(same)
        {
            return Err(contrast("entries", &changes.entries, &expected.entries));
        }
        if changes.events != expected.events {
            return Err(contrast("events", &changes.events, &expected.events));
        }
        self.compare_rows(organization)
    }

    fn compare_rows(&self, organization: OrganizationId) -> Result<(), String> {
        let rows = &self.changes.rows;
        if rows.is_empty() {
            return Ok(());
        }
        let Some(owner) = self.model.owners.get(&organization) else { return Ok(()) };
        let expected = owner.rows.get(owner.rows.len().saturating_sub(rows.len())..).unwrap_or_default();
        let settles = |sequence: u64, row: &CostRow| {
            let entry = self.changes.entries.iter().find(|entry| entry.sequence == sequence);
            entry.is_some_and(|e| e.kind == EntryKind::Settle && e.reference == *row.request.as_bytes())
        };
        if rows.len() != expected.len()
            || rows
                .iter()
                .zip(expected)
                .any(|((sequence, row), expected)| row != expected || !settles(*sequence, row))
        {
            return Err(contrast("rows", rows, &expected));
        }
        Ok(())
    }

    /// Checks the chain and the touched wallets, then saves.
    fn save(&mut self, organization: OrganizationId) -> Result<(), String> {
        let Some(books) = self.books.get_mut(&organization) else { return Ok(()) };
        let (mut sequence, mut head, mut net) = self.tables.head(organization);
        for entry in &self.changes.entries {
            entry.check((sequence, &head, net)).map_err(|breach| breach.to_string())?;
            (sequence, head, net) = (entry.sequence, entry.hash, entry.balance);
        }
        if !books.frozen {
            books.check_or_freeze(&self.changes.wallets, false).map_err(|breach| breach.to_string())?;
        }
        self.tables.save(books, &mut self.changes);
        self.changes.events.clear();
        Ok(())
    }

    /// Checks every promise on one organization's books, and compares every figure with the model.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, organization: OrganizationId) -> Result<(), String> {
        let Some(books) = self.books.get(&organization) else { return Ok(()) };
        books.check().map_err(|breach| breach.to_string())?;
        let Some(owner) = self.model.owners.get(&organization) else {
            return Err(format!("the model does not know {organization}"));
        };
        match difference(owner, books) {
            Some(difference) => Err(difference),
            None => Ok(()),
        }
    }

    /// Loads all books anew, after a look at whether anything is lost.
    fn crash(&mut self) -> Result<(), String> {
        for (organization, books) in &mut self.books {
            let Some(loaded) = self.tables.load(*organization) else {
                return Err(format!("{organization} was never saved"));
            };
            if let Some(lost) = lost(books, &loaded) {
                return Err(format!("after a crash: {lost}"));
            }
            let frozen = books.frozen;
            *books = loaded;
            books.frozen = frozen;
            if let Some(owner) = self.model.owners.get_mut(organization) {
                owner.stamp = books.last_at.micros();
            }
        }
        Ok(())
    }

    /// What must hold of everything that ever happened: the journal alone gives the tables, and no money is lost.
    ///
    /// # Errors
    /// What does not hold.
    pub fn audit(&self) -> Result<(), String> {
        for (organization, owner) in &self.model.owners {
            self.check(*organization)?;
            let Some(rows) = self.tables.owners.get(organization) else { continue };
            let replayed = replay(rows.entries.iter().cloned()).map_err(|breach| breach.to_string())?;
            let pieces: Vec<(domain::WalletId, &Piece)> = owner
                .purses
                .iter()
                .flat_map(|purse| purse.closed.iter().chain(purse.lots.values()).map(|p| (purse.id, p)))
                .collect();
            if pieces.len() != rows.lots.len() || pieces.len() != replayed.lots.len() {
                return Err(format!(
                    "{} lots in the model, {} saved, {} in the journal",
                    pieces.len(),
                    rows.lots.len(),
                    replayed.lots.len()
                ));
            }
            for (wallet, piece) in pieces {
                let shown = piece.shown(wallet);
                if rows.lots.get(&piece.id) != Some(&shown) {
                    return Err(format!("saved {:?}, the model {shown:?}", rows.lots.get(&piece.id)));
                }
                let told = replayed.lots.get(&piece.id);
                if !told.is_some_and(|lot| {
                    (lot.granted, lot.used, lot.expired, lot.withdrawn, lot.wallet)
                        == (shown.granted, shown.used, shown.expired, shown.withdrawn, Some(wallet))
                        && lot.remaining() == Some(shown.remaining)
                }) {
                    return Err(format!("the journal tells {told:?}, the model {shown:?}"));
                }
            }
            self.audit_sums(*organization)?;
            for (key, used) in rows.uses() {
                let expected = use_of(owner, key);
                if *used != expected {
                    return Err(format!("{key:?}: saved {used:?}, the model {expected:?}"));
                }
            }
            for key in owner.pools() {
                let (used, expected) = (rows.pools().get(&key).copied(), pool_of(owner, &key));
                if used.unwrap_or_default() != expected {
                    return Err(format!("{key:?}: saved {used:?}, the model {expected:?}"));
                }
            }
        }
        Ok(())
    }

    /// Charges are what lots paid and what is still owed; the journal's debts are the wallets'.
    fn audit_sums(&self, organization: OrganizationId) -> Result<(), String> {
        let (Some(owner), Some(rows)) =
            (self.model.owners.get(&organization), self.tables.owners.get(&organization))
        else {
            return Ok(());
        };
        let charged: i128 = rows.rows.iter().map(|(_, row)| i128::from(row.cost.nano())).sum();
        let used: i128 = rows.lots.values().map(|lot| i128::from(lot.used.nano())).sum();
        let owed: i128 = owner.purses.iter().map(|purse| purse.debt).sum();
        if charged != used + owed {
            return Err(format!("charged {charged}, but lots paid {used} and {owed} is owed"));
        }
        let mut accounts: BTreeMap<bool, i128> = BTreeMap::new();
        for leg in rows.entries.iter().flat_map(|entry| &entry.legs) {
            let inside = matches!(leg.account, Account::Lot(_) | Account::Receivable);
            *accounts.entry(inside).or_default() += i128::from(leg.amount.nano());
        }
        let inside = accounts.get(&true).copied().unwrap_or(0);
        let outside = accounts.get(&false).copied().unwrap_or(0);
        if inside + outside != 0 || -inside != owner.net() {
            return Err(format!("accounts sum to {inside} and {outside}, the net is {}", owner.net()));
        }
        Ok(())
    }

    /// The live holds of all organizations, with their drafts.
    pub fn live(&self) -> Vec<(OrganizationId, RequestId, CostRow)> {
        let owners = self.model.owners.iter();
        owners
            .flat_map(|(id, owner)| {
                owner.stakes.iter().map(|(request, stake)| (*id, *request, stake.draft.clone()))
            })
            .collect()
    }
}

/// What a hold asks for.
fn asked_amount(command: &Command) -> Option<Money> {
    if let Command::Hold(hold) = command { Some(hold.amount) } else { None }
}

/// What books that were loaded anew lack; `None` when nothing is lost.
fn lost(live: &Books, loaded: &Books) -> Option<String> {
    let needed = |key: &UseKey| live.holds.values().any(|hold| hold.uses.contains(key));
    let uses: Vec<(&UseKey, &ledger::Use)> = live.uses.iter().filter(|(key, _)| needed(key)).collect();
    if live.wallets != loaded.wallets {
        return Some(contrast("wallets, live and saved", &live.wallets, &loaded.wallets));
    }
    if live.holds != loaded.holds {
        return Some(contrast("holds, live and saved", &live.holds, &loaded.holds));
    }
    if live.budgets != loaded.budgets {
        return Some(contrast("budgets, live and saved", &live.budgets, &loaded.budgets));
    }
    if (live.sequence, live.head, live.net) != (loaded.sequence, loaded.head, loaded.net) {
        return Some(format!("entry {}, saved {}", live.sequence, loaded.sequence));
    }
    let drawn = live.holds.values().flat_map(ledger::Hold::rows).filter_map(|row| row.cover.as_ref());
    for key in drawn.map(|cover| &cover.key) {
        let (used, saved) = (live.pools.get(key), loaded.pools.get(key));
        if used.copied().unwrap_or_default() != saved.copied().unwrap_or_default() {
            return Some(format!("{key:?}: {used:?}, saved {saved:?}"));
        }
    }
    let lost = uses.iter().find(|(key, used)| loaded.uses.get(key) != Some(used));
    lost.map(|(key, used)| format!("{key:?}: {used:?}, saved {:?}", loaded.uses.get(key)))
}
