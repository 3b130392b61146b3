//! Reading along with a stream: which bytes may go to the client now, which must wait, and what it all came to.

use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use domain::{Pico, Usage};

use crate::anthropic;
use crate::converse;
use crate::convert::StreamConverter;
use crate::cut::{Broken, BrokenForm, Cut, CutCall, Form};
use crate::endpoint::Endpoint;
use crate::event_frames::{Decoder, Frame};
use crate::gemini;
use crate::openai;
use crate::output::Output;
use crate::sound::Speech;
use crate::sse::{self, Block, Scanner};
use crate::upstream_error::UpstreamError;

/// The longest event of text that is taken, in bytes, its line ends included.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

const BOM: &str = "\u{feff}";

/// What the client of a stream asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// `stream_options.include_usage`: the event that tells the usage is for the client as well.
    pub client_asked_usage: bool,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StreamFault {
    /// An event that is no JSON object, or what is no event at all.
    #[error("the provider's stream holds what is no event of such a stream")]
    Garbage,
    /// An event longer than [`Endpoint::event_bytes_max`].
    #[error("the provider's stream has an event that is too long")]
    TooLong,
    /// The stream ended in the middle of an event.
    #[error("the provider's stream ended in the middle of an event")]
    Truncated,
    /// A checksum that is not that of what came.
    #[error("the provider's stream was damaged on its way")]
    Checksum,
}

/// Reads a stream as it passes.
///
/// Bytes pass as they came, in slices of what was pushed; only an event that straddles pieces is joined, because
/// slices of it would keep every piece alive. What would break a client's parser is left out: `id:` and `retry:`
/// lines, blocks without data that are no comments, and a byte order mark. Errors pass in the one form that every
/// client sees. What ends a stream, the event with the usage and the one after which nothing comes, waits for
/// [`StreamMeter::tail`].
pub struct StreamMeter {
    reader: Reader,
    /// The longest event that is taken.
    event_bytes_max: usize,
    /// Writes the events anew, for a client of another dialect.
    converter: Option<Box<StreamConverter>>,
    scanner: Scanner,
    /// Takes the events out of Amazon's frame, where the stream has that.
    frames: Option<Box<Decoder>>,
    /// The bytes of an event whose end has not come.
    carry: BytesMut,
    /// No event has been read.
    at_start: bool,
    told: Told,
    held_usage: Vec<Bytes>,
    held_done: Vec<Bytes>,
    done: bool,
    fault: Option<StreamFault>,
}

/// What the events of a stream said so far.
#[derive(Default)]
pub(crate) struct Told {
    /// The model that answers, as the first event says that names one.
    pub(crate) model: Option<String>,
    /// The tier that was served, as the first event says that names one.
    pub(crate) service_tier: Option<String>,
    pub(crate) output: Output,
    /// Whether the answer told why it ended.
    pub(crate) finish_seen: bool,
    /// What was consumed, by the provider's last word on it.
    pub(crate) usage: Option<Usage>,
    /// What was consumed so far, where the provider tells it before the rest: the input, and of the output what it has
    /// told by then, perhaps nothing.
    pub(crate) so_far: Option<Usage>,
    /// What the provider says that it cost, by its last word on it.
    pub(crate) reported_cost: Option<Pico>,
    /// Searches of the web that events showed.
    pub(crate) searches: u64,
    /// Images that were made, or begun to be.
    pub(crate) images: u64,
    /// How far a transcript has come, in milliseconds, where its parts tell.
    pub(crate) audio_ms: u64,
    pub(crate) error: Option<UpstreamError>,
    /// Events that brought something which could be charged.
    pub(crate) chunks: u64,
}

/// Reads the events of one dialect.
enum Reader {
    Chat(openai::Reader),
    Messages(anthropic::Reader),
    Responses(Box<openai::responses::Reader>),
    Converse(converse::Reader),
    Content(gemini::Reader),
    Media(openai::MediaReader),
    /// Speech that comes as it is, without events.
    Sound(Speech),
}

impl Reader {
    /// Reads the data of one event, which is not empty, into what the stream told; says what becomes of the event.
    fn read(&mut self, data: &str, event: Option<&str>, told: &mut Told) -> Result<Fate, StreamFault> {
        match self {
            Self::Chat(reader) => reader.read(data, event, told),
            Self::Messages(reader) => reader.read(data, event, told),
            Self::Responses(reader) => reader.read(data, event, told),
            Self::Converse(reader) => reader.read(data, event, told),
            Self::Content(reader) => reader.read(data, told),
            Self::Media(reader) => reader.read(data, event, told),
            // Nothing of it is an event.
            Self::Sound(_) => Ok(Fate::Pass),
        }
    }
}

/// What becomes of a block.
pub(crate) enum Fate {
    Pass,
    /// It passes without its `event` line.
    PassUnnamed,
    Drop,
    /// It tells the usage, and waits for the tail; with bytes, these in its place.
    Usage(Option<Bytes>),
    /// It waits for the tail, and nothing after it is read; with bytes, these in its place.
    Done(Option<Bytes>),
    /// These bytes go in its place.
    Replace(Bytes),
}

impl StreamMeter {
    /// A meter for one stream of this form. What is never streamed is read as what else is spoken there.
    pub fn new(endpoint: Endpoint, options: StreamOptions) -> Self {
        let reader = match endpoint {
            Endpoint::Chat | Endpoint::Embeddings | Endpoint::Moderations => {
                Reader::Chat(openai::Reader::new(options))
            }
            Endpoint::Messages | Endpoint::CountTokens => Reader::Messages(anthropic::Reader::default()),
            Endpoint::Responses => Reader::Responses(Box::default()),
            Endpoint::Converse => Reader::Converse(converse::Reader),
            Endpoint::GenerateContent | Endpoint::CountContent => Reader::Content(gemini::Reader::default()),
            Endpoint::Images
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations => Reader::Media(openai::MediaReader::new(endpoint)),
        };
        Self {
            frames: (endpoint == Endpoint::Converse).then(Box::default),
            reader,
            event_bytes_max: endpoint.event_bytes_max(),
            converter: None,
            scanner: Scanner::default(),
            carry: BytesMut::new(),
            at_start: true,
            told: Told::default(),
            held_usage: Vec::new(),
            held_done: Vec::new(),
            done: false,
            fault: None,
        }
    }

    /// A meter for speech that comes as it is, without events: all of it passes at once, and nothing waits. Such a stream
    /// cannot tell of an error; it can only break off.
    pub fn of_sound() -> Self {
        let meter = Self::new(Endpoint::Speech, StreamOptions::default());
        Self { reader: Reader::Sound(Speech::default()), ..meter }
    }

    /// Whether it is one of those.
    pub const fn is_sound(&self) -> bool {
        matches!(self.reader, Reader::Sound(_))
    }

    /// The same for a client of another dialect, whose events this writes. Its end is the converter's to write, too:
    /// [`take_converter`](Self::take_converter).
    #[must_use]
    pub fn converting(self, converter: StreamConverter) -> Self {
        Self { converter: Some(Box::new(converter)), ..self }
    }

    /// What writes the end of a stream for a client of another dialect. Nothing more may be pushed.
    pub fn take_converter(&mut self) -> Option<Box<StreamConverter>> {
        self.converter.take()
    }

    /// Takes the next bytes from the provider, and appends to `out` those that may go to the client now.
    ///
    /// # Errors
    /// [`StreamFault`], at this and every later call: what is in `out` before it may still go out, and the client must
    /// be told that the stream broke.
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let result = match self.fault {
            Some(fault) => Err(fault),
            None => self.take(chunk, out),
        };
        self.fault = result.err();
        result
    }

    /// Tells that the provider has sent all. An event without the empty line that ends it is completed.
    ///
    /// # Errors
    /// [`StreamFault::Truncated`] when the last event is not whole; an earlier fault again.
    pub fn finish(&mut self, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        if self.fault.is_none() && !self.done && !self.carry.is_empty() {
            self.carry.extend_from_slice(self.scanner.missing_end());
            let block = self.carry.split().freeze();
            let mut run = Run::new(&block);
            let result = self.block(0..block.len(), &mut run, out);
            run.flush(out);
            self.fault = result.err().map(|fault| match fault {
                StreamFault::Garbage | StreamFault::Truncated => StreamFault::Truncated,
                StreamFault::TooLong | StreamFault::Checksum => fault,
            });
        }
        if self.fault.is_none() && !self.done && self.frames.as_ref().is_some_and(|frames| frames.is_amid()) {
            self.fault = Some(StreamFault::Truncated);
        }
        let stop = match self.reader {
            // The end of a stream that is written anew is the converter's.
            Reader::Messages(_)
                if self.converter.is_none()
                    && self.told.finish_seen
                    && !self.done
                    && self.held_done.is_empty() =>
            {
                Some(anthropic::STOP)
            }
            Reader::Messages(_)
            | Reader::Chat(_)
            | Reader::Responses(_)
            | Reader::Converse(_)
            | Reader::Content(_)
            | Reader::Media(_) => None,
            Reader::Sound(_) => {
                self.told.finish_seen = self.told.chunks > 0;
                None
            }
        };
        // SDKs take an end without this event for a break, or do not tell one from the other.
        self.held_done.extend(stop.map(Bytes::from_static));
        self.fault.map_or(Ok(()), Err)
    }

    /// What is to go out after the settlement, as it was received: the event with the usage if the client is to see it,
    /// and the one that ends the stream.
    pub fn tail(&self) -> Vec<Bytes> {
        self.held_usage.iter().chain(&self.held_done).cloned().collect()
    }

    /// The end for a client whose stream the gateway cuts off here, instead of the [`tail`](Self::tail): that of an
    /// answer which ran into the cap on its output. An event that has not come in full is dropped, and so is what else
    /// waits. Nothing more may be pushed; a stream that broke or told an error has no such end.
    pub fn cut(&self, call: CutCall<'_>) -> Cut {
        Cut(match &self.reader {
            Reader::Chat(reader) => Form::Chat(reader.cut(&self.told, call)),
            Reader::Messages(reader) => Form::Messages(reader.cut(&self.told, call)),
            Reader::Responses(reader) => Form::Responses(Box::new(reader.cut(&self.told, call))),
            Reader::Converse(_) => Form::Unspoken,
            Reader::Content(reader) => Form::Content(reader.cut(&self.told, call)),
            Reader::Media(_) | Reader::Sound(_) => Form::Nothing,
        })
    }

    /// The end for a client whose stream breaks here, or cannot be booked, instead of the [`tail`](Self::tail). It
    /// takes what the stream has said with it: to be asked for last. Nothing more may be pushed.
    pub fn broken(&mut self, call: CutCall<'_>) -> Broken {
        Broken(match &mut self.reader {
            Reader::Chat(_)
            | Reader::Messages(_)
            | Reader::Converse(_)
            | Reader::Content(_)
            | Reader::Media(_) => BrokenForm::Plain,
            Reader::Sound(_) => BrokenForm::Silent,
            Reader::Responses(reader) => BrokenForm::Responses(Box::new(reader.broken(&self.told, call))),
        })
    }

    /// What was consumed, by the provider's last word on it.
    pub const fn usage(&self) -> Option<Usage> {
        self.told.usage
    }

    /// Searches of the web that were seen to be made so far; they stand in the usage, too, once there is one.
    pub const fn searches(&self) -> u64 {
        self.told.searches
    }

    /// Images that were seen to be made, one under way included; those that are finished stand in the usage, too.
    pub const fn images(&self) -> u64 {
        self.told.images
    }

    /// Milliseconds of audio: how long what was spoken so far is, or how far a transcript has come, where that shows.
    pub fn audio_ms(&self) -> u64 {
        match &self.reader {
            // The rest of a recording was heard, too, when its transcript breaks off.
            Reader::Media(reader) => {
                let is_whole = self.done || self.told.finish_seen || self.told.usage.is_some();
                reader.spoken_ms().max(if is_whole { self.told.audio_ms } else { 0 })
            }
            Reader::Sound(speech) => speech.length(),
            Reader::Chat(_)
            | Reader::Messages(_)
            | Reader::Responses(_)
            | Reader::Converse(_)
            | Reader::Content(_) => 0,
        }
    }

    /// What was consumed so far, where the provider tells it before the rest: the input, and of the output what it has
    /// told by then, perhaps nothing.
    pub const fn so_far(&self) -> Option<Usage> {
        self.told.so_far
    }

    /// What the provider says that the stream cost, by its last word on it.
    pub const fn reported_cost(&self) -> Option<Pico> {
        self.told.reported_cost
    }

    /// The model that answers, as its first event says, cut to 256 bytes.
    pub fn model(&self) -> Option<&str> {
        self.told.model.as_deref()
    }

    /// The tier that was served, as the first event with one says, cut to 256 bytes.
    pub fn service_tier(&self) -> Option<&str> {
        self.told.service_tier.as_deref()
    }

    /// Whether the answer, or a choice of it, told why it ended.
    pub const fn finish_seen(&self) -> bool {
        self.told.finish_seen
    }

    /// Whether the event came that ends the stream. Whatever comes after it is not read, and does not pass.
    pub const fn done_seen(&self) -> bool {
        self.done
    }

    /// The last error that the provider reported in an event. The event itself has passed.
    pub const fn upstream_error(&self) -> Option<&UpstreamError> {
        self.told.error.as_ref()
    }

    /// Events with JSON that were read.
    pub const fn chunks(&self) -> u64 {
        self.told.chunks
    }

    /// The text generated so far, of all choices together in the order of the events; at most
    /// [`OUTPUT_TEXT_BYTES_MAX`](super::OUTPUT_TEXT_BYTES_MAX) bytes.
    pub fn output_text(&self) -> &str {
        self.told.output.text()
    }

    /// The same, moved out; the text begins anew.
    pub fn take_output_text(&mut self) -> String {
        self.told.output.take_text()
    }

    /// Output tokens so far, roughly: for checkpoints, never for a bill.
    pub fn content_tokens_seen(&self) -> u64 {
        self.told.output.tokens_seen()
    }

    fn take(&mut self, mut chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        if self.done {
            return Ok(());
        }
        if let Reader::Sound(speech) = &mut self.reader {
            speech.push(&chunk);
            self.told.chunks += u64::from(!chunk.is_empty());
            out.extend(Some(chunk).filter(|chunk| !chunk.is_empty()));
            return Ok(());
        }
        if let Some(mut frames) = self.frames.take() {
            let result = self.frames(&mut frames, &chunk, out);
            self.frames = Some(frames);
            return result;
        }
        if !self.carry.is_empty() {
            let end = self.scanner.find(&chunk);
            self.keep(&chunk.split_to(end.unwrap_or(chunk.len())))?;
            if end.is_none() {
                return Ok(());
            }
            let block = self.carry.split().freeze();
            let mut run = Run::new(&block);
            let result = self.block(0..block.len(), &mut run, out);
            run.flush(out);
            result?;
        }
        let mut run = Run::new(&chunk);
        let result = self.blocks(&chunk, &mut run, out);
        run.flush(out);
        result
    }

    /// Reads the events in Amazon's frame that end within these bytes. No client speaks it, so none of them passes, and
    /// only what is written anew goes out.
    fn frames(
        &mut self,
        frames: &mut Decoder,
        mut bytes: &[u8],
        out: &mut Vec<Bytes>,
    ) -> Result<(), StreamFault> {
        while let Some(frame) = frames.next(&mut bytes)? {
            let error;
            let (name, payload) = match frame {
                Frame::Event(name, payload) | Frame::Exception(name, payload) => (name, payload),
                Frame::Error(code, message) => {
                    error = serde_json::json!({"type": code, "message": message}).to_string();
                    (converse::UNNAMED_EXCEPTION, error.as_bytes())
                }
            };
            let data = std::str::from_utf8(payload).map_err(|_| StreamFault::Garbage)?;
            match self.data(if data.is_empty() { "{}" } else { data }, Some(name))? {
                Fate::Replace(events) => out.push(events),
                Fate::Done(events) => {
                    self.done = true;
                    self.held_done.extend(events);
                    return Ok(());
                }
                Fate::Pass | Fate::PassUnnamed | Fate::Drop | Fate::Usage(_) => {}
            }
        }
        Ok(())
    }

    /// Reads the blocks that end within these bytes, and keeps the rest.
    fn blocks(&mut self, chunk: &Bytes, run: &mut Run<'_>, out: &mut Vec<Bytes>) -> Result<(), StreamFault> {
        let mut at = 0;
        while let Some(rest) = chunk.get(at..).filter(|rest| !rest.is_empty() && !self.done) {
            let Some(end) = self.scanner.find(rest) else { return self.keep(rest) };
            self.block(at..at + end, run, out)?;
            at += end;
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), StreamFault> {
        if self.carry.len().saturating_add(bytes.len()) > self.event_bytes_max {
            return Err(StreamFault::TooLong);
        }
        self.carry.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads one block of the run's source, and does with it what must be done.
    fn block(
        &mut self,
        mut range: Range<usize>,
        run: &mut Run<'_>,
        out: &mut Vec<Bytes>,
    ) -> Result<(), StreamFault> {
        if range.len() > self.event_bytes_max {
            return Err(StreamFault::TooLong);
        }
        let source = run.source;
        // Bytes that are no text would break a client's parser even in a comment.
        let text = source.get(range.clone()).map(std::str::from_utf8);
        let Some(Ok(mut text)) = text else { return Err(StreamFault::Garbage) };
        if std::mem::take(&mut self.at_start)
            && let Some(rest) = text.strip_prefix(BOM)
        {
            text = rest;
            range.start += BOM.len();
        }
        let plain = sse::single_data(text);
        let fate = match plain {
            Some(data) => self.data(data, None)?,
            None => self.lines(text)?,
        };
        let parts = |cut_event: bool| match plain {
            Some(_) => vec![range.clone()],
            None => sse::presentable(text, cut_event)
                .into_iter()
                .map(|part| range.start + part.start..range.start + part.end)
                .collect(),
        };
        let slices = |parts: Vec<Range<usize>>| parts.into_iter().map(|part| source.slice(part)).collect();
        match fate {
            Fate::Pass | Fate::PassUnnamed if plain.is_some() => run.add(range, out),
            Fate::Pass => parts(false).into_iter().for_each(|part| run.add(part, out)),
            Fate::PassUnnamed => parts(true).into_iter().for_each(|part| run.add(part, out)),
            Fate::Drop => {}
            Fate::Usage(instead) => {
                // Only the last one waits: no provider may make us keep any number of them.
                run.flush(out);
                out.append(&mut self.held_usage);
                self.held_usage = instead.map_or_else(|| slices(parts(false)), |bytes| vec![bytes]);
            }
            Fate::Done(instead) => {
                self.done = true;
                self.held_done = instead.map_or_else(|| slices(parts(false)), |bytes| vec![bytes]);
            }
            Fate::Replace(bytes) => {
                run.flush(out);
                out.push(bytes);
            }
        }
        Ok(())
    }

    /// Reads a block that is more, or less, than one line of data.
    fn lines(&mut self, text: &str) -> Result<Fate, StreamFault> {
        let block = Block::read(text);
        match &block.data {
            Some(data) => self.data(data, block.event),
            None if block.has_fields => Ok(Fate::Drop),
            None if block.has_unknown => Err(StreamFault::Garbage),
            None => Ok(Fate::Pass),
        }
    }

    /// Reads the data of one event.
    fn data(&mut self, data: &str, event: Option<&str>) -> Result<Fate, StreamFault> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(Fate::Drop);
        }
        let fate = self.reader.read(data, event, &mut self.told)?;
        let Some(converter) = &mut self.converter else { return Ok(fate) };
        let mut events = Vec::new();
        converter.event(event, data, &mut events).map_err(|_| StreamFault::Garbage)?;
        let is_last = matches!(fate, Fate::Done(_));
        Ok(match Bytes::from(events) {
            events if is_last => Fate::Done(Some(events)),
            events if events.is_empty() => Fate::Drop,
            events => Fate::Replace(events),
        })
    }
}

impl fmt::Debug for StreamMeter {
    /// Without what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamMeter")
            .field("chunks", &self.told.chunks)
            .field("usage", &self.told.usage)
            .field("done", &self.done)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// Bytes that pass, gathered as long as they stand side by side.
struct Run<'s> {
    source: &'s Bytes,
    range: Range<usize>,
}

impl<'s> Run<'s> {
    const fn new(source: &'s Bytes) -> Self {
        Self { source, range: 0..0 }
    }

    fn add(&mut self, range: Range<usize>, out: &mut Vec<Bytes>) {
        if range.start != self.range.end {
            self.flush(out);
            self.range.start = range.start;
        }
        self.range.end = range.end;
    }

    fn flush(&mut self, out: &mut Vec<Bytes>) {
        if !self.range.is_empty() {
            out.push(self.source.slice(self.range.clone()));
        }
        self.range.start = self.range.end;
    }
}
