//! The chain of limits as it is shown, beside the chain as it is applied.

use std::sync::Arc;

use directory::{
    Bounds, Caps, DataClass, DirectoryService, Environment, KeyHasher, LimitSubject, Mandate,
    MemoryDirectory, NewKey, NewLimit, NewOrganization, NewProject, Principal,
};
use domain::{Clock, Timestamp};
use limits::Measure;

use super::house::Steady;
use crate::{EffectiveLimit, Rates, Tier, TierLimit, Tiers, effective_limits};

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }

    fn monotonic_micros(&self) -> u64 {
        1_000_000
    }
}

fn per_minute(requests: u64) -> Caps {
    Caps { requests_per_minute: Some(requests), ..Caps::default() }
}

/// A caller whose limits are these, besides those of a project and a key of somebody else.
fn caller(limits: &[(&str, &str, u64)]) -> Principal {
    let (ids, now) = (Steady::default(), Noon.now());
    let service =
        DirectoryService::open(Arc::new(MemoryDirectory::default()), KeyHasher::new([7; 32])).unwrap();
    let mandate = Mandate::operator(&ids, now);
    let new = NewOrganization { name: "Acme".to_owned(), ..NewOrganization::default() };
    let organization = service.create_organization(new, &mandate).unwrap().id;
    let of = |name: &str| {
        let (environment, data_class) = (Environment::Dev, DataClass::Internal);
        let new = NewProject {
            organization,
            name: name.to_owned(),
            environment,
            data_class,
            after_grant: directory::AfterGrant::default(),
        };
        let project = service.create_project(new, &mandate).unwrap().id;
        let new = NewKey { project, owner: None, name: None, bounds: Bounds::default(), expires_at: None };
        service.create_key(new, &mandate).unwrap().key
    };
    let (own, other) = (of("own"), of("other"));
    let set = |subject, model: &str, most| {
        let new = NewLimit { organization, subject, model: model.to_owned(), caps: per_minute(most) };
        service.set_limit(new, &mandate).unwrap();
    };
    for (subject, model, most) in limits {
        let subject = match *subject {
            "organization" => LimitSubject::Organization,
            "project" => LimitSubject::Project(Some(own.project)),
            "each project" => LimitSubject::Project(None),
            "key" => LimitSubject::Key(Some(own.id)),
            "each user" => LimitSubject::User(None),
            user => LimitSubject::User(Some(user.to_owned())),
        };
        set(subject, model, *most);
    }
    set(LimitSubject::Project(Some(other.project)), "strange*", 1);
    set(LimitSubject::Key(Some(other.id)), "*", 1);
    let tenant = service.directory().tenant(organization).unwrap();
    let project = Arc::clone(tenant.project(own.project).unwrap());
    Principal { key: Arc::new(own), project, tenant }
}

fn tiers(limits: &[(&str, u64)]) -> Tiers {
    let limits = limits
        .iter()
        .map(|(models, most)| TierLimit { models: (*models).to_owned(), caps: per_minute(*most) });
    Tiers::new(vec![Tier {
        name: Arc::from("new"),
        credit_purchased: domain::Money::ZERO,
        account_days: 0,
        monthly_ceiling: None,
        models: vec!["*".to_owned()],
        limits: limits.collect(),
    }])
}

/// `whose:limit` of each limit, with `*` behind the one that binds.
fn shown(limit: &EffectiveLimit) -> String {
    let star = if limit.binding { "*" } else { "" };
    format!("{}:{}{star}", limit.user.as_deref().unwrap_or(limit.whose), limit.most)
}

#[test]
fn every_group_has_the_whole_chain_and_one_limit_that_binds() {
    for (limits, tier, user, expected) in [
        (&[][..], &[][..], None, &[("*", &[][..])][..]),
        // A key without limits of its own has its parents'.
        (
            &[("organization", "*", 50), ("each project", "*", 20)],
            &[("*", 30)],
            None,
            &[("*", &["tier:30", "organization:50", "project:20*"])],
        ),
        // What all models share binds a group of them, and what a group shares does not bind all.
        (
            &[("key", "gpt-5*", 5), ("project", "*", 9)],
            &[],
            None,
            &[("*", &["project:9*"]), ("gpt-5*", &["project:9", "key:5*"])],
        ),
        (
            &[("key", "gpt-5", 5), ("project", "gpt*", 4)],
            &[],
            None,
            &[("*", &[]), ("gpt*", &["project:4*"]), ("gpt-5", &["project:4*", "key:5"])],
        ),
        // Without a user each one's limits are told, and bind only where nothing else does.
        (
            &[("each user", "*", 2), ("u-1", "*", 1), ("key", "*", 3)],
            &[],
            None,
            &[("*", &["key:3*", "user:2", "u-1:1"])],
        ),
        (&[("each user", "*", 2)], &[], None, &[("*", &["user:2*"])]),
        (
            &[("each user", "*", 2), ("u-1", "*", 1), ("key", "*", 3)],
            &[],
            Some("u-2"),
            &[("*", &["key:3", "user:2*"])],
        ),
    ] {
        let principal = caller(limits);
        let groups = effective_limits(&Rates::default(), &tiers(tier), &Noon, &principal, user);
        let found: Vec<(String, Vec<String>)> = groups
            .iter()
            .map(|group| (group.models.clone(), group.limits.iter().map(shown).collect()))
            .collect();
        let expected: Vec<(String, Vec<String>)> = expected
            .iter()
            .map(|(models, limits)| {
                ((*models).to_owned(), limits.iter().map(|limit| (*limit).to_owned()).collect())
            })
            .collect();
        assert_eq!(found, expected, "{limits:?} {tier:?} {user:?}");
        for limit in groups.iter().flat_map(|group| &group.limits) {
            assert_eq!(limit.measure, Measure::RequestsPerMinute);
            let per_user = limit.whose == "user" && user.is_none() && limit.user.is_none();
            assert_eq!(limit.remaining, (!per_user).then_some(limit.most), "{limit:?}");
        }
    }
}
