//! The port to where top-ups are kept.
//!
//! # Why status and credit never contradict
//! A payment crosses four parties (us, the network, the provider, its webhooks), any of which may die between two
//! steps. Each step is durable before the next begins, and each may be repeated:
//!
//! | we die after | what is stored | who repeats what |
//! |---|---|---|
//! | nothing yet | nothing | nobody: no provider has heard of it |
//! | [`PaymentStore::begin`], [`PaymentStore::begin_recharge`] | pending | a person's call comes again with its idempotency key and finds this top-up; a recharge is found by [`PaymentStore::pending_recharges`]. Both ask the provider again, with the top-up's id as *its* idempotency key and the very same request, since all of it is kept in the [`TopUp`]: it answers as the first time |
//! | the provider was called | pending | the same; money that was taken is told by the webhook, whether or not we heard the answer |
//! | [`PaymentStore::started`] | pending, with the provider's reference | a webhook tells the end |
//! | a webhook came | as before | the provider, which sends it again until it is answered with 2xx |
//! | [`PaymentStore::credit`] | paid, the credit booked, the event remembered | the provider sends the event again, and it is found among those that were acted on |
//!
//! The step that moves money, [`PaymentStore::credit`], is *one* transaction: the ledger's booking, the top-up's status,
//! the memory of the event, the payment method that the customer left. So there is no moment at which a top-up is paid
//! without credit, or credit is there and its top-up pending; and since the ledger books a payment once for ever, no
//! repetition, under whatever event, books it twice. A decline is one transaction in the same way: status, count,
//! event.
//!
//! What nobody repeats: a person's top-up without an idempotency key, whose caller lost the answer. It stays pending,
//! has no page to be paid on that anybody knows, and does no harm.

use domain::{LotId, Money, OrganizationId, Timestamp, TopUpId};

use crate::recharge::{Settings, State};
use crate::{Cents, Purpose, TopUpStatus};

/// A top-up as it is kept. Whatever a provider is asked follows from it, so that a repeated request is the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// Its id, and the idempotency key at the provider.
    pub id: TopUpId,
    /// Who will own the credit.
    pub organization: OrganizationId,
    /// How much.
    pub amount: Cents,
    /// Who asked for it.
    pub purpose: Purpose,
    /// The provider's name.
    pub provider: String,
    /// What became of it.
    pub status: TopUpStatus,
    /// Whether the customer is asked to leave the payment method for auto-recharge.
    pub save_method: bool,
    /// The provider's id of the customer, as it was known when the top-up began.
    pub customer: Option<String>,
    /// The payment method that a recharge charges.
    pub payment_method: Option<String>,
    /// What the provider said when it was asked.
    pub started: Option<Started>,
    /// The provider's id of the payment that it was paid by, the first if there were several.
    pub payment: Option<String>,
    /// Why it is where it is, as a sentence.
    pub detail: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What the provider said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// Its id of the checkout or of the payment.
    pub provider_ref: String,
    /// The page to pay on.
    pub url: Option<String>,
    /// What to do, for the person who pays.
    pub instructions: String,
}

/// A caller's own name for a call: the same name with the same body is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallName {
    /// The caller's key, 1 to 255 bytes.
    pub key: String,
    /// A digest of what came with it.
    pub digest: [u8; 32],
}

/// What [`PaymentStore::begin`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is stored.
    New,
    /// The same call came before: this is its top-up.
    Known(Box<TopUp>),
    /// A recharge of this organization is pending, or its auto-recharge is off or no longer what called for this one:
    /// nothing is stored.
    NotNow,
}

/// A provider's event: what a webhook is known by when it comes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventName {
    /// The provider.
    pub provider: String,
    /// The provider's id of the event.
    pub id: String,
    /// When it happened, by the provider's clock.
    pub created: Timestamp,
}

/// Money that came, verified: by a webhook's signature, or by the operator's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The top-up it pays.
    pub topup: TopUpId,
    /// The provider's id of the payment. With the provider's name before it, the key under which credit is booked once
    /// for ever.
    pub payment: String,
    /// The id of the lot, if one is made.
    pub lot: LotId,
    /// When the credit stops being usable.
    pub expires_at: Timestamp,
    /// Who vouches for the payment: `stripe`, or `operator`.
    pub actor: String,
    /// Why, if somebody said so.
    pub reason: Option<String>,
    /// The name of the call that confirmed it, if a caller gave one.
    pub name: Option<CallName>,
    /// The event that told of it, if one did.
    pub event: Option<EventName>,
    /// The provider's id of the customer.
    pub customer: Option<String>,
    /// The payment method that the customer left.
    pub payment_method: Option<String>,
    /// When it was verified, by our clock.
    pub at: Timestamp,
}

/// What [`PaymentStore::credit`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credited {
    /// Credit was booked.
    Booked,
    /// Credit was booked for a top-up that had been paid by another payment before: the customer paid twice, and somebody
    /// should ask whether that was meant.
    Twice,
    /// This payment was booked before. What else the event told is kept.
    Before,
    /// This event was acted on before; nothing was done.
    Replayed,
}

/// No money comes for a top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The top-up.
    pub topup: TopUpId,
    /// [`TopUpStatus::Declined`] or [`TopUpStatus::Expired`].
    pub status: TopUpStatus,
    /// Why, as a sentence.
    pub detail: String,
    /// The event that told of it, if one did.
    pub event: Option<EventName>,
    /// When, by our clock.
    pub at: Timestamp,
}

/// An organization's auto-recharge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recharge {
    /// Whose.
    pub organization: OrganizationId,
    /// Whether it is on.
    pub enabled: bool,
    /// Below which balance, how much, and how much a month; kept when it is switched off.
    pub limits: Option<Limits>,
    /// The provider's id of the customer.
    pub customer: Option<String>,
    /// The payment method that the customer left.
    pub payment_method: Option<String>,
    /// Declines in a row.
    pub declines: u32,
    /// When the last of them was; without meaning when there was none.
    pub last_decline_at: Timestamp,
}

/// What is kept of [`Settings`], which check themselves anew when they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The balance below which to recharge.
    pub threshold: Money,
    /// What one recharge adds.
    pub amount: Money,
    /// What all recharges of one month may add.
    pub monthly_max: Money,
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        let (threshold, monthly_max) = (settings.threshold(), settings.monthly_max());
        Self { threshold, amount: settings.amount().money(), monthly_max }
    }
}

/// Something about auto-recharge that its owner is told of once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// The payment method was declined too often. Told again when it happens again after a change.
    SwitchedOff {
        /// Declines in a row.
        declines: u32,
    },
    /// The month's maximum has no room. Told once for each month.
    MonthlyMaximumReached {
        /// When the month began.
        month: Timestamp,
        /// The maximum.
        monthly_max: Money,
    },
}

/// Something about a payment that its owner should look at, besides what the other calls tell by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whose.
    pub organization: OrganizationId,
    /// What, as a word: `payment_mismatch`, `recharge_refused`, `webhook_missing`.
    pub what: &'static str,
    /// The top-up, if it is known.
    pub topup: Option<TopUpId>,
    /// What about it, as a sentence.
    pub detail: String,
    /// The event that told of it, if one did: it is told of once.
    pub event: Option<EventName>,
    /// When, by our clock.
    pub at: Timestamp,
}

/// How money went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnKind {
    /// The operator gave it back, at the provider.
    Refunded,
    /// The customer's bank took it back.
    Disputed,
}

impl ReturnKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Refunded, Self::Disputed];

    /// The word in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refunded => "payment_refunded",
            Self::Disputed => "payment_disputed",
        }
    }
}

/// Money that went back, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The provider's id of the payment.
    pub payment: String,
    /// The top-up that the provider says it paid, if it says so.
    pub topup: Option<TopUpId>,
    /// How.
    pub kind: ReturnKind,
    /// What about it, as a sentence without a full stop.
    pub detail: String,
    /// The event that told of it. Its provider is the payment's.
    pub event: EventName,
    /// When, by our clock.
    pub at: Timestamp,
}

/// Why a store did not do as told. Whatever the reason, it holds what it held before, but for
/// [`PaymentStoreError::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentStoreError {
    /// There is no such top-up.
    #[error("there is no {0}")]
    Unknown(TopUpId),
    /// The caller's key came with another body before.
    #[error("this key came with another body before")]
    NameTaken,
    /// The ledger did not book the credit; the text says why.
    #[error("the ledger refused the credit: {0}")]
    Refused(String),
    /// The storage itself failed; the text is for the operator's log, not for a caller. A change was not made, unless
    /// the storage died while it was making it: to repeat it is safe.
    #[error("the storage of payments failed: {0}")]
    Failed(String),
}

/// What every call answers.
pub type Kept<T> = Result<T, PaymentStoreError>;

/// Keeps top-ups and auto-recharge. Calls block, so the server makes them off the data path; each change is durable
/// before it returns.
pub trait PaymentStore: Send + Sync {
    /// Stores a person's pending top-up, before the provider hears of it. A recharge is [`Begun::NotNow`]: it begins with
    /// [`PaymentStore::begin_recharge`].
    fn begin(&self, topup: &TopUp, name: Option<&CallName>) -> Kept<Begun>;

    /// Stores a pending recharge, before the provider hears of it, if no other of this organization is pending and its
    /// auto-recharge is still on with these limits and the top-up's payment method, and the month that began at `month`
    /// still has room for it: whoever lowered a limit is never charged by the old one.
    fn begin_recharge(&self, topup: &TopUp, limits: &Limits, month: Timestamp) -> Kept<Begun>;

    /// Keeps what the provider said when it was asked. The first word stays.
    fn started(&self, topup: TopUpId, started: &Started, at: Timestamp) -> Kept<()>;

    /// Books the credit for a verified payment and marks its top-up as paid, in one transaction.
    fn credit(&self, receipt: &Receipt) -> Kept<Credited>;

    /// Marks a top-up as ended without money, if it may become that; answers whether it did. A recharge that becomes
    /// declined counts as one decline.
    fn end(&self, ending: &Ending) -> Kept<bool>;

    /// Switches auto-recharge on with these settings, or off. Declines are forgotten where that changes anything: the same
    /// settings again are no reason to try again sooner.
    fn set_recharge(&self, organization: OrganizationId, settings: Option<&Settings>) -> Kept<()>;

    /// Tells of something once; answers whether it was told just now.
    fn alert(&self, organization: OrganizationId, alert: &Alert, at: Timestamp) -> Kept<bool>;

    /// Tells of something; answers whether it was told just now, and not when the same event came before.
    fn notice(&self, notice: &Notice) -> Kept<bool>;

    /// Tells of money that went back, and answers whether it was told just now. Events come in any order: where neither the
    /// payment nor its top-up is known, it is told when the payment is credited.
    fn returned(&self, returned: &Returned) -> Kept<bool>;

    /// Forgets a customer whom the provider does not know, or whose payment method it does not know, with that method,
    /// and tells of it; answers whether they were kept until now. With a method, only if it is still the one that is kept.
    fn forget_customer(
        &self,
        organization: OrganizationId,
        customer: &str,
        payment_method: Option<&str>,
        at: Timestamp,
    ) -> Kept<bool>;

    /// A top-up.
    fn topup(&self, id: TopUpId) -> Kept<Option<TopUp>>;

    /// The top-up that a payment paid.
    fn topup_of_payment(&self, provider: &str, payment: &str) -> Kept<Option<TopUp>>;

    /// An organization's newest top-ups, newest first: those before this one, at most `limit`.
    fn topups(&self, organization: OrganizationId, before: Option<TopUpId>, limit: u32) -> Kept<Vec<TopUp>>;

    /// An organization's auto-recharge; `None` when nothing was ever set or left for it.
    fn recharge(&self, organization: OrganizationId) -> Kept<Option<Recharge>>;

    /// What happened so far in the month that began at `month`, for [`crate::recharge::decide`].
    fn recharge_state(&self, organization: OrganizationId, month: Timestamp) -> Kept<State>;

    /// Organizations whose auto-recharge is on and whose own wallet is booked below the threshold: who may need a
    /// recharge. Frozen books do not: nothing could be credited to them. Cheap when there are none.
    fn recharge_candidates(&self) -> Kept<Vec<OrganizationId>>;

    /// All recharges under way.
    fn pending_recharges(&self) -> Kept<Vec<TopUp>>;
}
