//! What must be in the books: the model, and the steps that brought it there since the last moment that is known to be
//! durable. A step can be done again, so that every prefix of them is at hand after a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Money, OrganizationId, RequestId, Timestamp};
use ledger::{Act, Command, CostRow, EntryKind, Event, Note};

use crate::model::{Booked, Expected, Model};

/// One transaction of the store, or what it forgets.
#[derive(Debug)]
pub(crate) enum Step {
    /// Commands that share a transaction, at one time.
    Batch(Vec<Command>, Timestamp),
    /// The holds of an organization are settled at their last checkpoint, at this time.
    Recover(OrganizationId, Timestamp),
    /// What is in memory is read anew: stamps that nothing carries are forgotten.
    Reload,
}

/// An entry as it must be found, but for its number and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DueEntry {
    pub(crate) booked: Booked,
    pub(crate) at: Timestamp,
    pub(crate) note: Option<Note>,
}

/// What was booked and told in an organization's books since the world's base.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    pub(crate) entries: Vec<DueEntry>,
    pub(crate) events: Vec<Event>,
}

/// A state that the books can be in.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) tails: BTreeMap<OrganizationId, Tail>,
    /// The stamps that are saved, which a restart finds.
    saved: BTreeMap<OrganizationId, i64>,
}

impl World {
    /// Does a step.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Batch(commands, now) => {
                for command in commands {
                    self.run(command, *now);
                }
            }
            Step::Recover(organization, now) => self.recover(*organization, *now),
            Step::Reload => self.reload(),
        }
    }

    /// Runs one command.
    pub(crate) fn run(&mut self, command: &Command, now: Timestamp) -> Expected {
        let set_aside = self.set_aside(command);
        let rows_before = self.rows_of(command);
        let mut expected = self.model.run(command, now);
        let Some(organization) = command.organization() else { return expected };
        let Some(owner) = self.model.owners.get_mut(&organization) else { return expected };
        for row in owner.rows.iter_mut().skip(rows_before) {
            row.held = set_aside.get(&row.request).copied().unwrap_or_default();
        }
        let at = Timestamp::from_micros(owner.stamp);
        // A stamp is saved with what carries it.
        if !expected.entries.is_empty() || !expected.events.is_empty() {
            self.saved.insert(organization, owner.stamp);
        }
        let tail = self.tails.entry(organization).or_default();
        let mut note = note_of(command);
        for booked in expected.entries.drain(..) {
            let note = if is_own(booked.kind) { note.take() } else { None };
            tail.entries.push(DueEntry { booked, at, note });
        }
        tail.events.append(&mut expected.events);
        expected
    }

    /// Organizations whose books have live holds, in the order in which a start settles them.
    pub(crate) fn to_recover(&self) -> Vec<OrganizationId> {
        let owners = self.model.owners.values();
        owners.filter(|owner| !owner.stakes.is_empty()).map(|owner| owner.id).collect()
    }

    /// Live holds.
    pub(crate) fn live(&self) -> usize {
        self.model.owners.values().map(|owner| owner.stakes.len()).sum()
    }

    /// The last stamp that is saved.
    pub(crate) fn saved(&self, organization: OrganizationId) -> Timestamp {
        Timestamp::from_micros(self.saved.get(&organization).copied().unwrap_or(0))
    }

    /// Begins a new base here.
    pub(crate) fn forget_tails(&mut self) {
        self.tails.clear();
    }

    fn reload(&mut self) {
        for owner in self.model.owners.values_mut() {
            owner.stamp = self.saved.get(&owner.id).copied().unwrap_or(0);
        }
    }

    fn recover(&mut self, organization: OrganizationId, now: Timestamp) {
        let Some(owner) = self.model.owners.get(&organization) else { return };
        let live: Vec<(RequestId, Vec<CostRow>)> =
            owner.stakes.iter().map(|(request, stake)| (*request, stake.rows())).collect();
        for (request, rows) in live {
            let command = Command::Settle { organization, request, rows };
            self.run(&command, now);
        }
    }

    fn rows_of(&self, command: &Command) -> usize {
        let owner = command.organization().and_then(|id| self.model.owners.get(&id));
        owner.map_or(0, |owner| owner.rows.len())
    }

    /// What is set aside for the calls that this command may end; their rows will say so.
    fn set_aside(&self, command: &Command) -> BTreeMap<RequestId, Money> {
        let one = match command {
            Command::Settle { request, .. } => Some(*request),
            Command::Sweep { .. } => None,
            Command::Open { .. }
            | Command::Hold(_)
            | Command::Probe(_)
            | Command::Extend(_)
            | Command::Book(_)
            | Command::Issue(_) => return BTreeMap::new(),
        };
        let owner = command.organization().and_then(|id| self.model.owners.get(&id));
        let stakes = owner.into_iter().flat_map(|owner| &owner.stakes);
        stakes
            .filter(|(request, _)| one.is_none_or(|one| one == **request))
            .map(|(request, stake)| {
                let sum: i128 = stake.shares.iter().map(|(_, amount)| amount).sum();
                (*request, Money::from_nano(i64::try_from(sum).unwrap_or(i64::MAX)))
            })
            .collect()
    }
}

/// A world that is known to be durable, and what was done since.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) base: World,
    pub(crate) steps: Vec<Arc<Step>>,
    /// How many of the steps no loss can take away.
    pub(crate) floor: usize,
}

impl History {
    /// The world after all these steps.
    pub(crate) fn replay(&self, steps: &[Arc<Step>]) -> World {
        let mut world = self.base.clone();
        for step in steps {
            world.step(step);
        }
        world
    }
}

/// Whether an entry is the booking's own and not what follows from it.
const fn is_own(kind: EntryKind) -> bool {
    !matches!(kind, EntryKind::Settle | EntryKind::Expire | EntryKind::PayDebt)
}

fn note_of(command: &Command) -> Option<Note> {
    let Command::Book(booking) = command else { return None };
    let mut note = booking.note.clone();
    if let Act::Redeem { code, .. } = &booking.act {
        note.reason = Some(code.clone());
    }
    Some(note)
}
