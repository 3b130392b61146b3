//! People, their parts in projects, and service accounts: what ends with them.

use domain::{OrganizationId, UserId};

use super::at;
use super::house::{House, field};
use crate::{KeyOwner, NewAdminKey, OrganizationRole, ProjectRole, UserChanges};

#[test]
fn whoever_leaves_a_project_leaves_with_their_keys() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let user = house.add_member("ada@example.com");
    let other = house.add_member("bob@example.com");
    let [made, others] = [user, other].map(|user| house.add_key(Some(KeyOwner::User(user))));
    service.remove_member(house.project, user, &mandate).unwrap();
    assert!(!house.opens(&made.secret, 6));
    assert!(house.opens(&others.secret, 6), "nobody else is concerned");
    assert_eq!(field(service.remove_member(house.project, user, &mandate)), "user");
    // Whoever comes back has their keys back: they were not revoked.
    let (_, member) = service.set_member(house.project, user, ProjectRole::Owner, &house.mandate(7)).unwrap();
    assert_eq!((member.role, member.added_at), (ProjectRole::Owner, at(7)));
    assert!(house.opens(&made.secret, 8));
    // Another role is not another arrival.
    let (_, member) =
        service.set_member(house.project, user, ProjectRole::Member, &house.mandate(9)).unwrap();
    assert_eq!((member.role, member.added_at), (ProjectRole::Member, at(7)));
    house.is_in_step();
}

#[test]
fn whoever_leaves_the_organization_leaves_everything() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let user = house.add_member("ada@example.com");
    let second = house.add_project("second");
    service.set_member(second, user, ProjectRole::Owner, &mandate).unwrap();
    let made = house.add_key(Some(KeyOwner::User(user)));
    let new = NewAdminKey { organization: house.organization, user, name: "x".to_owned(), expires_at: None };
    let admin = service.create_admin_key(new, &mandate).unwrap();
    let administers = |seconds| service.directory().administrator(admin.secret.expose(), at(seconds)).is_ok();
    assert!(house.opens(&made.secret, 5) && administers(5));
    service.remove_user(house.organization, user, &mandate).unwrap();
    assert!(!house.opens(&made.secret, 6) && !administers(6));
    let tenant = service.directory().tenant(house.organization).unwrap();
    assert!(tenant.user(user).is_none() && tenant.users().is_empty());
    assert!(tenant.members(house.project).is_empty() && tenant.members(second).is_empty());
    assert_eq!(tenant.user_by_email("ada@example.com"), None);
    // They cannot be changed any more, and their address is free for somebody new, whose keys the old ones are not.
    let changes = UserChanges::default();
    assert_eq!(field(service.remove_user(house.organization, user, &mandate)), "user");
    assert_eq!(field(service.update_user(house.organization, user, changes, &mandate)), "user");
    assert_eq!(field(service.set_member(house.project, user, ProjectRole::Member, &mandate)), "user_id");
    let again = house.add_member("ada@example.com");
    assert_ne!(again, user);
    assert!(!house.opens(&made.secret, 7) && !administers(7));
    house.is_in_step();
}

#[test]
fn people_of_another_organization_are_nobody_here() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let user = house.add_user("ada@example.com", OrganizationRole::Owner).id;
    let new = crate::NewOrganization { name: "other".to_owned(), ..Default::default() };
    let other = service.create_organization(new, &mandate).unwrap().id;
    let theirs = service.create_project(super::house::new_project(other, "x"), &mandate).unwrap().id;
    assert_eq!(field(service.update_user(other, user, UserChanges::default(), &mandate)), "user");
    assert_eq!(field(service.remove_user(other, user, &mandate)), "user");
    assert_eq!(field(service.set_member(theirs, user, ProjectRole::Member, &mandate)), "user_id");
    let key = crate::NewKey { owner: Some(KeyOwner::User(user)), ..super::house::new_key(theirs) };
    assert_eq!(field(service.create_key(key, &mandate)), "user");
    let nobody = OrganizationId::from_bytes([9; 16]);
    let new =
        crate::NewUser { organization: nobody, ..house.new_user("b@example.com", OrganizationRole::Owner) };
    assert_eq!(field(service.add_user(new, &mandate)), "organization");
}

#[test]
fn an_organization_that_has_an_owner_keeps_one() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let role = |id, role| {
        let changes = UserChanges { role: Some(role), ..UserChanges::default() };
        service.update_user(house.organization, id, changes, &mandate)
    };
    let ada = house.add_user("ada@example.com", OrganizationRole::Owner).id;
    let bob = house.add_user("bob@example.com", OrganizationRole::Admin).id;
    // An administrator is no owner.
    for demoted in [OrganizationRole::Admin, OrganizationRole::Reader] {
        assert_eq!(field(role(ada, demoted)), "role");
    }
    assert_eq!(field(service.remove_user(house.organization, ada, &mandate)), "role");
    // The last one can be renamed, and stay what they are.
    assert!(role(ada, OrganizationRole::Owner).is_ok());
    let renamed = UserChanges { name: Some("Ada".to_owned()), role: None };
    assert_eq!(service.update_user(house.organization, ada, renamed, &mandate).unwrap().name, "Ada");
    role(bob, OrganizationRole::Owner).unwrap();
    service.remove_user(house.organization, ada, &mandate).unwrap();
    // One who left does not count.
    assert_eq!(field(role(bob, OrganizationRole::Reader)), "role");
    assert_eq!(field(service.remove_user(house.organization, bob, &mandate)), "role");
    house.is_in_step();
}

#[test]
fn a_person_is_removed_in_a_role_that_may_be_removed() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let ada = house.add_user("ada@example.com", OrganizationRole::Reader).id;
    let promoted = UserChanges { role: Some(OrganizationRole::Admin), ..UserChanges::default() };
    service.update_user(house.organization, ada, promoted, &mandate).unwrap();
    let remove = |role| service.remove_user_if(house.organization, ada, |found| found == role, &mandate);
    assert_eq!(field(remove(OrganizationRole::Reader)), "role");
    assert!(service.directory().tenant(house.organization).unwrap().user(ada).is_some());
    remove(OrganizationRole::Admin).unwrap();
    house.is_in_step();
}

#[test]
fn who_manages_all_projects_needs_no_part_in_one() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    house.add_user("ada@example.com", OrganizationRole::Owner);
    let bob = house.add_member("bob@example.com");
    let made = house.add_key(Some(KeyOwner::User(bob)));
    let role = |role| {
        let changes = UserChanges { role: Some(role), ..UserChanges::default() };
        service.update_user(house.organization, bob, changes, &mandate).unwrap();
    };
    role(OrganizationRole::Owner);
    service.remove_member(house.project, bob, &mandate).unwrap();
    assert!(house.opens(&made.secret, 6), "owners have a part everywhere");
    role(OrganizationRole::Admin);
    assert!(house.opens(&made.secret, 6), "and so have admins");
    role(OrganizationRole::Reader);
    assert!(!house.opens(&made.secret, 6), "and lose it with the role");
}

#[test]
fn a_service_account_ends_with_its_keys() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let account = service.create_service_account(house.project, "robot", &mandate).unwrap();
    let other = service.create_service_account(house.project, "other", &mandate).unwrap();
    let user = house.add_member("ada@example.com");
    let own = [0; 3].map(|_| house.add_key(Some(KeyOwner::ServiceAccount(account.id))));
    let theirs =
        [KeyOwner::ServiceAccount(other.id), KeyOwner::User(user)].map(|owner| house.add_key(Some(owner)));
    service.revoke_key(own[0].key.id, &house.mandate(2)).unwrap();
    let renamed = service.rename_service_account(house.project, account.id, " r2 ", &mandate).unwrap();
    assert_eq!(renamed.name, "r2");
    let elsewhere = house.add_project("elsewhere");
    assert_eq!(field(service.remove_service_account(elsewhere, account.id, &mandate)), "service_account");
    assert!(house.opens(&own[1].secret, 5));
    let lines = house.told(|| service.remove_service_account(house.project, account.id, &mandate).unwrap());
    let mut ended: Vec<&str> = lines.iter().map(|line| line.action).collect();
    ended.sort_unstable();
    assert_eq!(ended, ["api_key.deleted", "api_key.deleted", "service_account.deleted"]);
    let revoked = |key: &crate::CreatedKey| service.directory().key(key.key.id).unwrap().revoked_at;
    assert_eq!(
        [revoked(&own[0]), revoked(&own[1]), revoked(&own[2])],
        [Some(at(2)), Some(at(5)), Some(at(5))]
    );
    assert!(own.iter().all(|made| !house.opens(&made.secret, 5)));
    assert!(theirs.iter().all(|made| house.opens(&made.secret, 5)));
    assert_eq!(field(service.remove_service_account(house.project, account.id, &mandate)), "service_account");
    assert_eq!(
        field(service.rename_service_account(house.project, account.id, "x", &mandate)),
        "service_account"
    );
    house.is_in_step();
}

#[test]
fn people_come_and_are_listed_in_order() {
    let house = House::new();
    let people: Vec<UserId> =
        ["c", "a", "b"].map(|name| house.add_member(&format!("{name}@example.com"))).to_vec();
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    assert_eq!(tenant.users().iter().map(|user| user.id).collect::<Vec<_>>(), people);
    assert_eq!(tenant.members(house.project).iter().map(|member| member.user).collect::<Vec<_>>(), people);
    let keys: Vec<_> = (0..5).map(|_| house.add_key(None).key.id).collect();
    let page = |after, limit| -> Vec<_> {
        house.service.directory().keys(house.project, after, limit).iter().map(|key| key.id).collect()
    };
    assert_eq!(page(None, 2), keys[..2]);
    assert_eq!(page(Some(keys[1]), 2), keys[2..4]);
    assert_eq!(page(Some(keys[4]), 2), []);
    assert_eq!(page(None, usize::MAX), keys);
}
