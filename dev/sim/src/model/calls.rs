//! Section 4 of the rules: the chain of wallets, hold, extend, settle, sweep.

use domain::{RequestId, Timestamp};
use ledger::{
    Account, AttemptStatus, CostRow, Denial, Draw, EntryKind, Event, EventKind, Extension, HoldRequest,
    NextAttempt, Purpose, Reply, Settled,
};

use super::pools::{check_ceiling, check_covers, need};
use super::state::{Ended, Taken, drawn, leg};
use super::{Owner, Stake, Trace, Twist, fitted, invalid, money, nano};

/// The wallets that pay, by position, and whether promotional credit alone may.
struct Chain {
    purses: Vec<usize>,
    grants_only: bool,
}

/// What the sum of several rows is.
struct Charge {
    cost: i128,
    tokens: u128,
}

impl Owner {
    pub(super) fn hold(&mut self, hold: &HoldRequest, trace: &mut Trace) -> Result<Reply, Denial> {
        if hold.least.nano() < 0 || hold.amount < hold.least {
            return Err(invalid("amount"));
        }
        check_ceiling(&hold.ceiling)?;
        let rows = std::slice::from_ref(&*hold.draft);
        self.check_rows(hold.request, rows)?;
        if self.stakes.contains_key(&hold.request) || self.ended.contains_key(&hold.request) {
            return Err(Denial::Duplicate);
        }
        let purses = Chain { purses: self.chain(rows), grants_only: hold.grants_only };
        let tokens = u128::from(hold.tokens);
        let prospect = self.prospect(hold.draft.cover.as_deref(), &hold.ceiling, None, trace);
        let need = need(self, hold.least, prospect);
        let room = self.admit(&hold.draft, self.now, need, tokens, 1)?;
        self.check_strict(&[], rows, trace)?;
        let available = self.afford(&purses, need, trace)?;
        let mut amount = nano(hold.amount);
        if !self.twisted(Twist::NoShrink) {
            amount = amount.min(available);
        }
        if !self.twisted(Twist::NoBudgetShrink) {
            amount = amount.min(room);
        }
        self.check_reservations(&hold.draft, self.now, amount, tokens)?;
        let shares = self.portion(&purses, amount);
        let draft = CostRow { held: fitted(amount), ..CostRow::clone(&hold.draft) };
        let (earlier, units) = (Vec::new(), prospect.units);
        let stake = Stake { shares, tokens, units, created_at: self.now, earlier, draft };
        for key in self.tab_keys(&hold.draft, self.now) {
            self.tabs.entry(key).or_default().steps += 1;
        }
        self.stakes.insert(hold.request, stake);
        self.tell(&hold.draft, self.now, trace);
        // More than any amount can say is more than anybody asks for.
        Ok(Reply::Held(fitted(amount.saturating_add(prospect.pays))))
    }

    /// A probe is a hold on other books that are the same, which are then thrown away.
    pub(super) fn probe(&self, hold: &HoldRequest, now: Timestamp) -> Result<Reply, Denial> {
        let (mut other, mut unheard) = (self.clone(), Trace::default());
        other.begin(now);
        other.expire(&mut unheard);
        let answer = other.hold(hold, &mut unheard);
        answer.map(|reply| if let Reply::Held(amount) = reply { Reply::WouldHold(amount) } else { reply })
    }

    pub(super) fn extend(&mut self, extension: &Extension, trace: &mut Trace) -> Result<Reply, Denial> {
        if extension.cost_pico < 0 {
            return Err(invalid("cost_pico"));
        }
        if extension.least.nano() < 0 || extension.amount < extension.least {
            return Err(invalid("amount"));
        }
        check_ceiling(&extension.ceiling)?;
        let Some(stake) = self.stakes.get(&extension.request).cloned() else { return Err(Denial::HoldGone) };
        let mut after = self.turned(&stake, extension)?;
        let own: Vec<usize> = stake.shares.iter().map(|(purse, _)| *purse).collect();
        let stays = extension.next.is_none() || self.twisted(Twist::ChainStays);
        let purses = if stays { own.clone() } else { self.chain(&after.rows()) };
        let moves = purses != own;
        let purses = Chain { purses, grants_only: extension.grants_only };
        let prospect = self.prospect(after.draft.cover.as_deref(), &extension.ceiling, Some(&stake), trace);
        after.units = prospect.units;
        let held = nano(stake.draft.held);
        let above =
            |asked: i128| if self.twisted(Twist::HeldCountsForNothing) { asked } else { asked - held };
        let wanted = above(nano(extension.amount)).max(0);
        let lacking = above(need(self, extension.least, prospect)).max(0);
        let tokens = u128::from(extension.tokens).saturating_sub(stake.tokens);
        let room = self.admit(&stake.draft, stake.created_at, lacking, tokens, 0)?;
        self.check_strict(&stake.rows(), &after.rows(), trace)?;
        // On books on which the hold is not there, what it has set aside is available.
        let mut without = self.clone();
        without.stakes.remove(&extension.request);
        let mut more = wanted.min(room);
        if moves {
            more = more.min(without.afford(&purses, held + lacking, trace)? - held);
        } else {
            more = more.min(self.afford(&purses, lacking, trace)?);
        }
        let counted_on = stake.units > 0 && prospect.units == 0;
        if counted_on && extension.next.is_some() && held > 0 && nano(extension.least) == held {
            trace.seen.push("left a pool, held enough");
        }
        self.check_reservations(&stake.draft, stake.created_at, more, tokens)?;
        after.draft.held = money(held + more)?;
        after.tokens += tokens;
        if moves {
            after.shares = without.portion(&purses, held + more);
        } else {
            for ((_, share), (_, more)) in after.shares.iter_mut().zip(self.portion(&purses, more)) {
                *share += more;
            }
        }
        let draft = after.draft.clone();
        self.stakes.insert(extension.request, after);
        self.tell(&draft, stake.created_at, trace);
        if moves {
            for purse in own {
                self.pay_debt(purse, trace);
            }
            self.expire(trace);
        }
        // More than any amount can say is more than anybody asks for.
        Ok(Reply::Extended(fitted((held + more).saturating_add(prospect.pays))))
    }

    /// A stake as it is after an extension, but for what it holds.
    fn turned(&self, stake: &Stake, extension: &Extension) -> Result<Stake, Denial> {
        let mut after = stake.clone();
        after.draft.usage = extension.usage;
        after.draft.cost_pico = extension.cost_pico;
        after.draft.cost = fitted(rounded_up(extension.cost_pico));
        if let Some(next) = &extension.next {
            turn(&mut after, next, self.twisted(Twist::RowsStay))?;
            self.check_rows(extension.request, &after.rows())?;
            money(after.rows().iter().map(|row| nano(row.cost)).sum())?;
            return Ok(after);
        }
        if let Some(cover) = after.draft.cover.as_mut().filter(|cover| !cover.strict) {
            cover.parts.clone_from(&extension.consumed);
        }
        check_covers([&after.draft])?;
        Ok(after)
    }

    pub(super) fn settle(
        &mut self,
        request: RequestId,
        rows: &[CostRow],
        trace: &mut Trace,
    ) -> Result<Settled, Denial> {
        let Some(stake) = self.stakes.get(&request) else { return Err(Denial::HoldGone) };
        self.check_rows(request, rows)?;
        let rows = &self.paid_by_pools(stake, rows, trace);
        let charge = Charge {
            cost: rows.iter().map(|row| nano(row.cost)).sum(),
            tokens: rows.iter().map(tokens_of).sum(),
        };
        money(charge.cost)?;
        let (shares, draft) = (stake.shares.clone(), stake.draft.clone());
        let counted_at = if self.twisted(Twist::CountAtEnd) { self.now } else { stake.created_at };
        let (parts, debt) = self.split(&shares, charge.cost);
        let Some((debtor, _)) = self.debtor(&shares) else { return Err(Denial::HoldGone) };
        self.check_charge(debtor, debt, &charge)?;
        self.stakes.remove(&request);
        self.draw_on_pools(rows);
        let held = fitted(shares.iter().map(|(_, share)| share).sum());
        self.rows.extend(rows.iter().map(|row| CostRow { held, ..row.clone() }));
        self.ended.insert(request, Ended { debtor, charged: charge.cost, refunded: 0 });
        let draws = self.pay(request, debtor, &parts, debt, &charge, trace);
        for key in self.tab_keys(&draft, counted_at) {
            let tab = self.tabs.entry(key).or_default();
            tab.consume(charge.cost, charge.tokens);
        }
        self.tell(&draft, counted_at, trace);
        if debt > 0 {
            self.went_into_debt(debtor, request, debt, trace);
        }
        if !self.twisted(Twist::DebtStaysAfterSettlement) {
            for (purse, _) in shares {
                self.pay_debt(purse, trace);
            }
        }
        self.expire(trace);
        Ok(Settled { draws, debt: fitted(debt) })
    }

    /// Who pays how much of a charge, and what nobody can pay.
    fn split(&self, shares: &[(usize, i128)], charge: i128) -> (Vec<(usize, i128)>, i128) {
        let mut left = charge;
        let mut parts = Vec::with_capacity(shares.len());
        for (purse, share) in shares {
            let part = left.min(*share);
            left -= part;
            parts.push((*purse, part));
        }
        if !self.twisted(Twist::DebtAtOnce) && left > 0 {
            for (purse, part) in &mut parts {
                let more = left.min(self.available(*purse));
                left -= more;
                *part += more;
            }
        }
        (parts, left)
    }

    fn debtor(&self, shares: &[(usize, i128)]) -> Option<(usize, i128)> {
        if self.twisted(Twist::FirstOwes) { shares.first().copied() } else { shares.last().copied() }
    }

    /// Draws the lots and books the charge.
    fn pay(
        &mut self,
        request: RequestId,
        debtor: usize,
        parts: &[(usize, i128)],
        debt: i128,
        charge: &Charge,
        trace: &mut Trace,
    ) -> Vec<Draw> {
        let mut draws = Vec::new();
        for (purse, part) in parts {
            draws.extend(self.draw(*purse, *part, Taken::Used, |_| true));
        }
        if let Some(purse) = self.purses.get_mut(debtor) {
            purse.debt += debt;
        }
        let mut legs = drawn(&draws);
        if debt > 0 {
            legs.push(leg(Account::Receivable, debt));
        }
        if charge.cost > 0 {
            legs.push(leg(Account::Revenue, -charge.cost));
        }
        self.enter(EntryKind::Settle, debtor, *request.as_bytes(), legs, trace);
        draws
    }

    fn went_into_debt(&self, debtor: usize, request: RequestId, debt: i128, trace: &mut Trace) {
        if let Some(purse) = self.purses.get(debtor) {
            self.say(EventKind::WentIntoDebt { wallet: purse.id, request, owed: fitted(debt) }, trace);
        }
    }

    pub(super) fn say(&self, kind: EventKind, trace: &mut Trace) {
        trace.events.push(Event { organization: self.id, at: Timestamp::from_micros(self.stamp), kind });
    }

    /// What is owed, and what the books are worth, must fit.
    fn check_charge(&self, debtor: usize, debt: i128, charge: &Charge) -> Result<(), Denial> {
        money(self.purses.get(debtor).map_or(0, |purse| purse.debt) + debt)?;
        money(self.net() - charge.cost)?;
        Ok(())
    }

    pub(super) fn sweep(&mut self, warn: i64, stale_before: i64, trace: &mut Trace) -> Result<u64, Denial> {
        let until = self.now.saturating_add(warn.saturating_mul(1_000_000));
        self.warn(until, trace);
        let stale: Vec<RequestId> = self
            .stakes
            .iter()
            .filter(|(_, stake)| stake.created_at < stale_before)
            .map(|(request, _)| *request)
            .collect();
        let mut ended = 0;
        for request in stale {
            let Some(stake) = self.stakes.get(&request) else { continue };
            let mut rows = stake.rows();
            if let Some(last) = rows.last_mut() {
                last.reason = "hold_timed_out".into();
            }
            // One whose charge no longer fits stays.
            if let Ok(settled) = self.settle(request, &rows, trace) {
                let charged = settled.charge();
                self.say(EventKind::HoldTimedOut { request, charged }, trace);
                ended += 1;
            }
        }
        Ok(ended)
    }

    fn warn(&mut self, until: i64, trace: &mut Trace) {
        let again = self.twisted(Twist::WarnAgain);
        let mut warnings = Vec::new();
        for purse in &mut self.purses {
            for piece in purse.lots.values_mut() {
                let expires = piece.expires_at != i64::MAX && piece.expires_at <= until;
                if expires && (again || !piece.warned) {
                    piece.warned = true;
                    warnings.push(EventKind::CreditExpiring {
                        wallet: purse.id,
                        lot: piece.id,
                        remaining: fitted(piece.remaining()),
                        expires_at: Timestamp::from_micros(piece.expires_at),
                    });
                }
            }
        }
        for warning in warnings {
            self.say(warning, trace);
        }
    }

    /// The wallets that pay for a call with these attempts, the present one last: by position, in the order in which
    /// they do.
    pub(super) fn chain(&self, attempts: &[CostRow]) -> Vec<usize> {
        let Some((present, earlier)) = attempts.split_last() else { return Vec::new() };
        let matters = |row: &&CostRow| {
            row.status != AttemptStatus::Failed || row.cost_pico > 0 || self.twisted(Twist::EveryAttempt)
        };
        let earlier: Vec<&CostRow> = earlier.iter().filter(matters).collect();
        let mut classes: [Vec<usize>; 4] = Default::default();
        for (position, purse) in self.purses.iter().enumerate() {
            if covers(&purse.purpose, present) && earlier.iter().all(|row| covers(&purse.purpose, row)) {
                let class = match (purse.purpose.models.is_empty(), purse.purpose.project.is_some()) {
                    (false, true) => 0,
                    (false, false) => 1,
                    (true, true) => 2,
                    (true, false) => 3,
                };
                if let Some(class) = classes.get_mut(class) {
                    class.push(position);
                }
            }
        }
        let [project_models, models, project, organization] = classes;
        let overflows = |position: &usize| self.purses.get(*position).is_some_and(|p| p.purpose.overflow);
        let goes_on = project.iter().all(overflows) || self.twisted(Twist::AlwaysOverflow);
        let last = if goes_on { organization } else { Vec::new() };
        if self.twisted(Twist::OrganizationFirst) {
            return [project_models, models, last, project].concat();
        }
        [project_models, models, project, last].concat()
    }

    /// As the rules choose it, for whoever looks in from outside: the wallets that would pay for a call.
    pub fn chain_of(&self, call: &CostRow) -> Vec<usize> {
        self.chain(std::slice::from_ref(call))
    }

    /// Refuses who needs money when a wallet of the chain owes or all of them have too little; answers what they have.
    fn afford(&self, chain: &Chain, need: i128, trace: &mut Trace) -> Result<i128, Denial> {
        for position in &chain.purses {
            let Some(purse) = self.purses.get(*position) else { continue };
            if purse.debt > 0 && need == 0 {
                trace.seen.push("no need, in debt");
            }
            let asked = need > 0 || self.twisted(Twist::DebtAlwaysAsked);
            if purse.debt > 0 && asked && !self.twisted(Twist::HoldInDebt) {
                return Err(Denial::InDebt { wallet: purse.id, debt: fitted(purse.debt) });
            }
        }
        let there = |grants_only| chain.purses.iter().map(move |p| self.available_for(*p, grants_only)).sum();
        let available: i128 = there(chain.grants_only);
        if available < need {
            if need <= there(false) {
                trace.seen.push("grants short, prepaid there");
            }
            return Err(Denial::InsufficientCredit { available: fitted(available), needed: fitted(need) });
        }
        Ok(available)
    }

    /// What each wallet of a chain sets aside of an amount.
    fn portion(&self, chain: &Chain, amount: i128) -> Vec<(usize, i128)> {
        let mut left = amount;
        let mut shares = Vec::with_capacity(chain.purses.len());
        for purse in &chain.purses {
            let share = left.min(self.available_for(*purse, chain.grants_only));
            left -= share;
            shares.push((*purse, share));
        }
        shares
    }

    /// Rows are of this request and organization, one for each attempt, and rounded right.
    fn check_rows(&self, request: RequestId, rows: &[CostRow]) -> Result<(), Denial> {
        let strange =
            |row: &CostRow| row.request != request || row.organization != self.id || row.attempt == 0;
        let twice = |position: usize, row: &CostRow| {
            rows.iter().take(position).any(|other| other.attempt == row.attempt)
        };
        if rows.is_empty()
            || rows.iter().any(strange)
            || rows.iter().enumerate().any(|(position, row)| twice(position, row))
        {
            return Err(invalid("rows"));
        }
        let wrong = |row: &CostRow| row.cost_pico < 0 || nano(row.cost) != rounded_up(row.cost_pico);
        if rows.iter().any(wrong) {
            return Err(invalid("cost"));
        }
        check_covers(rows)
    }
}

/// Pico-units, rounded up to whole nano-units.
pub(super) fn rounded_up(pico: i64) -> i128 {
    (i128::from(pico) + 999).div_euclid(1000)
}

/// Input and output, all buckets but reasoning, which is a part of output.
pub(super) fn tokens_of(row: &CostRow) -> u128 {
    let usage = &row.usage;
    let input = [usage.input, usage.cached, usage.cache_write, usage.cache_write_long];
    let media = [usage.audio_input, usage.image_input, usage.audio_output, usage.image_output];
    input.into_iter().chain(media).chain([usage.output]).map(u128::from).sum()
}

/// Makes a stake one whose call goes on at the next attempt.
fn turn(stake: &mut Stake, next: &NextAttempt, keeps_rows: bool) -> Result<(), Denial> {
    let step = i64::from(next.attempt) - i64::from(stake.draft.attempt);
    if step != 0 && step != 1 {
        return Err(invalid("attempt"));
    }
    let mut number = 1;
    for row in &next.earlier {
        if row.attempt != number {
            return Err(invalid("rows"));
        }
        number += 1;
    }
    if next.attempt != number {
        return Err(invalid("rows"));
    }
    if keeps_rows {
        stake.earlier.extend(next.earlier.iter().skip(stake.earlier.len()).cloned());
    } else {
        stake.earlier.clone_from(&next.earlier);
    }
    stake.draft.attempt = next.attempt;
    stake.draft.at = next.at;
    stake.draft.model = next.model.clone();
    stake.draft.target = next.target.clone();
    stake.draft.provider = next.provider.clone();
    stake.draft.price_version = next.price_version.clone();
    stake.draft.service_tier = next.service_tier;
    stake.draft.class = next.class;
    stake.draft.list_pico = next.list_pico;
    stake.draft.cover.clone_from(&next.cover);
    Ok(())
}

fn covers(purpose: &Purpose, call: &CostRow) -> bool {
    let of_project = match purpose.project {
        Some(project) => project == call.project,
        None => true,
    };
    let fits = |pattern: &str| {
        [&*call.model, &*call.target].into_iter().any(|name| match pattern.strip_suffix('*') {
            Some(beginning) => name.get(..beginning.len()) == Some(beginning),
            None => name == pattern,
        })
    };
    of_project && (purpose.models.is_empty() || purpose.models.iter().any(|pattern| fits(pattern)))
}
