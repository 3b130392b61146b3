//! Whatever the bytes are, the answer is a value or an error: nothing here may panic.

use std::num::NonZeroU64;

use bytes::Bytes;
use proptest::prelude::*;

use super::body::to;
use super::responses_stream;
use super::stream::{corpus, run, run_on};
use crate::tokens;
use crate::{
    Addressed, AnswerFacts, Call, Endpoint, Framing, StreamMeter, StreamOptions, Upstream, UpstreamError,
};

const DOCUMENTS: &[&str] = &[
    r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}},{"type":"file","file":{}}]}],"stream":true,"stream_options":{"include_usage":false},"n":2,"metadata":{"run":"\u00e9"}}"#,
    r#"{"model":"m","input":[[1,2],["a"],"b"],"user":"\ud83d\ude00"}"#,
    r#"{"model":"x","choices":[{"message":{"content":"a\n","tool_calls":[{"function":{"name":"f"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1e3,"prompt_tokens_details":{"cached_tokens":-1}},"error":{"message":"m","code":4}}"#,
    r#"{"model":"m","max_tokens":9000,"thinking":{"budget_tokens":4000},"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"x"}},{"type":"tool_result","content":[{"type":"document","source":{"type":"text","data":"y"}}]}]}],"tools":[{"type":"web_search_1"}],"metadata":{"user_id":"u"}}"#,
    r#"{"type":"message","model":"x","content":[{"type":"text","text":"a"},{"type":"tool_use","name":"f","input":{"b":1}}],"usage":{"input_tokens":5,"output_tokens":1e3,"cache_creation":{"ephemeral_1h_input_tokens":-1},"output_tokens_details":{"thinking_tokens":7}}}"#,
    r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:x"},{"type":"input_file","file_id":"f"}]},{"type":"additional_tools","tools":[{"type":"shell","environment":{"type":"local"}}]}],"tools":[{"type":"namespace","tools":[{"type":"mcp"}]}],"stream":true,"max_output_tokens":9}"#,
    r#"{"object":"response","model":"x","status":"failed","error":{"code":"c"},"output":[{"type":"message","content":[{"text":"a"}]},{"type":"function_call","name":"f","arguments":"{}"}],"usage":{"input_tokens":5,"output_tokens":1e3,"input_tokens_details":{"cached_tokens":-1}}}"#,
    r#"{"output":{"message":{"content":[{"text":"a"},{"toolUse":{"name":"f","input":{"b":1}}},{"reasoningContent":{"reasoningText":{"text":"t"}}}]}},"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":1e3,"cacheDetails":[{"ttl":"1h","inputTokens":-1}]}}"#,
    r#"{"messages":[{"content":[{"image":{"source":{"bytes":"x"}}},{"toolResult":{"content":[{"document":{"source":{"text":"y"}}}]}}]}],"system":[{"text":"s"}],"toolConfig":{},"inferenceConfig":{"maxTokens":9}}"#,
    r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"x"}},{"functionResponse":{"parts":[{"fileData":{}}]}}]}],"generationConfig":{"maxOutputTokens":9,"candidateCount":2},"tools":[{"googleSearch":{}}],"model":"models/m"}"#,
    r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP","index":1e3}],"usageMetadata":{"promptTokenCount":5,"cachedContentTokenCount":9,"thoughtsTokenCount":1e3,"totalTokenCount":-1},"modelVersion":"x"}"#,
    r#"[{"error":{"code":429,"message":"Quota","status":"X"}},{"detail":[{"msg":"m"}]}]"#,
];

fn read_all(bytes: &[u8]) {
    for endpoint in [
        Endpoint::Chat,
        Endpoint::Responses,
        Endpoint::Embeddings,
        Endpoint::Moderations,
        Endpoint::Images,
        Endpoint::Messages,
        Endpoint::Converse,
    ] {
        if let Ok(call) = Call::read(endpoint, Bytes::copy_from_slice(bytes)) {
            let parts = call.upstream_body(&to("other"));
            let len = parts.len();
            let body: Vec<u8> = parts.into_iter().flatten().collect();
            assert_eq!(body.len(), len);
            let again = Call::read(endpoint, Bytes::from(body)).expect("an edited body can be read");
            assert_eq!((again.model(), again.stream()), ("other", call.stream()));
            assert!(again.asked_usage() || !call.stream() || endpoint == Endpoint::Responses);
            assert!(call.input_tokens_bound() > 0);
            let capped: Vec<u8> = call
                .upstream_body(&Upstream { output_cap: Some(NonZeroU64::MIN), ..to("m") })
                .into_iter()
                .flatten()
                .collect();
            let capped = Call::read(endpoint, Bytes::from(capped)).expect("a capped body can be read");
            assert!(capped.output_cap().is_some_and(|cap| cap <= 1));
        }
        if let Ok(facts) = AnswerFacts::read(endpoint, bytes) {
            assert!(facts.usage.is_none_or(|usage| usage.reasoning <= usage.output));
        }
        AnswerFacts::output_text(endpoint, bytes);
        tokens::count_prompt(endpoint, bytes, "gpt-4o");
    }
    assert!(!UpstreamError::read(500, bytes).message.is_empty());
    run(true, [Bytes::copy_from_slice(bytes)]);
    read_content(bytes);
    super::cut::check_any(bytes);
    responses_stream::check_any(bytes);
}

/// The same of Gemini's, whose address tells the model.
fn read_content(bytes: &[u8]) {
    let at = |model: &str| Addressed { model: model.to_owned(), framing: Framing::Whole };
    let endpoint = Endpoint::GenerateContent;
    if let Ok(call) = Call::read_at(endpoint, Some(&at("m")), Bytes::copy_from_slice(bytes)) {
        let body: Vec<u8> = call
            .upstream_body(&Upstream { output_cap: Some(NonZeroU64::MIN), ..to("other") })
            .into_iter()
            .flatten()
            .collect();
        let again = Call::read_at(endpoint, Some(&at("other")), Bytes::from(body));
        let again = again.expect("an edited body can be read");
        assert_eq!((again.output_cap(), again.choices()), (Some(1), call.choices()));
        assert!(call.input_tokens_bound() > 0);
    }
    if let Ok(facts) = AnswerFacts::read(endpoint, bytes) {
        assert!(facts.usage.is_none_or(|usage| usage.reasoning <= usage.output));
    }
    AnswerFacts::output_text(endpoint, bytes);
    tokens::count_prompt(endpoint, bytes, "gemini-x");
    let event = [b"data: ", bytes, b"\n\n"].concat();
    run_on(StreamMeter::new(endpoint, StreamOptions::default()), [Bytes::from(event)]);
}

/// The bytes with some of them changed, taken out or doubled.
pub(super) fn mangle(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, how, byte) in changes {
        if bytes.is_empty() {
            break;
        }
        let at = at.index(bytes.len());
        match how % 4 {
            0 => bytes[at] = *byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

pub(super) fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\u0e.-1\n\rntf".to_vec())];
    prop::collection::vec((any::<prop::sample::Index>(), 0_u8..20, byte), 0..5)
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn documents_gone_wrong(which in prop::sample::select(DOCUMENTS.to_vec()), changes in changes()) {
        read_all(&mangle(which.as_bytes().to_vec(), &changes));
    }

    #[test]
    fn streams_gone_wrong(which in any::<prop::sample::Index>(), changes in changes()) {
        let corpus = corpus().into_iter().chain(responses_stream::corpus());
        let corpus: Vec<String> = corpus.filter(|stream| stream.len() < 10_000).collect();
        let bytes = mangle(which.get(&corpus).as_bytes().to_vec(), &changes);
        super::cut::check_any(&bytes);
        responses_stream::check_any(&bytes);
        run(false, [Bytes::from(bytes)]);
    }
}
