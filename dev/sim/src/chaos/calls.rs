//! Calls: holds, extensions, settlements, with providers that report too much, too little, at another price.

use std::sync::Arc;

use domain::{AccessClass, Money, OrganizationId, Pico, RequestId, ServiceTier, Timestamp, Usage};
use ledger::{AttemptStatus, Attribution, Command, CostRow, Extension, HoldRequest, NextAttempt};

use super::{Chaos, Scale, id};
use crate::model::{Owner, Stake};
use crate::tally::{Counted, Tally};

/// What the attempts of a call may ask for.
const TIERS: [ServiceTier; 3] = [ServiceTier::Standard, ServiceTier::Flex, ServiceTier::Priority];

impl Chaos {
    /// An amount in nano-units, above zero.
    pub(super) fn amount(&mut self) -> Money {
        let unit = self.universe.unit;
        let nano = match self.random.below(12) {
            0 => 1,
            1 => unit,
            2 => self.random.within(1, unit.saturating_mul(8)),
            3 => self.random.within(1, (unit / 8).max(1)),
            _ => self.random.within(1, unit),
        };
        Money::from_nano(nano)
    }

    /// A hold, or the question what one would be answered.
    pub(super) fn hold_or_probe(&mut self, owner: &Owner) -> Command {
        let hold = self.hold(owner);
        if self.random.chance(150) { Command::Probe(hold) } else { Command::Hold(hold) }
    }

    fn hold(&mut self, owner: &Owner) -> HoldRequest {
        let request = RequestId::from_bytes(id(6, self.number()));
        let mut draft = self.row(owner.id, request, 1);
        let share = self.universe.unit / 16;
        let chain = owner.chain_of(&draft);
        let available: i128 = chain.iter().map(|position| owner.available(*position)).sum();
        let available = i64::try_from(available).unwrap_or(i64::MAX);
        let nano = match self.random.below(10) {
            0 => available.saturating_add(self.random.within(-1, 1)).max(0),
            1 => self.random.within(0, available),
            2 => self.random.within(0, self.universe.unit),
            3 => self.random.within(0, 2),
            _ => self.random.within(0, share.max(2)),
        };
        let least = match self.random.below(4) {
            0 => 0,
            1 => self.random.within(0, nano),
            2 => (nano / 2).max(1).min(nano),
            _ => nano,
        };
        let pico = if self.random.chance(500) { nano.saturating_mul(1000) } else { draft.cost_pico };
        charge(&mut draft, if self.random.chance(200) { pico } else { pico / 2 });
        let mut hold = HoldRequest {
            organization: owner.id,
            request,
            amount: Money::from_nano(nano),
            least: Money::from_nano(least),
            tokens: self.tokens(),
            ceiling: Vec::new(),
            grants_only: false,
            draft: Box::new(draft),
        };
        self.pool_hold(&mut hold);
        hold
    }

    fn tokens(&mut self) -> u64 {
        match self.random.below(400) {
            0 => u64::MAX / 2 - self.random.below(3),
            1..=40 => 0,
            _ => self.random.below(40),
        }
    }

    fn usage(&mut self) -> Usage {
        let mut usage =
            Usage { input: self.random.below(20), output: self.random.below(20), ..Usage::default() };
        match self.random.below(20) {
            0 => usage.cached = self.random.below(10),
            1 => usage.cache_write = self.random.below(10),
            2 => usage.audio_input = self.random.below(10),
            3 => usage.audio_output = self.random.below(10),
            4 => usage.reasoning = usage.output,
            5 => usage.cache_write_long = self.random.below(10),
            6 => usage.image_input = self.random.below(10),
            7 => usage.image_output = self.random.below(10),
            8 => usage.images = self.random.below(10),
            9 => usage.audio_ms = self.random.below(10),
            10 => usage.characters = self.random.below(10),
            11 => usage.searches = self.random.below(10),
            _ => {}
        }
        if self.random.chance(2) {
            usage.output = self.tokens();
        }
        usage
    }

    /// A row of a call that somebody makes.
    fn row(&mut self, organization: OrganizationId, request: RequestId, attempt: u32) -> CostRow {
        let usage = self.usage();
        let random = &mut self.random;
        let universe = &self.universe;
        let maybe = |random: &mut crate::Random, names: &[Box<str>]| -> Option<Box<str>> {
            if random.chance(400) { None } else { random.pick(names).cloned() }
        };
        let [model, target] =
            random.pick(&universe.models).cloned().unwrap_or_else(|| ["m".into(), "p/m".into()]);
        let (price_version, price) =
            random.pick(&universe.prices).cloned().unwrap_or_else(|| ("v0".into(), 1));
        let attribution = Attribution {
            user: maybe(random, &universe.users),
            feature: maybe(random, &universe.features),
            run: maybe(random, &universe.runs),
            app: None,
        };
        let mut row = CostRow {
            organization,
            request,
            attempt,
            at: Timestamp::from_micros(self.now),
            project: pick(random, &universe.projects, domain::ProjectId::from_bytes(id(2, 1))),
            key: pick(random, &universe.keys, domain::KeyId::from_bytes(id(3, 1))),
            environment: pick(random, &universe.environments, Arc::from("dev")),
            model,
            target,
            provider: Arc::clone(&universe.provider),
            model_answered: None,
            price_version,
            service_tier: ServiceTier::Standard,
            class: AccessClass::Direct,
            usage,
            list_pico: None,
            cover: None,
            cost_pico: 0,
            cost: Money::ZERO,
            reported_pico: None,
            status: AttemptStatus::Succeeded,
            reason: pick(random, &universe.reasons, Arc::from("stop")),
            estimated: false,
            http_status: 200,
            streamed: random.chance(500),
            duration_us: random.below(1_000_000),
            held: Money::ZERO,
            attribution,
        };
        charge(&mut row, priced(&usage, price));
        row
    }

    pub(super) fn extend(&mut self, owner: &Owner, tally: &mut Tally) -> Command {
        let request = self.request(owner, tally);
        let usage = self.usage();
        let held = owner.stakes.get(&request).map_or(0, held_nano);
        let (amount, least) = self.in_all(held);
        let next = self.random.chance(400).then(|| Box::new(self.next_attempt(owner, request)));
        let mut extension = Extension {
            organization: owner.id,
            request,
            amount,
            least,
            tokens: self.tokens(),
            usage,
            cost_pico: self.random.within(0, held.saturating_mul(1200).max(1)),
            consumed: Vec::new(),
            ceiling: Vec::new(),
            grants_only: false,
            next,
        };
        self.pool_extension(&mut extension, owner.stakes.get(&request).map(|stake| &stake.draft));
        Command::Extend(extension)
    }

    /// What a call that holds so much needs in all: mostly somewhat more, now and then no more, or less.
    fn in_all(&mut self, held: i64) -> (Money, Money) {
        let more = match self.random.below(6) {
            0 => 0,
            1 => self.random.within(0, self.universe.unit),
            _ => self.random.within(0, (self.universe.unit / 16).max(2)),
        };
        let amount = match self.random.below(8) {
            0 => 0,
            1 => self.random.within(0, held),
            2 => more,
            _ => held.saturating_add(more),
        };
        let least = match self.random.below(5) {
            0 => 0,
            1 => self.random.within(0, amount),
            2 => amount.min(held.saturating_add(more / 2)),
            _ => amount,
        };
        (Money::from_nano(amount), Money::from_nano(least))
    }

    /// A further attempt of a call, at another target or another model, or the present one elsewhere; now and then its
    /// number is not the one it should be.
    fn next_attempt(&mut self, owner: &Owner, request: RequestId) -> NextAttempt {
        let stake = owner.stakes.get(&request);
        let draft = match stake {
            Some(stake) => stake.draft.clone(),
            None => self.row(owner.id, request, 1),
        };
        let mut earlier = stake.map_or_else(Vec::new, |stake| stake.earlier.clone());
        let was_sent = self.random.chance(600);
        let step = u32::from(was_sent != self.random.chance(50));
        let [model, target] = match self.random.below(4) {
            0 => [Arc::clone(&draft.model), Arc::from("fallback/model")],
            1 => [Arc::clone(&draft.model), Arc::clone(&draft.target)],
            _ => pick(&mut self.random, &self.universe.models, ["m".into(), "p/m".into()]),
        };
        let (attempt, at) = (draft.attempt.saturating_add(step), draft.at.plus_micros(1));
        if was_sent {
            earlier.push(self.before(draft));
        } else if let Some(number) = earlier.last().map(|row| row.attempt)
            && self.random.chance(500)
        {
            // Two run at once, and the other one ends first.
            let other = CostRow { attempt: number, ..self.row(owner.id, request, number) };
            earlier.pop();
            earlier.push(self.before(other));
        }
        NextAttempt {
            attempt,
            at,
            model,
            target,
            provider: Arc::from("fallback"),
            price_version: Arc::from("fallback/model@1"),
            service_tier: pick(&mut self.random, &TIERS, ServiceTier::Standard),
            class: AccessClass::Direct,
            list_pico: None,
            cover: None,
            earlier,
        }
    }

    /// What became of the attempt before: mostly it failed and costs nothing.
    fn before(&mut self, mut row: CostRow) -> CostRow {
        (row.status, row.reason) = (AttemptStatus::Failed, Arc::from("upstream_error"));
        match self.random.below(4) {
            0 => (row.status, row.reason) = (AttemptStatus::Cancelled, Arc::from("outrun")),
            1 => {}
            _ => charge(&mut row, 0),
        }
        if self.random.chance(20) {
            row.attempt = row.attempt.saturating_add(1);
        }
        self.cover_less(&mut row);
        row
    }

    /// A request, mostly one that is live.
    fn request(&mut self, owner: &Owner, tally: &mut Tally) -> RequestId {
        if self.random.chance(self.universe.faults.wrong_request) {
            tally.add(Counted::Fault, "wrong request");
            if let Some(request) = self.random.pick(&self.timed_out).copied()
                && owner.ended.contains_key(&request)
            {
                tally.add(Counted::Seen, "settle after time-out");
                return request;
            }
            let ended = owner.ended.len().min(30);
            if let Some((request, _)) = owner.ended.iter().nth_back(self.random.position(ended)) {
                return *request;
            }
        }
        let position = self.random.position(owner.stakes.len());
        match owner.stakes.keys().nth(position) {
            Some(request) => *request,
            None => RequestId::from_bytes(id(6, self.issued)),
        }
    }

    pub(super) fn settle(&mut self, owner: &Owner, tally: &mut Tally) -> Command {
        let request = self.request(owner, tally);
        let rows = match owner.stakes.get(&request) {
            Some(stake) => self.rows_of(owner, stake, tally),
            None => vec![self.row(owner.id, request, 1)],
        };
        Command::Settle { organization: owner.id, request, rows }
    }

    /// What the provider says a live call consumed.
    fn rows_of(&mut self, owner: &Owner, stake: &Stake, tally: &mut Tally) -> Vec<CostRow> {
        if stake.shares.len() > 1 {
            tally.add(Counted::Seen, "chain of several");
            if stake.shares.iter().filter(|(_, share)| *share > 0).count() > 1 {
                tally.add(Counted::Seen, "several wallets paid");
            }
        }
        let in_grace = |(position, _): &(usize, i128)| {
            let purse = owner.purses.get(*position);
            purse.is_some_and(|purse| purse.lots.values().any(|lot| lot.expires_at <= owner.now))
        };
        if stake.shares.iter().any(in_grace) {
            tally.add(Counted::Seen, "grace left");
        }
        let mut row = CostRow { usage: self.usage(), ..stake.draft.clone() };
        if self.random.chance(30) {
            row.at = Timestamp::from_micros(self.now);
        }
        let attempts = if self.random.chance(120) { 2 + self.random.below(2) } else { 1 };
        let mut rows: Vec<CostRow> = (1..=attempts)
            .map(|attempt| CostRow { attempt: u32::try_from(attempt).unwrap_or(1), ..row.clone() })
            .collect();
        for row in &mut rows {
            let pico = self.reported(row, stake, tally);
            charge(row, pico);
            self.cover_in_the_end(row, tally);
        }
        rows
    }

    /// The exact cost of one row.
    fn reported(&mut self, row: &mut CostRow, stake: &Stake, tally: &mut Tally) -> i64 {
        let held = held_nano(stake);
        let faults = self.universe.faults;
        if self.random.chance(faults.under_report) {
            tally.add(Counted::Fault, "under-reported");
            row.usage = Usage::default();
            return 0;
        }
        if self.random.chance(faults.over_report) {
            tally.add(Counted::Fault, "over-reported");
            let far = held.saturating_add(self.universe.unit).saturating_mul(self.random.within(1, 4));
            return self.random.within(held.saturating_mul(1000), far.saturating_mul(1000));
        }
        if self.random.chance(faults.price_change)
            && let Some((version, price)) = self.random.pick(&self.universe.prices).cloned()
        {
            if version != row.price_version {
                tally.add(Counted::Fault, "price changed");
            }
            row.price_version = version;
            let pico = priced(&row.usage, price);
            // What is priced reasonably is seldom far beyond what was held for, except when amounts are tiny.
            return if self.universe.scale == Scale::Tiny {
                pico
            } else {
                pico % held.saturating_mul(1100).max(2)
            };
        }
        match self.random.below(6) {
            0 => held.saturating_mul(1000),
            1 => held.saturating_mul(1000).saturating_add(self.random.within(-1, 1)).max(0),
            _ => self.random.within(0, held.saturating_mul(1000)),
        }
    }
}

fn held_nano(stake: &Stake) -> i64 {
    let held: i128 = stake.shares.iter().map(|(_, share)| share).sum();
    i64::try_from(held).unwrap_or(i64::MAX)
}

fn priced(usage: &Usage, price: u64) -> i64 {
    let tokens = usage.input_total().saturating_add(usage.output_total());
    i64::try_from(tokens.saturating_mul(price)).unwrap_or(i64::MAX)
}

/// Writes a cost into a row, rounded as it must be.
pub(super) fn charge(row: &mut CostRow, pico: i64) {
    row.cost_pico = pico.max(0);
    row.cost = Pico::new(i128::from(row.cost_pico)).ceil_to_money().unwrap_or(Money::MAX);
}

fn pick<T: Clone>(random: &mut crate::Random, items: &[T], otherwise: T) -> T {
    random.pick(items).cloned().unwrap_or(otherwise)
}
