//! The vault: the cipher by its published vector, and what must not open.

use std::sync::Arc;

use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};
use domain::{OrganizationId, ProviderKeyId};
use secrecy::{ExposeSecret, SecretString};

use super::envelope::{MasterKey, lock};
use super::{MasterKeys, Unopened, Vault};
use crate::clock::SystemIds;
use crate::config::Environment;

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The same bytes, and others.
const OLD_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

fn vault(keys: &str) -> Vault {
    let references = MasterKeys(vec!["env:MASTER".to_owned()]);
    Vault::open(references, Environment::from([("MASTER", keys)]), Arc::new(SystemIds)).unwrap()
}

fn id(n: u8) -> ProviderKeyId {
    ProviderKeyId::from_bytes([n; 16])
}

fn organization(n: u8) -> OrganizationId {
    OrganizationId::from_bytes([n; 16])
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn the_cipher_is_the_drafts() {
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let key: [u8; 32] =
        from_hex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f").try_into().unwrap();
    let nonce: [u8; 24] = from_hex("404142434445464748494a4b4c4d4e4f5051525354555657").try_into().unwrap();
    let sealed = from_hex(concat!(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb",
        "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452",
        "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9",
        "21f9664c97637da9768812f615c68b13b52e",
        "c0875924c1c7987947deafd8780acf49",
    ));
    let bound = from_hex("50515253c0c1c2c3c4c5c6c7");
    let cipher = XChaCha20Poly1305::new(&Key::from(key));
    assert_eq!(lock(&cipher, &nonce, text, &bound).unwrap(), sealed);
}

#[test]
fn what_was_sealed_opens_for_its_own_record_alone() {
    let vault = vault(OLD);
    let secret = SecretString::from("sk-very-secret");
    let sealed = vault.seal(&secret, id(1), organization(1)).unwrap();
    let open = |sealed: &directory::Sealed, n, of| {
        vault.unseal(sealed, id(n), organization(of)).map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(open(&sealed, 1, 1).as_deref(), Ok("sk-very-secret"));
    assert_eq!((open(&sealed, 2, 1), open(&sealed, 1, 2)), (Err(Unopened::Damaged), Err(Unopened::Damaged)));
    // Neither the secret nor anything that is the same twice can be seen.
    let again = vault.seal(&secret, id(1), organization(1)).unwrap();
    assert!(!sealed.as_bytes().windows(4).any(|part| part == b"very"));
    assert_ne!(sealed.as_bytes()[9..], again.as_bytes()[9..]);
    assert!(!format!("{sealed:?} {vault:?}").contains("very"), "{vault:?}");
    // Any bit that is flipped, and any byte that is missing, is noticed.
    for bit in 0..sealed.as_bytes().len() * 8 {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = open(&directory::Sealed::from_bytes(bytes), 1, 1).unwrap_err();
        let expected = if (8..72).contains(&bit) { "master key" } else { "not what was sealed" };
        assert!(refused.to_string().contains(expected), "{bit}: {refused}");
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = directory::Sealed::from_bytes(sealed.as_bytes()[..length].to_vec());
        assert_eq!(open(&cut, 1, 1), Err(Unopened::Damaged), "{length}");
    }
}

#[test]
fn master_keys_are_turned_over() {
    let before = vault(OLD);
    let secret = SecretString::from("sk-very-secret");
    let sealed = before.seal(&secret, id(1), organization(1)).unwrap();
    let old = before.masters()[0];
    assert_eq!(Vault::sealed_by(&sealed), Some(old));
    assert_eq!(before.reseal(&sealed, id(1), organization(1)), Ok(None));
    let both = vault(&format!("{NEW}\n\n{OLD_BASE64}\n{OLD}\n"));
    assert_eq!(both.masters().len(), 2, "the same key in two ways is one");
    let again = both.reseal(&sealed, id(1), organization(1)).unwrap().unwrap();
    assert_eq!(Vault::sealed_by(&again), Some(both.masters()[0]));
    let after = vault(NEW);
    let opened = after.unseal(&again, id(1), organization(1)).unwrap();
    assert_eq!(opened.expose_secret(), "sk-very-secret");
    assert_eq!(after.unseal(&sealed, id(1), organization(1)).unwrap_err(), Unopened::NoMaster(old));
    assert_eq!(after.reseal(&sealed, id(1), organization(1)), Err(Unopened::NoMaster(old)));
    assert_eq!(both.reseal(&again, id(2), organization(1)), Err(Unopened::Damaged));
}

#[test]
fn a_file_is_read_again_and_what_is_wrong_with_it_is_said_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master");
    std::fs::write(&path, OLD).unwrap();
    let references = MasterKeys(vec![format!("file:{}", path.display())]);
    let environment = Environment::default();
    let vault = Vault::open(references.clone(), environment.clone(), Arc::new(SystemIds)).unwrap();
    let old = vault.masters();
    std::fs::write(&path, format!("{NEW}\n{OLD}")).unwrap();
    vault.read_again().unwrap();
    assert_eq!((vault.masters().len(), vault.masters()[1]), (2, old[0]));
    std::fs::write(&path, "0123 hunter2").unwrap();
    let wrong = vault.read_again().unwrap_err();
    assert!(wrong.contains("no master key") && !wrong.contains("hunter2"), "{wrong}");
    assert_eq!(vault.masters().len(), 2, "those of before stay");
    assert!(references.check(&environment).is_err());
    assert!(!Vault::open(MasterKeys::default(), environment, Arc::new(SystemIds)).unwrap().is_there());
}

#[test]
fn a_master_key_is_32_bytes() {
    assert!(MasterKey::read(OLD).unwrap().id() == MasterKey::read(OLD_BASE64).unwrap().id());
    for wrong in ["", "x", &OLD[1..], &OLD_BASE64[4..], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "é"]
    {
        assert!(MasterKey::read(wrong).is_none(), "{wrong}");
    }
}
