//! The page on which a person sees what they agreed to, and ends it: for whoever has a key and nothing else.
//!
//! There are no sessions, so each step asks for the key; it is in no page.

use std::net::IpAddr;
use std::sync::Arc;

use directory::{ChangeError, Consent, ConsentState};
use domain::ConsentId;

use super::agreement::{NotAgreed, Person, Wrong};
use super::answer::Shown;
use super::form::{Fields, too_many};
use super::page;
use crate::admin::Admin;

/// `GET /auth/consents`.
pub(super) fn show() -> Shown {
    listed(200, None, &[], None)
}

/// `POST /auth/consents`: shows the consents of whoever typed their key, and ends the one that was chosen.
pub(super) fn decide(admin: &Admin, body: &[u8], address: Option<IpAddr>) -> Shown {
    let fields = Fields::read(body);
    let person = match Person::of_key(admin, fields.text("key"), address) {
        Ok(person) => person,
        Err(NotAgreed::Wrong(wrong)) => return listed(400, None, &[wrong], None),
        Err(NotAgreed::TooMany(many)) => {
            return listed(429, None, &[Wrong::new("key", too_many(many))], None);
        }
        Err(NotAgreed::Full | NotAgreed::Failed(_)) => return failed(),
    };
    let mut done = None;
    if let Some(chosen) = fields.some("revoke") {
        let own = |id: &ConsentId| consents(admin, &person).iter().any(|(consent, _)| consent.id == *id);
        let Some(id) = chosen.parse().ok().filter(own) else {
            let wrong = Wrong::new("revoke", "There is no such consent of yours.");
            return listed(400, Some(&consents(admin, &person)), &[wrong], None);
        };
        let organization = person.principal.organization().id;
        match admin.directory.revoke_consent(organization, id, &person.mandate(admin)) {
            Ok(consent) => done = Some(consent.app.title()),
            // Two clicks mean the same as one.
            Err(ChangeError::NotFound { .. }) => {}
            Err(error) => {
                tracing::error!(%error, "a consent could not be revoked");
                return failed();
            }
        }
    }
    listed(200, Some(&consents(admin, &person)), &[], done.as_deref())
}

/// A person's consents and how they stand, the newest first.
fn consents(admin: &Admin, person: &Person) -> Vec<(Arc<Consent>, ConsentState)> {
    let now = admin.clock.now();
    // As they are now, and not as they were when the key was looked at.
    let tenant = admin.directory.directory().tenant(person.principal.organization().id);
    let Some(tenant) = tenant else { return Vec::new() };
    let own = tenant.consents().into_iter().rev().filter(|consent| consent.user == person.user.id);
    own.map(|consent| (Arc::clone(&consent), tenant.state_of(&consent, now))).collect()
}

fn listed(
    status: u16,
    consents: Option<&[(Arc<Consent>, ConsentState)]>,
    wrongs: &[Wrong],
    done: Option<&str>,
) -> Shown {
    Shown::Page { status, html: page::consents(consents, wrongs, done), leads_to: None }
}

fn failed() -> Shown {
    Shown::problem(500, "The gateway could not do this; its log says why.")
}
