//! The Rust files of the workspace, by their paths from its root, with `/` between folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};

use super::text;

/// The files, in the order of their paths.
#[derive(Default)]
pub(super) struct Files(BTreeMap<String, File>);

/// A file as it is, and its code alone.
pub(super) struct File {
    pub(super) text: String,
    pub(super) code: String,
}

impl Files {
    /// All below `root`, without what is hidden, and without the folder that cargo builds in.
    pub(super) fn below(root: &Path, target: &Path) -> Result<Self> {
        let mut files = Self::default();
        files.add_folder(root, root, target)?;
        Ok(files)
    }

    fn add_folder(&mut self, root: &Path, folder: &Path, target: &Path) -> Result<()> {
        let cannot_read = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(cannot_read)? {
            let path = entry.with_context(cannot_read)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" || path == target {
                continue;
            }
            if path.is_dir() {
                self.add_folder(root, &path, target)?;
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                self.add(&path.strip_prefix(root)?.to_string_lossy(), text);
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, path: &str, text: String) {
        let code = text::code(&text);
        self.0.insert(path.to_owned(), File { text, code });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// The files in a folder and below it, by their paths from there.
    pub(super) fn within(&self, folder: &str) -> impl Iterator<Item = (&str, &File)> {
        self.iter().filter_map(move |(path, file)| {
            Some((path.strip_prefix(folder)?.strip_prefix('/')?, file))
        })
    }

    /// Folders with a `lib.rs` or `main.rs`: each is a crate's.
    pub(super) fn crates(&self) -> BTreeSet<&str> {
        self.0
            .keys()
            .filter_map(|path| path.rsplit_once('/'))
            .filter(|(_, name)| matches!(*name, "lib.rs" | "main.rs"))
            .map(|(folder, _)| folder)
            .collect()
    }
}

#[cfg(test)]
impl Files {
    /// A made-up tree.
    pub(super) fn made_up(files: &[(&str, &str)]) -> Self {
        let mut made = Self::default();
        for (path, text) in files {
            made.add(path, (*text).to_owned());
        }
        made
    }
}
