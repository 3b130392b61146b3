//! What the pages say, as HTML without scripts. Every text of somebody else's is escaped; a key is in no page.

use std::fmt::Write;
use std::sync::Arc;

use directory::{Consent, ConsentState, LimitReset};

use super::UserPaysSettings;
use super::agreement::Wrong;
use super::form::{Request, Typed};
use crate::statement::escaped;

/// The one style of all pages; browsers take it by its hash.
pub(super) const STYLE: &str = include_str!("page.css");

/// Ended consents that are shown at most: what came before is in the audit log.
const ENDED_MAX: usize = 20;

/// A page that says what is wrong.
pub(super) fn problem(text: &str) -> String {
    let mut page = begin("This cannot go on");
    put(
        &mut page,
        format_args!(
            "<p class=mark>Tollkeeper</p>\n<h1>This cannot go on</h1>\n<p>{}</p>\n\
             <p class=hint>Nothing was agreed to, and nothing was sent to any app. Close this page, or go back.</p>\n",
            escaped(text)
        ),
    );
    end(page)
}

/// The page on which a user agrees.
pub(super) fn consent(
    request: &Request,
    typed: &Typed,
    settings: &UserPaysSettings,
    wrongs: &[Wrong],
    place: Option<&(String, String)>,
) -> String {
    let app = &request.app;
    let name = app.name.as_deref().unwrap_or_else(|| app.host());
    let mut page = begin(&format!("{name} asks to call models at your expense"));
    put(
        &mut page,
        format_args!(
            "<p class=mark>Tollkeeper</p>\n<h1><bdi>{}</bdi> asks to call models at your expense</h1>\n\
             <p class=origin>{}</p>\n",
            escaped(name),
            escaped(&request.callback.origin)
        ),
    );
    page.push_str(who(request));
    what(&mut page, place);
    put(&mut page, format_args!("<form method=post action=\"{}\">\n", super::PAGE));
    hidden(&mut page, request);
    terms(&mut page, typed, settings, wrongs);
    page.push_str(
        "<div class=deed>\n<button class=lead name=decision value=allow>Allow</button>\n\
         <button name=decision value=deny formnovalidate>Do not allow</button>\n</div>\n</form>\n",
    );
    put(
        &mut page,
        format_args!(
            "<footer>\n<h2>How to end it</h2>\n<p>At any time on <a href=\"{}\">the page of your consents</a>, with your \
             key; whoever looks after your organization can end it, too. The app is refused from that moment on. What you \
             agree to is on record, and you can see it there.</p>\n</footer>\n",
            super::CONSENTS
        ),
    );
    end(page)
}

/// How far anybody can tell who asks.
fn who(request: &Request) -> &'static str {
    if request.app.is_local() {
        "<p class=note>It runs on this computer, so nobody can tell who made it. Go on only if you have just started it \
         yourself.</p>\n"
    } else if request.app.name.is_some() {
        "<p class=hint>The name is what the app calls itself, and nobody has checked it. The address is where you go back \
         to: make sure that you know it.</p>\n"
    } else {
        "<p class=hint>That is where you go back to: make sure that you know the address.</p>\n"
    }
}

fn what(page: &mut String, place: Option<&(String, String)>) {
    let wallet = match place {
        Some((project, organization)) => format!(
            "the wallet of your project <b><bdi>{}</bdi></b> (<bdi>{}</bdi>)",
            escaped(project),
            escaped(organization)
        ),
        None => "the wallet of the project that your key below is for".to_owned(),
    };
    put(
        page,
        format_args!(
            "<h2>What it gets</h2>\n<ul>\n<li>A key of its own, which calls models. You pay for the calls: {wallet}, and \
             within the limit and until the day that you set below.</li>\n<li>It sees what its own calls have cost and what \
             is left of the limit; and of one that is refused, why: that your credit is used up, for instance.</li>\n</ul>\n\
             <h2>What it does not get</h2>\n<ul>\n<li>Your key: the app never sees what you type here.</li>\n\
             <li>Your other calls, keys and projects, and who else is in your organization.</li>\n</ul>\n\
             <p class=hint>What is asked and answered is not stored by this gateway. What the app keeps of it, the app has \
             to tell you.</p>\n"
        ),
    );
}

/// What the app asked, to be read again with what was typed.
fn hidden(page: &mut String, request: &Request) {
    let challenge = request.challenge.as_ref();
    for (name, value) in [
        ("callback_url", Some(request.callback.url.as_str())),
        ("code_challenge", challenge.map(|challenge| challenge.text())),
        ("code_challenge_method", challenge.map(|challenge| challenge.method().as_str())),
        ("state", request.state.as_deref()),
        ("key_label", request.app.name.as_deref()),
    ] {
        if let Some(value) = value {
            put(page, format_args!("<input type=hidden name={name} value=\"{}\">\n", escaped(value)));
        }
    }
}

fn terms(page: &mut String, typed: &Typed, settings: &UserPaysSettings, wrongs: &[Wrong]) {
    key(page, wrongs);
    let resets: String = LimitReset::ALL
        .iter()
        .map(|reset| {
            let chosen = if reset.as_str() == typed.reset { " selected" } else { "" };
            format!("<option value={reset}{chosen}>{}</option>", in_words(*reset))
        })
        .collect();
    put(
        page,
        format_args!(
            "<label for=limit>The most that it may spend, in USD</label>\n<p class=hint>At most {}. Whatever would go beyond \
             your limit is refused.</p>\n<div class=pair>\n\
             <input id=limit type=text name=limit inputmode=decimal required value=\"{}\"{}>\n\
             <select name=reset aria-label=\"When the limit starts anew\">{resets}</select>\n</div>\n{}",
            settings.limit_max,
            escaped(&typed.limit),
            mark(wrongs, "limit"),
            told(wrongs, "limit"),
        ),
    );
    put(
        page,
        format_args!(
            "<label for=days>For how many days</label>\n<p class=hint>At most {}. Then the app's key ends by itself.</p>\n\
             <input id=days type=text name=days inputmode=numeric required value=\"{}\"{}>\n{}",
            settings.expires_days_max,
            escaped(&typed.days),
            mark(wrongs, "expires_at"),
            told(wrongs, "expires_at"),
        ),
    );
    let open = if typed.models.is_empty() && told(wrongs, "models").is_empty() { "" } else { " open" };
    put(
        page,
        format_args!(
            "<details{open}>\n<summary>Only some models</summary>\n<p class=hint>Names, or beginnings of names and a *, one \
             a line. Empty is every model that your project may call.</p>\n\
             <textarea name=models rows=3 aria-label=\"Models\"{}>{}</textarea>\n{}</details>\n",
            mark(wrongs, "models"),
            escaped(&typed.models),
            told(wrongs, "models"),
        ),
    );
    // What belongs to no field of this page stands where everybody looks.
    let fields = ["key", "limit", "expires_at", "models"];
    for wrong in wrongs.iter().filter(|wrong| !fields.contains(&wrong.field)) {
        put(page, format_args!("<p class=wrong role=alert>{}</p>\n", escaped(&wrong.text)));
    }
}

fn key(page: &mut String, wrongs: &[Wrong]) {
    put(
        page,
        format_args!(
            "<label for=key>Your key</label>\n<p class=hint>A key of your own at this gateway, which begins with tk-. It \
             shows that you are you, and is not kept.</p>\n\
             <input id=key type=password name=key autocomplete=off spellcheck=false required{}>\n{}",
            mark(wrongs, "key"),
            told(wrongs, "key"),
        ),
    );
}

/// The page of a person's consents: the question for a key, and once it was answered the list.
pub(super) fn consents(
    consents: Option<&[(Arc<Consent>, ConsentState)]>,
    wrongs: &[Wrong],
    done: Option<&str>,
) -> String {
    let mut page = begin("Your consents");
    page.push_str("<p class=mark>Tollkeeper</p>\n<h1>Apps that call at your expense</h1>\n");
    if let Some(done) = done {
        put(
            &mut page,
            format_args!(
                "<p class=note role=status><bdi>{}</bdi> is refused from now on.</p>\n",
                escaped(done)
            ),
        );
    }
    put(&mut page, format_args!("<form method=post action=\"{}\">\n", super::CONSENTS));
    let is_open = |state: &ConsentState| matches!(state, ConsentState::Pending | ConsentState::Active);
    let (open, ended): (Vec<_>, Vec<_>) =
        consents.unwrap_or_default().iter().partition(|(_, state)| is_open(state));
    match consents {
        None => {}
        Some(_) if open.is_empty() => page.push_str("<p>No app may call at your expense now.</p>\n"),
        Some(_) => open.iter().for_each(|(consent, state)| one(&mut page, consent, *state, true)),
    }
    page.push_str(&told(wrongs, "revoke"));
    key(&mut page, wrongs);
    page.push_str("<div class=deed>\n");
    page.push_str(match (consents, open.is_empty()) {
        (None, _) => "<button class=lead>Show them</button>\n",
        (Some(_), false) => "<button class=lead>End the chosen one</button>\n",
        (Some(_), true) => "<button>Show them again</button>\n",
    });
    page.push_str("</div>\n</form>\n");
    if !ended.is_empty() {
        page.push_str("<h2>What has ended</h2>\n");
        ended.iter().take(ENDED_MAX).for_each(|(consent, state)| one(&mut page, consent, *state, false));
    }
    end(page)
}

fn one(page: &mut String, consent: &Consent, state: ConsentState, is_open: bool) {
    let choice =
        if is_open { format!("<input type=radio name=revoke value={}>", consent.id) } else { String::new() };
    let (tag, class) = if is_open { ("label", "consent") } else { ("div", "consent ended") };
    let models =
        consent.models.as_ref().map(|access| format!(" \u{b7} {}", escaped(&access.models.join(", "))));
    put(
        page,
        format_args!(
            "<{tag} class=\"{class}\">{choice}<b><bdi>{}</bdi></b><br>\n<span class=hint>up to {} USD {} \u{b7} until {} \
             \u{b7} agreed on {}{} \u{b7} {}</span></{tag}>\n",
            escaped(&consent.app.title()),
            consent.limit,
            in_words(consent.reset),
            day(&consent.expires_at.to_string()),
            day(&consent.given_at.to_string()),
            models.unwrap_or_default(),
            state_in_words(state),
        ),
    );
}

const fn in_words(reset: LimitReset) -> &'static str {
    match reset {
        LimitReset::Never => "in all",
        LimitReset::Daily => "each day",
        LimitReset::Weekly => "each week",
        LimitReset::Monthly => "each month",
    }
}

const fn state_in_words(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Pending => "the app has yet to fetch its key",
        ConsentState::Active => "in force",
        ConsentState::Lapsed => "the app never fetched its key",
        ConsentState::Expired => "over",
        ConsentState::Ended => "you have no part in its project any more",
        ConsentState::Revoked => "revoked",
    }
}

/// The day of a moment, in UTC.
fn day(moment: &str) -> &str {
    moment.split('T').next().unwrap_or(moment)
}

fn mark(wrongs: &[Wrong], field: &str) -> &'static str {
    if wrongs.iter().any(|wrong| wrong.field == field) { " aria-invalid=true" } else { "" }
}

fn told(wrongs: &[Wrong], field: &str) -> String {
    let of_field = wrongs.iter().filter(|wrong| wrong.field == field);
    of_field.map(|wrong| format!("<p class=wrong role=alert>{}</p>\n", escaped(&wrong.text))).collect()
}

fn begin(title: &str) -> String {
    let mut page = String::new();
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
             <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            escaped(title)
        ),
    );
    page
}

fn end(mut page: String) -> String {
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Writing to a text cannot fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}
