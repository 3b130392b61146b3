//! Images: what is asked, and answers that hold the same small picture each time.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::decode::{model, typed};
use crate::problem::Problem;
use crate::stream::{GARBAGE, Made};
use crate::text;
use crate::truth::Tokens;

/// One dark pixel, as a PNG in base64.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// Tokens of each partial image, as at OpenAI.
const PARTIAL_TOKENS: u64 = 100;

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
}

/// What is to be made.
pub(crate) struct ImageAsk {
    pub(crate) stream: bool,
    pub(crate) prompt: u64,
    images: u64,
    partial: u64,
    as_url: bool,
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
            size: named(self.size, "size", "1024x1024")?,
            quality: named(self.quality, "quality", "high")?,
        })
    }
}

impl Images {
    /// What is billed once so many images are made.
    pub(crate) const fn tokens(&self, images: u64) -> Tokens {
        Tokens {
            prompt: self.ask.prompt,
            cached: 0,
            cache_write: 0,
            cache_write_1h: 0,
            completion: self.of_each() * images,
            reasoning: 0,
            images,
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
                event["type"] = json!("image_generation.partial_image");
                event["partial_image_index"] = json!(partial);
                pieces.push(self.event(event));
                bills.push(self.tokens(image));
            }
            let mut event = self.about();
            event["type"] = json!("image_generation.completed");
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
        Made { pieces, bills, end, garbage: GARBAGE }
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
        let (input, output) = (self.ask.prompt * images / self.ask.images, self.of_each() * images);
        json!({
            "input_tokens": input,
            "input_tokens_details": {"text_tokens": input, "image_tokens": 0},
            "output_tokens": output,
            "total_tokens": input + output,
        })
    }
}
