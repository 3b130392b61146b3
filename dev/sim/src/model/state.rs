//! What the model remembers of one organization, and what it adds up from it: balances, what is held and available,
//! expiry and the drawing of lots.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BudgetId, LotId, Money, OrganizationId, RequestId, Timestamp, WalletId};
use ledger::{Account, Budget, CostRow, Draw, EntryKind, Leg, Lot, LotKind, PoolKey, Purpose, Reply};

use super::{Booked, Trace, Twist, fitted, nano};

/// A lot's place in the waterfall: class, expiry, id. A twisted rule bends the numbers.
pub type Rank = (u8, i64, u128);

/// A lot. What remains is what was granted less all that left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its id.
    pub id: LotId,
    /// Where the money came from.
    pub kind: LotKind,
    /// The amount put in.
    pub granted: i128,
    /// What calls and debt took.
    pub used: i128,
    /// What expired.
    pub expired: i128,
    /// What was taken out.
    pub withdrawn: i128,
    /// When it was booked.
    pub created_at: i64,
    /// When it is due; the last moment is never.
    pub expires_at: i64,
    /// Whether its owner was warned.
    pub warned: bool,
}

/// How an amount leaves a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// For a call or a debt.
    Used,
    /// Moved, paid out, corrected away.
    Withdrawn,
}

/// A wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purse {
    /// Its id.
    pub id: WalletId,
    /// Whose calls it pays for.
    pub purpose: Purpose,
    /// What it owes.
    pub debt: i128,
    /// Lots with something remaining, in waterfall order.
    pub lots: BTreeMap<Rank, Piece>,
    /// Lots that are used up.
    pub closed: Vec<Piece>,
}

/// A live hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// What each wallet of the chain (by position) sets aside.
    pub shares: Vec<(usize, i128)>,
    /// Tokens as estimated.
    pub tokens: u128,
    /// Units of the draft's pool that it counts on.
    pub units: u128,
    /// When it was held.
    pub created_at: i64,
    /// The rows of the attempts before.
    pub earlier: Vec<CostRow>,
    /// The row as of the last checkpoint.
    pub draft: CostRow,
}

impl Stake {
    /// All rows of the call as they stand, the draft last.
    pub fn rows(&self) -> Vec<CostRow> {
        [self.earlier.clone(), vec![self.draft.clone()]].concat()
    }
}

/// A call that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The wallet that was its debtor, by position.
    pub debtor: usize,
    /// What it was charged.
    pub charged: i128,
    /// What was given back.
    pub refunded: i128,
}

/// One period of one budget, for one of its subjects: budget, value, start.
pub type TabKey = (BudgetId, Box<str>, i64);

/// What was consumed in one period. What is reserved follows from the live holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tab {
    /// What calls cost.
    pub spent: i128,
    /// Tokens.
    pub tokens: u128,
    /// Calls.
    pub steps: u128,
    /// The highest threshold told of.
    pub told: u8,
}

/// The books of one organization.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The organization.
    pub id: OrganizationId,
    /// Its wallets, its own first.
    pub purses: Vec<Purse>,
    /// Live holds.
    pub stakes: BTreeMap<RequestId, Stake>,
    /// Calls that ended.
    pub ended: BTreeMap<RequestId, Ended>,
    /// Rows of calls that ended.
    pub rows: Vec<CostRow>,
    /// What pools paid for in calls that ended.
    pub drawn: BTreeMap<PoolKey, u128>,
    /// Budgets in their order of refusal.
    pub budgets: Vec<Budget>,
    /// What was consumed of budgets.
    pub tabs: BTreeMap<TabKey, Tab>,
    /// Answers by idempotency key.
    pub answers: BTreeMap<String, ([u8; 32], Reply)>,
    /// Promo codes that were redeemed.
    pub redeemed: BTreeSet<Box<str>>,
    /// Whether an operator has to look first.
    pub frozen: bool,
    /// What the clock shows.
    pub now: i64,
    /// The stamp of the running command.
    pub stamp: i64,
    /// How many lots were open when the running command came, before anything expired.
    pub open_lots: usize,
    pub(super) twist: Option<Twist>,
}

impl Tab {
    /// Adds what a call consumed. It stops at the largest numbers that there are.
    pub(super) fn consume(&mut self, cost: i128, tokens: u128) {
        self.spent = (self.spent + cost).min(i128::from(i64::MAX));
        self.tokens = (self.tokens + tokens).min(u128::from(u64::MAX));
    }
}

impl Piece {
    /// What is left.
    pub fn remaining(&self) -> i128 {
        self.granted - self.used - self.expired - self.withdrawn
    }

    /// The lot as answers show it.
    pub fn shown(&self, wallet: WalletId) -> Lot {
        Lot {
            id: self.id,
            wallet,
            kind: self.kind,
            granted: fitted(self.granted),
            remaining: fitted(self.remaining()),
            used: fitted(self.used),
            expired: fitted(self.expired),
            withdrawn: fitted(self.withdrawn),
            created_at: Timestamp::from_micros(self.created_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            warned: self.warned,
        }
    }
}

impl Purse {
    /// A wallet with nothing in it.
    pub fn new(id: WalletId, purpose: Purpose) -> Self {
        Self { id, purpose, debt: 0, lots: BTreeMap::new(), closed: Vec::new() }
    }

    /// What remains in its lots.
    pub fn balance(&self) -> i128 {
        self.lots.values().map(Piece::remaining).sum()
    }
}

impl Owner {
    /// Empty books with one wallet.
    pub fn new(id: OrganizationId, wallet: WalletId, purpose: Purpose) -> Self {
        Self {
            id,
            purses: vec![Purse::new(wallet, purpose)],
            stakes: BTreeMap::new(),
            ended: BTreeMap::new(),
            rows: Vec::new(),
            drawn: BTreeMap::new(),
            budgets: Vec::new(),
            tabs: BTreeMap::new(),
            answers: BTreeMap::new(),
            redeemed: BTreeSet::new(),
            frozen: false,
            now: 0,
            stamp: 0,
            open_lots: 0,
            twist: None,
        }
    }

    /// A command begins. Stamps only rise; all else goes by the clock.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.now = now.micros();
        self.stamp = self.now.max(self.stamp.saturating_add(1));
        self.open_lots = self.purses.iter().map(|purse| purse.lots.len()).sum();
    }

    /// The position of a wallet.
    pub fn position(&self, wallet: WalletId) -> Option<usize> {
        self.purses.iter().position(|purse| purse.id == wallet)
    }

    /// What remains in a wallet.
    pub fn balance(&self, purse: usize) -> i128 {
        self.purses.get(purse).map_or(0, Purse::balance)
    }

    /// What live holds set aside in a wallet.
    pub fn held(&self, purse: usize) -> i128 {
        let shares = self.stakes.values().flat_map(|stake| &stake.shares);
        shares.filter(|(of, _)| *of == purse).map(|(_, amount)| amount).sum()
    }

    /// What a wallet has left for holds.
    pub fn available(&self, purse: usize) -> i128 {
        self.balance(purse) - self.held(purse)
    }

    /// What a wallet has left for a hold; for one that promotional credit alone may pay, what of that is free of other
    /// holds.
    pub(super) fn available_for(&self, purse: usize, grants_only: bool) -> i128 {
        let available = self.available(purse);
        if !grants_only {
            return available;
        }
        let lots = self.purses.get(purse).into_iter().flat_map(|purse| purse.lots.values());
        let promotional = lots.filter(|lot| lot.kind == LotKind::Promo).map(Piece::remaining).sum::<i128>();
        let held = if self.twisted(Twist::GrantsIgnoreHeld) { 0 } else { self.held(purse) };
        available.min(promotional - held).max(0)
    }

    /// What is in all wallets less what they owe.
    pub fn net(&self) -> i128 {
        self.purses.iter().map(|purse| purse.balance() - purse.debt).sum()
    }

    pub(super) fn twisted(&self, twist: Twist) -> bool {
        self.twist == Some(twist)
    }

    fn is_due(&self, piece: &Piece) -> bool {
        let over = if self.twisted(Twist::DueLater) {
            piece.expires_at < self.now
        } else {
            piece.expires_at <= self.now
        };
        over && piece.expires_at != i64::MAX
    }

    fn rank(&self, kind: LotKind, expires_at: i64, id: LotId) -> Rank {
        let first = if self.twisted(Twist::PrepaidFirst) { LotKind::Prepaid } else { LotKind::Promo };
        let class = u8::from(kind != first);
        let expiry = if self.twisted(Twist::LatestFirst) { -expires_at } else { expires_at };
        let number = u128::from_be_bytes(*id.as_bytes());
        (class, expiry, if self.twisted(Twist::GreaterIdFirst) { !number } else { number })
    }

    /// Puts a new lot into a wallet.
    pub(super) fn put(
        &mut self,
        purse: usize,
        id: LotId,
        kind: LotKind,
        amount: i128,
        expires_at: i64,
    ) -> Lot {
        let piece = Piece {
            id,
            kind,
            granted: amount,
            used: 0,
            expired: 0,
            withdrawn: 0,
            created_at: self.stamp,
            expires_at,
            warned: false,
        };
        let rank = self.rank(kind, expires_at, id);
        let wallet = self.purses.get(purse).map_or(WalletId::from_bytes([0; 16]), |purse| purse.id);
        let shown = piece.shown(wallet);
        if let Some(purse) = self.purses.get_mut(purse) {
            purse.lots.insert(rank, piece);
        }
        shown
    }

    /// Takes an amount out of those lots of a wallet that are fit, in waterfall order.
    pub(super) fn draw(
        &mut self,
        purse: usize,
        amount: i128,
        taken: Taken,
        fit: impl Fn(&Piece) -> bool,
    ) -> Vec<Draw> {
        let mut draws = Vec::new();
        let mut left = amount;
        let Some(purse) = self.purses.get_mut(purse) else { return draws };
        let mut empty = Vec::new();
        for (rank, piece) in purse.lots.iter_mut().filter(|(_, piece)| fit(piece)) {
            let part = left.min(piece.remaining());
            if part <= 0 {
                break;
            }
            match taken {
                Taken::Used => piece.used += part,
                Taken::Withdrawn => piece.withdrawn += part,
            }
            left -= part;
            draws.push(Draw { lot: piece.id, amount: fitted(part) });
            if piece.remaining() == 0 {
                empty.push(*rank);
            }
        }
        purse.close(&empty);
        draws
    }

    /// Lots that are due expire, as far as no hold needs them.
    pub(super) fn expire(&mut self, trace: &mut Trace) {
        for position in 0..self.purses.len() {
            let Some(purse) = self.purses.get(position) else { continue };
            let due: Vec<Rank> =
                purse.lots.iter().filter(|(_, piece)| self.is_due(piece)).map(|(rank, _)| *rank).collect();
            for rank in due {
                let available =
                    if self.twisted(Twist::NoGrace) { i128::MAX } else { self.available(position) };
                self.expire_lot(position, rank, available, trace);
            }
        }
    }

    fn expire_lot(&mut self, position: usize, rank: Rank, available: i128, trace: &mut Trace) {
        let Some(purse) = self.purses.get_mut(position) else { return };
        let Some(piece) = purse.lots.get_mut(&rank) else { return };
        let part = piece.remaining().min(available);
        if part <= 0 {
            return;
        }
        piece.expired += part;
        let (id, is_empty) = (piece.id, piece.remaining() == 0);
        if is_empty {
            purse.close(&[rank]);
        }
        let legs = vec![leg(Account::Lot(id), part), leg(Account::Breakage, -part)];
        self.enter(EntryKind::Expire, position, *id.as_bytes(), legs, trace);
    }

    /// Pays what a wallet owes from what it has available.
    pub(super) fn pay_debt(&mut self, position: usize, trace: &mut Trace) {
        let debt = self.purses.get(position).map_or(0, |purse| purse.debt);
        let part = if debt == 0 { 0 } else { debt.min(self.available(position)) };
        if part <= 0 {
            return;
        }
        let draws = self.draw(position, part, Taken::Used, |_| true);
        if let Some(purse) = self.purses.get_mut(position) {
            purse.debt -= part;
        }
        let reference = draws.first().map_or([0; 16], |draw| *draw.lot.as_bytes());
        let mut legs = drawn(&draws);
        legs.push(leg(Account::Receivable, -part));
        self.enter(EntryKind::PayDebt, position, reference, legs, trace);
    }

    /// Books an entry, which states the net as it is now.
    pub(super) fn enter(
        &self,
        kind: EntryKind,
        purse: usize,
        reference: [u8; 16],
        legs: Vec<Leg>,
        trace: &mut Trace,
    ) {
        let Some(purse) = self.purses.get(purse) else { return };
        trace.entries.push(Booked { kind, wallet: purse.id, reference, legs, balance: fitted(self.net()) });
    }
}

impl Purse {
    fn close(&mut self, empty: &[Rank]) {
        for rank in empty {
            self.closed.extend(self.lots.remove(rank));
        }
    }
}

/// One leg.
pub(super) fn leg(account: Account, amount: i128) -> Leg {
    Leg { account, amount: fitted(amount) }
}

/// The legs of lots that gave.
pub(super) fn drawn(draws: &[Draw]) -> Vec<Leg> {
    draws.iter().map(|draw| leg(Account::Lot(draw.lot), nano(draw.amount))).collect()
}

/// The legs of new lots.
pub(super) fn received(lots: &[Lot]) -> impl Iterator<Item = Leg> + '_ {
    let amount = |lot: &Lot| Money::checked_neg(lot.granted).unwrap_or(Money::ZERO);
    lots.iter().map(move |lot| Leg { account: Account::Lot(lot.id), amount: amount(lot) })
}
