//! Whether the model that answered is the one that the route claims (mission 9.5).
//!
//! It compares names: the target's, its aliases as configured, dated versions of them, and the same with the vendor's
//! prefix. An answer that names no model is told apart from one that names the right one. It must never know what becomes
//! of the answer.

use std::sync::Arc;

/// What is done about an answer of another model, as the route is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Substitution {
    /// Its row says so, and a line of the log.
    #[default]
    Log,
    /// The same as a warning.
    Alert,
    /// It is booked and withheld, and so is an answer that names no model: nobody can say that it is the right one.
    Refuse,
}

impl Substitution {
    /// The word for this one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Alert => "alert",
            Self::Refuse => "refuse",
        }
    }

    /// The words for it in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("log", Self::Log), ("alert", Self::Alert), ("refuse", Self::Refuse)];
}

/// What an answer says of the model that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the one that was called.
    Kept,
    /// Nothing.
    NotTold,
    /// It is another one.
    Broken,
}

impl Claim {
    /// Compares a target's model and its aliases with what the answer says.
    pub(crate) fn of(model: &str, aliases: &[Arc<str>], answered: Option<&str>) -> Self {
        let Some(answered) = answered.filter(|answered| !answered.trim().is_empty()) else {
            return Self::NotTold;
        };
        let mut names = std::iter::once(model).chain(aliases.iter().map(|alias| &**alias));
        if names.any(|name| is_same(name, answered)) { Self::Kept } else { Self::Broken }
    }

    /// The reason on the row of an answer that is withheld for it.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Kept => "complete",
            Self::NotTold => "model_not_told",
            Self::Broken => "model_substituted",
        }
    }
}

/// Whether a model that answers by this name is the one that was called by that name.
fn is_same(called: &str, answered: &str) -> bool {
    // Google's Vertex AI calls by `@` what answers by `-`.
    let plain = |name: &str| name.trim().to_ascii_lowercase().replace('@', "-");
    let (called, answered) = (plain(called), plain(answered));
    if called == answered {
        return true;
    }
    // A prefix that only one of them has is the vendor's; two different prefixes are two vendors.
    let (called, answered) = match (called.rsplit_once('/'), answered.rsplit_once('/')) {
        (Some((_, called)), None) => (called, answered.as_str()),
        (None, Some((_, answered))) => (called.as_str(), answered),
        (Some((one, called)), Some((other, answered))) if one == other => (called, answered),
        (Some(_), Some(_)) => return false,
        (None, None) => (called.as_str(), answered.as_str()),
    };
    // A variant such as `:free` is a way to call a model, not another model.
    let called =
        if answered.contains(':') { called } else { called.split_once(':').map_or(called, |(name, _)| name) };
    let newest = called.strip_suffix("-latest").unwrap_or(called);
    called == answered || newest == answered || answered.strip_prefix(newest).is_some_and(is_version)
}

/// Whether what follows a model's name is the date or the number of a version of it: `-2024-08-06`, `-20241022`, `-0613`,
/// `-001`.
fn is_version(rest: &str) -> bool {
    let Some(date) = rest.strip_prefix('-') else { return false };
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = date.split('-').collect();
    match parts[..] {
        [number] => [3, 4, 8].into_iter().any(|count| digits(number, count)),
        [month, day] => digits(month, 2) && (digits(day, 2) || digits(day, 4)),
        [year, month, day] => digits(year, 4) && digits(month, 2) && digits(day, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_providers_write_them() {
        for (called, answered, claim) in [
            ("gpt-4o", "gpt-4o", Claim::Kept),
            ("gpt-4o", "GPT-4o", Claim::Kept),
            ("gpt-4o", "gpt-4o-2024-08-06", Claim::Kept),
            ("gpt-4", "gpt-4-0613", Claim::Kept),
            ("gemini-1.5-pro", "gemini-1.5-pro-002", Claim::Kept),
            ("gemini-2.5-pro", "gemini-2.5-pro-06-05", Claim::Kept),
            ("claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022", Claim::Kept),
            ("claude-sonnet-4", "claude-sonnet-4@20250514", Claim::Kept),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929", Claim::Kept),
            ("openai/gpt-4o", "gpt-4o-2024-08-06", Claim::Kept),
            ("gpt-4o", "openai/gpt-4o", Claim::Kept),
            ("models/gemini-1.5-pro", "gemini-1.5-pro", Claim::Kept),
            ("meta/llama-3.3-70b:free", "meta/llama-3.3-70b", Claim::Kept),
            ("alias-target", "the alias", Claim::Kept),
            ("alias-target", "the alias-2026-01-01", Claim::Kept),
            // A version that was named is that version.
            ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", Claim::Broken),
            ("gpt-4o-2024-08-06", "gpt-4o", Claim::Broken),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20251001", Claim::Broken),
            ("gpt-4o", "gpt-4o-mini", Claim::Broken),
            ("gpt-4o", "gpt-4o-mini-2024-07-18", Claim::Broken),
            ("gpt-4", "gpt-4o", Claim::Broken),
            ("gpt-5", "gpt-5-nano", Claim::Broken),
            ("openai/gpt-4o", "other/gpt-4o", Claim::Broken),
            ("llama:70b", "llama:8b", Claim::Broken),
            ("o1", "o1-preview-2024-09-12", Claim::Broken),
            ("gpt-4o", "", Claim::NotTold),
            ("gpt-4o", " ", Claim::NotTold),
        ] {
            let aliases = [Arc::from("the alias")];
            let aliases = if called == "alias-target" { &aliases[..] } else { &[] };
            assert_eq!(Claim::of(called, aliases, Some(answered)), claim, "{called} and {answered}");
        }
        assert_eq!(Claim::of("gpt-4o", &[], None), Claim::NotTold);
    }
}
