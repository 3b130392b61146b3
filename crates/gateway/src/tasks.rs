//! Work that outlives its caller: from the hold on, a call must end on the books whoever still listens.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::Notify;

/// A piece of work that nobody waits for.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where detached work runs. The server has the real one, which a shutdown waits for.
pub trait Tasks: Send + Sync {
    /// Runs the task to its end on the current thread's runtime.
    fn spawn(&self, task: Task);
    /// Runs work that computes for long, away from the threads that serve.
    fn offload(&self, work: Box<dyn FnOnce() + Send>);
}

/// Whether the client of a call has gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presence(Arc<Leaving>);

#[derive(Debug, Default)]
struct Leaving {
    gone: AtomicBool,
    left: Notify,
}

impl Presence {
    pub(crate) fn is_gone(&self) -> bool {
        self.0.gone.load(Ordering::Acquire)
    }

    /// Waits until the client has gone.
    pub(crate) async fn gone(&self) {
        let left = self.0.left.notified();
        if !self.is_gone() {
            left.await;
        }
    }

    fn leave(&self) {
        self.0.gone.store(true, Ordering::Release);
        self.0.left.notify_waiters();
    }
}

/// A future that goes on by itself when it is dropped before its end, as happens when a client hangs up.
///
/// Work runs inside the connection's own task as long as the client is there, so that an ordinary call costs neither a
/// task nor a channel.
pub(crate) struct Persistent<F: Future + Send + 'static> {
    work: Option<Pin<Box<F>>>,
    presence: Presence,
    tasks: Arc<dyn Tasks>,
}

impl<F: Future + Send + 'static> Persistent<F> {
    pub(crate) fn new(work: F, presence: Presence, tasks: Arc<dyn Tasks>) -> Self {
        Self { work: Some(Box::pin(work)), presence, tasks }
    }
}

impl<F: Future + Send + 'static> Future for Persistent<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = self.work.as_mut() else { return Poll::Pending };
        let output = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(output)
    }
}

impl<F: Future + Send + 'static> Drop for Persistent<F> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.presence.leave();
            self.tasks.spawn(Box::pin(async move {
                // Whatever it answers has nobody to read it; a stream in it settles when it is dropped.
                drop(work.await);
            }));
        }
    }
}
