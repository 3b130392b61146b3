//! Section 5 of the rules: what people and payments cause.

use domain::{LotId, OrganizationId, RequestId, WalletId};
use ledger::{
    Account, Act, Booking, Denial, EntryKind, Grant, Leg, Lot, LotKind, Note, PromoCode, PromoFault, Purpose,
    Reply,
};

use super::state::{Piece, Taken, drawn, leg, received};
use super::{Model, Owner, Purse, Trace, Twist, invalid, money, nano, sum};

/// What one booking of a new lot is told apart by.
struct Source {
    kind: EntryKind,
    account: Account,
    reference: [u8; 16],
}

/// A new lot, as it is asked for.
struct NewLot {
    wallet: Option<WalletId>,
    id: LotId,
    kind: LotKind,
    amount: i128,
    expires_at: i64,
}

impl Model {
    pub(super) fn book(&mut self, booking: &Booking, trace: &mut Trace) -> Result<Reply, Denial> {
        let owner = self.owners.get(&booking.organization).ok_or(Denial::UnknownOrganization)?;
        if let Some(idempotency) = &booking.idempotency
            && let Some((digest, reply)) = owner.answers.get(&idempotency.key)
        {
            let same = *digest == idempotency.digest || self.twist == Some(Twist::AnyBody);
            return if same { Ok(reply.clone()) } else { Err(Denial::IdempotencyConflict) };
        }
        let reply = self.act(booking, trace)?;
        if let (Some(owner), Some(idempotency)) =
            (self.owners.get_mut(&booking.organization), &booking.idempotency)
        {
            owner.answers.insert(idempotency.key.clone(), (idempotency.digest, reply.clone()));
        }
        Ok(reply)
    }

    fn act(&mut self, booking: &Booking, trace: &mut Trace) -> Result<Reply, Denial> {
        let organization = booking.organization;
        check_note(&booking.note, &booking.act)?;
        if let Some(answer) = self.paid_before(organization, &booking.act) {
            return answer;
        }
        match &booking.act {
            Act::Grant(grant) => {
                if !matches!(grant.kind, LotKind::Promo | LotKind::Prepaid) {
                    return Err(invalid("kind"));
                }
                self.grant(organization, grant, EntryKind::Grant, trace)
            }
            Act::TopUp { grant, payment } => {
                if grant.kind != LotKind::Prepaid {
                    return Err(invalid("kind"));
                }
                if payment.is_empty() || payment.len() > 128 {
                    return Err(invalid("payment"));
                }
                let reply = self.grant(organization, grant, EntryKind::TopUp, trace)?;
                self.payments.insert(payment.clone(), (organization, reply.clone()));
                Ok(reply)
            }
            Act::Redeem { code, lot, wallet } => self.redeem(organization, code, *lot, *wallet, trace),
            Act::OpenWallet { wallet, purpose } => self.open_wallet(organization, *wallet, purpose),
            Act::Transfer { from, to, amount, lot } => {
                self.transfer(organization, [*from, *to], nano(*amount), *lot, trace)
            }
            Act::Refund { request, amount, lot, expires_at } => {
                let lot = NewLot {
                    wallet: None,
                    id: *lot,
                    kind: LotKind::Refund,
                    amount: nano(*amount),
                    expires_at: expires_at.micros(),
                };
                self.refund(organization, *request, lot, trace)
            }
            Act::PayOut { wallet, amount, payout } => {
                self.take_out(organization, *wallet, nano(*amount), *payout, EntryKind::PayOut, trace)
            }
            Act::Adjust { wallet, amount, lot, expires_at } if amount.nano() > 0 => {
                let lot = NewLot {
                    wallet: Some(*wallet),
                    id: *lot,
                    kind: LotKind::Adjustment,
                    amount: nano(*amount),
                    expires_at: expires_at.micros(),
                };
                let source = Source {
                    kind: EntryKind::Adjust,
                    account: Account::Correction,
                    reference: *lot.id.as_bytes(),
                };
                self.add(organization, lot, source, trace)
            }
            Act::Adjust { wallet, amount, lot, .. } => {
                self.take_out(organization, *wallet, -nano(*amount), *lot, EntryKind::Adjust, trace)
            }
            Act::SetBudget(budget) => {
                let taken = self.budget_ids.contains_key(&budget.id);
                let reply = self.owner(organization)?.set_budget(budget, taken, trace)?;
                self.budget_ids.insert(budget.id, organization);
                Ok(reply)
            }
            Act::RemoveBudget(id) => self.owner(organization)?.remove_budget(*id),
        }
    }

    /// The answer to a payment that was booked before.
    fn paid_before(&self, organization: OrganizationId, act: &Act) -> Option<Result<Reply, Denial>> {
        let Act::TopUp { payment, .. } = act else { return None };
        let (paid_for, reply) = self.payments.get(payment)?;
        if self.twist == Some(Twist::PayAgain) {
            return None;
        }
        Some(if *paid_for == organization { Ok(reply.clone()) } else { Err(Denial::Duplicate) })
    }

    fn owner(&mut self, organization: OrganizationId) -> Result<&mut Owner, Denial> {
        self.owners.get_mut(&organization).ok_or(Denial::UnknownOrganization)
    }

    fn grant(
        &mut self,
        organization: OrganizationId,
        grant: &Grant,
        kind: EntryKind,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let lot = NewLot {
            wallet: grant.wallet,
            id: grant.lot,
            kind: grant.kind,
            amount: nano(grant.amount),
            expires_at: grant.expires_at.micros(),
        };
        let account = if grant.kind == LotKind::Promo { Account::PromoExpense } else { Account::Cash };
        let source = Source { kind, account, reference: *grant.lot.as_bytes() };
        self.add(organization, lot, source, trace)
    }

    /// Checks a new lot, books it, and lets it pay debt.
    fn add(
        &mut self,
        organization: OrganizationId,
        lot: NewLot,
        source: Source,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let taken = self.lot_ids.contains(&lot.id);
        let owner = self.owner(organization)?;
        let position = owner.check_new_lot(&lot, taken)?;
        owner.check_room(position, lot.amount, lot.amount)?;
        let booked = owner.receive(position, &lot, source, trace);
        self.lot_ids.insert(lot.id);
        Ok(Reply::Granted(vec![booked]))
    }

    fn redeem(
        &mut self,
        organization: OrganizationId,
        code: &str,
        lot: LotId,
        wallet: WalletId,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let again = self.twist == Some(Twist::RedeemAgain);
        let Some(promo) = self.promos.get(code).cloned() else {
            return Err(Denial::Unknown { field: "code" });
        };
        let taken = self.lot_ids.contains(&lot) || self.wallet_ids.contains(&wallet);
        let owner = self.owner(organization)?;
        if owner.redeemed.contains(code) && !again {
            return Err(Denial::PromoSpent(PromoFault::Redeemed));
        }
        if promo.expires_at.micros() <= owner.now && promo.expires_at.micros() != i64::MAX {
            return Err(Denial::PromoSpent(PromoFault::Expired));
        }
        if promo.uses >= promo.uses_max {
            return Err(Denial::PromoSpent(PromoFault::UsedUp));
        }
        if taken {
            return Err(Denial::Duplicate);
        }
        let lot = NewLot {
            wallet: None,
            id: lot,
            kind: LotKind::Promo,
            amount: nano(promo.amount),
            expires_at: expiry_of(&promo, owner.now),
        };
        let fits = |purse: &Purse| purse.purpose.project.is_none() && purse.purpose.models == promo.models;
        let found = owner.purses.iter().position(fits);
        owner.check_room(found.unwrap_or(usize::MAX), lot.amount, lot.amount)?;
        let position = found.unwrap_or_else(|| {
            let purpose = Purpose {
                name: promo.code.clone(),
                project: None,
                models: promo.models.clone(),
                overflow: false,
            };
            owner.purses.push(Purse::new(wallet, purpose));
            owner.purses.len() - 1
        });
        owner.redeemed.insert(code.into());
        let source =
            Source { kind: EntryKind::Redeem, account: Account::PromoExpense, reference: *lot.id.as_bytes() };
        let booked = owner.receive(position, &lot, source, trace);
        self.lot_ids.insert(lot.id);
        if found.is_none() {
            self.wallet_ids.insert(wallet);
        }
        if let Some(promo) = self.promos.get_mut(code) {
            promo.uses += 1;
        }
        Ok(Reply::Granted(vec![booked]))
    }

    fn open_wallet(
        &mut self,
        organization: OrganizationId,
        wallet: WalletId,
        purpose: &Purpose,
    ) -> Result<Reply, Denial> {
        let blank = |text: &str| text.trim().is_empty();
        if purpose.name.len() > 128 || blank(&purpose.name) {
            return Err(invalid("name"));
        }
        if purpose.models.len() > 100 || purpose.models.iter().any(|model| model.len() > 128 || blank(model))
        {
            return Err(invalid("models"));
        }
        if purpose.project.is_none() && purpose.models.is_empty() {
            return Err(invalid("project"));
        }
        if purpose.overflow && (purpose.project.is_none() || !purpose.models.is_empty()) {
            return Err(invalid("overflow"));
        }
        let taken = self.wallet_ids.contains(&wallet);
        let owner = self.owner(organization)?;
        let same = |purse: &Purse| {
            purse.purpose.project == purpose.project && purse.purpose.models == purpose.models
        };
        if taken || owner.purses.iter().any(same) {
            return Err(Denial::Duplicate);
        }
        owner.purses.push(Purse::new(wallet, purpose.clone()));
        self.wallet_ids.insert(wallet);
        Ok(Reply::Opened)
    }

    fn transfer(
        &mut self,
        organization: OrganizationId,
        [from, to]: [WalletId; 2],
        amount: i128,
        first: LotId,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let promo_too = self.twist == Some(Twist::TransferPromo);
        let open = self.owner(organization)?.open_lots;
        let taken = self.is_taken_among(first, open);
        let owner = self.owner(organization)?;
        if from == to {
            return Err(invalid("to"));
        }
        let receiver = owner.position(to).ok_or(Denial::Unknown { field: "to" })?;
        let fit = |piece: &Piece| promo_too || piece.kind != LotKind::Promo;
        let giver = owner.check_taking(from, amount, fit)?;
        owner.check_room(receiver, amount, 0)?;
        if taken {
            return Err(Denial::Duplicate);
        }
        let origins: Vec<Piece> =
            owner.purses.get(giver).map(|purse| purse.lots.values().cloned().collect()).unwrap_or_default();
        let draws = owner.draw(giver, amount, Taken::Withdrawn, fit);
        let mut next = u128::from_be_bytes(*first.as_bytes());
        let mut lots = Vec::new();
        for draw in &draws {
            let Some(origin) = origins.iter().find(|origin| origin.id == draw.lot) else { continue };
            let id = LotId::from_bytes(next.to_be_bytes());
            let mut lot = owner.put(receiver, id, origin.kind, nano(draw.amount), origin.expires_at);
            if origin.warned {
                owner.mark_warned(receiver, id);
                lot.warned = true;
            }
            lots.push(lot);
            next += 1;
        }
        let legs: Vec<Leg> = drawn(&draws).into_iter().chain(received(&lots)).collect();
        owner.enter(EntryKind::Transfer, receiver, *first.as_bytes(), legs, trace);
        owner.settle_debt(receiver, trace);
        self.lot_ids.extend(lots.iter().map(|lot| lot.id));
        Ok(Reply::Granted(lots))
    }

    /// Whether one of so many ids in a row was used.
    fn is_taken_among(&self, first: LotId, many: usize) -> bool {
        let beginning = u128::from_be_bytes(*first.as_bytes());
        let end = beginning.saturating_add(u128::try_from(many).unwrap_or(u128::MAX));
        self.lot_ids.range(first..).next().is_some_and(|id| u128::from_be_bytes(*id.as_bytes()) < end)
    }

    fn refund(
        &mut self,
        organization: OrganizationId,
        request: RequestId,
        mut lot: NewLot,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let taken = self.lot_ids.contains(&lot.id);
        let unlimited = self.twist == Some(Twist::RefundTooMuch);
        let owner = self.owner(organization)?;
        let ended = *owner.ended.get(&request).ok_or(Denial::Unknown { field: "request" })?;
        lot.wallet = owner.purses.get(ended.debtor).map(|purse| purse.id);
        let position = owner.check_new_lot(&lot, taken)?;
        owner.check_room(position, lot.amount, lot.amount)?;
        money(ended.refunded + lot.amount)?;
        if ended.refunded + lot.amount > ended.charged && !unlimited {
            return Err(Denial::RefundTooLarge {
                charged: super::fitted(ended.charged),
                refunded: super::fitted(ended.refunded),
            });
        }
        if let Some(ended) = owner.ended.get_mut(&request) {
            ended.refunded += lot.amount;
        }
        let source =
            Source { kind: EntryKind::Refund, account: Account::Revenue, reference: *request.as_bytes() };
        let booked = owner.receive(position, &lot, source, trace);
        self.lot_ids.insert(lot.id);
        Ok(Reply::Granted(vec![booked]))
    }

    /// A payout, or an adjustment downwards.
    fn take_out(
        &mut self,
        organization: OrganizationId,
        wallet: WalletId,
        amount: i128,
        id: LotId,
        kind: EntryKind,
        trace: &mut Trace,
    ) -> Result<Reply, Denial> {
        let any = kind == EntryKind::Adjust || self.twist == Some(Twist::PayOutAny);
        let taken = self.lot_ids.contains(&id);
        let owner = self.owner(organization)?;
        let fit = |piece: &Piece| any || piece.kind == LotKind::Prepaid;
        let position = owner.check_taking(wallet, amount, fit)?;
        if taken {
            return Err(Denial::Duplicate);
        }
        let draws = owner.draw(position, amount, Taken::Withdrawn, fit);
        let account = if kind == EntryKind::PayOut { Account::Cash } else { Account::Correction };
        let mut legs = drawn(&draws);
        legs.push(leg(account, -sum(&draws)));
        owner.enter(kind, position, *id.as_bytes(), legs, trace);
        self.lot_ids.insert(id);
        Ok(Reply::Withdrawn(draws))
    }
}

impl Owner {
    /// The checks of a new lot, in their order; answers the position of its wallet.
    fn check_new_lot(&self, lot: &NewLot, taken: bool) -> Result<usize, Denial> {
        if lot.amount <= 0 {
            return Err(invalid("amount"));
        }
        if lot.expires_at <= self.now && lot.expires_at != i64::MAX {
            return Err(invalid("expires_at"));
        }
        let position = match lot.wallet {
            Some(wallet) => self.position(wallet).ok_or(Denial::Unknown { field: "wallet" })?,
            None => 0,
        };
        if taken { Err(Denial::Duplicate) } else { Ok(position) }
    }

    /// What comes into a wallet must fit there, and the net in the books.
    fn check_room(&self, position: usize, amount: i128, net_change: i128) -> Result<(), Denial> {
        money(self.balance(position) + amount)?;
        money(self.net() + net_change)?;
        Ok(())
    }

    /// The checks of what is taken out of a wallet's fit lots; answers the wallet's position.
    fn check_taking(
        &self,
        wallet: WalletId,
        amount: i128,
        fit: impl Fn(&Piece) -> bool,
    ) -> Result<usize, Denial> {
        if amount <= 0 {
            return Err(invalid("amount"));
        }
        let needed = money(amount)?;
        let position = self.position(wallet).ok_or(Denial::Unknown { field: "wallet" })?;
        let in_lots: i128 = match self.purses.get(position) {
            Some(purse) => purse.lots.values().filter(|piece| fit(piece)).map(Piece::remaining).sum(),
            None => 0,
        };
        let movable = self.available(position).min(in_lots);
        if movable < amount {
            return Err(Denial::InsufficientCredit { available: super::fitted(movable), needed });
        }
        Ok(position)
    }

    fn mark_warned(&mut self, position: usize, id: LotId) {
        let purse = self.purses.get_mut(position);
        if let Some(piece) = purse.and_then(|purse| purse.lots.values_mut().find(|piece| piece.id == id)) {
            piece.warned = true;
        }
    }

    /// Books a new lot; then the wallet pays what it owes.
    fn receive(&mut self, position: usize, lot: &NewLot, source: Source, trace: &mut Trace) -> Lot {
        let booked = self.put(position, lot.id, lot.kind, lot.amount, lot.expires_at);
        let legs = vec![leg(source.account, lot.amount), leg(Account::Lot(lot.id), -lot.amount)];
        self.enter(source.kind, position, source.reference, legs, trace);
        self.settle_debt(position, trace);
        booked
    }

    /// Credit has come into a wallet.
    fn settle_debt(&mut self, position: usize, trace: &mut Trace) {
        if !self.twisted(Twist::DebtStays) {
            self.pay_debt(position, trace);
        }
        self.expire(trace);
    }
}

fn check_note(note: &Note, act: &Act) -> Result<(), Denial> {
    if note.actor.is_empty() || note.actor.len() > 128 {
        return Err(invalid("actor"));
    }
    let needs_reason = matches!(act, Act::Refund { .. } | Act::PayOut { .. } | Act::Adjust { .. });
    match &note.reason {
        None if needs_reason => Err(invalid("reason")),
        Some(reason) if reason.len() > 500 || (needs_reason && reason.trim().is_empty()) => {
            Err(invalid("reason"))
        }
        None | Some(_) => Ok(()),
    }
}

fn expiry_of(promo: &PromoCode, now: i64) -> i64 {
    promo.credit_seconds.map_or(i64::MAX, |seconds| now.saturating_add(seconds.saturating_mul(1_000_000)))
}
