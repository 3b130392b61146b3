//! Auto-recharge at work: looks at the wallets, charges those that need it, and goes on with what a dead gateway began.
//!
//! Whether to charge [`payments::recharge`] decides. What is under way is not remembered here but in the store: at every
//! look the pending recharges are read again, so that a restart changes nothing. Here is only when each is asked about
//! next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use domain::{OrganizationId, Timestamp, TopUpId};
use ledger::Period;
use payments::recharge::{Decision, Next, decide, next};
use payments::stripe::RETRY_WINDOW_SECONDS;
use payments::{
    Alert, Begun, Charge, ChargeRequest, Ending, EventName, Limits, Notice, PaymentError, PaymentStoreError,
    Purpose, Recharge, Started, TopUp, TopUpStatus,
};
use store::Reader;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Payments;

/// Charges under way at once.
const CHARGES_MAX: usize = 16;
/// The first wait before a request without an answer is sent again; it doubles each time.
const REPEAT_SECONDS: i64 = 1;
const REPEAT_SECONDS_MAX: i64 = 300;
/// A charge whose webhook has not come for this long is asked about, again and again.
const AWAIT_SECONDS: i64 = 3_600;

/// Looks at the wallets, and charges.
pub(crate) struct Recharger {
    payments: Arc<Payments>,
    reader: Arc<Reader>,
    directory: Arc<Directory>,
    /// When each pending recharge is asked about next.
    plans: HashMap<TopUpId, Plan>,
    charging: JoinSet<(TopUpId, Outcome)>,
    /// Whose settings no longer fit the operator's bounds, which the log says once.
    complained: HashSet<OrganizationId>,
}

/// How a pending recharge goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Plan {
    /// A request for it is under way.
    is_busy: bool,
    /// Requests in a row that brought no answer.
    repeats: u32,
    /// Whether the provider's answer came, so that only its webhook is missing.
    is_awaited: bool,
    /// Not before.
    not_before: Timestamp,
}

/// What came of one request to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The top-up has ended.
    Ended,
    /// A webhook will tell.
    Await,
    /// Nothing is known: the same again, later.
    Repeat,
}

impl Recharger {
    pub(crate) fn new(payments: Arc<Payments>, reader: Arc<Reader>, directory: Arc<Directory>) -> Self {
        let (plans, complained) = (HashMap::new(), HashSet::new());
        Self { payments, reader, directory, plans, charging: JoinSet::new(), complained }
    }

    /// Looks at every interval until the end. What is under way then is dropped: it stays pending in the store, and
    /// the next start asks again.
    pub(crate) async fn run(mut self, mut ending: watch::Receiver<bool>) {
        if !self.payments.settings.provider.can_recharge() {
            return;
        }
        let mut ticks =
            tokio::time::interval(self.payments.settings.look_every.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ending.changed() => return,
                Some(ended) = self.charging.join_next() => self.take(ended),
                _ = ticks.tick() => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(%error, "auto-recharge could not look at the wallets");
                    }
                }
            }
        }
    }

    /// One look, and the end of what it began.
    #[cfg(test)]
    pub(super) async fn look_once(&mut self) {
        self.look().await.unwrap_or_else(|error| panic!("{error}"));
        while let Some(ended) = self.charging.join_next().await {
            self.take(ended);
        }
    }

    /// What is left of it after a death, begun again with these payments.
    #[cfg(test)]
    pub(super) fn reborn(&self, payments: &Arc<Payments>) -> Self {
        Self::new(Arc::clone(payments), Arc::clone(&self.reader), Arc::clone(&self.directory))
    }

    /// One look: what is pending first, so that nothing is begun beside it.
    async fn look(&mut self) -> Result<(), PaymentStoreError> {
        let pending = self.payments.keep(|store| store.pending_recharges()).await?;
        let known: HashSet<TopUpId> = pending.iter().map(|topup| topup.id).collect();
        if self.charging.is_empty() {
            // Also after a request that ended in a panic and so never said whose it was.
            self.plans.values_mut().for_each(|plan| plan.is_busy = false);
        }
        self.plans.retain(|id, plan| plan.is_busy || known.contains(id));
        for topup in pending {
            self.go_on(topup);
        }
        for organization in self.payments.keep(|store| store.recharge_candidates()).await? {
            match self.begin(organization).await {
                Ok(Some(topup)) => self.go_on(topup),
                Ok(None) => {}
                // One that cannot be looked at is no reason to leave the others without credit.
                Err(error) => {
                    tracing::error!(%organization, %error, "a wallet could not be looked at for auto-recharge");
                }
            }
        }
        Ok(())
    }

    /// Asks about a pending recharge if it is time to.
    fn go_on(&mut self, topup: TopUp) {
        let now = self.payments.now();
        if topup.provider != self.payments.settings.provider.name() || self.charging.len() >= CHARGES_MAX {
            return;
        }
        let plan = self.plans.entry(topup.id).or_insert_with(|| first_plan(&topup));
        if plan.is_busy || now < plan.not_before {
            return;
        }
        plan.is_busy = true;
        let (payments, is_awaited) = (Arc::clone(&self.payments), plan.is_awaited);
        self.charging.spawn(async move {
            let id = topup.id;
            let outcome = payments.charge(topup, is_awaited).await.unwrap_or_else(|error| {
                tracing::error!(topup = %id, %error, "a recharge could not be kept");
                Outcome::Repeat
            });
            (id, outcome)
        });
    }

    fn take(&mut self, ended: Result<(TopUpId, Outcome), tokio::task::JoinError>) {
        match ended {
            Ok((id, Outcome::Ended)) => drop(self.plans.remove(&id)),
            Ok((id, outcome)) => {
                let now = self.payments.now();
                if let Some(plan) = self.plans.get_mut(&id) {
                    *plan = plan.after(outcome, now);
                }
            }
            Err(error) => tracing::error!(%error, "a recharge ended in a panic"),
        }
    }

    /// Begins a recharge where one is due. It is stored before anything is sent.
    async fn begin(&mut self, organization: OrganizationId) -> Result<Option<TopUp>, PaymentStoreError> {
        let now = self.payments.now();
        let zone = self.directory.organization(organization).map(|found| found.time_zone.clone());
        let month = Period::Monthly.around(now, &zone.unwrap_or_default()).start;
        let (reader, payments) = (Arc::clone(&self.reader), Arc::clone(&self.payments));
        let looked = payments.keep(move |store| {
            // The balance last: where nothing is pending, what the last recharge brought is in the balance read after it.
            // The other way round, one that was paid in between would be neither pending nor in the balance.
            let state = store.recharge_state(organization, month)?;
            let recharge = store.recharge(organization)?;
            let balance = reader.balance(organization, now);
            let balance = balance.map_err(|error| PaymentStoreError::Failed(error.to_string()))?;
            // Top-ups come into the organization's own wallet, so this is the one that needs them.
            let own = balance
                .filter(|balance| !balance.frozen)
                .and_then(|balance| balance.wallets.into_iter().next());
            let available = own.and_then(|own| own.balance.checked_sub(own.held)?.checked_sub(own.debt));
            Ok((recharge, state, available))
        });
        let (Some(recharge), state, Some(available)) = looked.await? else { return Ok(None) };
        let Recharge { enabled: true, limits: Some(limits), .. } = recharge else { return Ok(None) };
        let settings = match self.payments.settings_of(&limits) {
            Ok(settings) => settings,
            Err(errors) => {
                self.complain(organization, &errors);
                return Ok(None);
            }
        };
        match decide(&settings, &state, available, now) {
            Decision::Nothing | Decision::Wait { .. } => Ok(None),
            Decision::Charge { amount } => self.store_pending(amount, recharge, limits, month).await,
            Decision::SwitchedOff { declines } => {
                self.alert(organization, Alert::SwitchedOff { declines }).await.map(|()| None)
            }
            Decision::MonthlyMaximumReached => {
                let Limits { monthly_max, .. } = limits;
                self.alert(organization, Alert::MonthlyMaximumReached { month, monthly_max })
                    .await
                    .map(|()| None)
            }
        }
    }

    async fn store_pending(
        &self,
        amount: payments::Cents,
        recharge: Recharge,
        limits: Limits,
        month: Timestamp,
    ) -> Result<Option<TopUp>, PaymentStoreError> {
        let Recharge { organization, customer: Some(customer), payment_method: Some(method), .. } = recharge
        else {
            return Ok(None);
        };
        let topup = TopUp {
            // Part of the request, and so the same in every try, whatever the customer leaves meanwhile.
            customer: Some(customer),
            payment_method: Some(method),
            ..self.payments.pending(organization, amount, Purpose::Recharge)
        };
        let stored = topup.clone();
        let begun = self.payments.keep(move |store| store.begin_recharge(&stored, &limits, month)).await?;
        if begun != Begun::New {
            return Ok(None);
        }
        tracing::info!(topup = %topup.id, %organization, %amount, "auto-recharge");
        Ok(Some(topup))
    }

    async fn alert(&self, organization: OrganizationId, alert: Alert) -> Result<(), PaymentStoreError> {
        let now = self.payments.now();
        self.payments.keep(move |store| store.alert(organization, &alert, now)).await.map(|_| ())
    }

    fn complain(&mut self, organization: OrganizationId, errors: &[payments::recharge::SettingsError]) {
        if self.complained.insert(organization) {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let errors = errors.join("; ");
            tracing::warn!(%organization, errors, "auto-recharge is set to what is no longer allowed");
        }
    }
}

/// The plan of a pending recharge of which nothing is known but what is stored.
fn first_plan(topup: &TopUp) -> Plan {
    let is_awaited = topup.started.is_some();
    let wait = if is_awaited { AWAIT_SECONDS } else { 0 };
    Plan { is_awaited, not_before: topup.updated_at.plus_seconds(wait), ..Plan::default() }
}

impl Plan {
    /// The plan after a request that did not end it.
    fn after(self, outcome: Outcome, now: Timestamp) -> Self {
        match outcome {
            Outcome::Ended | Outcome::Await => {
                Self { is_awaited: true, not_before: now.plus_seconds(AWAIT_SECONDS), ..Self::default() }
            }
            Outcome::Repeat => {
                let wait =
                    2_i64.checked_pow(self.repeats).and_then(|factor| factor.checked_mul(REPEAT_SECONDS));
                let wait = wait.unwrap_or(REPEAT_SECONDS_MAX).min(REPEAT_SECONDS_MAX);
                let repeats = self.repeats.saturating_add(1);
                Self { is_busy: false, repeats, not_before: now.plus_seconds(wait), ..self }
            }
        }
    }
}

impl Payments {
    /// Asks the provider once for a pending recharge: for the money, or, where that could take it twice, for what became
    /// of it.
    pub(super) async fn charge(&self, topup: TopUp, is_awaited: bool) -> Result<Outcome, PaymentStoreError> {
        let (Some(customer), Some(payment_method)) = (topup.customer.clone(), topup.payment_method.clone())
        else {
            return self.give_up(&topup, TopUpStatus::Expired, "it names no payment method".to_owned()).await;
        };
        let (organization, amount) = (topup.organization, topup.amount);
        let request = ChargeRequest { topup: topup.id, organization, amount, customer, payment_method };
        let is_late = self.age_seconds(&topup) > RETRY_WINDOW_SECONDS;
        if is_late || is_awaited {
            return self.look_up(&topup, &request, is_late).await;
        }
        let answer = self.settings.provider.charge_off_session(&request).await;
        if let Err(error) = &answer {
            tracing::warn!(topup = %topup.id, %error, "a recharge was not answered as it should be");
        }
        match next(&answer) {
            Next::Repeat => Ok(Outcome::Repeat),
            Next::Declined { code, message } => {
                self.give_up(&topup, TopUpStatus::Declined, format!("{message} ({code})")).await
            }
            Next::Await => {
                if let Ok(Charge::Succeeded { payment } | Charge::Pending { payment }) = answer {
                    let (id, at) = (topup.id, self.now());
                    let started = Started { provider_ref: payment, url: None, instructions: String::new() };
                    self.keep(move |store| store.started(id, &started, at)).await?;
                }
                Ok(Outcome::Await)
            }
            Next::Refused => {
                if let Err(error) = &answer {
                    self.tell_refusal(&topup, error).await?;
                }
                Ok(Outcome::Repeat)
            }
            Next::PayerGone => self.lose_payer(&topup, &request.customer).await,
        }
    }

    async fn look_up(
        &self,
        topup: &TopUp,
        request: &ChargeRequest,
        is_late: bool,
    ) -> Result<Outcome, PaymentStoreError> {
        match self.settings.provider.find_charge(request, topup.created_at).await {
            Ok(Some(Charge::Succeeded { payment })) => self.miss_webhook(topup, &payment).await,
            Ok(Some(Charge::Pending { .. })) => Ok(Outcome::Await),
            Err(PaymentError::UnknownPayer(_)) => self.lose_payer(topup, &request.customer).await,
            Ok(Some(Charge::Declined { code, message })) => {
                self.give_up(topup, TopUpStatus::Declined, format!("{message} ({code})")).await
            }
            // Before that, a request of which nobody knows may still be at work.
            Ok(None) if is_late => {
                let detail = "the payment provider never carried it out".to_owned();
                self.give_up(topup, TopUpStatus::Expired, detail).await
            }
            Ok(None) => Ok(Outcome::Await),
            Err(error) => {
                tracing::warn!(topup = %topup.id, %error, "what became of a recharge could not be looked up");
                Ok(Outcome::Repeat)
            }
        }
    }

    async fn give_up(
        &self,
        topup: &TopUp,
        status: TopUpStatus,
        detail: String,
    ) -> Result<Outcome, PaymentStoreError> {
        let ending = Ending { topup: topup.id, status, detail, event: None, at: self.now() };
        self.keep(move |store| store.end(&ending)).await.map(|_| Outcome::Ended)
    }

    /// The provider does not know whom to charge. That is no decline; but without a payment method no other recharge
    /// begins, so that what an earlier try may have taken, as with another account's key, is not taken again.
    async fn lose_payer(&self, topup: &TopUp, customer: &str) -> Result<Outcome, PaymentStoreError> {
        let method = topup.payment_method.clone();
        self.forget_customer(topup.organization, customer, method).await?;
        let detail = "the payment provider does not know the customer or their payment method".to_owned();
        self.give_up(topup, TopUpStatus::Expired, detail).await
    }

    /// The provider does not take the request, as with a wrong key. The owner hears of it once, and the top-up stays
    /// pending: once that is mended, the same request asks for the money once.
    async fn tell_refusal(&self, topup: &TopUp, error: &PaymentError) -> Result<(), PaymentStoreError> {
        let detail = format!(
            "{error}; that is no decline, so the recharge stays pending and is asked for again: mend what the provider \
             names, and restart the gateway if it is in its configuration"
        );
        self.tell_once(topup, "recharge_refused", detail).await
    }

    /// The money was taken, and nothing told us. Credit waits for the webhook all the same: the answer to a question is
    /// no proof. The owner hears of it once.
    async fn miss_webhook(&self, topup: &TopUp, payment: &str) -> Result<Outcome, PaymentStoreError> {
        let detail = format!(
            "Stripe says that {payment} was paid, but its webhook has not come; check the endpoint at Stripe and \
             payments.webhook_secrets, then send the event again from there"
        );
        self.tell_once(topup, "webhook_missing", detail).await.map(|()| Outcome::Await)
    }

    /// Tells of this once for each top-up.
    async fn tell_once(
        &self,
        topup: &TopUp,
        what: &'static str,
        detail: String,
    ) -> Result<(), PaymentStoreError> {
        let (id, at) = (format!("{what} {}", topup.id), self.now());
        let event = Some(EventName { provider: "tollkeeper".to_owned(), id, created: at });
        let (organization, topup) = (topup.organization, Some(topup.id));
        let notice = Notice { organization, what, topup, detail, event, at };
        self.keep(move |store| store.notice(&notice)).await.map(|_| ())
    }
}
