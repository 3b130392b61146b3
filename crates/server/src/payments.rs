//! Payments: top-ups that a person pays, their confirmation, and what the provider's webhooks tell.
//!
//! It puts three things together that must not know each other: the payment provider, the store in which status and
//! credit move as one, and the clock. What survives a death at which step stands at [`payments::PaymentStore`]; here is
//! the order of the steps. `payments/webhook.rs` says what each event does, `payments/recharge.rs` who is charged when.

mod recharge;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;

use domain::{Clock, Ids, LotId, OrganizationId, Timestamp, TopUpId};
use payments::recharge::{Bounds, Settings};
use payments::stripe::{RETRY_WINDOW_SECONDS, Webhook};
use payments::{
    Begun, CallName, Cents, CheckoutRequest, Ending, Kept, PaymentError, PaymentProvider, PaymentStore,
    PaymentStoreError, Purpose, Receipt, Started, TopUp, TopUpStatus,
};

pub(crate) use recharge::Recharger;
pub(crate) use webhook::{Delivered, WEBHOOK_BYTES_MAX};

/// How long purchased credit lasts (3.4).
const YEAR_SECONDS: i64 = 365 * 24 * 60 * 60;

/// How money comes in, as configured.
#[derive(Debug)]
pub struct PaymentSettings {
    /// Who takes it.
    pub provider: Arc<dyn PaymentProvider>,
    /// Verifies what the provider tells by itself; `None` when it tells nothing.
    pub webhook: Option<Webhook>,
    /// The least and the most that one top-up may bring.
    pub bounds: Bounds,
    /// How often to look for wallets that need a recharge.
    pub look_every: std::time::Duration,
}

/// Everything about payments that the routes and the recharger need.
pub(crate) struct Payments {
    pub(crate) settings: PaymentSettings,
    store: Arc<dyn PaymentStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// Why a top-up or a confirmation was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentProblem {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] PaymentStoreError),
    /// The provider did not do it.
    #[error(transparent)]
    Provider(#[from] PaymentError),
    /// It is too late to ask the provider again without asking for the money twice.
    #[error("{0} began too long ago to be tried again; begin another one with a fresh Idempotency-Key")]
    TooOld(TopUpId),
    /// The provider's own word counts, and not the operator's.
    #[error(
        "{topup} is paid through {provider}, whose webhook alone confirms it; only manual top-ups are confirmed by hand"
    )]
    NotManual {
        /// The top-up.
        topup: TopUpId,
        /// Its provider.
        provider: String,
    },
}

impl Payments {
    pub(crate) fn new(
        settings: PaymentSettings,
        store: Arc<dyn PaymentStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self { settings, store, clock, ids }
    }

    /// Does something with the store, away from the threads that serve.
    pub(crate) async fn keep<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn PaymentStore) -> Kept<T> + Send + 'static,
    ) -> Kept<T> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(store.as_ref())).await;
        done.unwrap_or_else(|error| Err(PaymentStoreError::Failed(error.to_string())))
    }

    /// Begins a top-up that a person pays: stored first, so that whatever the provider hears of is known here. The same
    /// call again gets the same top-up, and begins it where it had not come that far.
    pub(crate) async fn begin(
        &self,
        organization: OrganizationId,
        amount: Cents,
        save_method: bool,
        name: Option<CallName>,
    ) -> Result<TopUp, PaymentProblem> {
        let provider = &self.settings.provider;
        let known = self.keep(move |store| store.recharge(organization)).await?;
        let fresh = TopUp {
            // The customer is part of what the provider is asked, and so must not change between two tries.
            customer: known.and_then(|known| known.customer).filter(|_| provider.can_recharge()),
            save_method: save_method && provider.can_recharge(),
            ..self.pending(organization, amount, Purpose::Manual)
        };
        let stored = fresh.clone();
        let topup = match self.keep(move |store| store.begin(&stored, name.as_ref())).await? {
            Begun::Known(known) => *known,
            Begun::New | Begun::NotNow => fresh,
        };
        if topup.started.is_some() || topup.status != TopUpStatus::Pending {
            return Ok(topup);
        }
        if self.age_seconds(&topup) > RETRY_WINDOW_SECONDS {
            return Err(PaymentProblem::TooOld(topup.id));
        }
        self.check_out(topup).await
    }

    async fn check_out(&self, topup: TopUp) -> Result<TopUp, PaymentProblem> {
        let request = CheckoutRequest {
            topup: topup.id,
            organization: topup.organization,
            amount: topup.amount,
            customer: topup.customer.clone(),
            save_method: topup.save_method,
        };
        let id = topup.id;
        let answer = self.settings.provider.begin_checkout(&request).await;
        let at = self.clock.now();
        match answer {
            Ok(checkout) => {
                let payments::CheckoutStarted { provider_ref, url, instructions } = checkout;
                let started = Started { provider_ref, url, instructions };
                let kept = started.clone();
                self.keep(move |store| store.started(id, &kept, at)).await?;
                Ok(TopUp { started: Some(started), updated_at: at, ..topup })
            }
            Err(error) => {
                if let (PaymentError::UnknownPayer(_), Some(customer)) = (&error, &topup.customer) {
                    // Otherwise no top-up would ever come through again. The next one makes a new customer.
                    self.forget_customer(topup.organization, customer, None).await?;
                }
                if !error.retryable() && !error.may_have_charged() {
                    // Nothing will ever come of it.
                    let (status, detail) = (TopUpStatus::Declined, error.to_string());
                    let ending = Ending { topup: id, status, detail, event: None, at };
                    self.keep(move |store| store.end(&ending)).await?;
                }
                Err(error.into())
            }
        }
    }

    /// Forgets a customer whom the provider does not know, or whose payment method it does not know, with that method.
    async fn forget_customer(
        &self,
        organization: OrganizationId,
        customer: &str,
        payment_method: Option<String>,
    ) -> Result<(), PaymentStoreError> {
        let (name, at) = (customer.to_owned(), self.clock.now());
        let forget = move |store: &dyn PaymentStore| {
            store.forget_customer(organization, &name, payment_method.as_deref(), at)
        };
        if self.keep(forget).await? {
            tracing::warn!(%organization, customer, "the payment provider does not know the payer; forgotten");
        }
        Ok(())
    }

    /// Grants the credit of a manual top-up, on the operator's word that it was paid. However often this is said, it is
    /// one payment.
    pub(crate) async fn confirm(
        &self,
        topup: TopUp,
        reason: String,
        name: Option<CallName>,
    ) -> Result<TopUp, PaymentProblem> {
        if topup.provider != payments::Manual::default().name() {
            return Err(PaymentProblem::NotManual { topup: topup.id, provider: topup.provider });
        }
        let receipt = Receipt {
            actor: "operator".to_owned(),
            reason: Some(reason),
            name,
            ..self.receipt(topup.id, topup.id.to_string())
        };
        let id = topup.id;
        self.keep(move |store| store.credit(&receipt)).await?;
        let paid = self.keep(move |store| store.topup(id)).await?;
        Ok(paid.unwrap_or(topup))
    }

    /// Settings of auto-recharge, if they are within the operator's bounds.
    pub(crate) fn settings_of(
        &self,
        limits: &payments::Limits,
    ) -> Result<Settings, Vec<payments::recharge::SettingsError>> {
        Settings::new(limits.threshold, limits.amount, limits.monthly_max, &self.settings.bounds)
    }

    /// A top-up of which nobody has heard yet.
    fn pending(&self, organization: OrganizationId, amount: Cents, purpose: Purpose) -> TopUp {
        let now = self.clock.now();
        TopUp {
            id: TopUpId::fresh(self.ids.as_ref()),
            organization,
            amount,
            purpose,
            provider: self.settings.provider.name().to_owned(),
            status: TopUpStatus::Pending,
            save_method: false,
            customer: None,
            payment_method: None,
            started: None,
            payment: None,
            detail: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What says that this payment paid this top-up, just now.
    fn receipt(&self, topup: TopUpId, payment: String) -> Receipt {
        let at = self.clock.now();
        Receipt {
            topup,
            payment,
            lot: LotId::fresh(self.ids.as_ref()),
            expires_at: at.plus_seconds(YEAR_SECONDS),
            actor: String::new(),
            reason: None,
            name: None,
            event: None,
            customer: None,
            payment_method: None,
            at,
        }
    }

    /// How long ago a top-up began, by our clock; never below zero, in case that was set back.
    fn age_seconds(&self, topup: &TopUp) -> i64 {
        self.clock.now().seconds().saturating_sub(topup.created_at.seconds()).max(0)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
