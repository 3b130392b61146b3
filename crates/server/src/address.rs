//! From which address a request came, when proxies stand in between.
//!
//! Only proxies that the operator named are believed: `X-Forwarded-For` from anybody else is a text that its sender made
//! up, and no header ever says who a stranger is.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address. `None` when a trusted proxy tells nothing that can be read: such a client is in no network.
pub(crate) fn client(peer: Option<IpAddr>, trusted: &[IpNet], headers: &HeaderMap) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    // Each proxy adds whom it heard from at the end, so the last address that is no proxy of ours is the client. What
    // stands before it the client may have sent itself.
    let mut hop = peer;
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        for text in value.to_str().ok()?.rsplit(',') {
            hop = hop_of(text.trim())?;
            if !is_trusted(&hop) {
                return Some(hop);
            }
        }
    }
    Some(hop)
}

/// An address, with or without a port, as proxies write it.
fn hop_of(text: &str) -> Option<IpAddr> {
    let address =
        text.parse::<IpAddr>().or_else(|_| text.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].iter().map(|net| net.parse().unwrap()).collect();
        for (peer, forwarded, client_is) in [
            ("203.0.113.9", &[][..], Some("203.0.113.9")),
            // A stranger's word counts for nothing.
            ("203.0.113.9", &["127.0.0.1"], Some("203.0.113.9")),
            ("::ffff:203.0.113.9", &["10.0.0.1"], Some("203.0.113.9")),
            ("10.0.0.2", &[], Some("10.0.0.2")),
            ("10.0.0.2", &["198.51.100.7"], Some("198.51.100.7")),
            ("::ffff:10.0.0.2", &["198.51.100.7"], Some("198.51.100.7")),
            // What the client itself sent stands in front.
            ("10.0.0.2", &["127.0.0.1, 198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.2", &["127.0.0.1", "198.51.100.7, 10.9.9.9"], Some("198.51.100.7")),
            ("10.0.0.2", &["198.51.100.7:4711"], Some("198.51.100.7")),
            ("10.0.0.2", &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            ("10.0.0.2", &["::ffff:198.51.100.7"], Some("198.51.100.7")),
            ("fd00::1", &["2001:db8::1,fd00::2"], Some("2001:db8::1")),
            ("10.0.0.2", &["10.0.0.3"], Some("10.0.0.3")),
            // Garbage from a trusted proxy is nobody, not the proxy.
            ("10.0.0.2", &["unknown"], None),
            ("10.0.0.2", &["198.51.100.7, "], None),
            ("10.0.0.2", &["garbage, 198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.2", &["198.51.100.07"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(FORWARDED_FOR, value.parse().unwrap());
            }
            let found = client(Some(peer.parse().unwrap()), &trusted, &headers);
            assert_eq!(found, client_is.map(|text| text.parse().unwrap()), "{peer} {forwarded:?}");
        }
        assert_eq!(client(None, &trusted, &HeaderMap::new()), None);
    }
}
