//! Provider keys: one owner a secret, which is used for a call, and what is written down of a change.

use domain::ProviderKeyId;
use secrecy::SecretString;

use super::house::House;
use crate::{ChangeError, NewProviderKey, ProviderKey, ProviderKeyChanges, Sealed};

fn new(house: &House, n: u8, provider: &str, secret: &str) -> NewProviderKey {
    NewProviderKey {
        id: ProviderKeyId::from_bytes([n; 16]),
        organization: house.organization,
        project: None,
        provider: provider.to_owned(),
        label: format!("key {n}"),
        last_four: "wxyz".to_owned(),
        fingerprint: house.service.directory().fingerprint(&SecretString::from(secret)),
        sealed: Sealed::from_bytes(vec![n]),
        tested: true,
        test_failure: None,
    }
}

fn bring(house: &House, new: NewProviderKey) -> Result<ProviderKey, ChangeError> {
    house.service.bring_provider_key(new, &house.mandate(1))
}

/// Which key a call of the project uses at a provider.
fn used(house: &House, provider: &str) -> Option<u8> {
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    tenant.provider_key_for(house.project, provider).map(|key| key.id.as_bytes()[0])
}

#[test]
fn one_secret_has_one_owner() {
    let house = House::new();
    bring(&house, new(&house, 1, "openai", "sk-a")).unwrap();
    let again = bring(&house, new(&house, 2, "azure", "sk-a")).unwrap_err().to_string();
    assert!(again.contains("here already, as `key 1`"), "{again}");
    let other = crate::NewOrganization { name: "Other".to_owned(), ..crate::NewOrganization::default() };
    let other = house.service.create_organization(other, &house.mandate(1)).unwrap().id;
    let theirs = NewProviderKey { organization: other, ..new(&house, 3, "openai", "sk-a") };
    let refused = bring(&house, theirs.clone()).unwrap_err().to_string();
    assert!(refused.contains("another organization") && !refused.contains("pkey_"), "{refused}");
    // Removed, it may have another owner.
    let id = ProviderKeyId::from_bytes([1; 16]);
    house.service.remove_provider_key(house.organization, id, &house.mandate(2)).unwrap();
    bring(&house, theirs).unwrap();
    // A record of another organization cannot be changed.
    let id = ProviderKeyId::from_bytes([3; 16]);
    let changes = ProviderKeyChanges { disabled: Some(true), ..ProviderKeyChanges::default() };
    let refused = house.service.update_provider_key(house.organization, id, changes, &house.mandate(2));
    assert!(matches!(refused, Err(ChangeError::NotFound { field: "provider_key", .. })), "{refused:?}");
}

#[test]
fn the_projects_key_goes_before_the_organizations_and_the_latest_before_the_others() {
    let house = House::new();
    assert_eq!(used(&house, "openai"), None);
    bring(&house, NewProviderKey { project: Some(house.project), ..new(&house, 1, "openai", "a") }).unwrap();
    bring(&house, new(&house, 2, "openai", "b")).unwrap();
    bring(&house, new(&house, 3, "openai", "c")).unwrap();
    let elsewhere = house.add_project("other");
    bring(&house, NewProviderKey { project: Some(elsewhere), ..new(&house, 4, "openai", "d") }).unwrap();
    let disable = |n: u8, disabled| {
        let changes = ProviderKeyChanges { disabled: Some(disabled), ..ProviderKeyChanges::default() };
        let id = ProviderKeyId::from_bytes([n; 16]);
        house.service.update_provider_key(house.organization, id, changes, &house.mandate(3)).unwrap();
    };
    assert_eq!((used(&house, "openai"), used(&house, "groq")), (Some(1), None));
    disable(1, true);
    assert_eq!(used(&house, "openai"), Some(3));
    disable(3, true);
    assert_eq!(used(&house, "openai"), Some(2));
    disable(1, false);
    assert_eq!(used(&house, "openai"), Some(1));
}

#[test]
fn every_change_is_in_the_log_and_no_secret_is() {
    let house = House::new();
    let failed = NewProviderKey {
        tested: true,
        test_failure: Some("refused".to_owned()),
        ..new(&house, 1, "openai", "sk-a")
    };
    let key = bring(&house, failed).unwrap();
    assert_eq!((key.tested_at, key.test_failure.as_deref()), (Some(super::at(1)), Some("refused")));
    let change = |changes| {
        house.service.update_provider_key(house.organization, key.id, changes, &house.mandate(5)).unwrap()
    };
    let tested = change(ProviderKeyChanges { test: Some(None), ..ProviderKeyChanges::default() });
    assert_eq!((tested.tested_at, tested.test_failure), (Some(super::at(5)), None));
    let sealed = Some(Sealed::from_bytes(vec![9]));
    change(ProviderKeyChanges { sealed, ..ProviderKeyChanges::default() });
    let bad = ProviderKeyChanges { label: Some(String::new()), ..ProviderKeyChanges::default() };
    let bad = house.service.update_provider_key(house.organization, key.id, bad, &house.mandate(5));
    assert!(matches!(bad, Err(ChangeError::Invalid { field: "label", .. })), "{bad:?}");
    house.service.remove_provider_key(house.organization, key.id, &house.mandate(6)).unwrap();
    let log: Vec<_> =
        house.store.audit().into_iter().filter(|entry| entry.action.starts_with("provider_key")).collect();
    let actions: Vec<&str> = log.iter().map(|entry| entry.action).collect();
    assert_eq!(
        actions,
        ["provider_key.created", "provider_key.updated", "provider_key.resealed", "provider_key.deleted"]
    );
    let told = format!("{log:?}");
    assert!(
        !told.contains("sk-a") && !told.contains("fingerprint") && !told.contains("sealed\\\""),
        "{told}"
    );
}
