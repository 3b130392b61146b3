//! The owner of spawning: work that outlives its caller, counted so that a shutdown can wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::{Task, Tasks};

/// Counts what must end before the process may: calls and detached work.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

/// One thing in flight, until dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<AtomicUsize>);

impl InFlight {
    pub(crate) fn enter(&self) -> InFlightGuard {
        self.0.fetch_add(1, Ordering::AcqRel);
        InFlightGuard(Arc::clone(&self.0))
    }

    /// Waits until nothing is in flight, or this time is over.
    pub(crate) async fn wait(&self, time_max: Duration) {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let mut looks = time_max.as_millis() / LOOK_EVERY.as_millis();
        while self.count() > 0 && looks > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
            looks -= 1;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs detached work on the runtime of the thread that asks.
#[derive(Debug)]
pub(crate) struct RuntimeTasks {
    in_flight: InFlight,
}

impl RuntimeTasks {
    pub(crate) const fn new(in_flight: InFlight) -> Self {
        Self { in_flight }
    }
}

impl Tasks for RuntimeTasks {
    fn spawn(&self, task: Task) {
        let guard = self.in_flight.enter();
        // Outside a runtime nothing can run: the task is dropped, and a hold in it is settled by its own drop.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                task.await;
                drop(guard);
            }));
        }
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(work));
        }
    }
}
