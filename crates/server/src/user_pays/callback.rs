//! Where an app's user goes back to, read so strictly that nobody can be sent anywhere else than the page says.
//!
//! It knows how browsers read addresses (<https://url.spec.whatwg.org/#host-parsing>) and refuses whatever two readers
//! could read in two ways. It must never be asked where to send anybody before it was read whole.

use std::net::Ipv4Addr;

/// The user's own machine by IPv6, as browsers write it. RFC 8252, 7.3 has apps listen there as at 127.0.0.1.
const LOOPBACK_6: &str = "[::1]";
/// The longest address that is taken, in bytes.
const BYTES_MAX: usize = 2_048;
/// The longest host, in bytes: what calls are attributed to has at most 128, and a port has six.
const HOST_BYTES_MAX: usize = 120;

/// An address that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Callback {
    /// As it was given.
    pub(super) url: String,
    /// Its scheme, host and port, as browsers write an origin.
    pub(super) origin: String,
    /// The origin by which the app is known: without the port on the user's own machine, where it is another one each
    /// time.
    pub(super) app: String,
}

impl Callback {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it and how to mend it, as the end of a sentence that begins with its name.
    pub(crate) fn read(url: &str) -> Result<Self, &'static str> {
        if url.is_empty() {
            return Err("is missing; it is the address that the app wants its user back at");
        }
        if url.len() > BYTES_MAX {
            return Err("is longer than 2048 bytes; keep what is long in the app and name it in `state`");
        }
        // A backslash is a slash to browsers and none to others; the rest is never written unescaped in an address.
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&byte);
        if !url.bytes().all(is_plain) {
            return Err("holds a character that must be percent-encoded, or a backslash");
        }
        if url.contains('#') {
            return Err("has a fragment (`#…`), which never reaches a server; leave it out");
        }
        let (is_secure, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) | None => {
                return Err("must begin with https://, or with http:// on the user's own machine");
            }
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("holds a user name or password; leave it out");
        }
        let (host, port) = host_and_port(authority)?;
        let is_local = host == "localhost"
            || host == LOOPBACK_6
            || host.parse().is_ok_and(|host: Ipv4Addr| host.is_loopback());
        if !is_secure && !is_local {
            return Err("must begin with https://: over http:// others could read the code on its way");
        }
        let scheme = if is_secure { "https" } else { "http" };
        let usual = if is_secure { 443 } else { 80 };
        let origin = match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        let app = if is_local { format!("{scheme}://{host}") } else { origin.clone() };
        Ok(Self { url: url.to_owned(), origin, app })
    }

    /// Reads an origin of the operator's list: an address without a path.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read_origin(text: &str) -> Result<String, &'static str> {
        let callback = Self::read(text)?;
        let is_bare = text.to_ascii_lowercase() == callback.origin;
        if is_bare {
            Ok(callback.origin)
        } else {
            Err("must be an origin such as https://app.example, and no more")
        }
    }

    /// The origin by which the app is known.
    pub(crate) fn app(&self) -> &str {
        &self.app
    }

    /// By what a page's policy for browsers lets a form lead there: the origin, or the scheme alone where policies cannot
    /// name the host: of addresses they know 127.0.0.1 and no other
    /// (<https://www.w3.org/TR/CSP3/#match-hosts>).
    pub(super) fn source(&self) -> &str {
        let (scheme, host) = self.origin.split_once("//").unwrap_or((&self.origin, ""));
        let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or_default() };
        let is_unknown = host.starts_with('[') || host != "127.0.0.1" && host.parse::<Ipv4Addr>().is_ok();
        if is_unknown { scheme } else { &self.origin }
    }

    /// Whether an operator's list lets it be: an empty one lets everybody. On the user's own machine an origin without a
    /// port stands for every port.
    pub(crate) fn is_listed(&self, origins: &[String]) -> bool {
        origins.is_empty() || origins.iter().any(|origin| *origin == self.origin || *origin == self.app)
    }

    /// The address with these members added to its query.
    pub(super) fn with(&self, members: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(members);
        let sign = match self.url.split_once('?') {
            None => "?",
            Some((_, before)) if before.is_empty() || before.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{sign}{}", self.url, query.finish())
    }
}

/// The host in small letters, and the port.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix(LOOPBACK_6) {
        Some(rest) if rest.is_empty() || rest.starts_with(':') => (LOOPBACK_6, rest.strip_prefix(':')),
        None if !authority.starts_with('[') => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
        Some(_) | None => {
            return Err(
                "has an IPv6 address for its host; only [::1], the user's own machine, is taken as one",
            );
        }
    };
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        None => None,
        Some(port) => Some(port).filter(|port| is_number(port)).and_then(|port| port.parse().ok()).map_or(
            Err("has a port that is no number from 1 to 65535"),
            |port: u16| {
                if port == 0 { Err("has the port 0, which nobody listens at") } else { Ok(Some(port)) }
            },
        )?,
    };
    let host = host.to_ascii_lowercase();
    if host == LOOPBACK_6 || is_host(&host) {
        Ok((host, port))
    } else {
        Err("has a host that is neither a name nor an address")
    }
}

/// Whether a host is a name, or an IPv4 address as everybody writes it. Browsers read `0x7f.1` as 127.0.0.1, which is
/// not what anybody sees in it.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > HOST_BYTES_MAX || !host.split('.').all(is_label) {
        return false;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
    !is_number || host.parse::<Ipv4Addr>().is_ok()
}
