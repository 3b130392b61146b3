//! The refusals of layer 1.1 (the key) and 1.2 (its project), in words.
//!
//! A key is a credential, not quota: no next step here is ever "make another key".

use std::net::IpAddr;

use domain::{Refusal, RefusalCode, Timestamp};

use crate::directory::Principal;
use crate::mask::mask;
use crate::record::{AdminKey, Scope};
use crate::secret::{KeyKind, Malformed};

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

/// A key of ours that opens something else.
pub(crate) fn wrong_kind(presented: &str, kind: KeyKind) -> Refusal {
    let next_step = match kind {
        KeyKind::Project => {
            "keys that begin with `tk-` alone call models and administer nothing; send an administrator's key, which \
             begins with `tk-admin-`"
                .to_owned()
        }
        KeyKind::Invite => {
            "this is the token of an invitation; accept it with POST /admin/v1/invites/accept".to_owned()
        }
        KeyKind::Operator | KeyKind::Admin => format!(
            "keys that begin with `{}` administer and call no models; send the key of your project",
            kind.prefix()
        ),
    };
    incorrect(presented, next_step)
}

/// The key is past its expiry.
pub(crate) fn expired(presented: &str, principal: &Principal, expires_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::ExpiredKey,
        format!(
            "The API key {} (`{}`) of project `{}` expired at {expires_at}.",
            mask(presented),
            principal.key.name,
            principal.project.name
        ),
        format!("{} about its expiry; credit and limits are as they were", ask(principal)),
    )
}

/// The secret was replaced by another, and its time of grace is over.
pub(crate) fn rotated(presented: &str, principal: &Principal, until: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::ExpiredKey,
        format!(
            "The secret {} of the API key `{}` of project `{}` was replaced, and worked until {until}.",
            mask(presented),
            principal.key.name,
            principal.project.name
        ),
        format!("use the key's new secret, {}, from where it is kept", principal.key.redacted),
    )
}

/// The key was revoked.
pub(crate) fn revoked(presented: &str, principal: &Principal, revoked_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::DisabledKey,
        format!(
            "The API key {} (`{}`) of project `{}` was revoked at {revoked_at}.",
            mask(presented),
            principal.key.name,
            principal.project.name
        ),
        format!("{} why it was revoked; credit and limits are as they were", ask(principal)),
    )
}

/// The key may not be used from where the call came.
pub(crate) fn address(presented: &str, principal: &Principal, address: Option<IpAddr>) -> Refusal {
    let from = address.map_or_else(
        || "an address that is not known".to_owned(),
        |address| format!("the address {}", address.to_canonical()),
    );
    let mut refusal = Refusal::new(
        RefusalCode::AddressNotAllowed,
        format!("The API key {} (`{}`) may not be used from {from}.", mask(presented), principal.key.name),
        format!("call from one of the key's networks, or {} to add this one to them", ask(principal)),
    );
    // Which networks they are is for those who administer the key, not for whoever found it.
    refusal.limit = Some(format!("{} networks", principal.key.bounds.networks.len()));
    refusal
}

/// The key may not call this endpoint.
pub(crate) fn endpoint(presented: &str, principal: &Principal, endpoint: Scope) -> Refusal {
    let scopes = principal.key.bounds.endpoints.as_deref().unwrap_or_default();
    let may: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let may = if may.is_empty() { "none".to_owned() } else { may.join(", ") };
    let mut refusal = Refusal::new(
        RefusalCode::EndpointNotAllowed,
        format!(
            "The API key {} (`{}`) has insufficient permissions for this operation: it lacks the scope `{endpoint}`.",
            mask(presented),
            principal.key.name
        ),
        format!("call an endpoint that the key has, or {} to add `{endpoint}` to its scopes", ask(principal)),
    );
    refusal.limit = Some(may);
    refusal
}

/// Whoever the key belongs to has no part in its project.
pub(crate) fn no_part(principal: &Principal) -> Refusal {
    let whose = match principal.key.owner {
        crate::KeyOwner::User(user) => format!("member {user}"),
        crate::KeyOwner::ServiceAccount(account) => format!("service account {account}"),
    };
    Refusal::new(
        RefusalCode::PrincipalRemoved,
        format!(
            "The {whose}, to whom the API key `{}` belongs, has no part in the project `{}` ({}).",
            principal.key.name, principal.project.name, principal.project.id
        ),
        format!("{} to give them a part in the project again", ask(principal)),
    )
}

/// An administrator's key is past its end.
pub(crate) fn admin_key_ended(key: &AdminKey, how: &str, at: Timestamp) -> Refusal {
    let code = if how == "expired" { RefusalCode::ExpiredKey } else { RefusalCode::DisabledKey };
    Refusal::new(
        code,
        format!("The administrator's key {} (`{}`) {how} at {at}.", key.redacted, key.name),
        format!(
            "ask whoever operates this gateway to run `tollkeeper members key {} --org {}`, or an owner of the \
             organization to do what it was for",
            key.user, key.organization
        ),
    )
}

/// Whoever an administrator's key belongs to has left the organization.
pub(crate) fn administrator_removed(key: &AdminKey) -> Refusal {
    Refusal::new(
        RefusalCode::PrincipalRemoved,
        format!(
            "The member to whom the administrator's key {} belongs has left the organization.",
            key.redacted
        ),
        "ask an owner of the organization to invite them again",
    )
}

/// The key was disabled.
pub(crate) fn disabled(presented: &str, principal: &Principal, disabled_at: Timestamp) -> Refusal {
    Refusal::new(
        RefusalCode::DisabledKey,
        format!(
            "The API key {} (`{}`) of project `{}` was disabled at {disabled_at}.",
            mask(presented),
            principal.key.name,
            principal.project.name
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
            principal.project.name, principal.project.id
        ),
        "call from a project that is open; this one is closed for good",
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
    format!("ask whoever administers the organization `{}`", principal.organization().name)
}

fn is_foreign(presented: &str) -> bool {
    FOREIGN_PREFIXES.iter().any(|prefix| presented.starts_with(prefix))
}
