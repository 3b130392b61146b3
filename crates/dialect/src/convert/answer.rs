//! An answer in no form: the pieces that a stream tells one by one and a whole answer tells at once.

use std::borrow::Cow;

use super::conversation::Sealed;
use super::writer;
pub use crate::Garbage;
use crate::{OUTPUT_TEXT_BYTES_MAX, UpstreamError};

/// Calls that one answer may hold.
const CALLS_MAX: usize = 4_096;

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It had said all.
    End,
    /// It was about to write this stop sequence; empty where the provider does not tell which.
    Sequence(String),
    /// The cap on the output, or the end of the model's context.
    Length,
    ContextFull,
    Calls,
    /// It would not answer.
    Refusal,
    /// The provider took the answer away.
    Filter,
}

/// One piece of an answer.
pub(super) enum Delta<'a> {
    /// The answer begins; the model that gives it, if it is told.
    Begin {
        model: Option<Cow<'a, str>>,
    },
    Text(Cow<'a, str>),
    Refusal(Cow<'a, str>),
    Thinking(Cow<'a, str>),
    /// The signature of the thought so far, or of nothing that was shown.
    Signature(Sealed<'a>),
    Redacted(Sealed<'a>),
    /// A call begins. Slots count from 0 in the order of the calls.
    Call {
        slot: usize,
        id: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        signature: Option<Sealed<'a>>,
    },
    Arguments {
        slot: usize,
        text: Cow<'a, str>,
    },
    Stop(Stop),
    /// The provider reports an error in the middle of its answer.
    Failed(UpstreamError),
}

/// A run of pieces that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Text(String),
    Refusal(String),
    Thinking { text: String, signature: Option<Sealed<'static>> },
    Redacted(Sealed<'static>),
    Call(Call),
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) slot: usize,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) signature: Option<Sealed<'static>>,
}

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) model: Option<String>,
    pub(super) blocks: Vec<Block>,
    stop: Option<Stop>,
    calls: usize,
    bytes: usize,
}

impl Sealed<'_> {
    fn to_owned(&self) -> Sealed<'static> {
        Sealed { by: self.by, text: Cow::Owned(self.text.clone().into_owned()) }
    }
}

impl Answer {
    /// All pieces of a whole answer.
    pub(super) fn of(deltas: Vec<Delta<'_>>) -> Result<Self, Garbage> {
        let mut answer = Self::default();
        for delta in deltas {
            answer.add(&delta)?;
        }
        Ok(answer)
    }

    /// Whether a piece is the first of its block.
    pub(super) fn begins_block(&self, delta: &Delta<'_>) -> bool {
        match (delta, self.blocks.last()) {
            (Delta::Text(_), last) => !matches!(last, Some(Block::Text(_))),
            (Delta::Refusal(_), last) => !matches!(last, Some(Block::Refusal(_))),
            (Delta::Thinking(_) | Delta::Signature(_), last) => {
                !matches!(last, Some(Block::Thinking { signature: None, .. }))
            }
            (Delta::Redacted(_) | Delta::Call { .. }, _) => true,
            (Delta::Begin { .. } | Delta::Arguments { .. } | Delta::Stop(_) | Delta::Failed(_), _) => false,
        }
    }

    /// Adds the next piece. An error is no piece of the answer.
    pub(super) fn add(&mut self, delta: &Delta<'_>) -> Result<(), Garbage> {
        if self.begins_block(delta) {
            let block = match delta {
                Delta::Refusal(_) => Block::Refusal(String::new()),
                Delta::Thinking(_) | Delta::Signature(_) => {
                    Block::Thinking { text: String::new(), signature: None }
                }
                Delta::Redacted(seal) => Block::Redacted(self.sealed(seal)?),
                Delta::Call { slot, id, name, signature } => {
                    Block::Call(self.call(*slot, id.as_deref(), name, signature.as_ref())?)
                }
                Delta::Text(_)
                | Delta::Begin { .. }
                | Delta::Arguments { .. }
                | Delta::Stop(_)
                | Delta::Failed(_) => Block::Text(String::new()),
            };
            self.blocks.push(block);
        }
        match delta {
            Delta::Begin { model } => {
                self.model = self.model.take().or(model.as_deref().map(str::to_owned));
            }
            Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking(text) => {
                self.weigh(text)?;
                if let Some(Block::Text(all) | Block::Refusal(all) | Block::Thinking { text: all, .. }) =
                    self.blocks.last_mut()
                {
                    all.push_str(text);
                }
            }
            Delta::Signature(seal) => {
                let seal = self.sealed(seal)?;
                if let Some(Block::Thinking { signature, .. }) = self.blocks.last_mut() {
                    *signature = Some(seal);
                }
            }
            Delta::Arguments { slot, text } => {
                self.weigh(text)?;
                self.call_mut(*slot).ok_or(Garbage)?.arguments.push_str(text);
            }
            Delta::Stop(stop) => self.stop = Some(stop.clone()),
            Delta::Redacted(_) | Delta::Call { .. } | Delta::Failed(_) => {}
        }
        Ok(())
    }

    fn sealed(&mut self, seal: &Sealed<'_>) -> Result<Sealed<'static>, Garbage> {
        self.weigh(&seal.text)?;
        Ok(seal.to_owned())
    }

    fn call(
        &mut self,
        slot: usize,
        id: Option<&str>,
        name: &str,
        signature: Option<&Sealed<'_>>,
    ) -> Result<Call, Garbage> {
        self.weigh(name)?;
        self.weigh(id.unwrap_or_default())?;
        self.calls += 1;
        if self.calls > CALLS_MAX {
            return Err(Garbage);
        }
        let signature = signature.map(|seal| self.sealed(seal)).transpose()?;
        let (id, name) = (id.map(str::to_owned), name.to_owned());
        Ok(Call { slot, id, name, arguments: String::new(), signature })
    }

    /// For forms that have no place for the signature of a call: it becomes a thought of its own before the call.
    pub(super) fn split_signatures(&mut self) {
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for mut block in std::mem::take(&mut self.blocks) {
            if let Block::Call(call) = &mut block
                && let Some(signature) = call.signature.take()
            {
                blocks.push(Block::Thinking { text: String::new(), signature: Some(signature) });
            }
            blocks.push(block);
        }
        self.blocks = blocks;
    }

    /// No model puts out nearly as much as is kept here; a provider gone wild does.
    fn weigh(&mut self, text: &str) -> Result<(), Garbage> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > OUTPUT_TEXT_BYTES_MAX { Err(Garbage) } else { Ok(()) }
    }

    fn call_mut(&mut self, slot: usize) -> Option<&mut Call> {
        let calls = self.blocks.iter_mut().rev().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            Block::Text(_) | Block::Refusal(_) | Block::Thinking { .. } | Block::Redacted(_) => None,
        });
        calls.into_iter().find(|call| call.slot == slot)
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            Block::Text(_) | Block::Refusal(_) | Block::Thinking { .. } | Block::Redacted(_) => None,
        })
    }

    /// Why it stopped, as far as it has told.
    pub(super) fn stop(&self) -> Stop {
        settled_stop(self.stop.clone(), self.calls > 0)
    }
}

/// Why an answer stopped: some providers say of an answer with calls that it ended, and some say nothing.
pub(super) fn settled_stop(stop: Option<Stop>, has_calls: bool) -> Stop {
    match stop {
        Some(Stop::End) | None if has_calls => Stop::Calls,
        Some(stop) => stop,
        None => Stop::End,
    }
}

/// The arguments of a call as the object that some forms have. A model that wrote no object is shown what it wrote:
/// the caller's tool will refuse it, and the model can mend it.
pub(super) fn arguments_or_wrapped(arguments: &str) -> Cow<'_, str> {
    match super::conversation::arguments_object(arguments) {
        Some(object) => Cow::Borrowed(object),
        None => Cow::Owned(writer::object_text(|to| to.text("invalid_arguments", arguments))),
    }
}
