//! The hold: proof that money is set aside, durably, before anything is sent.
//!
//! One hold pays for all attempts of a request. What is tried again has brought nothing and costs nothing, so the hold,
//! which is enough for the dearest target, is enough for all of them together. Where a second attempt runs beside a slow
//! one, the one that is given up costs its prompt, and the hold grows by that before the second is sent.

use std::num::NonZeroU64;
use std::sync::Arc;

use dialect::Made;
use directory::AfterGrant;
use domain::{Money, Timestamp, Usage};
use ledger::{
    AttemptStatus, Command, CostRow, Denial, Extension, HoldRequest, LedgerError, LedgerStore, NextAttempt,
    Part, Reply,
};

use crate::allowance::{Ask, tier_asked};
use crate::denial::{FreeDay, refuse};
use crate::evidence::{Began, Plan};
use crate::failure::Failure;
use crate::funding::Charge;
use crate::pools::Pools;

/// Money set aside for one request. Only [`hold`] makes one, and only a settlement ends it: dropped without one, it is
/// settled at its last checkpoint, as after a crash.
pub(crate) struct Held {
    ledger: Arc<dyn LedgerStore>,
    /// How much the call may cost, as far as the ledger has told: what is set aside, and what a pool pays for.
    amount: Money,
    /// Tokens that are reserved for it in budgets.
    tokens: u64,
    /// The cap on each choice that the amount pays for, where the body's own or the model's is none or a larger one.
    upstream_cap: Option<NonZeroU64>,
    /// The rows of the attempts before the present one, in order.
    earlier: Vec<CostRow>,
    /// The row of the present attempt as it would be booked if the gateway died now; `None` when nothing is left to book.
    draft: Option<Box<CostRow>>,
    /// Whether the draft has become the row to book.
    is_final: bool,
    /// Whether nothing but grants may pay.
    grants_only: bool,
}

/// What a call needs for one attempt, beside what its other attempts cost.
pub(crate) struct Need {
    /// What should be held.
    pub(crate) amount: Money,
    /// What must be held at least; nothing where no more is asked for than there is.
    pub(crate) least: Money,
    /// Tokens that are estimated beyond those that are reserved.
    pub(crate) tokens: u64,
    /// What of the amount the attempt's pool may pay for.
    pub(crate) ceiling: Vec<Part>,
}

/// Sets aside what the plan allows itself, or what of it is to be had, and waits until that is durable.
pub(crate) async fn hold(
    ledger: &Arc<dyn LedgerStore>,
    began: &Began,
    plan: &Plan,
    pools: &Pools,
) -> Result<Held, Failure> {
    let request = request_of(began, plan);
    let (draft, tokens, grants_only) = (request.draft.clone(), request.tokens, request.grants_only);
    // From here until the answer the request's fate is the ledger's, so the evidence exists before the wait: if this
    // future is never polled again the hold is still settled.
    let ticket = ledger.submit(Command::Hold(request));
    let mut held = Held {
        ledger: Arc::clone(ledger),
        amount: Money::ZERO,
        tokens,
        upstream_cap: None,
        earlier: Vec::new(),
        draft: Some(draft),
        is_final: false,
        grants_only,
    };
    match ticket.await {
        Ok(Reply::Held(amount)) => {
            held.amount = amount;
            held.upstream_cap = plan.candidate().allowance.upstream_cap(amount);
            Ok(held)
        }
        Ok(reply) => {
            tracing::error!(?reply, "a hold was answered with something else");
            Err(Failure::Unavailable)
        }
        Err(error) => {
            held.draft = None;
            let beside = beside_grants(ledger, began, plan, &error).await;
            Err(refuse(error, &plan.principal, &plan.ask, free_day(plan, pools), beside))
        }
    }
}

impl Need {
    /// Nothing more than there is: an attempt that is paid for like the one before it.
    fn nothing(plan: &Plan) -> Self {
        let ceiling = plan.candidates.ceiling_parts();
        Self { amount: Money::ZERO, least: Money::ZERO, tokens: 0, ceiling }
    }
}

impl Held {
    /// The next attempt begins where the present one was: this is what became of that. The ledger is told, so that a
    /// gateway that dies in it books both; nobody waits for that, since what is held is durable already, and paid from the
    /// same wallets. Where each attempt takes from a pool, it must have one left.
    ///
    /// # Errors
    /// When it has none; the hold is as it was.
    pub(crate) async fn retry(
        &mut self,
        failed: CostRow,
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        if plan.candidate().funding.is_strict() {
            return self.turn(failed, began, plan, at).await;
        }
        let earlier = self.with(failed);
        if let Some((draft, ticket)) = self.next(&earlier, Need::nothing(plan), began, plan, at) {
            drop(ticket);
            self.begin(earlier, draft, plan);
        }
        Ok(())
    }

    /// The next attempt begins where the plan says now, where other wallets may have to pay: the ledger moves what is
    /// held to those, and the call goes there only if they have it.
    ///
    /// # Errors
    /// When they do not, or the ledger cannot say so; the hold is as it was.
    pub(crate) async fn turn(
        &mut self,
        failed: CostRow,
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let earlier = self.with(failed.clone());
        // Were this the end, the failure would be what there is to book.
        self.conclude(failed);
        self.go_on(earlier, began, plan, at).await
    }

    /// The present attempt, which has not been sent, goes where the plan says now; otherwise as [`Held::turn`].
    ///
    /// # Errors
    /// See there.
    pub(crate) async fn aim(&mut self, began: &Began, plan: &Plan) -> Result<(), LedgerError> {
        let at = self.draft.as_deref().map_or(began.at, |draft| draft.at);
        self.go_on(self.earlier.clone(), began, plan, at).await
    }

    /// An attempt begins where the plan says now, for which as much is held as for a call there at first, or what of it
    /// is to be had: what is held already counts, whoever would have paid where the call was.
    async fn go_on(
        &mut self,
        earlier: Vec<CostRow>,
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let allowance = &plan.candidate().allowance;
        let Ask { amount, least, .. } = allowance.ask();
        let need = Need { amount, least, tokens: 0, ceiling: allowance.ceiling_parts() };
        self.advance(earlier, need, began, plan, at).await
    }

    /// The rows of all attempts that ended, this one last.
    fn with(&self, ended: CostRow) -> Vec<CostRow> {
        self.earlier.iter().cloned().chain([ended]).collect()
    }

    /// The attempt of this draft is the present one, after these.
    fn begin(&mut self, earlier: Vec<CostRow>, draft: Box<CostRow>, plan: &Plan) {
        (self.earlier, self.draft, self.is_final) = (earlier, Some(draft), false);
        self.cap_at(plan);
    }

    /// A second attempt begins where the plan says now, beside the present one, which has this row if the other is heard
    /// first; so much more, and tokens, are held for both.
    ///
    /// # Errors
    /// When it is not to be had, or the ledger cannot say so; the hold is as it was.
    pub(crate) async fn beside(
        &mut self,
        outrun: CostRow,
        more: (Money, u64),
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let (more, tokens) = more;
        // What the other costs is told by its row.
        let more = more.checked_sub(outrun.cost).unwrap_or(more);
        // More than the dearest is held where a pool may pay, too.
        let one = self.left().min(plan.candidates.ask().amount);
        let amount = one.checked_add(more).unwrap_or(Money::MAX);
        let need = Need { amount, least: amount, tokens, ceiling: plan.candidates.ceiling_parts() };
        self.advance(self.with(outrun), need, began, plan, at).await
    }

    /// An attempt begins where the plan says now, after or beside these, as soon as the ledger has what it needs.
    async fn advance(
        &mut self,
        earlier: Vec<CostRow>,
        need: Need,
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let tokens = need.tokens;
        let Some((draft, ticket)) = self.next(&earlier, need, began, plan, at) else {
            return Err(Denial::HoldGone.into());
        };
        self.holds(&ticket.await?, tokens);
        self.begin(earlier, draft, plan);
        Ok(())
    }

    /// The attempt beside the present one, which the plan is at now, becomes the present one, and this is the row of the
    /// other. Both pay from the same wallets as before, or from more, so nobody waits for the ledger.
    pub(crate) fn change_places(&mut self, row: Option<CostRow>, began: &Began, plan: &Plan, at: Timestamp) {
        let (Some(row), Some(last)) = (row, self.earlier.last_mut()) else { return };
        *last = CostRow { attempt: last.attempt, ..row };
        if let Some((draft, ticket)) = self.next(&self.earlier, Need::nothing(plan), began, plan, at) {
            drop(ticket);
            self.draft = Some(draft);
        }
    }

    /// How long the attempt ran that has been given up now.
    pub(crate) fn outrun_after(&mut self, duration_us: u64) {
        if let Some(last) = self.earlier.last_mut() {
            last.duration_us = duration_us;
        }
    }

    /// Tells the ledger of an attempt after these and what it needs; answers its draft with the ledger's answer to come.
    fn next(
        &self,
        earlier: &[CostRow],
        need: Need,
        began: &Began,
        plan: &Plan,
        at: Timestamp,
    ) -> Option<(Box<CostRow>, ledger::Ticket)> {
        self.draft.as_ref()?;
        let attempt = u32::try_from(earlier.len()).ok()?.checked_add(1)?;
        let draft = Box::new(CostRow { attempt, at, ..draft_row(began, plan) });
        let next = NextAttempt {
            attempt,
            at,
            model: Arc::clone(&draft.model),
            target: Arc::clone(&draft.target),
            provider: Arc::clone(&draft.provider),
            price_version: Arc::clone(&draft.price_version),
            service_tier: draft.service_tier,
            class: draft.class,
            list_pico: draft.list_pico,
            cover: draft.cover.clone(),
            earlier: earlier.to_vec(),
        };
        let extension = self.extension(&draft, earlier, need);
        let next = Some(Box::new(next));
        let ticket = self.ledger.submit(Command::Extend(Extension { next, ..extension }));
        Some((draft, ticket))
    }

    /// What the whole call needs, its present attempt being this one after these.
    fn extension(&self, draft: &CostRow, earlier: &[CostRow], need: Need) -> Extension {
        let spent = Money::sum(earlier.iter().map(|row| row.cost));
        let in_all = |present: Money| match present {
            Money::ZERO => Money::ZERO,
            present => spent.and_then(|spent| spent.checked_add(present)).unwrap_or(Money::MAX),
        };
        let pool = draft.cover.as_ref().map(|cover| &cover.key);
        let covers = earlier.iter().filter_map(|row| row.cover.as_ref());
        let alike = covers.filter(|cover| Some(&cover.key) == pool);
        Extension {
            organization: draft.organization,
            request: draft.request,
            amount: in_all(need.amount),
            least: in_all(need.least),
            tokens: self.tokens.saturating_add(need.tokens),
            usage: draft.usage,
            cost_pico: draft.cost_pico,
            consumed: Vec::new(),
            ceiling: alike.flat_map(|cover| cover.parts.iter().copied()).chain(need.ceiling).collect(),
            grants_only: self.grants_only,
            next: None,
        }
    }

    /// What is held pays for another length of answer where the plan says now.
    fn cap_at(&mut self, plan: &Plan) {
        self.upstream_cap = plan.candidate().allowance.upstream_cap(self.left());
    }

    /// Attempts so far, the present one included.
    pub(crate) fn attempts(&self) -> u32 {
        self.draft.as_ref().map_or(1, |draft| draft.attempt)
    }

    /// The row to fill in for the settlement.
    pub(crate) fn draft(&self) -> Option<&CostRow> {
        self.draft.as_deref()
    }

    /// How much the call may cost, as far as the ledger has told.
    pub(crate) const fn amount(&self) -> Money {
        self.amount
    }

    /// What the attempts before the present one cost, and those beside it.
    pub(crate) fn spent(&self) -> Option<Money> {
        Money::sum(self.earlier.iter().map(|row| row.cost))
    }

    /// What of it is left for the present attempt.
    pub(crate) fn left(&self) -> Money {
        self.spent()
            .and_then(|spent| self.amount.checked_sub(spent))
            .map_or(Money::ZERO, |left| left.max(Money::ZERO))
    }

    /// The present attempt was sent with this cap.
    pub(crate) const fn set_upstream_cap(&mut self, cap: Option<NonZeroU64>) {
        self.upstream_cap = cap;
    }

    /// The cap on each choice's output that must go upstream, if any.
    pub(crate) const fn upstream_cap(&self) -> Option<NonZeroU64> {
        self.upstream_cap
    }

    /// The ledger has answered an extension that reserved so many more tokens.
    pub(crate) fn holds(&mut self, reply: &Reply, tokens: u64) {
        let Reply::Extended(amount) = reply else {
            return tracing::error!(?reply, "an extension was answered with something else");
        };
        (self.amount, self.tokens) = (*amount, self.tokens.saturating_add(tokens));
    }

    /// Records how far the call has come, for our own drop.
    pub(crate) fn note(&mut self, usage: Usage, charge: &Charge) {
        if let Some(draft) = &mut self.draft {
            draft.usage = usage;
            write_charge(draft, charge.clone());
        }
    }

    /// Asks for what the present attempt needs in all, and tells the ledger how far the call has come. Our own drop goes
    /// by [`Held::note`]: until the answer nobody knows whether what is asked for is there.
    pub(crate) fn extend(&self, need: Need, usage: Usage, charge: &Charge) -> Option<ledger::Ticket> {
        let extension = self.extension(self.draft()?, &self.earlier, need);
        let (cost_pico, consumed) = (charge.pico, charge.parts.clone());
        Some(self.ledger.submit(Command::Extend(Extension { usage, cost_pico, consumed, ..extension })))
    }

    /// Makes this the row to book, come what may.
    pub(crate) fn conclude(&mut self, row: CostRow) {
        if let Some(draft) = &mut self.draft {
            **draft = row;
            self.is_final = true;
        }
    }

    /// Submits the settlement once. The hold counts as ended only by [`Held::release`].
    pub(crate) fn submit_settlement(&self) -> ledger::Ticket {
        match &self.draft {
            Some(draft) => self.settlement(CostRow::clone(draft)),
            None => ledger::Ticket::answered(Err(Denial::HoldGone.into())),
        }
    }

    fn settlement(&self, row: CostRow) -> ledger::Ticket {
        let CostRow { organization, request, .. } = row;
        let rows = self.earlier.iter().cloned().chain([row]).collect();
        self.ledger.submit(Command::Settle { organization, request, rows })
    }

    /// The settlement is on the books, or out of our hands: nothing is left to do when this is dropped.
    pub(crate) fn release(&mut self) {
        self.draft = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(mut draft) = self.draft.take() else { return };
        if !self.is_final {
            tracing::error!(request = %draft.request, "a hold was dropped unsettled and is settled at its checkpoint");
            draft.reason = Arc::from("gateway_error");
        }
        drop(self.settlement(*draft));
    }
}

/// Asks whether a budget would refuse the call, and changes nothing: for a call that a later owner refuses, because of
/// several the first is told. Answers whether the budgets were looked at, which books that are frozen or a ledger that is
/// busy are not.
///
/// # Errors
/// The budget's refusal.
pub(crate) async fn probe(
    ledger: &Arc<dyn LedgerStore>,
    began: &Began,
    plan: &Plan,
    pools: &Pools,
) -> Result<bool, Failure> {
    match ledger.submit(Command::Probe(request_of(began, plan))).await {
        Err(error @ LedgerError::Denied(Denial::BudgetExceeded(_))) => {
            Err(refuse(error, &plan.principal, &plan.ask, free_day(plan, pools), None))
        }
        Ok(_)
        | Err(LedgerError::Denied(
            Denial::InsufficientCredit { .. } | Denial::InDebt { .. } | Denial::PoolUsedUp { .. },
        )) => Ok(true),
        Err(_) => Ok(false),
    }
}

/// The rules of free requests, and when the day of the present ones ends.
fn free_day<'a>(plan: &Plan, pools: &'a Pools) -> FreeDay<'a> {
    (&pools.free, plan.candidate().funding.pool.as_ref().map(|pool| pool.ends))
}

/// What the wallets have for a call beside the grants that do not suffice, where the project will have nothing else
/// spent: so that its refusal can say so. `None` where that is not why, or the books do not tell.
async fn beside_grants(
    ledger: &Arc<dyn LedgerStore>,
    began: &Began,
    plan: &Plan,
    error: &LedgerError,
) -> Option<Money> {
    let LedgerError::Denied(Denial::InsufficientCredit { available, .. }) = error else { return None };
    let request = request_of(began, plan);
    if !request.grants_only {
        return None;
    }
    // Of any amount, what is to be had would be held: all of it.
    let (amount, least, ceiling) = (Money::MAX, Money::ZERO, Vec::new());
    let all = HoldRequest { amount, least, ceiling, grants_only: false, ..request };
    match ledger.submit(Command::Probe(all)).await {
        Ok(Reply::WouldHold(all)) => all.checked_sub(*available),
        Ok(_) | Err(_) => None,
    }
}

fn request_of(began: &Began, plan: &Plan) -> HoldRequest {
    let ask = plan.ask;
    HoldRequest {
        organization: plan.principal.organization().id,
        request: began.id,
        amount: ask.amount,
        least: ask.least,
        tokens: plan.input_guess.saturating_add(ask.tokens),
        ceiling: plan.candidates.ceiling_parts(),
        grants_only: plan.principal.project.after_grant == AfterGrant::Stop,
        draft: Box::new(draft_row(began, plan)),
    }
}

/// Makes a row one of this charge.
pub(crate) fn write_charge(row: &mut CostRow, charge: Charge) {
    (row.cost_pico, row.cost, row.list_pico) = (charge.pico, charge.amount, charge.list_pico);
    if let Some(cover) = &mut row.cover {
        cover.parts = charge.parts;
    }
}

/// The row that is booked if the gateway dies during the call: the input, guessed, was consumed.
fn draft_row(began: &Began, plan: &Plan) -> CostRow {
    let usage = begun(plan, Usage { input: plan.input_guess, ..Usage::default() });
    let charge = priced(plan, &usage).unwrap_or(Charge::NOTHING);
    let funding = &plan.candidate().funding;
    CostRow {
        organization: plan.principal.organization().id,
        request: began.id,
        attempt: 1,
        at: began.at,
        project: plan.principal.project.id,
        key: plan.principal.key.id,
        environment: Arc::from(plan.principal.project.environment.as_str()),
        model: Arc::clone(plan.model()),
        target: Arc::clone(&plan.target().label),
        provider: Arc::clone(&plan.target().provider.name),
        model_answered: None,
        price_version: Arc::clone(&plan.candidate().price.id),
        service_tier: tier_asked(plan.sent()),
        class: funding.class,
        usage,
        list_pico: charge.list_pico,
        cover: funding.cover(charge.parts),
        cost_pico: charge.pico,
        cost: charge.amount,
        reported_pico: None,
        status: AttemptStatus::Failed,
        reason: Arc::from("gateway_restarted"),
        estimated: true,
        http_status: 0,
        streamed: plan.call.stream(),
        duration_us: 0,
        held: Money::ZERO,
        attribution: plan.attribution.clone(),
    }
}

/// This of a call that has begun, and what it brought that is no text, in the unit that is charged.
pub(crate) fn begun(plan: &Plan, usage: Usage) -> Usage {
    let Usage { input, output, gpu_ms, .. } = usage;
    let brought = plan.sent().reckoned(Made::default());
    plan.candidate().price.by_unit(&Usage { input, output, gpu_ms, ..brought })
}

/// What a usage is charged at the plan's price and the service tier that was asked for; `None` when no such cost can be
/// booked.
pub(crate) fn priced(plan: &Plan, usage: &Usage) -> Option<Charge> {
    plan.candidate().charge(usage, tier_asked(plan.sent()))
}
