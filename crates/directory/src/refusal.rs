//! The refusals of layer 1.1 (the key) and 1.2 (its project), in words.
//!
//! A key is a credential, not quota: no next step here is ever "make another key".

use domain::{Refusal, RefusalCode, Timestamp};

use crate::mask::mask;
use crate::secret::{KeyKind, Malformed};
use crate::snapshot::Principal;

/// How keys begin that people have from elsewhere.
const FOREIGN_PREFIXES: &[&str] = &["sk-", "gsk_", "AIza", "xai-", "hf_", "r8_", "pplx-", "nvapi-"];

/// No credential came with the request.
pub fn missing_key() -> Refusal {
    Refusal::new(
        RefusalCode::MissingKey,
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth \
         (i.e. Authorization: Bearer YOUR_KEY).",
        "set the client's API key (most read OPENAI_API_KEY) to your project's key of this gateway, which begins \
         with `tk-`",
    )
}

/// The text has not the form of a project's key.
pub(crate) fn not_a_key(presented: &str, malformed: Malformed) -> Refusal {
    let next_step = match malformed {
        Malformed::Prefix if is_foreign(presented) => {
            "this looks like a key of another provider; this gateway expects its own key, which begins with `tk-`: \
             give the client your project's key, and leave the provider's key to the gateway's configuration"
                .to_owned()
        }
        Malformed::Prefix => {
            "check that the client sends your project's key of this gateway, which begins with `tk-`".to_owned()
        }
        Malformed::Length { .. } | Malformed::Alphabet | Malformed::Checksum => {
            format!("the key is not whole ({malformed}); copy it again from where you keep it")
        }
    };
    incorrect(presented, next_step)
}

/// The text is whole, but no key of this gateway.
pub(crate) fn unknown_key(presented: &str) -> Refusal {
    incorrect(
        presented,
        "the key is whole, but this gateway does not know it; check that the base URL is the one of the gateway that \
         the key belongs to",
    )
}

/// The operator's key was sent where a project's key belongs.
pub(crate) fn operator_key(presented: &str) -> Refusal {
    incorrect(
        presented,
        format!(
            "keys that begin with `{}` administer the gateway and call no models; send the key of your project",
            KeyKind::Operator.prefix()
        ),
    )
}

/// The key is past its expiry.
pub(crate) fn expired(presented: &str, principal: &Principal, expires_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::ExpiredKey,
        format!(
            "The API key {} (`{}`) of project `{}` expired at {expires_at}.",
            mask(presented),
            principal.key_name,
            principal.project_name
        ),
        format!("{} about its expiry; credit and limits are as they were", ask(principal)),
    )
}

/// The key was disabled.
pub(crate) fn disabled(presented: &str, principal: &Principal, disabled_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::DisabledKey,
        format!(
            "The API key {} (`{}`) of project `{}` was disabled at {disabled_at}.",
            mask(presented),
            principal.key_name,
            principal.project_name
        ),
        format!("{} why it was disabled; credit and limits are as they were", ask(principal)),
    )
}

/// The project is closed.
pub(crate) fn archived(principal: &Principal, archived_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::ProjectArchived,
        format!(
            "The project `{}` ({}) was archived at {archived_at}.",
            principal.project_name, principal.project
        ),
        format!("{} to reopen the project, or call from a project that is open", ask(principal)),
    )
}

fn incorrect(presented: &str, next_step: impl Into<String>) -> Refusal {
    Refusal::new(
        RefusalCode::InvalidKey,
        format!("Incorrect API key provided: {}.", mask(presented)),
        next_step,
    )
}

fn ask(principal: &Principal) -> String {
    format!("ask whoever administers the organization `{}`", principal.organization_name)
}

fn is_foreign(presented: &str) -> bool {
    FOREIGN_PREFIXES.iter().any(|prefix| presented.starts_with(prefix))
}
