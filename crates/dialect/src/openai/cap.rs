//! The cap on a request's output: where it stands, how much it is, and how it is lowered.

use std::num::NonZeroU64;
use std::ops::Range;

use bytes::Bytes;

use super::bad_request::BadRequest;
use super::body::{Edit, after_brace, span};
use super::fields::{self, Fields};
use crate::tokens;

/// `max_tokens` and the member that came to replace it, `max_completion_tokens`, as far as they are there.
#[derive(Clone, Debug, Default)]
pub(super) struct OutputCap {
    old: Option<Member>,
    new: Option<Member>,
    /// Where a member can be put in.
    gap: Range<usize>,
}

/// A cap that stands in the body.
#[derive(Clone, Debug)]
struct Member {
    /// Where its value stands.
    value: Range<usize>,
    /// How much it is; nothing for null.
    tokens: Option<u64>,
}

impl OutputCap {
    pub(super) fn read(body: &str, fields: &Fields<'_>) -> Result<Self, BadRequest> {
        let member = |name, raw: Option<_>| {
            let tokens = fields::integer(name, raw, 1..=u64::MAX)?;
            Ok(raw.map(|raw| Member { value: span(body, raw.get()), tokens }))
        };
        Ok(Self {
            old: member("max_tokens", fields.max_tokens)?,
            new: member("max_completion_tokens", fields.max_completion_tokens)?,
            gap: after_brace(body, body),
        })
    }

    /// The larger of the two, for nobody knows which one a provider obeys.
    pub(super) fn tokens(&self) -> Option<u64> {
        self.members().filter_map(|member| member.tokens).max()
    }

    /// Appends the edits that make this the most that any provider reads. A smaller cap of the caller's stays.
    pub(super) fn lower(&self, to: NonZeroU64, upstream_model: &str, edits: &mut Vec<Edit>) {
        let number = || Bytes::from(to.to_string());
        if self.tokens().is_some() {
            // The name that the caller chose is one that it expects its model to know.
            let above = self.members().filter(|member| member.tokens.is_some_and(|tokens| tokens > to.get()));
            edits.extend(above.map(|member| Edit { range: member.value.clone(), text: number() }));
            return;
        }
        let (name, null) = if takes_new_name(upstream_model) {
            ("max_completion_tokens", &self.new)
        } else {
            ("max_tokens", &self.old)
        };
        edits.push(match null {
            Some(null) => Edit { range: null.value.clone(), text: number() },
            None => Edit { range: self.gap.clone(), text: Bytes::from(format!("\"{name}\":{to},")) },
        });
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.old.iter().chain(&self.new)
    }
}

/// Whether a model's provider must be told `max_completion_tokens` and not `max_tokens`.
///
/// No name is known everywhere. OpenAI refuses the old one for its reasoning models (the o series, GPT-5 and later)
/// and takes the new one for all; Mistral refuses the new one, and some servers for open models pass over it, which is
/// no cap at all. The address does not tell who serves, so the model's name decides: the new member for the families
/// that OpenAI alone serves and made with it in mind, the old one, which every other server knows, for the rest.
fn takes_new_name(model: &str) -> bool {
    let name = tokens::family_name(model);
    if let Some(rest) = name.strip_prefix('o') {
        return rest.starts_with(|first: char| first.is_ascii_digit());
    }
    let Some(version) = name.strip_prefix("gpt-") else { return false };
    let (major, rest) = leading_number(version);
    // Azure has no dots in the names of deployments, hence gpt-35.
    let Some(major) = major.filter(|major| *major != 35) else { return false };
    let minor = rest.strip_prefix('.').and_then(|rest| leading_number(rest).0).unwrap_or(0);
    (major, minor) >= (4, 1)
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &str) -> (Option<u32>, &str) {
    let end = text.find(|at: char| !at.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (digits.parse().ok(), rest)
}
