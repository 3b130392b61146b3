//! The messages of a conversation: how many there are, and how much of them is not text. What else a message holds is the
//! provider's business, and how a dialect writes what is not text is the dialect's.

use std::marker::PhantomData;

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::json::{self, Into, Kind, Name, Take};
use crate::media::Media;

/// How a dialect writes the parts of a content.
pub(crate) trait Parts {
    /// Notes what of an array of parts is not text.
    ///
    /// # Errors
    /// What the parser says.
    fn note(content: &str, media: &mut Media) -> Result<(), serde_json::Error>;
}

/// Reads a value that is a text or an array of parts.
pub(crate) fn content<'de, P: Parts, A: MapAccess<'de>>(
    map: &mut A,
    media: &mut Media,
) -> Result<(), A::Error> {
    // A text is passed over faster than it is decoded, and nearly all contents are texts.
    let content = map.next_value::<&RawValue>()?.get();
    if Kind::of(content) != Kind::Array {
        return json::check_depth(content);
    }
    // Its places are not those of the body, so the parser's own words would mislead.
    P::note(content, media).map_err(|_| {
        Error::custom("a message's content is nested too deeply, or holds what is no Unicode text")
    })
}

/// The messages: an array of objects.
pub(crate) struct Messages<P> {
    kind: Option<Kind>,
    len: usize,
    pub(crate) media: Media,
    parts: PhantomData<P>,
}

impl<P> Default for Messages<P> {
    fn default() -> Self {
        Self { kind: None, len: 0, media: Media::default(), parts: PhantomData }
    }
}

impl<P> Messages<P> {
    pub(crate) fn check(&self) -> Result<(), BadRequest> {
        match self.kind {
            Some(Kind::Array) if self.len == 0 => Err(BadRequest::empty_array("messages")),
            Some(Kind::Array) => Ok(()),
            kind => Err(BadRequest::mistyped("messages", "an array of objects", kind.unwrap_or(Kind::Null))),
        }
    }
}

impl<'de, P: Parts> Take<'de> for Messages<P> {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        let mut message = Message::<P> { media: &mut self.media, parts: PhantomData };
        while seq.next_element_seed(Into(&mut message))?.is_some() {
            self.len += 1;
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Name)?.is_some() {
            json::skip_shallow(&mut map)?;
        }
        Ok(())
    }
}

struct Message<'m, P> {
    media: &'m mut Media,
    parts: PhantomData<P>,
}

impl<'de, P: Parts> Take<'de> for Message<'_, P> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name == "content" {
                content::<P, A>(&mut map, self.media)?;
            } else {
                json::skip_shallow(&mut map)?;
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
