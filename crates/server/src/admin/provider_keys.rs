//! Keys at providers that organizations bring: tested, sealed, used, forgotten. No answer holds a secret.

use std::pin::Pin;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use directory::{ChangeError, NewProviderKey, ProviderKey, ProviderKeyChanges};
use domain::{ProjectId, ProviderKeyId};
use gateway::{Brought, OF_THE_OPERATOR};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{blocking, optional, parse, shown};
use super::view::{self, json};
use super::{Answered, Call, Hand, Problem, Shared};
use crate::keyring::{Keyring, Untaken};
use crate::vault::NO_MASTER_KEY;

/// The longest secret there is anywhere is an access token of a few kilobytes.
const SECRET_BYTES_MAX: usize = 8 * 1024;
/// Of a shorter text the last four characters would tell too much.
const SECRET_BYTES_MIN: usize = 12;

type Waiting = Pin<Box<dyn Future<Output = Answered> + Send>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    provider: String,
    secret: SecretText,
    label: Option<String>,
    project: Option<String>,
    test: Option<bool>,
}

/// A secret in a body.
struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(SecretString::from(text)))
    }
}

pub(super) fn list(call: &Call) -> Answered {
    let keys = call.tenant.provider_keys();
    let data = keys.iter().map(|key| view_of(&call.admin.keyring, key)).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

pub(super) fn show(call: &Call) -> Answered {
    Ok(json(StatusCode::OK, &view_of(&call.admin.keyring, &*found(call)?)))
}

pub(super) fn bring(call: Call) -> Waiting {
    Box::pin(async move {
        let body: NewKey = parse(&call.body)?;
        let keyring = &call.admin.keyring;
        if !keyring.can_keep() {
            return Err(Problem::conflict(format!("`secret`: {NO_MASTER_KEY}.")));
        }
        let provider = keyring.provider(&body.provider).ok_or_else(|| {
            let named = shown(&body.provider);
            let message =
                format!("`provider`: no route leads to a provider named `{named}`; check the name.");
            Problem::field("provider", message)
        })?;
        let secret = checked(&body.secret.0)?;
        let key = Brought::new(provider, &secret)
            .map_err(|error| Problem::field("secret", format!("`secret`: {error}.")))?;
        let directory = &call.admin.directory;
        let published = directory.directory().check_published(secret.expose_secret());
        published.map_err(|refusal| Problem::refused(&refusal))?;
        // Before the provider is asked: it would say that it takes the key.
        if keyring.is_operators(&secret) {
            let problem = format!("`secret`: {OF_THE_OPERATOR}");
            return Err(ChangeError::Conflict { field: "secret", problem }.into());
        }
        let project = optional::<ProjectId>("project", body.project.as_deref())?;
        let organization = call.tenant.organization.id;
        let fingerprint = directory.directory().fingerprint(&secret);
        // Before the provider is asked, so that nobody tries another's key out here.
        directory.check_one_owner(organization, fingerprint)?;
        let untaken = keyring.ask(&key, &secret).await.err();
        let wants_test = body.test.unwrap_or(true);
        let (tested, test_failure) = match untaken {
            None => (true, None),
            Some(untaken) if wants_test => return Err(refused(&body.provider, &untaken)),
            Some(Untaken::Refused(why) | Untaken::Unasked(why)) => (true, Some(why)),
        };
        let id = ProviderKeyId::fresh(call.admin.ids.as_ref());
        let sealed = keyring.seal(&secret, id, organization).ok_or_else(|| {
            Problem::field("secret", "`secret` cannot be sealed; it is longer than any key is.")
        })?;
        let new = NewProviderKey {
            id,
            organization,
            project,
            label: body.label.unwrap_or_else(|| body.provider.clone()),
            provider: body.provider,
            last_four: last_four(&secret),
            fingerprint,
            sealed,
            tested,
            test_failure,
        };
        // Open before it is known, so that no call finds one that is not.
        keyring.put(id, key);
        let admin = Arc::clone(&call.admin);
        let brought = blocking(move || {
            let (directory, keyring) = (&call.admin.directory, &call.admin.keyring);
            let brought = directory.bring_provider_key(new, &call.admin.mandate(&call.hand));
            let brought = brought.inspect_err(|_| keyring.remove(id))?;
            // The list may have changed while the provider was asked, when nobody knew of this key.
            keyring.drop_published(directory);
            Ok(brought)
        });
        Ok(json(StatusCode::CREATED, &view_of(&admin.keyring, &brought.await?)))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyPatch {
    label: Option<String>,
    disabled: Option<bool>,
}

pub(super) fn update(call: &Call) -> Answered {
    let KeyPatch { label, disabled } = parse(&call.body)?;
    let key = found(call)?;
    let changes = ProviderKeyChanges { label, disabled, ..ProviderKeyChanges::default() };
    let mandate = call.admin.mandate(&call.hand);
    let changed = call.admin.directory.update_provider_key(key.organization, key.id, changes, &mandate)?;
    Ok(json(StatusCode::OK, &view_of(&call.admin.keyring, &changed)))
}

pub(super) fn remove(call: &Call) -> Answered {
    let key = found(call)?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.remove_provider_key(key.organization, key.id, &mandate)?;
    call.admin.keyring.remove(key.id);
    Ok(json(StatusCode::OK, &json!({ "id": key.id, "object": "provider_key", "deleted": true })))
}

pub(super) fn test(call: Call) -> Waiting {
    Box::pin(async move {
        let key = found(&call)?;
        let failure = match call.admin.keyring.open(&key) {
            Ok((brought, secret)) => match call.admin.keyring.ask(&brought, &secret).await {
                Ok(()) => None,
                Err(Untaken::Refused(why) | Untaken::Unasked(why)) => Some(why),
            },
            Err(why) => Some(format!("the key is not used: {why}")),
        };
        let admin = Arc::clone(&call.admin);
        let tested = blocking(move || {
            let changes = ProviderKeyChanges { test: Some(failure), ..ProviderKeyChanges::default() };
            let mandate = call.admin.mandate(&call.hand);
            Ok(call.admin.directory.update_provider_key(key.organization, key.id, changes, &mandate)?)
        });
        Ok(json(StatusCode::OK, &view_of(&admin.keyring, &tested.await?)))
    })
}

pub(super) async fn vault(State(admin): Shared) -> Answered {
    let masters = admin.keyring.masters();
    let tenants = admin.directory.directory().tenants();
    let keys: Vec<Arc<ProviderKey>> = tenants.iter().flat_map(|tenant| tenant.provider_keys()).collect();
    let count = |id| keys.iter().filter(|key| Keyring::sealed_by(key) == Some(id)).count();
    let known: Vec<Value> = masters
        .iter()
        .map(|id| json!({ "id": id.to_string(), "seals": masters.first() == Some(id), "keys": count(*id) }))
        .collect();
    let unopened: Vec<Value> = keys
        .iter()
        .filter_map(|key| {
            let why = admin.keyring.trouble(key)?;
            Some(json!({ "id": key.id, "organization": key.organization, "reason": why }))
        })
        .collect();
    let body =
        json!({ "object": "vault", "master_keys": known, "provider_keys": keys.len(), "unopened": unopened });
    Ok(json(StatusCode::OK, &body))
}

pub(super) async fn rotate(State(admin): Shared, Extension(hand): Extension<Hand>) -> Answered {
    blocking(move || {
        let done = admin.keyring.rotate(&admin.directory, &admin.mandate(&hand));
        let rotation = done.map_err(|why| Problem::conflict(format!("vault.master_keys: {why}.")))??;
        let masters: Vec<String> = admin.keyring.masters().iter().map(ToString::to_string).collect();
        let unopened: Vec<Value> = rotation
            .unopened
            .iter()
            .map(|(id, organization, why)| json!({ "id": id, "organization": organization, "reason": why }))
            .collect();
        let body = json!({
            "object": "vault.rotation",
            "master_keys": masters,
            "resealed": rotation.resealed,
            "unchanged": rotation.unchanged,
            "unopened": unopened,
        });
        Ok(json(StatusCode::OK, &body))
    })
    .await
}

/// The key that the path names.
fn found(call: &Call) -> Result<Arc<ProviderKey>, Problem> {
    let id: ProviderKeyId = call.id("provider_key")?;
    call.tenant.provider_key(id).cloned().ok_or_else(|| call.unknown("provider_key"))
}

/// A key without its secret.
fn view_of(keyring: &Keyring, key: &ProviderKey) -> Value {
    json!({
        "id": key.id,
        "object": "provider_key",
        "organization": key.organization,
        "project": key.project,
        "provider": key.provider,
        "label": key.label,
        "last_four": key.last_four,
        "brought_by": key.brought_by,
        "created_at": key.created_at,
        "disabled_at": key.disabled_at,
        "tested_at": key.tested_at,
        "test_failure": key.test_failure,
        "sealed_by": Keyring::sealed_by(key).map(|id| id.to_string()),
        "trouble": keyring.trouble(key),
    })
}

/// A secret that can be one.
fn checked(secret: &SecretString) -> Result<SecretString, Problem> {
    let text = secret.expose_secret().trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&text.len()) && is_plain {
        return Ok(SecretString::from(text));
    }
    let message = format!(
        "`secret` must be the provider's key itself: {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} printable characters \
         without spaces."
    );
    Err(Problem::field("secret", message))
}

/// What may be shown of a secret.
fn last_four(secret: &SecretString) -> String {
    let text = secret.expose_secret();
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

fn refused(provider: &str, untaken: &Untaken) -> Problem {
    let message = match untaken {
        Untaken::Refused(why) => format!(
            "`secret`: the provider `{provider}` does not take this key. It says {why} Check the key, or bring it all the \
             same with \"test\": false."
        ),
        Untaken::Unasked(why) => format!(
            "`secret`: the provider `{provider}` could not be asked whether it takes this key: {why}. Try again later, or \
             bring it untested with \"test\": false."
        ),
    };
    Problem::field("secret", message)
}
