//! A configured provider: its address and our credential there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dialect::{Dialect, Endpoint};
use domain::Timestamp;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};

use crate::PartsBody;
use crate::kind::{Credential, Kind};
use crate::signature::{AccessKey, Signer};
use crate::tokens::{TokenFailure, TokenSource, Tokens};
use crate::vertex;

/// One upstream API.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Which API it has.
    pub kind: &'static Kind,
    /// Whether HTTP/2 is spoken without asking, on an address without TLS. With TLS the two sides agree by ALPN.
    pub http2_prior_knowledge: bool,
    scheme: Scheme,
    authority: Authority,
    base_path: String,
    credential: Option<Credentials>,
    /// Whether the credential is known to be published.
    published: AtomicBool,
    /// Whether a model that its list of models does not have is not there, as its kind has it unless somebody knows better.
    pub lists_all_models: bool,
    /// The version of an API that has deployments: the query that goes with every call.
    api_version: Option<String>,
    /// What stands between the address and the publishers of models: a project and a location.
    folder: String,
}

/// Why a provider's settings are unusable. The texts never show the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The address is no URL, or not one for HTTP.
    #[error("`{0}` is not an http:// or https:// address such as https://api.openai.com/v1")]
    BaseUrl(String),
    /// The credential has characters that no header may have.
    #[error("the value has characters that an HTTP header cannot carry")]
    ApiKey,
    /// The kind has no address of its own.
    #[error("a provider of kind `{0}` needs one: its address differs from account to account")]
    NoBaseUrl(&'static str),
    /// The kind knows no versions, or it is no version.
    #[error("`{0}` is no version; only kind = \"azure\" has one, such as 2024-10-21")]
    ApiVersion(String),
    /// It is no region.
    #[error("`{0}` is no region of AWS, such as us-east-1")]
    Region(String),
    /// The kind knows no access keys.
    #[error("only kind = \"bedrock\" is called with an access key of AWS; give this provider an `api_key`")]
    AccessKey,
    /// The access key's id is none.
    #[error("the value is no id of an access key, such as AKIAIOSFODNN7EXAMPLE")]
    AccessKeyId,
    /// The session token has characters that no header may have.
    #[error("the value has characters that an HTTP header cannot carry")]
    SessionToken,
    /// It is no project.
    #[error("`{0}` is no project's id of Google Cloud, such as my-project-123456")]
    Project(String),
    /// The kind is called with no keys.
    #[error("a provider of kind `{0}` is called with a service account, which no key stands in for")]
    NoKeys(&'static str),
    /// It is no location.
    #[error("`{0}` is no location of Google Cloud, such as global, eu or europe-west1")]
    Location(String),
}

impl ProviderError {
    /// The setting that is unusable.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::BaseUrl(_) | Self::NoBaseUrl(_) => "base_url",
            Self::ApiKey | Self::NoKeys(_) => "api_key",
            Self::ApiVersion(_) => "api_version",
            Self::Region(_) => "region",
            Self::AccessKey | Self::AccessKeyId => "access_key_id",
            Self::SessionToken => "session_token",
            Self::Project(_) => "project",
            Self::Location(_) => "location",
        }
    }
}

impl Provider {
    /// A provider of this kind at `base_url` (up to and with `/v1`; without one, the kind's own), called with `api_key`
    /// when there is one.
    ///
    /// # Errors
    /// When the address or the credential is unusable.
    pub fn new(
        name: &str,
        kind: &'static Kind,
        base_url: Option<&str>,
        api_key: Option<&SecretString>,
    ) -> Result<Self, ProviderError> {
        let base_url = base_url.or(kind.base_url).ok_or(ProviderError::NoBaseUrl(kind.name))?;
        let wrong = || ProviderError::BaseUrl(base_url.chars().take(200).collect());
        let uri: Uri = base_url.trim_end_matches('/').parse().map_err(|_| wrong())?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(wrong)?;
        let authority = parts.authority.ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            // A credential in an address ends up in logs.
            return Err(wrong());
        }
        let path = parts.path_and_query.map_or_else(String::new, |path| path.as_str().to_owned());
        if path.contains('?') {
            return Err(wrong());
        }
        Ok(Self {
            name: Arc::from(name),
            kind,
            http2_prior_knowledge: false,
            scheme,
            authority,
            base_path: path.trim_end_matches('/').to_owned(),
            credential: api_key.map(|key| Headers::new(kind, key)).transpose()?.map(Credentials::Told),
            published: AtomicBool::default(),
            lists_all_models: kind.lists_its_models(),
            api_version: None,
            folder: String::new(),
        })
    }

    /// The same, called with this key in place of the credential it has.
    ///
    /// # Errors
    /// When it takes no keys, or this can be none.
    pub fn with_key(&self, api_key: &SecretString) -> Result<Self, ProviderError> {
        if self.kind.credential == Credential::GoogleCloud && self.kind.express_url().is_none() {
            return Err(ProviderError::NoKeys(self.kind.name));
        }
        Ok(Self {
            name: Arc::clone(&self.name),
            kind: self.kind,
            http2_prior_knowledge: self.http2_prior_knowledge,
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            base_path: self.base_path.clone(),
            credential: Some(Credentials::Told(Headers::new(self.kind, api_key)?)),
            published: AtomicBool::default(),
            lists_all_models: self.lists_all_models,
            api_version: self.api_version.clone(),
            folder: self.folder.clone(),
        })
    }

    /// The same for this version of the API, in which models are deployments.
    ///
    /// # Errors
    /// [`ProviderError::ApiVersion`].
    pub fn with_api_version(mut self, version: &str) -> Result<Self, ProviderError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        if !self.kind.has_deployments || version.is_empty() || !version.bytes().all(is_plain) {
            return Err(ProviderError::ApiVersion(version.chars().take(64).collect()));
        }
        self.api_version = Some(version.to_owned());
        Ok(self)
    }

    /// The same with calls that are signed by this access key, for this region.
    ///
    /// # Errors
    /// [`ProviderError`] that names what of it is unusable.
    pub fn with_access_key(mut self, key: &AccessKey, region: &str) -> Result<Self, ProviderError> {
        if !self.kind.signs() {
            return Err(ProviderError::AccessKey);
        }
        if self.kind.base_url_in(region).is_none() {
            return Err(ProviderError::Region(region.chars().take(64).collect()));
        }
        self.credential = Some(Credentials::Signed(Box::new(Signer::new(key, region, "bedrock")?)));
        Ok(self)
    }

    /// The same for this project of Google Cloud, in this location.
    ///
    /// # Errors
    /// [`ProviderError`] that names which of them is none.
    pub fn with_project(mut self, project: &str, location: &str) -> Result<Self, ProviderError> {
        let shown = |text: &str| text.chars().take(64).collect();
        if self.kind.base_url_in(location).is_none() {
            return Err(ProviderError::Location(shown(location)));
        }
        self.folder =
            vertex::folder(project, location).ok_or_else(|| ProviderError::Project(shown(project)))?;
        Ok(self)
    }

    /// The same, called with access tokens from this source.
    #[must_use]
    pub fn with_tokens(mut self, source: TokenSource) -> Self {
        self.credential = Some(Credentials::Ending(Box::new(Tokens::new(&self.name, source))));
        self
    }

    /// Its access tokens, if it is called with such.
    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        match &self.credential {
            Some(Credentials::Ending(tokens)) => Some(tokens),
            Some(Credentials::Told(_) | Credentials::Signed(_)) | None => None,
        }
    }

    /// Who gives its access tokens, if it is called with such.
    pub fn token_source(&self) -> Option<&TokenSource> {
        self.tokens().map(Tokens::source)
    }

    /// Why the last try to get an access token failed; nothing if it did not, or none is needed.
    pub fn token_failure(&self) -> Option<TokenFailure> {
        self.tokens()?.failure()
    }

    /// Notes whether the credential is known to be published, so that anybody may hold it; answers whether that is news.
    pub fn set_published(&self, published: bool) -> bool {
        self.published.swap(published, Ordering::Relaxed) != published
    }

    /// Whether the credential is known to be published: no call may go by it.
    pub fn is_published(&self) -> bool {
        self.published.load(Ordering::Relaxed)
    }

    /// The endpoint to which a call goes that came at this one: the same, or one to whose form it can be converted;
    /// `None` where the provider has none for it.
    pub fn outbound(&self, inbound: Endpoint) -> Option<Endpoint> {
        let ways: &[Endpoint] = match inbound {
            Endpoint::Chat => {
                &[Endpoint::Chat, Endpoint::Messages, Endpoint::GenerateContent, Endpoint::Converse]
            }
            Endpoint::Responses => &[
                Endpoint::Responses,
                Endpoint::Chat,
                Endpoint::Messages,
                Endpoint::GenerateContent,
                Endpoint::Converse,
            ],
            Endpoint::Messages => {
                &[Endpoint::Messages, Endpoint::Chat, Endpoint::GenerateContent, Endpoint::Converse]
            }
            Endpoint::GenerateContent => {
                &[Endpoint::GenerateContent, Endpoint::Chat, Endpoint::Messages, Endpoint::Converse]
            }
            Endpoint::Embeddings => &[Endpoint::Embeddings],
            Endpoint::Moderations => &[Endpoint::Moderations],
            Endpoint::Images => &[Endpoint::Images],
            Endpoint::ImageEdits => &[Endpoint::ImageEdits],
            Endpoint::Speech => &[Endpoint::Speech],
            Endpoint::Transcriptions => &[Endpoint::Transcriptions],
            Endpoint::Translations => &[Endpoint::Translations],
            Endpoint::CountTokens => &[Endpoint::CountTokens],
            Endpoint::CountContent => &[Endpoint::CountContent],
            Endpoint::Converse => &[Endpoint::Converse],
        };
        ways.iter().copied().find(|way| self.has(*way))
    }

    /// Whether the provider has this endpoint. Deployments have no responses: Azure serves those by its newer API alone.
    fn has(&self, endpoint: Endpoint) -> bool {
        let of_deployment = self.api_version.is_some();
        self.kind.endpoints.contains(&endpoint) && !(of_deployment && endpoint == Endpoint::Responses)
    }

    /// The address of a call to this model, whose answer is to be a stream or not.
    ///
    /// # Errors
    /// When the model's name makes no path.
    pub fn address(&self, endpoint: Endpoint, model: &str, stream: bool) -> Result<Uri, http::Error> {
        if let Some(publisher) = self.kind.publisher {
            let path = vertex::path(publisher, endpoint, model, stream);
            return self.uri(&format!("{}{path}", self.folder));
        }
        if endpoint.dialect() == Dialect::Gemini {
            let action = if stream { ":streamGenerateContent?alt=sse" } else { endpoint.path() };
            return self.uri(&format!("/models/{}{action}", in_path(model)));
        }
        match &self.api_version {
            None if endpoint == Endpoint::Converse => {
                let (model, path) = (in_path(model), endpoint.path());
                self.uri(&format!("/model/{model}{path}{}", if stream { "-stream" } else { "" }))
            }
            None if endpoint.dialect() == Dialect::OpenAi => {
                self.uri(&format!("{}{}", self.kind.openai_path, endpoint.path()))
            }
            None => self.uri(endpoint.path()),
            // Azure takes the deployment of a response from its body.
            Some(version) if endpoint == Endpoint::Responses => {
                self.uri(&format!("{}?api-version={version}", endpoint.path()))
            }
            Some(version) => {
                let (model, path) = (in_path(model), endpoint.path());
                self.uri(&format!("/deployments/{model}{path}?api-version={version}"))
            }
        }
    }

    /// The address of a path, such as `/models`.
    ///
    /// # Errors
    /// When the path is no path.
    pub fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let path: PathAndQuery = format!("{}{path}", self.base_path).parse()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }

    /// Adds our credential to a call in this dialect: the header that tells it, or a signature of this moment. An access
    /// token is added by whoever can wait for one.
    pub(crate) fn authorize(&self, dialect: Dialect, request: &mut Request<PartsBody>, at: Timestamp) {
        match &self.credential {
            Some(Credentials::Told(headers)) => {
                let (name, value) = headers.of(dialect);
                request.headers_mut().insert(name.clone(), value.clone());
            }
            Some(Credentials::Signed(signer)) => signer.sign(request, at),
            Some(Credentials::Ending(_)) | None => {}
        }
    }

    /// The address without its path, for messages.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// How our credential goes with a call.
#[derive(Debug)]
enum Credentials {
    Told(Headers),
    Signed(Box<Signer>),
    Ending(Box<Tokens>),
}

/// One credential, as headers tell it.
#[derive(Debug)]
struct Headers {
    usual: (HeaderName, HeaderValue),
    /// What is otherwise in the provider's own dialect.
    own: Option<(HeaderName, HeaderValue)>,
}

impl Headers {
    fn new(kind: &Kind, api_key: &SecretString) -> Result<Self, ProviderError> {
        let key = api_key.expose_secret().trim();
        let bearer = || Ok((header::AUTHORIZATION, secret(&format!("Bearer {key}"))?));
        let plain = |name| Ok((HeaderName::from_static(name), secret(key)?));
        Ok(match kind.credential {
            Credential::Bearer | Credential::Aws => Self { usual: bearer()?, own: None },
            Credential::ApiKey => Self { usual: plain("api-key")?, own: None },
            Credential::Anthropic => Self { usual: bearer()?, own: Some(plain("x-api-key")?) },
            Credential::Google => Self { usual: bearer()?, own: Some(plain("x-goog-api-key")?) },
            Credential::GoogleCloud => Self { usual: plain("x-goog-api-key")?, own: None },
        })
    }

    fn of(&self, dialect: Dialect) -> &(HeaderName, HeaderValue) {
        match dialect {
            Dialect::Anthropic | Dialect::Gemini => self.own.as_ref().unwrap_or(&self.usual),
            Dialect::OpenAi => &self.usual,
        }
    }
}

pub(crate) fn secret(text: &str) -> Result<HeaderValue, ProviderError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ProviderError::ApiKey)?;
    // Kept out of every debug print and out of HTTP/2's header tables.
    value.set_sensitive(true);
    Ok(value)
}

/// A name as one piece of a path.
pub(crate) fn in_path(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte))
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openai(base_url: &str, api_key: Option<&SecretString>) -> Result<Provider, ProviderError> {
        Provider::new("p", Kind::openai(), Some(base_url), api_key)
    }

    /// The one header that tells the credential.
    fn told(provider: &Provider, dialect: Dialect) -> (HeaderName, HeaderValue) {
        let mut request = Request::new(PartsBody::default());
        provider.authorize(dialect, &mut request, Timestamp::from_micros(0));
        assert_eq!(request.headers().len(), 1);
        let (name, value) = request.headers().iter().next().unwrap();
        assert!(value.is_sensitive());
        (name.clone(), value.clone())
    }

    #[test]
    fn bedrock_is_told_a_key_or_signed_to() {
        let kind = Kind::named("bedrock").unwrap();
        let base_url = kind.base_url_in("eu-west-1");
        assert_eq!(base_url.as_deref(), Some("https://bedrock-runtime.eu-west-1.amazonaws.com"));
        assert_eq!(Kind::openai().base_url_in("eu-west-1"), None);
        let key = SecretString::from("bedrock-api-key-x");
        let told_key = Provider::new("p", kind, base_url.as_deref(), Some(&key)).unwrap();
        assert_eq!(told(&told_key, Dialect::OpenAi).1.to_str().unwrap(), "Bearer bedrock-api-key-x");
        let access_key =
            AccessKey { id: "AKIDEXAMPLE".into(), secret: "very-secret".into(), session_token: None };
        let signs = Provider::new("p", kind, base_url.as_deref(), None).unwrap();
        let signs = signs.with_access_key(&access_key, "eu-west-1").unwrap();
        assert!(!format!("{signs:?}").contains("very-secret"), "{signs:?}");
        let mut request = Request::new(PartsBody::default());
        signs.authorize(Dialect::OpenAi, &mut request, Timestamp::from_micros(0));
        assert!(
            request.headers().contains_key("x-amz-date") && request.headers().contains_key("authorization")
        );
        for (model, stream, path) in [
            ("eu.a.b-v1:0", false, "/model/eu.a.b-v1%3A0/converse"),
            ("arn:aws:bedrock:x/y z", true, "/model/arn%3Aaws%3Abedrock%3Ax%2Fy%20z/converse-stream"),
        ] {
            assert_eq!(signs.address(Endpoint::Converse, model, stream).unwrap().path(), path);
        }
        for inbound in [Endpoint::Chat, Endpoint::Responses, Endpoint::Messages] {
            assert_eq!(signs.outbound(inbound), Some(Endpoint::Converse));
        }
        assert_eq!(signs.outbound(Endpoint::Embeddings), None);
        let refused = openai("https://x/v1", None).unwrap().with_access_key(&access_key, "r").unwrap_err();
        assert_eq!(refused, ProviderError::AccessKey);
    }

    #[test]
    fn kinds_know_their_address_and_their_header() {
        let key = SecretString::from("secret");
        for kind in crate::KINDS {
            let built = Provider::new("p", kind, None, Some(&key));
            match kind.base_url {
                Some(base_url) => {
                    let built = built.unwrap();
                    let told = [Dialect::OpenAi, kind.dialect()].map(|dialect| told(&built, dialect).0);
                    let headers = kind.credential_headers();
                    assert_eq!(
                        told.each_ref().map(HeaderName::as_str),
                        [headers[0], headers[headers.len() - 1]],
                        "{}",
                        kind.name
                    );
                    let address = built.address(Endpoint::Chat, "m", true).unwrap().to_string();
                    let folder = if kind.name == "gemini" { "/openai" } else { "" };
                    assert_eq!(address, format!("{base_url}{folder}/chat/completions"), "{}", kind.name);
                }
                None => assert_eq!(built.unwrap_err(), ProviderError::NoBaseUrl(kind.name)),
            }
            assert_eq!(crate::Kind::named(kind.name), Some(kind), "two kinds have one name");
        }
        let azure = Kind::named("azure").unwrap();
        let at = |base_url| Provider::new("p", azure, Some(base_url), Some(&key)).unwrap();
        let (name, value) = told(&at("https://x.openai.azure.com/openai/v1"), Dialect::OpenAi);
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("api-key", "secret"));
        assert_eq!(
            at("https://x.openai.azure.com/openai/v1").address(Endpoint::Chat, "m", false).unwrap(),
            "https://x.openai.azure.com/openai/v1/chat/completions"
        );
        let dated = at("https://x.openai.azure.com/openai").with_api_version("2024-10-21").unwrap();
        assert_eq!(
            dated.address(Endpoint::Embeddings, "my embedder", false).unwrap(),
            "https://x.openai.azure.com/openai/deployments/my%20embedder/embeddings?api-version=2024-10-21"
        );
        assert_eq!(
            dated.address(Endpoint::Responses, "m", false).unwrap(),
            "https://x.openai.azure.com/openai/responses?api-version=2024-10-21"
        );
        assert_eq!(dated.outbound(Endpoint::Responses), Some(Endpoint::Chat));
        let newer = at("https://x.openai.azure.com/openai/v1");
        assert_eq!(newer.outbound(Endpoint::Responses), Some(Endpoint::Responses));
        for wrong in ["", "2024&x=1"] {
            let refused = at("https://x/openai").with_api_version(wrong).unwrap_err();
            assert_eq!(refused, ProviderError::ApiVersion(wrong.to_owned()));
        }
        assert!(openai("https://x/v1", None).unwrap().with_api_version("2024-10-21").is_err());
    }

    #[test]
    fn geminis_address_tells_the_model_and_whether_the_answer_streams() {
        let gemini = Provider::new("p", Kind::named("gemini").unwrap(), None, None).unwrap();
        let base = "https://generativelanguage.googleapis.com/v1beta";
        for (endpoint, stream, path) in [
            (Endpoint::GenerateContent, false, "/models/a%2Fb%3Fc:generateContent"),
            (Endpoint::GenerateContent, true, "/models/a%2Fb%3Fc:streamGenerateContent?alt=sse"),
            (Endpoint::CountContent, false, "/models/a%2Fb%3Fc:countTokens"),
            (Endpoint::Embeddings, false, "/openai/embeddings"),
        ] {
            let address = gemini.address(endpoint, "a/b?c", stream).unwrap().to_string();
            assert_eq!(address, format!("{base}{path}"));
        }
        for (inbound, outbound) in [
            (Endpoint::Chat, Some(Endpoint::GenerateContent)),
            (Endpoint::Responses, Some(Endpoint::GenerateContent)),
            (Endpoint::Messages, Some(Endpoint::GenerateContent)),
            (Endpoint::GenerateContent, Some(Endpoint::GenerateContent)),
            (Endpoint::CountTokens, None),
        ] {
            assert_eq!(gemini.outbound(inbound), outbound, "{inbound:?}");
        }
    }

    #[test]
    fn addresses_are_checked_and_joined() {
        let provider = openai("https://api.example.com/v1/", None).unwrap();
        assert_eq!(provider.uri("/chat/completions").unwrap(), "https://api.example.com/v1/chat/completions");
        assert_eq!(
            openai("http://127.0.0.1:9", None).unwrap().uri("/models").unwrap(),
            "http://127.0.0.1:9/models"
        );
        for wrong in [
            "",
            "api.example.com/v1",
            "ftp://x/v1",
            "https://",
            "https://user:pw@x/v1",
            "https://x/v1?a=b",
            "https://x y",
        ] {
            let error = openai(wrong, None).unwrap_err();
            assert!(matches!(error, ProviderError::BaseUrl(_)), "{wrong}: {error}");
        }
    }

    #[test]
    fn another_key_takes_the_place_of_any_credential() {
        let key = SecretString::from("theirs");
        for kind in crate::KINDS {
            let ours = Provider::new("p", kind, Some("https://x/v1"), Some(&"ours".into())).unwrap();
            let theirs = ours.with_key(&key);
            if kind.name == "vertex-anthropic" {
                assert_eq!(theirs.unwrap_err(), ProviderError::NoKeys("vertex-anthropic"));
                continue;
            }
            let theirs = theirs.unwrap();
            for dialect in [Dialect::OpenAi, kind.dialect()] {
                let (before, after) = (told(&ours, dialect), told(&theirs, dialect));
                assert_eq!(before.0, after.0, "{}", kind.name);
                assert!(after.1.to_str().unwrap().ends_with("theirs"), "{}", kind.name);
            }
            let address = |one: &Provider| one.address(Endpoint::Chat, "m", false).unwrap();
            assert_eq!(address(&ours), address(&theirs), "{}", kind.name);
        }
        let access_key = AccessKey { id: "AKIDEXAMPLE".into(), secret: "s".into(), session_token: None };
        let signs = Provider::new("p", Kind::named("bedrock").unwrap(), Some("https://x"), None).unwrap();
        let signs = signs.with_access_key(&access_key, "eu-west-1").unwrap();
        let theirs = signs.with_key(&key).unwrap();
        assert_eq!(told(&theirs, Dialect::OpenAi).1.to_str().unwrap(), "Bearer theirs");
        let refused = signs.with_key(&SecretString::from("a\nb")).unwrap_err();
        assert_eq!(refused, ProviderError::ApiKey);
    }

    #[test]
    fn the_credential_never_shows() {
        let provider = openai("https://x/v1", Some(&SecretString::from("sk-very-secret\n"))).unwrap();
        assert_eq!(told(&provider, Dialect::OpenAi).1.to_str().unwrap(), "Bearer sk-very-secret");
        assert!(!format!("{provider:?}").contains("very-secret"));
        let error = openai("https://x/v1", Some(&SecretString::from("sk-very\nsecret"))).unwrap_err();
        assert_eq!(error, ProviderError::ApiKey);
    }
}
