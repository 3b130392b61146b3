//! One price of one model: what a receipt names and can be recomputed from.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Pico, Price, ServiceTier, Timestamp, Usage};
use serde::Deserialize;

use crate::factor::Factor;
use crate::meter::{BUCKETS, Bounds, METERS};
use crate::prices::{PriceError, PriceSet, RoutePrice, Written};

/// What a model is asked for, which decides what its price must contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Answers with tokens, so an output price is required.
    Chat,
    /// Answers with vectors. Output tokens are not expected; without an output price they cost the input price.
    Embedding,
    /// Judges whether texts and images are harmful. Charged like embeddings; where it is free, that is stated.
    Moderation,
    /// Makes images, which are charged by the image or by tokens.
    Image,
    /// Speaks, which is charged by characters, time or tokens.
    Speech,
    /// Writes down what was spoken, which is charged by time or tokens.
    Transcription,
}

/// One dated price of one model at one provider. Pinned when the money is held and used until the receipt, so that
/// a change of price never touches a call already running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceVersion {
    /// Printable, and never two prices under one id: `openai/gpt-5.4@2026-11-12` from the catalogue, with a region's
    /// surcharge `openai/gpt-5.4@2026-11-12+eu`, and from a route's inline price the price itself,
    /// `acme/llama@input=2.50,output=10.00`.
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
    /// What the standard service tier costs.
    pub(crate) standard: Ladder,
    /// What the others cost that are for sale.
    pub(crate) tiers: BTreeMap<ServiceTier, Ladder>,
    /// What regions take of the token prices.
    pub(crate) regions: BTreeMap<String, Factor>,
    /// The list price of the same model, where that is another one.
    pub(crate) list: Option<Arc<PriceVersion>>,
}

/// The prices of one service tier, by the length of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ladder {
    pub(crate) base: PriceSet,
    /// Ascending by threshold, each threshold once.
    pub(crate) steps: Vec<Step>,
}

/// Prices of the whole request once its input is longer than a threshold: a cliff, not a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The longest input, in tokens, that the step does *not* apply to.
    pub(crate) input_tokens: u64,
    pub(crate) prices: PriceSet,
}

/// A region that a price knows no surcharge of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", no_region(.region, .version, .known))]
pub struct UnknownRegion {
    /// The region that was asked for.
    pub region: String,
    /// The id of the price.
    pub version: Arc<str>,
    /// The regions that it has.
    pub known: Vec<String>,
}

fn no_region(region: &str, version: &str, known: &[String]) -> String {
    let known = match known {
        [] => "it has none at all".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    format!("the price {version} has no region `{region}`; {known}")
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
        // Who charges the time of the hardware says by it that tokens cost nothing, as long as none has a price.
        let by_time = price.per_gpu_second.is_some() && price.input.is_empty() && price.output.is_none();
        let written = |name: &str| match price.text(name) {
            Some(text) => Written::Text(text.to_owned()),
            None if by_time && matches!(name, "input" | "output") => Written::Text("0".to_owned()),
            None => Written::Absent,
        };
        let base = PriceSet::read("", |name| kind.requires(name), written, None)?;
        if base.iter().all(|(_, price)| price.is_none()) {
            return Err(vec![PriceError::Missing { field: kind.usual_unit().to_owned() }]);
        }
        let standard = Ladder { base, steps: Vec::new() };
        let mut stated: Vec<String> = METERS
            .iter()
            .filter_map(|meter| {
                let amount = meter.read(price.text(meter.field)?).ok()?;
                Some(format!("{}={}", meter.field, meter.write(amount)))
            })
            .collect();
        if !kind.requires("input") {
            stated.insert(0, format!("kind={}", kind.as_str()));
        }
        let (mut tiers, mut errors) = (BTreeMap::new(), Vec::new());
        for (name, factor) in &price.tiers {
            match standard.tier(&format!("tiers.{name}"), name, factor) {
                Ok((tier, ladder, factor)) => {
                    tiers.insert(tier, ladder);
                    stated.push(format!("{tier}*{factor}"));
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            id: format!("{provider}/{model}@{}", stated.join(",")).into(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            valid_from: None,
            ends: None,
            kind,
            context: None,
            max_output: None,
            standard,
            tiers,
            regions: BTreeMap::new(),
            list: None,
        })
    }

    /// The same price with the surcharge of a region.
    ///
    /// # Errors
    /// [`UnknownRegion`] for one that it has no surcharge of: nothing is served there by accident.
    pub fn in_region(&self, region: &str) -> Result<Self, UnknownRegion> {
        let unknown = || UnknownRegion {
            region: region.to_owned(),
            version: Arc::clone(&self.id),
            known: self.regions.keys().cloned().collect(),
        };
        let factor = *self.regions.get(region).ok_or_else(unknown)?;
        // Reading the file made sure that every product is whole.
        let ladder = |ladder: &Ladder| ladder.times(factor).map_err(|_| unknown());
        let tiers = self.tiers.iter().map(|(tier, own)| Ok((*tier, ladder(own)?)));
        Ok(Self {
            id: format!("{}+{region}", self.id).into(),
            standard: ladder(&self.standard)?,
            tiers: tiers.collect::<Result<_, _>>()?,
            regions: BTreeMap::new(),
            ..self.clone()
        })
    }

    /// The service tiers that are for sale, the standard one first.
    pub fn tiers(&self) -> impl Iterator<Item = ServiceTier> {
        std::iter::once(ServiceTier::Standard).chain(self.tiers.keys().copied())
    }

    /// The regions that have a surcharge, by name.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.keys().map(String::as_str)
    }

    /// The lengths of inputs, in tokens, above which the standard tier has other prices.
    pub fn steps(&self) -> impl Iterator<Item = u64> {
        self.standard.steps.iter().map(|step| step.input_tokens)
    }

    /// Whether a service tier has a price.
    pub fn sells(&self, tier: ServiceTier) -> bool {
        self.ladder(tier).is_some()
    }

    /// Whether what a meter counts has a price.
    pub fn sells_meter(&self, field: &str) -> bool {
        self.standard.base.get(field).is_some()
    }

    /// Whether tokens have a price, of whatever sort.
    pub fn sells_tokens(&self) -> bool {
        self.standard.base.iter().any(|(meter, price)| meter.is_tokens() && price.is_some())
    }

    /// Whether what such a model is asked for has a price: in tokens, or in the units of its kind. The price of another kind
    /// of thing is none.
    pub fn sells_kind(&self) -> bool {
        let units: &[&str] = match self.kind {
            ModelKind::Chat | ModelKind::Embedding | ModelKind::Moderation => &[],
            ModelKind::Image => &["per_image"],
            ModelKind::Speech => &["per_character", "per_audio_second"],
            ModelKind::Transcription => &["per_audio_second"],
        };
        self.sells_tokens() || units.iter().any(|unit| self.sells_meter(unit))
    }

    /// The part of a usage in the units that its price knows: what is made is charged by the piece, by its length or by its
    /// tokens, and a provider that tells another unit, too, has told nothing else by it. Of audio, tokens come before the
    /// rest: price lists give a price by time beside that of tokens, for comparison.
    #[must_use]
    pub fn by_unit(&self, usage: &Usage) -> Usage {
        let sold = |field, count| if self.sells_meter(field) { count } else { 0 };
        let images = sold("per_image", usage.images);
        if self.sells_tokens() {
            return Usage { images, audio_ms: 0, characters: 0, ..*usage };
        }
        // Of several prices of one thing, the first.
        let characters = sold("per_character", usage.characters);
        let audio_ms = if characters > 0 { 0 } else { sold("per_audio_second", usage.audio_ms) };
        if images > 0 || characters > 0 || audio_ms > 0 {
            return Usage { images, audio_ms, characters, ..Usage::default() };
        }
        *usage
    }

    fn ladder(&self, tier: ServiceTier) -> Option<&Ladder> {
        if tier == ServiceTier::Standard { Some(&self.standard) } else { self.tiers.get(&tier) }
    }

    /// The standard tier's prices of a request with so many input tokens in all.
    pub fn prices(&self, input_tokens: u64) -> &PriceSet {
        self.standard.prices(input_tokens)
    }

    /// The exact cost of a usage at a service tier; the caller rounds it, once, with [`Pico::ceil_to_money`]. `None`
    /// when it does not fit, when the counts are too large to be added up, and when the tier or something that was
    /// consumed has no price.
    #[must_use]
    pub fn cost(&self, usage: &Usage, tier: ServiceTier) -> Option<Pico> {
        let input_tokens = usage.input_total();
        // The totals saturate, and a saturated total would let a sum above every ceiling through.
        if input_tokens == u64::MAX || usage.output_total() == u64::MAX {
            return None;
        }
        self.ladder(tier)?.prices(input_tokens).cost(usage)
    }

    /// The part of a usage that has a price, and the names of what has none: a provider may count what nobody sells.
    pub fn priced_part(&self, usage: &Usage) -> (Usage, Vec<&'static str>) {
        let mut part = usage.counts();
        let mut without = Vec::new();
        for (meter, place) in METERS.iter().zip(BUCKETS) {
            let Some(count) = part.get_mut(place) else { continue };
            if *count > 0 && !self.sells_meter(meter.field) {
                without.push(meter.field);
                *count = 0;
            }
        }
        let part = Usage::from_counts(part);
        (part, without)
    }

    /// The most that a request within these bounds can cost at a service tier: no smaller than [`Self::cost`] of any
    /// usage within them, whatever buckets its tokens fall into and whichever step it lands on, and never smaller for
    /// larger bounds. `None` when it does not fit, or the tier has no price.
    #[must_use]
    pub fn ceiling(&self, bounds: &Bounds, tier: ServiceTier) -> Option<Pico> {
        self.ladder(tier)?.ceiling(bounds)
    }

    /// The tokens of a usage, each bucket with the price of one at a service tier, input before output: what of
    /// [`Self::cost`] is for tokens. None of a tier without a price.
    pub fn token_parts(&self, usage: &Usage, tier: ServiceTier) -> Vec<(u64, Price)> {
        let prices = self.ladder(tier).map(|ladder| ladder.prices(usage.input_total()));
        prices.map_or_else(Vec::new, |prices| prices.token_parts(usage))
    }

    /// The most tokens within these bounds, input before output, each with the dearest price that one can have.
    pub fn token_ceiling(&self, bounds: &Bounds, tier: ServiceTier) -> [(u64, Price); 2] {
        let sets = self.ladder(tier).into_iter().flat_map(|ladder| ladder.reached(bounds.input_tokens));
        let dearest = |prices: [Price; 2], set: &PriceSet| {
            let [input, output] = set.dearest_tokens();
            [prices[0].max(input), prices[1].max(output)]
        };
        let [input, output] = sets.fold([Price::FREE; 2], dearest);
        [(bounds.input_tokens, input), (bounds.output_tokens, output)]
    }

    /// Whether nothing that it prices costs anything.
    pub fn is_free(&self) -> bool {
        let ladders = std::iter::once(&self.standard).chain(self.tiers.values());
        ladders.flat_map(Ladder::sets).all(PriceSet::is_free)
    }
}

impl Ladder {
    fn prices(&self, input_tokens: u64) -> &PriceSet {
        let step = self.steps.iter().rev().find(|step| input_tokens > step.input_tokens);
        step.map_or(&self.base, |step| &step.prices)
    }

    fn ceiling(&self, bounds: &Bounds) -> Option<Pico> {
        let mut most = Pico::ZERO;
        let mut longest = bounds.input_tokens;
        for step in self.steps.iter().rev() {
            if bounds.input_tokens > step.input_tokens {
                most = most.max(step.prices.ceiling(&Bounds { input_tokens: longest, ..*bounds })?);
            }
            // A step below this one ends where this one begins.
            longest = longest.min(step.input_tokens);
        }
        Some(most.max(self.base.ceiling(&Bounds { input_tokens: longest, ..*bounds })?))
    }

    /// The prices that a request with at most so many input tokens can have.
    fn reached(&self, input_tokens: u64) -> impl Iterator<Item = &PriceSet> {
        let steps = self.steps.iter().filter(move |step| input_tokens > step.input_tokens);
        std::iter::once(&self.base).chain(steps.map(|step| &step.prices))
    }

    /// The same with so many times its token prices.
    ///
    /// # Errors
    /// The first price of which that is no whole number of pico-units.
    pub(crate) fn times(&self, factor: Factor) -> Result<Self, &'static str> {
        let step = |step: &Step| -> Result<Step, &'static str> {
            Ok(Step { prices: step.prices.times(factor)?, ..*step })
        };
        Ok(Self {
            base: self.base.times(factor)?,
            steps: self.steps.iter().map(step).collect::<Result<_, _>>()?,
        })
    }

    /// The service tier of this name that costs so many times what this one does. `field` stands in errors.
    pub(crate) fn tier(
        &self,
        field: &str,
        name: &str,
        factor: &str,
    ) -> Result<(ServiceTier, Self, Factor), PriceError> {
        let tier = tier_named(field, name)?;
        let factor = Factor::read(factor).ok_or_else(|| PriceError::Factor { field: field.to_owned() })?;
        let ladder =
            self.times(factor).map_err(|price| PriceError::Inexact { field: field.to_owned(), price })?;
        Ok((tier, ladder, factor))
    }

    /// Every set of prices.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &PriceSet> {
        std::iter::once(&self.base).chain(self.steps.iter().map(|step| &step.prices))
    }
}

/// The service tier of this name that has prices of its own.
pub(crate) fn tier_named(field: &str, name: &str) -> Result<ServiceTier, PriceError> {
    let tier = name.parse().ok().filter(|tier| *tier != ServiceTier::Standard);
    tier.ok_or_else(|| PriceError::Tier { field: field.to_owned() })
}

impl ModelKind {
    /// Whether a price field must be written for such a model.
    pub(crate) fn requires(self, name: &str) -> bool {
        match self {
            Self::Chat => matches!(name, "input" | "output"),
            Self::Embedding | Self::Moderation => name == "input",
            Self::Image | Self::Speech | Self::Transcription => false,
        }
    }

    /// What such models are usually sold by.
    pub const fn usual_unit(self) -> &'static str {
        match self {
            Self::Chat | Self::Embedding | Self::Moderation => "input",
            Self::Image => "per_image",
            Self::Speech => "per_character",
            Self::Transcription => "per_audio_second",
        }
    }

    /// Every kind.
    const ALL: [Self; 6] =
        [Self::Chat, Self::Embedding, Self::Moderation, Self::Image, Self::Speech, Self::Transcription];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its name in price files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Moderation => "moderation",
            Self::Image => "image",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
        }
    }
}
