//! The page on which a user agrees: what the app asks, what the user types, and where it leads.
//!
//! Whatever is wrong before the app's address is known to be good is said on the page: nobody is ever sent to an address
//! that was not checked.

use std::net::IpAddr;

use directory::{AccessMode, App, LimitReset, ModelAccess};
use domain::Money;

use super::agreement::{NotAgreed, Person, Terms, Wrong};
use super::answer::Shown;
use super::callback::Callback;
use super::challenge::Challenge;
use super::{TooMany, UserPaysSettings, after, page};
use crate::admin::Admin;

/// The longest state of an app that is kept, in bytes.
const STATE_BYTES_MAX: usize = 1_024;
/// For how long the page proposes, in days, if the operator allows as much.
const DAYS_PROPOSED: i64 = 30;

/// What an app asks.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) callback: Callback,
    pub(super) challenge: Option<Challenge>,
    pub(super) state: Option<String>,
    pub(super) app: App,
}

/// What a user typed, but for the key, which is never shown again.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) limit: String,
    pub(super) reset: String,
    pub(super) days: String,
    pub(super) models: String,
}

/// The members of a query or form, in their order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn read(text: &[u8]) -> Self {
        Self(
            form_urlencoded::parse(text)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// A member, empty when it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str())
    }

    /// A member that is there and says something.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    fn has_twice(&self, name: &str) -> bool {
        self.0.iter().filter(|(other, _)| other == name).count() > 1
    }
}

impl Request {
    /// What an app asks, if it can be trusted so far.
    ///
    /// # Errors
    /// What is wrong, for the page.
    pub(super) fn read(fields: &Fields, settings: &UserPaysSettings) -> Result<Self, String> {
        for name in ["callback_url", "code_challenge", "code_challenge_method", "state", "key_label"] {
            if fields.has_twice(name) {
                return Err(format!("`{name}` is there twice; the app must send it once."));
            }
        }
        let callback = Callback::read(fields.text("callback_url"))
            .map_err(|problem| format!("The app's `callback_url` {problem}."))?;
        if !callback.is_listed(&settings.origins) {
            let origin = &callback.origin;
            return Err(format!(
                "{origin} is not among the apps that whoever operates this gateway lets ask."
            ));
        }
        let challenge = read_challenge(
            fields.some("code_challenge"),
            fields.some("code_challenge_method"),
            settings.requires_challenge,
        )
        .map_err(|(name, problem)| format!("The app's `{name}` {problem}."))?;
        let state = fields.some("state").map(str::to_owned);
        // A form does not keep every control character, and a state that comes back changed is worth nothing.
        let is_kept = |state: &String| state.len() <= STATE_BYTES_MAX && !state.contains(char::is_control);
        if !state.as_ref().is_none_or(is_kept) {
            return Err(format!(
                "The app's `state` is longer than {STATE_BYTES_MAX} bytes, or holds a control character."
            ));
        }
        let app = App::new(callback.app.clone(), fields.some("key_label"));
        Ok(Self { callback, challenge, state, app })
    }
}

/// A challenge, and which field is wrong how.
pub(crate) fn read_challenge(
    challenge: Option<&str>,
    method: Option<&str>,
    is_required: bool,
) -> Result<Option<Challenge>, (&'static str, &'static str)> {
    let method = method.map(str::parse).transpose().map_err(|problem| ("code_challenge_method", problem))?;
    match challenge {
        Some(text) => {
            let read = Challenge::read(text, method).map_err(|problem| ("code_challenge", problem))?;
            Ok(Some(read))
        }
        None if is_required => Err((
            "code_challenge",
            "is missing; without it whoever sees the code could fetch the key (PKCE, RFC 7636)",
        )),
        None => Ok(None),
    }
}

/// What the page proposes.
pub(super) fn proposed(settings: &UserPaysSettings) -> Typed {
    Typed {
        limit: settings.limit_default.to_string(),
        reset: LimitReset::Monthly.as_str().to_owned(),
        days: days_proposed(settings).to_string(),
        models: String::new(),
    }
}

/// For how long, unless somebody says something else.
pub(crate) fn days_proposed(settings: &UserPaysSettings) -> i64 {
    settings.expires_days_max.min(DAYS_PROPOSED)
}

/// `GET /auth`.
pub(super) fn show(admin: &Admin, query: &str) -> Shown {
    let settings = &admin.user_pays.settings;
    match Request::read(&Fields::read(query.as_bytes()), settings) {
        Ok(request) => form(200, &request, &proposed(settings), settings, &[], None),
        Err(problem) => Shown::problem(400, &problem),
    }
}

/// `POST /auth`.
pub(super) fn decide(admin: &Admin, body: &[u8], address: Option<IpAddr>) -> Shown {
    let (fields, settings) = (Fields::read(body), &admin.user_pays.settings);
    let request = match Request::read(&fields, settings) {
        Ok(request) => request,
        Err(problem) => return Shown::problem(400, &problem),
    };
    let text = |name| fields.text(name).trim().to_owned();
    let typed =
        Typed { limit: text("limit"), reset: text("reset"), days: text("days"), models: text("models") };
    match fields.text("decision") {
        "allow" => {}
        "deny" => {
            let members = [("error", "access_denied"), ("error_description", "The user did not agree")];
            return Shown::back(&request.callback, &members, request.state.as_deref());
        }
        _ => return form(400, &request, &typed, settings, &[], None),
    }
    let (read, mut wrongs) = terms(admin, &typed);
    let person = match Person::of_key(admin, fields.text("key"), address) {
        Ok(person) => person,
        Err(not) => {
            return not_agreed(not, wrongs, |status, wrongs| {
                form(status, &request, &typed, settings, wrongs, None)
            });
        }
    };
    let place = person.place();
    let again = |status, wrongs: &[Wrong]| form(status, &request, &typed, settings, wrongs, Some(&place));
    let Some(terms) = read else { return again(400, &wrongs) };
    wrongs.extend(person.wrongs(admin, &terms));
    if !wrongs.is_empty() {
        return again(400, &wrongs);
    }
    match person.agree(admin, request.app.clone(), terms, request.challenge.clone()) {
        Ok((code, _)) => Shown::back(&request.callback, &[("code", &code)], request.state.as_deref()),
        Err(not) => not_agreed(not, Vec::new(), again),
    }
}

/// The form once more, with what is wrong.
fn not_agreed(not: NotAgreed, mut wrongs: Vec<Wrong>, form: impl Fn(u16, &[Wrong]) -> Shown) -> Shown {
    match not {
        NotAgreed::Wrong(wrong) => {
            wrongs.push(wrong);
            form(400, &wrongs)
        }
        NotAgreed::TooMany(many) => form(429, &[Wrong::new("key", too_many(many))]),
        NotAgreed::Full => Shown::problem(503, "Too many people agree at once. Try again in some minutes."),
        NotAgreed::Failed(error) => {
            tracing::error!(%error, "a consent could not be recorded");
            Shown::problem(500, "The gateway could not do this; its log says why. Nothing was agreed to.")
        }
    }
}

pub(super) fn too_many(TooMany { most, seconds }: TooMany) -> String {
    format!(
        "Too many attempts from your address or in your name: {most} a minute are allowed. Try again in {seconds} seconds."
    )
}

/// The terms as typed, and every field that cannot be read.
fn terms(admin: &Admin, typed: &Typed) -> (Option<Terms>, Vec<Wrong>) {
    let mut wrongs = Vec::new();
    let limit: Option<Money> = typed.limit.parse().ok();
    if limit.is_none() {
        wrongs.push(Wrong::new("limit", "This is not an amount. Write it like 5.00."));
    }
    let reset: Option<LimitReset> = typed.reset.parse().ok();
    if reset.is_none() {
        wrongs.push(Wrong::new("limit", "Choose when the limit starts anew."));
    }
    let days_max = admin.user_pays.settings.expires_days_max;
    let days: Option<i64> = typed.days.parse().ok().filter(|days| (1..=days_max).contains(days));
    if days.is_none() {
        wrongs.push(Wrong::new("expires_at", format!("Write a number of days from 1 to {days_max}.")));
    }
    let names: Vec<String> = typed.models.split([',', ' ', '\n', '\r', '\t']).map(str::to_owned).collect();
    let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let models = (!names.is_empty()).then_some(ModelAccess { mode: AccessMode::Allow, models: names });
    let terms =
        || Some(Terms { limit: limit?, reset: reset?, expires_at: after(admin.clock.now(), days?), models });
    (terms(), wrongs)
}

fn form(
    status: u16,
    request: &Request,
    typed: &Typed,
    settings: &UserPaysSettings,
    wrongs: &[Wrong],
    place: Option<&(String, String)>,
) -> Shown {
    let html = page::consent(request, typed, settings, wrongs, place);
    Shown::Page { status, html, leads_to: Some(request.callback.source().to_owned()) }
}
