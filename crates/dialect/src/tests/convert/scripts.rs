//! The same script told in every provider's form, whole and as a stream, and what each caller makes of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answer;
use super::{SURFACES, USAGE, WIRES, context, converted, events};
use crate::convert::{Asked, StreamConverter, Surface, Wire};

/// What a model says.
#[derive(Clone, Debug)]
struct Script {
    thought: String,
    text: String,
    calls: Vec<(String, String)>,
}

fn scripts() -> impl Strategy<Value = Script> {
    let call =
        ("[a-z]{1,5}", "[ -~é\n]{0,12}").prop_map(|(name, value)| (name, json!({ "k": value }).to_string()));
    let text = "[ -~é🦀\n]{0,20}";
    (text, text, prop::collection::vec(call, 0..3)).prop_map(|(thought, text, calls)| Script {
        thought,
        text,
        calls,
    })
}

/// The text in two pieces.
fn halves(text: &str) -> Vec<String> {
    let middle = text.chars().count() / 2;
    let halves = [text.chars().take(middle).collect::<String>(), text.chars().skip(middle).collect()];
    halves.into_iter().filter(|half| !half.is_empty()).collect()
}

impl Script {
    /// As this provider tells it at once.
    fn whole(&self, wire: Wire) -> String {
        let calls = self.calls.iter().enumerate();
        match wire {
            Wire::Chat => {
                let calls: Vec<Value> = calls
                    .map(|(at, (name, arguments))| json!({"id": format!("c{at}"), "type": "function", "function": {"name": name, "arguments": arguments}}))
                    .collect();
                json!({"choices": [{"message": {"content": self.text, "reasoning_content": self.thought, "tool_calls": calls}, "finish_reason": "stop"}]}).to_string()
            }
            Wire::Messages => {
                let mut content = vec![
                    json!({"type": "thinking", "thinking": self.thought}),
                    json!({"type": "text", "text": self.text}),
                ];
                content.extend(calls.map(|(at, (name, arguments))| json!({"type": "tool_use", "id": format!("c{at}"), "name": name, "input": super::super::json(arguments)})));
                json!({"content": content, "stop_reason": "end_turn"}).to_string()
            }
            Wire::Gemini => {
                json!({"candidates": [{"content": {"parts": self.gemini_parts()}, "finishReason": "STOP"}]})
                    .to_string()
            }
            Wire::Converse => {
                let mut content = vec![
                    json!({"reasoningContent": {"reasoningText": {"text": self.thought}}}),
                    json!({"text": self.text}),
                ];
                content.extend(calls.map(|(at, (name, arguments))| json!({"toolUse": {"toolUseId": format!("c{at}"), "name": name, "input": super::super::json(arguments)}})));
                json!({"output": {"message": {"content": content}}, "stopReason": "end_turn"}).to_string()
            }
        }
    }

    fn gemini_parts(&self) -> Vec<Value> {
        let mut parts: Vec<Value> =
            halves(&self.thought).iter().map(|text| json!({"text": text, "thought": true})).collect();
        parts.extend(halves(&self.text).iter().map(|text| json!({"text": text})));
        parts.extend(self.calls.iter().map(|(name, arguments)| json!({"functionCall": {"name": name, "args": super::super::json(arguments)}})));
        parts
    }

    /// As it tells it piece by piece.
    fn stream(&self, wire: Wire) -> String {
        let unnamed =
            |events: Vec<Value>| events.into_iter().map(|event| format!("data: {event}\n\n")).collect();
        match wire {
            Wire::Chat => unnamed(self.chat_events()),
            Wire::Messages => unnamed(self.messages_events()),
            Wire::Gemini => {
                let mut events: Vec<Value> = self
                    .gemini_parts()
                    .into_iter()
                    .map(|part| json!({"candidates": [{"content": {"parts": [part]}}]}))
                    .collect();
                events.push(json!({"candidates": [{"finishReason": "STOP"}]}));
                unnamed(events)
            }
            Wire::Converse => self
                .converse_events()
                .into_iter()
                .map(|(name, event)| format!("event: {name}\ndata: {event}\n\n"))
                .collect(),
        }
    }

    fn converse_events(&self) -> Vec<(&'static str, Value)> {
        let mut events = vec![("messageStart", json!({"role": "assistant"}))];
        let delta =
            |at: usize, delta: Value| ("contentBlockDelta", json!({"contentBlockIndex": at, "delta": delta}));
        events.extend(
            halves(&self.thought).iter().map(|text| delta(0, json!({"reasoningContent": {"text": text}}))),
        );
        events.extend(halves(&self.text).iter().map(|text| delta(1, json!({"text": text}))));
        for (at, (name, arguments)) in self.calls.iter().enumerate() {
            let at = at + 2;
            events.push(("contentBlockStart", json!({"contentBlockIndex": at, "start": {"toolUse": {"toolUseId": format!("c{at}"), "name": name}}})));
            events
                .extend(halves(arguments).iter().map(|text| delta(at, json!({"toolUse": {"input": text}}))));
            events.push(("contentBlockStop", json!({"contentBlockIndex": at})));
        }
        events.push(("messageStop", json!({"stopReason": "end_turn"})));
        events
    }

    fn chat_events(&self) -> Vec<Value> {
        let chunk = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
        let mut events = vec![chunk(json!({"role": "assistant", "content": ""}))];
        events.extend(halves(&self.thought).iter().map(|text| chunk(json!({"reasoning_content": text}))));
        events.extend(halves(&self.text).iter().map(|text| chunk(json!({"content": text}))));
        for (at, (name, arguments)) in self.calls.iter().enumerate() {
            events.push(chunk(json!({"tool_calls": [{"index": at, "id": format!("c{at}"), "function": {"name": name, "arguments": ""}}]})));
            events.extend(
                halves(arguments).iter().map(|text| {
                    chunk(json!({"tool_calls": [{"index": at, "function": {"arguments": text}}]}))
                }),
            );
        }
        events.push(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
        events
    }

    fn messages_events(&self) -> Vec<Value> {
        let mut events = vec![json!({"type": "message_start", "message": {}})];
        let mut index = 0;
        let mut block = |start: Value, deltas: Vec<Value>| {
            events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
            events.extend(
                deltas
                    .into_iter()
                    .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
            );
            events.push(json!({"type": "content_block_stop", "index": index}));
            index += 1;
        };
        let deltas = |kind: &str, member: &str, text: &str| {
            halves(text).iter().map(|half| json!({"type": kind, member: half})).collect::<Vec<_>>()
        };
        block(
            json!({"type": "thinking", "thinking": ""}),
            deltas("thinking_delta", "thinking", &self.thought),
        );
        block(json!({"type": "text", "text": ""}), deltas("text_delta", "text", &self.text));
        for (at, (name, arguments)) in self.calls.iter().enumerate() {
            block(
                json!({"type": "tool_use", "id": format!("c{at}"), "name": name, "input": {}}),
                deltas("input_json_delta", "partial_json", arguments),
            );
        }
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
        events.push(json!({"type": "message_stop"}));
        events
    }
}

/// What a caller reads.
#[derive(Debug, Default, PartialEq)]
struct Read {
    thought: String,
    text: String,
    calls: Vec<(String, Value)>,
    stop: String,
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn whole_read(surface: Surface, answer: &Value) -> Read {
    let mut read = Read::default();
    match surface {
        Surface::Chat => {
            let choice = &answer["choices"][0];
            let message = &choice["message"];
            read.text = string(&message["content"]).to_owned();
            read.thought = string(&message["reasoning_content"]).to_owned();
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                let function = &call["function"];
                read.calls.push((
                    string(&function["name"]).to_owned(),
                    super::super::json(string(&function["arguments"])),
                ));
            }
            read.stop = string(&choice["finish_reason"]).to_owned();
        }
        Surface::Responses => {
            for item in answer["output"].as_array().unwrap() {
                match string(&item["type"]) {
                    "message" => read.text += string(&item["content"][0]["text"]),
                    "reasoning" => read.thought += string(&item["summary"][0]["text"]),
                    "function_call" => {
                        read.calls.push((
                            string(&item["name"]).to_owned(),
                            super::super::json(string(&item["arguments"])),
                        ));
                    }
                    other => panic!("{other}"),
                }
            }
            read.stop = string(&answer["status"]).to_owned();
        }
        Surface::Messages => {
            for block in answer["content"].as_array().unwrap() {
                match string(&block["type"]) {
                    "thinking" => read.thought += string(&block["thinking"]),
                    "text" => read.text += string(&block["text"]),
                    "tool_use" => {
                        read.calls.push((string(&block["name"]).to_owned(), block["input"].clone()))
                    }
                    other => panic!("{other}"),
                }
            }
            read.stop = string(&answer["stop_reason"]).to_owned();
        }
        Surface::Gemini => gemini_read(answer, &mut read),
    }
    read
}

/// Reads a part of an answer, which may be all of it.
fn gemini_read(answer: &Value, read: &mut Read) {
    let candidate = &answer["candidates"][0];
    for part in candidate["content"]["parts"].as_array().unwrap() {
        if part["functionCall"].is_object() {
            let call = &part["functionCall"];
            read.calls.push((string(&call["name"]).to_owned(), call["args"].clone()));
        } else if part["thought"] == true {
            read.thought += string(&part["text"]);
        } else {
            read.text += string(&part["text"]);
        }
    }
    read.stop += string(&candidate["finishReason"]);
}

fn stream_read(surface: Surface, stream: &str) -> Read {
    let mut read = Read::default();
    let mut calls: Vec<(String, String)> = Vec::new();
    let mut last = None;
    for (_, data) in events(stream).into_iter().filter(|(_, data)| *data != "[DONE]") {
        let event = super::super::json(data);
        match surface {
            Surface::Chat => {
                let choice = &event["choices"][0];
                let delta = &choice["delta"];
                read.text += string(&delta["content"]);
                read.thought += string(&delta["reasoning_content"]);
                for call in delta["tool_calls"].as_array().into_iter().flatten() {
                    let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
                    calls.resize(calls.len().max(at + 1), Default::default());
                    calls[at].0 += string(&call["function"]["name"]);
                    calls[at].1 += string(&call["function"]["arguments"]);
                }
                read.stop += string(&choice["finish_reason"]);
            }
            Surface::Responses => match string(&event["type"]) {
                "response.output_text.delta" => read.text += string(&event["delta"]),
                "response.reasoning_summary_text.delta" => read.thought += string(&event["delta"]),
                "response.function_call_arguments.delta" => {
                    calls.last_mut().unwrap().1 += string(&event["delta"])
                }
                "response.output_item.added" if event["item"]["type"] == "function_call" => {
                    calls.push((string(&event["item"]["name"]).to_owned(), String::new()));
                }
                "response.completed" => {
                    // The last event holds all that the others told.
                    let response = &event["response"];
                    read.stop = string(&response["status"]).to_owned();
                    last = Some(whole_read(surface, response));
                }
                _ => {}
            },
            Surface::Messages => {
                let delta = &event["delta"];
                read.text += string(&delta["text"]);
                read.thought += string(&delta["thinking"]);
                if event["content_block"]["type"] == "tool_use" {
                    calls.push((string(&event["content_block"]["name"]).to_owned(), String::new()));
                }
                if let Some(text) = delta["partial_json"].as_str() {
                    calls.last_mut().unwrap().1 += text;
                }
                read.stop += string(&delta["stop_reason"]);
            }
            Surface::Gemini => gemini_read(&event, &mut read),
        }
    }
    if surface == Surface::Gemini {
        return read;
    }
    read.calls = calls.into_iter().map(|(name, text)| (name, super::super::json(&text))).collect();
    assert!(last.is_none_or(|last| last == read), "{read:?}");
    read
}

proptest! {
    #[test]
    fn a_stream_says_what_the_whole_answer_says(script in scripts()) {
        for (wire, _) in WIRES {
            for (surface, _) in SURFACES {
                let whole = answer(wire, surface, script.whole(wire).as_bytes(), &USAGE, &context(Asked::default())).unwrap();
                let whole = whole_read(surface, &serde_json::from_slice(&whole).unwrap());
                let stream = converted(wire, surface, &script.stream(wire), Asked::default());
                prop_assert_eq!(&stream_read(surface, &stream), &whole, "{:?} to {:?}", wire, surface);
                prop_assert_eq!(&whole.text, &script.text);
                prop_assert_eq!(&whole.thought, &script.thought);
                let calls: Vec<(String, Value)> =
                    script.calls.iter().map(|(name, arguments)| (name.clone(), super::super::json(arguments))).collect();
                prop_assert_eq!(&whole.calls, &calls);
                let stop = match surface {
                    Surface::Responses => "completed",
                    Surface::Gemini => "STOP",
                    Surface::Chat if script.calls.is_empty() => "stop",
                    Surface::Chat => "tool_calls",
                    Surface::Messages if script.calls.is_empty() => "end_turn",
                    Surface::Messages => "tool_use",
                };
                prop_assert_eq!(whole.stop, stop);
            }
        }
    }

    #[test]
    fn any_event_is_taken_or_refused(
        named in prop::option::of("[a-z_]{0,12}"),
        which in any::<prop::sample::Index>(),
        changes in super::super::hostile::changes(),
        script in scripts(),
    ) {
        for (wire, _) in WIRES {
            for (surface, _) in SURFACES {
                let stream = script.stream(wire);
                let events = events(&stream);
                let broken = which.index(events.len());
                let mut converter = StreamConverter::new(wire, surface, context(Asked::default()));
                let mut out = Vec::new();
                for (at, (name, data)) in events.into_iter().enumerate() {
                    let mut data = data.as_bytes().to_vec();
                    if at == broken {
                        data = super::super::hostile::mangle(data, &changes);
                    }
                    let Ok(data) = String::from_utf8(data) else { return Ok(()) };
                    if converter.event(named.as_deref().or(name), &data, &mut out).is_err() {
                        break;
                    }
                }
                converter.tail(&USAGE, &mut out);
                // Whatever came, what went out are events of JSON.
                let out = String::from_utf8(out).unwrap();
                for (_, data) in super::events(&out) {
                    prop_assert!(data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok(), "{}", data);
                }
            }
        }
    }
}
