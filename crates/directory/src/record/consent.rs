//! Consents: a person lets an app call models at the expense of their own project, within a limit and until a day.
//!
//! It knows who agreed to what, and what became of it. It must never know a code or a key's secret, nor how money is
//! counted: the limit is held to by a budget of the key, in the ledger.

use std::net::Ipv4Addr;

use domain::{ConsentId, KeyId, Money, OrganizationId, ProjectId, Timestamp, UserId};
use serde::Serialize;

use super::{Actor, LimitReset, ModelAccess};

/// The longest name of an app that is kept, in characters.
const APP_NAME_CHARS_MAX: usize = 60;

/// A person's consent that an app calls at their expense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// The organization that pays.
    pub organization: OrganizationId,
    /// The project whose wallet pays.
    pub project: ProjectId,
    /// Who agreed.
    pub user: UserId,
    /// The app.
    pub app: App,
    /// The most that the app may spend, in each span that `reset` names.
    pub limit: Money,
    /// When the limit starts anew.
    pub reset: LimitReset,
    /// Models that the app may call; `None` for all that the project may.
    pub models: Option<ModelAccess>,
    /// When it was given.
    pub given_at: Timestamp,
    /// Until when the app may fetch its key. One that is not fetched by then never is.
    pub fetch_until: Timestamp,
    /// From when on the app's key is refused.
    pub expires_at: Timestamp,
    /// The app's key; `None` until the app has fetched it.
    pub key: Option<KeyId>,
    /// When it was revoked and by whom; `None` while it was not.
    pub revoked: Option<Revocation>,
}

/// An app, as far as anybody can tell: where its users come back to, and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct App {
    /// The scheme, host and port that it is called back at, such as `https://app.example`. The port of an app on the
    /// user's own machine is another one each time, and is left out.
    pub origin: String,
    /// What it calls itself; nobody has checked it.
    pub name: Option<String>,
}

/// The end of a consent before its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: Actor,
}

/// How a consent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// It was given, and the app has yet to fetch its key.
    Pending,
    /// The app may call.
    Active,
    /// The app never fetched its key.
    Lapsed,
    /// Its time is over.
    Expired,
    /// Its person has no part in the project any more.
    Ended,
    /// It was revoked.
    Revoked,
}

impl Consent {
    /// How it stands by its own record; see [`Tenant::state_of`](crate::Tenant::state_of).
    pub fn state(&self, now: Timestamp) -> ConsentState {
        match (&self.revoked, self.key) {
            (Some(_), _) => ConsentState::Revoked,
            (None, _) if self.expires_at <= now => ConsentState::Expired,
            (None, Some(_)) => ConsentState::Active,
            (None, None) if self.fetch_until <= now => ConsentState::Lapsed,
            (None, None) => ConsentState::Pending,
        }
    }
}

impl App {
    /// An app at an origin. Its name is somebody's text: it is cut, and what could make it look like another is left out.
    pub fn new(origin: String, name: Option<&str>) -> Self {
        let seen = |character: &char| !crate::service::is_invisible(*character);
        let name: String = name.unwrap_or_default().chars().map(blank).filter(seen).collect();
        let words: Vec<&str> = name.split_whitespace().collect();
        let name: String = words.join(" ").chars().take(APP_NAME_CHARS_MAX).collect();
        Self { origin, name: Some(name).filter(|name| !name.is_empty()) }
    }

    /// Its host, and its port if it has an unusual one: what its calls are attributed to.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or(self.origin.as_str(), |(_, host)| host)
    }

    /// Whether it runs on the user's own machine. Then its origin says nothing about who made it.
    pub fn is_local(&self) -> bool {
        // `127.0.0.1.example` is somebody's, too.
        matches!(self.host(), "localhost" | "[::1]")
            || self.host().parse().is_ok_and(|host: Ipv4Addr| host.is_loopback())
    }

    /// What people call it: its own name with its host behind it, or the host alone.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.host()),
            None => self.host().to_owned(),
        }
    }
}

/// A line break separates words, too.
const fn blank(character: char) -> char {
    if character.is_ascii_whitespace() { ' ' } else { character }
}
