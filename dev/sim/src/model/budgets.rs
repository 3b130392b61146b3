//! Section 6 of the rules: what a call falls under, what it may consume, what is told.

use std::fmt::Display;

use domain::{BudgetId, Money, Timestamp};
use ledger::{Budget, BudgetBound, CostRow, Denial, EventKind, Measure, Period, Reply, Subject, Tag};

use super::calendar::{Around, around};
use super::calls::tokens_of;
use super::{Owner, TabKey, Trace, Twist, fitted, invalid, money, nano};

impl Owner {
    /// The tabs that a call held at a moment counts in, in their budgets' order.
    pub(super) fn tab_keys(&self, call: &CostRow, held_at: i64) -> Vec<TabKey> {
        self.budgets.iter().filter_map(|budget| self.tab_key(budget, call, held_at)).collect()
    }

    /// As [`Owner::tab_keys`], for whoever looks in from outside.
    pub fn tabs_of(&self, call: &CostRow, held_at: i64) -> Vec<TabKey> {
        self.tab_keys(call, held_at)
    }

    /// What live holds reserve in one period of a budget: money and tokens.
    pub fn reserved_in(&self, budget: BudgetId, value: &str, start: i64) -> (i128, u128) {
        let budget = self.budgets.iter().find(|known| known.id == budget);
        budget.map_or((0, 0), |budget| self.reserved(budget, value, start))
    }

    fn tab_key(&self, budget: &Budget, call: &CostRow, held_at: i64) -> Option<TabKey> {
        let value = counted_as(&budget.subject, call)?;
        Some((budget.id, value, self.period(budget, held_at).start))
    }

    fn period(&self, budget: &Budget, at: i64) -> Around {
        if self.twisted(Twist::SundayFirst) && budget.period == Period::Weekly {
            const DAY: i64 = 86_400_000_000;
            let monday = around(budget.period, &budget.zone, at.saturating_add(DAY));
            return Around { start: monday.start - DAY, end: monday.end - DAY };
        }
        around(budget.period, &budget.zone, at)
    }

    /// What live holds reserve under a budget in one period: money and tokens.
    fn reserved(&self, budget: &Budget, value: &str, start: i64) -> (i128, u128) {
        if self.twisted(Twist::NoReservation) {
            return (0, 0);
        }
        let mut reserved = (0, 0);
        for stake in self.stakes.values() {
            let counts = counted_as(&budget.subject, &stake.draft).is_some_and(|name| &*name == value)
                && self.period(budget, stake.created_at).start == start;
            if counts {
                reserved.0 += stake.shares.iter().map(|(_, amount)| amount).sum::<i128>();
                reserved.1 += stake.tokens;
            }
        }
        reserved
    }

    /// Refuses by the first hard budget that has no room; answers the least room that any of them has.
    pub(super) fn admit(
        &self,
        call: &CostRow,
        held_at: i64,
        least: i128,
        tokens: u128,
        steps: u128,
    ) -> Result<i128, Denial> {
        let mut least_room = i128::MAX;
        for budget in &self.budgets {
            let Some(key) = self.tab_key(budget, call, held_at) else { continue };
            if !budget.hard && !self.twisted(Twist::SoftRefuses) {
                continue;
            }
            let tab = self.tabs.get(&key).copied().unwrap_or_default();
            let (reserved, tokens_reserved) = self.reserved(budget, &key.1, key.2);
            let end = self.period(budget, held_at).end;
            let bound = |measure, cap: &dyn Display, used: &dyn Display, needed: &dyn Display| {
                Err(Denial::BudgetExceeded(Box::new(BudgetBound {
                    budget: budget.id,
                    subject: budget.subject.clone(),
                    value: key.1.clone(),
                    measure,
                    cap: cap.to_string(),
                    used: used.to_string(),
                    needed: needed.to_string(),
                    resets_at: (end != i64::MAX).then(|| Timestamp::from_micros(end)),
                })))
            };
            if let Some(cap) = budget.caps.steps
                && steps > 0
                && tab.steps + steps > u128::from(cap)
            {
                return bound(Measure::Steps, &cap, &tab.steps, &steps);
            }
            let used = tab.tokens + tokens_reserved;
            if let Some(cap) = budget.caps.tokens
                && tokens > 0
                && used + tokens > u128::from(cap)
            {
                return bound(Measure::Tokens, &cap, &used.min(u128::from(u64::MAX)), &tokens);
            }
            if let Some(cap) = budget.caps.cost {
                let used = tab.spent + reserved;
                let room = (nano(cap) - used).max(0);
                if room < least {
                    return bound(Measure::Cost, &cap, &fitted(used), &fitted(least));
                }
                least_room = least_room.min(room);
            }
        }
        Ok(least_room)
    }

    /// Everything that is reserved together must fit in 64 bits.
    pub(super) fn check_reservations(
        &self,
        call: &CostRow,
        held_at: i64,
        amount: i128,
        tokens: u128,
    ) -> Result<(), Denial> {
        for budget in &self.budgets {
            let Some((_, value, start)) = self.tab_key(budget, call, held_at) else { continue };
            let (reserved, tokens_reserved) = self.reserved(budget, &value, start);
            money(reserved + amount)?;
            if tokens_reserved + tokens > u128::from(u64::MAX) {
                return Err(Denial::Overflow);
            }
        }
        Ok(())
    }

    /// Tells of thresholds that a call's consumption has reached.
    pub(super) fn tell(&mut self, call: &CostRow, held_at: i64, trace: &mut Trace) {
        for key in self.tab_keys(call, held_at) {
            self.tell_of(key, trace);
        }
    }

    /// Tells of the highest threshold that is reached, if it is higher than the one told of before.
    fn tell_of(&mut self, key: TabKey, trace: &mut Trace) {
        let Some(budget) = self.budgets.iter().find(|budget| budget.id == key.0) else { return };
        let tab = self.tabs.get(&key).copied().unwrap_or_default();
        let passed = self.twisted(Twist::ThresholdPassed);
        let reached = |percent: &u8| {
            let over = |used: u128, cap: u128| {
                let (used, cap) = (used.saturating_mul(100), cap.saturating_mul(u128::from(*percent)));
                if passed { used > cap } else { used >= cap }
            };
            let amount = |money: i128| u128::try_from(money).unwrap_or(0);
            budget.caps.cost.is_some_and(|cap| over(amount(tab.spent), amount(nano(cap))))
                || budget.caps.tokens.is_some_and(|cap| over(tab.tokens, u128::from(cap)))
                || budget.caps.steps.is_some_and(|cap| over(tab.steps, u128::from(cap)))
        };
        let Some(percent) = budget.thresholds.iter().copied().filter(reached).max() else { return };
        if percent <= tab.told && !self.twisted(Twist::ToldAgain) {
            return;
        }
        let kind = EventKind::BudgetThreshold {
            budget: budget.id,
            subject: budget.subject.clone(),
            value: key.1.clone(),
            period_start: Timestamp::from_micros(key.2),
            percent,
            spent: fitted(tab.spent),
            cap: budget.caps.cost,
        };
        if let Some(tab) = self.tabs.get_mut(&key) {
            tab.told = percent;
        }
        self.say(kind, trace);
    }

    /// Makes a budget or changes its caps. `taken`: the id was used and is no more, or is another organization's.
    pub(super) fn set_budget(
        &mut self,
        budget: &Budget,
        taken: bool,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let caps = budget.caps;
        if caps.cost.is_none() && caps.tokens.is_none() && caps.steps.is_none() {
            return Err(invalid("caps"));
        }
        if caps.cost.is_some_and(Money::is_negative) {
            return Err(invalid("cost"));
        }
        let rising = budget
            .thresholds
            .iter()
            .try_fold(0, |before, percent| (*percent > before && *percent <= 100).then_some(*percent));
        if rising.is_none() {
            return Err(invalid("thresholds"));
        }
        if let Some(known) = self.budgets.iter_mut().find(|known| known.id == budget.id) {
            let same =
                known.subject == budget.subject && known.period == budget.period && known.zone == budget.zone;
            if !same {
                return Err(invalid("budget"));
            }
            (known.caps, known.hard) = (caps, budget.hard);
            known.thresholds.clone_from(&budget.thresholds);
            return Ok(Reply::BudgetSet(Box::new(budget.clone())));
        }
        if taken && !self.twisted(Twist::BudgetReturns) {
            return Err(Denial::Duplicate);
        }
        self.check_live(budget)?;
        self.budgets.push(budget.clone());
        let named_first = self.twisted(Twist::NamedFirst);
        self.budgets.sort_by_key(|budget| refusal_order(budget, named_first));
        self.count_the_past(budget);
        let keys: Vec<TabKey> = self.tabs.keys().filter(|key| key.0 == budget.id).cloned().collect();
        for key in keys {
            self.tell_of(key, trace);
        }
        Ok(Reply::BudgetSet(Box::new(budget.clone())))
    }

    /// What live holds reserve under a new budget must fit.
    fn check_live(&self, budget: &Budget) -> Result<(), Denial> {
        for stake in self.stakes.values() {
            let Some((_, value, start)) = self.tab_key(budget, &stake.draft, stake.created_at) else {
                continue;
            };
            let (reserved, tokens) = self.reserved(budget, &value, start);
            money(reserved)?;
            if tokens > u128::from(u64::MAX) {
                return Err(Denial::Overflow);
            }
        }
        Ok(())
    }

    /// A new budget starts with what calls dispatched in the running period consumed, and counts live holds.
    fn count_the_past(&mut self, budget: &Budget) {
        let running = self.period(budget, self.now);
        let within = |row: &&CostRow| running.start <= row.at.micros() && row.at.micros() < running.end;
        let rows = if self.twisted(Twist::NewBudgetIsEmpty) { &[] } else { &self.rows[..] };
        for row in rows.iter().filter(within) {
            let Some(value) = counted_as(&budget.subject, row) else { continue };
            let tab = self.tabs.entry((budget.id, value, running.start)).or_default();
            tab.consume(nano(row.cost), tokens_of(row));
            tab.steps += u128::from(row.attempt == 1);
        }
        let live: Vec<TabKey> = self
            .stakes
            .values()
            .filter_map(|stake| self.tab_key(budget, &stake.draft, stake.created_at))
            .collect();
        for key in live {
            self.tabs.entry(key).or_default().steps += 1;
        }
    }

    pub(super) fn remove_budget(&mut self, id: BudgetId) -> Result<Reply, Denial> {
        let before = self.budgets.len();
        self.budgets.retain(|budget| budget.id != id);
        if self.budgets.len() == before {
            return Err(Denial::Unknown { field: "budget" });
        }
        self.tabs.retain(|(budget, _, _), _| *budget != id);
        Ok(Reply::BudgetRemoved)
    }
}

/// Organization, project, key, user, feature, environment, run; a count for each before a name; names; ids.
fn refusal_order(budget: &Budget, named_first: bool) -> (u8, bool, Box<str>, BudgetId) {
    let (rank, name) = match &budget.subject {
        Subject::Organization => (0, &None),
        Subject::Project(name) => (1, name),
        Subject::Key(name) => (2, name),
        Subject::User(name) => (3, name),
        Subject::Tag(Tag::Feature, name) => (4, name),
        Subject::Tag(Tag::Environment, name) => (5, name),
        Subject::Run(name) => (6, name),
    };
    (rank, name.is_some() != named_first, name.clone().unwrap_or_default(), budget.id)
}

/// The name under which a subject counts a call; `None` when it does not.
fn counted_as(subject: &Subject, call: &CostRow) -> Option<Box<str>> {
    let given = &call.attribution;
    let (of_call, wanted): (Option<Box<str>>, &Option<Box<str>>) = match subject {
        Subject::Organization => return Some("".into()),
        Subject::Project(name) => (Some(call.project.to_string().into()), name),
        Subject::Key(name) => (Some(call.key.to_string().into()), name),
        Subject::User(name) => (given.user.clone(), name),
        Subject::Tag(Tag::Feature, name) => (given.feature.clone(), name),
        Subject::Tag(Tag::Environment, name) => (Some(Box::from(&*call.environment)), name),
        Subject::Run(name) => (given.run.clone(), name),
    };
    match (of_call, wanted) {
        (Some(value), Some(name)) if value != *name => None,
        (value, _) => value,
    }
}
