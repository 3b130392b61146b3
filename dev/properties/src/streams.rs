//! What must hold of every stream that a provider sends: however it is cut into pieces, the client gets the same bytes
//! and the bill is the same; what is written anew can be read again and tells what was charged; and nothing grows
//! beyond a multiple of what came.

use std::num::NonZeroU64;

use bytes::Bytes;
use dialect::{
    Addressed, Call, Conversion, CutCall, Endpoint, ErrorBody, Framing, Manners, StreamFault, StreamMeter,
    StreamOptions, Upstream,
};
use domain::{Pico, Timestamp, Usage};

use crate::input::{Input, pieces};
use crate::usage::check_usage;

/// What a stream may come to, in bytes: so many for each that came, and these. An event of a few letters becomes one
/// with ids and a time, and Responses repeat what was said three times at its end.
const GROWTH: usize = 64;
const GROWTH_LEAST: usize = 64 * 1024;

/// What is charged for a stream that is written anew. No bucket that a form cannot tell, so that all can.
const CHARGED: Usage = Usage::from_counts([10, 20, 0, 0, 0, 0, 7, 0, 0, 3, 0, 0, 0, 0, 0]);

const CALL: CutCall<'static> = CutCall {
    request_id: "req_018f2b6d9f1c7a30b1c2d3e4f5061728",
    at: Timestamp::from_micros(1_763_000_000_000_000),
    model: "asked",
    choices: 2,
};

/// Everything that a stream came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    client: Vec<u8>,
    tail: Vec<u8>,
    fault: Option<StreamFault>,
    usage: Option<Usage>,
    so_far: Option<Usage>,
    reported: Option<Pico>,
    model: Option<String>,
    service_tier: Option<String>,
    finish: bool,
    done: bool,
    error: Option<String>,
    counts: [u64; 4],
    text: String,
    cut: Vec<u8>,
    broken: Vec<u8>,
    /// The end that a converter writes, if there is one.
    converted: Vec<u8>,
}

impl Outcome {
    fn bytes(&self) -> usize {
        let parts = [&self.client, &self.tail, &self.cut, &self.broken, &self.converted];
        parts.into_iter().map(Vec::len).sum::<usize>() + self.text.len()
    }
}

/// How the end is written, where the stream is written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Tail,
    Cut,
    Fail,
}

/// Bytes as a stream: of this endpoint, asked for its usage or not, passed as it is or written anew for a caller of
/// another form, cut into these pieces.
pub fn streams(data: &[u8]) {
    let mut input = Input(data);
    let Some(endpoint) = input.endpoint() else { return };
    let (way, seed) = (input.byte(), input.byte());
    check(endpoint, way, seed, &Bytes::copy_from_slice(input.0));
}

/// The same of messages in Amazon's framing, with checksums that are right: each is a length of two bytes, one that
/// chooses its headers, and a payload of that length.
pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let (way, seed) = (input.byte(), input.byte());
    let stream = crate::frame::stream(input);
    check(Endpoint::Converse, way, seed, &Bytes::from(stream));
}

fn check(endpoint: Endpoint, way: u8, seed: u8, stream: &Bytes) {
    let end = match way >> 4 & 3 {
        0 | 3 => End::Tail,
        1 => End::Cut,
        _ => End::Fail,
    };
    let asked = way & 8 != 0;
    let conversion = conversion(endpoint, way & 7, asked);
    let run =
        |pieces| run(endpoint, asked, conversion.as_ref().map(|(_, conversion)| conversion), end, pieces);
    let whole = run(vec![stream.clone()]);
    let cut = run(pieces(stream, seed));
    assert_eq!(whole, cut, "{endpoint:?} in pieces");
    for usage in [whole.usage, whole.so_far].into_iter().flatten() {
        check_usage(&usage);
    }
    let most = stream.len().saturating_mul(GROWTH).saturating_add(GROWTH_LEAST);
    assert!(whole.bytes() <= most, "{} bytes became {}", stream.len(), whole.bytes());
    if let Some((caller, _)) = conversion {
        check_written(caller, end, whole);
    }
}

/// The way back of a stream for a caller of this number's form, if there is one.
fn conversion(from: Endpoint, caller: u8, asked: bool) -> Option<(Endpoint, Conversion)> {
    let (caller, body) = match (caller, asked) {
        (1, true) => (
            Endpoint::Chat,
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"a"}]}"#,
        ),
        (1, false) => {
            (Endpoint::Chat, r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}"#)
        }
        (2, _) => (
            Endpoint::Responses,
            r#"{"model":"m","stream":true,"input":"a","tools":[{"type":"custom","name":"t"}]}"#,
        ),
        (3, _) => (
            Endpoint::Messages,
            r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
        ),
        (4, _) => (Endpoint::GenerateContent, r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#),
        _ => return None,
    };
    let addressed = Addressed { model: "m".to_owned(), framing: Framing::Events };
    let call = Call::read_at(caller, Some(&addressed), Bytes::from_static(body.as_bytes()));
    let upstream = Upstream { model: "upstream", manners: Manners::default(), output_cap: None };
    let call = call.expect("a plain call can be read");
    Some((caller, Conversion::of(&call, from, upstream, NonZeroU64::MIN).ok()?))
}

fn run(
    endpoint: Endpoint,
    asked: bool,
    conversion: Option<&Conversion>,
    end: End,
    pieces: Vec<Bytes>,
) -> Outcome {
    let mut meter = StreamMeter::new(endpoint, StreamOptions { client_asked_usage: asked });
    if let Some(conversion) = conversion {
        meter = meter.converting(conversion.stream(CALL));
    }
    let mut out = Vec::new();
    let pushed = pieces.into_iter().try_for_each(|piece| meter.push(piece, &mut out)).err();
    // What is cut off has no end of its own.
    let fault = if end == End::Cut { pushed } else { meter.finish(&mut out).err() };
    assert!(pushed.is_none() || fault == pushed, "a fault stays");
    assert!(out.iter().all(|bytes| !bytes.is_empty()), "an empty slice");
    let error = ErrorBody::new(502, "upstream_error", "it broke");
    let mut converted = Vec::new();
    if let Some(mut converter) = meter.take_converter() {
        match end {
            _ if fault.is_some() => converter.fail(&error, &mut converted),
            End::Tail => converter.tail(&CHARGED, &mut converted),
            End::Cut => converter.cut(&CHARGED, &mut converted),
            End::Fail => converter.fail(&error, &mut converted),
        }
    }
    Outcome {
        client: out.concat(),
        tail: meter.tail().concat(),
        fault,
        usage: meter.usage(),
        so_far: meter.so_far(),
        reported: meter.reported_cost(),
        model: meter.model().map(str::to_owned),
        service_tier: meter.service_tier().map(str::to_owned),
        finish: meter.finish_seen(),
        done: meter.done_seen(),
        error: meter.upstream_error().map(|error| format!("{error:?}")),
        counts: [meter.chunks(), meter.content_tokens_seen(), meter.searches(), meter.images()],
        text: meter.output_text().to_owned(),
        cut: meter.cut(CALL).events(&CHARGED).concat(),
        broken: meter.broken(CALL).events(&error).to_vec(),
        converted,
    }
}

/// What was written anew is a stream of the caller's form: it is read without a fault, and it tells what is charged,
/// or that it broke.
fn check_written(caller: Endpoint, end: End, outcome: Outcome) {
    let mut meter = StreamMeter::new(caller, StreamOptions { client_asked_usage: true });
    let failed = end == End::Fail || outcome.fault.is_some();
    // Only a stream that came to its own end has the tail that waited.
    let tail = if failed || end == End::Cut { Vec::new() } else { outcome.tail };
    let written = [outcome.client, tail, outcome.converted].concat();
    let mut out = Vec::new();
    let pushed = meter.push(Bytes::from(written.clone()), &mut out);
    let read = pushed.and_then(|()| meter.finish(&mut out));
    let shown = || String::from_utf8_lossy(&written).into_owned();
    assert_eq!(read, Ok(()), "{caller:?} cannot read {}", shown());
    assert!(
        !failed || meter.upstream_error().is_some(),
        "{caller:?} is not told of the break by {}",
        shown()
    );
    if let (false, None, Some(told)) = (failed, meter.upstream_error(), meter.usage()) {
        let totals = |usage: &Usage| (usage.input_total(), usage.output_total(), usage.cached);
        assert_eq!(totals(&told), totals(&CHARGED), "{caller:?} is told another usage by {}", shown());
    }
}
