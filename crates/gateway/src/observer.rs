//! What the gateway tells whoever counts: one call for each request, after it is on the books.

use domain::{Money, RequestId, Usage};

/// How a request ended, in words of low cardinality.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The request.
    pub request: RequestId,
    /// `chat` or `embeddings`.
    pub endpoint: &'static str,
    /// The provider that was tried last; `None` when the request was refused before.
    pub provider: Option<std::sync::Arc<str>>,
    /// `ok`, or why not: the refusal's owner, `bad_request`, or the attempt's reason.
    pub outcome: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// From the request's head to the answer's end, in microseconds.
    pub duration_us: u64,
    /// From dispatch to the first byte of the provider's answer, in microseconds; 0 when there was none.
    pub first_byte_us: u64,
    /// What was consumed.
    pub usage: Usage,
    /// What it cost.
    pub cost: Money,
    /// Whether the token counts are ours and not the provider's.
    pub estimated: bool,
    /// How often a provider was called for it; 0 when it was refused before.
    pub attempts: u32,
    /// Whether another model answered than the target's.
    pub substituted: bool,
}

/// Counts requests. Called on the threads that serve: it must neither block nor allocate much.
pub trait Observer: Send + Sync {
    /// A request has ended.
    fn finished(&self, request: &Finished);
}
