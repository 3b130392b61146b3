//! The port to a store: a command goes in, its answer comes back when it is durable.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{Command, Denial, Reply};

/// Why a command brought nothing about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The rules said no.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// Too many commands are waiting; nothing was queued.
    #[error("the ledger is busy")]
    Busy,
    /// The store could not save it. The command did not happen, unless the store died while it was committing: then
    /// ask again by the hold's id.
    #[error("the ledger's store failed: {0}")]
    Store(String),
}

/// A ledger on some store.
pub trait LedgerStore: Send + Sync {
    /// Queues a command. Commands on one wallet are applied in the order in which they were queued.
    fn submit(&self, command: Command) -> Ticket;
}

/// The store's side of a [`Ticket`].
pub type ReplySender = oneshot::Sender<Result<Reply, LedgerError>>;

/// A queued command's answer, to be awaited. Dropping it does not take the command back.
#[derive(Debug)]
#[must_use = "the answer says whether the command happened"]
pub struct Ticket(oneshot::Receiver<Result<Reply, LedgerError>>);

impl Ticket {
    /// A ticket and the sender that answers it.
    pub fn open() -> (ReplySender, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// A ticket that is answered already.
    pub fn answered(answer: Result<Reply, LedgerError>) -> Self {
        let (sender, ticket) = Self::open();
        // The receiver lives in `ticket`, so sending cannot fail.
        let _ = sender.send(answer);
        ticket
    }

    /// Waits for the answer on this thread, which must not be one that runs asynchronous tasks.
    ///
    /// # Errors
    /// As the ledger answers.
    pub fn wait(self) -> Result<Reply, LedgerError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err(stopped()))
    }
}

impl Future for Ticket {
    type Output = Result<Reply, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or_else(|_| Err(stopped())))
    }
}

fn stopped() -> LedgerError {
    LedgerError::Store("the writer has stopped".to_owned())
}
