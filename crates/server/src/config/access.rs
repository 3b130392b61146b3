//! Whose keys are taken: `[access]`, and the secrets of the providers (access class 2.10).
//!
//! A key that is known to be published is a mistake, and so is one that two owners are said to have: at least one of them
//! does not know whose it is. Secrets are compared and told apart by their hashes, and no message has one.

use std::path::Path;
use std::sync::Arc;

use directory::{PublishedKeys, published_line};
use gateway::{OperatorKeys, Route};
use providers::Provider;
use secrecy::{ExposeSecret, SecretString};

use super::read::{Mistakes, Section};
use super::{Environment, KnownProvider};
use crate::published::PublishedFile;

/// Reads `[access]`.
pub(super) fn read(mut section: Section, mistakes: &mut Mistakes) -> Option<PublishedFile> {
    let field = section.field("published_keys");
    let reference = section.text("published_keys", mistakes);
    section.finish(mistakes);
    let reference = reference?;
    let Some(path) = reference.strip_prefix("file:") else {
        mistakes.add(&field, "must be a reference to a file such as \"file:/etc/tollkeeper/published-keys\"");
        return None;
    };
    let found = PublishedFile::read(Path::new(path));
    found.map_err(|found| found.iter().for_each(|what| mistakes.add(&field, what))).ok()
}

/// Where the secrets of providers are had, and what may not be among them.
pub(super) struct Keys<'a> {
    pub(super) environment: &'a Environment,
    published: PublishedKeys,
    /// The hashes of those that were had since they were last asked for.
    had: Vec<String>,
    /// What is known of those whose provider is.
    operator: OperatorKeys,
}

impl<'a> Keys<'a> {
    pub(super) fn new(environment: &'a Environment, file: Option<&PublishedFile>) -> Self {
        let published = file.map(|file| file.keys().clone()).unwrap_or_default();
        Self { environment, published, had: Vec::new(), operator: OperatorKeys::default() }
    }

    /// The secret of this reference.
    ///
    /// # Errors
    /// A sentence that names the reference and never a value.
    pub(super) fn secret(&mut self, reference: &str) -> Result<SecretString, String> {
        let secret = self.environment.secret(reference)?;
        if self.published.has(secret.expose_secret()) {
            return Err(format!(
                "the key of {reference} is known to be published (access.published_keys), which is access class 2.10: \
                 anybody may hold it. Revoke it at the provider, and give the one that replaces it"
            ));
        }
        self.had.push(published_line(secret.expose_secret()));
        Ok(secret)
    }

    /// The hashes of the secrets that were had since the last time.
    pub(super) fn take_hashes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.had)
    }

    /// This provider is called with the secrets of these hashes.
    pub(super) fn note(&mut self, provider: &Arc<Provider>, hashes: impl IntoIterator<Item = String>) {
        self.operator.add(provider, hashes);
    }

    /// The secrets of all providers, as they are known later.
    pub(super) fn into_operator(self) -> OperatorKeys {
        self.operator
    }
}

/// Somebody who is said to own a secret, and where.
struct Claim<'a> {
    hash: &'a str,
    owner: &'a str,
    provider: &'a str,
    place: String,
}

/// Refuses one secret under two owners, whether two providers have it or a provider's target has a contract of its own.
pub(super) fn check_owners(providers: &[KnownProvider], routes: &[Route], mistakes: &mut Mistakes) {
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for (number, known) in providers.iter().enumerate() {
        let name = &*known.provider.name;
        let of_provider = known.contract.as_ref().map(|contract| (contract, format!("providers[{number}]")));
        let targets = routes.iter().enumerate().flat_map(|(at, route)| {
            let numbered = route.targets.iter().enumerate();
            numbered.map(move |(place, target)| (target, format!("routes[{at}].targets[{place}]")))
        });
        // A target without a contract of its own has its provider's.
        let inherits = |contract| known.contract.as_ref().is_some_and(|own| Arc::ptr_eq(own, contract));
        let own = targets.filter(|(target, _)| *target.provider.name == *name && !inherits(&target.contract));
        let stated = of_provider.into_iter().chain(own.map(|(target, place)| (&target.contract, place)));
        for (contract, place) in stated {
            for hash in &known.secrets {
                let claim = Claim { hash, owner: &contract.owner, provider: name, place: place.clone() };
                let other = claims.iter().find(|other| other.hash == claim.hash);
                if let Some(other) = other.filter(|other| other.owner != claim.owner) {
                    mistakes.add(&format!("{}.contract.owner", claim.place), two_owners(other, &claim));
                }
                claims.push(claim);
            }
        }
    }
}

fn two_owners(one: &Claim<'_>, other: &Claim<'_>) -> String {
    format!(
        "provider `{}` has the same secret as provider `{}` ({}), and their contracts name two owners, `{}` and `{}`: a key \
         has one. Find out whose it is and name that owner in both, or give each provider its own owner's key (access class \
         2.10)",
        other.provider, one.provider, one.place, other.owner, one.owner
    )
}
