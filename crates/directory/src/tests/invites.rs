//! Invitations: accepted once, in time, by whoever has the token.

use domain::{AdminKeyId, InviteId, OrganizationId, ProjectId};

use super::at;
use super::house::{House, actions, field};
use super::world::secret;
use crate::{
    Actor, ActorKind, ChangeError, InvitedTo, KeyKind, Mandate, NewInvite, OrganizationRole, ProjectRole,
    UserChanges,
};

/// Seven days.
const OPEN: i64 = 7 * 24 * 60 * 60;

#[test]
fn an_invitation_lets_one_person_in_once() {
    let house = House::new();
    let second = house.add_project("second");
    let projects = vec![
        InvitedTo { id: house.project, role: ProjectRole::Owner },
        InvitedTo { id: second, role: ProjectRole::Member },
    ];
    let new = NewInvite {
        organization: house.organization,
        email: " ada@example.com ".to_owned(),
        role: OrganizationRole::Admin,
        projects,
    };
    let sent = house.service.create_invite(new, &house.mandate(0)).unwrap();
    assert_eq!((sent.invite.email.as_str(), sent.invite.expires_at), ("ada@example.com", at(OPEN)));
    assert_eq!(sent.token.kind(), KeyKind::Invite);
    assert_eq!(sent.invite.status(at(0)), "pending");
    let accept = |seconds, name: Option<&str>| {
        house.service.accept_invite(sent.token.expose(), name.map(str::to_owned), &house.mandate(seconds))
    };
    let accepted = accept(OPEN - 1, Some(" Ada ")).unwrap();
    assert_eq!((accepted.user.name.as_str(), accepted.user.role), ("Ada", OrganizationRole::Admin));
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    let role = |project| tenant.member(project, accepted.user.id).map(|member| member.role);
    assert_eq!([role(house.project), role(second)], [Some(ProjectRole::Owner), Some(ProjectRole::Member)]);
    let key = &accepted.admin_key.secret;
    assert!(house.service.directory().administrator(key.expose(), at(OPEN)).is_ok());
    assert_eq!(house.invitation(&sent).accepted_at, Some(at(OPEN - 1)));
    assert_eq!(house.invitation(&sent).status(at(OPEN)), "accepted");
    assert_eq!(field(accept(OPEN - 1, None)), "token");
    let (id, mandate) = (sent.invite.id, house.mandate(9));
    assert_eq!(field(house.service.withdraw_invite(house.organization, id, &mandate)), "invite");
    house.is_in_step();
}

#[test]
fn an_invitation_that_is_over_lets_nobody_in() {
    let house = House::new();
    let accept =
        |token: &str, seconds| house.service.accept_invite(token, None, &house.mandate(seconds)).map(drop);
    let refused: Result<(), ChangeError> = Err(ChangeError::Invalid {
        field: "token",
        problem: "belongs to no open invitation; ask for another".to_owned(),
    });
    let expired = house.invite("ada@example.com", &[]).unwrap();
    assert_eq!(house.invitation(&expired).status(at(OPEN)), "expired");
    assert_eq!(accept(expired.token.expose(), OPEN), refused);
    let withdrawn = house.invite("bob@example.com", &[]).unwrap();
    let withdraw =
        || house.service.withdraw_invite(house.organization, withdrawn.invite.id, &house.mandate(3));
    withdraw().unwrap();
    assert_eq!(field(withdraw()), "invite");
    assert_eq!(accept(withdrawn.token.expose(), 4), refused);
    // Whatever else is presented tells no more than that.
    let open = house.invite("cid@example.com", &[]).unwrap();
    let mut wrong = open.token.expose().to_owned();
    wrong.truncate(20);
    let (other, project_key) = (secret(9, KeyKind::Invite), house.add_key(None).secret);
    for token in
        ["", &wrong, other.expose(), project_key.expose(), open.token.expose().trim_start_matches("tk-")]
    {
        assert_eq!(accept(token, 4), refused);
    }
    assert_eq!(accept(open.token.expose(), 4), Ok(()));
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    assert_eq!(tenant.users().len(), 1);
    assert_eq!(tenant.invites().len(), 2, "the withdrawn one is not listed");
    house.is_in_step();
}

#[test]
fn an_invitation_is_checked_when_it_is_sent() {
    let house = House::new();
    house.add_member("ada@example.com");
    let closed = house.add_project("closed");
    house.service.archive_project(closed, &house.mandate(1)).unwrap();
    let nowhere = ProjectId::from_bytes([9; 16]);
    assert_eq!(field(house.invite("ADA@example.com", &[])), "email");
    assert_eq!(field(house.invite("nobody", &[])), "email");
    assert_eq!(field(house.invite("bob@example.com", &[house.project, nowhere])), "projects");
    assert_eq!(
        house.invite("bob@example.com", &[house.project, closed]).map(drop),
        Err(ChangeError::Archived { field: "projects", id: closed.to_string() })
    );
    assert_eq!(field(house.invite("bob@example.com", &[house.project, house.project])), "projects");
    let nobody = OrganizationId::from_bytes([9; 16]);
    let new = NewInvite {
        organization: nobody,
        email: "bob@example.com".to_owned(),
        role: OrganizationRole::Reader,
        projects: vec![],
    };
    assert_eq!(field(house.service.create_invite(new, &house.mandate(0))), "organization");
    let missing =
        house.service.withdraw_invite(house.organization, InviteId::from_bytes([9; 16]), &house.mandate(0));
    assert_eq!(field(missing), "invite");
}

#[test]
fn what_changed_since_an_invitation_was_sent_is_respected() {
    let house = House::new();
    let closing = house.add_project("closing");
    let sent = house.invite("ada@example.com", &[closing, house.project]).unwrap();
    house.service.archive_project(closing, &house.mandate(1)).unwrap();
    let twin = house.invite("ADA@example.com", &[]).unwrap();
    let accept = |token: &crate::Secret, seconds| {
        house.service.accept_invite(token.expose(), None, &house.mandate(seconds))
    };
    let mut accepted = None;
    let lines = house.told(|| accepted = accept(&sent.token, 2).ok());
    let user = accepted.unwrap().user;
    // The archived project is left out, and not told of.
    assert_eq!(
        actions(&lines),
        ["user.added", "project.user.added", "admin_api_key.created", "invite.accepted"]
    );
    let tenant = house.service.directory().tenant(house.organization).unwrap();
    assert!(tenant.member(closing, user.id).is_none() && tenant.member(house.project, user.id).is_some());
    // The other invitation is for somebody who is a member by now; once they have left it lets them in again.
    assert_eq!(field(accept(&twin.token, 3)), "email");
    assert_eq!(house.invitation(&twin).accepted_at, None);
    house.service.remove_user(house.organization, user.id, &house.mandate(4)).unwrap();
    let again = accept(&twin.token, 5).unwrap();
    assert_ne!(again.user.id, user.id);
    house.is_in_step();
}

#[test]
fn nobody_comes_in_by_the_word_of_one_who_may_not_invite_any_more() {
    for (sender, role, after, lets_in) in [
        (OrganizationRole::Owner, OrganizationRole::Owner, Some(OrganizationRole::Owner), true),
        (OrganizationRole::Owner, OrganizationRole::Owner, Some(OrganizationRole::Admin), false),
        (OrganizationRole::Owner, OrganizationRole::Reader, Some(OrganizationRole::Admin), true),
        (OrganizationRole::Owner, OrganizationRole::Reader, Some(OrganizationRole::Reader), false),
        (OrganizationRole::Owner, OrganizationRole::Owner, None, false),
        (OrganizationRole::Owner, OrganizationRole::Reader, None, false),
    ] {
        let house = House::new();
        house.add_user("keeper@example.com", OrganizationRole::Owner);
        let sender = house.add_user("sender@example.com", sender).id;
        let (key, email) = (AdminKeyId::from_bytes([1; 16]), "sender@example.com".to_owned());
        let actor = Actor { by: ActorKind::AdminKey { key, user: sender, email }, address: None };
        let new = NewInvite {
            organization: house.organization,
            email: "second@example.com".to_owned(),
            role,
            projects: Vec::new(),
        };
        let sent = house.service.create_invite(new, &Mandate { actor, ..house.mandate(1) }).unwrap();
        match after {
            Some(role) => {
                let changes = UserChanges { role: Some(role), ..UserChanges::default() };
                house.service.update_user(house.organization, sender, changes, &house.mandate(2)).map(drop)
            }
            None => house.service.remove_user(house.organization, sender, &house.mandate(2)),
        }
        .unwrap();
        let accepted = house.service.accept_invite(sent.token.expose(), None, &house.mandate(3));
        if lets_in {
            assert_eq!(accepted.unwrap().user.role, role);
        } else {
            assert_eq!(field(accepted), "token", "{role} by one who is {after:?} now");
        }
    }
}
