//! A configured provider: its address and our credential there.

use std::sync::Arc;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use secrecy::{ExposeSecret, SecretString};

/// One upstream API.
#[derive(Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Whether HTTP/2 is spoken without asking, on an address without TLS. With TLS the two sides agree by ALPN.
    pub http2_prior_knowledge: bool,
    scheme: Scheme,
    authority: Authority,
    base_path: String,
    authorization: Option<HeaderValue>,
}

/// Why a provider's settings are unusable. The texts name the field and never the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The address is no URL, or not one for HTTP.
    #[error("base_url: `{0}` is not an http:// or https:// address such as https://api.openai.com/v1")]
    BaseUrl(String),
    /// The credential has characters that no header may have.
    #[error("api_key: the value has characters that an HTTP header cannot carry")]
    ApiKey,
}

impl Provider {
    /// A provider at `base_url` (up to and with `/v1`), called with `api_key` as bearer token when there is one.
    ///
    /// # Errors
    /// When the address or the credential is unusable.
    pub fn new(name: &str, base_url: &str, api_key: Option<&SecretString>) -> Result<Self, ProviderError> {
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
            http2_prior_knowledge: false,
            scheme,
            authority,
            base_path: path.trim_end_matches('/').to_owned(),
            authorization: api_key.map(bearer).transpose()?,
        })
    }

    /// The address of one endpoint, such as `/chat/completions`.
    ///
    /// # Errors
    /// When the path is no path.
    pub fn uri(&self, endpoint: &str) -> Result<Uri, http::Error> {
        let path: PathAndQuery = format!("{}{endpoint}", self.base_path).parse()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
    }

    /// The `authorization` header of every call.
    pub const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The address without its path, for messages.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

fn bearer(api_key: &SecretString) -> Result<HeaderValue, ProviderError> {
    let text = format!("Bearer {}", api_key.expose_secret().trim());
    let mut value = HeaderValue::from_str(&text).map_err(|_| ProviderError::ApiKey)?;
    // Kept out of every debug print and out of HTTP/2's header tables.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_joined() {
        let provider = Provider::new("p", "https://api.example.com/v1/", None).unwrap();
        assert_eq!(provider.uri("/chat/completions").unwrap(), "https://api.example.com/v1/chat/completions");
        assert_eq!(
            Provider::new("p", "http://127.0.0.1:9", None).unwrap().uri("/models").unwrap(),
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
            let error = Provider::new("p", wrong, None).unwrap_err();
            assert!(matches!(error, ProviderError::BaseUrl(_)), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_credential_never_shows() {
        let provider =
            Provider::new("p", "https://x/v1", Some(&SecretString::from("sk-very-secret\n"))).unwrap();
        assert_eq!(provider.authorization().unwrap().to_str().unwrap(), "Bearer sk-very-secret");
        assert!(!format!("{provider:?}").contains("very-secret"));
        let error =
            Provider::new("p", "https://x/v1", Some(&SecretString::from("sk-very\nsecret"))).unwrap_err();
        assert_eq!(error, ProviderError::ApiKey);
    }
}
