//! Tests of the crate as its users see it, and what they share.

mod catalog;
mod cost;
mod property;

use std::sync::Arc;

use domain::Timestamp;

use crate::{Catalog, PriceVersion};

/// A moment after the catalogue was retrieved and before its first announced change.
const NOW: &str = "2026-11-21T12:00:00Z";

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

/// A compiled-in price, which must be there.
fn listed(provider: &str, model: &str, at: Timestamp) -> Arc<PriceVersion> {
    let catalog = Catalog::embedded().expect("a catalogue without mistakes");
    catalog.find(provider, model, at).unwrap_or_else(|| panic!("{provider}/{model} has no price at {at}"))
}
