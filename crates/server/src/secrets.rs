//! The gateway's own secrets: the operator's key, and the pepper that key hashes are made with. Files in the data
//! folder, readable by their owner alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use directory::{KeyHash, KeyHasher, KeyKind, PublishedKeys, Secret, published_line};
use domain::Ids;
use secrecy::{ExposeSecret, SecretString};

/// The variable that gives the operator's key on the first start, and to the client commands.
pub const OPERATOR_KEY: &str = "TOLLKEEPER_OPERATOR_KEY";

/// The file of the data folder that holds the operator's key.
pub(crate) const OPERATOR_FILE: &str = "operator.key";

/// What is said where the operator's key is on the list of published ones.
pub(crate) const OPERATOR_PUBLISHED: &str =
    "the operator's key is known to be published (access.published_keys), and is refused";
/// What helps there.
pub(crate) const ANOTHER_OPERATOR_KEY: &str =
    "move operator.key out of the data folder and start the gateway anew, which makes another one";

/// Why the secrets are unusable.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The variable holds something that cannot be a key.
    #[error("{OPERATOR_KEY} must have 16 to 256 characters without spaces")]
    Variable,
    /// The variable holds a key that anybody may hold.
    #[error("the key in {OPERATOR_KEY} is known to be published (access.published_keys): give another one")]
    Published,
}

/// The operator's key by its hash, and the pepper of all hashes.
pub(crate) struct Secrets {
    pepper: [u8; 32],
    pub(crate) operator: KeyHash,
    /// The line that stands for the operator's key in lists of published keys.
    pub(crate) operator_line: String,
    /// The operator's key, when it was made just now and has to be shown once.
    pub(crate) created: Option<SecretString>,
}

impl Secrets {
    /// Reads the secrets of a data folder, or makes them. A given operator's key is kept on the first start only.
    pub(crate) fn open(
        folder: &Path,
        given: Option<&str>,
        published: &PublishedKeys,
        ids: &dyn Ids,
    ) -> Result<Self, SecretsError> {
        let pepper = pepper(&folder.join("key.pepper"), ids)?;
        let hasher = KeyHasher::new(pepper);
        let path = folder.join(OPERATOR_FILE);
        if let Some(key) = read_private(&path)? {
            let (operator, operator_line) = (hasher.hash(key.trim()), published_line(&key));
            return Ok(Self { pepper, operator, operator_line, created: None });
        }
        let (key, created) = match given {
            Some(key) => {
                let plain =
                    (16..=256).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
                if !plain {
                    return Err(SecretsError::Variable);
                }
                if published.has(key) {
                    return Err(SecretsError::Published);
                }
                (SecretString::from(key), None)
            }
            None => {
                let secret = Secret::generate(KeyKind::Operator, ids);
                let key = SecretString::from(secret.expose());
                (key.clone(), Some(key))
            }
        };
        write_private(&path, key.expose_secret())?;
        let operator = hasher.hash(key.expose_secret());
        Ok(Self { pepper, operator, operator_line: published_line(key.expose_secret()), created })
    }

    /// A hasher for the keys of this data folder.
    pub(crate) fn hasher(&self) -> KeyHasher {
        KeyHasher::new(self.pepper)
    }
}

fn pepper(path: &Path, ids: &dyn Ids) -> Result<[u8; 32], SecretsError> {
    if let Some(text) = read_private(path)? {
        let wrong = || SecretsError::Content { path: path.to_owned(), what: "must be 64 hexadecimal digits" };
        return blake3::Hash::from_hex(text.trim()).map(|hash| *hash.as_bytes()).map_err(|_| wrong());
    }
    let pepper = ids.secret();
    write_private(path, &blake3::Hash::from_bytes(pepper).to_hex())?;
    Ok(pepper)
}

/// The text of a private file, `None` when there is none.
pub(crate) fn read_private(path: &Path) -> Result<Option<String>, SecretsError> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretsError::File { path: path.to_owned(), source }),
    }
}

/// Writes a new private file, durable before it is used: whatever is hashed with a lost pepper is lost too.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), SecretsError> {
    let write = || {
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| SecretsError::File { path: path.to_owned(), source })
}
