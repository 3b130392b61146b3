//! The files that tidy looks at: text, ours, in the repository.

use std::io;
use std::path::Path;

/// Folders that hold nothing of ours, by name.
const FOREIGN: &[&str] =
    &[".git", ".pytest_cache", ".venv", "__pycache__", "demo-data", "node_modules", "target"];
/// Files that are written by tools, by name.
const GENERATED: &[&str] = &["Cargo.lock", "package-lock.json"];

/// The repository as text files.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// In order of their paths.
    pub(super) files: Vec<TextFile>,
}

/// A file and what is in it.
#[derive(Debug)]
pub(super) struct TextFile {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Tree {
    /// Reads every file under `root` that is UTF-8 text.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let kind = entry.file_type()?;
                if kind.is_dir() && !FOREIGN.contains(&&*name) {
                    folders.push(entry.path());
                } else if kind.is_file() && !GENERATED.contains(&&*name) {
                    // What is no text (an image, an archive) is none of tidy's business.
                    if let Ok(text) = String::from_utf8(std::fs::read(entry.path())?) {
                        let path = entry.path();
                        let path = path.strip_prefix(root).unwrap_or(&path);
                        files.push(TextFile { path: path.to_string_lossy().into_owned(), text });
                    }
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    /// The file of that path.
    pub(super) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl TextFile {
    /// The end of the name after its last dot; empty where there is none.
    pub(super) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// `domain` of `crates/domain/src/lib.rs`; nothing outside `crates/`.
    pub(super) fn shipped_crate(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }
}
