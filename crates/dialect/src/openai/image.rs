//! What a call for images asks for, and the most tokens that they can have.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::body::span;
use crate::call::Asked;
use crate::field;
use crate::members::{self, Members, Refusals};
use crate::product::{Look, Product};

/// The members that the gateway reads: they decide what a call costs, where it goes or for whom it is.
const READ: [&str; 16] = [
    "model",
    "prompt",
    "n",
    "size",
    "resolution",
    "quality",
    "stream",
    "partial_images",
    "output_format",
    "svg",
    "frame_count",
    "width",
    "height",
    "steps",
    "user",
    "safety_identifier",
];

/// OpenAI's limits.
const IMAGES_MAX: u64 = 10;
const PARTIAL_IMAGES_MAX: u64 = 3;

/// Tokens of one partial image, by OpenAI's guide to image generation.
const PARTIAL_IMAGE_TOKENS: u64 = 100;
/// Room for tokens of text that a model plans an image in.
const TEXT_TOKENS: u64 = 1_024;

/// Pixels of an image whose size the model chooses: the largest of the sizes that it chooses from.
const AUTO_PIXELS: u64 = 1_536 * 1_024;
/// Pixels of the largest image that OpenAI makes.
const PIXELS_MAX: u64 = 3_840 * 2_160;

/// Reads the body of a call for images.
pub(crate) fn read(text: &str) -> Result<Asked, BadRequest> {
    let fields = members::read(text, Fields([None; READ.len()]))?;
    let (model, model_text) = field::model(fields.raw("model"))?;
    field::string("prompt", fields.raw("prompt"))?.ok_or_else(|| BadRequest::missing("prompt"))?;
    refuse_unmetered(&fields)?;
    let images = field::integer("n", fields.raw("n"), 1..=IMAGES_MAX)?.unwrap_or(1);
    let size = field::string("size", fields.raw("size"))?;
    // xAI's word for the size.
    let resolution = field::string("resolution", fields.raw("resolution"))?;
    let quality = field::string("quality", fields.raw("quality"))?;
    let partial = field::integer("partial_images", fields.raw("partial_images"), 0..=PARTIAL_IMAGES_MAX)?;
    let stream = field::boolean("stream", fields.raw("stream"))?.unwrap_or(false);
    let each = tokens_of(size.as_deref(), quality.as_deref())
        .saturating_add(partial.unwrap_or(0).saturating_mul(PARTIAL_IMAGE_TOKENS));
    let user = field::string("user", fields.raw("user"))?;
    let safety_identifier = field::string("safety_identifier", fields.raw("safety_identifier"))?;
    let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
    let named = |word: Option<Cow<'_, str>>| word.filter(|word| word != "auto").map(Cow::into_owned);
    let look = Look { size: named(size).or(named(resolution)), quality: named(quality) };
    let product = Product {
        look: Some(Box::new(look)),
        images,
        image_tokens: each,
        output_tokens: each.saturating_add(TEXT_TOKENS),
    };
    let model_span = span(text, model_text);
    Ok(Asked {
        stream,
        choices: images,
        user: told(safety_identifier).or_else(|| told(user)),
        product,
        ..Asked::plain(model, model_span)
    })
}

/// Refuses what is charged otherwise than an image is, or as many times over as no member that is read says.
fn refuse_unmetered(fields: &Fields<'_>) -> Result<(), BadRequest> {
    let given = |name| fields.raw(name).is_some_and(|raw| raw.get() != "null");
    let unread = [
        ("svg", "drawings and animations"),
        ("frame_count", "drawings and animations"),
        ("width", "images by their width; name a 'size'"),
        ("height", "images by their height; name a 'size'"),
        ("steps", "images by the steps they are made in"),
    ];
    if let Some((name, what)) = unread.into_iter().find(|(name, _)| given(name)) {
        return Err(BadRequest::unmetered(name, what));
    }
    if ["size", "resolution"].iter().all(|name| given(name)) {
        return Err(BadRequest::one_of("size", "resolution"));
    }
    match field::string("output_format", fields.raw("output_format"))?.as_deref() {
        Some("svg" | "gif") => Err(BadRequest::unmetered("output_format", "drawings and animations")),
        Some(_) | None => Ok(()),
    }
}

/// The most output tokens of one image.
///
/// A model cuts an image into so many parts along its longer side as the quality says; for gpt-image-2 these are 16, 48
/// and 96, the image's area comes in as (2,000,000 + pixels) / 4,000,000, and an image is reckoned as a square here, which
/// has the most (<https://community.openai.com/t/1382699>). For low quality 24 stands, which covers gpt-image-1, too: 272
/// to 408 tokens. No figures are published of the two highest qualities; the steps below go on evenly.
fn tokens_of(size: Option<&str>, quality: Option<&str>) -> u64 {
    let parts: u64 = match quality {
        Some("low") => 24,
        Some("medium" | "standard") => 48,
        None | Some("high" | "hd" | "auto") => 96,
        Some("xhigh") => 144,
        Some(_) => 192,
    };
    let pixels = match size {
        None | Some("auto") => AUTO_PIXELS,
        Some(size) => pixels_of(size).unwrap_or(PIXELS_MAX),
    };
    parts.saturating_mul(parts).saturating_mul(pixels.saturating_add(2_000_000)).div_ceil(4_000_000)
}

/// The pixels of a size such as `1536x1024`.
fn pixels_of(size: &str) -> Option<u64> {
    let (width, height) = size.split_once('x')?;
    let side = |text: &str| text.parse::<u32>().ok().map(u64::from);
    side(width)?.checked_mul(side(height)?)
}

/// The members of one request, as they stand in its text.
struct Fields<'a>([Option<&'a RawValue>; READ.len()]);

impl<'a> Fields<'a> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let at = READ.iter().position(|read| *read == name)?;
        self.0.get(at).copied().flatten()
    }
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        match READ.iter().position(|read| *read == name).and_then(|at| self.0.get_mut(at)) {
            Some(slot) => refusals.raw(slot, name, map),
            None => refusals.unread(name, &READ, map),
        }
    }
}
