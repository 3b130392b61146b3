//! What the text of a presented key tells before it is sent anywhere: whether it is one of ours at all, and if not, what
//! its holder has probably taken it for.
//!
//! It knows how keys look, ours and others'. The text itself is never repeated, only what may be shown of it.

use directory::{KeyKind, Malformed, mask};

use super::Finding;

const CHECK: &str = "1.1 key";
/// How keys begin that people have from elsewhere, and from where.
const ELSEWHERE: [(&str, &str); 10] = [
    ("sk-or-", "OpenRouter"),
    ("sk-ant-", "Anthropic"),
    ("sk-", "OpenAI or a provider like it"),
    ("sess-", "a browser's session"),
    ("gsk_", "Groq"),
    ("AIza", "Google"),
    ("xai-", "xAI"),
    ("hf_", "Hugging Face"),
    ("pplx-", "Perplexity"),
    ("nvapi-", "NVIDIA"),
];

/// Whether a text can be the key of a project of some gateway.
pub fn key_text(text: &str) -> Finding {
    let shown = mask(text);
    match KeyKind::of(text) {
        Ok(KeyKind::Project) => Finding::ok(CHECK, format!("{shown} has the form of a project's key")),
        Ok(KeyKind::Operator | KeyKind::Admin) => Finding::found(
            CHECK,
            format!("{shown} administers and calls no models"),
            "give the key of your project, which begins with `tk-` alone; the operator's goes into \
             TOLLKEEPER_OPERATOR_KEY",
        ),
        Ok(KeyKind::Invite) => Finding::found(
            CHECK,
            format!("{shown} is the token of an invitation"),
            "accept the invitation with it, and ask for a key of the project",
        ),
        Err(Malformed::Prefix) => foreign(text, &shown),
        Err(fault @ (Malformed::Length { .. } | Malformed::Alphabet | Malformed::Checksum)) => {
            Finding::found(
                CHECK,
                format!("{shown} is not a whole key: {fault}"),
                "copy it again from where you keep it",
            )
        }
    }
}

fn foreign(text: &str, shown: &str) -> Finding {
    match ELSEWHERE.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((_, whose)) => Finding::found(
            CHECK,
            format!(
                "{shown} looks like a key of {whose} and not of this gateway, so it was sent nowhere. A provider's \
                 key is no key here, and an app subscription such as ChatGPT Plus is no API credit anywhere"
            ),
            "give the client your project's key of this gateway, which begins with `tk-`; the provider's key belongs \
             into the environment of the gateway",
        ),
        None => Finding::found(
            CHECK,
            format!("{shown} is no key of a gateway, so it was sent nowhere"),
            "give your project's key, which begins with `tk-`: `tollkeeper keys create` shows it once",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_and_never_repeated() {
        let whole = "tk-0123456789abcdefghijABCDEFGHIJ0123456789";
        for (text, says, next) in [
            ("sk-proj-0123456789abcdef0123456789", "OpenAI", "`tk-`"),
            ("sk-ant-api03-0123456789abcdef", "Anthropic", "environment of the gateway"),
            ("sk-or-v1-0123456789abcdef01234567", "OpenRouter", "`tk-`"),
            ("a password of somebody", "no key of a gateway", "keys create"),
            (whole, "not a whole key", "copy it again"),
            ("tk-op-short", "not a whole key", "copy it again"),
        ] {
            let finding = key_text(text);
            assert!(!finding.ok && finding.message.contains(says), "{finding:?}");
            assert!(finding.next_step.as_ref().unwrap().contains(next), "{finding:?}");
            assert!(!format!("{finding:?}").contains(text), "{finding:?}");
        }
    }
}
