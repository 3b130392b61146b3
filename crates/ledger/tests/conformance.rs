//! The suite of the port, on the ledger in memory.

use std::sync::Arc;

use domain::{Clock, Timestamp};
use tollkeeper_ledger::{MemoryLedger, conformance};

/// The suite's clock, as the ledger in memory wants one.
struct Shared(Arc<dyn Clock>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.monotonic_micros()
    }
}

#[test]
fn the_ledger_in_memory_conforms() {
    conformance::check("memory", &|clock| Box::new(MemoryLedger::new(Shared(clock))));
}
