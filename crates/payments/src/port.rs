//! The port to a payment provider.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use domain::{OrganizationId, Timestamp, TopUpId};

use crate::{Cents, PaymentError};

/// An answer on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PaymentError>> + Send + 'a>>;

/// Who can be asked for money. Every call may be repeated with the same top-up, and then asks for the money once; what
/// must not change between two tries is the rest of the request.
pub trait PaymentProvider: Send + Sync + fmt::Debug {
    /// The provider's name, as stored with its top-ups.
    fn name(&self) -> &'static str;

    /// Whether [`PaymentProvider::charge_off_session`] can ever work, so that auto-recharge can be refused when it is
    /// switched on and not when it is needed.
    fn can_recharge(&self) -> bool;

    /// Begins a top-up that a person pays.
    fn begin_checkout<'a>(&'a self, request: &'a CheckoutRequest) -> Answer<'a, CheckoutStarted>;

    /// Charges a payment method that a person left for it. An error may leave the money taken: see
    /// [`crate::recharge::next`]. To be repeated only while the provider is sure to know the top-up's key
    /// ([`crate::stripe::RETRY_WINDOW_SECONDS`] since the first try).
    fn charge_off_session<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge>;

    /// Looks up what became of a charge whose answer was lost, when it is too late to repeat it; `None` when the
    /// provider never carried it out. `since` is when the first try was made, by our clock.
    fn find_charge<'a>(&'a self, request: &'a ChargeRequest, since: Timestamp) -> Answer<'a, Option<Charge>>;
}

/// A person wants to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRequest {
    /// The top-up, stored already; the idempotency key of the call.
    pub topup: TopUpId,
    /// Who will own the credit.
    pub organization: OrganizationId,
    /// How much, in dollars.
    pub amount: Cents,
    /// The provider's id of the customer, when this organization has paid before.
    pub customer: Option<String>,
    /// Whether the payment method is kept for auto-recharge. The provider's page tells the customer so.
    pub save_method: bool,
}

/// A checkout that a person can go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutStarted {
    /// The provider's id of the checkout.
    pub provider_ref: String,
    /// The page to pay on, if there is one.
    pub url: Option<String>,
    /// What to do, in a sentence for the person who pays.
    pub instructions: String,
}

/// Auto-recharge wants to charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeRequest {
    /// The top-up, stored already; the idempotency key of the call. A second try after a decline is a new top-up: the
    /// old key would only bring the old no again.
    pub topup: TopUpId,
    /// Who will own the credit.
    pub organization: OrganizationId,
    /// How much, in dollars.
    pub amount: Cents,
    /// The provider's id of the customer.
    pub customer: String,
    /// The provider's id of the payment method the customer left.
    pub payment_method: String,
}

/// What a charge came to. No credit is granted for it: the verified webhook does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Charge {
    /// The money is on its way to us.
    Succeeded {
        /// The provider's id of the payment.
        payment: String,
    },
    /// The payment method takes its time; the webhook will tell.
    Pending {
        /// The provider's id of the payment.
        payment: String,
    },
    /// The customer's bank, or the provider, said no.
    Declined {
        /// The reason as a word, such as `insufficient_funds` or `authentication_required`.
        code: String,
        /// The reason as a sentence that customers may read.
        message: String,
    },
}
