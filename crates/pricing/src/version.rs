//! One price of one model: what a receipt names and can be recomputed from.

use std::sync::Arc;

use domain::{Pico, Price, Timestamp, Usage};

use crate::prices::{FIELDS, PriceError, PriceSet, RoutePrice, Written};

/// What a model is asked for, which decides what its price must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// Answers with tokens, so an output price is required.
    Chat,
    /// Answers with vectors. Output tokens are not expected; without an output price they cost the input price.
    Embedding,
}

/// One dated price of one model at one provider. Pinned when the money is held and used until the receipt, so that
/// a change of price never touches a call already running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// Printable, and never two prices under one id: `openai/gpt-5.4@2026-11-12` from the catalogue, and from a
    /// route's inline price the price itself, `acme/llama@input=2.50,output=10.00`.
    pub id: Arc<str>,
    /// The provider's name.
    pub provider: String,
    /// The provider's name for the model.
    pub model: String,
    /// From when this price holds; `None` is since ever.
    pub valid_from: Option<Timestamp>,
    /// When the provider says it switches the model off. Only a warning: the price holds after it too.
    pub ends: Option<Timestamp>,
    /// What the model is asked for.
    pub kind: ModelKind,
    /// The longest input the model takes, in tokens, where known.
    pub context: Option<u64>,
    /// The longest answer the model gives, in tokens, where known.
    pub max_output: Option<u64>,
    pub(crate) base: PriceSet,
    /// Ascending by threshold, each threshold once.
    pub(crate) tiers: Vec<Tier>,
}

/// Prices of the whole request once its input is longer than a threshold: a cliff, not a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    /// The longest input, in tokens, that the tier does *not* apply to.
    pub(crate) input_tokens: u64,
    pub(crate) prices: PriceSet,
}

impl PriceVersion {
    /// The price written inline at a configured route target.
    ///
    /// # Errors
    /// Every field that is missing or no price, by name.
    pub fn from_route(
        provider: &str,
        model: &str,
        price: &RoutePrice,
        kind: ModelKind,
    ) -> Result<Self, Vec<PriceError>> {
        let written =
            |name: &str| price.text(name).map_or(Written::Absent, |text| Written::Text(text.to_owned()));
        let base = PriceSet::read("", kind.requires(), written)?;
        let stated = FIELDS.iter().filter_map(|name| {
            let amount = Price::per_million(price.text(name)?).ok()?;
            Some(format!("{name}={}", amount.to_per_million()))
        });
        let id = format!("{provider}/{model}@{}", stated.collect::<Vec<_>>().join(","));
        Ok(Self {
            id: id.into(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            valid_from: None,
            ends: None,
            kind,
            context: None,
            max_output: None,
            base,
            tiers: Vec::new(),
        })
    }

    /// The prices of a request with so many input tokens in all.
    pub fn prices(&self, input_tokens: u64) -> &PriceSet {
        let tier = self.tiers.iter().rev().find(|tier| input_tokens > tier.input_tokens);
        tier.map_or(&self.base, |tier| &tier.prices)
    }

    /// The exact cost of a usage; the caller rounds it, once, with [`Pico::ceil_to_money`]. `None` when it does not
    /// fit, or when the counts are too large to be added up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<Pico> {
        let input_tokens = usage.input_total();
        // The totals saturate, and a saturated total would let a sum above every ceiling through.
        if input_tokens == u64::MAX || usage.output_total() == u64::MAX {
            return None;
        }
        self.prices(input_tokens).cost(usage)
    }

    /// The most that a request with at most so many tokens can cost: no smaller than [`Self::cost`] of any usage
    /// within both bounds, whatever buckets its tokens fall into and whichever tier it lands in, and never smaller
    /// for larger bounds. `None` when it does not fit.
    #[must_use]
    pub fn ceiling(&self, input_tokens_max: u64, output_tokens_max: u64) -> Option<Pico> {
        let mut most = Pico::ZERO;
        let mut longest = input_tokens_max;
        for tier in self.tiers.iter().rev() {
            if input_tokens_max > tier.input_tokens {
                most = most.max(tier.prices.ceiling(longest, output_tokens_max)?);
            }
            // A tier below this one ends where this one begins.
            longest = longest.min(tier.input_tokens);
        }
        Some(most.max(self.base.ceiling(longest, output_tokens_max)?))
    }
}

impl ModelKind {
    /// Which price fields must be written for such a model.
    pub(crate) fn requires(self) -> impl Fn(&str) -> bool {
        move |name| name == "input" || (name == "output" && self == Self::Chat)
    }
}
