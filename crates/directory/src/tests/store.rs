//! The store in memory passes the suite that every store must pass.

use std::sync::Arc;

use crate::{MemoryDirectory, conformance};

#[test]
fn memory_conforms() {
    conformance::check(|| Arc::new(MemoryDirectory::default()));
}
