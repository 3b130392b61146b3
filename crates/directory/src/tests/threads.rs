//! Many at once: nobody sees half a change, no change undoes another, and what has ended lets nobody in.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::house::{House, new_key};
use super::world::visit;
use super::{CountingIds, at};
use crate::{Bounds, KeyChanges, KeyOwner, OrganizationRole, ProjectChanges, ProjectRole, UserChanges};

/// Threads knock with a secret until told to stop. After `end` has returned none of them may get in.
fn ends_for_all(house: &House, secret: &str, end: impl FnOnce()) {
    let (ended, stop, inside, refused) =
        (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !stop.load(Ordering::Acquire) {
                    // Looked at before knocking: whoever knocks after the end must be refused.
                    let over = ended.load(Ordering::Acquire);
                    match house.service.directory().authenticate(secret, &visit(at(1))) {
                        Ok(_) => {
                            inside.fetch_add(1, Ordering::Relaxed);
                            assert!(!over, "let in after the end");
                        }
                        Err(_) if over => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        Err(_) => {}
                    }
                }
            });
        }
        let stopping = Stopping(&stop);
        while inside.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        end();
        ended.store(true, Ordering::Release);
        while refused.load(Ordering::Relaxed) < 200 {
            std::thread::yield_now();
        }
        drop(stopping);
    });
}

/// Lets the threads go, also when what they wait for fails.
struct Stopping<'a>(&'a AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn what_has_ended_lets_nobody_in() {
    let house = House::new();
    house.add_user("owner@example.com", OrganizationRole::Owner);
    for round in 0..20 {
        let user = house.add_member(&format!("{round}@example.com"));
        let account = house.service.create_service_account(house.project, "x", &house.mandate(0)).unwrap().id;
        let robot = || house.add_key(Some(KeyOwner::ServiceAccount(account)));
        let own = || house.add_key(Some(KeyOwner::User(user)));
        let (service, mandate) = (&house.service, house.mandate(1));
        let made = robot();
        ends_for_all(&house, made.secret.expose(), || {
            drop(service.revoke_key(made.key.id, &mandate).unwrap())
        });
        let made = robot();
        let disable = KeyChanges { disabled: Some(true), ..KeyChanges::default() };
        ends_for_all(&house, made.secret.expose(), || {
            service.update_key(made.key.id, disable, &mandate).unwrap();
        });
        let made = robot();
        ends_for_all(&house, made.secret.expose(), || {
            service.rotate_key(made.key.id, 0, &mandate).unwrap();
        });
        let made = robot();
        ends_for_all(&house, made.secret.expose(), || {
            service.remove_service_account(house.project, account, &mandate).unwrap();
        });
        let made = own();
        ends_for_all(&house, made.secret.expose(), || {
            service.remove_member(house.project, user, &mandate).unwrap();
        });
        service.set_member(house.project, user, ProjectRole::Member, &mandate).unwrap();
        ends_for_all(&house, made.secret.expose(), || {
            service.remove_user(house.organization, user, &mandate).unwrap();
        });
    }
}

#[test]
fn what_is_made_opens_at_once_whatever_else_is_made() {
    let house = House::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let made = house.service.create_key(new_key(house.project), &house.mandate(1)).unwrap();
                    assert!(house.opens(&made.secret, 1));
                }
            });
        }
    });
    assert_eq!(house.service.directory().keys(house.project, None, usize::MAX).len(), 200);
    // All of them belong to one account: it was not made twice.
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    assert_eq!(tenant.service_accounts(house.project).len(), 1);
    house.is_in_step();
}

#[test]
fn two_changes_at_once_do_not_undo_each_other() {
    for _ in 0..200 {
        let house = House::new();
        let key = house.add_key(None).key.id;
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        let all = [
            KeyChanges { name: Some("renamed".to_owned()), ..KeyChanges::default() },
            KeyChanges { disabled: Some(true), ..KeyChanges::default() },
            KeyChanges { expires_at: Some(Some(at(99))), ..KeyChanges::default() },
            KeyChanges { bounds: Some(Bounds { networks, ..Bounds::default() }), ..KeyChanges::default() },
        ];
        std::thread::scope(|scope| {
            let house = &house;
            for changes in all {
                scope.spawn(move || house.service.update_key(key, changes, &house.mandate(1)).unwrap());
            }
            scope.spawn(|| {
                let name = Some("renamed".to_owned());
                let changes = ProjectChanges { name, ..ProjectChanges::default() };
                house.service.update_project(house.project, changes, &house.mandate(1)).unwrap();
            });
        });
        let key = house.service.directory().key(key).unwrap();
        let found = (key.name.as_str(), key.disabled_at, key.expires_at, key.bounds.networks.len());
        assert_eq!(found, ("renamed", Some(at(1)), Some(at(99)), 1));
        assert_eq!(house.service.directory().project(house.project).unwrap().name, "renamed");
        house.is_in_step();
    }
}

#[test]
fn of_two_owners_who_leave_at_once_one_stays() {
    for _ in 0..200 {
        let house = House::new();
        let owners =
            ["a", "b"].map(|name| house.add_user(&format!("{name}@example.com"), OrganizationRole::Owner).id);
        let left = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (house, left) = (&house, &left);
            scope.spawn(move || {
                let gone = house.service.remove_user(house.organization, owners[0], &house.mandate(1));
                left.fetch_add(usize::from(gone.is_ok()), Ordering::Relaxed);
            });
            scope.spawn(move || {
                let changes = UserChanges { role: Some(OrganizationRole::Reader), ..UserChanges::default() };
                let gone =
                    house.service.update_user(house.organization, owners[1], changes, &house.mandate(1));
                left.fetch_add(usize::from(gone.is_ok()), Ordering::Relaxed);
            });
        });
        let tenant = house.service.directory().tenant(house.organization).unwrap();
        let owners = tenant.users().iter().filter(|user| user.role == OrganizationRole::Owner).count();
        assert_eq!((left.into_inner(), owners), (1, 1));
    }
}

#[test]
fn an_invitation_is_accepted_once_however_many_try() {
    let house = House::new();
    for round in 0..50 {
        let sent = house.invite(&format!("{round}@example.com"), &[house.project]).unwrap();
        let accepted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let came = house.service.accept_invite(sent.token.expose(), None, &house.mandate(1));
                    accepted.fetch_add(usize::from(came.is_ok()), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(accepted.into_inner(), 1);
    }
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    assert_eq!(tenant.users().len(), 50);
    house.is_in_step();
}

#[test]
fn ids_of_the_tests_are_shared_between_threads() {
    // What the tests above rely on: two threads never draw the same id.
    let ids = CountingIds::default();
    let drawn = std::sync::Mutex::new(std::collections::HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    assert!(drawn.lock().unwrap().insert(domain::Ids::uuid(&ids)));
                }
            });
        }
    });
}
