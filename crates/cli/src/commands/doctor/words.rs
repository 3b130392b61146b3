//! The layers by their numbers, and what people usually take a refusal for.

use server::Finding;

use super::answers::Refusal;

/// The name of a limit owner's layer (docs/layers.md).
pub(super) fn layer(owner: &str) -> &'static str {
    match owner {
        "key" => "1.1 key",
        "project" => "1.2 project",
        "model_access" => "1.3 model access",
        "region" => "1.4 region",
        "route" => "1.5 route",
        "usage_limit" => "1.6 usage limit",
        "rate_limit" => "1.7 rate limit",
        "billing" => "1.8 billing",
        "provider" => "1.9 provider",
        _ => "request",
    }
}

/// What a refusal says, what is often misunderstood about it, and the step that helps.
pub(super) fn refused(refusal: &Refusal) -> Finding {
    let owner = refusal.owner.as_deref().unwrap_or_default();
    let confusion = confusion(owner, refusal).map(|words| format!(" {words}")).unwrap_or_default();
    let next = refusal.next_step.clone().unwrap_or_else(|| "mend what the message says".to_owned());
    found(layer(owner), format!("{}{confusion}", refusal.message), next)
}

fn confusion(owner: &str, refusal: &Refusal) -> Option<&'static str> {
    let word = refusal.reason.as_deref().or(refusal.code.as_deref()).unwrap_or_default();
    Some(match (owner, word) {
        ("key", "invalid_api_key") => {
            "A key opens the gateway that made it and no other: perhaps this is another gateway than the key's."
        }
        ("key" | "project", _) => {
            "A new key would have the same project behind it, with the same credit and limits."
        }
        ("usage_limit", _) => {
            "A budget is its owner's and not the key's: another key has no room in it either."
        }
        ("rate_limit", _) => {
            "Another key does not raise a rate limit, and each refused try may be one too many."
        }
        ("billing", _) => {
            "Credit is the organization's: another key has none more, and an app subscription such as ChatGPT Plus is \
             not API credit."
        }
        _ => return None,
    })
}

pub(super) fn ok(check: &str, message: impl Into<String>) -> Finding {
    Finding { check: check.to_owned(), ok: true, message: message.into(), next_step: None }
}

pub(super) fn found(check: &str, message: impl Into<String>, next_step: impl Into<String>) -> Finding {
    Finding { ok: false, next_step: Some(next_step.into()), ..ok(check, message) }
}
