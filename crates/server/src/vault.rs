//! The vault: provider keys that organizations bring are sealed here and opened here, and nowhere else.
//!
//! Each secret is sealed by a data key of its own, and the data key by a master key that the operator keeps outside of the
//! database (`envelope.rs`). The first master key seals, all of them open: so another one can be put first, everything
//! sealed anew by it while calls go on, and the old one taken out. A master key that was named by a file is read again
//! whenever that is asked for, so nothing is started anew for it.
//!
//! It knows bytes and references; it must never know HTTP or who may bring a key, and it never writes a secret anywhere.

mod envelope;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use directory::Sealed;
use domain::{Ids, OrganizationId, ProviderKeyId};
use secrecy::{ExposeSecret, SecretString};

use crate::config::Environment;
pub(crate) use envelope::{MasterId, Unopened};
use envelope::{MasterKey, Place, master_of, open, reseal, seal};

/// What to do where there is no master key.
pub(crate) const NO_MASTER_KEY: &str = "this gateway keeps no provider keys: the operator sets vault.master_keys, such as \
                                        [\"file:/run/secrets/tollkeeper-master\"], to 32 random bytes (`openssl rand -hex \
                                        32`)";

/// Where the master keys are, as references; the first seals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MasterKeys(pub(crate) Vec<String>);

impl MasterKeys {
    /// The keys that the references lead to: one a line each.
    fn read(&self, environment: &Environment) -> Result<Vec<MasterKey>, String> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for reference in &self.0 {
            let text = environment.secret(reference)?;
            for line in text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty()) {
                let key = MasterKey::read(line).ok_or_else(|| {
                    format!("{reference} holds what is no master key: it takes 32 bytes in hexadecimal or base64, one key a line")
                })?;
                if !keys.iter().any(|known| known.id() == key.id()) {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// What is wrong with them.
    pub(crate) fn check(&self, environment: &Environment) -> Result<(), String> {
        self.read(environment).map(drop)
    }
}

/// Seals and opens.
pub(crate) struct Vault {
    references: MasterKeys,
    environment: Environment,
    keys: ArcSwap<Vec<MasterKey>>,
    ids: Arc<dyn Ids>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} master keys)", self.keys.load().len())
    }
}

impl Vault {
    /// The vault of these master keys.
    ///
    /// # Errors
    /// A sentence that names the reference that is unusable, and never a value.
    pub(crate) fn open(
        references: MasterKeys,
        environment: Environment,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, String> {
        let keys = references.read(&environment)?;
        Ok(Self { references, environment, keys: ArcSwap::from_pointee(keys), ids })
    }

    /// Whether there is a master key to seal by.
    pub(crate) fn is_there(&self) -> bool {
        !self.keys.load().is_empty()
    }

    /// Reads the master keys again where the references lead now. If that fails, those of before stay.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub(crate) fn read_again(&self) -> Result<(), String> {
        self.keys.store(Arc::new(self.references.read(&self.environment)?));
        Ok(())
    }

    /// The ids of the master keys, the one that seals first.
    pub(crate) fn masters(&self) -> Vec<MasterId> {
        self.keys.load().iter().map(MasterKey::id).collect()
    }

    /// Seals a secret for this record of this organization; `None` without a master key.
    pub(crate) fn seal(
        &self,
        secret: &SecretString,
        id: ProviderKeyId,
        organization: OrganizationId,
    ) -> Option<Sealed> {
        let keys = self.keys.load();
        let sealed = seal(keys.first()?, secret, &Place { id, organization }, self.ids.as_ref())?;
        Some(Sealed::from_bytes(sealed))
    }

    /// Opens what was sealed for this record.
    pub(crate) fn unseal(
        &self,
        sealed: &Sealed,
        id: ProviderKeyId,
        organization: OrganizationId,
    ) -> Result<SecretString, Unopened> {
        open(&self.keys.load(), sealed.as_bytes(), &Place { id, organization })
    }

    /// The same secret with its data key sealed by the first master key; `Ok(None)` where it is already.
    pub(crate) fn reseal(
        &self,
        sealed: &Sealed,
        id: ProviderKeyId,
        organization: OrganizationId,
    ) -> Result<Option<Sealed>, Unopened> {
        let keys = self.keys.load();
        let place = Place { id, organization };
        let again = reseal(&keys, sealed.as_bytes(), &place, self.ids.as_ref())?;
        Ok(again.map(Sealed::from_bytes))
    }

    /// The master key that something was sealed by, as far as it says so.
    pub(crate) fn sealed_by(sealed: &Sealed) -> Option<MasterId> {
        master_of(sealed.as_bytes())
    }
}

#[cfg(test)]
mod tests;
