//! The operator's list of keys that are known to be published: the file that it stands in, read at the start and again
//! whenever it has changed.
//!
//! It knows files; what is on a list, and what that means for a key, the directory says.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use directory::PublishedKeys;

/// A list, where it stands, and how its file was when it was read.
#[derive(Debug)]
pub struct PublishedFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    keys: PublishedKeys,
    /// The line that stands for the operator's key.
    operator: Option<String>,
}

/// By what a change of a file is seen: when it was written, and how long it is.
type Stamp = (Option<SystemTime>, u64);

impl PublishedFile {
    /// Reads the list in this file.
    ///
    /// # Errors
    /// Every mistake in it, each with the file and the line.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<String>> {
        let failed = |error: std::io::Error| vec![format!("{}: {error}", path.display())];
        // The stamp comes first: what is written meanwhile is read again.
        let stamp = stamp(path);
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let named = |mistakes: Vec<String>| {
            mistakes.into_iter().map(|what| format!("{}, {what}", path.display())).collect::<Vec<_>>()
        };
        let keys = PublishedKeys::read(&text).map_err(named)?;
        Ok(Self { path: path.to_owned(), stamp, keys, operator: None })
    }

    /// From now on the operator's key, for which this line stands, is looked for in it, too.
    pub(crate) fn look_for(&mut self, line: &str) {
        self.operator = Some(line.to_owned());
    }

    /// Whether the operator's key is on it.
    pub(crate) fn has_operators(&self) -> bool {
        self.operator.as_ref().is_some_and(|line| self.keys.has_line(line))
    }

    /// The keys on it.
    pub(crate) const fn keys(&self) -> &PublishedKeys {
        &self.keys
    }

    /// The list as it is now, if its file has changed since it was read.
    ///
    /// # Errors
    /// Every mistake in the changed one; what was read before stands until the file changes once more.
    pub(crate) fn reread(&mut self) -> Result<Option<&PublishedKeys>, Vec<String>> {
        let now = stamp(&self.path);
        if now == self.stamp {
            return Ok(None);
        }
        self.stamp = now;
        self.keys = Self::read(&self.path)?.keys;
        Ok(Some(&self.keys))
    }
}

/// `None` where there is no file to be looked at.
fn stamp(path: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(path).ok()?;
    Some((about.modified().ok(), about.len()))
}

#[cfg(test)]
mod tests {
    use directory::published_line;

    use super::*;

    #[test]
    fn a_list_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("published");
        assert!(PublishedFile::read(&path).unwrap_err()[0].contains("published"), "there is none yet");
        std::fs::write(&path, published_line("sk-one")).unwrap();
        let mut file = PublishedFile::read(&path).unwrap();
        assert!(file.keys().has("sk-one"));
        assert_eq!(file.reread(), Ok(None), "nothing has changed");
        std::fs::write(&path, format!("{}\n{}\n", published_line("sk-one"), published_line("sk-two")))
            .unwrap();
        assert!(file.reread().unwrap().unwrap().has("sk-two"));
        // A list with a mistake in it is told of once, and takes nothing away.
        std::fs::write(&path, "sk-three in clear").unwrap();
        let mistakes = file.reread().unwrap_err();
        assert!(mistakes[0].contains("line 1") && !mistakes[0].contains("sk-three"), "{mistakes:?}");
        assert_eq!(file.reread(), Ok(None));
        assert!(file.keys().has("sk-two"));
        assert!(!file.has_operators());
        file.look_for(&published_line("tk-operators"));
        assert!(!file.has_operators());
        std::fs::write(&path, published_line("tk-operators")).unwrap();
        assert_eq!(file.reread().unwrap().unwrap().len(), 1);
        assert!(file.has_operators());
    }
}
