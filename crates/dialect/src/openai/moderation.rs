//! What a moderation asks for.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::media::ChatParts;
use crate::bad_request::BadRequest;
use crate::body::{after_brace, span};
use crate::call::Asked;
use crate::field;
use crate::json::{self, Kind, Take};
use crate::media::Media;
use crate::members::{self, Members, Refusals};
use crate::messages::Parts;

/// The model that OpenAI takes where none is named, by its API reference.
const DEFAULT_MODEL: &str = "omni-moderation-latest";

const READ: [&str; 2] = ["model", "input"];

const INPUT_EXPECTED: &str = "a string, an array of strings or an array of objects";

/// Reads the body of a moderation.
pub(crate) fn read(text: &str) -> Result<Asked, BadRequest> {
    let fields = members::read(text, Fields::default())?;
    let (model, model_span) = match fields.model {
        Some(_) => {
            let (model, place) = field::model(fields.model)?;
            (model, span(text, place))
        }
        None => (DEFAULT_MODEL.to_owned(), after_brace(text, text)),
    };
    let input = fields.input.ok_or_else(|| BadRequest::missing("input"))?;
    Ok(Asked { media: media(input.get())?, ..Asked::plain(model, model_span) })
}

/// Checks what is to be judged, and notes the images in it.
fn media(input: &str) -> Result<Media, BadRequest> {
    let mut media = Media::default();
    let kind = Kind::of(input);
    if kind == Kind::String {
        return Ok(media);
    }
    if kind != Kind::Array {
        return Err(BadRequest::mistyped("input", INPUT_EXPECTED, kind));
    }
    let mut items = Items::default();
    json::read(input, &mut items).map_err(BadRequest::body)?;
    match (items.first, items.misfit) {
        (None, _) => Err(BadRequest::empty_array("input")),
        (_, Some(misfit)) => {
            Err(BadRequest::mistyped("input", INPUT_EXPECTED, format_args!("an array with {misfit} in it")))
        }
        (Some(Kind::Object), None) => {
            ChatParts::note(input, &mut media).map_err(BadRequest::body)?;
            Ok(media)
        }
        (Some(_), None) => Ok(media),
    }
}

/// The members that the gateway reads, as they stand in the text.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "model" => &mut self.model,
            "input" => &mut self.input,
            _ => return refusals.unread(name, &READ, map),
        };
        refusals.raw(slot, name, map)
    }
}

/// What the items of an array are: all texts, or all objects.
#[derive(Default)]
struct Items {
    first: Option<Kind>,
    misfit: Option<Kind>,
}

impl<'de> Take<'de> for Items {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            let kind = Kind::of(item.get());
            let fits = matches!(kind, Kind::String | Kind::Object) && self.first.unwrap_or(kind) == kind;
            self.first = self.first.or(Some(kind));
            if !fits {
                self.misfit = self.misfit.or(Some(kind));
            }
        }
        Ok(())
    }
}
