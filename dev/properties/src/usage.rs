//! What must hold of every usage, whatever a provider says.

use domain::Usage;

/// Buckets are disjoint and reasoning is a part of the output, so what is charged is never more than what there is.
pub(crate) fn check_usage(usage: &Usage) {
    assert!(usage.reasoning <= usage.output, "more reasoning than output: {usage:?}");
}
