//! An entry of a price file before it is text: what `prices set` and the importers make.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::{Price, ServiceTier};

use crate::factor::Factor;
use crate::meter::{METERS, Meter};
use crate::prices::PriceSet;
use crate::version::{Ladder, ModelKind, PriceVersion};

/// Prices by the names of their fields, each of one counted unit.
pub type Sheet = BTreeMap<&'static str, Price>;

/// An entry of a price file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The provider's name for the model.
    pub model: String,
    /// What it is asked for.
    pub kind: ModelKind,
    /// Its prices.
    pub prices: Sheet,
    /// The prices of longer inputs, by the length that they begin above.
    pub above: BTreeMap<u64, Sheet>,
    /// The other service tiers.
    pub tiers: BTreeMap<ServiceTier, TierPrice>,
    /// What regions take.
    pub regions: BTreeMap<String, Factor>,
    /// The longest input, in tokens.
    pub context: Option<u64>,
    /// The longest answer, in tokens.
    pub max_output: Option<u64>,
    /// The day on which the model is switched off.
    pub ends: Option<String>,
}

/// What a service tier costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierPrice {
    /// So many times the standard token prices.
    Times(Factor),
    /// Prices of its own, and those of longer inputs.
    Own(Sheet, BTreeMap<u64, Sheet>),
}

impl NewEntry {
    /// An entry without any price yet.
    pub const fn new(model: String, kind: ModelKind) -> Self {
        Self {
            model,
            kind,
            prices: Sheet::new(),
            above: BTreeMap::new(),
            tiers: BTreeMap::new(),
            regions: BTreeMap::new(),
            context: None,
            max_output: None,
            ends: None,
        }
    }

    /// The entry that says what a version says.
    pub fn of(version: &PriceVersion) -> Self {
        let ladders: Vec<&Ladder> =
            std::iter::once(&version.standard).chain(version.tiers.values()).collect();
        let stated: Vec<&Meter> = METERS
            .iter()
            .filter(|meter| {
                version.kind.requires(meter.field) || ladders.iter().any(|ladder| is_stated(ladder, meter))
            })
            .collect();
        let sheet = |set: &PriceSet| -> Sheet {
            stated.iter().filter_map(|meter| Some((meter.field, set.get(meter.field)?))).collect()
        };
        let above = |ladder: &Ladder| {
            ladder.steps.iter().map(|step| (step.input_tokens, sheet(&step.prices))).collect()
        };
        let own = |ladder: &Ladder| TierPrice::Own(sheet(&ladder.base), above(ladder));
        Self {
            prices: sheet(&version.standard.base),
            above: above(&version.standard),
            tiers: version.tiers.iter().map(|(tier, ladder)| (*tier, own(ladder))).collect(),
            regions: version.regions.clone(),
            context: version.context,
            max_output: version.max_output,
            ..Self::new(version.model.clone(), version.kind)
        }
    }

    /// The entry's text, which begins with `[[models]]`.
    pub fn write(&self, valid_from: &str) -> String {
        let mut text =
            format!("[[models]]\nid = {}\nvalid_from = {}\n", quoted(&self.model), quoted(valid_from));
        if self.kind != ModelKind::Chat {
            put(&mut text, format_args!("kind = \"{}\"\n", self.kind.as_str()));
        }
        for (name, amount) in written(&self.prices) {
            put(&mut text, format_args!("{name} = \"{amount}\"\n"));
        }
        for (name, count) in [("context", self.context), ("max_output", self.max_output)] {
            if let Some(count) = count {
                put(&mut text, format_args!("{name} = {count}\n"));
            }
        }
        if let Some(ends) = &self.ends {
            put(&mut text, format_args!("ends = {}\n", quoted(ends)));
        }
        for (tier, price) in &self.tiers {
            let price = match price {
                TierPrice::Times(factor) => format!("\"{factor}\""),
                TierPrice::Own(prices, above) => inline(prices, above),
            };
            put(&mut text, format_args!("tiers.{tier} = {price}\n"));
        }
        for (region, factor) in &self.regions {
            let is_bare = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let region = if is_bare && !region.is_empty() { region.clone() } else { quoted(region) };
            put(&mut text, format_args!("regions.{region} = \"{factor}\"\n"));
        }
        for (input_tokens, prices) in &self.above {
            put(&mut text, format_args!("[[models.above]]\ninput_tokens = {input_tokens}\n"));
            for (name, amount) in written(prices) {
                put(&mut text, format_args!("{name} = \"{amount}\"\n"));
            }
        }
        text
    }
}

/// The head of a price file.
pub fn file_head(provider: &str, source: &str, retrieved: &str) -> String {
    format!(
        "provider = {}\nsource = {}\nretrieved = {}\n",
        quoted(provider),
        quoted(source),
        quoted(retrieved)
    )
}

/// Whether a meter's price is another one anywhere than what it would be if it were left out.
fn is_stated(ladder: &Ladder, meter: &Meter) -> bool {
    ladder.sets().any(|set| {
        let price = set.get(meter.field);
        price.is_some() && price != meter.fallback.and_then(|name| set.get(name))
    })
}

/// A sheet's fields and their texts, in the order of the meters.
fn written(sheet: &Sheet) -> impl Iterator<Item = (&'static str, String)> {
    METERS.iter().filter_map(|meter| Some((meter.field, meter.write(*sheet.get(meter.field)?))))
}

fn inline(prices: &Sheet, above: &BTreeMap<u64, Sheet>) -> String {
    let fields = |sheet: &Sheet| {
        written(sheet).map(|(name, amount)| format!("{name} = \"{amount}\"")).collect::<Vec<_>>().join(", ")
    };
    let steps = above
        .iter()
        .map(|(input_tokens, sheet)| format!("{{ input_tokens = {input_tokens}, {} }}", fields(sheet)));
    let steps: Vec<String> = steps.collect();
    let above = if steps.is_empty() { String::new() } else { format!(", above = [{}]", steps.join(", ")) };
    format!("{{ {}{above} }}", fields(prices))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(arguments);
}
