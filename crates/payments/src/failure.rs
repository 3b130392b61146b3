//! How asking a payment provider can fail, and what that says about the money.

/// No answer that tells what became of the request. The texts hold no secret and may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// No connection, or no whole answer in time.
    #[error("the payment provider could not be reached: {reason}")]
    Unreachable {
        /// What failed.
        reason: &'static str,
        /// Whether the request may have arrived all the same.
        sent: bool,
    },
    /// The provider answered with an error that is not about the customer's money.
    #[error("the payment provider answered {status} ({code}): {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's word for it.
        code: String,
        /// The provider's sentence, shortened and without our key.
        message: String,
        /// Whether the same request can be answered differently later.
        retry: bool,
    },
    /// The provider does not know the customer or the payment method it was asked for: deleted there, or of another
    /// account or mode. It will not know them tomorrow.
    #[error("the payment provider does not know whom to charge: {0}")]
    UnknownPayer(String),
    /// The provider's answer cannot be read.
    #[error("the payment provider's answer cannot be read: {0}")]
    Garbage(&'static str),
    /// This provider has no way to do that.
    #[error("{0}")]
    Impossible(&'static str),
}

impl PaymentError {
    /// Whether repeating the request, with the same top-up, can help.
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Garbage(_) => true,
            Self::Rejected { retry, .. } => *retry,
            Self::UnknownPayer(_) | Self::Impossible(_) => false,
        }
    }

    /// Whether the money may have been taken all the same. The top-up then stays pending until a webhook or a repeated
    /// request tells, and no other may be begun in its place.
    pub const fn may_have_charged(&self) -> bool {
        match self {
            Self::Unreachable { sent, .. } => *sent,
            Self::Garbage(_) => true,
            // 409: a request with the same key is at work right now. 5xx: Stripe calls the outcome indeterminate.
            Self::Rejected { status, .. } => *status == 409 || *status >= 500,
            Self::UnknownPayer(_) | Self::Impossible(_) => false,
        }
    }
}
