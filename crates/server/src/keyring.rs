//! The provider keys that organizations bring, between the vault that seals them, the directory that keeps them and the
//! gateway that calls with them.
//!
//! It knows which keys are open, asks providers whether they take one, and seals all anew when the master keys change. Who
//! may do so it must never know, nor HTTP of ours.

use std::sync::Arc;
use std::time::Duration;

use dialect::UpstreamError;
use directory::{ChangeError, DirectoryService, Mandate, ProviderKey, ProviderKeyChanges, Sealed};
use domain::{OrganizationId, ProviderKeyId};
use gateway::{Brought, OF_THE_OPERATOR, Shared};
use http_body_util::{BodyExt, Limited};
use providers::{Client, Provider};
use secrecy::{ExposeSecret, SecretString};

use crate::doctor::probe;
use crate::vault::{MasterId, Vault};

/// What makes a client for the thread that asks.
pub(crate) type Clients = Arc<dyn Fn() -> Client + Send + Sync>;

/// How long a provider may take to begin its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(20);
/// No provider says more about a key.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// What is kept of what it says.
const SAID_CHARS_MAX: usize = 300;

/// Why a provider was not found to take a key.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// It said so.
    Refused(String),
    /// It could not be asked.
    Unasked(String),
}

/// What became of the keys when they were sealed anew.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// Keys that are sealed by another master key than before.
    pub(crate) resealed: usize,
    /// Keys that were sealed by the first already.
    pub(crate) unchanged: usize,
    /// Keys that no master key opens, and why.
    pub(crate) unopened: Vec<(ProviderKeyId, OrganizationId, String)>,
}

/// The keys that organizations bring.
pub(crate) struct Keyring {
    vault: Vault,
    gateway: Arc<Shared>,
    clients: Clients,
}

impl Keyring {
    /// The keys of this gateway, sealed by this vault.
    pub(crate) const fn new(vault: Vault, gateway: Arc<Shared>, clients: Clients) -> Self {
        Self { vault, gateway, clients }
    }

    /// The same with every key open that can be opened.
    pub(crate) fn opened(
        vault: Vault,
        gateway: &Arc<Shared>,
        clients: &Clients,
        directory: &DirectoryService,
    ) -> Self {
        let keyring = Self::new(vault, Arc::clone(gateway), Arc::clone(clients));
        keyring.open_all(directory);
        keyring
    }

    /// Whether keys can be kept.
    pub(crate) fn can_keep(&self) -> bool {
        self.vault.is_there()
    }

    /// The ids of the master keys, the one that seals first.
    pub(crate) fn masters(&self) -> Vec<MasterId> {
        self.vault.masters()
    }

    /// The provider of this name, if a route leads there.
    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.gateway.routes.provider(name)
    }

    /// Whether the gateway itself calls with this secret, at the operator's expense.
    pub(crate) fn is_operators(&self, secret: &SecretString) -> bool {
        self.gateway.operator_keys.has(secret.expose_secret())
    }

    /// Seals a secret for this record; `None` without a master key.
    pub(crate) fn seal(
        &self,
        secret: &SecretString,
        id: ProviderKeyId,
        organization: OrganizationId,
    ) -> Option<Sealed> {
        self.vault.seal(secret, id, organization)
    }

    /// A key may be called with from now on.
    pub(crate) fn put(&self, id: ProviderKeyId, key: Brought) {
        self.gateway.brought.put(id, key);
    }

    /// A key is called with no more.
    pub(crate) fn remove(&self, id: ProviderKeyId) {
        self.gateway.brought.remove(id);
    }

    /// A kept key, opened.
    ///
    /// # Errors
    /// Why it cannot be called with, in words.
    pub(crate) fn open(&self, key: &ProviderKey) -> Result<(Brought, SecretString), String> {
        let unsealed = self.vault.unseal(&key.sealed, key.id, key.organization);
        let secret = unsealed.map_err(|error| error.to_string())?;
        let published = self.gateway.directory.check_published(secret.expose_secret());
        published.map_err(|refusal| refusal.message)?;
        if self.is_operators(&secret) {
            return Err(OF_THE_OPERATOR.to_owned());
        }
        let provider = self
            .provider(&key.provider)
            .ok_or_else(|| format!("no route leads to a provider named `{}` any more", key.provider))?;
        let brought = Brought::new(provider, &secret).map_err(|error| error.to_string())?;
        Ok((brought, secret))
    }

    /// Why a key is not called with though it is kept; `None` where all is well.
    pub(crate) fn trouble(&self, key: &ProviderKey) -> Option<String> {
        if self.gateway.brought.has(key.id) { None } else { self.open(key).err() }
    }

    /// The master key that has sealed a key.
    pub(crate) fn sealed_by(key: &ProviderKey) -> Option<MasterId> {
        Vault::sealed_by(&key.sealed)
    }

    /// Opens all keys that are not open yet. Those that cannot be are told of in the log, and are not used.
    pub(crate) fn open_all(&self, directory: &DirectoryService) {
        for key in keys(directory).filter(|key| !self.gateway.brought.has(key.id)) {
            match self.open(&key) {
                Ok((brought, _)) => self.put(key.id, brought),
                Err(why) => tracing::warn!(
                    key = %key.id, organization = %key.organization, why,
                    "a provider key that an organization brought is not used"
                ),
            }
        }
    }

    /// Calls no more with keys that are known to be published by now.
    pub(crate) fn drop_published(&self, directory: &DirectoryService) {
        for key in keys(directory).filter(|key| self.gateway.brought.has(key.id)) {
            if let Err(why) = self.open(&key) {
                tracing::warn!(key = %key.id, organization = %key.organization, why, "a provider key is not used any more");
                self.remove(key.id);
            }
        }
    }

    /// Reads the master keys again, and seals by the first of them what another one has sealed. Calls go on meanwhile.
    ///
    /// # Errors
    /// When the master keys cannot be read; then nothing has changed.
    pub(crate) fn rotate(
        &self,
        directory: &DirectoryService,
        mandate: &Mandate<'_>,
    ) -> Result<Result<Rotation, ChangeError>, String> {
        self.vault.read_again()?;
        let mut rotation = Rotation::default();
        for key in keys(directory) {
            match self.vault.reseal(&key.sealed, key.id, key.organization) {
                Ok(None) => rotation.unchanged += 1,
                Ok(Some(sealed)) => {
                    let changes = ProviderKeyChanges { sealed: Some(sealed), ..Default::default() };
                    match directory.update_provider_key(key.organization, key.id, changes, mandate) {
                        Ok(_) => rotation.resealed += 1,
                        // Somebody has removed it meanwhile.
                        Err(ChangeError::NotFound { .. }) => {}
                        Err(error) => return Ok(Err(error)),
                    }
                }
                Err(why) => rotation.unopened.push((key.id, key.organization, why.to_string())),
            }
        }
        self.open_all(directory);
        Ok(Ok(rotation))
    }

    /// Asks the provider by the smallest call whether it takes a key: nothing that it charges for.
    pub(crate) async fn ask(&self, key: &Brought, secret: &SecretString) -> Result<(), Untaken> {
        let provider = key.provider();
        let target = self
            .gateway
            .routes
            .all()
            .flat_map(|route| &route.targets)
            .find(|target| target.provider.name == provider.name && !target.model.contains('*'));
        let unasked = |why: String| Untaken::Unasked(format!("{why} at {}", provider.origin()));
        let request = probe(provider, target).map_err(|error| unasked(error.to_string()))?;
        let asks_a_question = request.method() == http::Method::POST;
        let now = self.gateway.clock.now();
        let sent =
            (self.clients)().send(provider, provider.kind.dialect(), request, now, Some(ANSWER_WAIT)).await;
        let answer = sent.map_err(|failure| unasked(failure.to_string()))?;
        let status = answer.status().as_u16();
        // What came of it by then says what can be said; the status has told already.
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
        let body = tokio::time::timeout(ANSWER_WAIT, body).await.ok().and_then(Result::ok);
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let said = || said(status, &body, secret);
        match status {
            401..=403 => Err(Untaken::Refused(said())),
            // Google calls a key that it does not know a bad request. A question without a message is one, too.
            400 if !asks_a_question => Err(Untaken::Refused(said())),
            500.. => Err(unasked(said())),
            _ => Ok(()),
        }
    }
}

/// Every provider key there is.
fn keys(directory: &DirectoryService) -> impl Iterator<Item = Arc<ProviderKey>> {
    directory.directory().tenants().into_iter().flat_map(|tenant| tenant.provider_keys())
}

/// What a provider said, with nothing of the secret in it.
fn said(status: u16, body: &[u8], secret: &SecretString) -> String {
    let message = UpstreamError::read(status, body).message;
    let hidden = message.replace(secret.expose_secret(), "…");
    let shown = hidden.chars().filter(|character| !character.is_control()).take(SAID_CHARS_MAX);
    format!("{status}: {}", shown.collect::<String>())
}
