//! Authentication: who is let in, who is refused, and by which rule of several.

use domain::{KeyId, OrganizationId, ProjectId, RefusalCode, ServiceAccountId, Timestamp, UserId};

use super::world::{
    account, address, admin_key, admin_secret, contents, directory, key, member, organization, own_secret,
    project, secret, user, visit, with_key,
};
use super::{CountingIds, at, hasher};
use crate::{
    Administrator, Bounds, Contents, Directory, Key, KeyKind, KeyOwner, OrganizationRole, Previous, Project,
    Scope, Secret, ServiceAccount, User, Visit,
};

fn code(directory: &Directory, presented: &str, visit: &Visit) -> Option<RefusalCode> {
    directory.authenticate(presented, visit).err().map(|refusal| refusal.code)
}

#[test]
fn a_good_key_is_its_principal() {
    let directory = directory(contents());
    let principal = directory.authenticate(own_secret().expose(), &visit(at(1))).unwrap();
    assert_eq!((&*principal.key, &*principal.project), (&key(), &project()));
    assert_eq!(*principal.organization(), organization());
    assert_eq!(*directory.organization(organization().id).unwrap(), organization());
    assert_eq!(*directory.project(project().id).unwrap(), project());
    assert_eq!(*directory.key(key().id).unwrap(), key());
    assert!(directory.key(KeyId::from_bytes([9; 16])).is_none());
    assert!(directory.project(ProjectId::from_bytes([9; 16])).is_none());
}

/// Who the key of a case belongs to.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Member,
    /// Without a part in the project, but in all of them by the role.
    OrganizationOwner,
    AccountOfTheProject,
    RemovedUser,
    /// Even an organization's owner, once removed.
    RemovedOwner,
    UserWithoutPart,
    UserWhoNeverWas,
    RemovedAccount,
    AccountOfAnotherProject,
}

impl Whose {
    const ALL: [Self; 9] = [
        Self::Member,
        Self::OrganizationOwner,
        Self::AccountOfTheProject,
        Self::RemovedUser,
        Self::RemovedOwner,
        Self::UserWithoutPart,
        Self::UserWhoNeverWas,
        Self::RemovedAccount,
        Self::AccountOfAnotherProject,
    ];

    const fn has_part(self) -> bool {
        matches!(self, Self::Member | Self::OrganizationOwner | Self::AccountOfTheProject)
    }

    fn put(self, contents: &mut Contents) {
        let person = KeyOwner::User(user().id);
        let robot = KeyOwner::ServiceAccount(account().id);
        let (removed_at, owner) = (Some(at(2)), OrganizationRole::Owner);
        contents.keys[0].owner = match self {
            Self::AccountOfTheProject | Self::RemovedAccount | Self::AccountOfAnotherProject => robot,
            Self::UserWhoNeverWas => KeyOwner::User(UserId::from_bytes([9; 16])),
            Self::Member
            | Self::OrganizationOwner
            | Self::RemovedUser
            | Self::RemovedOwner
            | Self::UserWithoutPart => person,
        };
        match self {
            Self::RemovedUser => contents.users = vec![User { removed_at, ..user() }],
            Self::RemovedOwner => contents.users = vec![User { removed_at, role: owner, ..user() }],
            Self::UserWithoutPart => contents.members.clear(),
            Self::OrganizationOwner => {
                contents.users = vec![User { role: owner, ..user() }];
                contents.members.clear();
            }
            Self::RemovedAccount => {
                contents.service_accounts = vec![ServiceAccount { removed_at, ..account() }]
            }
            Self::AccountOfAnotherProject => {
                let other = Project { id: ProjectId::from_bytes([8; 16]), ..project() };
                contents.service_accounts = vec![ServiceAccount { project: other.id, ..account() }];
                contents.projects.push(other);
            }
            Self::Member | Self::AccountOfTheProject | Self::UserWhoNeverWas => {}
        }
    }
}

/// What the rules say of each bit of a case, and the word by which its message is told from others with its code.
const RULES: [(RefusalCode, &str); 7] = [
    (RefusalCode::ExpiredKey, "expired at"),
    (RefusalCode::ExpiredKey, "was replaced"),
    (RefusalCode::DisabledKey, "was revoked"),
    (RefusalCode::DisabledKey, "was disabled"),
    (RefusalCode::AddressNotAllowed, "may not be used from"),
    (RefusalCode::EndpointNotAllowed, "insufficient permissions"),
    (RefusalCode::ProjectArchived, "was archived"),
];

fn contents_of_case(bits: usize, owner: Whose) -> Contents {
    let holds = |rule: usize| bits & (1 << rule) != 0;
    let mut contents = contents();
    let key = &mut contents.keys[0];
    key.expires_at = holds(0).then_some(at(10));
    if holds(1) {
        let previous = Previous { hash: key.hash, redacted: key.redacted.clone(), until: at(10) };
        key.previous = Some(previous);
        key.hash = hasher().hash(secret(9, KeyKind::Project).expose());
    }
    key.revoked_at = holds(2).then_some(at(2));
    key.disabled_at = holds(3).then_some(at(2));
    key.bounds = Bounds {
        networks: if holds(4) { vec!["10.0.0.0/8".parse().unwrap()] } else { Vec::new() },
        endpoints: holds(5).then(|| vec![Scope::Embeddings]),
        models: None,
    };
    contents.projects[0].archived_at = holds(6).then_some(at(2));
    owner.put(&mut contents);
    contents
}

#[test]
fn of_all_rules_that_refuse_the_first_is_told() {
    let knock = Visit { address: address("192.0.2.1"), ..visit(at(10)) };
    let mut cases = 0;
    for bits in 0..1 << RULES.len() {
        for owner in Whose::ALL {
            let directory = directory(contents_of_case(bits, owner));
            let found = directory.authenticate(own_secret().expose(), &knock).err();
            let mut broken: Vec<(RefusalCode, &str)> = RULES
                .into_iter()
                .enumerate()
                .filter(|(rule, _)| bits & (1 << rule) != 0)
                .map(|(_, r)| r)
                .collect();
            if !owner.has_part() {
                broken.push((RefusalCode::PrincipalRemoved, "has no part in the project"));
            }
            // The order is that of the enum; it is stable, so of two with one code the first above is told.
            broken.sort_by_key(|(code, _)| *code);
            match (found, broken.first()) {
                (None, None) => {}
                (Some(found), Some((code, word))) => {
                    assert_eq!(found.code, *code, "{bits:07b} {owner:?}");
                    assert!(found.message.contains(word), "{bits:07b} {owner:?}: {}", found.message);
                }
                (found, expected) => panic!("{bits:07b} {owner:?}: {found:?}, expected {expected:?}"),
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 128 * 9);
}

#[test]
fn moments_are_exact() {
    let micro = |at: Timestamp, micros: i64| at.plus_micros(micros);
    let old = secret(9, KeyKind::Project);
    let previous = Previous { hash: hasher().hash(old.expose()), redacted: old.redacted(), until: at(10) };
    let expiring = with_key(Key { expires_at: Some(at(10)), ..key() });
    let rotated = with_key(Key { previous: Some(previous), ..key() });
    let (own, expired) = (own_secret(), Some(RefusalCode::ExpiredKey));
    for (directory, presented, now, expected) in [
        (&expiring, &own, micro(at(10), -1), None),
        (&expiring, &own, at(10), expired),
        (&expiring, &own, micro(at(10), 1), expired),
        (&expiring, &own, Timestamp::MAX, expired),
        // A clock that steps back finds the key good again: before its expiry it is.
        (&expiring, &own, at(-100), None),
        (&rotated, &old, micro(at(10), -1), None),
        (&rotated, &old, at(10), expired),
        (&rotated, &old, Timestamp::MAX, expired),
        (&rotated, &own, at(-100), None),
        (&rotated, &own, at(10), None),
        (&rotated, &own, Timestamp::MAX, None),
    ] {
        assert_eq!(code(directory, presented.expose(), &visit(now)), expected, "{now}");
    }
}

#[test]
fn what_was_ended_stays_so_when_the_clock_steps_back() {
    let later = Some(at(50));
    for (contents, expected) in [
        (Contents { keys: vec![Key { revoked_at: later, ..key() }], ..contents() }, RefusalCode::DisabledKey),
        (
            Contents { keys: vec![Key { disabled_at: later, ..key() }], ..contents() },
            RefusalCode::DisabledKey,
        ),
        (
            Contents { users: vec![User { removed_at: later, ..user() }], ..contents() },
            RefusalCode::PrincipalRemoved,
        ),
        (
            Contents { projects: vec![Project { archived_at: later, ..project() }], ..contents() },
            RefusalCode::ProjectArchived,
        ),
    ] {
        let directory = directory(contents);
        for now in [at(0), at(50), at(60), Timestamp::from_micros(i64::MIN), Timestamp::MAX] {
            assert_eq!(code(&directory, own_secret().expose(), &visit(now)), Some(expected), "{now}");
        }
    }
}

#[test]
fn every_changed_byte_of_a_key_is_refused() {
    let directory = directory(contents());
    let secret = own_secret();
    for position in 0..secret.expose().len() {
        for byte in 0..=127_u8 {
            let mut changed = secret.expose().as_bytes().to_vec();
            changed[position] = byte;
            let changed = String::from_utf8(changed).unwrap();
            let expected = (changed != secret.expose()).then_some(RefusalCode::InvalidKey);
            assert_eq!(code(&directory, &changed, &visit(at(1))), expected, "{changed:?}");
        }
    }
    // Whole keys that are not in the directory get past the checksum and fail at the look-up.
    let ids = CountingIds::default();
    for _ in 0..1_000 {
        let other = Secret::generate(KeyKind::Project, &ids);
        let found = code(&directory, other.expose(), &visit(at(1)));
        assert_eq!(found, Some(RefusalCode::InvalidKey), "{other:?}");
    }
}

#[test]
fn an_administrators_key_opens_while_its_owner_is_there() {
    let opens = |contents: Contents, now| {
        let found = directory(contents).administrator(admin_secret().expose(), now);
        found.map(|_| ()).map_err(|refusal| refusal.code)
    };
    let with = |key| Contents { admin_keys: vec![key], ..contents() };
    let (expired, revoked) = (Err(RefusalCode::ExpiredKey), Err(RefusalCode::DisabledKey));
    let mut ended = crate::AdminKey { expires_at: Some(at(10)), ..admin_key() };
    assert_eq!(opens(contents(), at(0)), Ok(()));
    assert_eq!(opens(with(ended.clone()), at(10).plus_micros(-1)), Ok(()));
    assert_eq!(opens(with(ended.clone()), at(10)), expired);
    ended.revoked_at = Some(at(5));
    assert_eq!(opens(with(ended.clone()), at(10)), expired);
    assert_eq!(opens(with(ended.clone()), at(1)), revoked);
    let gone = Contents { users: vec![User { removed_at: Some(at(5)), ..user() }], ..with(ended) };
    assert_eq!(opens(gone.clone(), at(1)), revoked);
    let gone = Contents { admin_keys: vec![admin_key()], ..gone };
    assert_eq!(opens(gone, at(1)), Err(RefusalCode::PrincipalRemoved));

    let directory = directory(contents());
    let administrator = directory.administrator(admin_secret().expose(), at(7)).unwrap();
    let Administrator::Member { key, user: person, tenant } = &administrator else { panic!("a member") };
    assert_eq!((&**key, &**person), (&admin_key(), &user()));
    assert_eq!(tenant.organization.id, organization().id);
    assert_eq!(administrator.organization(), Some(organization().id));
    assert_eq!(directory.admin_key(admin_key().id).unwrap().1, Some(at(7)));
}

#[test]
fn uses_are_noted_to_the_second_and_never_backwards() {
    let directory = directory(contents());
    let used = |now: Timestamp| {
        directory.authenticate(own_secret().expose(), &visit(now)).unwrap();
        directory.last_used(key().id)
    };
    assert_eq!(directory.last_used(key().id), None);
    assert_eq!(directory.uses_since(Timestamp::from_micros(i64::MIN)), []);
    assert_eq!(used(at(5)), Some(at(5)));
    assert_eq!(used(at(5).plus_micros(999_999)), Some(at(5)), "within the second nothing is written");
    assert_eq!(used(at(6)), Some(at(6)));
    assert_eq!(used(at(1)), Some(at(6)), "a clock that steps back does not take a use back");
    assert_eq!(directory.uses_since(at(5)), [(*key().id.as_bytes(), at(6))]);
    assert_eq!(directory.uses_since(at(6)), []);
    // Whoever is refused has not used it.
    let refused = with_key(Key { disabled_at: Some(at(0)), ..key() });
    assert!(refused.authenticate(own_secret().expose(), &visit(at(5))).is_err());
    assert_eq!(refused.last_used(key().id), None);
    // What was stored is where it goes on.
    let restarted =
        super::world::directory(Contents { uses: vec![(*key().id.as_bytes(), at(9))], ..contents() });
    assert_eq!(restarted.last_used(key().id), Some(at(9)));
}

#[test]
fn a_directory_that_does_not_hang_together_does_not_open() {
    let stranger = OrganizationId::from_bytes([9; 16]);
    let nowhere = ProjectId::from_bytes([9; 16]);
    for (contents, names) in [
        (Contents { organizations: vec![], ..contents() }, project().id.to_string()),
        (Contents { projects: vec![], ..contents() }, format!("{} of {}", user().id, project().id)),
        (Contents { users: vec![], ..contents() }, format!("{} of {}", user().id, project().id)),
        (Contents { users: vec![], members: vec![], ..contents() }, admin_key().id.to_string()),
        (
            Contents { keys: vec![Key { organization: stranger, ..key() }], ..contents() },
            key().id.to_string(),
        ),
        (Contents { keys: vec![Key { project: nowhere, ..key() }], ..contents() }, key().id.to_string()),
        (
            Contents {
                service_accounts: vec![ServiceAccount { project: nowhere, ..account() }],
                ..contents()
            },
            account().id.to_string(),
        ),
    ] {
        let found = Directory::new(hasher(), contents).err().map(|error| error.to_string()).unwrap();
        assert!(found.contains(&names) && found.ends_with("restore it from a backup"), "{found}");
    }
    // A key whose owner is nobody is no danger: it is refused.
    let owner = KeyOwner::ServiceAccount(ServiceAccountId::from_bytes([9; 16]));
    let orphaned = with_key(Key { owner, ..key() });
    let refused = code(&orphaned, own_secret().expose(), &visit(at(1)));
    assert_eq!(refused, Some(RefusalCode::PrincipalRemoved));
    assert_eq!(member().user, user().id);
}

#[test]
fn how_much_of_a_guess_is_right_shows_nowhere() {
    // A key is looked up by its hash and compared with no key: the time that takes can follow the hash alone, and the
    // hashes of keys that differ in one character have nothing in common that a guesser could steer.
    let (directory, own) = (directory(contents()), own_secret());
    let bits = |hash: crate::KeyHash| u64::from_be_bytes(*hash.as_bytes().first_chunk().unwrap());
    let body = "tk-".len()..own.expose().len() - 6;
    for place in body {
        let mut guess = own.expose().as_bytes().to_vec();
        guess[place] = if guess[place] == b'0' { b'1' } else { b'0' };
        let signed = guess.len() - 6;
        let sum = crate::checksum::of(&guess[..signed]);
        guess[signed..].copy_from_slice(&sum);
        let guess = String::from_utf8(guess).unwrap();
        assert_eq!(KeyKind::of(&guess), Ok(KeyKind::Project), "whole, so that it is looked up");
        let alike = (bits(hasher().hash(&guess)) ^ bits(hasher().hash(own.expose()))).leading_zeros();
        assert!(alike < 32, "{alike} bits alike after a change at {place}");
        let refusal = directory.authenticate(&guess, &visit(at(1))).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        assert_eq!(refusal.message, format!("Incorrect API key provided: {}.", crate::mask(&guess)));
    }
}
