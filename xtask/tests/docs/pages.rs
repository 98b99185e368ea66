//! Every Markdown file of the repository, by its path from the root.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::markdown::Page;

/// The pages, and which other files there are for links to lead to.
#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) pages: BTreeMap<String, Page>,
    /// Files and folders, with `/` between them.
    files: BTreeSet<String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Pages {
    /// Without what is hidden and what is built.
    pub(crate) fn of_repository() -> Self {
        let mut pages = Self::default();
        pages.add_folder(&root(), "");
        pages
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            let known = format!("{prefix}{name}");
            if path.is_dir() {
                self.add_folder(&path, &format!("{known}/"));
            } else if name.ends_with(".md") {
                let text = fs::read_to_string(&path).unwrap();
                self.pages.insert(known.clone(), Page::read(&text));
            }
            self.files.insert(known);
        }
    }

    /// Pages that only the tests of the rules have.
    pub(crate) fn made_up(texts: &[(&str, &str)]) -> Self {
        let pages: BTreeMap<_, _> = texts
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Page::read(text)))
            .collect();
        let files = pages.keys().cloned().collect();
        Self { pages, files }
    }

    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains(path) || path.is_empty()
    }
}
