//! Provider keys that are not the gateway's: those that an organization brought (2.7), and those that come with one
//! request, of the caller (2.7) or of its end user (2.8).
//!
//! A target at a provider for which there is such a key is offered a second time, with that key in the place of ours and a
//! contract that says whose it is. It knows whose keys a call may use, and never mixes them with ours unless the project
//! allows it; it must never know how keys are kept, and shows none.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use dialect::BadRequest;
use directory::{Byok, Directory, Principal, ProviderKey};
use domain::{AccessClass, ProviderKeyId, Refusal, RefusalCode};
use http::HeaderMap;
use providers::{Provider, ProviderError};
use secrecy::SecretString;

use crate::failure::Failure;
use crate::operator_keys::{OF_THE_OPERATOR, OperatorKeys};
use crate::routes::{Known, Route, Routes, Target};

/// The caller's own keys at providers: `PROVIDER=SECRET`.
pub(crate) const CALLERS: &str = "x-tollkeeper-provider-key";
/// The same of the end user that the caller calls for.
pub(crate) const END_USERS: &str = "x-tollkeeper-end-user-key";

/// A provider as it is called with somebody's own key, and how its targets are for that key: what one account is refused
/// says nothing about another.
pub struct Brought {
    provider: Arc<Provider>,
    health: Known,
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Brought({})", self.provider.name)
    }
}

impl Brought {
    /// This provider with this key in the place of ours. Every secret that comes from outside, to be kept or for one
    /// request, comes through here before it is used.
    ///
    /// # Errors
    /// When the provider takes no such keys, or it can be none.
    pub fn new(provider: &Provider, secret: &SecretString) -> Result<Self, ProviderError> {
        Ok(Self { provider: Arc::new(provider.with_key(secret)?), health: Known::default() })
    }

    /// The provider, to be called with the key.
    pub const fn provider(&self) -> &Arc<Provider> {
        &self.provider
    }
}

/// The keys that organizations brought, opened, by their ids. Whether one is used is the directory's word; what is not in
/// here cannot be.
#[derive(Debug, Default)]
pub struct BroughtKeys(ArcSwap<HashMap<ProviderKeyId, Arc<Brought>>>);

impl BroughtKeys {
    /// A key has been opened.
    pub fn put(&self, id: ProviderKeyId, key: Brought) {
        let key = Arc::new(key);
        self.0.rcu(|keys| {
            let mut next = HashMap::clone(keys);
            next.insert(id, Arc::clone(&key));
            next
        });
    }

    /// A key has gone.
    pub fn remove(&self, id: ProviderKeyId) {
        self.0.rcu(|keys| {
            let mut next = HashMap::clone(keys);
            next.remove(&id);
            next
        });
    }

    /// Whether a key is open.
    pub fn has(&self, id: ProviderKeyId) -> bool {
        self.0.load().contains_key(&id)
    }

    fn get(&self, id: ProviderKeyId) -> Option<Arc<Brought>> {
        self.0.load().get(&id).cloned()
    }
}

/// Whose key a target is called with, where it is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who pays: [`AccessClass::Byok`] or [`AccessClass::UserPays`].
    pub class: AccessClass,
    /// The key, if it is one that is kept.
    pub key: Option<ProviderKeyId>,
    /// What its owner calls it.
    pub label: Arc<str>,
}

impl Access {
    /// The key in words, for whoever brought it.
    pub(crate) fn named(&self) -> String {
        if self.class == AccessClass::UserPays {
            return format!("the end user's own key, sent in {END_USERS}");
        }
        match self.key {
            None => format!("your own key, sent in {CALLERS}"),
            Some(_) => format!("your own key `{}`", self.label),
        }
    }
}

/// A key that came with one request. It is forgotten with it.
#[derive(Debug)]
pub(crate) struct Sent {
    key: Arc<Brought>,
    access: Arc<Access>,
}

/// The keys that came with a request.
///
/// # Errors
/// What is wrong with a header, by its name, also that a key is the operator's, or that one is known to be published; a
/// secret is never repeated.
pub(crate) fn sent(
    headers: &HeaderMap,
    routes: &Routes,
    operator: &OperatorKeys,
    directory: &Directory,
) -> Result<Vec<Sent>, Failure> {
    let mut sent: Vec<Sent> = Vec::new();
    for (name, class) in [(CALLERS, AccessClass::Byok), (END_USERS, AccessClass::UserPays)] {
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| BadRequest::header(name, "it holds what is no text"))?;
            for part in text.split(',') {
                let one = read_one(name, class, part.trim(), (routes, operator, directory))?;
                if sent.iter().any(|other| other.key.provider.name == one.key.provider.name) {
                    let provider = &one.key.provider.name;
                    let why = format!("two keys came for the provider `{provider}`; send one");
                    return Err(BadRequest::header(name, &why).into());
                }
                sent.push(one);
            }
        }
    }
    Ok(sent)
}

fn read_one(
    name: &'static str,
    class: AccessClass,
    part: &str,
    (routes, operator, directory): (&Routes, &OperatorKeys, &Directory),
) -> Result<Sent, Failure> {
    let wrong = |why: &str| BadRequest::header(name, why);
    let Some((provider, secret)) = part.split_once('=').filter(|(_, secret)| !secret.trim().is_empty())
    else {
        let how = "write PROVIDER=SECRET, such as openai=sk-…, and several with commas between them";
        return Err(wrong(how).into());
    };
    let provider = provider.trim();
    // A key that anybody may hold is nobody's (2.10).
    directory.check_published(secret.trim())?;
    if operator.has(secret) {
        return Err(wrong(OF_THE_OPERATOR).into());
    }
    let known = routes.provider(provider).ok_or_else(|| {
        let shown: String = provider.chars().filter(char::is_ascii_graphic).take(64).collect();
        wrong(&format!("no route leads to a provider named `{shown}`; the operator knows their names"))
    })?;
    let key = Brought::new(known, &SecretString::from(secret.trim()))
        .map_err(|error| wrong(&format!("provider `{}`: {error}", known.name)))?;
    let access = Access { class, key: None, label: Arc::from("sent with the request") };
    Ok(Sent { key: Arc::new(key), access: Arc::new(access) })
}

/// Which keys a call may use that are not ours, and whether ours, too.
pub(crate) struct OwnKeys<'a> {
    principal: &'a Principal,
    opened: &'a BroughtKeys,
    sent: &'a [Sent],
    /// Whether the call may go by our keys, too.
    ours: bool,
}

/// A key for a provider.
enum Found<'a> {
    Open(Arc<Brought>, Arc<Access>),
    /// It is kept, and cannot be used: no master key opens it, or it is not its owner's alone.
    Sealed(&'a ProviderKey),
}

impl<'a> OwnKeys<'a> {
    /// The keys for a call of these models; `None` where only ours are used, which is decided by two looks.
    pub(crate) fn of(
        principal: &'a Principal,
        opened: &'a BroughtKeys,
        sent: &'a [Sent],
        asked: &[Arc<Route>],
    ) -> Option<Self> {
        let (byok, fallback) = (principal.project.byok, principal.project.byok_fallback);
        if byok == Byok::Off && sent.is_empty() {
            return None;
        }
        let mut keys = Self { principal, opened, sent, ours: false };
        let has_own = || asked.iter().flat_map(|route| &route.targets).any(|one| keys.find(one).is_some());
        // Ours are used where the project allows it, and where there is none of its own to use first.
        keys.ours = byok != Byok::Only && (fallback || sent.is_empty() && !has_own());
        Some(keys)
    }

    /// The key for a target. What came with the request is used in place of what is kept.
    fn find(&self, target: &Target) -> Option<Found<'a>> {
        let provider = &*target.provider.name;
        if !self.sent.is_empty() {
            let sent = self.sent.iter().find(|sent| *sent.key.provider.name == *provider)?;
            return Some(Found::Open(Arc::clone(&sent.key), Arc::clone(&sent.access)));
        }
        let Principal { project, tenant, key } = self.principal;
        // An app calls within the limit that its user set, which nothing counts against that their provider bills.
        if key.consent.is_some() {
            return None;
        }
        let record = tenant.provider_key_for(project.id, provider)?;
        let Some(key) = self.opened.get(record.id) else { return Some(Found::Sealed(record)) };
        let label = Arc::from(&*record.label);
        let access = Access { class: AccessClass::Byok, key: Some(record.id), label };
        Some(Found::Open(key, Arc::new(access)))
    }

    /// The target with the key in the place of ours.
    fn target(&self, target: &Target) -> Option<Target> {
        let Found::Open(key, access) = self.find(target)? else { return None };
        let of_end_user = access.class == AccessClass::UserPays;
        let owner =
            if of_end_user { "the end user".to_owned() } else { self.principal.organization().name.clone() };
        let health = key.health.of(&target.label, &target.health, Arc::default);
        let contract = Arc::new(target.contract.of_brought_key(access.class, owner));
        Some(target.called_with(Arc::clone(&key.provider), health, contract, access))
    }

    /// Refuses a call of a model for which there is no such key, and that may not go by ours.
    pub(crate) fn missing(&self, route: &Route) -> Refusal {
        let mut providers: Vec<&str> = route.targets.iter().map(|target| &*target.provider.name).collect();
        providers.dedup();
        let (served, project) = (providers.join("`, `"), &self.principal.project);
        let sealed = route.targets.iter().find_map(|target| match self.find(target) {
            Some(Found::Sealed(record)) => Some(record),
            Some(Found::Open(..)) | None => None,
        });
        let (why, next_step) = match sealed {
            _ if !self.sent.is_empty() => (
                format!("no provider key that came with this request is for one of these: `{served}`"),
                format!(
                    "Send the key as `{CALLERS}: {}=SECRET`, or call without the header to use what the project has.",
                    providers.first().unwrap_or(&"PROVIDER")
                ),
            ),
            Some(record) => (
                format!("its own key `{}` at `{}` cannot be used", record.label, record.provider),
                format!(
                    "`tollkeeper byok list --org {}` says why: bring another one, or have the operator put the master key \
                     that sealed it back into vault.master_keys.",
                    project.organization
                ),
            ),
            None => (
                format!("it has none at `{served}`, where this model is served"),
                format!(
                    "Bring one: `tollkeeper byok add --org {} --provider {}`; or have an owner set `tollkeeper project \
                     update {} --byok first`.",
                    project.organization,
                    providers.first().unwrap_or(&"NAME"),
                    project.id
                ),
            ),
        };
        let message = format!(
            "The model `{}` is called with own provider keys alone in project `{}`, and {why}.",
            route.model, project.name
        );
        Refusal::new(RefusalCode::ProviderKeyMissing, message, next_step)
    }
}

/// The targets of a route that a call may have: those with keys that are not ours first, then ours.
pub(crate) fn offered<'a>(
    route: &'a Route,
    keys: Option<&'a OwnKeys<'_>>,
) -> impl Iterator<Item = Cow<'a, Target>> {
    let own = keys.into_iter().flat_map(|keys| route.targets.iter().filter_map(|one| keys.target(one)));
    let ours = route.targets.iter().filter(move |_| keys.is_none_or(|keys| keys.ours));
    own.map(Cow::Owned).chain(ours.map(Cow::Borrowed))
}
