//! Blocks of a message that are not text: images and documents, also inside what a tool answered.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Name, Take};
use crate::media::Media;
use crate::messages::{self, Parts};

/// How messages write them.
pub(super) struct MessageParts;

impl Parts for MessageParts {
    fn note(content: &str, media: &mut Media) -> Result<(), serde_json::Error> {
        json::read(content, &mut Blocks(media))
    }
}

/// The blocks of a content.
struct Blocks<'m>(&'m mut Media);

impl<'de> Take<'de> for Blocks<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut source) = (None::<Cow<'de, str>>, Source::new(&mut *self.0));
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "source" => map.next_value_seed(Into(&mut source))?,
                // What a tool answered.
                "content" => messages::content::<MessageParts, A>(&mut map, source.media)?,
                _ => json::skip_shallow(&mut map)?,
            }
        }
        let Source { seen, is_text, inline, .. } = source;
        match kind.as_deref() {
            Some("image") if seen => self.0.image(inline.unwrap_or(0)),
            Some("text") => {}
            // A document of text is in the body as any other text is. A block that nobody knows may be one of another
            // medium.
            _ if seen && !is_text => self.0.file(inline.unwrap_or(0)),
            _ => {}
        }
        Ok(())
    }
}

/// Where a medium is.
struct Source<'m> {
    media: &'m mut Media,
    seen: bool,
    /// The document is a text, or made of blocks.
    is_text: bool,
    /// Bytes of it that stand in the body as base64. Only what is surely no text counts: of two types a provider may
    /// take either.
    inline: Option<u64>,
}

impl<'m> Source<'m> {
    const fn new(media: &'m mut Media) -> Self {
        Self { media, seen: false, is_text: false, inline: None }
    }
}

impl<'de> Take<'de> for Source<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut types, mut is_base64, mut data) = (0_u32, false, 0_u64);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => {
                    let mut kind = None::<Cow<'de, str>>;
                    map.next_value_seed(Into(&mut kind))?;
                    types += 1;
                    is_base64 = types == 1 && kind.as_deref() == Some("base64");
                    self.is_text |= matches!(kind.as_deref(), Some("text" | "content"));
                }
                "data" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    json::check_depth(text)?;
                    data = u64::try_from(text.len().saturating_sub(2)).unwrap_or(0);
                }
                "content" => messages::content::<MessageParts, A>(&mut map, self.media)?,
                _ => json::skip_shallow(&mut map)?,
            }
        }
        self.inline = (is_base64 && !self.seen).then_some(data);
        self.seen = true;
        Ok(())
    }
}
