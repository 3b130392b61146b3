//! A connection whose next bytes can be made to trickle.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Bytes that trickle: within the shortest head that the mock sends.
const TRICKLED: u64 = 50;

/// How a connection's next bytes go out; shared by the connection and the requests on it.
#[derive(Default)]
pub(crate) struct Tap {
    /// Bytes that still go out one by one.
    left: AtomicU64,
    /// Milliseconds before each of them.
    gap_ms: AtomicU64,
}

/// A TCP connection behind a [`Tap`].
pub(crate) struct Wire {
    stream: TcpStream,
    tap: Arc<Tap>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Tap {
    /// Lets the next bytes trickle, so that about `over_ms` pass before the rest follows.
    pub(crate) fn trickle(&self, over_ms: u64) {
        self.gap_ms.store((over_ms / TRICKLED).max(1), Ordering::Relaxed);
        self.left.store(TRICKLED, Ordering::Relaxed);
    }

    fn trickles(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }
}

impl Wire {
    /// Puts a connection behind its tap.
    pub(crate) fn new(stream: TcpStream, tap: Arc<Tap>) -> Self {
        Self { stream, tap, pause: None }
    }

    fn write_one(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let gap = Duration::from_millis(self.tap.gap_ms.load(Ordering::Relaxed));
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(gap)));
        ready!(pause.as_mut().poll(cx));
        self.pause = None;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..bytes.len().min(1)]))?;
        self.tap.left.fetch_sub(1, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.tap.trickles() {
            return self.write_one(cx, bytes);
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tap.trickles() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.write_one(cx, first.map_or(&[], |slice| slice));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
