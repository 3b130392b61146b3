//! The money rules, whole: grant, hold, extend, settle, expire. Pure: no clock, no chance, no I/O.
//!
//! A hold takes from the wallet as one number; lots are drawn only when it settles, promotional before paid, earliest
//! expiry first. That makes the outcome independent of the order in which calls end, and equal to the waterfall of
//! their total. A rule first finds out everything that can go wrong, then changes the wallet: a denial leaves no trace.

use std::collections::BTreeSet;

use domain::{LotId, Money, RequestId, Timestamp, Usage};

use crate::{
    Account, Breach, Command, CostRow, Denial, Draw, Entry, EntryKind, Grant, Hold, HoldRequest, Leg, Lot,
    LotKind, Reply, Settled, Wallet,
};

/// What commands changed, for a store to save: each list in the order things happened, so the last word counts.
#[derive(Debug, Default)]
pub struct Changes {
    /// Lots as they are now, the closed ones too.
    pub lots: Vec<Lot>,
    /// Holds that were opened or extended.
    pub holds: Vec<Hold>,
    /// Holds that ended.
    pub holds_ended: Vec<RequestId>,
    /// What was booked.
    pub entries: Vec<Entry>,
    /// The attempts' rows.
    pub rows: Vec<CostRow>,
}

/// Applies one command to its wallet at the time `now`.
///
/// A clock that stands still or runs backwards is read as a microsecond after the wallet's last command.
/// [`Command::Open`] is answered with [`Denial::Duplicate`], since the wallet exists.
///
/// # Errors
/// [`Denial`], with the wallet's money as it was; credit whose time is over is expired all the same.
pub fn apply(
    wallet: &mut Wallet,
    command: Command,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<Reply, Denial> {
    if wallet.frozen {
        return Err(Denial::Frozen);
    }
    let now = now.max(wallet.last_at.plus_micros(1));
    wallet.last_at = now;
    let mut books = Books { wallet, now, changes };
    books.expire_due()?;
    match command {
        Command::Open { .. } => Err(Denial::Duplicate),
        Command::Grant(grant) => books.grant(&grant),
        Command::Hold(request) => books.hold(request),
        Command::Extend { request, amount, usage, cost_pico, .. } => {
            books.extend(request, amount, usage, cost_pico)
        }
        Command::Settle { request, rows, .. } => books.settle(request, rows),
    }
}

/// Lets go of credit whose time is over at `now`, as every command does before anything else.
///
/// # Errors
/// [`Denial::Overflow`], which no wallet that keeps its promises gives.
pub fn expire(wallet: &mut Wallet, now: Timestamp, changes: &mut Changes) -> Result<(), Denial> {
    Books { wallet, now, changes }.expire_due()
}

/// Freezes a wallet whose promises broke, so that nothing moves until an operator has looked.
impl Wallet {
    /// Checks the wallet and freezes it on the first breach.
    ///
    /// # Errors
    /// The breach.
    pub fn check_or_freeze(&mut self, whole: bool) -> Result<(), Breach> {
        let checked = self.check(whole);
        self.frozen |= checked.is_err();
        checked
    }
}

/// One wallet, open for one command.
struct Books<'a> {
    wallet: &'a mut Wallet,
    now: Timestamp,
    changes: &'a mut Changes,
}

impl Books<'_> {
    fn grant(&mut self, grant: &Grant) -> Result<Reply, Denial> {
        if grant.amount <= Money::ZERO {
            return Err(Denial::Invalid { field: "amount" });
        }
        let lot = Lot {
            id: grant.lot,
            kind: grant.kind,
            granted: grant.amount,
            remaining: grant.amount,
            used: Money::ZERO,
            expired: Money::ZERO,
            created_at: self.now,
            expires_at: grant.expires_at,
        };
        if lot.is_due(self.now) {
            return Err(Denial::Invalid { field: "expires_at" });
        }
        if self.wallet.lots.iter().any(|other| other.id == lot.id) {
            return Err(Denial::Duplicate);
        }
        let balance = add(self.wallet.balance, grant.amount)?;
        let source = match grant.kind {
            LotKind::Prepaid => Account::Cash,
            LotKind::Promo => Account::PromoExpense,
            // Money given back or corrected was earned before: it comes out of revenue.
            LotKind::Refund | LotKind::Adjustment => Account::Revenue,
        };
        let legs = vec![
            Leg { account: source, amount: grant.amount },
            Leg { account: Account::Lot(lot.id), amount: negate(grant.amount)? },
        ];
        self.wallet.balance = balance;
        let place = self.wallet.lots.partition_point(|other| other.burn_order() < lot.burn_order());
        self.wallet.lots.insert(place, lot.clone());
        self.changes.lots.push(lot.clone());
        self.book(EntryKind::Grant, *lot.id.as_bytes(), legs);
        self.sweep()?;
        Ok(Reply::Granted(lot))
    }

    fn hold(&mut self, request: HoldRequest) -> Result<Reply, Denial> {
        if request.amount.is_negative() {
            return Err(Denial::Invalid { field: "amount" });
        }
        // A restart settles the draft, so it must be one that can be settled.
        self.charge(request.request, std::slice::from_ref(&*request.draft))?;
        // Before the credit: whoever lost the first answer must learn that the hold is there, whatever is left.
        if self.wallet.holds.contains_key(&request.request) {
            return Err(Denial::Duplicate);
        }
        self.admit(request.amount)?;
        let hold = Hold {
            request: request.request,
            amount: request.amount,
            created_at: self.now,
            draft: request.draft,
        };
        self.wallet.held = add(self.wallet.held, hold.amount)?;
        self.changes.holds.push(hold.clone());
        self.wallet.holds.insert(hold.request, hold);
        Ok(Reply::Held)
    }

    fn extend(
        &mut self,
        request: RequestId,
        amount: Money,
        usage: Usage,
        cost_pico: i64,
    ) -> Result<Reply, Denial> {
        if amount.is_negative() {
            return Err(Denial::Invalid { field: "amount" });
        }
        if cost_pico < 0 {
            return Err(Denial::Invalid { field: "cost_pico" });
        }
        let cost = domain::Pico::new(i128::from(cost_pico)).ceil_to_money().ok_or(Denial::Overflow)?;
        if !self.wallet.holds.contains_key(&request) {
            return Err(Denial::HoldGone);
        }
        if !amount.is_zero() {
            self.admit(amount)?;
        }
        let held = add(self.wallet.held, amount)?;
        let hold = self.wallet.holds.get_mut(&request).ok_or(Denial::HoldGone)?;
        hold.amount = add(hold.amount, amount)?;
        hold.draft.usage = usage;
        hold.draft.cost_pico = cost_pico;
        hold.draft.cost = cost;
        hold.draft.held = hold.amount;
        self.wallet.held = held;
        self.changes.holds.push(hold.clone());
        Ok(Reply::Extended)
    }

    /// A hold, new or larger, is admitted when nothing is owed and what is free covers it.
    fn admit(&self, amount: Money) -> Result<(), Denial> {
        if !self.wallet.debt.is_zero() {
            return Err(Denial::InDebt { debt: self.wallet.debt });
        }
        let available = self.wallet.available();
        if available < amount {
            return Err(Denial::InsufficientCredit { available, needed: amount });
        }
        Ok(())
    }

    fn settle(&mut self, request: RequestId, rows: Vec<CostRow>) -> Result<Reply, Denial> {
        let hold_amount = self.wallet.holds.get(&request).ok_or(Denial::HoldGone)?.amount;
        let charge = self.charge(request, &rows)?;
        let held = subtract(self.wallet.held, hold_amount)?;
        // What the other holds need is not free: a charge above its own hold never takes from them.
        let payable = charge.min(subtract(self.wallet.balance, held)?);
        let unpaid = subtract(charge, payable)?;
        let debt = add(self.wallet.debt, unpaid)?;
        let revenue = negate(charge)?;

        self.wallet.holds.remove(&request);
        self.wallet.held = held;
        let draws = self.draw(payable)?;
        self.wallet.debt = debt;
        let mut legs = legs_of(&draws);
        if !unpaid.is_zero() {
            legs.push(Leg { account: Account::Receivable, amount: unpaid });
        }
        if !charge.is_zero() {
            legs.push(Leg { account: Account::Revenue, amount: revenue });
        }
        self.changes.holds_ended.push(request);
        // What was set aside is known here alone: it may have grown while the call ran.
        self.changes.rows.extend(rows.into_iter().map(|row| CostRow { held: hold_amount, ..row }));
        self.book(EntryKind::Settle, *request.as_bytes(), legs);
        self.sweep()?;
        Ok(Reply::Settled(Settled { draws, debt: unpaid }))
    }

    /// What the rows of one request cost together. Each attempt has one row, on the account of this wallet's owner.
    fn charge(&self, request: RequestId, rows: &[CostRow]) -> Result<Money, Denial> {
        let belongs = |row: &CostRow| row.request == request && row.organization == self.wallet.organization;
        let attempts: BTreeSet<u32> =
            rows.iter().map(|row| row.attempt).filter(|attempt| *attempt > 0).collect();
        if rows.is_empty() || attempts.len() != rows.len() || !rows.iter().all(belongs) {
            return Err(Denial::Invalid { field: "rows" });
        }
        if !rows.iter().all(CostRow::is_rounded_right) {
            return Err(Denial::Invalid { field: "cost" });
        }
        Money::sum(rows.iter().map(|row| row.cost)).ok_or(Denial::Overflow)
    }

    /// Takes `amount`, which the lots cover, from the lots in waterfall order.
    fn draw(&mut self, amount: Money) -> Result<Vec<Draw>, Denial> {
        let mut wanted = amount;
        let mut draws = Vec::new();
        for lot in &mut self.wallet.lots {
            if wanted.is_zero() {
                break;
            }
            let part = wanted.min(lot.remaining);
            lot.remaining = subtract(lot.remaining, part)?;
            lot.used = add(lot.used, part)?;
            wanted = subtract(wanted, part)?;
            draws.push(Draw { lot: lot.id, amount: part });
            self.changes.lots.push(lot.clone());
        }
        self.wallet.balance = subtract(self.wallet.balance, amount)?;
        self.wallet.lots.retain(|lot| !lot.remaining.is_zero());
        Ok(draws)
    }

    /// Uses credit that became free: first to pay debt, then to let go of what has expired.
    fn sweep(&mut self) -> Result<(), Denial> {
        let payment = self.wallet.debt.min(self.wallet.available());
        if !payment.is_zero() {
            let debt = subtract(self.wallet.debt, payment)?;
            let settled = negate(payment)?;
            let draws = self.draw(payment)?;
            self.wallet.debt = debt;
            let reference = draws.first().map_or([0; 16], |draw| *draw.lot.as_bytes());
            let mut legs = legs_of(&draws);
            legs.push(Leg { account: Account::Receivable, amount: settled });
            self.book(EntryKind::PayDebt, reference, legs);
        }
        self.expire_due()
    }

    /// Expires what is due and free. What live holds need of a due lot stays as grace until they end.
    fn expire_due(&mut self) -> Result<(), Denial> {
        while let Some((place, part)) = self.next_expiry() {
            let loss = negate(part)?;
            let balance = subtract(self.wallet.balance, part)?;
            let lot: &mut Lot = self.wallet.lots.get_mut(place).ok_or(Denial::Overflow)?;
            let (remaining, expired) = (subtract(lot.remaining, part)?, add(lot.expired, part)?);
            (lot.remaining, lot.expired) = (remaining, expired);
            let id: LotId = lot.id;
            self.changes.lots.push(lot.clone());
            self.wallet.balance = balance;
            self.wallet.lots.retain(|lot| !lot.remaining.is_zero());
            let legs = vec![
                Leg { account: Account::Lot(id), amount: part },
                Leg { account: Account::Breakage, amount: loss },
            ];
            self.book(EntryKind::Expire, *id.as_bytes(), legs);
        }
        Ok(())
    }

    /// The next due lot, in waterfall order, and how much of it is free to expire.
    fn next_expiry(&self) -> Option<(usize, Money)> {
        let free = self.wallet.available();
        if free.is_zero() {
            return None;
        }
        let place = self.wallet.lots.iter().position(|lot| lot.is_due(self.now))?;
        self.wallet.lots.get(place).map(|lot| (place, lot.remaining.min(free)))
    }

    /// Appends an entry to the wallet's chain.
    fn book(&mut self, kind: EntryKind, reference: [u8; 16], legs: Vec<Leg>) {
        let sequence = self.wallet.sequence.saturating_add(1);
        let (wallet, at) = (self.wallet.id, self.now);
        let mut entry = Entry { wallet, sequence, at, kind, reference, legs, hash: [0; 32] };
        entry.hash = entry.compute_hash(&self.wallet.head);
        self.wallet.sequence = sequence;
        self.wallet.head = entry.hash;
        self.changes.entries.push(entry);
    }
}

fn legs_of(draws: &[Draw]) -> Vec<Leg> {
    draws.iter().map(|draw| Leg { account: Account::Lot(draw.lot), amount: draw.amount }).collect()
}

fn add(left: Money, right: Money) -> Result<Money, Denial> {
    left.checked_add(right).ok_or(Denial::Overflow)
}

fn subtract(left: Money, right: Money) -> Result<Money, Denial> {
    left.checked_sub(right).ok_or(Denial::Overflow)
}

fn negate(amount: Money) -> Result<Money, Denial> {
    amount.checked_neg().ok_or(Denial::Overflow)
}
