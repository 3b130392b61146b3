//! The answer's body: whole, or a stream that is relayed as it comes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::relay::Relay;

/// Speech that broke off: what came of it went out, and the connection ends with it, because a proper end would say that
/// it was all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the provider's audio broke off")
    }
}

impl std::error::Error for BrokenOff {}

/// The body of an answer. A stream of events that breaks says so in its last event; one of sound can only break off.
#[derive(Debug)]
pub enum Answer {
    /// All of it at once, already on the books.
    Whole(Option<Bytes>),
    /// As it comes from the provider; its end waits for the settlement.
    Stream(Box<Relay>),
}

impl From<Bytes> for Answer {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relay) => relay.poll_next(context).map(|next| match next {
                Some(bytes) => Some(Ok(Frame::data(bytes))),
                None => relay.is_torn().then_some(Err(BrokenOff)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(relay) => relay.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::new(),
        }
    }
}
