//! Whose the keys are that an installation keeps (access class 2.10): the operator's must not be known to be published, and
//! those that organizations brought must be theirs alone.
//!
//! It opens what is sealed to compare it, as a start does. No finding has anything of a secret.

use std::path::Path;
use std::sync::Arc;

use directory::PublishedKeys;
use gateway::OF_THE_OPERATOR;
use secrecy::ExposeSecret;
use store::{Reader, StoreError};

use super::Finding;
use crate::clock::SystemIds;
use crate::config::{Config, Environment};
use crate::published::PublishedFile;
use crate::secrets::{ANOTHER_OPERATOR_KEY, OPERATOR_FILE, OPERATOR_PUBLISHED, read_private};
use crate::vault::Vault;

/// Looks at both. A provider's own key is looked at when the configuration is read.
pub(super) fn check(data: &Path, config: &Config, environment: &Environment, findings: &mut Vec<Finding>) {
    let none = PublishedKeys::default();
    let published = config.published.as_ref().map_or(&none, PublishedFile::keys);
    // An unreadable file stops the start, which says so.
    let operators = read_private(&data.join(OPERATOR_FILE)).unwrap_or_default();
    if operators.is_some_and(|key| published.has(&key)) {
        findings.push(Finding::found("operator's key", OPERATOR_PUBLISHED, ANOTHER_OPERATOR_KEY));
    }
    // An unreadable store has been reported already.
    findings.extend(check_kept(data, config, published, environment).unwrap_or_default());
}

/// The keys that organizations brought. Nothing is said where there is none.
fn check_kept(
    data: &Path,
    config: &Config,
    published: &PublishedKeys,
    environment: &Environment,
) -> Result<Vec<Finding>, StoreError> {
    let keys = Reader::of_folder(data)?.provider_keys()?;
    // What is wrong with the master keys is a mistake of the configuration.
    let vault = Vault::open(config.vault.clone(), environment.clone(), Arc::new(SystemIds));
    let (Ok(vault), false) = (vault, keys.is_empty()) else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    for key in &keys {
        let why = match vault.unseal(&key.sealed, key.id, key.organization) {
            Err(why) => why.to_string(),
            Ok(secret) if published.has(secret.expose_secret()) => {
                "it is known to be published (access.published_keys), so anybody may hold it".to_owned()
            }
            Ok(secret) if config.operator_keys.has(secret.expose_secret()) => OF_THE_OPERATOR.to_owned(),
            Ok(_) => continue,
        };
        findings.push(Finding::found(
            format!("provider key {}", key.id),
            format!("`{}` of {} is not used: {why}", key.label, key.organization),
            format!(
                "have its owner make another one at the provider and bring it, then `tollkeeper byok remove {} --org {}`; one \
                 that is only sealed by another master key is used again once vault.master_keys has that one",
                key.id, key.organization
            ),
        ));
    }
    if findings.is_empty() {
        let count = keys.len();
        findings.push(Finding::ok("provider keys", format!("{count} brought by organizations, all usable")));
    }
    Ok(findings)
}
