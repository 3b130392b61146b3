//! The contents of a prompt: how many there are, and how much of them is not text.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::json::{self, Into, Kind, Name, Take};
use crate::media::Media;

/// The contents: an array of objects, or the one object that Google's servers take for an array of one.
#[derive(Default)]
pub(super) struct Contents {
    kind: Option<Kind>,
    len: usize,
    pub(super) media: Media,
    /// There is a medium whose bytes do not bound its tokens, so that it may be as long as the model reads: a file that
    /// Google keeps or fetches, or sound or moving pictures, which are counted by the second however few bytes tell one.
    pub(super) is_unbounded: bool,
}

impl Contents {
    pub(super) fn check(&self) -> Result<(), BadRequest> {
        match self.kind {
            Some(Kind::Array) if self.len == 0 => Err(BadRequest::empty_array("contents")),
            Some(Kind::Array | Kind::Object) => Ok(()),
            kind => Err(BadRequest::mistyped("contents", "an array of objects", kind.unwrap_or(Kind::Null))),
        }
    }
}

impl<'de> Take<'de> for Contents {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(content) = seq.next_element::<&RawValue>()? {
            self.len += 1;
            json::check_depth(content.get())?;
            // A content that is no object is the provider's to refuse.
            drop(json::read(content.get(), &mut Content(self)));
        }
        Ok(())
    }

    fn object<A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        Content(self).object(map)
    }
}

/// What has parts: a content, or what a function answered.
struct Content<'c>(&'c mut Contents);

impl<'de> Take<'de> for Content<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "parts" => {
                    let parts = map.next_value::<&RawValue>()?.get();
                    json::check_depth(parts)?;
                    // It was parsed once already.
                    drop(json::read(parts, &mut Part(&mut *self.0)));
                }
                _ => json::skip_shallow(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A part, or the array of them.
struct Part<'c>(&'c mut Contents);

impl<'de> Take<'de> for Part<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let mut blob = Blob::default();
            match &*name {
                "inlineData" | "inline_data" => {
                    map.next_value_seed(Into(&mut blob))?;
                    blob.note_inline(&mut self.0.media);
                    self.0.is_unbounded |= matches!(blob.sort(), Some("audio" | "video"));
                }
                "fileData" | "file_data" => {
                    map.next_value_seed(Into(&mut blob))?;
                    match blob.sort() {
                        Some("image") => self.0.media.image(0),
                        _ => self.0.is_unbounded = true,
                    }
                }
                "functionResponse" | "function_response" => {
                    map.next_value_seed(Into(&mut Content(&mut *self.0)))?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A medium: what it is, and how many bytes of it stand in the body as base64.
#[derive(Default)]
struct Blob<'a> {
    mime: Option<Cow<'a, str>>,
    mimes: u32,
    bytes: u64,
}

impl Blob<'_> {
    /// `image`, `audio`, `video`, `text` or `application`. Of two types a provider may take either, so they are none.
    fn sort(&self) -> Option<&str> {
        self.mime.as_deref().filter(|_| self.mimes == 1)?.split('/').next()
    }

    /// Only what is surely no text counts as a medium: the bytes of all else bound its tokens.
    fn note_inline(&self, media: &mut Media) {
        match self.sort() {
            Some("image") => media.image(self.bytes),
            Some("audio") => media.audio(self.bytes),
            Some("video" | "application") => media.file(self.bytes),
            _ => {}
        }
    }
}

impl<'de> Take<'de> for Blob<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "mimeType" | "mime_type" => {
                    self.mimes += 1;
                    map.next_value_seed(Into(&mut self.mime))?;
                }
                "data" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    self.bytes = u64::try_from(text.len().saturating_sub(2)).unwrap_or(0);
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
