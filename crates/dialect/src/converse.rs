//! Amazon Bedrock's Converse, as a provider is asked in it. No caller speaks it: a call of this form is always one that
//! was converted, and its answer is always converted back.
//!
//! By <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod prompt;
mod reader;
mod request;
mod response;
mod usage;

/// The exception for which an error stands that Amazon's frame tells without one.
pub(crate) const UNNAMED_EXCEPTION: &str = "serviceException";

pub(crate) use prompt::read as read_prompt;
pub(crate) use reader::Reader;
pub(crate) use request::read;
pub(crate) use response::{read_answer, read_speech};
