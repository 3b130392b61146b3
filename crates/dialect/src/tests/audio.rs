//! Speech and transcripts: what is asked for, how long recordings are, and what answers say.

use bytes::Bytes;
use domain::Usage;

use crate::sound::{Length, Speech};
use crate::tokens::count_prompt;
use crate::{AnswerFacts, BadRequest, Call, Endpoint, Made, StreamMeter, StreamOptions};

fn speak(members: &str) -> Result<Call, BadRequest> {
    Call::read(Endpoint::Speech, Bytes::from(format!(r#"{{"model":"m"{members}}}"#)))
}

#[test]
fn a_speech_is_bounded_by_its_characters_and_its_speed() {
    for (members, characters, tokens, stream) in [
        (r#","input":"Gates.""#, 6, 6 * 4 + 256, false),
        (r#","input":"Gates.","speed":1.5,"voice":{"id":"v"}"#, 6, 6 * 4 + 256, false),
        (r#","input":"Gates.","speed":0.25,"stream_format":"sse""#, 6, 6 * 16 + 256, true),
        (r#","input":"Gates.","speed":0.3,"stream_format":"audio""#, 6, 80 + 256, false),
        (r#","input":"門é.","speed":null,"stream_format":null"#, 3, 24 + 256, false),
        (r#","input":"\u00e9""#, 1, 10 + 256, false),
    ] {
        let call = speak(members).unwrap_or_else(|error| panic!("{members}: {error}"));
        assert_eq!((call.characters(), call.stream()), (characters, stream), "{members}");
        assert_eq!((call.output_cap(), call.audio_ms()), (Some(tokens), tokens * 48), "{members}");
        assert!(call.output_is_fixed() && call.form_prompt().is_none());
    }
    for (members, param, code) in [
        ("", "input", "missing_required_parameter"),
        (r#","input":"""#, "input", "empty_string"),
        (r#","input":["a"]"#, "input", "invalid_type"),
        (r#","input":"a","speed":"1""#, "speed", "invalid_type"),
        (r#","input":"a","speed":0.24"#, "speed", "invalid_value"),
        (r#","input":"a","speed":1e-9"#, "speed", "invalid_value"),
        (r#","input":"a","stream_format":"events""#, "stream_format", "invalid_value"),
        (r#","input":"a","Input":"b""#, "Input", "unknown_parameter"),
    ] {
        let error = speak(members).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{members}");
    }
    let call = speak(r#","input":"Gates.","instructions":"Slowly."}"#.trim_end_matches('}')).unwrap();
    let reckoned = Usage { characters: 6, audio_ms: 480, audio_output: 10, ..Usage::default() };
    assert_eq!(call.reckoned(Made { images: 0, audio_ms: 480 }), reckoned);
    assert_eq!(count_prompt(Endpoint::Speech, call.body(), "gpt-4o"), 6);
}

/// A WAV of so many bytes of sound, of which the head says what it likes.
fn wave(rate: u32, channels: u16, bits: u16, format: u16, told: u32, sound: usize) -> Vec<u8> {
    let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    wave.extend([format, channels].into_iter().flat_map(u16::to_le_bytes));
    wave.extend([rate, 1].into_iter().flat_map(u32::to_le_bytes));
    wave.extend([1, bits].into_iter().flat_map(u16::to_le_bytes));
    wave.extend(b"LIST\x03\0\0\0abc\0data");
    wave.extend(told.to_le_bytes());
    wave.resize(wave.len() + sound, 0);
    wave
}

/// So many frames after a head of four bytes.
fn frames(head: [u8; 4], bytes: usize, count: usize) -> Vec<u8> {
    let mut frame = head.to_vec();
    frame.resize(bytes, 0);
    frame.repeat(count)
}

/// A page of Ogg.
fn page(kind: u8, granule: i64, serial: u8, payload: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(kind);
    page.extend(granule.to_le_bytes());
    page.extend([serial, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, payload.len() as u8]);
    page.extend(payload);
    page
}

fn boxed(name: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap();
    [&size.to_be_bytes(), name.as_bytes(), content].concat()
}

fn mp4(version: u8, scale: u32, duration: u64, rest: &[u8]) -> Vec<u8> {
    let mut head = vec![version, 0, 0, 0];
    head.extend(vec![0; if version == 0 { 8 } else { 16 }]);
    head.extend(scale.to_be_bytes());
    match version {
        0 => head.extend(u32::try_from(duration).unwrap().to_be_bytes()),
        _ => head.extend(duration.to_be_bytes()),
    }
    [boxed("ftyp", b"M4A "), boxed("free", b"x"), boxed("moov", &boxed("mvhd", &head)), rest.to_vec()]
        .concat()
}

fn flac(rate: u64, samples: u64, bytes: usize) -> Vec<u8> {
    let told = rate << 44 | 15 << 36 | samples;
    let mut flac = [&b"fLaC"[..], &[0; 14], &told.to_be_bytes()].concat();
    flac.resize(bytes, 0);
    flac
}

#[test]
fn recordings_are_as_long_as_they_say() {
    #[derive(Debug, PartialEq)]
    enum Found {
        Told(u64),
        AtMost(u64),
    }
    use Found::{AtMost, Told};
    let opus = |serial, samples| {
        let begin = page(2, 0, serial, b"OpusHead\x01\x01\x38\x01");
        [begin, page(0, -1, serial, b"x"), page(4, samples, serial, b"xx")].concat()
    };
    let vorbis = page(2, 0, 1, b"\x01vorbis\0\0\0\0\x01\x40\x1f\0\0");
    // MPEG 2, layer III, 64 kbit/s, 24,000 a second: 24 ms in 192 bytes. MPEG 1, 128 kbit/s, 44,100 a second: 417 bytes.
    let (small, usual) = ([0xff, 0xf3, 0x84, 0xc0], [0xff, 0xfb, 0x90, 0xc0]);
    let aac = frames([0xff, 0xf1, 0x60, 0x40], 100, 1);
    let aac = [&aac[..4], &[0x0c, 0x9f, 0xfc], &aac[7..]].concat();
    for (name, bytes, length) in [
        ("a second of speech", wave(24_000, 1, 16, 1, 48_000, 48_000), Told(1_000)),
        ("as it was recorded", wave(24_000, 1, 16, 1, u32::MAX, 48_000), Told(1_000)),
        ("nothing told", wave(24_000, 1, 16, 1, 0, 48_000), Told(1_000)),
        ("stereo floats", wave(48_000, 2, 32, 3, 384_000, 384_000), Told(1_000)),
        ("eight bits", wave(8_000, 1, 8, 7, 8_001, 8_001), Told(1_001)),
        ("something after it", wave(8_000, 1, 8, 7, 4_000, 8_000), Told(1_000)),
        ("an MP4 that lies", mp4(0, 1_000, 1, &[0; 400_000]), AtMost(800_114)),
        ("Ogg that lies", [opus(1, 48), vec![0; 400_000]].concat(), AtMost(800_198)),
        ("compressed", wave(8_000, 1, 8, 17, 8_000, 8_000), AtMost(16_112)),
        ("no channels", wave(8_000, 0, 8, 1, 8_000, 8_000), AtMost(16_112)),
        ("frames", frames(small, 192, 50), Told(1_200)),
        (
            "a tag before them",
            [b"ID3\x04\0\0\0\0\x01\x01".to_vec(), vec![0; 129], frames(small, 192, 50)].concat(),
            Told(1_200),
        ),
        ("junk between them", [frames(small, 192, 2), vec![7; 99], frames(small, 192, 2)].concat(), Told(96)),
        ("other frames", frames(usual, 417, 1_000), Told(26_123)),
        ("one that is cut off", frames(small, 192, 2)[..200].to_vec(), Told(48)),
        ("AAC", aac.repeat(10), Told(640)),
        ("no second frame", [frames(small, 192, 1), vec![1; 300]].concat(), AtMost(984)),
        ("Opus", opus(1, 48_000), Told(1_000)),
        ("one after the other", [opus(1, 48_000), opus(2, 24_000)].concat(), Told(1_500)),
        ("Vorbis", [vorbis, page(4, 4_000, 1, b"x")].concat(), Told(500)),
        ("Ogg of something", [page(2, 0, 1, b"Speex   "), page(4, 9, 1, b"x")].concat(), AtMost(130)),
        ("FLAC", flac(44_100, 44_100, 42_000), Told(1_000)),
        ("FLAC of no length", flac(44_100, 0, 500), AtMost(1_000)),
        ("FLAC that lies", flac(8_000, 1, 160_000), Told(10_000)),
        ("MP4", mp4(0, 1_000, 90_500, b""), Told(90_500)),
        ("long MP4", mp4(1, 48_000, 48_001, b""), Told(1_001)),
        ("MP4 in fragments", mp4(0, 1_000, 90_500, &boxed("moof", b"x")), AtMost(132)),
        ("MP4 of no length", mp4(0, 1_000, 0, b""), AtMost(114)),
        ("anything", vec![1; 5_000], AtMost(10_000)),
        ("a byte", vec![0xff], AtMost(2)),
    ] {
        let found = Length::of(&bytes);
        let told = match found {
            Length::Counted(length) | Length::Said { told: length, .. } => Told(length),
            Length::AtMost(length) => AtMost(length),
        };
        assert_eq!(told, length, "{name}");
        // A head may lie, and what an answer's times say goes before it; frames cannot.
        let (likely, most) = (found.likely(), found.most());
        let by_bytes = bytes.len() as u64 * 2;
        let is_said = matches!(found, Length::Said { .. });
        assert!(most == likely || (is_said && most == by_bytes.max(likely)), "{name}");
        assert_eq!(found.reckoned(0), likely, "{name}");
        let longer = if is_said { most } else { likely };
        assert_eq!(found.reckoned(u64::MAX), longer, "{name}");
        // Where the end is missing it is not longer.
        for end in 0..bytes.len().min(200) {
            let _ = Length::of(&bytes[..end]);
        }
    }
}

#[test]
fn speech_is_measured_as_it_comes() {
    let base64 = |bytes: &[u8]| -> String {
        const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
        let signs = bits.as_bytes().chunks(6).map(|six| {
            let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
            char::from(SIGNS[usize::from_str_radix(&six, 2).unwrap()])
        });
        let mut text: String = signs.collect();
        text.push_str(&"=".repeat((4 - text.len() % 4) % 4));
        text
    };
    let long = frames([0xff, 0xf3, 0x84, 0xc0], 192, 2_000);
    let opus = [page(2, 0, 1, b"OpusHead\x01\x01\x38\x01"), page(4, 48_000, 1, &[1; 200])].concat();
    for (name, bytes, length) in [
        ("nothing", vec![], 0),
        // Its first 64 KiB hold 341 frames and a third of one, which counts as begun.
        ("frames", long, 48_094),
        ("a head that cannot know", wave(24_000, 1, 16, 1, u32::MAX, 96_000), 2_000),
        ("Opus", opus, 1_000),
        ("FLAC", flac(24_000, 0, 24_000), 1_000),
        ("samples", vec![0; 72_000], 1_500),
    ] {
        for size in [1, 100, 4_096] {
            let (mut plain, mut coded) = (Speech::default(), Speech::default());
            for piece in bytes.chunks(size) {
                plain.push(piece);
                coded.push_base64(&base64(piece));
            }
            assert_eq!((plain.length(), coded.length()), (length, length), "{name} in pieces of {size}");
        }
    }
}

const TOKENS: &str = r#""usage":{"type":"tokens","input_tokens":24,"input_token_details":{"text_tokens":4,"audio_tokens":20},"output_tokens":9,"total_tokens":33}"#;

#[test]
fn answers_tell_tokens_or_time() {
    const HEAR: Endpoint = Endpoint::Transcriptions;
    let tokens = Usage { input: 4, audio_input: 20, output: 9, ..Usage::default() };
    let time = |audio_ms| Some(Usage { audio_ms, ..Usage::default() });
    for (body, usage) in [
        (format!(r#"{{"text":"a b",{TOKENS}}}"#), Some(tokens)),
        (r#"{"text":"a b","usage":{"type":"duration","seconds":9}}"#.to_owned(), time(9_000)),
        (
            r#"{"text":"a b","duration":8.4700000286,"usage":{"type":"duration","seconds":9}}"#.to_owned(),
            time(9_000),
        ),
        (r#"{"text":"a b","duration":8.4700000286}"#.to_owned(), time(8_471)),
        (r#"{"text":"a b","duration":"8.47"}"#.to_owned(), time(8_470)),
        (r#"{"text":"a b"}"#.to_owned(), None),
        (
            r#"{"text":"a b","usage":{"input_tokens":24,"output_tokens":9}}"#.to_owned(),
            Some(Usage { audio_input: 24, output: 9, ..Usage::default() }),
        ),
    ] {
        let facts = AnswerFacts::read(HEAR, body.as_bytes()).unwrap();
        assert_eq!(facts.usage, usage, "{body}");
        assert_eq!(AnswerFacts::output_text(HEAR, body.as_bytes()), "a b", "{body}");
    }
    for (text, audio_ms) in [
        ("Gates.\n", 0),
        ("1\n00:00:00,000 --> 00:00:04,200\nGates.\n\n2\n00:00:04,200 --> 00:01:02,500\nMore.\n", 62_500),
        ("WEBVTT\n\n00:00.000 --> 01:02.500\nGates.\n", 62_500),
        ("1\n00:00:00,000 --> 01:00:00,001 align:start\n", 3_600_001),
        ("a --> b\n-->\n", 0),
    ] {
        let facts = AnswerFacts::read_transcript(text.as_bytes()).unwrap();
        assert_eq!((facts.audio_ms, facts.usage, facts.has_error), (audio_ms, None, false), "{text}");
    }
    assert!(AnswerFacts::read_transcript(br#"{"error":{"message":"no"}}"#).unwrap().has_error);
    for garbage in [&b""[..], b"\xff"] {
        assert!(AnswerFacts::read_transcript(garbage).is_err());
    }
}

#[test]
fn streams_of_audio_are_read_as_they_pass() {
    let delta = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Gates.\"}\n\n";
    let segment = "data: {\"type\":\"transcript.text.segment\",\"end\":4.2,\"text\":\"Gates.\"}\n\n";
    let done = format!("data: {{\"type\":\"transcript.text.done\",\"text\":\"Gates.\",{TOKENS}}}\n\n");
    let sound = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAAAAAA\"}\n\n".repeat(8);
    let spoken = "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":4,\"output_tokens\":9,\"total_tokens\":13}}\n\n";
    let heard = Usage { input: 4, audio_input: 20, output: 9, ..Usage::default() };
    let voiced = Usage { input: 4, audio_output: 9, ..Usage::default() };
    for (endpoint, stream, usage, said, audio_ms) in [
        (Endpoint::Transcriptions, delta.to_owned(), None, "Gates.", 0),
        (Endpoint::Transcriptions, format!("{delta}{done}"), Some(heard), "Gates.", 0),
        (Endpoint::Transcriptions, format!("{segment}{done}"), Some(heard), "Gates.", 4_200),
        (Endpoint::Speech, sound.clone(), None, "", 1),
        (Endpoint::Speech, format!("{sound}{spoken}"), Some(voiced), "", 1),
    ] {
        for size in [1, 7, stream.len()] {
            let mut meter = StreamMeter::new(endpoint, StreamOptions::default());
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                meter.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
            }
            meter.finish(&mut out).unwrap();
            assert_eq!(
                (meter.usage(), meter.output_text(), meter.audio_ms()),
                (usage, said, audio_ms),
                "{stream}"
            );
            let tail = meter.tail().concat().len();
            assert_eq!((out.concat().len() + tail, tail > 0), (stream.len(), usage.is_some()), "{stream}");
            assert_eq!(meter.finish_seen(), usage.is_some());
        }
    }
    // What is no stream of events passes whatever it is, and ends when it ends.
    let mut meter = StreamMeter::of_sound();
    let mut out = Vec::new();
    meter.finish(&mut out).unwrap();
    assert!(!meter.finish_seen(), "nothing came");
    for piece in [&b"\xff\xfb"[..], b"", b"data: {\"error\":{}}\n\n"] {
        meter.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    meter.finish(&mut out).unwrap();
    assert_eq!((meter.chunks(), meter.tail().len(), out.concat().len()), (2, 0, 22));
    assert!(meter.finish_seen() && meter.upstream_error().is_none() && meter.is_sound());
}
