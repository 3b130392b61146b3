//! What providers of Amazon's are told beside what all are: a region, and an access key of AWS in place of an API key.

use providers::{AccessKey, Kind, Provider, ProviderError};

use super::access::Keys;
use super::read::{Mistakes, Section};

/// The settings that only such a provider has.
const OWN: [&str; 4] = ["region", ID, SECRET, TOKEN];
const ID: &str = "access_key_id";
const SECRET: &str = "secret_access_key";
const TOKEN: &str = "session_token";

/// What is written of them.
pub(super) struct Amazon {
    region: Option<String>,
    key: Option<AccessKey>,
}

/// Reads them; nothing where they are not usable. Which of them must be there is told for kinds that have them, and that
/// they are out of place for others.
pub(super) fn read(
    section: &mut Section,
    kind: &Kind,
    keys: &mut Keys<'_>,
    mistakes: &mut Mistakes,
) -> Option<Amazon> {
    let is_well = if kind.signs() { check(section, mistakes) } else { none(section, mistakes) };
    let region = section.text("region", mistakes);
    let mut secret = |name| {
        let reference = section.text(name, mistakes)?;
        let field = section.field(name);
        keys.secret(&reference).map_err(|error| mistakes.add(&field, error)).ok()
    };
    let (id, signing, session_token) = (secret(ID), secret(SECRET), secret(TOKEN));
    if let Some(region) = region.as_ref().filter(|region| is_well && kind.base_url_in(region).is_none()) {
        mistakes.add(&section.field("region"), ProviderError::Region(region.clone()));
        return None;
    }
    let key = id.zip(signing).map(|(id, secret)| AccessKey { id, secret, session_token });
    is_well.then_some(Amazon { region, key })
}

/// Looks for what is out of place; whether all is well.
fn none(section: &mut Section, mistakes: &mut Mistakes) -> bool {
    let written: Vec<&str> = OWN.into_iter().filter(|name| section.has(name)).collect();
    for name in &written {
        mistakes.add(&section.field(name), "is out of place; only a provider of kind = \"bedrock\" has one");
    }
    written.is_empty()
}

/// Looks for what is missing, and for what cannot stand together; whether all is well.
fn check(section: &mut Section, mistakes: &mut Mistakes) -> bool {
    const PAIR: &str = "is missing; an access key of AWS has an id and a secret";
    let [region, id, secret, token] = OWN.map(|name| section.has(name));
    let (base_url, api_key) = (section.has("base_url"), section.has("api_key"));
    let access_key = id || secret || token;
    // Whether it is a mistake, of which setting, and what to do.
    let table = [
        (
            !region && (!base_url || access_key),
            "region",
            "is missing; name the region of AWS where the models are, such as \"us-east-1\"",
        ),
        (access_key && !id, ID, PAIR),
        (access_key && !secret, SECRET, PAIR),
        (
            !access_key && !api_key,
            "api_key",
            "is missing; give a key of Amazon Bedrock, such as \"env:AWS_BEARER_TOKEN_BEDROCK\", or access_key_id and \
             secret_access_key",
        ),
        (
            access_key && api_key,
            "api_key",
            "stands beside an access key; a call carries one of them, so give one",
        ),
    ];
    for (_, name, what) in table.iter().filter(|(is_wrong, ..)| *is_wrong) {
        mistakes.add(&section.field(name), what);
    }
    !table.iter().any(|(is_wrong, ..)| *is_wrong)
}

impl Amazon {
    /// The address that the region alone tells.
    pub(super) fn base_url(&self, kind: &Kind) -> Option<String> {
        kind.base_url_in(self.region.as_deref()?)
    }

    /// The provider with calls that are signed, where there is a key for that.
    pub(super) fn sign(self, provider: Provider) -> Result<Provider, ProviderError> {
        match (&self.region, &self.key) {
            (Some(region), Some(key)) => provider.with_access_key(key, region),
            _ => Ok(provider),
        }
    }
}
