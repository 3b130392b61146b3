//! The body of a response: in one piece, cut off, or a stream; its writes split as told.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::stream::Events;
use crate::truth::Entry;

/// Why a connection is closed, or a stream of it reset, without a proper end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// As told.
    #[error("the fault asked for closes the connection")]
    Scripted,
    /// What cannot be logged must not look like a success.
    #[error("the truth log cannot be written: {0}")]
    Log(#[from] io::Error),
}

/// A response's body.
pub(crate) struct Body {
    source: Source,
    /// Bytes in one write, at most.
    piece: usize,
    /// Bytes taken from the source and not yet written.
    rest: Bytes,
    /// Whether what was written must leave before more is.
    pause: bool,
}

/// Where a body's bytes come from.
pub(crate) enum Source {
    /// All of it.
    Whole(Bytes),
    /// Its beginning, then what follows instead of the rest.
    Part(Part),
    /// A stream.
    Events(Box<Events>),
}

/// The beginning of a body of `total` bytes, and what comes then.
pub(crate) struct Part {
    bytes: Bytes,
    total: u64,
    hang: Option<Entry>,
}

impl Part {
    /// The first half of a body, then the connection closes; or, given an entry, hangs until the caller leaves and
    /// the entry with it.
    pub(crate) fn half(whole: Bytes, hang: Option<Entry>) -> Self {
        Self { total: whole.len() as u64, bytes: whole.slice(..whole.len() / 2), hang }
    }
}

impl Body {
    /// A body whose writes are of `split` bytes at most; 0 leaves them alone.
    pub(crate) fn new(source: Source, split: usize) -> Self {
        let piece = if split == 0 { usize::MAX } else { split };
        Self { source, piece, rest: Bytes::new(), pause: false }
    }
}

impl Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        match self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(mem::take(bytes)))),
            Self::Part(part) if !part.bytes.is_empty() => Poll::Ready(Some(Ok(mem::take(&mut part.bytes)))),
            Self::Part(part) if part.hang.is_some() => Poll::Pending,
            Self::Part(_) => Poll::Ready(Some(Err(Broken::Scripted))),
            Self::Events(events) => events.poll_next(cx),
        }
    }

    fn is_spent(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Part(_) => false,
            Self::Events(events) => events.is_spent(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if mem::take(&mut self.pause) {
            // A body that is not ready makes hyper flush what it has.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(self.source.poll_next(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let size = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(size);
        // Before a connection is torn, too: what was written last would be lost with it.
        self.pause = self.piece != usize::MAX || matches!(self.source, Source::Part(_));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.source.is_spent()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        match &self.source {
            // Of an unknown length, so that HTTP/1.1 frames each piece and the network cannot join them again.
            Source::Whole(_) if self.piece != usize::MAX => SizeHint::default(),
            Source::Whole(bytes) => SizeHint::with_exact(rest + bytes.len() as u64),
            Source::Part(part) => SizeHint::with_exact(rest + part.total),
            Source::Events(_) => SizeHint::default(),
        }
    }
}
