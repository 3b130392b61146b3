//! What a project or a key is limited to: models, endpoints, networks.

use std::net::IpAddr;

use domain::name_fits;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::{AccessMode, Scope};

/// The bits before the IPv4 address in an IPv6 address that stands for one (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A list of models, by name or as `prefix*`, and what being on it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelAccess {
    /// What being on the list means.
    pub mode: AccessMode,
    /// Names as callers ask for them; `gpt-5*` stands for all that begin so.
    pub models: Vec<String>,
}

impl ModelAccess {
    /// Whether a model may be called.
    pub fn allows(&self, model: &str) -> bool {
        let listed = self.models.iter().any(|pattern| name_fits(pattern, model));
        match self.mode {
            AccessMode::Allow => listed,
            AccessMode::Deny => !listed,
        }
    }
}

/// What a key may do less than its project. Nothing set is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Endpoints that may be called; `None` for all.
    pub endpoints: Option<Vec<Scope>>,
    /// Models that may be called; `None` for all that the project may.
    pub models: Option<ModelAccess>,
    /// Networks that may be called from; empty for all.
    pub networks: Vec<IpNet>,
}

impl Bounds {
    /// Whether an endpoint may be called.
    pub fn allow_endpoint(&self, endpoint: Scope) -> bool {
        self.endpoints.as_ref().is_none_or(|scopes| scopes.contains(&endpoint))
    }

    /// Whether calls may come from an address. One that is not known is in no network.
    pub fn allow_address(&self, address: Option<IpAddr>) -> bool {
        if self.networks.is_empty() {
            return true;
        }
        // An IPv4 client of a dual-stack socket shows as ::ffff:a.b.c.d and means a.b.c.d.
        let Some(address) = address.map(|address| address.to_canonical()) else { return false };
        self.networks.iter().any(|network| plain(*network).contains(&address))
    }
}

/// The network that is meant: `::ffff:10.0.0.0/104` is 10.0.0.0/8 as an IPv6 socket shows it.
fn plain(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let inside = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(MAPPED_BITS));
    inside.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok()).map_or(network, IpNet::V4)
}
