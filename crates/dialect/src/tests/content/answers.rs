//! What is read of a whole answer.

use domain::Usage;

use crate::{AnswerFacts, Endpoint, Garbage};

fn facts(body: &str) -> AnswerFacts {
    let read = AnswerFacts::read(Endpoint::GenerateContent, body.as_bytes());
    read.unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[test]
fn usage_is_read_bucket_by_bucket() {
    let none = Usage::default();
    for (usage, expected) in [
        ("{}", None),
        (r#"{"candidatesTokenCount":7}"#, None),
        // Counts of zero are left out.
        (r#"{"promptTokenCount":7,"totalTokenCount":7}"#, Some(Usage { input: 7, ..none })),
        (r#"{"totalTokenCount":5,"candidatesTokenCount":5}"#, Some(Usage { output: 5, ..none })),
        (r#"{"promptTokenCount":7,"totalTokenCount":12}"#, Some(Usage { input: 7, output: 5, ..none })),
        // The prompt holds what was cached; thoughts and what tools brought stand beside.
        (
            r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":10,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":145}"#,
            Some(Usage { input: 45, cached: 60, output: 40, reasoning: 30, ..none }),
        ),
        // Where the total says that the candidates hold the thoughts, they are not counted again.
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":40,"thoughtsTokenCount":30,"totalTokenCount":50}"#,
            Some(Usage { input: 10, output: 40, reasoning: 30, ..none }),
        ),
        (
            r#"{"promptTokenCount":10,"candidatesTokenCount":40,"thoughtsTokenCount":30}"#,
            Some(Usage { input: 10, output: 70, reasoning: 30, ..none }),
        ),
        // What was read from the cache has the cache's price, whatever it is.
        (
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":50,"totalTokenCount":150,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"AUDIO","tokenCount":50},{"modality":"IMAGE","tokenCount":30}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":40}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":45},{"modality":"AUDIO","tokenCount":2}]}"#,
            Some(Usage {
                input: 20,
                cached: 40,
                audio_input: 10,
                image_input: 30,
                output: 3,
                audio_output: 2,
                image_output: 45,
                ..none
            }),
        ),
        // Contradictions never make the sum larger than the whole.
        (
            r#"{"promptTokenCount":10,"cachedContentTokenCount":60,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":50}],"totalTokenCount":10}"#,
            Some(Usage { cached: 10, ..none }),
        ),
    ] {
        let body = format!(r#"{{"candidates":[],"usageMetadata":{usage}}}"#);
        assert_eq!(facts(&body).usage, expected, "{usage}");
    }
}

#[test]
fn the_rest_is_read_beside_it() {
    let told = facts(
        r#"{"modelVersion":"gemini-3-pro","usageMetadata":{"promptTokenCount":1,"serviceTier":"flex"},"error":null}"#,
    );
    assert_eq!((told.model.as_deref(), told.service_tier.as_deref()), (Some("gemini-3-pro"), Some("flex")));
    assert!(!told.has_error);
    assert!(facts(r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#).has_error);
    for garbage in ["[]", "", "{", "\"x\""] {
        let read = AnswerFacts::read(Endpoint::GenerateContent, garbage.as_bytes());
        assert_eq!(read, Err(Garbage), "{garbage}");
    }
}

#[test]
fn searches_are_counted_as_they_are_charged_for() {
    for (model, searches) in [("gemini-3-pro", 3), ("gemini-4-argon", 3), ("gemini-2.5-flash", 1)] {
        let body = format!(
            r#"{{"candidates":[{{"groundingMetadata":{{"webSearchQueries":["a","b","c"]}}}}],"modelVersion":"{model}","usageMetadata":{{"promptTokenCount":1}}}}"#
        );
        assert_eq!(facts(&body).searches, searches, "{model}");
        assert_eq!(facts(&body).usage.unwrap().searches, searches, "{model}");
    }
}

#[test]
fn all_that_was_generated_is_text() {
    let text = AnswerFacts::output_text(
        Endpoint::GenerateContent,
        br#"{"candidates":[{"content":{"parts":[{"text":"a ","thought":true,"thoughtSignature":"no"},{"text":"b "},{"functionCall":{"id":"no","name":"c ","args":{"d":1}}},{"executableCode":{"language":"PYTHON","code":" e"}},{"codeExecutionResult":{"output":"no"}},{"inlineData":{"mimeType":"no","data":"no"}}],"role":"no"}},{"content":{"parts":[{"text":" f"}]}}],"modelVersion":"no"}"#,
    );
    assert_eq!(text, r#"a b c {"d":1} e f"#);
}
