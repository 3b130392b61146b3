//! Caps, prices, choices and balances, and what comes of them.

use std::sync::Arc;

use bytes::Bytes;
use dialect::{Call, Endpoint};
use directory::InFlight;
use domain::{AccessClass, Money, Pico, ServiceTier, Usage};
use pricing::{ModelKind, PriceVersion, RoutePrice};

use crate::allowance::Allowance;
use crate::funding::Funding;

fn by_price() -> Funding {
    Funding::by_price(AccessClass::Direct)
}

const SLICE: u64 = 4_096;

fn price(input: &str, output: &str, max_output: Option<u64>) -> Arc<PriceVersion> {
    let written =
        RoutePrice { input: input.to_owned(), output: Some(output.to_owned()), ..RoutePrice::default() };
    let mut price = PriceVersion::from_route("p", "m", &written, ModelKind::Chat).unwrap();
    price.max_output = max_output;
    Arc::new(price)
}

fn call(stream: bool, cap: Option<u64>, choices: u64) -> Call {
    let cap = cap.map(|cap| format!("\"max_tokens\":{cap},")).unwrap_or_default();
    let body = format!(
        r#"{{"model":"m",{cap}"n":{choices},"stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    Call::read(Endpoint::Chat, Bytes::from(body)).unwrap()
}

/// Asks like the gateway and answers like the books: what is to be had of the amount, if it is the least.
fn held(allowance: &Allowance, balance: Money) -> Option<Money> {
    let ask = allowance.ask();
    assert!(ask.least <= ask.amount);
    (balance >= ask.least).then(|| ask.amount.min(balance))
}

#[test]
fn caps_are_what_the_balance_affords() {
    use InFlight::{Completes, Stops};
    // The policy, whether streamed, the caller's cap, the model's, choices; tokens of each choice that the balance
    // affords beyond the input; tokens of each choice held for, and the cap that goes upstream; none when refused.
    for (policy, stream, cap, model, choices, affords, expected) in [
        // A slice, or the cap if that is smaller; all or nothing, and no cap goes upstream.
        (Completes, false, Some(128_000), None, 1, 4_096, Some((4_096, None))),
        (Completes, true, Some(128_000), None, 1, 4_095, None),
        (Completes, false, None, None, 1, 9_000, Some((4_096, None))),
        (Completes, true, Some(100), None, 3, 100, Some((100, None))),
        (Completes, true, None, Some(50), 1, 50, Some((50, None))),
        // A stream begins like that, and grows.
        (Stops, true, Some(128_000), None, 1, 1_000_000, Some((4_096, None))),
        (Stops, true, None, None, 2, 4_096, Some((4_096, None))),
        (Stops, true, Some(100), Some(2_000), 1, 100, Some((100, None))),
        // What cannot grow holds all of it: the smaller cap of the two.
        (Stops, false, Some(128_000), None, 1, 1_000_000, Some((128_000, None))),
        (Stops, false, Some(128_000), Some(16_000), 1, 1_000_000, Some((16_000, Some(16_000)))),
        (Stops, false, None, Some(16_000), 1, 1_000_000, Some((16_000, None))),
        (Stops, false, Some(100), Some(16_000), 4, 100, Some((100, None))),
        // Nobody knows a cap: the slice is it.
        (Stops, false, None, None, 1, 1_000_000, Some((4_096, Some(4_096)))),
        (Stops, false, None, None, 128, 1_000_000, Some((4_096, Some(4_096)))),
        // Less than that is to be had.
        (Stops, false, Some(128_000), None, 1, 127_999, Some((127_999, Some(127_999)))),
        (Stops, false, None, Some(16_000), 3, 500, Some((500, Some(500)))),
        (Stops, true, None, None, 1, 4_095, Some((4_095, Some(4_095)))),
        (Stops, true, Some(128_000), None, 2, 16, Some((16, Some(16)))),
        (Stops, true, Some(128_000), None, 2, 15, None),
        (Stops, false, Some(5), None, 1, 5, Some((5, None))),
        (Stops, false, Some(5), None, 1, 4, None),
        // A cap that no amount can pay for.
        (Stops, false, Some(u64::MAX), None, 1, 77, Some((77, Some(77)))),
        (Completes, false, None, None, 1, 0, None),
    ] {
        for (input, output) in
            [("2.50", "10"), ("0.000001", "0.000001"), ("0", "75.123456"), ("1.1", "0.333333")]
        {
            let row = format!("{policy} {stream} {cap:?} {model:?} {choices} {affords} at {input}/{output}");
            let (call, price) = (call(stream, cap, choices), price(input, output, model));
            let allowance = Allowance::new(&call, &price, &by_price(), policy, SLICE);
            let balance = allowance.ceiling(affords * choices).unwrap();
            let Some((choice, upstream)) = expected else {
                // A price so low that a nano-unit buys many tokens affords more than the row says.
                assert!(held(&allowance, balance).is_none() || output == "0.000001", "{row}");
                continue;
            };
            let held = held(&allowance, balance).expect(&row);
            assert!(allowance.covered(held) >= choice * choices, "{row}");
            if output == "0.000001" {
                continue;
            }
            assert_eq!(allowance.covered(held) / choices, choice, "{row}");
            let sent = allowance.upstream_cap(held);
            assert_eq!(sent.map(std::num::NonZeroU64::get), upstream, "{row}");
            if policy == Stops && !stream {
                // Whatever an honest provider counts is paid for.
                assert!(
                    allowance.ceiling(allowance.most(sent).min(choice * choices)).unwrap() <= held,
                    "{row}"
                );
            }
            let estimate = choice.min(SLICE) * choices;
            let asked = allowance.ask().tokens;
            assert!(
                if held == allowance.ask().amount { asked == estimate } else { asked >= estimate },
                "{row}"
            );
        }
    }
}

#[test]
fn a_free_model_is_held_for_at_nothing() {
    for stream in [false, true] {
        let allowance = Allowance::new(
            &call(stream, None, 1),
            &price("0", "0", None),
            &by_price(),
            InFlight::Stops,
            SLICE,
        );
        assert_eq!(allowance.ask().amount, Money::ZERO);
        assert_eq!(allowance.covered(Money::ZERO), SLICE);
    }
}

#[test]
fn hardware_is_held_for_as_long_as_an_answer_may_take_to_begin() {
    let written = RoutePrice { per_gpu_second: Some("0.001".to_owned()), ..RoutePrice::default() };
    let by_time = Arc::new(PriceVersion::from_route("own", "m", &written, ModelKind::Chat).unwrap());
    let minute = std::time::Duration::from_secs(60);
    for policy in [InFlight::Stops, InFlight::Completes] {
        let allowance =
            Allowance::new(&call(true, None, 1), &by_time, &by_price(), policy, SLICE).for_time(minute);
        assert_eq!(allowance.ask().amount.to_string(), "0.06");
        assert_eq!(allowance.ceiling_after(SLICE, 30_000).unwrap().to_string(), "0.09", "and as long again");
        let usage = Usage { input: 7, output: 9, gpu_ms: 90_000, ..Usage::default() };
        let fitted = allowance.fit(usage, ServiceTier::Standard, allowance.ask().amount);
        assert_eq!(fitted, Usage { gpu_ms: 60_000, ..usage });
    }
    // Where time costs nothing none is held for.
    let free = price("0", "0", None);
    let allowance =
        Allowance::new(&call(true, None, 1), &free, &by_price(), InFlight::Stops, SLICE).for_time(minute);
    assert_eq!(allowance.ceiling_after(SLICE, 30_000), Some(Money::ZERO));
}

#[test]
fn a_usage_is_cut_to_what_is_held_and_no_further() {
    let price = price("1.5", "10.000001", None);
    let allowance = Allowance::new(&call(false, None, 1), &price, &by_price(), InFlight::Stops, SLICE);
    let cost =
        |usage: &Usage| price.cost(usage, ServiceTier::Standard).and_then(Pico::ceil_to_money).unwrap();
    let usage = Usage {
        input: 70,
        cached: 30,
        cache_write: 5,
        output: 900,
        audio_output: 3,
        reasoning: 800,
        audio_input: 1,
        cache_write_long: 2,
        image_input: 4,
        image_output: 6,
        ..Usage::default()
    };
    let whole = cost(&usage).nano();
    for nano in [0, 1, 500, 1_499, 1_500, 100_000, 159_000, 200_000, whole - 1, whole, whole + 1] {
        let held = Money::from_nano(nano);
        let fitted = allowance.fit(usage, ServiceTier::Standard, held);
        assert!(cost(&fitted) <= held, "{nano}: {fitted:?}");
        assert!(fitted.reasoning <= fitted.output, "{nano}: {fitted:?}");
        assert_eq!(fitted == usage, nano >= whole, "{nano}: {fitted:?}");
        if fitted.output < usage.output && fitted.output > 0 {
            let more = Usage { output: fitted.output + 1, ..fitted };
            assert!(cost(&more) > held, "{nano}: {fitted:?} leaves money");
            assert_eq!(fitted.input_total(), usage.input_total(), "output gives way first");
        }
    }
}
