//! Authentication: who is let in, who is refused, in which words.

use domain::{KeyId, OrganizationId, ProjectId, Refusal, RefusalCode, Timestamp, WalletId, Zone};

use super::{CountingIds, FixedIds, at, hasher};
use crate::{
    Contents, DataClass, Directory, Environment, InFlight, Key, KeyKind, Organization, Principal, Project,
    Secret, missing_key,
};

fn organization() -> Organization {
    Organization {
        id: OrganizationId::from_bytes([1; 16]),
        name: "Acme".to_owned(),
        wallet: WalletId::from_bytes([2; 16]),
        time_zone: Zone::default(),
        in_flight: InFlight::Stops,
        created_at: at(0),
    }
}

fn project() -> Project {
    Project {
        id: ProjectId::from_bytes([3; 16]),
        organization: organization().id,
        name: "chat".to_owned(),
        environment: Environment::Prod,
        data_class: DataClass::Sensitive,
        created_at: at(0),
        archived_at: None,
    }
}

fn secret() -> Secret {
    Secret::generate(KeyKind::Project, &CountingIds::default())
}

fn key() -> Key {
    Key {
        id: KeyId::from_bytes([4; 16]),
        organization: organization().id,
        project: project().id,
        name: "laptop".to_owned(),
        hash: hasher().hash(secret().expose()),
        redacted: secret().redacted(),
        created_at: at(0),
        expires_at: None,
        disabled_at: None,
    }
}

fn directory(project: Project, key: Key) -> Directory {
    let contents = Contents { organizations: vec![organization()], projects: vec![project], keys: vec![key] };
    Directory::new(hasher(), contents).unwrap()
}

#[test]
fn a_good_key_is_its_principal() {
    let directory = directory(project(), key());
    let principal = directory.authenticate(secret().expose(), at(1)).unwrap();
    let expected = Principal {
        key: key().id,
        key_name: "laptop".to_owned(),
        key_redacted: secret().redacted(),
        key_expires_at: None,
        project: project().id,
        project_name: "chat".to_owned(),
        organization: organization().id,
        organization_name: "Acme".to_owned(),
        in_flight: InFlight::Stops,
        environment: Environment::Prod,
        data_class: DataClass::Sensitive,
    };
    assert_eq!(*principal, expected);
    assert_eq!(*directory.organization(organization().id).unwrap(), organization());
    assert_eq!(*directory.project(project().id).unwrap(), project());
    assert_eq!(*directory.key(key().id).unwrap(), key());
    assert!(directory.key(KeyId::from_bytes([9; 16])).is_none());
}

#[test]
fn a_key_that_is_no_longer_good_still_has_its_holder() {
    let spent = Key { disabled_at: Some(at(1)), ..key() };
    let directory = directory(project(), spent);
    assert!(directory.authenticate(secret().expose(), at(2)).is_err());
    assert_eq!(directory.holder(secret().expose()).unwrap().key, key().id);
    for stranger in ["", "tk-", "sk-else"] {
        assert!(directory.holder(stranger).is_none(), "{stranger}");
    }
}

#[test]
fn layers_refuse_in_order_at_the_right_moment() {
    let (expired, disabled, archived) = (Some(at(10)), Some(at(20)), Some(at(30)));
    for (expires_at, disabled_at, archived_at, now, expected) in [
        (None, None, None, Timestamp::MAX, None),
        (expired, None, None, at(9), None),
        (expired, None, None, at(10), Some(RefusalCode::ExpiredKey)),
        (expired, disabled, archived, at(11), Some(RefusalCode::ExpiredKey)),
        (expired, disabled, archived, at(9), Some(RefusalCode::DisabledKey)),
        (None, disabled, archived, at(40), Some(RefusalCode::DisabledKey)),
        (None, disabled, None, at(0), Some(RefusalCode::DisabledKey)),
        (None, None, archived, at(40), Some(RefusalCode::ProjectArchived)),
        (None, None, archived, at(0), Some(RefusalCode::ProjectArchived)),
    ] {
        let directory =
            directory(Project { archived_at, ..project() }, Key { expires_at, disabled_at, ..key() });
        let refused = directory.authenticate(secret().expose(), now).err().map(|refusal| refusal.code);
        assert_eq!(refused, expected, "{expires_at:?} {disabled_at:?} {archived_at:?} {now:?}");
    }
}

#[test]
fn every_changed_byte_of_a_key_is_refused() {
    let directory = directory(project(), key());
    let secret = secret();
    for position in 0..secret.expose().len() {
        for byte in 0..=127_u8 {
            let mut changed = secret.expose().as_bytes().to_vec();
            changed[position] = byte;
            let changed = String::from_utf8(changed).unwrap();
            let refused = directory.authenticate(&changed, at(1)).err().map(|refusal| refusal.code);
            let expected = (changed != secret.expose()).then_some(RefusalCode::InvalidKey);
            assert_eq!(refused, expected, "{changed:?}");
        }
    }
    // Whole keys that are not in the directory get past the checksum and fail at the look-up.
    let ids = CountingIds::default();
    for _ in 0..1_000 {
        let other = Secret::generate(KeyKind::Project, &ids);
        let let_in = directory.authenticate(other.expose(), at(1)).is_ok();
        assert_eq!(let_in, other.expose() == secret.expose());
    }
}

/// Asserts a refusal's words, and that they hide the secret and never send for another key.
fn check(refusal: &Refusal, presented: &str, message: &str, next_step: &str) {
    assert_eq!(refusal.message, message);
    assert!(refusal.next_step.contains(next_step), "{:?} lacks {next_step:?}", refusal.next_step);
    let words = format!("{} {}", refusal.message, refusal.next_step);
    assert!(!words.chars().any(char::is_control), "{words:?}");
    assert!(presented.len() < 8 || !words.contains(presented), "{words:?}");
    for sending in ["another key", "new key", "create a key", "make a key"] {
        assert!(!words.contains(sending), "{words:?}");
    }
}

#[test]
fn a_wrong_key_is_told_what_is_wrong() {
    let directory = directory(project(), key());
    let good = secret();
    let other = Secret::generate(KeyKind::Project, &FixedIds).expose().to_owned();
    let operator = Secret::generate(KeyKind::Operator, &FixedIds).expose().to_owned();
    let typo = good.expose().replacen(&good.expose()[10..12], "--", 1);
    for (presented, next_step) in [
        (other.as_str(), "check that the base URL is the one of the gateway"),
        (operator.as_str(), "administer the gateway and call no models"),
        (&good.expose()[..40], "it has 40 characters where a whole key has 49"),
        (typo.as_str(), "copy it again"),
        ("sk-proj-abcdefghijklmnopqrstuvwxyz", "a key of another provider; this gateway expects its own key"),
        ("gsk_abcdefghijklmnopqrstuvwxyz0123", "a key of another provider"),
        ("", "begins with `tk-`"),
        ("YOUR_KEY", "begins with `tk-`"),
        ("\u{1b}]0;title\u{7}\r\nset-cookie: x=y", "begins with `tk-`"),
    ] {
        let refusal = directory.authenticate(presented, at(1)).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        let message = format!("Incorrect API key provided: {}.", crate::mask(presented));
        check(&refusal, presented, &message, next_step);
    }
}

#[test]
fn a_known_key_is_told_why_it_is_stopped() {
    let shown = crate::mask(secret().expose());
    let words = |project: Project, key: Key| {
        directory(project, key).authenticate(secret().expose(), at(100)).unwrap_err()
    };
    check(
        &words(project(), Key { expires_at: Some(at(10)), ..key() }),
        secret().expose(),
        &format!("The API key {shown} (`laptop`) of project `chat` expired at {}.", at(10)),
        "ask whoever administers the organization `Acme` about its expiry",
    );
    check(
        &words(project(), Key { disabled_at: Some(at(20)), ..key() }),
        secret().expose(),
        &format!("The API key {shown} (`laptop`) of project `chat` was disabled at {}.", at(20)),
        "ask whoever administers the organization `Acme` why",
    );
    check(
        &words(Project { archived_at: Some(at(30)), ..project() }, key()),
        secret().expose(),
        &format!("The project `chat` ({}) was archived at {}.", project().id, at(30)),
        "call from a project that is open",
    );
    assert_eq!(missing_key().code, RefusalCode::MissingKey);
    check(
        &missing_key(),
        "",
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth (i.e. \
         Authorization: Bearer YOUR_KEY).",
        "OPENAI_API_KEY",
    );
}

#[test]
fn a_directory_that_does_not_hang_together_does_not_open() {
    let whole =
        || Contents { organizations: vec![organization()], projects: vec![project()], keys: vec![key()] };
    let other = OrganizationId::from_bytes([9; 16]);
    for (contents, error) in [
        (whole(), None),
        (
            Contents { organizations: vec![], ..whole() },
            Some(format!("the project {} names the organization {}", project().id, organization().id)),
        ),
        (
            Contents { projects: vec![], ..whole() },
            Some(format!("the key {} names the project {}", key().id, project().id)),
        ),
        (
            Contents { keys: vec![Key { organization: other, ..key() }], ..whole() },
            Some(format!("the key {} names the project {}", key().id, project().id)),
        ),
    ] {
        let found = Directory::new(hasher(), contents).err().map(|error| error.to_string());
        assert_eq!(
            found,
            error.map(|text| format!("{text}, which the store does not hold; restore it from a backup"))
        );
    }
}
