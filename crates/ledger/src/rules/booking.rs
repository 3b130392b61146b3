//! Bookings, inside the money rules: credit that comes in, moves, goes back and out on somebody's word.

use domain::{LotId, Money, RequestId, Timestamp, WalletId};

use super::{Clerk, Withdrawal, add, legs_of, negate, subtract};
use crate::{
    Account, Act, Booking, Denial, EntryKind, Grant, Leg, Lot, LotKind, Note, Past, PromoCode, PromoFault,
    Purpose, Reply, Wallet, wallet::are_models,
};

/// Bytes of a text that people write into the books.
const TEXT_BYTES_MAX: usize = 500;
const NAME_BYTES_MAX: usize = 128;

impl Clerk<'_> {
    pub(super) fn booking(&mut self, booking: Booking, past: Past) -> Result<Reply, Denial> {
        let Booking { idempotency, note, act, .. } = booking;
        if let Some((named, (digest, answer))) = idempotency.zip(past.answered.clone()) {
            return if named.digest == digest { Ok(answer) } else { Err(Denial::IdempotencyConflict) };
        }
        check_note(&note, &act)?;
        let actor = note.actor.clone();
        self.note = Some(note);
        match act {
            Act::Grant(grant) => match grant.kind {
                LotKind::Promo => self.grant(EntryKind::Grant, Account::PromoExpense, grant, past.taken),
                LotKind::Prepaid => self.grant(EntryKind::Grant, Account::Cash, grant, past.taken),
                LotKind::Refund | LotKind::Adjustment => Err(Denial::Invalid { field: "kind" }),
            },
            Act::TopUp { grant, payment } => self.top_up(grant, payment, past),
            Act::Redeem { code, lot, wallet } => {
                self.note = Some(Note { actor, reason: Some(code) });
                self.redeem(lot, wallet, past)
            }
            Act::OpenWallet { wallet, purpose } => {
                self.open_wallet(wallet, purpose, past.taken).map(|()| Reply::Opened)
            }
            Act::Transfer { from, to, amount, lot } => self.transfer(from, to, amount, lot, past.taken),
            Act::Refund { request, amount, lot, expires_at } => {
                self.refund(request, amount, lot, expires_at, past)
            }
            Act::PayOut { wallet, amount, payout } => {
                let prepaid = |lot: &Lot| lot.kind == LotKind::Prepaid;
                self.withdraw(wallet, amount, payout, (EntryKind::PayOut, Account::Cash), prepaid, past.taken)
            }
            Act::Adjust { wallet, amount, lot, expires_at } => {
                self.adjust(wallet, amount, lot, expires_at, past.taken)
            }
            Act::SetBudget(budget) => self
                .set_budget(budget, past.taken, past.consumed)
                .map(|budget| Reply::BudgetSet(Box::new(budget))),
            Act::RemoveBudget(id) => self.remove_budget(id).map(|()| Reply::BudgetRemoved),
        }
    }

    /// A lot that may be put in: nothing has changed when it may not.
    fn new_lot(
        &self,
        (id, taken): (LotId, bool),
        wallet: WalletId,
        kind: LotKind,
        amount: Money,
        expires_at: Timestamp,
    ) -> Result<Lot, Denial> {
        if amount <= Money::ZERO {
            return Err(Denial::Invalid { field: "amount" });
        }
        let lot = Lot {
            id,
            wallet,
            kind,
            granted: amount,
            remaining: amount,
            used: Money::ZERO,
            expired: Money::ZERO,
            withdrawn: Money::ZERO,
            created_at: self.at,
            expires_at,
            warned: false,
        };
        if lot.is_due(self.now) {
            return Err(Denial::Invalid { field: "expires_at" });
        }
        let receiver = self.books.wallet(wallet).ok_or(Denial::Unknown { field: "wallet" })?;
        if taken || self.is_open(id) {
            return Err(Denial::Duplicate);
        }
        add(receiver.balance, amount)?;
        add(self.books.net, amount)?;
        Ok(lot)
    }

    fn is_open(&self, id: LotId) -> bool {
        self.books.wallets.iter().flat_map(|wallet| &wallet.lots).any(|lot| lot.id == id)
    }

    fn own_wallet(&self) -> Result<WalletId, Denial> {
        self.books.wallets.first().map(|wallet| wallet.id).ok_or(Denial::Unknown { field: "wallet" })
    }

    fn grant(
        &mut self,
        kind: EntryKind,
        source: Account,
        grant: Grant,
        taken: bool,
    ) -> Result<Reply, Denial> {
        let wallet = grant.wallet.map_or_else(|| self.own_wallet(), Ok)?;
        let lot = self.new_lot((grant.lot, taken), wallet, grant.kind, grant.amount, grant.expires_at)?;
        self.put_in(kind, source, vec![lot.clone()])?;
        Ok(Reply::Granted(vec![lot]))
    }

    fn top_up(&mut self, grant: Grant, payment: Box<str>, past: Past) -> Result<Reply, Denial> {
        match past.paid {
            Some((organization, answer)) if organization == self.books.organization => return Ok(answer),
            Some(_) => return Err(Denial::Duplicate),
            None => {}
        }
        if grant.kind != LotKind::Prepaid {
            return Err(Denial::Invalid { field: "kind" });
        }
        if payment.is_empty() || payment.len() > NAME_BYTES_MAX {
            return Err(Denial::Invalid { field: "payment" });
        }
        let answer = self.grant(EntryKind::TopUp, Account::Cash, grant, past.taken)?;
        let entry = self.changes.entries.iter().rfind(|entry| entry.kind == EntryKind::TopUp);
        self.changes.payment = entry.map(|entry| (payment, entry.sequence));
        Ok(answer)
    }

    fn redeem(&mut self, lot: LotId, wallet: WalletId, past: Past) -> Result<Reply, Denial> {
        let promo = past.promo.ok_or(Denial::Unknown { field: "code" })?;
        let spent = |fault| Err(Denial::PromoSpent(fault));
        if past.redeemed {
            return spent(PromoFault::Redeemed);
        }
        if promo.expires_at <= self.now && promo.expires_at != Timestamp::MAX {
            return spent(PromoFault::Expired);
        }
        if promo.uses >= promo.uses_max {
            return spent(PromoFault::UsedUp);
        }
        let expires_at =
            promo.credit_seconds.map_or(Timestamp::MAX, |seconds| self.now.plus_seconds(seconds));
        let purpose =
            Purpose { name: promo.code.clone(), models: promo.models.clone(), ..Purpose::default() };
        // Credit for some models goes where other credit for just these lies.
        let same =
            |wallet: &&Wallet| wallet.purpose.project.is_none() && wallet.purpose.models == purpose.models;
        let known = self.books.wallets.iter().find(same).map(|wallet| wallet.id);
        if past.taken || self.is_open(lot) {
            return Err(Denial::Duplicate);
        }
        add(self.books.net, promo.amount)?;
        let receiver = match known {
            Some(known) => known,
            None => {
                self.open_wallet(wallet, purpose, false)?;
                wallet
            }
        };
        let lot = self.new_lot((lot, past.taken), receiver, LotKind::Promo, promo.amount, expires_at)?;
        self.put_in(EntryKind::Redeem, Account::PromoExpense, vec![lot.clone()])?;
        self.changes.promo = Some(PromoCode { uses: promo.uses.saturating_add(1), ..promo });
        Ok(Reply::Granted(vec![lot]))
    }

    fn open_wallet(&mut self, id: WalletId, purpose: Purpose, taken: bool) -> Result<(), Denial> {
        if let Some(field) = purpose.fault() {
            return Err(Denial::Invalid { field });
        }
        if taken || self.books.wallet(id).is_some() {
            return Err(Denial::Duplicate);
        }
        // Two wallets for the same calls would differ in nothing but their names.
        let same = |wallet: &Wallet| {
            (wallet.purpose.project, &wallet.purpose.models) == (purpose.project, &purpose.models)
        };
        if self.books.wallets.iter().any(same) {
            return Err(Denial::Duplicate);
        }
        self.books.wallets.push(Wallet::new(id, purpose));
        self.changes.wallets.push(id);
        Ok(())
    }

    /// Promotional credit stays where it was put: it was given for a purpose.
    fn transfer(
        &mut self,
        from: WalletId,
        to: WalletId,
        amount: Money,
        first: LotId,
        taken: bool,
    ) -> Result<Reply, Denial> {
        if from == to {
            return Err(Denial::Invalid { field: "to" });
        }
        let receiver = self.books.wallet(to).ok_or(Denial::Unknown { field: "to" })?;
        let movable = |lot: &Lot| lot.kind != LotKind::Promo;
        let parts = self.parts(from, amount, movable)?;
        add(receiver.balance, amount)?;
        let mut lots = Vec::with_capacity(parts.len());
        for (index, (source, part)) in (0_u128..).zip(parts) {
            let id = u128::from_be_bytes(*first.as_bytes()).checked_add(index).ok_or(Denial::Overflow)?;
            let id = LotId::from_bytes(id.to_be_bytes());
            if taken || self.is_open(id) {
                return Err(Denial::Duplicate);
            }
            lots.push(Lot {
                id,
                wallet: to,
                granted: part,
                remaining: part,
                used: Money::ZERO,
                expired: Money::ZERO,
                withdrawn: Money::ZERO,
                created_at: self.at,
                ..source
            });
        }
        let draws = self.draw(from, amount, movable, Withdrawal::Withdrawn)?;
        let mut legs = legs_of(&draws);
        for lot in &lots {
            legs.push(Leg { account: Account::Lot(lot.id), amount: negate(lot.granted)? });
            self.insert(lot.clone())?;
        }
        self.book(EntryKind::Transfer, to, *first.as_bytes(), legs);
        self.pay_debt(to)?;
        self.expire_due()?;
        Ok(Reply::Granted(lots))
    }

    fn refund(
        &mut self,
        request: RequestId,
        amount: Money,
        lot: LotId,
        expires_at: Timestamp,
        past: Past,
    ) -> Result<Reply, Denial> {
        let charged = past.charged.ok_or(Denial::Unknown { field: "request" })?;
        let lot = self.new_lot((lot, past.taken), charged.wallet, LotKind::Refund, amount, expires_at)?;
        if add(charged.refunded, amount)? > charged.amount {
            return Err(Denial::RefundTooLarge { charged: charged.amount, refunded: charged.refunded });
        }
        let legs = vec![
            Leg { account: Account::Revenue, amount },
            Leg { account: Account::Lot(lot.id), amount: negate(amount)? },
        ];
        self.insert(lot.clone())?;
        // By the request, so that what was given back of a call can be found.
        self.book(EntryKind::Refund, charged.wallet, *request.as_bytes(), legs);
        self.pay_debt(charged.wallet)?;
        self.expire_due()?;
        Ok(Reply::Granted(vec![lot]))
    }

    fn adjust(
        &mut self,
        wallet: WalletId,
        amount: Money,
        lot: LotId,
        expires_at: Timestamp,
        taken: bool,
    ) -> Result<Reply, Denial> {
        if amount.is_negative() {
            let books = (EntryKind::Adjust, Account::Correction);
            return self.withdraw(wallet, negate(amount)?, lot, books, |_| true, taken);
        }
        let lot = self.new_lot((lot, taken), wallet, LotKind::Adjustment, amount, expires_at)?;
        self.put_in(EntryKind::Adjust, Account::Correction, vec![lot.clone()])?;
        Ok(Reply::Granted(vec![lot]))
    }

    /// Takes free credit out of the lots that may be taken from.
    fn withdraw(
        &mut self,
        wallet: WalletId,
        amount: Money,
        reference: LotId,
        (kind, counterpart): (EntryKind, Account),
        from: impl Fn(&Lot) -> bool + Copy,
        taken: bool,
    ) -> Result<Reply, Denial> {
        self.parts(wallet, amount, from)?;
        if taken {
            return Err(Denial::Duplicate);
        }
        subtract(self.books.net, amount)?;
        let counter = Leg { account: counterpart, amount: negate(amount)? };
        let draws = self.draw(wallet, amount, from, Withdrawal::Withdrawn)?;
        let mut legs = legs_of(&draws);
        legs.push(counter);
        self.book(kind, wallet, *reference.as_bytes(), legs);
        Ok(Reply::Withdrawn(draws))
    }

    /// The parts of a wallet's lots that make up an amount, in waterfall order, if so much is free in them.
    fn parts(
        &self,
        wallet: WalletId,
        amount: Money,
        from: impl Fn(&Lot) -> bool,
    ) -> Result<Vec<(Lot, Money)>, Denial> {
        if amount <= Money::ZERO {
            return Err(Denial::Invalid { field: "amount" });
        }
        let wallet = self.books.wallet(wallet).ok_or(Denial::Unknown { field: "wallet" })?;
        let lots = || wallet.lots.iter().filter(|lot| from(lot));
        let inside = Money::sum(lots().map(|lot| lot.remaining)).unwrap_or(Money::MAX);
        let available = inside.min(wallet.available());
        if available < amount {
            return Err(Denial::InsufficientCredit { available, needed: amount });
        }
        let mut wanted = amount;
        let mut parts = Vec::new();
        for lot in lots() {
            let part = wanted.min(lot.remaining);
            wanted = subtract(wanted, part)?;
            if !part.is_zero() {
                parts.push((lot.clone(), part));
            }
        }
        Ok(parts)
    }
}

/// Whoever moves money by judgement says why.
fn check_note(note: &Note, act: &Act) -> Result<(), Denial> {
    let judged = matches!(act, Act::Refund { .. } | Act::PayOut { .. } | Act::Adjust { .. });
    let reason = note.reason.as_deref();
    if note.actor.is_empty() || note.actor.len() > NAME_BYTES_MAX {
        return Err(Denial::Invalid { field: "actor" });
    }
    if reason.is_none_or(|reason| reason.trim().is_empty()) && judged {
        return Err(Denial::Invalid { field: "reason" });
    }
    if reason.is_some_and(|reason| reason.len() > TEXT_BYTES_MAX) {
        return Err(Denial::Invalid { field: "reason" });
    }
    Ok(())
}

impl Purpose {
    /// The first field that no wallet beside the organization's own may have, if there is one.
    fn fault(&self) -> Option<&'static str> {
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES_MAX {
            Some("name")
        } else if !are_models(&self.models) {
            Some("models")
        } else if self.project.is_none() && self.models.is_empty() {
            Some("project")
        } else if self.overflow && (self.project.is_none() || self.is_restricted()) {
            Some("overflow")
        } else {
            None
        }
    }
}
