//! The input of a request: media in it, tools that it brings, and items that only name what stands elsewhere.

use std::borrow::Cow;

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::tools::Tools;
use crate::bad_request::BadRequest;
use crate::json::{self, Into, Kind, Name, Take};
use crate::media::Media;

/// What the input of a request comes to.
pub(super) struct Input {
    pub(super) media: Media,
    /// The request's tools, and those that items bring.
    pub(super) tools: Tools,
    /// Whether an item only names one that the provider keeps.
    pub(super) is_elsewhere: bool,
}

impl Input {
    /// Reads the member `input`: a text or an array of items, if it is there.
    pub(super) fn read(text: Option<&str>, tools: Tools) -> Result<Self, BadRequest> {
        let mut input = Self { media: Media::default(), tools, is_elsewhere: false };
        let Some(text) = text else { return Ok(input) };
        let kind = Kind::of(text);
        if kind == Kind::String {
            return Ok(input);
        }
        if kind != Kind::Array {
            return Err(BadRequest::mistyped("input", "a string or an array of objects", kind));
        }
        // Its places are not those of the body, so the parser's own words would mislead.
        json::read(text, &mut Items(&mut input))
            .map_err(|_| BadRequest::body("an item of 'input' holds what is no valid Unicode text"))?;
        let tools = std::mem::take(&mut input.tools).check()?;
        Ok(Self { tools, ..input })
    }
}

/// The items of the input.
struct Items<'i>(&'i mut Input);

impl<'de> Take<'de> for Items<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut id, mut tools, mut result) = (None::<Cow<'de, str>>, false, None, 0);
        let mut says = false;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "id" => id = map.next_value::<&RawValue>()?.get().starts_with('"'),
                // A text is passed over faster than it is decoded, and nearly all contents are texts.
                "content" | "output" => {
                    says = true;
                    let content = map.next_value::<&'de RawValue>()?.get();
                    if matches!(Kind::of(content), Kind::Array | Kind::Object) {
                        let read = json::read(content, &mut Parts(&mut self.0.media));
                        read.map_err(|_| Error::custom("a part is no Unicode text"))?;
                    }
                }
                "tools" => tools = Some(map.next_value::<&'de RawValue>()?),
                "result" => result = inline(map.next_value::<&RawValue>()?),
                "role" | "call_id" | "summary" | "encrypted_content" => {
                    says = true;
                    json::skip(&mut map)?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        let kind = kind.as_deref();
        if kind == Some("image_generation_call") {
            self.0.media.image(result);
        }
        // The type of a reference may be left out.
        self.0.is_elsewhere |= kind == Some("item_reference") || (kind.is_none() && id && !says);
        // What a server said that its tools are has no types, and is no list of tools to call.
        if let Some(tools) = tools.filter(|_| kind != Some("mcp_list_tools")) {
            self.0.tools.add(tools).map_err(|_| Error::custom("a tool is no Unicode text"))?;
        }
        Ok(())
    }
}

/// The parts of an item's content or output.
struct Parts<'m>(&'m mut Media);

impl<'de> Take<'de> for Parts<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    /// A part is what its type says, else what it has the member for.
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let mut kind = None::<Cow<'de, str>>;
        let (mut image, mut file, mut audio) = (None, None, None);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "image_url" => image = Some(inline(map.next_value::<&RawValue>()?)),
                "file_data" => file = Some(inline(map.next_value::<&RawValue>()?)),
                "file_url" | "file_id" => {
                    file = file.or(Some(0));
                    json::skip(&mut map)?;
                }
                "input_audio" => {
                    let mut data = Data(0);
                    map.next_value_seed(Into(&mut data))?;
                    audio = Some(data.0);
                }
                _ => json::skip(&mut map)?,
            }
        }
        let kind = kind.as_deref().unwrap_or_default();
        if matches!(kind, "input_image" | "computer_screenshot") || (image.is_some() && kind != "input_file")
        {
            self.0.image(image.unwrap_or(0));
        } else if kind == "input_file" || file.is_some() {
            self.0.file(file.unwrap_or(0));
        }
        if let Some(bytes) = audio {
            self.0.audio(bytes);
        }
        Ok(())
    }
}

/// A recording that came along.
struct Data(u64);

impl<'de> Take<'de> for Data {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "data" => self.0 = inline(map.next_value::<&RawValue>()?),
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Bytes of a medium that stand in the body. An address counts too: as text it would be more tokens than it is.
fn inline(value: &RawValue) -> u64 {
    let text = value.get();
    let length = if text.starts_with('"') { text.len().saturating_sub(2) } else { 0 };
    u64::try_from(length).unwrap_or(u64::MAX)
}
