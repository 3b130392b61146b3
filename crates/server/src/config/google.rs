//! What providers at Google's Vertex AI are told beside what all are: a project, a location, and who gives access tokens in
//! place of an API key.

use providers::{Kind, METADATA_HOST, Provider, ProviderError, ServiceAccount, TokenSource};

use super::access::Keys;
use super::read::{Mistakes, Section};

/// The settings that only such a provider has.
const OWN: [&str; 4] = ["project", "location", ACCOUNT, CREDENTIAL];
const ACCOUNT: &str = "service_account";
const CREDENTIAL: &str = "credential";
/// Where Google's own libraries read that the metadata server is elsewhere.
const METADATA_VARIABLE: &str = "GCE_METADATA_HOST";

/// What is written of them.
pub(super) struct Google {
    place: Option<(String, String)>,
    tokens: Option<TokenSource>,
}

/// Reads them; nothing where they are not usable. Which of them must be there is told for kinds that have them, and that
/// they are out of place for others.
pub(super) fn read(
    section: &mut Section,
    kind: &Kind,
    keys: &mut Keys<'_>,
    mistakes: &mut Mistakes,
) -> Option<Google> {
    let is_well =
        if kind.publisher.is_some() { check(section, kind, mistakes) } else { none(section, mistakes) };
    let (project, location) = (section.text("project", mistakes), section.text("location", mistakes));
    let account = section.text(ACCOUNT, mistakes).map(|reference| {
        let text = keys.secret(&reference)?;
        ServiceAccount::read(&text).map_err(|error| error.to_string())
    });
    let metadata = section.word(CREDENTIAL, &[("metadata", ())], mistakes);
    if let Some(location) =
        location.as_ref().filter(|location| is_well && kind.base_url_in(location).is_none())
    {
        mistakes.add(&section.field("location"), ProviderError::Location(location.clone()));
        return None;
    }
    let account = match account.transpose() {
        Ok(account) => account.map(|account| TokenSource::ServiceAccount(Box::new(account))),
        Err(error) => {
            mistakes.add(&section.field(ACCOUNT), error);
            return None;
        }
    };
    let host = || keys.environment.get(METADATA_VARIABLE).unwrap_or(METADATA_HOST).to_owned();
    let tokens = account.or_else(|| metadata.map(|()| TokenSource::Metadata(host())));
    is_well.then_some(Google { place: project.zip(location), tokens })
}

/// Looks for what is out of place; whether all is well.
fn none(section: &mut Section, mistakes: &mut Mistakes) -> bool {
    let written: Vec<&str> = OWN.into_iter().filter(|name| section.has(name)).collect();
    for name in &written {
        let what = "is out of place; only a provider of kind = \"vertex\" or \"vertex-anthropic\" has one";
        mistakes.add(&section.field(name), what);
    }
    written.is_empty()
}

/// Looks for what is missing, and for what cannot stand together; whether all is well.
fn check(section: &mut Section, kind: &Kind, mistakes: &mut Mistakes) -> bool {
    let [project, location, account, metadata] = OWN.map(|name| section.has(name));
    let api_key = section.has("api_key");
    let takes_keys = kind.express_url().is_some();
    // A key that needs no project is of no project in particular.
    let express = api_key && takes_keys && !project && !location;
    let missing = if takes_keys {
        "is missing; give the key file of a service account, such as \"file:/run/secrets/vertex.json\", or \
         credential = \"metadata\" on a machine of Google's, or an api_key"
    } else {
        "is missing; give the key file of a service account, such as \"file:/run/secrets/vertex.json\", or \
         credential = \"metadata\" on a machine of Google's"
    };
    // Whether it is a mistake, of which setting, and what to do.
    let table = [
        (
            !project && !express,
            "project",
            "is missing; name the project of Google Cloud that is called and pays",
        ),
        (
            !location && !express,
            "location",
            "is missing; name where the models are, such as \"global\" or \"europe-west1\"",
        ),
        (!account && !metadata && !api_key, ACCOUNT, missing),
        (
            account && metadata,
            CREDENTIAL,
            "stands beside a service account; a call bears one token, so give one",
        ),
        (
            api_key && !takes_keys,
            "api_key",
            "is out of place; these models are called with an access token: give a service_account, or credential = \
             \"metadata\"",
        ),
        (
            api_key && takes_keys && (account || metadata),
            "api_key",
            "stands beside another credential; a call carries one of them, so give one",
        ),
    ];
    for (_, name, what) in table.iter().filter(|(is_wrong, ..)| *is_wrong) {
        mistakes.add(&section.field(name), what);
    }
    !table.iter().any(|(is_wrong, ..)| *is_wrong)
}

impl Google {
    /// The address that the location alone tells; where there is none, the one that needs none.
    pub(super) fn base_url(&self, kind: &Kind) -> Option<String> {
        match &self.place {
            Some((_, location)) => kind.base_url_in(location),
            None => kind.express_url().map(str::to_owned),
        }
    }

    /// The provider in its project, with access tokens where they are to be had.
    pub(super) fn complete(self, provider: Provider) -> Result<Provider, ProviderError> {
        let provider = match &self.place {
            Some((project, location)) => provider.with_project(project, location)?,
            None => provider,
        };
        Ok(match self.tokens {
            Some(tokens) => provider.with_tokens(tokens),
            None => provider,
        })
    }
}
