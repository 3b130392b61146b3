//! The words of refusals: what is told, to whom it sends, and that no secret is in it.

use domain::{Refusal, RefusalCode};

use super::world::{
    account, address, admin_key, admin_secret, contents, directory, key, own_secret, project, secret, user,
    visit, with_key,
};
use super::{at, hasher};
use crate::{
    AdminKey, Bounds, Contents, Key, KeyKind, KeyOwner, Previous, Project, PublishedKeys, Scope, Secret,
    ServiceAccount, User, Visit, mask, missing_key, published_line,
};

/// Asserts a refusal's words, and that they hide the secret and never send for another key.
fn check(refusal: &Refusal, presented: &str, message: &str, next_step: &str) {
    assert_eq!(refusal.message, message);
    assert!(refusal.next_step.contains(next_step), "{:?} lacks {next_step:?}", refusal.next_step);
    let words = format!("{refusal:?} {} {}", refusal.message, refusal.next_step);
    assert!(!words.contains(|c: char| c.is_control()), "{words:?}");
    for sending in ["another key", "new key", "create a key", "make a key"] {
        assert!(!words.contains(sending), "{words:?}");
    }
    hides(&words, presented);
}

/// Asserts that a text holds no eight characters in a row of a secret.
fn hides(words: &str, secret: &str) {
    let characters: Vec<char> = secret.chars().skip("tk-".len()).collect();
    for part in characters.windows(8) {
        let part: String = part.iter().collect();
        // What every key of its kind begins with is no secret.
        let public = ["admin-", "invite-"].iter().any(|prefix| prefix.contains(&part[..5]));
        assert!(public || !words.contains(&part), "{words:?} has {part:?}");
    }
}

#[test]
fn a_wrong_key_is_told_what_is_wrong() {
    let directory = directory(contents());
    let good = own_secret();
    let other = secret(9, KeyKind::Project);
    let typo = good.expose().replacen(&good.expose()[10..12], "--", 1);
    for (presented, next_step) in [
        (other.expose(), "check that the base URL is the one of the gateway"),
        (&good.expose()[..40], "it has 40 characters where a whole key has 49"),
        (typo.as_str(), "copy it again"),
        ("sk-proj-abcdefghijklmnopqrstuvwxyz", "a key of another provider; this gateway expects its own key"),
        ("gsk_abcdefghijklmnopqrstuvwxyz0123", "a key of another provider"),
        ("", "begins with `tk-`"),
        ("YOUR_KEY", "begins with `tk-`"),
        ("\u{1b}]0;title\u{7}\r\nset-cookie: x=y", "begins with `tk-`"),
    ] {
        let refusal = directory.authenticate(presented, &visit(at(1))).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        let message = format!("Incorrect API key provided: {}.", mask(presented));
        check(&refusal, presented, &message, next_step);
        // At the administrators' door, too.
        let refusal = directory.administrator(presented, at(1)).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        hides(&format!("{refusal:?}"), presented);
    }
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
fn a_published_key_is_as_good_as_revoked() {
    let directory = directory(contents());
    let (caller, administrator) = (own_secret(), admin_secret());
    let published =
        [caller.expose(), administrator.expose(), "sk-of-a-provider"].map(published_line).join("\n");
    assert!(directory.check_published(caller.expose()).is_ok());
    directory.replace_published(PublishedKeys::read(&published).unwrap());
    let refusals = [
        (caller.expose(), directory.authenticate(caller.expose(), &visit(at(1))).unwrap_err()),
        (administrator.expose(), directory.administrator(administrator.expose(), at(1)).unwrap_err()),
        ("sk-of-a-provider", directory.check_published("sk-of-a-provider").unwrap_err()),
    ];
    for (presented, refusal) in refusals {
        assert_eq!(refusal.code, RefusalCode::InvalidKey);
        let message = format!(
            "Incorrect API key provided: {}. This key is known to be published, so anybody may hold it; it is treated as \
             revoked.",
            mask(presented)
        );
        check(&refusal, presented, &message, "revoke it where it was made");
    }
    directory.replace_published(PublishedKeys::default());
    assert!(directory.authenticate(caller.expose(), &visit(at(1))).is_ok());
}

#[test]
fn a_key_of_another_kind_is_told_where_it_belongs() {
    let directory = directory(contents());
    for (kind, at_models, at_administration) in [
        (KeyKind::Operator, "begin with `tk-op-` administer and call no models", "`tk-op-`"),
        (KeyKind::Admin, "begin with `tk-admin-` administer and call no models", "does not know it"),
        (KeyKind::Invite, "POST /admin/v1/invites/accept", "POST /admin/v1/invites/accept"),
        (KeyKind::Project, "does not know it", "send an administrator's key, which begins with `tk-admin-`"),
    ] {
        let presented = secret(9, kind);
        let message = format!("Incorrect API key provided: {}.", mask(presented.expose()));
        let calls = directory.authenticate(presented.expose(), &visit(at(1))).unwrap_err();
        check(&calls, presented.expose(), &message, at_models);
        let administers = directory.administrator(presented.expose(), at(1)).unwrap_err();
        check(&administers, presented.expose(), &message, at_administration);
        assert_eq!([calls.code, administers.code], [RefusalCode::InvalidKey; 2]);
    }
    // Good ones of the other kind are no better at the wrong door.
    assert!(directory.authenticate(admin_secret().expose(), &visit(at(1))).is_err());
    assert!(directory.administrator(own_secret().expose(), at(1)).is_err());
}

#[test]
fn a_known_key_is_told_why_it_is_stopped() {
    let (secret, shown) = (own_secret(), mask(own_secret().expose()));
    let key_words = |key: Key| with_key(key).authenticate(secret.expose(), &visit(at(100))).unwrap_err();
    let of = format!("The API key {shown} (`laptop`) of project `chat`");
    let ask = "ask whoever administers the organization `Acme`";
    for (key, message, next_step) in [
        (
            Key { expires_at: Some(at(10)), ..key() },
            format!("{of} expired at {}.", at(10)),
            format!("{ask} about its expiry"),
        ),
        (
            Key { revoked_at: Some(at(20)), ..key() },
            format!("{of} was revoked at {}.", at(20)),
            format!("{ask} why it was revoked"),
        ),
        (
            Key { disabled_at: Some(at(20)), ..key() },
            format!("{of} was disabled at {}.", at(20)),
            format!("{ask} why it was disabled"),
        ),
    ] {
        check(&key_words(key), secret.expose(), &message, &next_step);
    }
    let world = Contents { projects: vec![Project { archived_at: Some(at(30)), ..project() }], ..contents() };
    let archived = directory(world).authenticate(secret.expose(), &visit(at(100))).unwrap_err();
    let message = format!("The project `chat` ({}) was archived at {}.", project().id, at(30));
    check(&archived, secret.expose(), &message, "call from a project that is open");
    assert!(!archived.next_step.contains("reopen"), "nobody can");
}

#[test]
fn a_replaced_secret_is_told_so_and_the_new_one_stays_hidden() {
    let (old, new) = (secret(9, KeyKind::Project), own_secret());
    let previous = Previous { hash: hasher().hash(old.expose()), redacted: old.redacted(), until: at(10) };
    let directory = with_key(Key { previous: Some(previous), ..key() });
    let refusal = directory.authenticate(old.expose(), &visit(at(10))).unwrap_err();
    let message = format!(
        "The secret {} of the API key `laptop` of project `chat` was replaced, and worked until {}.",
        mask(old.expose()),
        at(10)
    );
    check(&refusal, old.expose(), &message, "use the key's new secret");
    hides(&format!("{refusal:?}"), new.expose());
}

#[test]
fn bounds_are_told_without_telling_the_networks() {
    let secret = own_secret();
    let bounds = Bounds {
        networks: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        endpoints: Some(vec![Scope::Embeddings, Scope::Models]),
        models: None,
    };
    let directory = with_key(Key { bounds, ..key() });
    let refused = |text: Option<&str>| {
        let knock = Visit { address: text.and_then(address), ..visit(at(1)) };
        directory.authenticate(secret.expose(), &knock).unwrap_err()
    };
    let key_shown = format!("The API key {} (`laptop`)", mask(secret.expose()));
    for (from, shown) in [
        (Some("192.0.2.1"), "the address 192.0.2.1"),
        (Some("::ffff:192.0.2.1"), "the address 192.0.2.1"),
        (None, "an address that is not known"),
    ] {
        let refusal = refused(from);
        assert_eq!(refusal.code, RefusalCode::AddressNotAllowed);
        let message = format!("{key_shown} may not be used from {shown}.");
        check(&refusal, secret.expose(), &message, "call from one of the key's networks");
        assert_eq!(refusal.limit.as_deref(), Some("2 networks"));
        let words = format!("{refusal:?}");
        assert!(!words.contains("10.0.0.0") && !words.contains("2001:db8"), "{words}");
    }
    let refusal = refused(Some("10.1.2.3"));
    assert_eq!(refusal.code, RefusalCode::EndpointNotAllowed);
    let message = format!(
        "{key_shown} has insufficient permissions for this operation: it lacks the scope `chat_completions`."
    );
    check(&refusal, secret.expose(), &message, "add `chat_completions` to its scopes");
    assert_eq!(refusal.limit.as_deref(), Some("embeddings, models"));
    // A key with an empty list of endpoints may call none.
    let bounds = Bounds { endpoints: Some(Vec::new()), ..Bounds::default() };
    let refusal = with_key(Key { bounds, ..key() }).authenticate(secret.expose(), &visit(at(1))).unwrap_err();
    assert_eq!(refusal.limit.as_deref(), Some("none"));
}

#[test]
fn an_owner_who_left_is_named_by_id() {
    let secret = own_secret();
    let removed_at = Some(at(2));
    for (contents, whose) in [
        (
            Contents { users: vec![User { removed_at, ..user() }], ..contents() },
            format!("member {}", user().id),
        ),
        (
            Contents {
                service_accounts: vec![ServiceAccount { removed_at, ..account() }],
                keys: vec![Key { owner: KeyOwner::ServiceAccount(account().id), ..key() }],
                ..contents()
            },
            format!("service account {}", account().id),
        ),
    ] {
        let refusal = directory(contents).authenticate(secret.expose(), &visit(at(9))).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::PrincipalRemoved);
        let message = format!(
            "The {whose}, to whom the API key `laptop` belongs, has no part in the project `chat` ({}).",
            project().id
        );
        check(&refusal, secret.expose(), &message, "ask whoever administers the organization `Acme`");
        // People's names and addresses are not for whoever found a key.
        let words = format!("{refusal:?}");
        assert!(!words.contains("Ada") && !words.contains("ada@example.com"), "{words}");
    }
}

#[test]
fn an_administrators_key_is_told_why_it_is_stopped() {
    let secret: Secret = admin_secret();
    let words = |contents: Contents| {
        let refusal = directory(contents).administrator(secret.expose(), at(50)).unwrap_err();
        hides(&format!("{refusal:?}"), secret.expose());
        // Who comes with a key that ended is sent to somebody who decides, not for another key.
        let has_left = refusal.message.contains("has left");
        let is_told = refusal.next_step.contains("whoever operates this gateway")
            && refusal.next_step.contains("`tollkeeper members key ");
        assert!(has_left || is_told && !refusal.next_step.contains("another"), "{refusal:?}");
        refusal.message
    };
    let with = |key: AdminKey| Contents { admin_keys: vec![key], ..contents() };
    let shown = format!("The administrator's key {} (`terraform`)", secret.redacted());
    for (contents, message) in [
        (
            with(AdminKey { expires_at: Some(at(50)), ..admin_key() }),
            format!("{shown} expired at {}.", at(50)),
        ),
        (
            with(AdminKey { revoked_at: Some(at(60)), ..admin_key() }),
            format!("{shown} was revoked at {}.", at(60)),
        ),
        (
            Contents { users: vec![User { removed_at: Some(at(1)), ..user() }], ..contents() },
            format!(
                "The member to whom the administrator's key {} belongs has left the organization.",
                secret.redacted()
            ),
        ),
    ] {
        assert_eq!(words(contents), message);
    }
}
