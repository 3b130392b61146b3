//! The port to a store: a command goes in, its answer comes back when it is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{Notify, oneshot};

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
    /// The store has stopped for good; a restart recovers.
    #[error("the ledger has stopped")]
    Stopped,
    /// The store could not save it. The command did not happen, unless the store died while it was committing: then
    /// ask again by the hold's id.
    #[error("the ledger's store failed: {0}")]
    Store(String),
}

/// A ledger on some store.
pub trait LedgerStore: Send + Sync {
    /// Queues a command. Commands on one organization's books are applied in the order in which they were
    /// queued.
    fn submit(&self, command: Command) -> Ticket;
}

/// What a command is answered with.
pub type LedgerAnswer = Result<Reply, LedgerError>;

/// The store's side of a [`Ticket`], answered through an [`Outbox`].
#[derive(Debug)]
pub struct ReplySender {
    sender: oneshot::Sender<LedgerAnswer>,
    postbox: Option<Arc<Postbox>>,
}

/// Where a thread's answers are collected, so that a store which answers many commands at once wakes the thread once.
///
/// Waking a task on another thread costs a system call; waking it on its own thread costs nothing. The thread that
/// owns the postbox runs [`Postbox::deliver`] beside its tasks.
#[derive(Debug, Default)]
pub struct Postbox {
    letters: Mutex<Vec<Letter>>,
    came: Notify,
}

#[derive(Debug)]
struct Letter {
    sender: oneshot::Sender<LedgerAnswer>,
    answer: LedgerAnswer,
}

/// Answers on their way out of a store, sorted by where they go.
#[derive(Debug, Default)]
pub struct Outbox {
    bags: Vec<(Arc<Postbox>, Vec<Letter>)>,
}

impl Outbox {
    /// Takes an answer to a ticket. It arrives with the next [`Outbox::send`].
    pub fn add(&mut self, reply: ReplySender, answer: LedgerAnswer) {
        let ReplySender { sender, postbox } = reply;
        let Some(postbox) = postbox else { return drop(sender.send(answer)) };
        let letter = Letter { sender, answer };
        // A bag for each serving thread: a handful, found faster by looking than by hashing.
        match self.bags.iter_mut().find(|(owner, _)| Arc::ptr_eq(owner, &postbox)) {
            Some((_, bag)) => bag.push(letter),
            None => self.bags.push((postbox, vec![letter])),
        }
    }

    /// Sends everything, waking each thread once.
    pub fn send(&mut self) {
        for (postbox, bag) in &mut self.bags {
            if !bag.is_empty() {
                postbox.put(bag);
            }
        }
    }
}

impl Postbox {
    fn put(&self, bag: &mut Vec<Letter>) {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).append(bag);
        self.came.notify_one();
    }

    /// Hands out answers as they come, for ever.
    pub async fn deliver(&self) {
        let mut batch = Vec::new();
        loop {
            self.came.notified().await;
            std::mem::swap(&mut batch, &mut *self.letters.lock().unwrap_or_else(PoisonError::into_inner));
            for Letter { sender, answer } in batch.drain(..) {
                // A caller that no longer waits gets nothing; what it asked for has happened all the same.
                let _ = sender.send(answer);
            }
        }
    }
}

/// A queued command's answer, to be awaited. Dropping it does not take the command back.
#[derive(Debug)]
#[must_use = "the answer says whether the command happened"]
pub struct Ticket(oneshot::Receiver<LedgerAnswer>);

impl Ticket {
    /// A ticket and the sender that answers it.
    pub fn open() -> (ReplySender, Self) {
        Self::open_at(None)
    }

    /// A ticket and the sender that answers it by way of this postbox.
    pub fn open_at(postbox: Option<Arc<Postbox>>) -> (ReplySender, Self) {
        let (sender, receiver) = oneshot::channel();
        (ReplySender { sender, postbox }, Self(receiver))
    }

    /// A ticket that is answered already.
    pub fn answered(answer: Result<Reply, LedgerError>) -> Self {
        let (sender, ticket) = Self::open();
        Outbox::default().add(sender, answer);
        ticket
    }

    /// Waits for the answer on this thread, which must not be one that runs asynchronous tasks.
    ///
    /// # Errors
    /// As the ledger answers.
    pub fn wait(self) -> Result<Reply, LedgerError> {
        self.0.blocking_recv().unwrap_or(Err(LedgerError::Stopped))
    }
}

impl Future for Ticket {
    type Output = Result<Reply, LedgerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|answer| answer.unwrap_or(Err(LedgerError::Stopped)))
    }
}
