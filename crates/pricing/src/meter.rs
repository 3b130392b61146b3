//! What providers sell: one meter for each bucket of a usage that has a price.

use domain::{MoneyError, Price, Usage};

/// One sort of thing that is sold, under the name that price files and configurations write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The name of its price's field.
    pub field: &'static str,
    /// Of how much a written price is.
    pub per: Per,
    /// Which bound limits how much of it a call can consume.
    pub(crate) side: Side,
    /// The meter whose price is taken where none is written, if it can be left out at all.
    pub(crate) fallback: Option<&'static str>,
}

/// Of how much a written price is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Of a million tokens.
    MillionTokens,
    /// Of one.
    One,
    /// Of a second, which is counted in milliseconds.
    Second,
}

/// What limits a quantity before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
    Images,
    Audio,
    Characters,
    Searches,
    Gpu,
}

/// The most that a call can consume, as far as is known before it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Input tokens, of all sorts together.
    pub input_tokens: u64,
    /// Output tokens, of all sorts together.
    pub output_tokens: u64,
    /// Images that are charged by the image.
    pub images: u64,
    /// Milliseconds of audio that are charged by time.
    pub audio_ms: u64,
    /// Characters that are charged by the character.
    pub characters: u64,
    /// Searches of the web.
    pub searches: u64,
    /// Milliseconds that the hardware has the call.
    pub gpu_ms: u64,
}

impl Bounds {
    pub(crate) const fn of(&self, side: Side) -> u64 {
        match side {
            Side::Input => self.input_tokens,
            Side::Output => self.output_tokens,
            Side::Images => self.images,
            Side::Audio => self.audio_ms,
            Side::Characters => self.characters,
            Side::Searches => self.searches,
            Side::Gpu => self.gpu_ms,
        }
    }
}

/// How many meters there are.
pub(crate) const COUNT: usize = 14;

const fn tokens(field: &'static str, side: Side, fallback: Option<&'static str>) -> Meter {
    Meter { field, per: Per::MillionTokens, side, fallback }
}

const fn unit(field: &'static str, per: Per, side: Side) -> Meter {
    Meter { field, per, side, fallback: None }
}

/// Every meter, in the order of [`quantities`]. A meter's fallback stands before it.
pub const METERS: [Meter; COUNT] = [
    tokens("input", Side::Input, None),
    tokens("cached_input", Side::Input, Some("input")),
    tokens("cache_write", Side::Input, Some("input")),
    tokens("cache_write_long", Side::Input, Some("cache_write")),
    tokens("audio_input", Side::Input, Some("input")),
    tokens("image_input", Side::Input, Some("input")),
    tokens("output", Side::Output, Some("input")),
    tokens("audio_output", Side::Output, Some("output")),
    tokens("image_output", Side::Output, Some("output")),
    unit("per_image", Per::One, Side::Images),
    unit("per_audio_second", Per::Second, Side::Audio),
    unit("per_character", Per::One, Side::Characters),
    unit("per_search", Per::One, Side::Searches),
    unit("per_gpu_second", Per::Second, Side::Gpu),
];

/// The place of each meter's bucket among [`Usage::counts`].
pub(crate) const BUCKETS: [usize; COUNT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14];

/// How much of each meter a usage has: every bucket but `reasoning`, which is inside the output.
pub(crate) const fn quantities(usage: &Usage) -> [u64; COUNT] {
    let [input, cached, write, write_long, audio_in, image_in, out, audio_out, image_out, _, rest @ ..] =
        usage.counts();
    let [images, audio_ms, characters, searches, gpu_ms] = rest;
    [
        input, cached, write, write_long, audio_in, image_in, out, audio_out, image_out, images, audio_ms,
        characters, searches, gpu_ms,
    ]
}

impl Meter {
    /// Whether it counts tokens, which service tiers and regions change the price of; other things cost the same in all.
    pub const fn is_tokens(&self) -> bool {
        matches!(self.per, Per::MillionTokens)
    }

    /// The price of one counted unit, from its text.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(&self, text: &str) -> Result<Price, MoneyError> {
        match self.per {
            Per::MillionTokens => Price::per_million(text),
            Per::One => Price::of_one(text, 12),
            // A second's price is one of a thousand milliseconds, and must be a whole one of each.
            Per::Second => Price::of_one(text, 9),
        }
    }

    /// A price's text, as [`Meter::read`] reads it.
    pub fn write(&self, price: Price) -> String {
        match self.per {
            Per::MillionTokens => price.to_per_million(),
            Per::One => price.to_per_unit(),
            Per::Second => price.of_a_thousand(),
        }
    }
}
