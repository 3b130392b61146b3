//! What one form's writer writes, the same form's reader reads: there and back again nothing is lost that the form can
//! say. And whatever the bytes are, the answer is a value or an error.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::hostile::{changes, mangle};
use super::answer;
use super::{OPTIONS, SURFACES, UPSTREAM, USAGE, WIRES, context, inputs};
use crate::Upstream;
use crate::convert::{self, Asked, RequestOptions, Surface, Wire};

const PLAIN: RequestOptions<'static> =
    RequestOptions { upstream: Upstream { output_cap: None, ..UPSTREAM }, stream: false, ..OPTIONS };

fn text() -> impl Strategy<Value = String> {
    "[ -~é🦀\n\"]{1,12}"
}

/// What the user says, what the model says, and its calls: name, argument and result.
type Exchange = (String, String, Vec<(String, String, String)>);

fn exchange() -> impl Strategy<Value = Exchange> {
    (text(), text(), prop::collection::vec(("[a-z]{1,4}", text(), text()), 0..3))
}

/// A chat in which everything can be said in every form.
fn chat(system: &str, exchanges: &[Exchange]) -> Value {
    let mut messages = vec![json!({"role": "system", "content": system})];
    for (turn, (question, answer, calls)) in exchanges.iter().enumerate() {
        messages.push(json!({"role": "user", "content": question}));
        let mut said = json!({"role": "assistant", "content": answer});
        let id = |at: usize| format!("call_{turn}_{at}");
        let made: Vec<Value> = calls.iter().enumerate().map(|(at, (name, value, _))| json!({"id": id(at), "type": "function", "function": {"name": name, "arguments": json!({"v": value}).to_string()}})).collect();
        if !made.is_empty() {
            said["tool_calls"] = Value::Array(made);
        }
        messages.push(said);
        for (at, (_, _, result)) in calls.iter().enumerate() {
            messages.push(json!({"role": "tool", "tool_call_id": id(at), "content": result}));
        }
    }
    messages.push(json!({"role": "user", "content": "Go on."}));
    json!({
        "messages": messages, "max_tokens": 77, "temperature": 0.25, "stop": ["END"], "tool_choice": "required",
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}},
    })
}

/// The body for a Chat provider, without the ids, which Gemini has not.
fn told(from: Surface, body: &[u8]) -> Value {
    let converted = convert::request(from, Wire::Chat, body, &PLAIN).unwrap();
    let mut body: Value = serde_json::from_slice(&converted.body).unwrap();
    let mut ids = 0;
    for message in body["messages"].as_array_mut().unwrap() {
        if message["role"] == "tool" {
            message.as_object_mut().unwrap().remove("tool_call_id");
        }
        for call in message["tool_calls"].as_array_mut().into_iter().flatten() {
            call["id"] = json!(ids);
            ids += 1;
        }
    }
    body
}

proptest! {
    #[test]
    fn there_and_back_again(system in text(), exchanges in prop::collection::vec(exchange(), 0..3)) {
        let body = chat(&system, &exchanges).to_string();
        let direct = told(Surface::Chat, body.as_bytes());
        for (wire, surface) in [(Wire::Messages, Surface::Messages), (Wire::Gemini, Surface::Gemini), (Wire::Chat, Surface::Chat)] {
            let there = convert::request(Surface::Chat, wire, body.as_bytes(), &PLAIN).unwrap();
            prop_assert_eq!(&there.dropped, &[], "{:?}", wire);
            prop_assert_eq!(&told(surface, &there.body), &direct, "{:?}", wire);
        }
    }

    #[test]
    fn any_request_is_taken_or_refused(which in any::<prop::sample::Index>(), changes in changes()) {
        let inputs = inputs("requests", "json");
        let (name, body) = which.get(&inputs);
        let body = mangle(body.clone().into_bytes(), &changes);
        for (from, word) in SURFACES {
            // Also in a form that it is not of.
            if !name.starts_with(word) && changes.len() > 1 {
                continue;
            }
            for (to, _) in WIRES {
                if let Ok(converted) = convert::request(from, to, &body, &OPTIONS) {
                    prop_assert!(serde_json::from_slice::<Value>(&converted.body).is_ok());
                    prop_assert!(converted.dropped.iter().all(|dropped| dropped.to_string().is_ascii()));
                }
            }
        }
    }

    #[test]
    fn any_answer_is_taken_or_refused(which in any::<prop::sample::Index>(), changes in changes()) {
        let inputs = inputs("answers", "json");
        let body = mangle(which.get(&inputs).1.clone().into_bytes(), &changes);
        for (from, _) in WIRES {
            for (to, _) in SURFACES {
                if let Ok(answer) = answer(from, to, &body, &USAGE, &context(Asked::default())) {
                    prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
                }
            }
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (from, _) in SURFACES {
            let _ = convert::request(from, Wire::Chat, &bytes, &OPTIONS);
        }
        for (from, _) in WIRES {
            let _ = answer(from, Surface::Chat, &bytes, &USAGE, &context(Asked::default()));
        }
    }
}

/// Every golden request can be said to somebody, and what is said can be read by a caller's reader of that form.
#[test]
fn what_is_written_can_be_read() {
    for (name, body) in inputs("requests", "json") {
        let (from, _) = SURFACES.into_iter().find(|(_, word)| name.starts_with(word)).unwrap();
        for (wire, surface) in [
            (Wire::Chat, Surface::Chat),
            (Wire::Messages, Surface::Messages),
            (Wire::Gemini, Surface::Gemini),
        ] {
            let there = convert::request(from, wire, body.as_bytes(), &OPTIONS)
                .unwrap_or_else(|refused| panic!("{name}: {refused}"));
            let again = convert::request(surface, wire, &there.body, &OPTIONS)
                .unwrap_or_else(|refused| panic!("{name} to {wire:?}: {refused}"));
            let bodies = [there.body, again.body].map(|body| serde_json::from_slice::<Value>(&body).unwrap());
            // What a form can say of itself it says again in the same words, but for ids that it has not.
            if wire != Wire::Gemini {
                assert_eq!(bodies[0]["messages"], bodies[1]["messages"], "{name} to {wire:?}");
            }
            assert_eq!(bodies[0]["tools"], bodies[1]["tools"], "{name} to {wire:?}");
        }
    }
}
