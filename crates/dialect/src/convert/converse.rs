//! Bedrock's Converse, as a form that providers are asked in. No caller speaks it.

pub(super) mod answer;
pub(super) mod write;
