//! Speech and transcripts: what is held, charged and left to charge, in each unit that they are priced by.

use std::sync::Arc;

use dialect::Endpoint;
use directory::{DataClass, InFlight};
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};

use super::contract;
use super::house::{House, Manner, Script};

const FORM: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=b")];
/// Bytes of a second of what tells no length.
const SECOND: usize = 500;

/// A form with a recording of so many seconds.
fn form(seconds: usize, rest: &str) -> String {
    let field = |head: &str| format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n");
    let sound = "0".repeat(SECOND * seconds);
    format!("{}m\r\n{}{sound}\r\n{rest}--b--", field("name=model"), field("name=file; filename=a"))
}

/// 1 and 10 millionths a token of text, 5 a token that is heard; or a thousandth a second.
fn hearing(by_time: bool) -> RoutePrice {
    let text = |text: &str| Some(text.to_owned());
    if by_time {
        return RoutePrice { per_audio_second: text("0.001"), ..RoutePrice::default() };
    }
    RoutePrice { input: "1".to_owned(), output: text("10"), audio_input: text("5"), ..RoutePrice::default() }
}

fn schedule(price: &RoutePrice, kind: ModelKind) -> Arc<Schedule> {
    Arc::new(Schedule::from(PriceVersion::from_route("p", "m", price, kind).unwrap()))
}

async fn house(price: Arc<Schedule>, in_flight: InFlight, credit: i64, script: Script) -> House {
    House::with_targets([(contract(), Some(price))], DataClass::default(), in_flight, credit, script).await
}

async fn hear(by_time: bool, in_flight: InFlight, credit: i64, answer: &str, seconds: usize) -> (House, u16) {
    let price = schedule(&hearing(by_time), ModelKind::Transcription);
    let house = house(price, in_flight, credit, Script::Whole(answer.to_owned())).await;
    let manner = Manner {
        key: Some(&house.keys["laptop"]),
        endpoint: Some(Endpoint::Transcriptions),
        headers: &FORM,
        ..Manner::default()
    };
    let got = house.ask(manner, &form(seconds, "")).await;
    assert!(got.status == 200 || got.body.contains("insufficient_quota"), "{}", got.body);
    (house, got.status.as_u16())
}

const POLICIES: [InFlight; 2] = [InFlight::Completes, InFlight::Stops];

#[tokio::test]
async fn a_recording_is_held_for_by_its_length_by_either_policy() {
    // A letter of text and 16 tokens of frame, and 32 tokens of any sort a second; 16 of output, and 256.
    let by_tokens = (17 + 32 * 10) * 5_000 + (16 * 10 + 256) * 10_000;
    for in_flight in POLICIES {
        for (by_time, most) in [(false, by_tokens), (true, 10 * 1_000_000)] {
            let answer = r#"{"text":"a"}"#;
            let (house, status) = hear(by_time, in_flight, most, answer, 10).await;
            assert_eq!((status, house.rows()[0].held.nano()), (200, most), "{in_flight:?} {by_time}");
            let (house, status) = hear(by_time, in_flight, most - 1, answer, 10).await;
            assert_eq!((status, house.rows().len()), (429, 0), "{in_flight:?} {by_time}");
        }
    }
}

#[tokio::test]
async fn a_transcript_costs_what_was_told_or_what_can_be_measured() {
    let tokens = r#"{"text":"a","usage":{"input_tokens":64,"input_token_details":{"text_tokens":4,"audio_tokens":60},"output_tokens":9}}"#;
    let huge = r#"{"text":"a","usage":{"input_tokens":64000,"output_tokens":9}}"#;
    // No prompt, 10 tokens a second that are heard, and one of text.
    let reckoned = 100 * 5_000 + 10_000;
    for (by_time, answer, nano, estimated) in [
        (false, tokens, 4 * 1_000 + 60 * 5_000 + 90_000, false),
        (false, r#"{"text":"a"}"#, reckoned, true),
        (false, huge, reckoned, true),
        (false, r#"{"text":"a","usage":{"type":"duration","seconds":7}}"#, reckoned, true),
        (true, r#"{"text":"a","usage":{"type":"duration","seconds":7}}"#, 7_000_000, false),
        (true, r#"{"text":"a","duration":6.5}"#, 6_500_000, false),
        (true, r#"{"text":"a"}"#, 10_000_000, true),
        (true, tokens, 10_000_000, true),
        // Nothing for something, and more than there can be, is not believed.
        (true, r#"{"text":"a","usage":{"type":"duration","seconds":0}}"#, 10_000_000, true),
        (true, r#"{"text":"a","duration":101}"#, 10_000_000, true),
        (true, r#"{"text":"a","duration":100}"#, 100_000_000, false),
    ] {
        let (house, _) = hear(by_time, InFlight::Completes, 1_000_000_000, answer, 10).await;
        let row = house.rows().pop().unwrap();
        assert_eq!((row.cost.nano(), row.estimated), (nano, estimated), "{by_time} {answer}");
        assert_eq!(row.usage.audio_ms > 0, by_time, "one unit is charged: {answer}");
    }
}

#[tokio::test]
async fn who_says_that_his_recording_is_short_pays_what_was_heard() {
    // A WAV of 50,044 bytes whose head says eight samples of 8,000 a second: 6,250 ms, and no more than 100,088 of anything.
    let head = "RIFF,\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\x08\0\0\0";
    let sound = format!("{head}{}", "0".repeat(50_000));
    let form = form(0, "").replacen("filename=a\r\n\r\n", &format!("filename=a\r\n\r\n{sound}"), 1);
    for (answer, nano, estimated) in [
        (r#"{"text":"a","duration":90}"#, 90_000_000, false),
        // What nobody tells is what follows the head; what cannot be is not believed.
        (r#"{"text":"a"}"#, 6_250_000, true),
        (r#"{"text":"a","duration":101}"#, 6_250_000, true),
    ] {
        let price = schedule(&hearing(true), ModelKind::Transcription);
        let house = house(price, InFlight::Completes, 1_000_000_000, Script::Whole(answer.to_owned())).await;
        let (key, endpoint) = (Some(&*house.keys["laptop"]), Some(Endpoint::Transcriptions));
        let got = house.ask(Manner { key, endpoint, headers: &FORM, ..Manner::default() }, &form).await;
        assert_eq!(got.status.as_u16(), 200, "{}", got.body);
        let row = house.rows().pop().unwrap();
        assert_eq!(
            (row.held.nano(), row.cost.nano(), row.estimated),
            (6_250_000, nano, estimated),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_exceeds_the_hold_is_debt_or_nobodys() {
    let long = r#"{"text":"a","duration":40}"#;
    let (house, status) = hear(true, InFlight::Completes, 10_000_000, long, 10).await;
    assert_eq!((status, house.rows()[0].cost.nano(), house.debt()), (200, 40_000_000, 30_000_000));
    let (house, status) = hear(true, InFlight::Stops, 10_000_000, long, 10).await;
    let row = house.rows().pop().unwrap();
    assert_eq!((status, row.cost.nano(), row.estimated, house.debt()), (200, 10_000_000, true, 0));
}

#[tokio::test]
async fn a_gateway_that_dies_charges_what_was_to_be_heard() {
    let stream = "--b\r\ncontent-disposition: form-data; name=stream\r\n\r\ntrue\r\n";
    for (by_time, nano) in [(true, 10_000_000), (false, 100 * 5_000 + 5 * 1_000)] {
        let price = schedule(&hearing(by_time), ModelKind::Transcription);
        let house = house(price, InFlight::Completes, 1_000_000_000, Script::Endless).await;
        let manner = Manner {
            key: Some(&house.keys["laptop"]),
            endpoint: Some(Endpoint::Transcriptions),
            headers: &FORM,
            ..Manner::default()
        };
        let response = house.open(manner, &form(10, stream)).await;
        let drafts: Vec<i64> = house.books().holds.values().map(|hold| hold.draft.cost.nano()).collect();
        assert_eq!(drafts, [nano], "{by_time}");
        drop(response);
    }
}

/// A thousandth a character; or 1 and 10 millionths a token of text, 20 a token that is spoken; or a thousandth a second.
fn speaking(unit: &str) -> Arc<Schedule> {
    let text = |text: &str| Some(text.to_owned());
    let price = match unit {
        "characters" => RoutePrice { per_character: text("0.001"), ..RoutePrice::default() },
        "seconds" => RoutePrice { per_audio_second: text("0.001"), ..RoutePrice::default() },
        _ => {
            let audio_output = text("20");
            RoutePrice { input: "1".to_owned(), output: text("10"), audio_output, ..RoutePrice::default() }
        }
    };
    schedule(&price, ModelKind::Speech)
}

#[tokio::test]
async fn speech_is_held_for_and_charged_in_its_unit() {
    const BODY: &str = r#"{"model":"m","input":"Wer da?","voice":"v"}"#;
    // Seven characters of at most four tokens, and 256; 48,000 bytes a second of sound that has no head, and a token each
    // 48 milliseconds.
    let most = 7 * 4 + 256;
    let input = i64::try_from(BODY.len()).unwrap() + 16;
    let sound = Script::Sound { bytes: 48_000, breaks: false };
    let broken = Script::Sound { bytes: 48_000, breaks: true };
    for (unit, held, nano, estimated) in [
        ("characters", 7_000_000, 7_000_000, false),
        ("seconds", most * 48 * 1_000, 1_000_000, true),
        ("tokens", input * 1_000 + most * 20_000, 3 * 1_000 + 21 * 20_000, true),
    ] {
        for in_flight in POLICIES {
            for script in [&sound, &broken] {
                let house = house(speaking(unit), in_flight, 1_000_000_000, script.clone()).await;
                let manner = Manner {
                    key: Some(&house.keys["laptop"]),
                    endpoint: Some(Endpoint::Speech),
                    ..Manner::default()
                };
                let response = house.open(manner, BODY).await;
                let body = http_body_util::BodyExt::collect(response.into_body()).await;
                let breaks = matches!(script, Script::Sound { breaks: true, .. });
                assert_eq!(body.is_err(), breaks, "what broke off has no proper end");
                let row = house.rows().pop().unwrap();
                let found = (row.held.nano(), row.cost.nano(), row.estimated);
                assert_eq!(found, (held, nano, estimated), "{unit} {in_flight:?}");
            }
        }
    }
}
