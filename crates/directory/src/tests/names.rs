//! Names and addresses for mail, in any script.

use super::house::{House, field, new_key, new_project};
use crate::{
    KeyChanges, NewAdminKey, NewKey, NewOrganization, NewUser, OrganizationChanges, OrganizationRole,
    ProjectChanges, UserChanges,
};

#[test]
fn names_are_checked_wherever_they_are_given() {
    let house = House::new();
    let (service, mandate) = (&house.service, house.mandate(5));
    let user = house.add_user("ada@example.com", OrganizationRole::Reader).id;
    let key = house.add_key(None).key.id;
    let account = service.create_service_account(house.project, "x", &mandate).unwrap().id;
    let too_long = "𝔵".repeat(101);
    for (name, problem) in [
        ("", "`name` is empty"),
        (" \t\n ", "`name` is empty"),
        (too_long.as_str(), "`name` has 101 characters; at most 100"),
        ("a\nb", "`name` contains a control or invisible character"),
    ] {
        let text = || Some(name.to_owned());
        let sent = house.invite(&format!("{}@example.com", name.len()), &[]).unwrap();
        let outcomes = [
            service
                .create_organization(
                    NewOrganization { name: name.to_owned(), ..Default::default() },
                    &mandate,
                )
                .map(drop),
            service
                .update_organization(
                    house.organization,
                    OrganizationChanges { name: text(), ..Default::default() },
                    &mandate,
                )
                .map(drop),
            service.create_project(new_project(house.organization, name), &mandate).map(drop),
            service
                .update_project(
                    house.project,
                    ProjectChanges { name: text(), ..Default::default() },
                    &mandate,
                )
                .map(drop),
            service.create_key(NewKey { name: text(), ..new_key(house.project) }, &mandate).map(drop),
            service.update_key(key, KeyChanges { name: text(), ..Default::default() }, &mandate).map(drop),
            service
                .add_user(
                    NewUser { name: text(), ..house.new_user("bob@example.com", OrganizationRole::Reader) },
                    &mandate,
                )
                .map(drop),
            service
                .update_user(
                    house.organization,
                    user,
                    UserChanges { name: text(), ..Default::default() },
                    &mandate,
                )
                .map(drop),
            service.create_service_account(house.project, name, &mandate).map(drop),
            service.rename_service_account(house.project, account, name, &mandate).map(drop),
            service
                .create_admin_key(
                    NewAdminKey {
                        organization: house.organization,
                        user,
                        name: name.to_owned(),
                        expires_at: None,
                    },
                    &mandate,
                )
                .map(drop),
            service.accept_invite(sent.token.expose(), text(), &mandate).map(drop),
        ];
        for (number, outcome) in outcomes.into_iter().enumerate() {
            let found = outcome.unwrap_err().to_string();
            assert!(found.starts_with(problem), "{number}: {name:?}: {found}");
        }
    }
}

#[test]
fn names_are_kept_byte_for_byte() {
    let house = House::new();
    let long = "𝔵".repeat(100);
    // The same letter composed and decomposed, a Cyrillic look-alike, a letter of four bytes, combined emoji without
    // joiners, right-to-left letters: all are names, and none is turned into another.
    for name in ["é", "e\u{301}", "А", "A", "Grüße, 世界", "نام", &long, "👍🏽", "a`b\"c'd;--<>&{}"]
    {
        let made = house.service.create_project(new_project(house.organization, name), &house.mandate(1));
        let id = made.unwrap().id;
        assert_eq!(house.service.directory().project(id).unwrap().name.as_bytes(), name.as_bytes());
    }
    let made =
        house.service.create_project(new_project(house.organization, "\u{a0} x\u{3000}"), &house.mandate(1));
    assert_eq!(made.unwrap().name, "x", "blanks of any script around it are none of it");
    house.is_in_step();
}

#[test]
fn no_name_has_characters_that_cannot_be_seen() {
    let house = House::new();
    let before = house.store.audit().len();
    let controls = (0..=0x1f).chain(0x7f..=0x9f);
    let directions = [0x61c, 0x200e, 0x200f].into_iter().chain(0x202a..=0x202e).chain(0x2066..=0x2069);
    let no_room = [0xad, 0x180e, 0x200b, 0x200c, 0x200d, 0x2060, 0x2064, 0xfeff, 0xfff9, 0xe0041];
    let fillers = [0x115f, 0x1160, 0x3164, 0xffa0];
    let lines = [0x2028, 0x2029];
    let all = controls.chain(directions).chain(no_room).chain(fillers).chain(lines);
    for number in all {
        let character = char::from_u32(number).unwrap();
        let name = format!("a{character}b");
        let made = house.service.create_project(new_project(house.organization, &name), &house.mandate(1));
        assert_eq!(field(made), "name", "U+{number:04X}");
        let email = format!("a{character}b@example.com");
        let new = house.new_user(&email, OrganizationRole::Reader);
        assert_eq!(field(house.service.add_user(new, &house.mandate(1))), "email", "U+{number:04X}");
    }
    assert_eq!(house.store.audit().len(), before);
}

#[test]
fn mail_addresses_are_plausible_and_kept_as_written() {
    let house = House::new();
    // 254 bytes are an address, 255 are none, however few characters they are.
    let longest = format!("{}@example.com", "a".repeat(242));
    let too_long = format!("{}@example.com", "a".repeat(243));
    let too_long_bytes = format!("{}@example.com", "ü".repeat(122));
    for (email, kept) in [
        ("ada@example.com", Some("ada@example.com")),
        ("  bob@example.com\n", Some("bob@example.com")),
        ("Cid+tag@Example.COM", Some("Cid+tag@Example.COM")),
        ("grüße@bücher.example", Some("grüße@bücher.example")),
        ("用户@例子.广告", Some("用户@例子.广告")),
        ("a@b", Some("a@b")),
        ("o'hara@example.com", Some("o'hara@example.com")),
        (&longest, Some(longest.as_str())),
        (&too_long, None),
        (&too_long_bytes, None),
        ("", None),
        ("@", None),
        ("a@", None),
        ("@b", None),
        ("example.com", None),
        ("a@b@c", None),
        ("a@@b", None),
        ("<a@b.example>", None),
        ("Ada <ada@example.com>", None),
        ("a b@example.com", None),
        ("a@exam ple.com", None),
        ("a@.example.com", None),
        ("a@example.com.", None),
        ("a@example.com\r\nBcc: b@example.com", None),
        ("a\u{202e}@example.com", None),
    ] {
        let added =
            house.service.add_user(house.new_user(email, OrganizationRole::Reader), &house.mandate(1));
        match kept {
            Some(kept) => {
                let user = added.unwrap();
                assert_eq!((user.email.as_str(), user.name.as_str()), (kept, kept));
            }
            None => assert_eq!(field(added), "email", "{email:?}"),
        }
    }
}

#[test]
fn an_address_is_one_member_however_it_is_spelled() {
    let house = House::new();
    house.add_user("ada@example.com", OrganizationRole::Reader);
    house.add_user("é@example.com", OrganizationRole::Reader);
    for (email, taken) in [
        ("ADA@EXAMPLE.COM", true),
        (" Ada@Example.com ", true),
        ("é@EXAMPLE.com", true),
        // Only ASCII letters are the same in both cases, as in the store's index; nothing is composed or decomposed.
        ("É@example.com", false),
        ("e\u{301}@example.com", false),
    ] {
        let invited = house.invite(email, &[]);
        let added =
            house.service.add_user(house.new_user(email, OrganizationRole::Reader), &house.mandate(1));
        if taken {
            assert_eq!([field(invited), field(added)], ["email"; 2], "{email:?}");
        } else {
            assert!(invited.is_ok() && added.is_ok(), "{email:?}");
        }
    }
}
