//! The suite every ledger store must pass.
