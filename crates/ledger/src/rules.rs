//! The money rules, whole: hold, extend, settle, expire; bookings and budgets stand in the modules below. Pure: no
//! clock, no chance, no I/O.
//!
//! A hold takes from each wallet as one number; lots are drawn only when it settles, promotional before paid, earliest
//! expiry first. That makes the outcome independent of the order in which calls end, and equal to the waterfall of
//! their total. A rule first finds out everything that can go wrong, then changes the books: a denial leaves no trace.

mod booking;
mod budgeting;
mod pooling;

use std::collections::BTreeSet;

use domain::{LotId, Money, RequestId, Timestamp, WalletId};

use self::pooling::Covered;
use crate::{
    Account, Books, Breach, Command, Consumption, CostRow, Denial, Draw, Entry, EntryKind, Event, EventKind,
    Extension, Hold, HoldRequest, Leg, Lot, NextAttempt, Note, Part, Past, PoolKey, PromoCode, Reply,
    Settled, Share, UseKey, Wallet,
};

/// What commands changed, for a store to save: each list in the order things happened, so the last word counts.
#[derive(Debug, Default)]
pub struct Changes {
    /// Wallets whose sums changed, or that are new; saved as the books show them.
    pub wallets: Vec<WalletId>,
    /// Lots as they are now, the closed ones too.
    pub lots: Vec<Lot>,
    /// Holds that were opened or extended; saved as the books show them.
    pub holds: Vec<RequestId>,
    /// Holds that ended.
    pub holds_ended: Vec<RequestId>,
    /// What was booked.
    pub entries: Vec<Entry>,
    /// The attempts' rows, each with the number of the entry that settled it.
    pub rows: Vec<(u64, CostRow)>,
    /// Budget periods whose consumption changed; saved as the books show them.
    pub uses: Vec<UseKey>,
    /// Pools whose units changed; saved as the books show them.
    pub pools: Vec<PoolKey>,
    /// Budgets that were made, changed, or removed (then the books no longer have them).
    pub budgets: Vec<domain::BudgetId>,
    /// The promo code that was redeemed, as it is now.
    pub promo: Option<PromoCode>,
    /// The payment that was booked, and the number of its entry.
    pub payment: Option<(Box<str>, u64)>,
    /// What the owner should hear of.
    pub events: Vec<Event>,
}

impl Changes {
    /// Whether nothing changed at all.
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
            && self.lots.is_empty()
            && self.holds.is_empty()
            && self.holds_ended.is_empty()
            && self.uses.is_empty()
            && self.pools.is_empty()
            && self.budgets.is_empty()
    }
}

/// Applies one command to the books of its organization at the time `now`.
///
/// Money expires and periods begin by `now`, as the clock shows it. Stamps in the journal only rise: a clock that stands
/// still or runs backwards is stamped a microsecond after the last command.
/// [`Command::Open`] is answered with [`Denial::Duplicate`], since the books exist; [`Command::Issue`] with
/// [`Denial::UnknownOrganization`], since it touches no books (see [`issue`]).
///
/// # Errors
/// [`Denial`], with the books' money as it was; credit whose time is over is expired all the same.
pub fn apply(
    books: &mut Books,
    command: Command,
    past: Past,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<Reply, Denial> {
    if books.frozen {
        return Err(Denial::Frozen);
    }
    if let Command::Probe(request) = command {
        // Before anything is stamped or expires: who asks leaves no trace.
        let at = books.last_at;
        return Clerk { books, now, at, changes, note: None }.probe(&request, past.taken);
    }
    let at = now.max(books.last_at.plus_micros(1));
    (books.last_at, books.seen_at) = (at, now);
    let mut clerk = Clerk { books, now, at, changes, note: None };
    clerk.expire_due()?;
    match command {
        Command::Open { .. } => Err(Denial::Duplicate),
        Command::Issue(_) => Err(Denial::UnknownOrganization),
        Command::Hold(request) => clerk.hold(request, past.taken),
        Command::Probe(request) => clerk.probe(&request, past.taken),
        Command::Extend(extension) => clerk.extend(&extension),
        Command::Settle { request, rows, .. } => clerk.settle(request, rows).map(Reply::Settled),
        Command::Sweep { warn_seconds, stale_before, .. } => clerk.sweep(warn_seconds, stale_before),
        Command::Book(booking) => clerk.booking(*booking, past),
    }
}

/// Makes a promo code, given the one that has its code already.
///
/// # Errors
/// When a field is unfit, or the code stands for something else.
pub fn issue(code: PromoCode, known: Option<&PromoCode>) -> Result<PromoCode, Denial> {
    if let Some(field) = code.fault() {
        return Err(Denial::Invalid { field });
    }
    match known {
        None => Ok(PromoCode { uses: 0, ..code }),
        Some(known) if (PromoCode { uses: known.uses, created_at: known.created_at, ..code }) == *known => {
            Ok(known.clone())
        }
        Some(_) => Err(Denial::Duplicate),
    }
}

/// Lets go of credit whose time is over at `now`, as every command does before anything else: for readers that want to
/// know what the next command will find. What it books is not to be saved.
///
/// # Errors
/// [`Denial::Overflow`], which no books that keep their promises give.
pub fn expire(books: &mut Books, now: Timestamp, changes: &mut Changes) -> Result<(), Denial> {
    let at = now.max(books.last_at);
    Clerk { books, now, at, changes, note: None }.expire_due()
}

impl Books {
    /// Checks the books and freezes them on the first breach. The holds are summed only when `whole`.
    ///
    /// # Errors
    /// The breach.
    pub fn check_or_freeze(&mut self, touched: &[WalletId], whole: bool) -> Result<(), Breach> {
        let checked =
            if whole { self.check() } else { self.check_wallets(touched).and_then(|()| self.check_net()) };
        self.frozen |= checked.is_err();
        checked
    }
}

/// One organization's books, open for one command.
struct Clerk<'a> {
    books: &'a mut Books,
    /// What the clock shows.
    now: Timestamp,
    /// The command's stamp.
    at: Timestamp,
    changes: &'a mut Changes,
    /// Who books, when it is no call.
    note: Option<Note>,
}

/// A hold that the rules let pass.
struct Admitted {
    /// The wallets that pay for it.
    chain: Vec<WalletId>,
    /// The budget periods that it counts in.
    uses: Vec<UseKey>,
    /// How much of it is to be had.
    amount: Money,
    /// What its pool will pay for.
    covered: Covered,
}

/// How one wallet pays its part of a charge.
struct Payment {
    wallet: WalletId,
    /// What the wallet had set aside.
    share: Money,
    /// What it pays.
    pays: Money,
}

impl Clerk<'_> {
    fn hold(&mut self, request: HoldRequest, ended: bool) -> Result<Reply, Denial> {
        let Admitted { chain, uses, amount, covered } = self.consider(&request, ended)?;
        let HoldRequest { request, tokens, mut draft, grants_only, .. } = request;
        let shares = self.shares(&chain, amount, grants_only);
        self.reserve(&uses, amount, tokens, 1)?;
        for share in &shares {
            self.set_aside(*share)?;
        }
        draft.held = amount;
        let (earlier, created_at, units) = (Vec::new(), self.now, covered.units);
        let hold = Hold { request, amount, shares, tokens, units, created_at, uses, earlier, draft };
        self.begin_cover(&hold);
        self.books.holds.insert(request, hold);
        self.changes.holds.push(request);
        Ok(Reply::Held(worth_of(amount, &covered)))
    }

    /// What [`Self::hold`] would answer, were it asked instead.
    fn probe(&self, request: &HoldRequest, ended: bool) -> Result<Reply, Denial> {
        let Admitted { uses, amount, covered, .. } = self.consider(request, ended)?;
        self.check_reservation(&uses, amount, request.tokens)?;
        Ok(Reply::WouldHold(worth_of(amount, &covered)))
    }

    /// Whether a hold is admitted, and how much of it, by what each wallet has available when what is due has expired.
    fn consider(&self, request: &HoldRequest, ended: bool) -> Result<Admitted, Denial> {
        let HoldRequest { request, amount, least, tokens, grants_only, ref draft, ref ceiling, .. } =
            *request;
        check_ask(amount, least, ceiling)?;
        // A restart settles the draft, so it must be one that can be settled.
        self.consumption(request, std::slice::from_ref(&**draft))?;
        // Before the credit: whoever lost the first answer must learn that the hold is there, whatever is left.
        if ended || self.books.holds.contains_key(&request) {
            return Err(Denial::Duplicate);
        }
        let chain = self.books.chain(std::slice::from_ref(&**draft));
        let uses = self.books.uses_of(draft, self.now);
        let covered = self.covered(draft, ceiling, least, None);
        let room = self.budget_room(&uses, amount, covered.need, tokens, 1)?;
        self.check_takings([], [&**draft])?;
        let amount = self.admit(&chain, room, covered.need, |wallet| self.available(wallet, grants_only))?;
        Ok(Admitted { chain, uses, amount, covered })
    }

    fn extend(&mut self, extension: &Extension) -> Result<Reply, Denial> {
        let Extension { request, amount, least, grants_only, .. } = *extension;
        let mut after = self.extended(extension)?;
        let before = self.books.holds.get(&request).ok_or(Denial::HoldGone)?;
        let chain = before.shares.iter().map(|share| share.wallet).collect::<Vec<_>>();
        let elsewhere = extension.next.is_some().then(|| {
            let attempts: Vec<CostRow> = after.rows().cloned().collect();
            self.books.chain(&attempts)
        });
        let elsewhere = elsewhere.filter(|elsewhere| *elsewhere != chain);
        let covered = self.covered(&after.draft, &extension.ceiling, least, Some(before));
        // What is held stays held, so that the same extension asks for nothing the second time.
        let held = before.amount;
        let (wanted, lacking) = (beyond(amount, held), beyond(covered.need, held));
        let tokens = extension.tokens.saturating_sub(before.tokens);
        let room = self.budget_room(&before.uses, wanted, lacking, tokens, 0)?;
        self.check_takings(before.rows(), after.rows())?;
        after.amount = match &elsewhere {
            None => {
                let available = |wallet: &Wallet| self.available(wallet, grants_only);
                add(held, self.admit(&chain, room, lacking, available)?)?
            }
            Some(chain) => {
                let available = |wallet: &Wallet| available_beside(wallet, &before.shares, grants_only);
                self.admit(chain, add(held, room)?, add(held, lacking)?, available)?
            }
        };
        let more = subtract(after.amount, held)?;
        after.draft.held = after.amount;
        (after.tokens, after.units) = (before.tokens.saturating_add(tokens), covered.units);
        self.reserve(&after.uses, more, tokens, 0)?;
        match elsewhere {
            None => self.grow(&mut after.shares, more, grants_only)?,
            Some(chain) => {
                after.shares = self.move_shares(&after.shares, &chain, after.amount, grants_only)?
            }
        }
        self.extend_cover(&after);
        let worth = worth_of(after.amount, &covered);
        self.books.holds.insert(request, after);
        self.changes.holds.push(request);
        Ok(Reply::Extended(worth))
    }

    /// The hold with the usage, the costs and the attempts that an extension tells of.
    fn extended(&self, extension: &Extension) -> Result<Hold, Denial> {
        let Extension { request, amount, least, usage, cost_pico, .. } = *extension;
        if cost_pico < 0 {
            return Err(Denial::Invalid { field: "cost_pico" });
        }
        check_ask(amount, least, &extension.ceiling)?;
        let cost = domain::Pico::new(i128::from(cost_pico)).ceil_to_money().ok_or(Denial::Overflow)?;
        let mut hold = self.books.holds.get(&request).ok_or(Denial::HoldGone)?.clone();
        let draft = &mut *hold.draft;
        (draft.usage, draft.cost_pico, draft.cost) = (usage, cost_pico, cost);
        if let Some(next) = &extension.next {
            hold.earlier = self.turn(request, next, draft)?;
        } else {
            if let Some(cover) = draft.cover.as_mut().filter(|cover| !cover.strict) {
                cover.parts.clone_from(&extension.consumed);
            }
            self.check_rows(request, std::slice::from_ref(draft))?;
        }
        Ok(hold)
    }

    /// Makes a draft that of the next attempt, and answers the rows of the others.
    fn turn(
        &self,
        request: RequestId,
        next: &NextAttempt,
        draft: &mut CostRow,
    ) -> Result<Vec<CostRow>, Denial> {
        if next.attempt != draft.attempt && Some(next.attempt) != draft.attempt.checked_add(1) {
            return Err(Denial::Invalid { field: "attempt" });
        }
        // No number is left out, so that no attempt which was told of can be lost.
        let numbers = next.earlier.iter().map(|row| row.attempt);
        if !numbers.eq(1..next.attempt) {
            return Err(Denial::Invalid { field: "rows" });
        }
        next.write(draft);
        let mut rows: Vec<CostRow> = next.earlier.iter().cloned().chain([CostRow::clone(draft)]).collect();
        // A restart settles them, so they must be rows that can be settled.
        self.consumption(request, &rows)?;
        rows.pop();
        Ok(rows)
    }

    /// Sets more aside along the chain of these shares.
    fn grow(&mut self, shares: &mut [Share], amount: Money, grants_only: bool) -> Result<(), Denial> {
        let chain: Vec<WalletId> = shares.iter().map(|share| share.wallet).collect();
        for (share, more) in shares.iter_mut().zip(self.shares(&chain, amount, grants_only)) {
            self.set_aside(more)?;
            share.amount = add(share.amount, more.amount)?;
        }
        Ok(())
    }

    /// Lets go of these shares, and sets the whole amount aside along another chain, which has it.
    fn move_shares(
        &mut self,
        shares: &[Share],
        chain: &[WalletId],
        amount: Money,
        grants_only: bool,
    ) -> Result<Vec<Share>, Denial> {
        for share in shares {
            let wallet = self.wallet_mut(share.wallet)?;
            wallet.held = subtract(wallet.held, share.amount)?;
        }
        let moved = self.shares(chain, amount, grants_only);
        for share in &moved {
            self.set_aside(*share)?;
        }
        // What became free is as free as after a settlement.
        for share in shares {
            self.pay_debt(share.wallet)?;
        }
        self.expire_due()?;
        Ok(moved)
    }

    /// What a wallet can set aside when what is due has expired.
    fn available(&self, wallet: &Wallet, grants_only: bool) -> Money {
        if grants_only { wallet.grants_at(self.now) } else { wallet.available_at(self.now) }
    }

    /// How much of `amount`, but not less than `least`, the wallets of a chain can set aside.
    fn admit(
        &self,
        chain: &[WalletId],
        amount: Money,
        least: Money,
        available: impl Fn(&Wallet) -> Money,
    ) -> Result<Money, Denial> {
        let wallets = || chain.iter().filter_map(|id| self.books.wallet(*id));
        // Whoever needs no money is not asked for what is owed.
        if let Some(owing) = wallets().find(|wallet| !least.is_zero() && !wallet.debt.is_zero()) {
            return Err(Denial::InDebt { wallet: owing.id, debt: owing.debt });
        }
        // More than any amount can say is more than anybody asks for.
        let available = Money::sum(wallets().map(available)).unwrap_or(Money::MAX);
        if available < least {
            return Err(Denial::InsufficientCredit { available, needed: least });
        }
        Ok(amount.min(available))
    }

    /// How an amount that the wallets of a chain can set aside spreads over them: each gives what it can before the
    /// next one is asked.
    fn shares(&self, chain: &[WalletId], amount: Money, grants_only: bool) -> Vec<Share> {
        let mut wanted = amount;
        let mut share = |id: &WalletId| {
            let available = self.books.wallet(*id);
            // Without a look at the clock: what is due and free has expired before, and what is due and not free is grace,
            // which a hold that moves takes along.
            let available =
                available.map_or(Money::ZERO, |wallet| available_beside(wallet, &[], grants_only));
            let amount = wanted.min(available);
            wanted = wanted.checked_sub(amount).unwrap_or(Money::ZERO);
            Share { wallet: *id, amount }
        };
        chain.iter().map(&mut share).collect()
    }

    fn set_aside(&mut self, share: Share) -> Result<(), Denial> {
        if !share.amount.is_zero() {
            let wallet = self.wallet_mut(share.wallet)?;
            wallet.held = add(wallet.held, share.amount)?;
        }
        Ok(())
    }

    fn settle(&mut self, request: RequestId, rows: Vec<CostRow>) -> Result<Settled, Denial> {
        let hold = self.books.holds.get(&request).ok_or(Denial::HoldGone)?;
        self.check_rows(request, &rows)?;
        let rows = self.cover(hold, rows)?;
        let consumed = Consumption::of_rows(&rows).ok_or(Denial::Overflow)?;
        let charge = consumed.cost;
        let (payments, unpaid) = self.split(hold, charge)?;
        let debtor = hold.shares.last().ok_or(Denial::Overflow)?.wallet;
        let debt = add(self.books.wallet(debtor).ok_or(Denial::Overflow)?.debt, unpaid)?;
        subtract(self.books.net, charge)?;
        let revenue = negate(charge)?;

        let hold = self.books.holds.remove(&request).ok_or(Denial::HoldGone)?;
        self.end_cover(&hold, &rows);
        let mut draws = Vec::new();
        for payment in payments {
            let wallet = self.wallet_mut(payment.wallet)?;
            wallet.held = subtract(wallet.held, payment.share)?;
            draws.extend(self.draw(payment.wallet, payment.pays, |_| true, Withdrawal::Used)?);
        }
        self.wallet_mut(debtor)?.debt = debt;
        self.spend(&hold, consumed);
        let mut legs = legs_of(&draws);
        if !unpaid.is_zero() {
            legs.push(Leg { account: Account::Receivable, amount: unpaid });
            self.tell(EventKind::WentIntoDebt { wallet: debtor, request, owed: unpaid });
        }
        if !charge.is_zero() {
            legs.push(Leg { account: Account::Revenue, amount: revenue });
        }
        self.changes.holds_ended.push(request);
        let sequence = self.book(EntryKind::Settle, debtor, *request.as_bytes(), legs);
        // What was set aside is known here alone: it may have grown while the call ran.
        let rows = rows.into_iter().map(|row| (sequence, CostRow { held: hold.amount, ..row }));
        self.changes.rows.extend(rows);
        for share in &hold.shares {
            self.pay_debt(share.wallet)?;
        }
        self.expire_due()?;
        Ok(Settled { draws, debt: unpaid })
    }

    /// What each wallet of a hold pays of a charge, and what none can.
    ///
    /// First each pays out of what it set aside, in chain order; that depends on the hold alone, so the order in which
    /// calls end changes nothing. What a call cost beyond its hold comes out of what is free, in chain order too: what
    /// other holds need is not free.
    fn split(&self, hold: &Hold, charge: Money) -> Result<(Vec<Payment>, Money), Denial> {
        let mut unpaid = charge;
        let mut payments = Vec::with_capacity(hold.shares.len());
        for Share { wallet, amount: share } in hold.shares.iter().copied() {
            let pays = unpaid.min(share);
            unpaid = subtract(unpaid, pays)?;
            payments.push(Payment { wallet, share, pays });
        }
        for payment in &mut payments {
            // Only a charge above the hold is unpaid here, and then no share has anything left.
            let free = self.books.wallet(payment.wallet).map_or(Money::ZERO, Wallet::available);
            let more = unpaid.min(free);
            payment.pays = add(payment.pays, more)?;
            unpaid = subtract(unpaid, more)?;
        }
        Ok((payments, unpaid))
    }

    /// What the rows of one request consumed together.
    fn consumption(&self, request: RequestId, rows: &[CostRow]) -> Result<Consumption, Denial> {
        self.check_rows(request, rows)?;
        Consumption::of_rows(rows).ok_or(Denial::Overflow)
    }

    /// Whether these are rows of one request: one for each attempt, on the account of the books' owner.
    fn check_rows(&self, request: RequestId, rows: &[CostRow]) -> Result<(), Denial> {
        let belongs = |row: &CostRow| row.request == request && row.organization == self.books.organization;
        let attempts: BTreeSet<u32> =
            rows.iter().map(|row| row.attempt).filter(|attempt| *attempt > 0).collect();
        if rows.is_empty() || attempts.len() != rows.len() || !rows.iter().all(belongs) {
            return Err(Denial::Invalid { field: "rows" });
        }
        if !rows.iter().all(CostRow::is_rounded_right) {
            return Err(Denial::Invalid { field: "cost" });
        }
        let is_fit = |row: &CostRow| row.cover.as_ref().is_none_or(|cover| cover.is_fit(row.cost_pico));
        if !rows.iter().all(is_fit) {
            return Err(Denial::Invalid { field: "cover" });
        }
        Ok(())
    }

    /// Takes `amount`, which these lots of a wallet cover, out of them in waterfall order.
    fn draw(
        &mut self,
        wallet: WalletId,
        amount: Money,
        from: impl Fn(&Lot) -> bool,
        why: Withdrawal,
    ) -> Result<Vec<Draw>, Denial> {
        let mut wanted = amount;
        let mut draws = Vec::new();
        let mut drawn = Vec::new();
        let wallet = self.wallet_mut(wallet)?;
        for lot in wallet.lots.iter_mut().filter(|lot| from(lot)) {
            if wanted.is_zero() {
                break;
            }
            let part = wanted.min(lot.remaining);
            lot.take(part, why)?;
            wanted = subtract(wanted, part)?;
            draws.push(Draw { lot: lot.id, amount: part });
            drawn.push(lot.clone());
        }
        wallet.balance = subtract(wallet.balance, amount)?;
        wallet.lots.retain(|lot| !lot.remaining.is_zero());
        self.changes.lots.extend(drawn);
        Ok(draws)
    }

    /// Puts a lot into its wallet and books where it came from; debt is paid with it at once.
    fn put_in(&mut self, kind: EntryKind, source: Account, lots: Vec<Lot>) -> Result<(), Denial> {
        let mut legs = Vec::with_capacity(lots.len().saturating_add(1));
        let total = Money::sum(lots.iter().map(|lot| lot.granted)).ok_or(Denial::Overflow)?;
        let Some(first) = lots.first() else { return Ok(()) };
        let (wallet, reference) = (first.wallet, *first.id.as_bytes());
        legs.push(Leg { account: source, amount: total });
        for lot in lots {
            legs.push(Leg { account: Account::Lot(lot.id), amount: negate(lot.granted)? });
            self.insert(lot)?;
        }
        self.book(kind, wallet, reference, legs);
        self.pay_debt(wallet)?;
        self.expire_due()
    }

    fn insert(&mut self, lot: Lot) -> Result<(), Denial> {
        let wallet = self.wallet_mut(lot.wallet)?;
        wallet.balance = add(wallet.balance, lot.granted)?;
        let place = wallet.lots.partition_point(|other| other.burn_order() < lot.burn_order());
        wallet.lots.insert(place, lot.clone());
        self.changes.lots.push(lot);
        Ok(())
    }

    /// Uses credit of a wallet that became free to pay what the wallet owes.
    fn pay_debt(&mut self, id: WalletId) -> Result<(), Denial> {
        let wallet = self.wallet_mut(id)?;
        let payment = wallet.debt.min(wallet.available());
        if payment.is_zero() {
            return Ok(());
        }
        wallet.debt = subtract(wallet.debt, payment)?;
        let settled = negate(payment)?;
        let draws = self.draw(id, payment, |_| true, Withdrawal::Used)?;
        let reference = draws.first().map_or([0; 16], |draw| *draw.lot.as_bytes());
        let mut legs = legs_of(&draws);
        legs.push(Leg { account: Account::Receivable, amount: settled });
        self.book(EntryKind::PayDebt, id, reference, legs);
        Ok(())
    }

    /// Expires what is due and free. What live holds need of a due lot stays as grace until they end.
    fn expire_due(&mut self) -> Result<(), Denial> {
        while let Some((wallet, lot, part)) = self.next_expiry() {
            subtract(self.books.net, part)?;
            let draws = self.draw(wallet, part, |other| other.id == lot, Withdrawal::Expired)?;
            let mut legs = legs_of(&draws);
            legs.push(Leg { account: Account::Breakage, amount: negate(part)? });
            self.book(EntryKind::Expire, wallet, *lot.as_bytes(), legs);
        }
        Ok(())
    }

    /// The next due lot, in waterfall order, and how much of it is free to expire.
    fn next_expiry(&self) -> Option<(WalletId, LotId, Money)> {
        self.books.wallets.iter().find_map(|wallet| {
            let lot = wallet.lots.iter().find(|lot| lot.is_due(self.now))?;
            let part = lot.remaining.min(wallet.available());
            (!part.is_zero()).then_some((wallet.id, lot.id, part))
        })
    }

    /// Warns of credit that will expire, and ends holds that nobody ends.
    fn sweep(&mut self, warn_seconds: i64, stale_before: Timestamp) -> Result<Reply, Denial> {
        let warn_until = self.now.plus_seconds(warn_seconds);
        let mut warned = Vec::new();
        for lot in self.books.wallets.iter_mut().flat_map(|wallet| &mut wallet.lots) {
            if !lot.warned && lot.is_due(warn_until) {
                lot.warned = true;
                warned.push(lot.clone());
            }
        }
        for lot in warned {
            let (wallet, remaining, expires_at) = (lot.wallet, lot.remaining, lot.expires_at);
            self.tell(EventKind::CreditExpiring { wallet, lot: lot.id, remaining, expires_at });
            self.changes.lots.push(lot);
        }
        // In the order of their ids: the order in which a map gives them must not be seen.
        let stale: BTreeSet<RequestId> = self
            .books
            .holds
            .values()
            .filter(|hold| hold.created_at < stale_before)
            .map(|hold| hold.request)
            .collect();
        let mut ended = 0_u64;
        for request in stale {
            let Some(hold) = self.books.holds.get(&request) else { continue };
            let rows = hold.rows_now("hold_timed_out");
            // One whose charge no longer fits into the debt stays; it must not keep the others from ending.
            if let Ok(settled) = self.settle(request, rows) {
                self.tell(EventKind::HoldTimedOut { request, charged: settled.charge() });
                ended = ended.saturating_add(1);
            }
        }
        Ok(Reply::Swept(ended))
    }

    /// A wallet that is about to change.
    fn wallet_mut(&mut self, id: WalletId) -> Result<&mut Wallet, Denial> {
        if !self.changes.wallets.contains(&id) {
            self.changes.wallets.push(id);
        }
        let found = self.books.wallets.iter_mut().find(|wallet| wallet.id == id);
        found.ok_or(Denial::Unknown { field: "wallet" })
    }

    fn tell(&mut self, kind: EventKind) {
        self.changes.events.push(Event { organization: self.books.organization, at: self.at, kind });
    }

    /// Appends an entry to the chain and answers its number.
    fn book(&mut self, kind: EntryKind, wallet: WalletId, reference: [u8; 16], legs: Vec<Leg>) -> u64 {
        let sequence = self.books.sequence.saturating_add(1);
        let mut entry = Entry {
            organization: self.books.organization,
            sequence,
            at: self.at,
            kind,
            wallet,
            reference,
            legs,
            balance: Money::ZERO,
            // It is about the first entry; what follows from it, such as a debt that is paid, nobody booked.
            note: self.note.take(),
            hash: [0; 32],
        };
        // Every rule has made sure that the sum fits before it changed anything.
        let net = entry.net_change().and_then(|change| self.books.net.checked_add(change));
        entry.balance = net.unwrap_or(self.books.net);
        entry.hash = entry.compute_hash(&self.books.head);
        (self.books.sequence, self.books.head, self.books.net) = (sequence, entry.hash, entry.balance);
        self.changes.entries.push(entry);
        sequence
    }
}

/// Why money leaves a lot.
#[derive(Clone, Copy)]
enum Withdrawal {
    /// A call or a debt was paid with it.
    Used,
    /// Its time ran out.
    Expired,
    /// It was taken out again.
    Withdrawn,
}

impl Lot {
    /// Takes a part out, which must not be more than remains.
    fn take(&mut self, part: Money, why: Withdrawal) -> Result<(), Denial> {
        let column = match why {
            Withdrawal::Used => &mut self.used,
            Withdrawal::Expired => &mut self.expired,
            Withdrawal::Withdrawn => &mut self.withdrawn,
        };
        *column = add(*column, part)?;
        self.remaining = subtract(self.remaining, part)?;
        Ok(())
    }
}

/// What a wallet could set aside if these shares were not there.
fn available_beside(wallet: &Wallet, shares: &[Share], grants_only: bool) -> Money {
    let own = shares.iter().filter(|share| share.wallet == wallet.id).map(|share| share.amount);
    // Parts of what the wallet holds, so it fits.
    let own = Money::sum(own).unwrap_or(wallet.held);
    let free = wallet.available().checked_add(own).unwrap_or(Money::MAX);
    let others = wallet.held.checked_sub(own).unwrap_or(Money::ZERO);
    if grants_only { wallet.grants_beside(others, free) } else { free }
}

/// Whether what is asked for is an amount, the least of it no more than that, and no part of it below nothing.
fn check_ask(amount: Money, least: Money, ceiling: &[Part]) -> Result<(), Denial> {
    if least.is_negative() || amount < least {
        return Err(Denial::Invalid { field: "amount" });
    }
    if !pooling::are_fit(ceiling) {
        return Err(Denial::Invalid { field: "ceiling" });
    }
    Ok(())
}

/// What of an amount, which is not below zero, goes beyond what is held.
fn beyond(amount: Money, held: Money) -> Money {
    amount.checked_sub(held).unwrap_or(Money::ZERO).max(Money::ZERO)
}

/// What a call may cost by what is held for it and what its pool will pay for.
fn worth_of(amount: Money, covered: &Covered) -> Money {
    amount.checked_add(covered.worth).unwrap_or(Money::MAX)
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
