//! Parts of a message that are not text.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};
use crate::media::Media;

/// One message of a request, of which only media matter here: what else it holds is the provider's business.
pub(super) struct Message<'m>(pub(super) &'m mut Media);

impl<'de> Take<'de> for Message<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name != "content" {
                json::skip_shallow(&mut map)?;
                continue;
            }
            // A text is passed over faster than it is decoded, and nearly all contents are texts.
            let content = map.next_value::<&RawValue>()?.get();
            if Kind::of(content) == Kind::Array {
                // Its places are not those of the body, so the parser's own words would mislead.
                json::read(content, &mut Content(&mut *self.0)).map_err(|_| {
                    Error::custom(
                        "a message's content is nested too deeply, or holds what is no Unicode text",
                    )
                })?;
            } else {
                json::check_depth(content)?;
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            json::check_depth(item.get())?;
        }
        Ok(())
    }
}

/// The parts of a message's content.
pub(super) struct Content<'m>(pub(super) &'m mut Media);

impl<'de> Take<'de> for Content<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    /// A part is what it has the member for; some providers read one without a `type`.
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let mut inline = Inline(0);
            let note: fn(&mut Media, u64) = match &*name {
                "image_url" => Media::image,
                "input_audio" => Media::audio,
                "file" => Media::file,
                _ => {
                    json::skip_shallow(&mut map)?;
                    continue;
                }
            };
            map.next_value_seed(Into(&mut inline))?;
            note(self.0, inline.0);
        }
        Ok(())
    }
}

/// Bytes of a medium that came along with its part.
struct Inline(u64);

impl<'de> Take<'de> for Inline {
    fn text(&mut self, text: &str) {
        self.0 = self.0.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "url" | "data" | "file_data" => map.next_value_seed(Into(self))?,
                _ => json::skip_shallow(&mut map)?,
            }
        }
        Ok(())
    }
}
