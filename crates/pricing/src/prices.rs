//! One price for each meter, and how the written prices become one set.

use std::collections::BTreeMap;

use domain::{MoneyError, Pico, Price, Usage};
use serde::Deserialize;

use crate::factor::Factor;
use crate::meter::{Bounds, COUNT, METERS, quantities};
use crate::version::ModelKind;

/// The price of one unit of each meter; a meter without one is not for sale.
///
/// A price that was not written is resolved here, once: cached input and cache writes cost the input price, longer
/// writes what the usual ones cost, audio and images the text price of their direction. Absent is never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceSet([Option<Price>; COUNT]);

/// The price of a configured route target, written inline: texts in currency per million tokens, such as `"2.50"`, and
/// under `per_…` of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePrice {
    /// What the model is asked for, where the catalogue does not say it: without it a model with an output price is one for
    /// chats, and one without for embeddings.
    pub kind: Option<ModelKind>,
    /// Uncached text input. Empty is absent, which only what is sold by other units may be.
    #[serde(default)]
    pub input: String,
    /// Text output, reasoning included. Only an embedding model may leave it out, or what is sold by other units.
    pub output: Option<String>,
    /// Input read from the provider's cache; the input price when absent.
    pub cached_input: Option<String>,
    /// Input written to the provider's cache; the input price when absent.
    pub cache_write: Option<String>,
    /// Input written to the provider's cache for its longer time; the price of the usual writes when absent.
    pub cache_write_long: Option<String>,
    /// Audio input; the input price when absent.
    pub audio_input: Option<String>,
    /// Audio output; the output price when absent.
    pub audio_output: Option<String>,
    /// Image input; the input price when absent.
    pub image_input: Option<String>,
    /// Image output; the output price when absent.
    pub image_output: Option<String>,
    /// One image that is made.
    pub per_image: Option<String>,
    /// A second of audio.
    pub per_audio_second: Option<String>,
    /// A character that is spoken.
    pub per_character: Option<String>,
    /// A search of the web.
    pub per_search: Option<String>,
    /// A second of one's own hardware, from the call to the end of its answer. Beside it tokens are free unless they have a
    /// price.
    pub per_gpu_second: Option<String>,
    /// Service tiers that are sold beside the standard one, as multiples of its token prices, such as `"0.5"`.
    #[serde(default)]
    pub tiers: BTreeMap<String, String>,
}

/// Why written prices are not a price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// A price that must be written is not.
    #[error(r#"`{field}` is missing; write a price per million tokens such as "2.50", or "0" if it is free"#)]
    Missing {
        /// The field that is missing.
        field: String,
    },
    /// A price written as a number, which would pass through a float, or as something else.
    #[error(r#"`{field}` is not a text; write the price in quotes, such as "2.50""#)]
    NotText {
        /// The field that is wrong.
        field: String,
    },
    /// A text that is no price.
    #[error("`{field}`: {source}")]
    Amount {
        /// The field that is wrong.
        field: String,
        /// What is wrong with it.
        source: MoneyError,
    },
    /// A name under `tiers` that is none.
    #[error("`{field}` is no service tier with a price of its own; write flex, batch, priority or ultrafast")]
    Tier {
        /// The field that is wrong.
        field: String,
    },
    /// A multiple that is none.
    #[error(r#"`{field}` is not a multiple such as "0.5": a text with at most four decimals, at most "100""#)]
    Factor {
        /// The field that is wrong.
        field: String,
    },
    /// A multiple of a price that no pico-unit says.
    #[error(
        "`{field}` makes no whole number of pico-dollars of `{price}`; write the tier's prices out, one by one, or a price \
         with fewer decimals"
    )]
    Inexact {
        /// The field of the multiple.
        field: String,
        /// The price that it is of.
        price: &'static str,
    },
}

/// What stands in a field that should hold a price.
pub(crate) enum Written {
    /// Nothing.
    Absent,
    /// A text.
    Text(String),
    /// Something that is no text.
    NotText,
}

impl PriceSet {
    /// Builds the set from what `written` finds under each meter's name. `prefix` stands before the names in errors;
    /// `required` says which names must be there. What is no token costs what it does in `other`, where it is not
    /// written here.
    ///
    /// # Errors
    /// Every field that is missing or no price, not only the first.
    pub(crate) fn read(
        prefix: &str,
        required: impl Fn(&str) -> bool,
        mut written: impl FnMut(&str) -> Written,
        other: Option<&Self>,
    ) -> Result<Self, Vec<PriceError>> {
        let mut errors = Vec::new();
        let mut prices = [None; COUNT];
        for (place, meter) in METERS.iter().enumerate() {
            let field = format!("{prefix}{}", meter.field);
            let result = match written(meter.field) {
                Written::Absent if required(meter.field) => Err(PriceError::Missing { field }),
                Written::Absent if meter.is_tokens() => Ok(meter.fallback.and_then(|name| at(&prices, name))),
                Written::Absent => Ok(other.and_then(|other| at(&other.0, meter.field))),
                Written::NotText => Err(PriceError::NotText { field }),
                Written::Text(text) => {
                    meter.read(&text).map(Some).map_err(|source| PriceError::Amount { field, source })
                }
            };
            match (result, prices.get_mut(place)) {
                (Ok(price), Some(slot)) => *slot = price,
                (Err(error), _) => errors.push(error),
                (Ok(_), None) => {}
            }
        }
        if errors.is_empty() { Ok(Self(prices)) } else { Err(errors) }
    }

    /// The set of these prices, in the order of the meters; `None` when there are not as many.
    pub(crate) fn from_prices(prices: Vec<Option<Price>>) -> Option<Self> {
        prices.try_into().map(Self).ok()
    }

    /// The set of these prices, in the order of the meters.
    #[cfg(test)]
    pub(crate) const fn of(prices: [Option<Price>; COUNT]) -> Self {
        Self(prices)
    }

    /// The price of one counted unit of a meter: of one token, image, millisecond, character or search. `None` for what
    /// is not for sale, and for a name that is no meter's.
    pub fn get(&self, field: &str) -> Option<Price> {
        at(&self.0, field)
    }

    /// Each meter's price, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static crate::Meter, Option<Price>)> {
        METERS.iter().zip(self.0)
    }

    /// The same with so many times its token prices.
    ///
    /// # Errors
    /// The first price of which that is no whole number of pico-units.
    pub(crate) fn times(&self, factor: Factor) -> Result<Self, &'static str> {
        let mut prices = self.0;
        for (meter, price) in METERS.iter().zip(&mut prices) {
            if let (true, Some(usual)) = (meter.is_tokens(), *price) {
                *price = Some(factor.times(usual).ok_or(meter.field)?);
            }
        }
        Ok(Self(prices))
    }

    /// The exact cost of a usage at these prices; reasoning tokens are inside `output` and not priced again.
    /// `None` when it does not fit, or when something was consumed that has no price.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<Pico> {
        self.0.into_iter().zip(quantities(usage)).try_fold(Pico::ZERO, |sum, (price, quantity)| match price {
            Some(price) => sum.checked_add(price.times(quantity)?),
            None => (quantity == 0).then_some(sum),
        })
    }

    /// The tokens of a usage, each bucket that has some with the price of one, in the order of the meters.
    pub(crate) fn token_parts(&self, usage: &Usage) -> Vec<(u64, Price)> {
        let counted = self.iter().zip(quantities(usage));
        let tokens = counted.filter(|((meter, _), count)| meter.is_tokens() && *count > 0);
        tokens.filter_map(|((_, price), count)| Some((count, price?))).collect()
    }

    /// The dearest price of an input token, and that of an output token.
    pub(crate) fn dearest_tokens(&self) -> [Price; 2] {
        use crate::meter::Side;
        [Side::Input, Side::Output].map(|side| {
            let meters = self.iter().filter(|(meter, _)| meter.is_tokens() && meter.side == side);
            meters.filter_map(|(_, price)| price).max().unwrap_or(Price::FREE)
        })
    }

    /// Whether all of its prices are zero.
    pub(crate) fn is_free(&self) -> bool {
        self.0.iter().flatten().all(|price| *price == Price::FREE)
    }

    /// The cost if every token fell into the dearest bucket of its direction, and all else were consumed up to its bound:
    /// a bound for any usage within the bounds. `None` when it does not fit.
    #[must_use]
    pub fn ceiling(&self, bounds: &Bounds) -> Option<Pico> {
        use crate::meter::Side;
        let sides = [
            Side::Input,
            Side::Output,
            Side::Images,
            Side::Audio,
            Side::Characters,
            Side::Searches,
            Side::Gpu,
        ];
        sides.into_iter().try_fold(Pico::ZERO, |sum, side| {
            let prices = self.iter().filter(|(meter, _)| meter.side == side).filter_map(|(_, price)| price);
            // What is not for sale costs nothing: a usage that has some of it has no cost at all.
            let dearest = prices.max().unwrap_or(Price::FREE);
            sum.checked_add(dearest.times(bounds.of(side))?)
        })
    }
}

fn at(prices: &[Option<Price>; COUNT], field: &str) -> Option<Price> {
    let place = METERS.iter().position(|meter| meter.field == field)?;
    prices.get(place).copied().flatten()
}

impl RoutePrice {
    /// What was written under a meter's name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let text = match name {
            "input" => return Some(&*self.input).filter(|text| !text.is_empty()),
            "output" => &self.output,
            "cached_input" => &self.cached_input,
            "cache_write" => &self.cache_write,
            "cache_write_long" => &self.cache_write_long,
            "audio_input" => &self.audio_input,
            "audio_output" => &self.audio_output,
            "image_input" => &self.image_input,
            "image_output" => &self.image_output,
            "per_image" => &self.per_image,
            "per_audio_second" => &self.per_audio_second,
            "per_character" => &self.per_character,
            "per_search" => &self.per_search,
            "per_gpu_second" => &self.per_gpu_second,
            _ => return None,
        };
        text.as_deref()
    }
}
