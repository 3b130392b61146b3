//! The cap on a request's output: where it stands, how much it is, and how it is lowered.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::body::{Edit, after_brace, name_of, span};
use crate::field;
use crate::manners::Upstream;

/// The members of a request that cap its output, as far as they are there.
#[derive(Clone, Debug)]
pub(crate) struct OutputCap {
    members: Vec<Member>,
    /// Where a member can be put in.
    gap: Gap,
    /// The member that an upstream model takes.
    name_for: fn(&str) -> &'static str,
    thinking: Option<Thinking>,
}

/// What of the output may be thoughts, which must be less than the cap (Anthropic's `thinking.budget_tokens`).
#[derive(Clone, Debug)]
struct Thinking {
    /// Where its value stands.
    value: Range<usize>,
    tokens: u64,
}

/// A place for a member, and what stands around the member there.
#[derive(Clone, Debug)]
struct Gap {
    place: Range<usize>,
    before: &'static str,
    after: &'static str,
}

/// The least budget for thoughts that Anthropic takes.
const THINKING_TOKENS_LEAST: u64 = 1_024;

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
    /// The caps of a body: each of these members must be an integer of at least `least`, or null, where it is there.
    pub(crate) fn read<const N: usize>(
        body: &str,
        least: u64,
        members: [(&'static str, Option<&RawValue>); N],
        name_for: fn(&str) -> &'static str,
    ) -> Result<Self, BadRequest> {
        let mut read = Vec::with_capacity(N);
        for (name, raw) in members {
            let tokens = field::integer(name, raw, least..=u64::MAX)?;
            read.extend(raw.map(|raw| Member { name, value: span(body, raw.get()), tokens }));
        }
        let gap = Gap { place: after_brace(body, body), before: "", after: "," };
        Ok(Self { members: read, gap, name_for, thinking: None })
    }

    /// The same where a new member goes to this place, between these texts.
    pub(crate) const fn within(
        mut self,
        place: Range<usize>,
        before: &'static str,
        after: &'static str,
    ) -> Self {
        self.gap = Gap { place, before, after };
        self
    }

    /// The same with a budget for thoughts, if there is one.
    pub(crate) fn with_thinking(mut self, body: &str, budget: Option<&RawValue>) -> Result<Self, BadRequest> {
        let tokens = field::integer("thinking.budget_tokens", budget, 0..=u64::MAX)?;
        self.thinking =
            budget.zip(tokens).map(|(budget, tokens)| Thinking { value: span(body, budget.get()), tokens });
        Ok(self)
    }

    /// The smallest cap that leaves room for the least of thoughts.
    pub(crate) const fn least(&self) -> u64 {
        match self.thinking {
            Some(_) => THINKING_TOKENS_LEAST + 1,
            None => 1,
        }
    }

    /// The largest of them, for nobody knows which one a provider obeys.
    pub(crate) fn tokens(&self) -> Option<u64> {
        self.members.iter().filter_map(|member| member.tokens).max()
    }

    /// Appends the edits that make the provider's cap the most that any provider reads, by the name that it takes. A
    /// smaller cap of the caller's stays, and so does a smaller budget for thoughts. What is left over, its name and all, is appended to `surplus`.
    pub(crate) fn edit(
        &self,
        body: &str,
        to: &Upstream<'_>,
        edits: &mut Vec<Edit>,
        surplus: &mut Vec<Range<usize>>,
    ) {
        let Some(name) = to.manners.cap else {
            return self.lower(self.members.iter(), to, edits);
        };
        let kept = self.kept(name);
        if let Some(kept) = kept.filter(|kept| kept.name != name) {
            let text = Bytes::from(format!("\"{name}\""));
            edits.push(Edit { range: name_of(body, &kept.value), text });
        }
        let left_over = self.members.iter().filter(|member| kept.is_none_or(|kept| kept.name != member.name));
        surplus.extend(left_over.map(|member| member.value.clone()));
        self.lower(kept.into_iter(), to, edits);
    }

    /// The member that goes by the one name which a provider takes: the one of that name, else another, which is
    /// renamed; of two, one that says something.
    fn kept(&self, name: &str) -> Option<&Member> {
        self.members.iter().max_by_key(|member| (member.tokens.is_some(), member.name == name))
    }

    /// Appends the edits that put the gateway's own cap into these members, or in a new one.
    fn lower<'m>(
        &self,
        mut members: impl Iterator<Item = &'m Member> + Clone,
        to: &Upstream<'_>,
        edits: &mut Vec<Edit>,
    ) {
        let Some(cap) = to.output_cap else { return };
        let number = || Bytes::from(cap.to_string());
        if let Some(thinking) = self.thinking.as_ref().filter(|thinking| thinking.tokens >= cap.get()) {
            let text = Bytes::from((cap.get() - 1).to_string());
            edits.push(Edit { range: thinking.value.clone(), text });
        }
        if members.clone().any(|member| member.tokens.is_some()) {
            // The name that the caller chose is one that it expects its model to know.
            let above = members.filter(|member| member.tokens.is_some_and(|tokens| tokens > cap.get()));
            edits.extend(above.map(|member| Edit { range: member.value.clone(), text: number() }));
            return;
        }
        let name = to.manners.cap.unwrap_or_else(|| (self.name_for)(to.model));
        edits.push(match members.find(|member| to.manners.cap.is_some() || member.name == name) {
            Some(null) => Edit { range: null.value.clone(), text: number() },
            None => {
                let Gap { place, before, after } = &self.gap;
                let text = Bytes::from(format!("{before}\"{name}\":{cap}{after}"));
                Edit { range: place.clone(), text }
            }
        });
    }
}
