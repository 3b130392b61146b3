//! Images: what is asked, and answers that hold the same small picture each time.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::decode::{model, typed};
use crate::form::Form;
use crate::problem::Problem;
use crate::stream::{GARBAGE, Made};
use crate::text;
use crate::truth::Tokens;

/// One dark pixel, as a PNG in base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Tokens of each partial image, as at OpenAI.
const PARTIAL_TOKENS: u64 = 100;
/// Tokens of each image that comes along.
const BROUGHT_TOKENS: u64 = 323;

/// The raw fields of a request.
#[derive(Deserialize)]
pub(crate) struct ImageFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    quality: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_images: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    /// Those that are to be changed.
    #[serde(borrow)]
    images: Option<&'a RawValue>,
}

/// What is to be made.
pub(crate) struct ImageAsk {
    pub(crate) stream: bool,
    pub(crate) prompt: u64,
    images: u64,
    partial: u64,
    as_url: bool,
    /// Images that came along.
    brought: u64,
    size: String,
    quality: String,
}

/// Images, decided but not yet written.
pub(crate) struct Images {
    pub(crate) ask: ImageAsk,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Tokens of each image.
    pub(crate) each: u64,
    /// Whether token counts are reported.
    pub(crate) usage: bool,
}

impl ImageFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        model(self.model)
    }

    /// The rest. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ImageAsk, Problem> {
        let prompt: String =
            typed(self.prompt, "prompt", "a string")?.ok_or_else(|| Problem::missing("prompt"))?;
        let images = typed(self.n, "n", "an integer")?.unwrap_or(1);
        if !(1..=10).contains(&images) {
            return Err(Problem::value("n", "a number from 1 to 10"));
        }
        let partial = typed(self.partial_images, "partial_images", "an integer")?.unwrap_or(0);
        if partial > 3 {
            return Err(Problem::value("partial_images", "a number from 0 to 3"));
        }
        let word = |raw, name| typed::<String>(raw, name, "a string");
        let named =
            |raw, name, usual: &str| Ok::<_, Problem>(word(raw, name)?.unwrap_or_else(|| usual.to_owned()));
        Ok(ImageAsk {
            stream: typed(self.stream, "stream", "a boolean")?.unwrap_or(false),
            prompt: given.unwrap_or_else(|| text::count(&prompt)),
            images,
            partial,
            as_url: word(self.response_format, "response_format")?.as_deref() == Some("url"),
            brought: typed::<Vec<Value>>(self.images, "images", "an array")?
                .map_or(0, |images| images.len() as u64),
            size: named(self.size, "size", "1024x1024")?,
            quality: named(self.quality, "quality", "high")?,
        })
    }
}

impl ImageAsk {
    /// The same of a form. The prompt is counted unless its size is `given`.
    pub(crate) fn read(form: &Form<'_>, given: Option<u64>) -> Result<Self, Problem> {
        let prompt = form.needed("prompt")?;
        let number = |name: &str, usual: u64| match form.text(name).map(|text| text.parse()) {
            None => Ok(usual),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(Problem::mistyped(name, "an integer")),
        };
        let brought = form.files("image").len() + form.files("mask").len();
        if brought == 0 {
            return Err(Problem::missing("image"));
        }
        Ok(Self {
            stream: form.flag("stream"),
            prompt: given.unwrap_or_else(|| text::count(&prompt)),
            images: number("n", 1)?,
            partial: number("partial_images", 0)?,
            as_url: form.text("response_format").as_deref() == Some("url"),
            brought: brought as u64,
            size: form.text("size").unwrap_or_else(|| "1024x1024".to_owned()),
            quality: form.text("quality").unwrap_or_else(|| "high".to_owned()),
        })
    }
}

impl Images {
    /// What is billed once so many images are made.
    pub(crate) fn tokens(&self, images: u64) -> Tokens {
        let image_prompt = self.ask.brought * BROUGHT_TOKENS;
        Tokens {
            prompt: self.ask.prompt + image_prompt,
            image_prompt,
            completion: self.of_each() * images,
            images,
            ..Tokens::default()
        }
    }

    const fn of_each(&self) -> u64 {
        self.each + if self.ask.stream { self.ask.partial * PARTIAL_TOKENS } else { 0 }
    }

    /// All images.
    pub(crate) const fn count(&self) -> u64 {
        self.ask.images
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> String {
        let one = if self.ask.as_url {
            json!({"url": "https://images.example/1.png"})
        } else {
            json!({"b64_json": PICTURE})
        };
        let mut answer = self.about();
        answer["created"] = json!(self.created);
        answer["data"] = vec![one; self.ask.images as usize].into();
        if self.usage {
            answer["usage"] = self.counts(self.ask.images);
        }
        answer.to_string()
    }

    /// The answer as events: of each image the partial ones, then itself.
    pub(crate) fn made(&self) -> Made {
        let (mut pieces, mut bills) = (Vec::new(), vec![self.tokens(0)]);
        let mut end = String::new();
        for image in 1..=self.ask.images {
            for partial in 0..self.ask.partial {
                let mut event = self.about();
                event["type"] = json!(format!("{}.partial_image", self.what()));
                event["partial_image_index"] = json!(partial);
                pieces.push(self.event(event));
                bills.push(self.tokens(image));
            }
            let mut event = self.about();
            event["type"] = json!(format!("{}.completed", self.what()));
            if self.usage {
                event["usage"] = self.counts(1);
            }
            end = self.event(event);
            if image < self.ask.images {
                pieces.push(end.clone());
                bills.push(self.tokens(image));
            } else {
                // What the last event brings is billed before it is out.
                bills.pop();
                bills.push(self.tokens(image));
            }
        }
        Made { pieces, bills, end, garbage: GARBAGE, is_sound: false }
    }

    /// What the events are of.
    const fn what(&self) -> &'static str {
        if self.ask.brought > 0 { "image_edit" } else { "image_generation" }
    }

    fn event(&self, mut event: Value) -> String {
        event["b64_json"] = json!(PICTURE);
        event["created_at"] = json!(self.created);
        let name = event["type"].as_str().unwrap_or_default();
        format!("event: {name}\ndata: {event}\n\n")
    }

    fn about(&self) -> Value {
        json!({"background": "opaque", "output_format": "png", "size": self.ask.size, "quality": self.ask.quality})
    }

    fn counts(&self, images: u64) -> Value {
        let of = |tokens: u64| tokens * images / self.ask.images;
        let (text, image) = (of(self.ask.prompt), of(self.ask.brought * BROUGHT_TOKENS));
        let (input, output) = (text + image, self.of_each() * images);
        json!({
            "input_tokens": input,
            "input_tokens_details": {"text_tokens": text, "image_tokens": image},
            "output_tokens": output,
            "total_tokens": input + output,
        })
    }
}
