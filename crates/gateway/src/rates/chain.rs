//! The chain of a caller: every rate limit that its calls to a model fall under, from the usage tier down to the end
//! user.
//!
//! It knows whose limits there are and by which bucket each is counted. The pipeline and whoever shows limits to people
//! walk the same chain, so that what is shown is what is applied. What is used it does not know.

use directory::{Caps, LimitSubject, Principal, RateLimit};
use domain::LimitId;
use limits::Bucket;

use crate::tiers::Tier;

/// Whose limit it is. The order is that of refusal, where one measure is used up for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Tier,
    Organization,
    Project,
    Key,
    User,
    /// What all free models of the organization share.
    Free,
}

impl Whose {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Key => "key",
            Self::User => "user",
            Self::Free => "free",
        }
    }
}

/// For which end users the chain is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum EndUsers<'a> {
    /// For this one, as a call names them; a call may name none.
    Of(Option<&'a str>),
    /// For all there are limits for, without knowing who will call.
    All,
}

/// One limit of the chain.
pub(super) struct Link<'a> {
    pub(super) whose: Whose,
    /// Its record; a tier's limit is in the configuration and has none.
    pub(super) limit: Option<LimitId>,
    /// The end user that it names, if it is one's alone.
    pub(super) user: Option<&'a str>,
    /// The models that share it.
    pub(super) models: &'a str,
    pub(super) caps: &'a Caps,
    /// Where it is counted; `None` if that depends on the end user.
    pub(super) bucket: Option<Bucket>,
}

/// Walks the chain of a caller's calls to `model`. A pattern in place of the model's name finds the limits that all
/// models share that it means.
pub(super) fn walk<'a>(
    principal: &'a Principal,
    tier: Option<&'a Tier>,
    model: &'a str,
    users: EndUsers<'a>,
    mut link: impl FnMut(Link<'a>),
) {
    for limit in tier.into_iter().flat_map(|tier| tier.limits_of(model)) {
        let bucket = named(&[principal.organization().id.as_bytes(), b"tier", limit.models.as_bytes()]);
        let (caps, bucket) = (&limit.caps, Some(bucket));
        link(Link { whose: Whose::Tier, limit: None, user: None, models: &limit.models, caps, bucket });
    }
    if !principal.tenant.has_limits() {
        return;
    }
    let (project, key) = (principal.project.id, principal.key.id);
    let mut of = |subject: &LimitSubject, whose, each: &[u8]| {
        for limit in principal.tenant.limits_of(subject, model) {
            link(recorded(limit, whose, Some(named(&[limit.id.as_bytes(), each]))));
        }
    };
    of(&LimitSubject::Organization, Whose::Organization, b"");
    of(&LimitSubject::Project(Some(project)), Whose::Project, b"");
    of(&LimitSubject::Project(None), Whose::Project, project.as_bytes());
    of(&LimitSubject::Key(Some(key)), Whose::Key, b"");
    of(&LimitSubject::Key(None), Whose::Key, key.as_bytes());
    match users {
        EndUsers::Of(Some(user)) => {
            of(&LimitSubject::User(Some(user.to_owned())), Whose::User, b"");
            of(&LimitSubject::User(None), Whose::User, user.as_bytes());
        }
        EndUsers::Of(None) => {}
        EndUsers::All => {
            for limit in principal.tenant.limits_of_users(model) {
                let own = matches!(limit.subject, LimitSubject::User(Some(_)));
                link(recorded(limit, Whose::User, own.then(|| named(&[limit.id.as_bytes(), b""]))));
            }
        }
    }
}

fn recorded(limit: &RateLimit, whose: Whose, bucket: Option<Bucket>) -> Link<'_> {
    let user = match &limit.subject {
        LimitSubject::User(user) => user.as_deref(),
        LimitSubject::Organization | LimitSubject::Project(_) | LimitSubject::Key(_) => None,
    };
    Link { whose, limit: Some(limit.id), user, models: &limit.model, caps: &limit.caps, bucket }
}

/// The bucket of what these parts name together.
pub(super) fn named(parts: &[&[u8]]) -> Bucket {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // Lengths too, or two lists of parts could read alike.
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hasher.finalize().as_bytes();
    Bucket::from_bytes(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_name_do_not_run_together() {
        assert_ne!(named(&[b"ab", b"c"]), named(&[b"a", b"bc"]));
        assert_ne!(named(&[b"ab"]), named(&[b"ab", b""]));
    }
}
