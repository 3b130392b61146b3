//! The hold: proof that money is set aside, durably, before anything is sent.

use std::borrow::Cow;
use std::sync::Arc;

use domain::{Money, Pico, Refusal, RefusalCode, Usage};
use ledger::{AttemptStatus, Command, CostRow, Denial, HoldRequest, LedgerError, LedgerStore};

use crate::evidence::{Began, Plan};
use crate::failure::Failure;

/// Money set aside for one request. Only [`hold`] makes one, and only a settlement ends it: dropped without one, it is
/// settled at its last checkpoint, as after a crash.
pub(crate) struct Held {
    ledger: Arc<dyn LedgerStore>,
    wallet: domain::WalletId,
    /// The row as it would be booked if the gateway died now; `None` when nothing is left to book.
    draft: Option<Box<CostRow>>,
    /// Whether the draft has become the row to book.
    is_final: bool,
}

/// Sets the plan's ceiling aside and waits until that is durable.
pub(crate) async fn hold(ledger: &Arc<dyn LedgerStore>, began: &Began, plan: &Plan) -> Result<Held, Failure> {
    let draft = Box::new(draft_row(began, plan));
    let wallet = plan.principal.wallet;
    let request = HoldRequest { wallet, request: began.id, amount: plan.ceiling, draft: draft.clone() };
    // From here until the answer the request's fate is the ledger's, so the evidence exists before the wait: if this
    // future is never polled again the hold is still settled.
    let ticket = ledger.submit(Command::Hold(request));
    let mut held = Held { ledger: Arc::clone(ledger), wallet, draft: Some(draft), is_final: false };
    match ticket.await {
        Ok(_) => Ok(held),
        Err(error) => {
            held.draft = None;
            Err(refuse(error, plan))
        }
    }
}

impl Held {
    /// The row to fill in for the settlement.
    pub(crate) fn draft(&self) -> Option<&CostRow> {
        self.draft.as_deref()
    }

    /// Asks to hold more, and records how far the call has come, in the ledger and for our own drop.
    pub(crate) fn extend(
        &mut self,
        amount: Money,
        usage: Usage,
        (cost_pico, cost): (i64, Money),
    ) -> Option<ledger::Ticket> {
        let draft = self.draft.as_mut()?;
        (draft.usage, draft.cost_pico, draft.cost) = (usage, cost_pico, cost);
        let request = draft.request;
        Some(self.ledger.submit(Command::Extend { wallet: self.wallet, request, amount, usage, cost_pico }))
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
        let request = row.request;
        self.ledger.submit(Command::Settle { wallet: self.wallet, request, rows: vec![row] })
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

/// The row that is booked if the gateway dies during the call: the input, guessed, was consumed.
fn draft_row(began: &Began, plan: &Plan) -> CostRow {
    let usage = Usage { input: plan.input_guess, ..Usage::default() };
    let (cost_pico, cost) = priced(plan, &usage).unwrap_or((0, Money::ZERO));
    CostRow {
        organization: plan.principal.organization,
        request: began.id,
        attempt: 1,
        at: began.at,
        project: plan.principal.project,
        key: plan.principal.key,
        environment: Arc::from(plan.principal.environment.as_str()),
        model: Arc::clone(&plan.model),
        target: Arc::clone(&plan.target.label),
        provider: Arc::clone(&plan.target.provider.name),
        model_answered: None,
        price_version: Arc::clone(&plan.price.id),
        usage,
        cost_pico,
        cost,
        status: AttemptStatus::Failed,
        reason: Arc::from("gateway_restarted"),
        estimated: true,
        http_status: 0,
        streamed: plan.call.stream(),
        duration_us: 0,
        held: plan.ceiling,
        attribution: plan.attribution.clone(),
    }
}

/// The exact and the charged cost of a usage at the plan's price; `None` when no such cost can be booked.
pub(crate) fn priced(plan: &Plan, usage: &Usage) -> Option<(i64, Money)> {
    let exact: Pico = plan.price.cost(usage)?;
    Some((i64::try_from(exact.get()).ok()?, exact.ceil_to_money()?))
}

fn refuse(error: LedgerError, plan: &Plan) -> Failure {
    let organization = plan.principal.organization;
    let top_up = || {
        format!(
            "Top up: the operator runs `tollkeeper credits grant --org {organization} --amount 10.00 --kind prepaid`."
        )
    };
    match error {
        LedgerError::Denied(Denial::InsufficientCredit { available, needed }) => {
            let message = format!(
                "You exceeded your current quota: this call may cost up to {needed} and organization {} has {available} \
                 available.",
                plan.principal.organization_name
            );
            let next_step = if available.is_zero() {
                Cow::Owned(top_up())
            } else {
                Cow::Owned(format!("{} Or name a smaller max_tokens, or send a shorter prompt.", top_up()))
            };
            let mut refusal = Refusal::new(RefusalCode::CreditExhausted, message, next_step);
            refusal.limit = Some(available.to_string());
            refusal.used = Some(needed.to_string());
            refusal.into()
        }
        LedgerError::Denied(Denial::InDebt { debt }) => {
            let message = format!(
                "You exceeded your current quota: organization {} owes {debt}, and takes no new calls until it is paid.",
                plan.principal.organization_name
            );
            let mut refusal = Refusal::new(RefusalCode::WalletInDebt, message, top_up());
            refusal.used = Some(debt.to_string());
            refusal.into()
        }
        LedgerError::Denied(Denial::Frozen) => Refusal::new(
            RefusalCode::WalletFrozen,
            "The wallet is frozen because its books do not add up; no money has moved since.",
            "The operator runs `tollkeeper verify` and restores the wallet.",
        )
        .into(),
        LedgerError::Denied(denial) => {
            tracing::error!(%denial, "a hold was denied for a reason that should not occur");
            Failure::Unavailable
        }
        LedgerError::Busy => Failure::Busy,
        LedgerError::Store(_) | LedgerError::Stopped => Failure::Unavailable,
    }
}
