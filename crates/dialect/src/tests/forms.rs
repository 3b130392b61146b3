//! Forms: what is read where it lies, what is refused because two readers could read it in two ways, and what goes upstream.

use bytes::Bytes;
use proptest::prelude::*;

use super::body::to;
use crate::{BadRequest, Call, Endpoint, Made, Manners};

/// Heads and values.
type Fields<'a> = &'a [(&'a str, &'a str)];

const TYPE: &str = "multipart/form-data; boundary=frontier";

/// A field of a form.
fn field(disposition: &str, value: &[u8]) -> Vec<u8> {
    let head = format!("--frontier\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

fn form(fields: Fields<'_>) -> Vec<u8> {
    let fields = fields.iter().flat_map(|(disposition, value)| field(disposition, value.as_bytes()));
    fields.chain(*b"--frontier--\r\n").collect()
}

fn read(body: impl Into<Bytes>) -> Result<Call, BadRequest> {
    Call::read_form(Endpoint::Transcriptions, TYPE, body.into())
}

const FILE: (&str, &str) = (r#"name="file"; filename="a.mp3""#, "sound");
const MODEL: (&str, &str) = (r#"name="model""#, "whisper-1");

#[test]
fn a_form_goes_upstream_byte_for_byte_but_for_the_model() {
    let body = form(&[FILE, MODEL, ("name=prompt", "Gates."), ("name=\"x[]\"", ""), ("name=\"x[]\"", "1")]);
    let call = read(body.clone()).unwrap();
    assert_eq!((call.model(), call.stream(), call.plain_answer()), ("whisper-1", false, false));
    assert_eq!(call.form_prompt().unwrap(), "Gates.");
    assert!(call.upstream_head(Manners::default()).eq([("content-type", TYPE)]));
    let sent = |model: &str| -> Vec<u8> { call.upstream_body(&to(model)).into_iter().flatten().collect() };
    assert_eq!(sent("whisper-1"), body);
    let renamed = String::from_utf8(body).unwrap().replace("whisper-1", "a\"model");
    assert_eq!(sent("a\"model"), renamed.into_bytes());
    // Text counts by its bytes, a recording by its length.
    assert_eq!(call.prompt_tokens_bound(), "whisper-1Gates.1".len() as u64 + 16);
}

#[test]
fn what_a_form_says_is_read() {
    let with = |name: &str, value: &str| {
        let disposition = format!("name=\"{name}\"");
        read(form(&[MODEL, FILE, (&disposition, value)])).unwrap()
    };
    for (value, stream) in [("true", true), ("True", true), ("1", true), ("false", false), ("", false)] {
        assert_eq!(with("stream", value).stream(), stream, "{value}");
    }
    for (value, plain) in
        [("json", false), ("text", true), ("srt", true), ("vtt", true), ("verbose_json", false)]
    {
        assert_eq!(with("response_format", value).plain_answer(), plain, "{value}");
    }
    let quoted =
        TYPE.replace("frontier", "\"frontier\"").replace("multipart", "Multipart") + "; charset=utf-8";
    assert!(Call::read_form(Endpoint::Translations, &quoted, form(&[MODEL, FILE]).into()).is_ok());
    let edit = form(&[
        MODEL,
        ("name=prompt", "A gate."),
        (r#"name="image[]"; filename="a.png""#, "picture"),
        (r#"name="image[]"; filename="b.png""#, "picture"),
        (r#"name="mask"; filename="m.png""#, "mask"),
        ("name=n", "2"),
        ("name=size", "1024x1024"),
        ("name=quality", "low"),
        ("name=user", "u"),
    ]);
    let call = Call::read_form(Endpoint::ImageEdits, TYPE, edit.into()).unwrap();
    assert_eq!((call.images(), call.user(), call.output_cap()), (2, Some("u"), Some(439 + 1_024)));
    assert_eq!(call.reckoned(Made::default()).image_input, 3 * 765);
    assert_eq!(call.form_prompt().unwrap(), "A gate.");
}

#[test]
fn what_cannot_be_taken_is_refused_by_its_name() {
    let table: &[(Fields<'_>, &str, &str)] = &[
        (&[FILE], "model", "missing_required_parameter"),
        (&[MODEL], "file", "missing_required_parameter"),
        (&[MODEL, ("name=file", "text")], "file", "invalid_type"),
        (&[MODEL, ("name=file; filename=a", "")], "file", "invalid_value"),
        (&[MODEL, FILE, FILE], "file", "duplicate_parameter"),
        (&[MODEL, FILE, MODEL], "model", "duplicate_parameter"),
        (&[MODEL, FILE, ("name=\"Model\"", "x")], "Model", "unknown_parameter"),
        (&[MODEL, FILE, ("name=\"model[]\"", "x")], "model[]", "unknown_parameter"),
        (&[FILE, ("name=model; filename=m", "x")], "model", "invalid_type"),
        (&[FILE, ("name=model", "")], "model", "empty_string"),
        (&[MODEL, FILE, ("name=stream", "perhaps")], "stream", "invalid_type"),
        (&[MODEL, FILE, ("name=file_url", "http://h")], "file_url", "unsupported_parameter"),
    ];
    for (fields, param, code) in table {
        let error = read(form(fields)).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(*param), Some(*code)), "{fields:?}");
    }
    let edits: &[(Fields<'_>, &str)] = &[
        (&[MODEL, ("name=prompt", "a")], "image"),
        (&[MODEL, ("name=image; filename=a", "p")], "prompt"),
        (&[MODEL, ("name=prompt", "a"), ("name=image; filename=a", "p"), ("name=n", "11")], "n"),
        (&[MODEL, ("name=prompt", "a"), ("name=image; filename=a", "p"), ("name=n", "many")], "n"),
        (&[MODEL, ("name=prompt", "a"), ("name=image; filename=a", "p"), ("name=steps", "9")], "steps"),
        (&[MODEL, ("name=prompt", "a"), ("name=image", "text")], "image"),
    ];
    for (fields, param) in edits {
        let error = Call::read_form(Endpoint::ImageEdits, TYPE, form(fields).into()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(*param), "{fields:?}");
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    let whole = String::from_utf8(form(&[MODEL, FILE])).unwrap();
    for (from, into, why) in [
        ("--frontier\r\n", "preamble\r\n--frontier\r\n", "does not begin with its boundary"),
        ("sound", "a--frontier", "its boundary stands inside a field"),
        (
            "sound",
            "a\n--frontier\r\nContent-Disposition: form-data; name=x\r\n\r\n",
            "its boundary stands inside a field",
        ),
        ("--frontier--\r\n", "--frontier--\r\nmore", "something follows its end"),
        ("--frontier--\r\n", "", "its last field does not end"),
        (
            "Content-Disposition: form-data; name=\"model\"",
            "Content-Type: text/plain",
            "no content-disposition",
        ),
        ("; name=\"model\"", "", "has no name"),
        ("name=\"model\"", "name=\"\"", "has no name"),
        ("name=\"model\"", "name=\"model\"; name=\"file\"", "has two names"),
        ("name=\"model\"", "name*=utf-8''model", "has an encoded name"),
        ("name=\"model\"", "name=\"mo\\del\"", "has a backslash"),
        ("name=\"model\"", "name=\"x\\\"; name=\"model\"", "cannot be read"),
        ("name=\"model\"", "name=\"model", "cannot be read"),
        ("name=\"model\"", "name=mo\"del\"", "cannot be read"),
        ("form-data; name=\"model\"", "attachment; name=\"model\"", "is not form-data"),
        (
            "name=\"model\"\r\n",
            "name=\"model\"\r\nContent-Transfer-Encoding: base64\r\n",
            "is encoded for mail",
        ),
        (
            "name=\"model\"\r\n",
            "name=\"model\"\r\nContent-Type: text/plain; charset=utf-16\r\n",
            "is not in UTF-8",
        ),
        ("name=\"model\"\r\n", "name=\"model\"\nX: y\r\n", "do not end as they should"),
        ("name=\"model\"\r\n", "name=\"model\"\r\nno colon\r\n", "without a colon"),
    ] {
        let error = read(whole.replacen(from, into, 1).into_bytes()).unwrap_err();
        assert!(error.message.contains(why), "{into}: {}", error.message);
    }
    for (content_type, why) in [
        ("multipart/form-data", "names no boundary"),
        ("multipart/form-data; boundary=a; boundary=b", "names two boundaries"),
        ("multipart/form-data; boundary=\"a", "cannot be read"),
        ("multipart/form-data; boundary=é", "its boundary is none"),
        ("multipart/form-data; boundary=", "its boundary is none"),
    ] {
        let error = Call::read_form(Endpoint::Transcriptions, content_type, Bytes::new()).unwrap_err();
        assert!(error.message.contains(why), "{content_type}: {}", error.message);
    }
    let many: Vec<u8> = (0..129).flat_map(|_| field("name=x", b"1")).chain(*b"--frontier--").collect();
    assert!(read(many).unwrap_err().message.contains("more than 128 fields"));
    let long = format!("--frontier\r\nX: {}\r\n\r\n", "x".repeat(4_100));
    assert!(read(long.into_bytes()).unwrap_err().message.contains("longer than 4,096 bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Nothing panics, and a file of any bytes is found again as it was.
    #[test]
    fn any_bytes_are_a_file(file in proptest::collection::vec(any::<u8>(), 1..400)) {
        let body = [
            field("name=\"model\"", b"m"),
            field("name=\"file\"; filename=\"a\"", &file),
            b"--frontier--\r\n".to_vec(),
        ]
        .concat();
        let call = read(body.clone()).unwrap();
        prop_assert!(call.audio_ms() < u64::MAX / 64);
        let sent: Vec<u8> = call.upstream_body(&to("other")).into_iter().flatten().collect();
        prop_assert_eq!(sent.len(), body.len() + 4);
        prop_assert!(sent.windows(file.len()).any(|window| window == file));
    }

    /// Whatever is done to a form, it is read or refused.
    #[test]
    fn any_damage_is_an_error_or_none(at in 0_usize..300, with in proptest::collection::vec(any::<u8>(), 0..8)) {
        let mut body = form(&[MODEL, FILE, ("name=prompt", "a"), ("name=stream", "true")]);
        let at = at.min(body.len());
        let end = (at + with.len()).min(body.len());
        body.splice(at..end, with);
        if let Ok(call) = read(body) {
            prop_assert!(!call.model().is_empty());
        }
    }
}

/// Names in pieces, and lines that go on with the one before: a reader that knows them finds another field than one that
/// does not.
#[test]
fn a_field_has_one_name_for_every_reader() {
    let body = |head: &str| {
        let mut body = form(&[FILE, MODEL]);
        body.truncate(body.len() - "--frontier--\r\n".len());
        [&body[..], format!("--frontier\r\n{head}\r\n\r\ndear\r\n--frontier--\r\n").as_bytes()].concat()
    };
    assert!(read(body("Content-Disposition: form-data; name=\"x\"")).is_ok());
    for head in [
        r#"Content-Disposition: form-data; name="x"; name*0="mod"; name*1="el""#,
        r#"Content-Disposition: form-data; name="x"; name*=utf-8''model"#,
        r#"Content-Disposition: form-data; name="x"; NAME*0*="mod""#,
        r#"Content-Disposition: form-data; name="prompt"; filename*0="a""#,
        "Content-Disposition: form-data; name=\"x\"\r\n\t; name*=utf-8''model; q=\":\"",
        "Content-Disposition: form-data; name=\"x\"\r\n : ; name=model",
        "Content-Disposition : form-data; name=\"model\"\r\nContent-Disposition: form-data; name=\"x\"",
        "Content-Disposition: form-data; name=\"x\"\r\n: model",
    ] {
        assert!(read(body(head)).is_err(), "{head}");
    }
    for kind in [
        "multipart/form-data; boundary=frontier; boundary*0=other",
        "multipart/form-data; boundary=frontier; boundary*=other",
    ] {
        let refused = Call::read_form(Endpoint::Transcriptions, kind, form(&[FILE, MODEL]).into());
        assert!(refused.is_err(), "{kind}");
    }
}
