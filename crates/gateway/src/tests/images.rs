//! Images: what is held, charged and left to charge, where they are priced by tokens and where by the image.

use std::sync::Arc;

use dialect::Endpoint;
use directory::{DataClass, InFlight};
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};

use super::contract;
use super::house::{House, Manner, Script};

/// 24 x 24 parts of an image of 1024 x 1024, and room for text.
const EACH: i64 = 439;
const TEXT: i64 = 1_024;
const BODY: &str = r#"{"model":"m","prompt":"hi","n":2,"size":"1024x1024","quality":"low"}"#;

/// 1 and 10 millionths a token of text, 40 a token of an image; or four hundredths an image.
fn price(by_image: bool) -> Arc<Schedule> {
    let text = |text: &str| Some(text.to_owned());
    let written = if by_image {
        RoutePrice { per_image: text("0.04"), ..RoutePrice::default() }
    } else {
        let input = "1".to_owned();
        RoutePrice { input, output: text("10"), image_output: text("40"), ..RoutePrice::default() }
    };
    Arc::new(Schedule::from(PriceVersion::from_route("p", "m", &written, ModelKind::Image).unwrap()))
}

async fn call(by_image: bool, in_flight: InFlight, credit: i64, usage: &str) -> (House, u16) {
    let answer = format!(r#"{{"created":1,"data":[{{"b64_json":"AA=="}},{{"b64_json":"AA=="}}]{usage}}}"#);
    let targets = [(contract(), Some(price(by_image)))];
    let house =
        House::with_targets(targets, DataClass::default(), in_flight, credit, Script::Whole(answer)).await;
    let manner =
        Manner { key: Some(&house.keys["laptop"]), endpoint: Some(Endpoint::Images), ..Manner::default() };
    let got = house.ask(manner, BODY).await;
    assert!(got.status == 200 || got.body.contains("insufficient_quota"), "{}", got.body);
    (house, got.status.as_u16())
}

#[tokio::test]
async fn the_hold_is_the_most_that_they_can_cost_by_either_policy() {
    let input = (i64::try_from(BODY.len()).unwrap() + 16) * 2;
    let by_tokens = input * 1_000 + 2 * (EACH + TEXT) * 40_000;
    for in_flight in [InFlight::Completes, InFlight::Stops] {
        for (by_image, most) in [(false, by_tokens), (true, 80_000_000)] {
            let (house, status) = call(by_image, in_flight, most, "").await;
            assert_eq!((status, house.rows()[0].held.nano()), (200, most), "{in_flight:?} {by_image}");
            let (house, status) = call(by_image, in_flight, most - 1, "").await;
            assert_eq!((status, house.rows().len()), (429, 0), "{in_flight:?} {by_image}");
        }
    }
}

#[tokio::test]
async fn the_charge_is_what_was_told_or_what_can_be_counted() {
    let told = r#","usage":{"input_tokens":20,"output_tokens":600,"total_tokens":620}"#;
    // The prompt is one token of text; what nobody told of an image is what was held for it.
    let reckoned = 1_000 + 2 * EACH * 40_000;
    for (by_image, usage, nano, estimated) in [
        (false, told, 20_000 + 24_000_000, false),
        (false, "", reckoned, true),
        // Nothing for something, and more than there can be, is not believed.
        (false, r#","usage":{"input_tokens":20,"output_tokens":99999999}"#, reckoned, true),
        (true, told, 80_000_000, false),
        (true, "", 80_000_000, false),
    ] {
        for in_flight in [InFlight::Completes, InFlight::Stops] {
            let (house, _) = call(by_image, in_flight, 1_000_000_000, usage).await;
            let row = house.rows().pop().unwrap();
            assert_eq!((row.cost.nano(), row.estimated), (nano, estimated), "{by_image} {usage}");
            assert_eq!((row.usage.images, house.debt()), (if by_image { 2 } else { 0 }, 0), "{usage}");
        }
    }
}

#[tokio::test]
async fn what_exceeds_the_hold_is_debt_or_nobodys() {
    let dear = r#","usage":{"input_tokens":20,"output_tokens":200000}"#;
    let most = 200_000_000;
    let (house, status) = call(false, InFlight::Completes, most, dear).await;
    assert_eq!((status, house.rows()[0].cost.nano()), (200, 8_000_020_000));
    assert_eq!(house.debt(), 8_000_020_000 - most);
    let (house, status) = call(false, InFlight::Stops, most, dear).await;
    let row = house.rows().pop().unwrap();
    assert!(status == 200 && row.estimated && row.cost.nano() <= most && house.debt() == 0, "{row:?}");
}
