//! `/api/v1/auth/keys`: an app exchanges the code that its user came back with for a key, and `/auth/keys/code`, by
//! which somebody makes such a code with a key of their own instead of on the page.
//!
//! Fields and statuses are OpenRouter's (<https://openrouter.ai/docs/guides/overview/auth/oauth>: 400 for a method that
//! is not the one the flow began with, 403 for a wrong code or verifier, 405 for anything but POST).

use std::net::IpAddr;

use directory::{App, Principal};
use domain::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::fault::Fault;
use super::{Answer, amount, found, parse};
use crate::admin::Admin;
use crate::user_pays::callback::Callback;
use crate::user_pays::{
    self, Exchanged, NotAgreed, NotExchanged, Person, Terms, TooMany, UserPays, read_challenge,
};

/// What else clients send is theirs: it is not read.
#[derive(Deserialize)]
struct ExchangeBody {
    code: String,
    code_verifier: Option<String>,
    code_challenge_method: Option<String>,
}

/// Makes a key of a code. The code is the credential, so no key is asked for.
pub(super) fn exchange(admin: &Admin, address: Option<IpAddr>, body: &[u8]) -> Answer {
    must_be_enabled(admin)?;
    let body: ExchangeBody = parse(body)?;
    let method = body.code_challenge_method.as_deref().map(str::parse).transpose();
    let method = method.map_err(|problem| Fault::field("code_challenge_method", problem))?;
    let made = UserPays::exchange(admin, &body.code, body.code_verifier.as_deref(), method, address);
    let Exchanged { key, user } = made.map_err(refused)?;
    found(&json!({ "key": key.secret.expose(), "user_id": user }))
}

fn refused(error: NotExchanged) -> Fault {
    match error {
        NotExchanged::OtherMethod => Fault::new(
            400,
            "Invalid code_challenge_method: the flow began with the other one. The code is spent; begin again.",
        ),
        NotExchanged::Wrong => Fault::new(
            403,
            "Invalid code or code_verifier. A code is good once, for minutes, and for the verifier of its challenge; send \
             your user to /auth again.",
        ),
        NotExchanged::TooMany(many) => too_many(many),
        NotExchanged::Directory(error) => error.into(),
        NotExchanged::Ledger(error) => error.into(),
    }
}

fn too_many(TooMany { most, seconds }: TooMany) -> Fault {
    Fault::new(
        429,
        format!("Too many attempts: {most} a minute are allowed. Try again in {seconds} seconds."),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    callback_url: String,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    limit: Option<Box<RawValue>>,
    usage_limit_type: Option<String>,
    expires_at: Option<String>,
    key_label: Option<String>,
    workspace_id: Option<String>,
}

/// Makes a code in the name of whoever calls: they agree by calling.
pub(super) fn make_code(admin: &Admin, caller: &Principal, address: Option<IpAddr>, body: &[u8]) -> Answer {
    must_be_enabled(admin)?;
    let settings = &admin.user_pays.settings;
    let body: CodeBody = parse(body)?;
    let person = Person::of(caller.clone(), address)
        .map_err(|text| Fault::forbidden(text, "Send a personal key, which an app does not have."))?;
    if body.workspace_id.is_some_and(|named| named != caller.project.id.to_string()) {
        return Err(Fault::field("workspace_id", "is another one than your key's; leave it out"));
    }
    let callback =
        Callback::read(&body.callback_url).map_err(|problem| Fault::field("callback_url", problem))?;
    if !callback.is_listed(&settings.origins) {
        let problem = "is not among the apps that whoever operates this gateway lets ask";
        return Err(Fault::field("callback_url", problem));
    }
    let (challenge, method) = (body.code_challenge.as_deref(), body.code_challenge_method.as_deref());
    let challenge = read_challenge(challenge, method, settings.requires_challenge)
        .map_err(|(field, problem)| Fault::field(field, problem))?;
    let limit = body.limit.as_deref().map(amount::read).transpose();
    let reset = body.usage_limit_type.as_deref().unwrap_or("none").parse();
    let expires_at = body.expires_at.as_deref().map(str::parse::<Timestamp>).transpose();
    let proposed = || user_pays::after(admin.clock.now(), user_pays::days_proposed(settings));
    let terms = Terms {
        limit: limit.map_err(|problem| Fault::field("limit", problem))?.unwrap_or(settings.limit_default),
        reset: reset.map_err(|problem| Fault::field("usage_limit_type", problem))?,
        expires_at: expires_at.map_err(|error| Fault::field("expires_at", error))?.unwrap_or_else(proposed),
        models: None,
    };
    let app = App::new(callback.app().to_owned(), body.key_label.as_deref());
    let (code, consent) = person.agree(admin, app, terms, challenge).map_err(not_agreed)?;
    // Apps have no numbers here.
    found(&json!({ "data": { "id": code, "app_id": 0, "created_at": consent.given_at } }))
}

fn not_agreed(error: NotAgreed) -> Fault {
    match error {
        NotAgreed::Wrong(wrong) => Fault::new(400, format!("`{}`: {}", wrong.field, wrong.text)),
        NotAgreed::TooMany(many) => too_many(many),
        NotAgreed::Full => Fault::new(503, "Too many codes wait for their apps. Try again in some minutes."),
        NotAgreed::Failed(error) => Fault::internal(&error),
    }
}

fn must_be_enabled(admin: &Admin) -> Result<(), Fault> {
    if admin.user_pays.settings.enabled {
        return Ok(());
    }
    Err(Fault::new(
        404,
        "Apps get no keys by consent here: whoever operates this gateway has not set `user_pays.enabled`.",
    ))
}
