//! Parts of a message that are not text.

use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Name, Take};
use crate::media::Media;
use crate::messages::Parts;

/// How chats write them.
pub(super) struct ChatParts;

impl Parts for ChatParts {
    fn note(content: &str, media: &mut Media) -> Result<(), serde_json::Error> {
        json::read(content, &mut Content(media))
    }
}

/// The parts of a message's content.
struct Content<'m>(&'m mut Media);

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
