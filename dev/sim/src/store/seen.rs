//! What the store's readers find in the books, and whether it is what a world says.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{OrganizationId, Timestamp};
use ledger::{Books, CostRow, Entry, Event, PromoCode, UseKey};
use store::inline::{Machine as OpenStore, Remembered};
use store::{Balance, BudgetRecord, Reader, StoreError};

use super::world::{DueEntry, Tail, World};
use crate::compare::{difference, use_of};
use crate::model::{Booked, Model, Owner};

/// Where the tails of a world begin in what is stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    heads: BTreeMap<OrganizationId, (u64, [u8; 32])>,
    last_event: i64,
}

/// One organization's books.
#[derive(Debug)]
struct Found {
    balance: Option<Balance>,
    /// The last stamp that is saved.
    stamp: Option<Timestamp>,
    /// The entry at the mark, if there is one, and all after it.
    entries: Vec<Entry>,
    events: Vec<(i64, Event)>,
    budgets: Vec<BudgetRecord>,
    rows: Vec<CostRow>,
    /// A booking that finds its payment booked, or a budget that is set and removed, leaves nothing else.
    remembered: Remembered,
}

/// Everything that readers find.
#[derive(Debug)]
pub(crate) struct Seen {
    books: BTreeMap<OrganizationId, Found>,
    promos: Vec<PromoCode>,
    now: Timestamp,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) organizations: &'a [OrganizationId],
    pub(crate) marks: &'a Marks,
    pub(crate) now: Timestamp,
    /// The newest cost rows of each organization, this many.
    pub(crate) rows: u32,
}

impl Seen {
    pub(crate) fn read(folder: &Path, store: &OpenStore<'_>, look: Look<'_>) -> Result<Self, StoreError> {
        let reader = Reader::of_folder(folder)?;
        let mut books = BTreeMap::new();
        for organization in look.organizations {
            let mut found = Found::read(&reader, *organization, look)?;
            found.stamp = store.books(*organization)?.map(|books| books.last_at);
            found.remembered = store.remembered(*organization)?;
            books.insert(*organization, found);
        }
        Ok(Self { books, promos: reader.promo_codes()?, now: look.now })
    }

    /// Whether what this world has booked is the beginning of what is booked.
    pub(crate) fn may_follow(&self, world: &World, marks: &Marks) -> bool {
        world.tails.iter().all(|(organization, tail)| {
            let Some(found) = self.books.get(organization) else { return tail.entries.is_empty() };
            let after = found.after(marks.heads.get(organization));
            let last = tail.entries.len().checked_sub(1);
            last.is_none_or(|last| {
                after.get(last).is_some_and(|entry| is_same(entry, tail.entries.get(last)))
            })
        })
    }

    /// The first difference between what is stored and a world; `None` when there is none.
    pub(crate) fn difference(&self, world: &World, marks: &Marks) -> Option<String> {
        let promos: Vec<PromoCode> = world.model.promos.values().cloned().collect();
        if self.promos != promos {
            return Some(format!("stored are the codes {:?}, the model has {promos:?}", self.promos));
        }
        let nothing = Tail::default();
        self.books.iter().find_map(|(organization, found)| {
            let tail = world.tails.get(organization).unwrap_or(&nothing);
            let head = marks.heads.get(organization);
            let compared = match (world.model.owners.get(organization), &found.balance) {
                (None, None) => None,
                (Some(owner), Some(balance)) => found
                    .entries_differ(tail, head)
                    .or_else(|| found.events_differ(tail, marks.last_event))
                    .or_else(|| found.books_differ(owner, balance, self.now))
                    .or_else(|| found.rows_differ(owner))
                    .or_else(|| found.remembered_differ(&remembered(&world.model, owner)))
                    .or_else(|| found.stamp_differs(world.saved(*organization))),
                (owner, balance) => {
                    let (stored, due) = (balance.is_some(), owner.is_some());
                    Some(format!("there are books: {stored}, there must be: {due}"))
                }
            };
            compared.map(|what| format!("{organization}: {what}"))
        })
    }

    /// The marks after these worlds' tails, which must have been found.
    pub(crate) fn marks_after(&self, world: &World, marks: &Marks) -> Marks {
        let mut after = marks.clone();
        for (organization, found) in &self.books {
            let head = marks.heads.get(organization);
            let tail = world.tails.get(organization).map_or(0, |tail| tail.entries.len());
            let entry = tail.checked_sub(1).and_then(|last| found.after(head).get(last));
            if let Some(entry) = entry {
                after.heads.insert(*organization, (entry.sequence, entry.hash));
            }
            let events = world.tails.get(organization).map_or(0, |tail| tail.events.len());
            let mut new = found.events.iter().filter(|(id, _)| *id > marks.last_event);
            if let Some((id, _)) = events.checked_sub(1).and_then(|last| new.nth(last)) {
                after.last_event = after.last_event.max(*id);
            }
        }
        after
    }

    /// Whether nothing is held anywhere.
    pub(crate) fn is_at_rest(&self) -> bool {
        let balances = self.books.values().filter_map(|found| found.balance.as_ref());
        balances.flat_map(|balance| &balance.wallets).all(|wallet| wallet.held.is_zero())
    }
}

impl Found {
    fn read(reader: &Reader, organization: OrganizationId, look: Look<'_>) -> Result<Self, StoreError> {
        // Before anything is due: what has expired must be booked before it counts.
        let balance = reader.balance(organization, Timestamp::from_micros(i64::MIN))?;
        let known = look.marks.heads.get(&organization).map_or(0, |(sequence, _)| *sequence);
        let newest = reader.journal(organization, u64::MAX, 1)?;
        let last = newest.first().map_or(0, |entry| entry.sequence);
        let count = u32::try_from(last.saturating_sub(known)).unwrap_or(u32::MAX).saturating_add(1);
        let mut entries = reader.journal(organization, u64::MAX, count)?;
        entries.reverse();
        let mut events = newest_events(reader, organization, look.marks.last_event)?;
        events.reverse();
        Ok(Self {
            balance,
            stamp: None,
            entries,
            events,
            budgets: reader.budgets(organization, look.now, u32::MAX)?,
            rows: reader.usage(organization, look.rows)?,
            remembered: Remembered::default(),
        })
    }

    /// The entries after the mark.
    fn after(&self, head: Option<&(u64, [u8; 32])>) -> &[Entry] {
        let known = head.map_or(0, |(sequence, _)| *sequence);
        let skip = self.entries.iter().take_while(|entry| entry.sequence <= known).count();
        self.entries.get(skip..).unwrap_or_default()
    }

    fn entries_differ(&self, tail: &Tail, head: Option<&(u64, [u8; 32])>) -> Option<String> {
        if let Some((sequence, hash)) = head
            && !self.entries.iter().any(|entry| entry.sequence == *sequence && entry.hash == *hash)
        {
            return Some(format!("entry {sequence} is not the one that was found before"));
        }
        let after = self.after(head);
        if let Some((entry, due)) =
            after.iter().zip(&tail.entries).find(|(entry, due)| !is_same(entry, Some(due)))
        {
            return Some(format!("stored is {entry:?}, due is {due:?}"));
        }
        let (found, due) = (after.len(), tail.entries.len());
        let next = (after.get(due), tail.entries.get(found));
        (found != due).then(|| format!("{found} new entries are stored, {due} are due; the first: {next:?}"))
    }

    fn events_differ(&self, tail: &Tail, last: i64) -> Option<String> {
        let new: Vec<&Event> =
            self.events.iter().filter(|(id, _)| *id > last).map(|(_, event)| event).collect();
        // The order of what one command tells is not a promise.
        let same = new.len() == tail.events.len() && tail.events.iter().all(|event| new.contains(&event));
        (!same).then(|| format!("told are {new:?}, due are {:?}", tail.events))
    }

    fn books_differ(&self, owner: &Owner, balance: &Balance, now: Timestamp) -> Option<String> {
        let mut books = Books::new(owner.id, owner.purses.first()?.id);
        books.net = balance.net;
        books.wallets.clone_from(&balance.wallets);
        books.budgets = self.budgets.iter().map(|record| record.budget.clone()).collect();
        let uses = self.budgets.iter().flat_map(|record| record.uses.iter().cloned());
        books.uses = uses.collect();
        difference(owner, &books)
            .or_else(|| (balance.frozen != owner.frozen).then(|| format!("frozen: {}", balance.frozen)))
            .or_else(|| self.uses_missing(owner, &books, now))
    }

    /// A period that runs, in which the model has counted something and the books nothing.
    fn uses_missing(&self, owner: &Owner, books: &Books, now: Timestamp) -> Option<String> {
        owner.tabs.keys().find_map(|(budget, value, start)| {
            let definition = owner.budgets.iter().find(|known| known.id == *budget)?;
            let start = Timestamp::from_micros(*start);
            let key = UseKey { budget: *budget, value: value.clone(), start };
            let runs = definition.span(now).start == start;
            let counted = use_of(owner, &key) != ledger::Use::default();
            (runs && counted && !books.uses.contains_key(&key)).then(|| format!("{key:?} is not stored"))
        })
    }

    fn stamp_differs(&self, due: Timestamp) -> Option<String> {
        (self.stamp != Some(due)).then(|| format!("the last stamp is {:?}, due is {due:?}", self.stamp))
    }

    fn remembered_differ(&self, due: &Remembered) -> Option<String> {
        (self.remembered != *due).then(|| format!("stored are {:?}, due are {due:?}", self.remembered))
    }

    fn rows_differ(&self, owner: &Owner) -> Option<String> {
        let mut due: Vec<&CostRow> = owner.rows.iter().collect();
        due.sort_unstable_by_key(|row| std::cmp::Reverse((row.request, row.attempt)));
        if self.rows.len() > due.len() {
            return Some(format!("{} rows are stored, {} are due", self.rows.len(), due.len()));
        }
        let found = self.rows.iter().zip(due).find(|(row, due)| *row != *due);
        found.map(|(row, due)| format!("stored is {row:?}, due is {due:?}"))
    }
}

fn remembered(model: &Model, owner: &Owner) -> Remembered {
    let budgets = model.budget_ids.iter().filter(|(_, organization)| **organization == owner.id);
    Remembered {
        names: owner.answers.iter().map(|(key, (digest, _))| (key.clone(), *digest)).collect(),
        budgets: budgets.map(|(budget, _)| *budget).collect(),
    }
}

/// The events after one, newest first.
fn newest_events(
    reader: &Reader,
    organization: OrganizationId,
    after: i64,
) -> Result<Vec<(i64, Event)>, StoreError> {
    let mut limit = 16;
    loop {
        let events = reader.events(organization, i64::MAX, limit)?;
        let all = u64::try_from(events.len()).unwrap_or(u64::MAX) < u64::from(limit);
        if all || events.last().is_none_or(|(id, _)| *id <= after) {
            return Ok(events);
        }
        limit = limit.saturating_mul(8);
    }
}

fn is_same(entry: &Entry, due: Option<&DueEntry>) -> bool {
    let Some(DueEntry { booked, at, note }) = due else { return false };
    let Booked { kind, wallet, reference, legs, balance } = booked;
    (entry.kind, entry.wallet, entry.reference, entry.balance, entry.at)
        == (*kind, *wallet, *reference, *balance, *at)
        && entry.legs == *legs
        && entry.note == *note
}
