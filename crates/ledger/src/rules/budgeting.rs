//! Budgets, inside the money rules: what they leave room for, what holds reserve, what settlements consume.

use std::collections::{BTreeMap, BTreeSet};

use domain::Money;

use super::{Clerk, add};
use crate::{Budget, BudgetBound, Consumption, Denial, EventKind, Hold, Measure, Use, UseKey};

impl Clerk<'_> {
    /// How much of `amount`, but not less than `least`, every hard budget has room for.
    pub(super) fn budget_room(
        &self,
        uses: &[UseKey],
        amount: Money,
        least: Money,
        tokens: u64,
        steps: u64,
    ) -> Result<Money, Denial> {
        let mut fits = amount;
        for (budget, key) in uses.iter().filter_map(|key| Some((self.budget(key)?, key))) {
            if !budget.hard {
                continue;
            }
            let used = self.books.uses.get(key).copied().unwrap_or_default();
            let exceeded = |measure, cap: String, used: String, needed: String| {
                // The hold's own period: it may have begun before the one that runs now.
                let span = budget.span(key.start);
                Err(Denial::BudgetExceeded(Box::new(BudgetBound {
                    budget: budget.id,
                    subject: budget.subject.clone(),
                    value: key.value.clone(),
                    measure,
                    cap,
                    used,
                    needed,
                    resets_at: (span.end != domain::Timestamp::MAX).then_some(span.end),
                })))
            };
            let count = |measure, cap: Option<u64>, used: u64, needed: u64| match cap {
                Some(cap) if needed > 0 && used.saturating_add(needed) > cap => {
                    exceeded(measure, cap.to_string(), used.to_string(), needed.to_string())
                }
                Some(_) | None => Ok(()),
            };
            count(Measure::Steps, budget.caps.steps, used.steps, steps)?;
            let tokens_taken = used.tokens.saturating_add(used.tokens_held);
            count(Measure::Tokens, budget.caps.tokens, tokens_taken, tokens)?;
            let Some((cap, room)) = budget.caps.cost.zip(used.room(&budget.caps)) else { continue };
            if room < least {
                let taken = used.spent.checked_add(used.held).unwrap_or(Money::MAX);
                exceeded(Measure::Cost, cap.to_string(), taken.to_string(), least.to_string())?;
            }
            fits = fits.min(room);
        }
        Ok(fits)
    }

    /// Reserves what a hold takes in every budget it counts in, or in none.
    pub(super) fn reserve(
        &mut self,
        uses: &[UseKey],
        amount: Money,
        tokens: u64,
        steps: u64,
    ) -> Result<(), Denial> {
        self.check_reservation(uses, amount, tokens)?;
        for key in uses {
            self.change_use(key, |used| {
                used.held = used.held.checked_add(amount).unwrap_or(used.held);
                used.tokens_held = used.tokens_held.saturating_add(tokens);
                used.steps = used.steps.saturating_add(steps);
            });
        }
        Ok(())
    }

    /// Whether what a hold takes fits into the sums of every budget it counts in.
    pub(super) fn check_reservation(
        &self,
        uses: &[UseKey],
        amount: Money,
        tokens: u64,
    ) -> Result<(), Denial> {
        for used in uses.iter().filter_map(|key| self.books.uses.get(key)) {
            add(used.held, amount)?;
            used.tokens_held.checked_add(tokens).ok_or(Denial::Overflow)?;
        }
        Ok(())
    }

    /// Turns what an ended hold reserved into what its call consumed.
    pub(super) fn spend(&mut self, hold: &Hold, consumed: Consumption) {
        for key in &hold.uses {
            self.change_use(key, |used| {
                // Never less than nothing, whatever was lost.
                used.held = used.held.checked_sub(hold.amount).unwrap_or_default().max(Money::ZERO);
                used.tokens_held = used.tokens_held.saturating_sub(hold.tokens);
                // A settlement is never refused, so what was consumed stops at the largest number there is. A figure of a whole period, on which no wallet rests: one that does not fit is at its cap anyway.
                used.spent = used.spent.checked_add(consumed.cost).unwrap_or(Money::MAX);
                used.tokens = used.tokens.saturating_add(consumed.tokens);
            });
        }
    }

    /// Changes one period's figures, and tells of a threshold that they reach for the first time.
    fn change_use(&mut self, key: &UseKey, change: impl FnOnce(&mut Use)) {
        self.count_use(key, change);
        self.tell_threshold(key);
    }

    fn count_use(&mut self, key: &UseKey, change: impl FnOnce(&mut Use)) {
        change(self.books.uses.entry(key.clone()).or_default());
        if !self.changes.uses.contains(key) {
            self.changes.uses.push(key.clone());
        }
    }

    fn tell_threshold(&mut self, key: &UseKey) {
        let Some(budget) = self.books.budgets.iter().find(|budget| budget.id == key.budget) else { return };
        let Some(used) = self.books.uses.get_mut(key) else { return };
        let percent = used.reached(budget);
        if percent <= used.told {
            return;
        }
        used.told = percent;
        let kind = EventKind::BudgetThreshold {
            budget: budget.id,
            subject: budget.subject.clone(),
            value: key.value.clone(),
            period_start: key.start,
            percent,
            spent: used.spent,
            cap: budget.caps.cost,
        };
        self.tell(kind);
    }

    fn budget(&self, key: &UseKey) -> Option<&Budget> {
        self.books.budgets.iter().find(|budget| budget.id == key.budget)
    }

    /// Makes a budget that counts what was consumed in the period that runs, and what is held now; or changes the caps
    /// and thresholds of one.
    pub(super) fn set_budget(
        &mut self,
        budget: Budget,
        taken: bool,
        consumed: Vec<(UseKey, Use)>,
    ) -> Result<Budget, Denial> {
        if let Some(field) = budget.fault() {
            return Err(Denial::Invalid { field });
        }
        if let Some(known) = self.books.budgets.iter_mut().find(|known| known.id == budget.id) {
            // What was counted so far was counted for these.
            let same =
                (&known.subject, known.period, &known.zone) == (&budget.subject, budget.period, &budget.zone);
            if !same {
                return Err(Denial::Invalid { field: "budget" });
            }
            known.clone_from(&budget);
            self.changes.budgets.push(budget.id);
            return Ok(budget);
        }
        if taken {
            return Err(Denial::Duplicate);
        }
        self.check_live_holds(&budget)?;
        self.changes.budgets.push(budget.id);
        let order = budget.refusal_order();
        let place = self.books.budgets.partition_point(|other| other.refusal_order() < order);
        self.books.budgets.insert(place, budget.clone());
        let mut keys: BTreeSet<UseKey> = consumed.iter().map(|(key, _)| key.clone()).collect();
        for (key, used) in consumed {
            self.count_use(&key, |fresh| *fresh = used);
        }
        keys.extend(self.count_live_holds(&budget));
        // When all is counted: of several thresholds that it reaches only the highest is told.
        for key in &keys {
            self.tell_threshold(key);
        }
        Ok(budget)
    }

    /// What calls that run already reserve must fit under a budget that is to count them.
    fn check_live_holds(&self, budget: &Budget) -> Result<(), Denial> {
        let mut reserved: BTreeMap<UseKey, (Money, u64)> = BTreeMap::new();
        for hold in self.books.holds.values() {
            let Some(key) = budget.use_of(&hold.draft, hold.created_at) else { continue };
            let (amount, tokens) = reserved.entry(key).or_default();
            *amount = add(*amount, hold.amount)?;
            *tokens = tokens.checked_add(hold.tokens).ok_or(Denial::Overflow)?;
        }
        Ok(())
    }

    /// Calls that run already when a budget is made count in it too. Answers in which periods.
    fn count_live_holds(&mut self, budget: &Budget) -> Vec<UseKey> {
        let running = self.books.holds.values().map(|hold| hold.request).collect::<BTreeSet<_>>();
        let mut counted = Vec::new();
        for request in running {
            let Some(hold) = self.books.holds.get(&request) else { continue };
            let Some(key) = budget.use_of(&hold.draft, hold.created_at) else { continue };
            let (amount, tokens) = (hold.amount, hold.tokens);
            // All of them anew, so that they stand in the order in which budgets refuse.
            let uses = self.books.uses_of(&hold.draft, hold.created_at);
            if let Some(hold) = self.books.holds.get_mut(&request) {
                hold.uses = uses;
            }
            self.count_use(&key, |used| {
                used.held = used.held.checked_add(amount).unwrap_or(Money::MAX);
                used.tokens_held = used.tokens_held.saturating_add(tokens);
                used.steps = used.steps.saturating_add(1);
            });
            counted.push(key);
        }
        counted
    }

    /// Ends a budget: what counted in it counts no more.
    pub(super) fn remove_budget(&mut self, id: domain::BudgetId) -> Result<(), Denial> {
        let place = self.books.budgets.iter().position(|budget| budget.id == id);
        let place = place.ok_or(Denial::Unknown { field: "budget" })?;
        self.books.budgets.remove(place);
        self.books.uses.retain(|key, _| key.budget != id);
        for hold in self.books.holds.values_mut() {
            hold.uses.retain(|key| key.budget != id);
        }
        self.changes.budgets.push(id);
        Ok(())
    }
}

impl Budget {
    /// The first field that no budget may have, if there is one.
    fn fault(&self) -> Option<&'static str> {
        let caps = &self.caps;
        let rising = self.thresholds.is_sorted_by(|low, high| low < high);
        if caps.cost.is_none() && caps.tokens.is_none() && caps.steps.is_none() {
            Some("caps")
        } else if caps.cost.is_some_and(Money::is_negative) {
            Some("cost")
        } else if !rising || !self.thresholds.iter().all(|percent| (1..=100).contains(percent)) {
            Some("thresholds")
        } else {
            None
        }
    }
}
