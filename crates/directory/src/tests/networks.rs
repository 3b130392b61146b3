//! Bounds of keys: networks and lists of models, at their edges.

use ipnet::IpNet;

use super::world::address;
use crate::{AccessMode, Bounds, ModelAccess, Scope};

fn networks(texts: &[&str]) -> Bounds {
    let networks: Vec<IpNet> = texts.iter().map(|text| text.parse().unwrap()).collect();
    Bounds { networks, ..Bounds::default() }
}

#[test]
fn networks_hold_what_they_say() {
    for (network, inside, outside) in [
        ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255", "::ffff:192.0.2.1"][..], &["::1", "2001:db8::1"][..]),
        ("::/0", &["::1", "ffff::1"], &["192.0.2.1", "::ffff:192.0.2.1"]),
        ("10.0.0.0/8", &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["9.255.255.255", "11.0.0.0"]),
        ("192.0.2.7/32", &["192.0.2.7", "::ffff:192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
        ("192.0.2.6/31", &["192.0.2.6", "192.0.2.7"], &["192.0.2.5", "192.0.2.8"]),
        ("2001:db8::7/128", &["2001:db8::7"], &["2001:db8::6", "2001:db8::8"]),
        ("2001:db8::/32", &["2001:db8:ffff::1"], &["2001:db9::", "10.0.0.1"]),
        // Written as an IPv6 socket shows it, an IPv4 network is the same network.
        ("::ffff:10.0.0.0/104", &["10.1.2.3", "::ffff:10.1.2.3"], &["11.0.0.0", "::ffff:11.0.0.0", "::1"]),
        ("::ffff:192.0.2.7/128", &["192.0.2.7"], &["192.0.2.8"]),
        ("::ffff:0.0.0.0/96", &["0.0.0.0", "203.0.113.9"], &["::1"]),
        // Half of the addresses around the mapped ones is no IPv4 network.
        ("::ffff:0:0/95", &["::fffe:0:1"], &["192.0.2.1"]),
        // What looks like an IPv4 address at the end of another prefix is none.
        ("64:ff9b::10.0.0.0/104", &["64:ff9b::10.0.0.1"], &["10.0.0.1"]),
    ] {
        let bounds = networks(&[network]);
        for text in inside {
            assert!(bounds.allow_address(address(text)), "{text} in {network}");
        }
        for text in outside {
            assert!(!bounds.allow_address(address(text)), "{text} not in {network}");
        }
    }
}

#[test]
fn one_of_several_networks_is_enough_and_nobody_is_in_none() {
    let bounds = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    for (text, allowed) in
        [("10.1.1.1", true), ("2001:db8::1", true), ("192.0.2.1", false), ("2001:db9::1", false)]
    {
        assert_eq!(bounds.allow_address(address(text)), allowed, "{text}");
    }
    assert!(!bounds.allow_address(None));
    assert!(!networks(&["0.0.0.0/0", "::/0"]).allow_address(None), "an unknown address is in no network");
    assert!(networks(&[]).allow_address(None));
    assert!(networks(&[]).allow_address(address("192.0.2.1")));
}

#[test]
fn lists_of_models_mean_what_their_mode_says() {
    for (models, model, listed) in [
        (&[][..], "gpt-5", false),
        (&["*"], "gpt-5", true),
        (&["*"], "", true),
        (&["gpt-5*"], "gpt-5", true),
        (&["gpt-5*"], "gpt-5.4-mini", true),
        (&["gpt-5*"], "gpt-4", false),
        (&["gpt-5"], "gpt-5.4", false),
        (&["gpt-5"], "GPT-5", false),
        (&["a", "b"], "b", true),
        (&["openai/*"], "openai/gpt-5:free", true),
    ] {
        for (mode, allowed) in [(AccessMode::Allow, listed), (AccessMode::Deny, !listed)] {
            let access = ModelAccess { mode, models: models.iter().map(|&name| name.to_owned()).collect() };
            assert_eq!(access.allows(model), allowed, "{mode} {models:?} {model}");
        }
    }
}

#[test]
fn endpoints_are_all_or_the_listed_ones() {
    for (endpoints, allowed) in [
        (None, Scope::ALL),
        (Some(vec![]), &[]),
        (Some(vec![Scope::Models]), &[Scope::Models]),
        (Some(vec![Scope::Models, Scope::Embeddings, Scope::Models]), &[Scope::Embeddings, Scope::Models]),
    ] {
        let bounds = Bounds { endpoints: endpoints.clone(), ..Bounds::default() };
        for scope in Scope::ALL {
            assert_eq!(bounds.allow_endpoint(*scope), allowed.contains(scope), "{endpoints:?} {scope}");
        }
    }
}
