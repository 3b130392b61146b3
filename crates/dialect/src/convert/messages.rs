//! Anthropic's Messages, as a form to convert from and to.

pub(super) mod answer;
pub(super) mod read;
pub(super) mod write;
