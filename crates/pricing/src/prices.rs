//! One price for each bucket of a usage, and how the written prices become one.

use domain::{MoneyError, Pico, Price, Usage};
use serde::Deserialize;

/// Prices per token, one for each disjoint bucket of [`Usage`].
///
/// A price that was not written is resolved here, once: cached input and cache writes cost the input price, audio
/// costs the text price of its direction. Absent is never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceSet {
    /// Input that was neither read from nor written to a cache, without audio.
    pub input: Price,
    /// Input read from the provider's cache.
    pub cached: Price,
    /// Input written to the provider's cache.
    pub cache_write: Price,
    /// Audio input.
    pub audio_input: Price,
    /// Output, reasoning included, without audio.
    pub output: Price,
    /// Audio output.
    pub audio_output: Price,
}

/// The price of a configured route target, written inline: texts in currency per million tokens, such as `"2.50"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutePrice {
    /// Uncached text input.
    pub input: String,
    /// Text output, reasoning included. Only an embedding model may leave it out.
    pub output: Option<String>,
    /// Input read from the provider's cache; the input price when absent.
    pub cached_input: Option<String>,
    /// Input written to the provider's cache; the input price when absent.
    pub cache_write: Option<String>,
    /// Audio input; the input price when absent.
    pub audio_input: Option<String>,
    /// Audio output; the output price when absent.
    pub audio_output: Option<String>,
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
}

/// The names of a price's fields, as files and configurations write them.
pub(crate) const FIELDS: [&str; 6] =
    ["input", "cached_input", "cache_write", "output", "audio_input", "audio_output"];

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
    /// Builds the set from what `written` finds under each name of [`FIELDS`]. `prefix` stands before the names in
    /// errors; `required` says which names must be there (`input` must be in any case).
    ///
    /// # Errors
    /// Every field that is missing or no price, not only the first.
    pub(crate) fn read(
        prefix: &str,
        required: impl Fn(&str) -> bool,
        mut written: impl FnMut(&str) -> Written,
    ) -> Result<Self, Vec<PriceError>> {
        let mut errors = Vec::new();
        let mut price = |name: &str| -> Option<Price> {
            let field = format!("{prefix}{name}");
            let result = match written(name) {
                Written::Absent if name == "input" || required(name) => Err(PriceError::Missing { field }),
                Written::Absent => return None,
                Written::NotText => Err(PriceError::NotText { field }),
                Written::Text(text) => {
                    Price::per_million(&text).map_err(|source| PriceError::Amount { field, source })
                }
            };
            result.map_err(|error| errors.push(error)).ok()
        };
        let [input, cached, cache_write, output, audio_input, audio_output] = FIELDS.map(&mut price);
        match input {
            Some(input) if errors.is_empty() => {
                let output = output.unwrap_or(input);
                Ok(Self {
                    input,
                    cached: cached.unwrap_or(input),
                    cache_write: cache_write.unwrap_or(input),
                    audio_input: audio_input.unwrap_or(input),
                    output,
                    audio_output: audio_output.unwrap_or(output),
                })
            }
            Some(_) | None => Err(errors),
        }
    }

    /// The exact cost of a usage at these prices; reasoning tokens are inside `output` and not priced again.
    /// `None` when it does not fit.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<Pico> {
        [
            (self.input, usage.input),
            (self.cached, usage.cached),
            (self.cache_write, usage.cache_write),
            (self.audio_input, usage.audio_input),
            (self.output, usage.output),
            (self.audio_output, usage.audio_output),
        ]
        .into_iter()
        .try_fold(Pico::ZERO, |sum, (price, quantity)| sum.checked_add(price.times(quantity)?))
    }

    /// The cost if every token fell into the dearest bucket of its direction: a bound for any split of so many
    /// tokens or fewer. `None` when it does not fit.
    #[must_use]
    pub fn ceiling(&self, input_tokens_max: u64, output_tokens_max: u64) -> Option<Pico> {
        let input = self.input.max(self.cached).max(self.cache_write).max(self.audio_input);
        let output = self.output.max(self.audio_output);
        input.times(input_tokens_max)?.checked_add(output.times(output_tokens_max)?)
    }
}

impl RoutePrice {
    /// What was written under a name of [`FIELDS`].
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match name {
            "input" => Some(&self.input),
            "output" => self.output.as_deref(),
            "cached_input" => self.cached_input.as_deref(),
            "cache_write" => self.cache_write.as_deref(),
            "audio_input" => self.audio_input.as_deref(),
            "audio_output" => self.audio_output.as_deref(),
            _ => None,
        }
    }
}
