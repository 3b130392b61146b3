//! Where commands and faults come from: a seed's universe, and what happens in it. It looks at the model to know what is
//! live, never at the ledger, so that both see the same commands whatever the ledger does.

mod bookings;
mod calls;
mod pools;
mod spoil;
mod universe;

use std::collections::VecDeque;

use domain::{LotId, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{Act, Booking, Command, PromoCode};

use crate::Random;
use crate::model::{Model, Owner};
use crate::script::Step;
use crate::tally::{Counted, Tally};

pub use universe::{FaultRates, KINDS, Scale, Universe, id};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 2026-11-01T00:00:00Z.
const BEGINNING: i64 = 20_758 * DAY;

/// The steps of a seed, one after the other.
#[derive(Debug)]
pub struct Chaos {
    random: Random,
    universe: Universe,
    now: i64,
    clock_stands_for: u64,
    issued: u32,
    steps: u64,
    planned: VecDeque<Step>,
    delayed: Vec<(u64, u64, Command)>,
    last_delivered: u64,
    recent: Vec<Command>,
    bookings: Vec<Booking>,
    codes: Vec<PromoCode>,
    payments: Vec<Box<str>>,
    timed_out: Vec<RequestId>,
}

impl Chaos {
    /// The steps of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let universe = Universe::new(&mut random);
        let now = BEGINNING + random.within(0, 60 * DAY);
        let mut planned = VecDeque::new();
        for (number, organization) in universe.organizations.iter().enumerate() {
            let number = u32::try_from(number).unwrap_or(0);
            let wallet = WalletId::from_bytes(id(4, number));
            let command = Command::Open { organization: *organization, wallet };
            // One of them now and then is missing at first.
            if number == 0 || !random.chance(200) {
                planned.push_back(Step::Do(command, Timestamp::from_micros(now)));
            }
        }
        Self {
            random,
            universe,
            now,
            clock_stands_for: 0,
            issued: 100,
            steps: 0,
            planned,
            delayed: Vec::new(),
            last_delivered: 0,
            recent: Vec::new(),
            bookings: Vec::new(),
            codes: Vec::new(),
            payments: Vec::new(),
            timed_out: Vec::new(),
        }
    }

    /// The next step, given how the world stands.
    pub fn next(&mut self, model: &Model, tally: &mut Tally) -> Step {
        if let Some(step) = self.planned.pop_front() {
            return step;
        }
        self.steps += 1;
        self.turn_clock(model, tally);
        if let Some(step) = self.befall(model, tally) {
            return step;
        }
        let mut command = match self.again(tally) {
            Some(command) => command,
            None => self.command(model, tally),
        };
        if self.random.chance(self.universe.faults.spoil) {
            tally.add(Counted::Fault, "spoilt");
            spoil::spoil(&mut command, &mut self.random);
        }
        if self.random.chance(self.universe.faults.late) && self.delayed.len() < 40 {
            let due = self.steps + 1 + self.random.below(60);
            self.delayed.push((due, self.steps, command));
            return self.next_after_delay(model, tally);
        }
        self.remember(&command);
        Step::Do(command, Timestamp::from_micros(self.now))
    }

    fn next_after_delay(&mut self, model: &Model, tally: &mut Tally) -> Step {
        let command = self.command(model, tally);
        self.remember(&command);
        Step::Do(command, Timestamp::from_micros(self.now))
    }

    fn remember(&mut self, command: &Command) {
        if self.random.chance(150) || matches!(command, Command::Book(_)) {
            keep(&mut self.recent, command.clone(), &mut self.random);
        }
        if let Command::Book(booking) = command
            && booking.idempotency.is_some()
        {
            keep(&mut self.bookings, Booking::clone(booking), &mut self.random);
        }
    }

    /// A command that was given before, or should have been.
    fn again(&mut self, tally: &mut Tally) -> Option<Command> {
        if let Some(position) = self.delayed.iter().position(|(due, _, _)| *due <= self.steps) {
            let (_, made, command) = self.delayed.swap_remove(position);
            tally.add(Counted::Fault, "late");
            if made < self.last_delivered {
                tally.add(Counted::Fault, "reordered");
            }
            self.last_delivered = self.last_delivered.max(made);
            return Some(command);
        }
        if self.random.chance(self.universe.faults.duplicate)
            && let Some(command) = self.random.pick(&self.recent)
        {
            tally.add(Counted::Fault, "duplicate");
            return Some(command.clone());
        }
        if self.random.chance(self.universe.faults.retry)
            && let Some(booking) = self.random.pick(&self.bookings).cloned()
        {
            return Some(Command::Book(Box::new(self.retried(booking, tally))));
        }
        None
    }

    fn retried(&mut self, mut booking: Booking, tally: &mut Tally) -> Booking {
        if self.random.chance(500) {
            tally.add(Counted::Fault, "retry, same body");
            return booking;
        }
        tally.add(Counted::Fault, "retry, other body");
        if let Some(idempotency) = &mut booking.idempotency {
            idempotency.digest = [u8::try_from(self.random.below(256)).unwrap_or(0); 32];
        }
        if let Act::Grant(grant) = &mut booking.act {
            grant.amount = self.amount();
        }
        booking
    }

    /// Time goes by, or does not, or jumps.
    fn turn_clock(&mut self, model: &Model, tally: &mut Tally) {
        if self.clock_stands_for > 0 {
            self.clock_stands_for -= 1;
            return;
        }
        if self.random.chance(self.universe.faults.freeze_clock) {
            tally.add(Counted::Fault, "clock frozen");
            self.clock_stands_for = self.random.below(20);
            return;
        }
        if self.random.chance(4)
            && let Some(expiry) = self.next_expiry(model)
        {
            // The very moment at which credit falls due, the one before or the one after.
            tally.add(Counted::Seen, "clock at an expiry");
            self.now = expiry + self.random.within(-1, 1);
        } else if self.random.chance(self.universe.faults.jump) {
            self.jump(tally);
        } else {
            self.now += self.random.within(0, self.universe.pause);
        }
        // No clock is that wrong for ever.
        if !(BEGINNING - 3_650 * DAY..BEGINNING + 73_000 * DAY).contains(&self.now) {
            self.now = BEGINNING;
        }
    }

    /// When the next credit of some wallet expires.
    fn next_expiry(&mut self, model: &Model) -> Option<i64> {
        let owner = model.owners.get(&self.organization())?;
        let purse = self.random.pick(&owner.purses)?;
        let expiries = purse.lots.values().map(|lot| lot.expires_at);
        expiries.filter(|expiry| *expiry > self.now && *expiry < i64::MAX).min()
    }

    fn jump(&mut self, tally: &mut Tally) {
        let random = &mut self.random;
        match random.below(20) {
            0..=8 => {
                tally.add(Counted::Fault, "clock back");
                let most =
                    *random.pick(&[SECOND, 60 * SECOND, 3_600 * SECOND, DAY, 40 * DAY]).unwrap_or(&DAY);
                self.now -= random.within(1, most);
            }
            9..=17 => {
                tally.add(Counted::Fault, "clock forward");
                let most = *random.pick(&[60 * SECOND, 3_600 * SECOND, DAY, 7 * DAY]).unwrap_or(&DAY);
                self.now += random.within(1, most);
            }
            18 => {
                tally.add(Counted::Fault, "clock far forward");
                self.now += random.within(DAY, 800 * DAY);
            }
            _ => {
                // To the edge of a period, where days, weeks and months begin.
                tally.add(Counted::Fault, "clock forward");
                self.now = self.now.div_euclid(DAY).saturating_add(1) * DAY + random.within(-1, 1);
            }
        }
    }

    /// What befalls the process.
    fn befall(&mut self, model: &Model, tally: &mut Tally) -> Option<Step> {
        let faults = self.universe.faults;
        if self.random.chance(faults.crash) {
            tally.add(Counted::Fault, "crash");
            if self.random.chance(400) {
                self.plan_restart(model, tally);
            }
            return Some(Step::Crash);
        }
        let organization = self.organization();
        if self.random.chance(faults.forget) {
            tally.add(Counted::Fault, "memory dropped");
            return Some(Step::Forget(organization));
        }
        if self.random.chance(faults.freeze) {
            tally.add(Counted::Fault, "frozen");
            for _ in 0..=self.random.below(3) {
                let command = self.command(model, tally);
                self.planned.push_back(Step::Do(command, Timestamp::from_micros(self.now)));
            }
            self.planned.push_back(Step::Thaw(organization));
            return Some(Step::Freeze(organization));
        }
        None
    }

    /// After a start, what was live is settled at its last checkpoint.
    fn plan_restart(&mut self, model: &Model, tally: &mut Tally) {
        for (organization, owner) in &model.owners {
            for (request, stake) in &owner.stakes {
                tally.add(Counted::Fault, "settled at restart");
                let mut rows = stake.rows();
                if let Some(last) = rows.last_mut() {
                    (last.reason, last.estimated) = ("gateway_restarted".into(), true);
                }
                let command = Command::Settle { organization: *organization, request: *request, rows };
                self.planned.push_back(Step::Do(command, Timestamp::from_micros(self.now)));
            }
        }
    }

    fn organization(&mut self) -> OrganizationId {
        let fallback = OrganizationId::from_bytes(id(1, 1));
        self.random.pick(&self.universe.organizations).copied().unwrap_or(fallback)
    }

    /// A number that no id has yet.
    fn number(&mut self) -> u32 {
        self.issued += 1;
        self.issued
    }

    /// A lot's id, mostly fresh, and not always greater than those before.
    fn lot_id(&mut self, model: &Model) -> LotId {
        if self.random.chance(25)
            && let Some(known) = nth_lot(model, &mut self.random)
        {
            // Now and then one a little below a used one, which a transfer of several lots would run into.
            let below = u128::from(self.random.below(4));
            let number = u128::from_be_bytes(*known.as_bytes());
            return if self.random.chance(700) {
                known
            } else {
                LotId::from_bytes((number - below).to_be_bytes())
            };
        }
        let mut bytes = id(5, self.number());
        if let Some(byte) = bytes.get_mut(4) {
            *byte = u8::try_from(self.random.below(200)).unwrap_or(0);
        }
        LotId::from_bytes(bytes)
    }

    fn command(&mut self, model: &Model, tally: &mut Tally) -> Command {
        let organization = self.organization();
        let Some(owner) = model.owners.get(&organization) else {
            return self.command_to_nobody(organization);
        };
        let weights = self.universe.weights;
        let mut at = self.random.below(weights.iter().sum());
        let kind = weights.iter().position(|weight| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        match kind.unwrap_or(0) {
            0 if owner.stakes.len() >= self.universe.holds_most => self.settle(owner, tally),
            0 => self.hold_or_probe(owner),
            1 => self.extend(owner, tally),
            2 => self.settle(owner, tally),
            3 => self.sweep(owner),
            14 => Command::Issue(self.issue()),
            15 => Command::Open { organization, wallet: WalletId::from_bytes(id(4, self.issued)) },
            booked => Command::Book(Box::new(self.booking(booked, owner, model))),
        }
    }

    /// An organization without books asks, or gets books at last.
    fn command_to_nobody(&mut self, organization: OrganizationId) -> Command {
        if self.random.chance(300) {
            return Command::Open { organization, wallet: WalletId::from_bytes(id(4, self.number())) };
        }
        Command::Sweep { organization, warn_seconds: 60, stale_before: Timestamp::from_micros(self.now) }
    }

    fn sweep(&mut self, owner: &Owner) -> Command {
        let ages: Vec<i64> = owner.stakes.values().map(|stake| stake.created_at).collect();
        let stale = match self.random.below(4) {
            0 => self.now - 600 * SECOND,
            1 => i64::MIN,
            2 => self.random.pick(&ages).copied().unwrap_or(self.now) + 1,
            _ => self.random.pick(&ages).copied().unwrap_or(self.now),
        };
        self.timed_out.clear();
        let stale_ones = owner.stakes.iter().filter(|(_, stake)| stake.created_at < stale);
        self.timed_out.extend(stale_ones.map(|(request, _)| *request));
        let quanta = self.universe.quantum / SECOND;
        Command::Sweep {
            organization: owner.id,
            warn_seconds: if self.random.chance(50) { -60 } else { self.random.within(0, quanta * 3 + 1) },
            stale_before: Timestamp::from_micros(stale),
        }
    }
}

/// Keeps what is recent: a few, the older ones making room by chance.
fn keep<T>(kept: &mut Vec<T>, item: T, random: &mut Random) {
    if kept.len() < 24 {
        kept.push(item);
    } else {
        let position = random.position(kept.len());
        if let Some(place) = kept.get_mut(position) {
            *place = item;
        }
    }
}

/// Some lot's id that was used.
fn nth_lot(model: &Model, random: &mut Random) -> Option<LotId> {
    let skip = random.position(model.lot_ids.len().min(50));
    model.lot_ids.iter().nth(skip).copied()
}
