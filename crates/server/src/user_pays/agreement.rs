//! Who agrees to what: a person shows a key of their own and says the terms, and gets the app a code.
//!
//! A key is a credential and no more, so what is agreed to with it must not reach further than the key itself does.

use std::net::IpAddr;
use std::sync::Arc;

use directory::{
    Actor, ActorKind, App, ChangeError, Consent, KeyOwner, LimitReset, LimitSubject, Mandate, ModelAccess,
    NewConsent, Principal, User, Visit,
};
use domain::{Money, Timestamp};
use ledger::Subject;

use super::challenge::Challenge;
use super::codes::Waiting;
use super::{TooMany, Trying, after};
use crate::admin::Admin;
use crate::admin::effective::budgets_of;

/// A person who has shown a key of their own.
#[derive(Debug)]
pub(crate) struct Person {
    pub(super) principal: Principal,
    pub(super) user: Arc<User>,
    address: Option<IpAddr>,
}

/// What a person agrees to.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) limit: Money,
    pub(crate) reset: LimitReset,
    pub(crate) expires_at: Timestamp,
    pub(crate) models: Option<ModelAccess>,
}

/// A field that cannot be taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: &'static str,
    /// What is wrong and how to mend it: whole sentences.
    pub(crate) text: String,
}

/// Why nothing was agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAgreed {
    Wrong(Wrong),
    TooMany(TooMany),
    /// Too many codes wait: an affair of the gateway's.
    Full,
    /// A failure of ours, for the log.
    Failed(String),
}

impl Wrong {
    pub(super) fn new(field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into() }
    }
}

impl From<Wrong> for NotAgreed {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl From<ChangeError> for NotAgreed {
    fn from(error: ChangeError) -> Self {
        let text = format!("{error}.");
        match error {
            ChangeError::Invalid { field, .. }
            | ChangeError::NotFound { field, .. }
            | ChangeError::Archived { field, .. }
            | ChangeError::Conflict { field, .. } => Self::Wrong(Wrong::new(field, text)),
            ChangeError::Store(_) | ChangeError::Inconsistent(_) => Self::Failed(text),
        }
    }
}

impl Person {
    /// Whoever typed this key. One that is no person's counts as an attempt.
    pub(super) fn of_key(admin: &Admin, key: &str, address: Option<IpAddr>) -> Result<Self, NotAgreed> {
        let (pays, clock, who) = (&admin.user_pays, &*admin.clock, Trying::Address(address));
        pays.may_try(who, clock).map_err(NotAgreed::TooMany)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(Wrong::new("key", "Your key is missing.").into());
        }
        let directory = admin.directory.directory();
        // Which endpoints a key may call does not matter here; whether it has bounds is asked below.
        let scopes = directory.holder(key).and_then(|holder| holder.key.bounds.endpoints.clone());
        let endpoint = scopes.and_then(|scopes| scopes.first().copied()).unwrap_or_default();
        let found = directory
            .authenticate(key, &Visit { address, endpoint, now: clock.now() })
            .map_err(|refusal| refusal.message)
            .and_then(|principal| Self::of(principal, address));
        found.map_err(|text| match pays.count(who, clock) {
            Ok(()) => Wrong::new("key", text).into(),
            Err(many) => NotAgreed::TooMany(many),
        })
    }

    /// Whoever calls with a key that is known to be good.
    ///
    /// # Errors
    /// Why this one is no person's, in a sentence.
    pub(crate) fn of(principal: Principal, address: Option<IpAddr>) -> Result<Self, String> {
        if principal.key.consent.is_some() {
            return Err(
                "This key is an app's. Use a key of your own: an app cannot agree to anything in your name."
                    .to_owned(),
            );
        }
        let KeyOwner::User(user) = principal.key.owner else {
            return Err(
                "This key is a service account's, and only a person can agree. Use a key of your own."
                    .to_owned(),
            );
        };
        let user = principal.tenant.user(user).cloned();
        let user =
            user.ok_or_else(|| "The person whose key this is has left the organization.".to_owned())?;
        Ok(Self { principal, user, address })
    }

    /// The project's and organization's names, for the person alone.
    pub(super) fn place(&self) -> (String, String) {
        (self.principal.project.name.clone(), self.principal.organization().name.clone())
    }

    /// In whose name a change is made.
    pub(super) fn mandate<'a>(&self, admin: &'a Admin) -> Mandate<'a> {
        let by = ActorKind::Person {
            key: self.principal.key.id,
            user: self.user.id,
            email: self.user.email.clone(),
        };
        let actor = Actor { by, address: self.address };
        Mandate { actor, ids: admin.ids.as_ref(), now: admin.clock.now() }
    }

    /// Whether one may agree with this key. With one that reaches less far than its person does, whoever has it could
    /// make one without its bounds.
    fn check_key(&self, admin: &Admin) -> Result<(), NotAgreed> {
        let key = &self.principal.key;
        let bounds = &key.bounds;
        let bound = if bounds.endpoints.is_some() {
            Some("some endpoints")
        } else if bounds.models.is_some() {
            Some("some models")
        } else if !bounds.networks.is_empty() {
            Some("some networks")
        } else {
            let own = key.id.to_string();
            let budgets = budgets_of(&admin.reader, &self.principal, None, admin.clock.now());
            let budgets = budgets.map_err(|error| NotAgreed::Failed(error.to_string()))?;
            let is_own = |subject: &Subject| matches!(subject, Subject::Key(Some(which)) if **which == *own);
            let has_rate = self
                .principal
                .tenant
                .limits()
                .iter()
                .any(|limit| matches!(limit.subject, LimitSubject::Key(Some(which)) if which == key.id));
            match budgets.iter().any(|(budget, _)| is_own(&budget.subject)) {
                true => Some("a budget of its own"),
                false => has_rate.then_some("a rate of its own"),
            }
        };
        let Some(bound) = bound else { return Ok(()) };
        let text = format!(
            "This key is limited to {bound}, and an app's key would not be. Use a key of yours that is not limited."
        );
        Err(Wrong::new("key", text).into())
    }

    /// Every field of the terms that cannot be taken.
    pub(super) fn wrongs(&self, admin: &Admin, terms: &Terms) -> Vec<Wrong> {
        let settings = &admin.user_pays.settings;
        let (mut wrongs, now) = (Vec::new(), admin.clock.now());
        if terms.limit <= Money::ZERO {
            wrongs.push(Wrong::new("limit", "The limit must be above zero."));
        } else if terms.limit > settings.limit_max {
            wrongs.push(Wrong::new("limit", format!("The limit must be at most {}.", settings.limit_max)));
        }
        let until = self.principal.key.expires_at.unwrap_or(Timestamp::MAX);
        if terms.expires_at <= now {
            wrongs.push(Wrong::new("expires_at", "The end must be in the future."));
        } else if terms.expires_at > after(now, settings.expires_days_max) {
            let text = format!("The end must be at most {} days away.", settings.expires_days_max);
            wrongs.push(Wrong::new("expires_at", text));
        } else if terms.expires_at > until {
            let text = format!("The key that you agree with ends before that, at {until}.");
            wrongs.push(Wrong::new("expires_at", text));
        }
        wrongs
    }

    /// Agrees, and answers the code by which the app fetches its key.
    pub(crate) fn agree(
        &self,
        admin: &Admin,
        app: App,
        terms: Terms,
        challenge: Option<Challenge>,
    ) -> Result<(String, Consent), NotAgreed> {
        if let Some(wrong) = self.wrongs(admin, &terms).into_iter().next() {
            return Err(wrong.into());
        }
        self.check_key(admin)?;
        let pays = &admin.user_pays;
        pays.count(Trying::Person(self.user.id.as_bytes()), &*admin.clock).map_err(NotAgreed::TooMany)?;
        let mandate = self.mandate(admin);
        if !pays.codes.has_room(mandate.now) {
            return Err(NotAgreed::Full);
        }
        let until = mandate.now.plus_seconds(pays.settings.code_seconds);
        let new = NewConsent {
            project: self.principal.project.id,
            user: self.user.id,
            app,
            limit: terms.limit,
            reset: terms.reset,
            models: terms.models,
            fetch_until: until,
            expires_at: terms.expires_at,
        };
        let consent = admin.directory.give_consent(new, &mandate)?;
        let waiting = Waiting {
            organization: consent.organization,
            consent: consent.id,
            origin: consent.app.origin.clone(),
            challenge,
            until,
        };
        Ok((pays.codes.issue(waiting, admin.ids.as_ref()), consent))
    }
}
