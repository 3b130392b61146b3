//! The gateway's own keys at providers: those with which it calls at the operator's expense, known by their hashes.
//!
//! A secret has one owner (access class 2.10). So none of these is taken from a caller, to be kept or with one request; and
//! one that becomes known to be published is nobody's any more, and no call goes by it. It knows hashes and providers; it
//! must never know a key, nor where the list of published keys comes from.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use directory::{PublishedKeys, published_line};
use domain::{Refusal, RefusalCode};
use providers::Provider;

use crate::routes::Target;

/// What is said of a key of these that somebody brings, after its name. Which provider's it is, is not told: whoever has
/// it by right knows.
pub const OF_THE_OPERATOR: &str = "this is a key that this gateway's operator calls with, and a key of two owners is \
                                   nobody's (access class 2.10): bring one of your own account at the provider, or leave \
                                   it out to call by the operator's";

/// The gateway's own keys, and at which providers each is called with.
#[derive(Default)]
pub struct OperatorKeys {
    /// By the lines of lists of published keys, which are SHA-256: what is found in here is compared as a hash.
    by_line: HashMap<String, Vec<Arc<Provider>>>,
}

impl fmt::Debug for OperatorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKeys({})", self.by_line.len())
    }
}

impl OperatorKeys {
    /// This provider is called with the secrets of these lines, as [`published_line`] writes them.
    pub fn add(&mut self, provider: &Arc<Provider>, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.by_line.entry(line).or_default().push(Arc::clone(provider));
        }
    }

    /// Whether this is one of them.
    pub fn has(&self, secret: &str) -> bool {
        // Without one there is nothing to hash.
        !self.by_line.is_empty() && self.by_line.contains_key(&published_line(secret))
    }

    /// Withholds the credentials of the providers that are called with a key on this list, and gives back those that are
    /// on it no more. Answers the providers for which that is news, by name, and whether their key is on it.
    pub fn note_published(&self, list: &PublishedKeys) -> Vec<(Arc<str>, bool)> {
        // A provider may be called with several secrets, of which one is enough.
        let mut published = HashSet::new();
        let listed = self.by_line.iter().filter(|(line, _)| list.has_line(line));
        published.extend(listed.flat_map(|(_, providers)| providers).map(Arc::as_ptr));
        let mut news: Vec<(Arc<str>, bool)> = Vec::new();
        for provider in self.by_line.values().flatten() {
            let is_published = published.contains(&Arc::as_ptr(provider));
            if provider.set_published(is_published) {
                news.push((Arc::clone(&provider.name), is_published));
            }
        }
        news.sort();
        news
    }
}

/// Refuses a target that would be called with a credential which anybody may hold.
///
/// # Errors
/// [`RefusalCode::ProviderKeyPublished`]: the operator is the one who can help.
pub(crate) fn check_published(target: &Target) -> Result<(), Refusal> {
    if !target.provider.is_published() {
        return Ok(());
    }
    let provider = &target.provider.name;
    Err(Refusal::new(
        RefusalCode::ProviderKeyPublished,
        format!(
            "`{}` is not called: the operator's key at the provider `{provider}` is known to be published, so anybody may hold \
             it (access class 2.10).",
            target.label
        ),
        format!(
            "The operator of this gateway revokes that key at `{provider}`, puts another one where the configuration refers \
             to, and starts the gateway anew."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_and_withheld_while_they_are_published() {
        let provider = |name| {
            let kind = providers::Kind::simulated();
            Arc::new(Provider::new(name, kind, Some("http://127.0.0.1:1"), None).unwrap())
        };
        let (one, other) = (provider("one"), provider("other"));
        let mut keys = OperatorKeys::default();
        assert!(!keys.has("sk-one"));
        keys.add(&one, [published_line("sk-one"), published_line("sk-both")]);
        keys.add(&other, [published_line("sk-both")]);
        for (secret, known) in
            [("sk-one", true), (" sk-one\n", true), ("sk-both", true), ("sk-on", false), ("", false)]
        {
            assert_eq!(keys.has(secret), known, "{secret}");
        }
        let list = |secrets: &[&str]| {
            let lines: Vec<String> = secrets.iter().map(|secret| published_line(secret)).collect();
            PublishedKeys::read(&lines.join("\n")).unwrap()
        };
        // What is on the list; what is news; which of the two may not be called.
        for (listed, news, published) in [
            (list(&["sk-strange"]), vec![], [false, false]),
            (list(&["sk-one"]), vec![("one", true)], [true, false]),
            (list(&["sk-one"]), vec![], [true, false]),
            (list(&["sk-both"]), vec![("other", true)], [true, true]),
            (list(&["sk-one", "sk-both"]), vec![], [true, true]),
            (list(&[]), vec![("one", false), ("other", false)], [false, false]),
        ] {
            let told = keys.note_published(&listed);
            let told: Vec<(&str, bool)> = told.iter().map(|(name, is)| (&**name, *is)).collect();
            assert_eq!(told, news);
            assert_eq!([one.is_published(), other.is_published()], published);
        }
        assert_eq!(format!("{keys:?}"), "OperatorKeys(2)");
    }
}
