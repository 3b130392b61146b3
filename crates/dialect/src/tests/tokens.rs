//! Token counts.

use std::time::Duration;

use crate::Endpoint;
use crate::tokens::{Encoding, count_prompt, count_text};

const SAYING: &str = "You miss 100% of the shots you don't take";

#[test]
fn counts_are_exact() {
    for (encoding, text, tokens) in [
        (Encoding::Cl100kBase, SAYING, 12),
        (Encoding::O200kBase, SAYING, 11),
        (Encoding::O200kBase, "", 0),
        (Encoding::O200kBase, "hello world", 2),
        (Encoding::Cl100kBase, "tiktoken is great!", 6),
        (Encoding::O200kBase, "<|endoftext|>", 7),
    ] {
        assert_eq!(count_text(encoding, text), tokens, "{encoding:?} {text}");
    }
}

/// Long runs are counted by another algorithm, which must come to the same.
#[test]
fn runs_count_like_anything_else() {
    for unit in ["-", "=", " ", "a", "#-", "\n"] {
        for len in [63, 64, 65, 66, 200, 1_000, 4_096] {
            let text = format!("x{}y", unit.repeat(len));
            for (encoding, tokenizer) in [
                (Encoding::O200kBase, bpe_openai::o200k_base()),
                (Encoding::Cl100kBase, bpe_openai::cl100k_base()),
            ] {
                let whole = u64::try_from(tokenizer.count(text.as_str())).unwrap();
                assert_eq!(count_text(encoding, &text), whole, "{unit:?} x {len}");
            }
        }
    }
}

#[test]
fn models_have_their_encoding() {
    for (name, encoding) in [
        ("gpt-4", Encoding::Cl100kBase),
        ("gpt-4-turbo-2024-04-09", Encoding::Cl100kBase),
        ("openai/gpt-4-0613", Encoding::Cl100kBase),
        ("gpt-3.5-turbo", Encoding::Cl100kBase),
        ("gpt-35-turbo", Encoding::Cl100kBase),
        ("ft:gpt-3.5-turbo:acme::1", Encoding::Cl100kBase),
        ("ft:gpt-4:acme", Encoding::Cl100kBase),
        ("text-embedding-3-small", Encoding::Cl100kBase),
        ("gpt-4o-mini", Encoding::O200kBase),
        ("gpt-4.1-nano", Encoding::O200kBase),
        ("gpt-4.5-preview", Encoding::O200kBase),
        ("gpt-5.4", Encoding::O200kBase),
        ("o3", Encoding::O200kBase),
        ("llama-3", Encoding::O200kBase),
        ("", Encoding::O200kBase),
    ] {
        assert_eq!(Encoding::for_model(name), encoding, "{name}");
        assert_eq!(Encoding::is_own_of(name), !name.is_empty() && name != "llama-3", "{name}");
    }
}

#[test]
fn prompts_count_by_the_published_recipe() {
    // The example of OpenAI's cookbook: 124 tokens with gpt-4o, 129 with gpt-4.
    let body = r#"{"messages":[
        {"role":"system","content":"You are a helpful, pattern-following assistant that translates corporate jargon into plain English."},
        {"role":"system","name":"example_user","content":"New synergies will help drive top-line growth."},
        {"role":"system","name":"example_assistant","content":"Things working well together will increase revenue."},
        {"role":"system","name":"example_user","content":"Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."},
        {"role":"system","name":"example_assistant","content":"Let's talk later when we're less busy about how to do better."},
        {"role":"user","content":"This late pivot means we don't have time to boil the ocean for the client deliverable."}]}"#;
    assert_eq!(count_prompt(Endpoint::Chat, body.as_bytes(), "gpt-4o"), 124);
    assert_eq!(count_prompt(Endpoint::Chat, body.as_bytes(), "gpt-4"), 129);
    let one = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
    let text = format!("\"{SAYING}\"");
    for (body, tokens) in [
        (one(&text), 3 + 3 + 1 + 11),
        (one(&format!(r#"[{{"type":"text","text":{text}}},{{"type":"image_url","image_url":{{"url":"data:x"}}}}]"#)), 3 + 3 + 1 + 11 + 765),
        (one("null"), 3 + 3 + 1),
        (
            r#"{"messages":[{"role":"user","content":null,"tool_calls":[{"id":"x","type":"function","function":{"name":"hello","arguments":" world"}}]}],"tools":["hello"],"functions":null}"#.to_owned(),
            3 + 3 + 1 + 2 + count_text(Encoding::O200kBase, r#"["hello"]"#),
        ),
    ] {
        assert_eq!(count_prompt(Endpoint::Chat, body.as_bytes(), "gpt-4o"), tokens, "{body}");
    }
}

#[test]
fn embedding_inputs_count_as_texts_or_tokens() {
    for (input, tokens) in [
        (format!("\"{SAYING}\""), 12),
        (format!("[\"{SAYING}\",\"hello world\"]"), 14),
        ("[1,2,3]".to_owned(), 3),
        ("[[1,2],[3],[]]".to_owned(), 3),
    ] {
        let body = format!(r#"{{"model":"e","input":{input}}}"#);
        assert_eq!(count_prompt(Endpoint::Embeddings, body.as_bytes(), "text-embedding-3-small"), tokens);
    }
    assert_eq!(count_prompt(Endpoint::Chat, b"\xff", "m"), 0);
    assert_eq!(count_prompt(Endpoint::Embeddings, b"nonsense", "m"), 0);
}

/// A megabyte of anything must not hold up a thread; the time allowed is for a busy machine and an unoptimised build.
#[test]
fn hostile_texts_count_in_linear_time() {
    let million = |text: &str| text.repeat(1_000_000 / text.len());
    for text in [
        million("a"),
        million(" "),
        million("\n"),
        million("\r\n \t"),
        million("A"),
        million("0"),
        million("-"),
        million("'s"),
        million("aA"),
        million(" a"),
        million("é"),
        million("漢"),
        million("🦀"),
        million("\u{300}"),
        million("a\u{300}B"),
        format!("{}x", million(" ")),
        format!("{}x", million("\n ")),
    ] {
        for encoding in [Encoding::O200kBase, Encoding::Cl100kBase] {
            let (sender, receiver) = std::sync::mpsc::channel();
            let shown: String = text.chars().take(8).collect();
            let text = text.clone();
            std::thread::spawn(move || sender.send(count_text(encoding, &text)));
            let tokens = receiver.recv_timeout(Duration::from_secs(20));
            assert!(tokens.is_ok_and(|tokens| tokens > 0), "{shown:?} took too long");
        }
    }
}
