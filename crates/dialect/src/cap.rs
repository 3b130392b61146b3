//! The cap on a request's output: where it stands, how much it is, and how it is lowered.

use std::num::NonZeroU64;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::body::{Edit, after_brace, span};
use crate::field;

/// The members of a request that cap its output, as far as they are there.
#[derive(Clone, Debug)]
pub(crate) struct OutputCap {
    members: Vec<Member>,
    /// Where a member can be put in.
    gap: Range<usize>,
    /// The member that an upstream model takes.
    name_for: fn(&str) -> &'static str,
}

/// A cap that stands in the body.
#[derive(Clone, Debug)]
struct Member {
    name: &'static str,
    /// Where its value stands.
    value: Range<usize>,
    /// How much it is; nothing for null.
    tokens: Option<u64>,
}

impl OutputCap {
    /// The caps of a body: each of these members must be a positive integer or null where it is there.
    pub(crate) fn read<const N: usize>(
        body: &str,
        members: [(&'static str, Option<&RawValue>); N],
        name_for: fn(&str) -> &'static str,
    ) -> Result<Self, BadRequest> {
        let mut read = Vec::with_capacity(N);
        for (name, raw) in members {
            let tokens = field::integer(name, raw, 1..=u64::MAX)?;
            read.extend(raw.map(|raw| Member { name, value: span(body, raw.get()), tokens }));
        }
        Ok(Self { members: read, gap: after_brace(body, body), name_for })
    }

    /// The largest of them, for nobody knows which one a provider obeys.
    pub(crate) fn tokens(&self) -> Option<u64> {
        self.members.iter().filter_map(|member| member.tokens).max()
    }

    /// Appends the edits that make this the most that any provider reads. A smaller cap of the caller's stays.
    pub(crate) fn lower(&self, to: NonZeroU64, upstream_model: &str, edits: &mut Vec<Edit>) {
        let number = || Bytes::from(to.to_string());
        if self.tokens().is_some() {
            // The name that the caller chose is one that it expects its model to know.
            let above = |member: &&Member| member.tokens.is_some_and(|tokens| tokens > to.get());
            let above = self.members.iter().filter(above);
            edits.extend(above.map(|member| Edit { range: member.value.clone(), text: number() }));
            return;
        }
        let name = (self.name_for)(upstream_model);
        edits.push(match self.members.iter().find(|member| member.name == name) {
            Some(null) => Edit { range: null.value.clone(), text: number() },
            None => Edit { range: self.gap.clone(), text: Bytes::from(format!("\"{name}\":{to},")) },
        });
    }
}
