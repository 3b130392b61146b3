//! What Stripe's webhooks do. The signature is the credential: until it has been found good, nothing is read.
//!
//! The answer decides whether Stripe sends the event again: any 2xx ends it, anything else repeats it for days. So what
//! was done, what is not ours, and what no repetition can mend is answered 200; what failed here is answered 503.

use domain::TopUpId;
use payments::stripe::{Event, EventKind, Payment, WebhookError};
use payments::{
    Credited, Ending, EventName, Notice, PaymentStoreError, Receipt, ReturnKind, Returned, TopUp, TopUpStatus,
};

use super::Payments;

/// The largest webhook: Stripe's are a few kilobytes.
pub(crate) const WEBHOOK_BYTES_MAX: usize = 256 * 1024;
/// The provider's name before its events and payments, and as the actor of what its payments book.
const STRIPE: &str = "stripe";

/// What came of a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// No webhooks are expected here.
    Nowhere,
    /// Nobody vouches for it: the text says what is wrong with its signature.
    Forged(String),
    /// It needs not come again.
    Done,
    /// It was not acted on and should come again.
    Again,
}

impl Payments {
    /// Acts on a webhook: the `Stripe-Signature` header (empty if there is none) and the body as it came.
    pub(crate) async fn deliver(&self, header: &str, body: &[u8]) -> Delivered {
        let Some(webhook) = &self.settings.webhook else { return Delivered::Nowhere };
        match webhook.verify(header, body, self.now()) {
            Ok(event) => self.act(event).await,
            Err(error) => refuse(&error),
        }
    }

    async fn act(&self, event: Event) -> Delivered {
        let Event { id, created, kind } = event;
        let name = EventName { provider: STRIPE.to_owned(), id: id.clone(), created };
        let done = match kind {
            EventKind::PaymentSucceeded(payment) => self.paid(payment, name).await,
            EventKind::PaymentFailed { topup, code, message, .. } => {
                self.ended(topup, TopUpStatus::Declined, format!("{message} ({code})"), name).await
            }
            EventKind::CheckoutExpired { topup, .. } => {
                self.ended(topup, TopUpStatus::Expired, "nobody paid in time".to_owned(), name).await
            }
            EventKind::Refunded { payment, topup, amount } => {
                let detail = format!(
                    "{amount} of {payment} was given back at Stripe; book it with `tollkeeper credits payout`"
                );
                self.returned(ReturnKind::Refunded, payment, topup, detail, name).await
            }
            EventKind::Disputed { payment, amount, reason } => {
                let detail = format!(
                    "the customer's bank takes back {amount} of {payment} ({reason}); answer it at Stripe"
                );
                self.returned(ReturnKind::Disputed, payment, None, detail, name).await
            }
            EventKind::Ignored(what) => {
                tracing::debug!(event = %id, what, "an event of no meaning here");
                Ok(())
            }
        };
        match done {
            Ok(()) => Delivered::Done,
            Err(error) => {
                tracing::error!(event = %id, %error, "a webhook could not be acted on; it will come again");
                Delivered::Again
            }
        }
    }

    /// Money came.
    async fn paid(&self, payment: Payment, name: EventName) -> Result<(), PaymentStoreError> {
        let id = payment.topup;
        let Some(topup) = self.keep(move |store| store.topup(id)).await? else {
            // Another gateway may sell on the same account.
            tracing::info!(event = %name.id, topup = %id, "a payment for a top-up that is not ours");
            return Ok(());
        };
        let mismatch = payment.check(topup.organization, topup.amount).err().map(|error| error.to_string());
        let elsewhere = || format!("{} was paid through Stripe, but began at {}", topup.id, topup.provider);
        if let Some(detail) = mismatch.or_else(|| (topup.provider != STRIPE).then(elsewhere)) {
            return self.notice(&topup, "payment_mismatch", detail, name).await;
        }
        let receipt = Receipt {
            actor: STRIPE.to_owned(),
            event: Some(name),
            customer: payment.customer,
            payment_method: payment.payment_method,
            ..self.receipt(id, payment.payment.clone())
        };
        let credited = self.keep(move |store| store.credit(&receipt)).await?;
        let (organization, payment) = (topup.organization, payment.payment);
        match credited {
            Credited::Booked => tracing::info!(topup = %id, %organization, payment, "a top-up was paid"),
            Credited::Twice => tracing::warn!(topup = %id, %organization, payment, "a top-up was paid twice"),
            Credited::Before | Credited::Replayed => tracing::debug!(topup = %id, payment, "known already"),
        }
        Ok(())
    }

    /// No money comes.
    async fn ended(
        &self,
        topup: TopUpId,
        status: TopUpStatus,
        detail: String,
        name: EventName,
    ) -> Result<(), PaymentStoreError> {
        let event = name.id.clone();
        let ending = Ending { topup, status, detail, event: Some(name), at: self.now() };
        match self.keep(move |store| store.end(&ending)).await {
            Err(PaymentStoreError::Unknown(topup)) => {
                tracing::info!(event, %topup, "news of a top-up that is not ours");
                Ok(())
            }
            done => done.map(|_| ()),
        }
    }

    /// Money went back. What of it is to be booked, the operator decides.
    async fn returned(
        &self,
        kind: ReturnKind,
        payment: String,
        topup: Option<TopUpId>,
        detail: String,
        event: EventName,
    ) -> Result<(), PaymentStoreError> {
        let (id, at) = (event.id.clone(), self.now());
        let returned = Returned { payment, topup, kind, detail, event, at };
        if !self.keep(move |store| store.returned(&returned)).await? {
            tracing::info!(event = %id, what = kind.as_str(), "known already, or of no payment that is known");
        }
        Ok(())
    }

    async fn notice(
        &self,
        topup: &TopUp,
        what: &'static str,
        detail: String,
        name: EventName,
    ) -> Result<(), PaymentStoreError> {
        let (organization, id) = (topup.organization, Some(topup.id));
        let notice = Notice { organization, what, topup: id, detail, event: Some(name), at: self.now() };
        self.keep(move |store| store.notice(&notice)).await.map(|_| ())
    }
}

fn refuse(error: &WebhookError) -> Delivered {
    if error.is_authentic() {
        // It tells of money, and no repetition makes it usable.
        tracing::error!(%error, "a webhook of Stripe's cannot be used; a person must look at the payment there");
        return Delivered::Done;
    }
    tracing::warn!(%error, "a webhook was refused");
    Delivered::Forged(error.to_string())
}
