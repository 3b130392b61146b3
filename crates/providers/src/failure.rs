//! How a call can fail before or while its answer arrives, other than by the provider's own words.

use crate::connect::ConnectTimeout;

/// A failure of the way to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportFailure {
    /// No connection: refused, unreachable, unknown name, bad certificate.
    #[error("the provider could not be reached")]
    Connect,
    /// No connection in time.
    #[error("the provider did not accept a connection in time")]
    ConnectTimeout,
    /// No answer began in time.
    #[error("the provider did not begin to answer in time")]
    FirstByteTimeout,
    /// The answer stood still for too long.
    #[error("the provider stopped sending")]
    IdleTimeout,
    /// The connection ended before the answer did.
    #[error("the provider closed the connection early")]
    Closed,
    /// The answer is not HTTP, or not what was asked for.
    #[error("the provider sent what cannot be read")]
    Garbage,
    /// The answer is larger than we take.
    #[error("the provider's answer is larger than this gateway takes (server.answer_bytes_max)")]
    TooLarge,
    /// There is no access token to call with.
    #[error("the gateway could get no access token for its account at the provider")]
    NoToken,
}

impl TransportFailure {
    /// The reason on the cost row.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connect => "upstream_unreachable",
            Self::ConnectTimeout => "upstream_connect_timeout",
            Self::FirstByteTimeout => "upstream_timeout",
            Self::IdleTimeout => "upstream_idle_timeout",
            Self::Closed => "upstream_closed",
            Self::Garbage => "upstream_garbage",
            Self::TooLarge => "upstream_too_large",
            Self::NoToken => "provider_auth_failed",
        }
    }

    /// What an error of the HTTP client means.
    pub(crate) fn of_request(error: &hyper_util::client::legacy::Error) -> Self {
        if !error.is_connect() {
            return Self::of_chain(error);
        }
        if has_cause(error, |cause| cause.is::<ConnectTimeout>()) {
            Self::ConnectTimeout
        } else {
            Self::Connect
        }
    }

    /// What an error while reading an answer means.
    pub fn of_body(error: &hyper::Error) -> Self {
        Self::of_chain(error)
    }

    fn of_chain(error: &(dyn std::error::Error + 'static)) -> Self {
        let unreadable = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| error.is_parse() && !error.is_incomplete_message())
        };
        if has_cause(error, unreadable) { Self::Garbage } else { Self::Closed }
    }
}

fn has_cause(
    error: &(dyn std::error::Error + 'static),
    is_it: impl Fn(&(dyn std::error::Error + 'static)) -> bool,
) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is_it(cause) {
            return true;
        }
        next = cause.source();
    }
    false
}
