//! The envelope of a sealed secret: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) twice, by a data key of the secret's
//! own and by a master key around that.
//!
//! As stored: a version (1 byte), the master key's id (8), the nonce (24) and the sealed data key (32 + 16), the nonce
//! (24) and the sealed secret (its length + 16). Both are sealed with the id of the record and of its organization as
//! associated data, so nothing that is sealed can be moved to another record.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use domain::{Ids, OrganizationId, ProviderKeyId};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};

/// The one way of sealing there is.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
const ID_BYTES: usize = 8;

/// A master key's name: the beginning of a hash of it, which tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MasterId([u8; ID_BYTES]);

impl fmt::Display for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that seals data keys.
pub(super) struct MasterKey {
    id: MasterId,
    bytes: SecretBox<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// The key of this text: 32 bytes in hexadecimal or in base64, with or without padding.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = from_hex(text).or_else(|| from_base64(text))?;
        let hash = blake3::derive_key("tollkeeper 2026 name of a master key", bytes.as_slice());
        let [a, b, c, d, e, f, g, h, ..] = hash;
        Some(Self { id: MasterId([a, b, c, d, e, f, g, h]), bytes: SecretBox::new(Box::new(*bytes)) })
    }

    pub(super) const fn id(&self) -> MasterId {
        self.id
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        cipher(self.bytes.expose_secret())
    }
}

/// Which record something is sealed for.
pub(super) struct Place {
    pub(super) id: ProviderKeyId,
    pub(super) organization: OrganizationId,
}

/// What of a record a seal is for.
#[derive(Clone, Copy)]
enum Part {
    DataKey,
    Secret,
}

impl Place {
    /// The associated data.
    fn bound(&self, part: Part) -> Vec<u8> {
        let part: &[u8] = match part {
            Part::DataKey => b"tollkeeper data key",
            Part::Secret => b"tollkeeper provider key",
        };
        [part, self.id.as_bytes(), self.organization.as_bytes()].concat()
    }
}

/// Why something sealed cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unopened {
    /// No master key that is configured has sealed it.
    #[error("it was sealed by the master key {0}, which vault.master_keys does not hold")]
    NoMaster(MasterId),
    /// It is not what was sealed for this record.
    #[error("what is stored is not what was sealed for it; remove it, and bring the key again")]
    Damaged,
}

/// The parts of an envelope.
struct Envelope<'a> {
    master: MasterId,
    key_nonce: &'a [u8],
    sealed_key: &'a [u8],
    /// The nonce and the sealed secret, which stay as they are when the data key is sealed anew.
    rest: &'a [u8],
    nonce: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (version, rest) = bytes.split_at_checked(1)?;
        let (master, rest) = rest.split_first_chunk::<ID_BYTES>()?;
        let (key_nonce, rest) = rest.split_at_checked(NONCE_BYTES)?;
        let (sealed_key, rest) = rest.split_at_checked(KEY_BYTES + TAG_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        (version == [VERSION]).then_some(Self {
            master: MasterId(*master),
            key_nonce,
            sealed_key,
            rest,
            nonce,
            sealed,
        })
    }

    /// The data key.
    fn data_key(&self, masters: &[MasterKey], place: &Place) -> Result<Zeroizing<[u8; KEY_BYTES]>, Unopened> {
        let master = masters.iter().find(|master| master.id == self.master);
        let master = master.ok_or(Unopened::NoMaster(self.master))?;
        let opened = unlock(&master.cipher(), self.key_nonce, self.sealed_key, &place.bound(Part::DataKey))?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if opened.len() != KEY_BYTES {
            return Err(Unopened::Damaged);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

/// Seals a secret by a fresh data key, and that by the master key; `None` if it is longer than the cipher takes.
pub(super) fn seal(
    master: &MasterKey,
    secret: &SecretString,
    place: &Place,
    ids: &dyn Ids,
) -> Option<Vec<u8>> {
    let data_key = Zeroizing::new(ids.secret());
    let (nonce, text) = (nonce(ids), secret.expose_secret().as_bytes());
    let sealed = lock(&cipher(&data_key), &nonce, text, &place.bound(Part::Secret))?;
    enclose(master, &data_key, place, &[&nonce[..], &sealed].concat(), ids)
}

/// The envelope of a data key and of what is sealed by it.
fn enclose(
    master: &MasterKey,
    data_key: &[u8; KEY_BYTES],
    place: &Place,
    rest: &[u8],
    ids: &dyn Ids,
) -> Option<Vec<u8>> {
    let key_nonce = nonce(ids);
    let sealed_key = lock(&master.cipher(), &key_nonce, data_key, &place.bound(Part::DataKey))?;
    Some([&[VERSION], &master.id.0[..], &key_nonce, &sealed_key, rest].concat())
}

/// Opens an envelope.
pub(super) fn open(masters: &[MasterKey], bytes: &[u8], place: &Place) -> Result<SecretString, Unopened> {
    let envelope = Envelope::read(bytes).ok_or(Unopened::Damaged)?;
    let data_key = envelope.data_key(masters, place)?;
    let bound = place.bound(Part::Secret);
    let opened = unlock(&cipher(&data_key), envelope.nonce, envelope.sealed, &bound)?;
    let text = std::str::from_utf8(&opened).map_err(|_| Unopened::Damaged)?;
    Ok(SecretString::from(text))
}

/// The envelope with its data key sealed by the first of these; `None` where that is so already.
pub(super) fn reseal(
    masters: &[MasterKey],
    bytes: &[u8],
    place: &Place,
    ids: &dyn Ids,
) -> Result<Option<Vec<u8>>, Unopened> {
    let envelope = Envelope::read(bytes).ok_or(Unopened::Damaged)?;
    let first = masters.first().ok_or(Unopened::NoMaster(envelope.master))?;
    // Opened whole, so that what cannot be opened is not thought well because its outer seal is.
    open(masters, bytes, place)?;
    if first.id == envelope.master {
        return Ok(None);
    }
    let data_key = envelope.data_key(masters, place)?;
    enclose(first, &data_key, place, envelope.rest, ids).map(Some).ok_or(Unopened::Damaged)
}

/// The master key that an envelope names.
pub(super) fn master_of(bytes: &[u8]) -> Option<MasterId> {
    Some(Envelope::read(bytes)?.master)
}

fn cipher(key: &[u8; KEY_BYTES]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}

/// 24 bytes of chance: so many that no two are ever the same.
fn nonce(ids: &dyn Ids) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    for (place, byte) in nonce.iter_mut().zip(ids.secret()) {
        *place = byte;
    }
    nonce
}

pub(super) fn lock(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8; NONCE_BYTES],
    text: &[u8],
    bound: &[u8],
) -> Option<Vec<u8>> {
    cipher.encrypt(&XNonce::from(*nonce), Payload { msg: text, aad: bound }).ok()
}

fn unlock(
    cipher: &XChaCha20Poly1305,
    nonce: &[u8],
    sealed: &[u8],
    bound: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).map_err(|_| Unopened::Damaged)?;
    let opened = cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: bound });
    opened.map(Zeroizing::new).map_err(|_| Unopened::Damaged)
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let hash = blake3::Hash::from_hex(text).ok()?;
    Some(Zeroizing::new(*hash.as_bytes()))
}

/// 32 bytes in base64, of either alphabet.
fn from_base64(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let text = text.trim_end_matches('=');
    if text.len() != KEY_BYTES * 4 / 3 + 1 {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let mut places = key.iter_mut();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (held, bits) = ((held << 6) | u32::from(digit), bits + 6);
        if bits >= 8 {
            bits -= 8;
            *places.next()? = u8::try_from((held >> bits) & 0xff).ok()?;
        }
    }
    // What is left over says nothing in a text that was made of 32 bytes.
    let left_over = held & ((1 << bits) - 1);
    (places.next().is_none() && left_over == 0).then_some(key)
}
