//! What Stripe's events mean, once their signature has been found good.
//!
//! An event is `{"id": "evt_…", "object": "event", "created": SECONDS, "livemode": BOOL, "type": "…", "data":
//! {"object": {…}}}` (docs.stripe.com/api/events/object). Several events tell of one payment and arrive in any order,
//! late and more than once; what they share is the id of the payment intent.

use std::collections::BTreeMap;

use domain::{Money, OrganizationId, Timestamp, TopUpId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Refusal, shorten};
use super::{META_ORGANIZATION, META_PURPOSE, META_TOPUP, Mode, WebhookError};
use crate::cents::money_of;
use crate::{Cents, Purpose};

/// A verified event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Stripe's id of it. The same event may come again, with the same id.
    pub id: String,
    /// When it happened, by Stripe's clock.
    pub created: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Money came: grant credit, once for ever by [`Payment::payment`].
    PaymentSucceeded(Payment),
    /// No money comes for this top-up, unless a [`EventKind::PaymentSucceeded`] says otherwise, before or after.
    PaymentFailed {
        /// Stripe's id of the payment, if one was begun.
        payment: Option<String>,
        /// The top-up.
        topup: TopUpId,
        /// Who would have owned the credit.
        organization: OrganizationId,
        /// Who asked for it.
        purpose: Purpose,
        /// The reason as a word.
        code: String,
        /// The reason as a sentence that customers may read.
        message: String,
    },
    /// Nobody paid in time (Stripe waits 24 hours).
    CheckoutExpired {
        /// Stripe's id of the checkout.
        checkout: String,
        /// The top-up.
        topup: TopUpId,
        /// Who would have owned the credit.
        organization: OrganizationId,
    },
    /// Money was given back, in Stripe's dashboard. Reported, not acted on: the operator books it.
    Refunded {
        /// Stripe's id of the payment.
        payment: String,
        /// The top-up, when the payment tells it.
        topup: Option<TopUpId>,
        /// All that was given back of this payment so far.
        amount: Money,
    },
    /// The customer's bank takes the money back. Reported, not acted on.
    Disputed {
        /// Stripe's id of the payment.
        payment: String,
        /// How much.
        amount: Money,
        /// The bank's reason, as a word.
        reason: String,
    },
    /// Of no meaning here: another type, or not ours. Holds the type.
    Ignored(String),
}

/// Money that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Stripe's id of the payment intent: the key by which credit is granted once for ever. Another key for a top-up
    /// that is paid already is other money, which a person paid twice.
    pub payment: String,
    /// The top-up it was asked for.
    pub topup: TopUpId,
    /// Who is to own the credit.
    pub organization: OrganizationId,
    /// Who asked for it.
    pub purpose: Purpose,
    /// What was paid. To be held against the pending top-up with [`Payment::check`].
    pub amount: Money,
    /// Stripe's id of the customer.
    pub customer: Option<String>,
    /// Stripe's id of the payment method, when the customer left it for auto-recharge with this payment. Only some events
    /// tell it: remember it also from one that comes after the credit was granted.
    pub payment_method: Option<String>,
}

/// Why a payment does not belong to the top-up it names. Credit must not be granted; a person has to look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentMismatch {
    /// Another organization.
    #[error("payment {payment} is of {paid}, but its top-up is of {expected}")]
    Organization {
        /// Stripe's id of the payment.
        payment: String,
        /// As the payment says.
        paid: OrganizationId,
        /// As the top-up says.
        expected: OrganizationId,
    },
    /// Another amount.
    #[error("payment {payment} is of {paid}, but its top-up is of {expected}")]
    Amount {
        /// Stripe's id of the payment.
        payment: String,
        /// What was paid.
        paid: Money,
        /// What was asked for.
        expected: Money,
    },
}

impl Payment {
    /// Whether this is what the stored top-up asked for.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, organization: OrganizationId, amount: Cents) -> Result<(), PaymentMismatch> {
        let payment = || self.payment.clone();
        if self.organization != organization {
            let (paid, expected) = (self.organization, organization);
            return Err(PaymentMismatch::Organization { payment: payment(), paid, expected });
        }
        if self.amount != amount.money() {
            let (paid, expected) = (self.amount, amount.money());
            return Err(PaymentMismatch::Amount { payment: payment(), paid, expected });
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    // Thin events of Stripe's second API lack what follows.
    created: Option<i64>,
    livemode: bool,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

/// A reference: an id, or the whole object where somebody asked for it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(String),
    Object { id: String },
}

type Metadata = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Session {
    id: String,
    payment_intent: Option<Reference>,
    payment_status: String,
    amount_total: Option<i64>,
    currency: Option<String>,
    customer: Option<Reference>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    amount_received: Option<i64>,
    currency: String,
    customer: Option<Reference>,
    payment_method: Option<Reference>,
    setup_future_usage: Option<String>,
    metadata: Option<Metadata>,
    last_payment_error: Option<Refusal>,
}

#[derive(Deserialize)]
struct RefundedCharge {
    payment_intent: Option<Reference>,
    amount_refunded: i64,
    currency: String,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Dispute {
    payment_intent: Option<Reference>,
    amount: i64,
    currency: String,
    #[serde(default)]
    reason: String,
}

impl Reference {
    fn into_id(self) -> String {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

/// By what a checkout or a payment is known as ours.
struct Ours {
    topup: TopUpId,
    organization: OrganizationId,
    purpose: Purpose,
}

/// Reads the body of a webhook whose signature is good.
pub(super) fn read(body: &[u8], mode: Mode) -> Result<Event, WebhookError> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| unreadable("event", &error))?;
    let (Some(created), Some(data), "event") = (envelope.created, envelope.data, envelope.object.as_str())
    else {
        let hint = format!("it is a `{}`; give the endpoint snapshot events", shorten(&envelope.object));
        return Err(WebhookError::Unreadable(hint));
    };
    if envelope.livemode != (mode == Mode::Live) {
        return Err(WebhookError::WrongMode { live: envelope.livemode });
    }
    let reader = Reader { event: &envelope.id, kind: &envelope.kind, object: data.object.get() };
    let kind = reader.kind()?.unwrap_or_else(|| EventKind::Ignored(shorten(&envelope.kind)));
    let created = Timestamp::from_micros(0).plus_seconds(created);
    Ok(Event { id: envelope.id, created, kind })
}

fn unreadable(what: &str, error: &serde_json::Error) -> WebhookError {
    WebhookError::Unreadable(format!("{what}: {}", shorten(&error.to_string())))
}

/// One event's object. Its methods answer `None` for what is not ours.
struct Reader<'a> {
    event: &'a str,
    kind: &'a str,
    object: &'a str,
}

type Kind = Result<Option<EventKind>, WebhookError>;

impl Reader<'_> {
    fn kind(&self) -> Kind {
        match self.kind {
            // A payment that takes its time is complete and unpaid first, and succeeds or fails later.
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => self.session_paid(),
            "checkout.session.async_payment_failed" => self.session_failed(),
            "checkout.session.expired" => self.session_expired(),
            "payment_intent.succeeded" => self.intent_succeeded(),
            "payment_intent.payment_failed" => self.intent_failed(),
            "charge.refunded" => self.refunded(),
            "charge.dispute.created" => self.disputed(),
            _ => Ok(None),
        }
    }

    fn session_paid(&self) -> Kind {
        let session: Session = self.parse()?;
        let Some(ours) = self.ours(session.metadata.as_ref())? else { return Ok(None) };
        if session.payment_status != "paid" {
            return Ok(None);
        }
        let payment = session.payment_intent.ok_or_else(|| self.lacks("payment_intent"))?.into_id();
        let currency = session.currency.ok_or_else(|| self.lacks("currency"))?;
        let amount = self.paid(session.amount_total, &currency, "amount_total")?;
        let customer = session.customer.map(Reference::into_id);
        let Ours { topup, organization, purpose } = ours;
        let payment_method = None;
        Ok(Some(EventKind::PaymentSucceeded(Payment {
            payment,
            topup,
            organization,
            purpose,
            amount,
            customer,
            payment_method,
        })))
    }

    fn session_failed(&self) -> Kind {
        let session: Session = self.parse()?;
        let Some(ours) = self.ours(session.metadata.as_ref())? else { return Ok(None) };
        let refusal = Refusal::default();
        Ok(Some(self.failed(session.payment_intent.map(Reference::into_id), ours, &refusal)))
    }

    fn session_expired(&self) -> Kind {
        let session: Session = self.parse()?;
        let ours = self.ours(session.metadata.as_ref())?;
        Ok(ours.map(|Ours { topup, organization, .. }| EventKind::CheckoutExpired {
            checkout: session.id,
            topup,
            organization,
        }))
    }

    fn intent_succeeded(&self) -> Kind {
        let intent: Intent = self.parse()?;
        let Some(ours) = self.ours(intent.metadata.as_ref())? else { return Ok(None) };
        let amount = self.paid(intent.amount_received, &intent.currency, "amount_received")?;
        let Ours { topup, organization, purpose } = ours;
        // Only what the customer agreed to leave is reported, so that nothing else can be charged later. A recharge
        // leaves nothing: it was paid by what had been left before, perhaps before something newer.
        let is_left =
            purpose == Purpose::Manual && intent.setup_future_usage.as_deref() == Some("off_session");
        let payment_method = intent.payment_method.filter(|_| is_left).map(Reference::into_id);
        let customer = intent.customer.map(Reference::into_id);
        Ok(Some(EventKind::PaymentSucceeded(Payment {
            payment: intent.id,
            topup,
            organization,
            purpose,
            amount,
            customer,
            payment_method,
        })))
    }

    fn intent_failed(&self) -> Kind {
        let intent: Intent = self.parse()?;
        let Some(ours) = self.ours(intent.metadata.as_ref())? else { return Ok(None) };
        // On Stripe's page, a person whose card is declined tries another one in the same checkout.
        if ours.purpose == Purpose::Manual {
            return Ok(None);
        }
        Ok(Some(self.failed(Some(intent.id), ours, &intent.last_payment_error.unwrap_or_default())))
    }

    fn refunded(&self) -> Kind {
        let charge: RefundedCharge = self.parse()?;
        let Some(payment) = charge.payment_intent.filter(|_| charge.currency == "usd") else {
            return Ok(None);
        };
        let topup = self.ours(charge.metadata.as_ref())?.map(|ours| ours.topup);
        let amount = money_of(charge.amount_refunded).ok_or_else(|| self.lacks("amount_refunded"))?;
        Ok(Some(EventKind::Refunded { payment: payment.into_id(), topup, amount }))
    }

    fn disputed(&self) -> Kind {
        let dispute: Dispute = self.parse()?;
        let Some(payment) = dispute.payment_intent.filter(|_| dispute.currency == "usd") else {
            return Ok(None);
        };
        let amount = money_of(dispute.amount).ok_or_else(|| self.lacks("amount"))?;
        let reason = shorten(&dispute.reason);
        Ok(Some(EventKind::Disputed { payment: payment.into_id(), amount, reason }))
    }

    fn failed(&self, payment: Option<String>, ours: Ours, refusal: &Refusal) -> EventKind {
        let Ours { topup, organization, purpose } = ours;
        let (code, message) = (refusal.word("payment_failed"), refusal.sentence());
        EventKind::PaymentFailed { payment, topup, organization, purpose, code, message }
    }

    fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, WebhookError> {
        serde_json::from_str(self.object)
            .map_err(|error| unreadable(&format!("{} {}", self.event, self.kind), &error))
    }

    /// The metadata that we gave, or `None` where it is another's: an account may sell other things, too.
    fn ours(&self, metadata: Option<&Metadata>) -> Result<Option<Ours>, WebhookError> {
        let value = |name: &str| metadata.and_then(|metadata| metadata.get(name));
        let Some(topup) = value(META_TOPUP).filter(|text| text.starts_with(TopUpId::PREFIX)) else {
            return Ok(None);
        };
        let topup = topup.parse().map_err(|_| self.lacks("metadata.topup"))?;
        let organization = value(META_ORGANIZATION).and_then(|text| text.parse().ok());
        let organization = organization.ok_or_else(|| self.lacks("metadata.organization"))?;
        let purpose = value(META_PURPOSE).and_then(|text| Purpose::parse(text));
        let purpose = purpose.ok_or_else(|| self.lacks("metadata.purpose"))?;
        Ok(Some(Ours { topup, organization, purpose }))
    }

    /// What was paid. Other currencies count in other units: 500 is 5 dollars, but 500 yen.
    fn paid(&self, cents: Option<i64>, currency: &str, field: &str) -> Result<Money, WebhookError> {
        if currency != "usd" {
            let (event, currency) = (self.event.to_owned(), shorten(currency));
            return Err(WebhookError::Currency { event, currency });
        }
        let amount = cents.and_then(money_of).filter(|amount| !amount.is_zero());
        amount.ok_or_else(|| self.lacks(field))
    }

    fn lacks(&self, field: &str) -> WebhookError {
        WebhookError::Unreadable(format!("{} {}: {field} is missing or cannot be", self.event, self.kind))
    }
}
