//! The ledger on its store, asked as the gateway asks it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{Clock, Timestamp};
use ledger::conformance::Payer;
use ledger::{Command, LedgerStore, LotKind, Postbox};
use store::{Durability, Store};

use crate::{Outcome, rate_of};

pub(crate) struct Ledger {
    _store: Store,
    desk: Arc<dyn LedgerStore>,
    postbox: Arc<Postbox>,
    payer: Payer,
    requests: AtomicU64,
}

impl Ledger {
    pub(crate) fn open(folder: &Path, durability: Durability) -> Outcome<Self> {
        let store = Store::open(folder, durability, Arc::new(SystemClock))?;
        let payer = Payer::number(1);
        let ledger = store.ledger();
        ledger.submit(payer.open()).wait()?;
        let credit = payer.grant(1, LotKind::Prepaid, 1_000_000_000_000_000_000, Timestamp::MAX);
        ledger.submit(credit.into()).wait()?;
        let postbox = Arc::new(Postbox::default());
        let desk = store.ledger_at(Arc::clone(&postbox));
        Ok(Self { _store: store, desk, postbox, payer, requests: AtomicU64::new(1) })
    }

    pub(crate) fn rate(&self, in_flight: usize, window: Duration) -> Outcome<u64> {
        rate_of(in_flight, window, self.postbox.deliver(), |_| async {
            let request = self.requests.fetch_add(1, Ordering::Relaxed);
            self.desk.submit(Command::Hold(self.payer.hold(request, 5_000_000))).await?;
            self.desk.submit(self.payer.settle_for(request, 1_234_567)).await?;
            Ok(())
        })
    }
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn monotonic_micros(&self) -> u64 {
        0
    }
}
