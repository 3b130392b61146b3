//! What a call for images, or for changes of some, asks for, and the most tokens that they can have.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::body::span;
use crate::call::Asked;
use crate::field;
use crate::form::Form;
use crate::json::Kind;
use crate::media::Media;
use crate::members::{self, Members, Refusals};
use crate::product::{FormText, Look, Product};

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

/// The same of a call that changes images.
const READ_EDIT: [&str; 18] = [
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
    "images",
    "mask",
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

/// Tokens that an image can cost as input: as in a chat, by the largest budget.
const INPUT_IMAGE_TOKENS: u64 = 12_000;
/// OpenAI's limit, and a mask.
const INPUT_IMAGES_MAX: usize = 17;

/// What is asked for, however it was written.
struct Wish<'a> {
    images: Option<u64>,
    size: Option<Cow<'a, str>>,
    /// xAI's word for the size.
    resolution: Option<Cow<'a, str>>,
    quality: Option<Cow<'a, str>>,
    partial: Option<u64>,
    output_format: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    safety_identifier: Option<Cow<'a, str>>,
}

impl Wish<'_> {
    /// What it comes to, for a call of this model.
    fn into_asked(self, stream: bool, plain: Asked) -> Result<Asked, BadRequest> {
        if matches!(self.output_format.as_deref(), Some("svg" | "gif")) {
            return Err(BadRequest::unmetered("output_format", "drawings and animations"));
        }
        if self.size.is_some() && self.resolution.is_some() {
            return Err(BadRequest::one_of("size", "resolution"));
        }
        let each = tokens_of(self.size.as_deref(), self.quality.as_deref())
            .saturating_add(self.partial.unwrap_or(0).saturating_mul(PARTIAL_IMAGE_TOKENS));
        let told = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        let named = |word: Option<Cow<'_, str>>| word.filter(|word| word != "auto").map(Cow::into_owned);
        let look = Look { size: named(self.size).or(named(self.resolution)), quality: named(self.quality) };
        let images = self.images.unwrap_or(1);
        let product = Product {
            look: Some(Box::new(look)),
            images,
            image_tokens: each,
            output_tokens: each.saturating_add(TEXT_TOKENS),
            ..plain.product
        };
        let user = told(self.safety_identifier).or_else(|| told(self.user));
        Ok(Asked { stream, choices: images, user, product, ..plain })
    }
}

/// Reads the body of a call for images.
pub(crate) fn read(text: &str) -> Result<Asked, BadRequest> {
    let fields = members::read(text, Fields { decisive: &READ, found: [None; READ.len()] })?;
    read_fields(text, &fields, Product::default(), 0)
}

/// Reads the body of a call that changes images, in its form without files.
pub(crate) fn read_edit(text: &str) -> Result<Asked, BadRequest> {
    let fields = members::read(text, Fields { decisive: &READ_EDIT, found: [None; READ_EDIT.len()] })?;
    let images = fields.raw("images").ok_or_else(|| BadRequest::missing("images"))?;
    let kind = Kind::of(images.get());
    if kind != Kind::Array {
        return Err(BadRequest::mistyped("images", "an array", kind));
    }
    let list: Vec<&RawValue> = serde_json::from_str(images.get()).map_err(BadRequest::body)?;
    let mask = fields.raw("mask").filter(|mask| mask.get() != "null");
    let product = brought("images", list.len(), mask.is_some())?;
    let written = images.get().len().saturating_add(mask.map_or(0, |mask| mask.get().len()));
    read_fields(text, &fields, product, u64::try_from(written).unwrap_or(u64::MAX))
}

/// Reads the same as a form.
pub(crate) fn read_edit_form(form: &Form<'_>) -> Result<Asked, BadRequest> {
    form.check(&READ, &["image", "mask"])?;
    if let Some((name, what)) = UNMETERED.into_iter().find(|(name, _)| form.has(name)) {
        return Err(BadRequest::unmetered(name, what));
    }
    let model = form.text("model")?.ok_or_else(|| BadRequest::missing("model"))?;
    field::check_model("model", model.text)?;
    let prompt = form.text("prompt")?.ok_or_else(|| BadRequest::missing("prompt"))?;
    let product = brought("image", form.files("image")?.len(), !form.files("mask")?.is_empty())?;
    let text = |name| Ok::<_, BadRequest>(form.word(name)?.map(Cow::Borrowed));
    let wish = Wish {
        images: form.integer("n", 1..=IMAGES_MAX)?,
        size: text("size")?,
        resolution: text("resolution")?,
        quality: text("quality")?,
        partial: form.integer("partial_images", 0..=PARTIAL_IMAGES_MAX)?,
        output_format: text("output_format")?,
        user: text("user")?,
        safety_identifier: text("safety_identifier")?,
    };
    let texts = FormText { bytes: form.text_bytes(), prompt: Some(prompt.span) };
    let product = Product { form: Some(texts), ..product };
    let plain = Asked { product, ..Asked::plain(model.text.to_owned(), model.span) };
    wish.into_asked(form.boolean("stream")?.unwrap_or(false), plain)
}

/// Images that come along, and what they can cost.
fn brought(param: &str, images: usize, mask: bool) -> Result<Product, BadRequest> {
    let all = images.saturating_add(usize::from(mask));
    if images == 0 {
        return Err(BadRequest::missing(param));
    }
    if all > INPUT_IMAGES_MAX {
        return Err(BadRequest::long_array(param, INPUT_IMAGES_MAX - 1, images));
    }
    let all = u64::try_from(all).unwrap_or(u64::MAX);
    Ok(Product {
        images_brought: all,
        input_tokens: all.saturating_mul(INPUT_IMAGE_TOKENS),
        ..Product::default()
    })
}

/// Reads the members that both bodies have. So many bytes of this one are no prompt.
fn read_fields<const N: usize>(
    text: &str,
    fields: &Fields<'_, N>,
    product: Product,
    inline_bytes: u64,
) -> Result<Asked, BadRequest> {
    let (model, model_text) = field::model(fields.raw("model"))?;
    let string = |name| field::string(name, fields.raw(name));
    string("prompt")?.ok_or_else(|| BadRequest::missing("prompt"))?;
    let given = |name| fields.raw(name).is_some_and(|raw| raw.get() != "null");
    if let Some((name, what)) = UNMETERED.into_iter().find(|(name, _)| given(name)) {
        return Err(BadRequest::unmetered(name, what));
    }
    let wish = Wish {
        images: field::integer("n", fields.raw("n"), 1..=IMAGES_MAX)?,
        size: string("size")?,
        resolution: string("resolution")?,
        quality: string("quality")?,
        partial: field::integer("partial_images", fields.raw("partial_images"), 0..=PARTIAL_IMAGES_MAX)?,
        output_format: string("output_format")?,
        user: string("user")?,
        safety_identifier: string("safety_identifier")?,
    };
    let mut media = Media::default();
    media.inline_bytes = inline_bytes;
    let plain = Asked { product, media, ..Asked::plain(model, span(text, model_text)) };
    wish.into_asked(field::boolean("stream", fields.raw("stream"))?.unwrap_or(false), plain)
}

/// What is charged otherwise than an image is, or as many times over as no member that is read says.
const UNMETERED: [(&str, &str); 5] = [
    ("svg", "drawings and animations"),
    ("frame_count", "drawings and animations"),
    ("width", "images by their width; name a 'size'"),
    ("height", "images by their height; name a 'size'"),
    ("steps", "images by the steps they are made in"),
];

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
struct Fields<'a, const N: usize> {
    decisive: &'static [&'static str; N],
    found: [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Fields<'a, N> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let at = self.decisive.iter().position(|read| *read == name)?;
        self.found.get(at).copied().flatten()
    }
}

impl<'a, const N: usize> Members<'a> for Fields<'a, N> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        let at = self.decisive.iter().position(|read| *read == name);
        match at.and_then(|at| self.found.get_mut(at)) {
            Some(slot) => refusals.raw(slot, name, map),
            None => refusals.unread(name, self.decisive, map),
        }
    }
}
