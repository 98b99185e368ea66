//! Which file of a crate imports which: each path is followed to the file that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    items::{self, Word},
    paths::{Paths, Use},
    tree::Files,
};

/// One crate: its files, by their paths from its root's folder, and who imports whom.
pub(super) struct Crate<'a> {
    pub(super) folder: &'a str,
    pub(super) modules: Vec<Module<'a>>,
    by_path: BTreeMap<Vec<String>, usize>,
}

/// A file of a crate.
pub(super) struct Module<'a> {
    /// Its path from the root's folder.
    pub(super) file: &'a str,
    /// What it has for production.
    pub(super) words: Vec<Word<'a>>,
    /// Whether it is compiled for tests alone.
    pub(super) is_test: bool,
    path: Vec<String>,
    paths: Paths,
}

/// A file needs what another defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) from: usize,
    pub(super) line: usize,
    pub(super) to: usize,
    /// Files that only pass the name on.
    pub(super) via: Vec<usize>,
}

/// What a path leads to.
struct Target {
    module: usize,
    /// The path names the module itself, and nothing in it.
    is_module: bool,
    via: Vec<usize>,
}

/// The module path of `main.rs` where there is a `lib.rs` beside it: a crate of its own.
const BINARY: &str = "main.rs";

impl<'a> Crate<'a> {
    /// The crate whose root lies in `folder`.
    pub(super) fn read(files: &'a Files, folder: &'a str) -> Self {
        let has_library = files.within(folder).any(|(file, _)| file == "lib.rs");
        let mut modules = Vec::new();
        let mut test_modules = BTreeSet::new();
        for (file, content) in files.within(folder) {
            let path = match file {
                "main.rs" if has_library => vec![BINARY.to_owned()],
                _ => module_path(file),
            };
            let production = items::production(&items::words(&content.code));
            for name in production.test_modules {
                let mut path = path.clone();
                path.push(name.to_owned());
                test_modules.insert(path);
            }
            modules.push(Module {
                file,
                paths: Paths::of(&production.words),
                words: production.words,
                is_test: false,
                path,
            });
        }
        for module in &mut modules {
            module.is_test =
                (0..=module.path.len()).any(|length| test_modules.contains(&module.path[..length]));
        }
        let by_path = modules
            .iter()
            .enumerate()
            .map(|(index, module)| (module.path.clone(), index))
            .collect();
        Self {
            folder,
            modules,
            by_path,
        }
    }

    /// The path of a file from the workspace's root.
    pub(super) fn file(&self, module: usize) -> String {
        format!("{}/{}", self.folder, self.modules[module].file)
    }

    /// What files for production import from other files, each pair once a line.
    pub(super) fn imports(&self) -> Vec<Import> {
        let mut imports = Vec::new();
        for (from, module) in self.modules.iter().enumerate() {
            if module.is_test {
                continue;
            }
            let uses = module.paths.uses.iter();
            let mentions = module.paths.mentions.iter();
            let paths = uses
                .map(|one| (one.line, &one.within, &one.path))
                .chain(mentions.map(|one| (one.line, &one.within, &one.path)));
            for (line, within, path) in paths {
                let Some(target) = self.resolve(from, within, path, &mut Vec::new()) else {
                    continue;
                };
                // Who imports a module needs what it then names in there.
                if target.is_module || target.module == from {
                    continue;
                }
                let import = Import {
                    from,
                    line,
                    to: target.module,
                    via: target.via,
                };
                if !imports.contains(&import) {
                    imports.push(import);
                }
            }
        }
        imports
    }

    /// Follows a path that stands in a file. `None` for what is another crate's, or local.
    fn resolve(
        &self,
        from: usize,
        within: &[String],
        path: &[String],
        followed: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let module = &self.modules[from];
        let here = [&module.path[..], within].concat();
        let is_binary = module.path.first().is_some_and(|first| first == BINARY);
        let (first, rest) = path.split_first()?;
        let absolute = match first.as_str() {
            "crate" if is_binary => [&[BINARY.to_owned()][..], rest].concat(),
            "crate" => rest.to_vec(),
            "self" => [&here[..], rest].concat(),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let above = here.len().checked_sub(ups)?;
                [&here[..above], &path[ups..]].concat()
            }
            name if is_binary && name == self.library_name() => rest.to_vec(),
            name => {
                if let Some(one) = module.bound(name, within) {
                    return self.through(from, one, rest, followed);
                }
                let child = [&here[..], std::slice::from_ref(first)].concat();
                if !self.by_path.contains_key(&child) {
                    return None;
                }
                [&here[..], path].concat()
            }
        };
        self.find(&absolute, followed)
    }

    /// What a path from the crate's root leads to.
    fn find(&self, path: &[String], followed: &mut Vec<(usize, String)>) -> Option<Target> {
        let (length, index) = (0..=path.len())
            .rev()
            .find_map(|length| Some((length, *self.by_path.get(&path[..length])?)))?;
        let module = &self.modules[index];
        let rest = &path[length..];
        let target = Target {
            module: index,
            is_module: rest.is_empty(),
            via: Vec::new(),
        };
        let Some((name, behind)) = rest.split_first() else {
            return Some(target);
        };
        let next = if let Some(one) = module.bound(name, &[]) {
            self.through(index, one, behind, followed)
        } else if module.paths.defined.contains(name) {
            None
        } else {
            self.through_globs(index, rest, followed)
        };
        match next {
            Some(mut next) if next.module != index => {
                next.via.push(index);
                Some(next)
            }
            _ => Some(target),
        }
    }

    /// Goes on at what a `use` of the file brings in.
    fn through(
        &self,
        index: usize,
        one: &Use,
        rest: &[String],
        followed: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let step = (index, one.path.join("::"));
        if followed.contains(&step) {
            return None;
        }
        followed.push(step);
        let path = [&one.path[..], rest].concat();
        self.resolve(index, &one.within, &path, followed)
    }

    /// Goes on at what a `use x::*` of the file brings in, where that defines the name.
    fn through_globs(
        &self,
        index: usize,
        rest: &[String],
        followed: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        self.modules[index].paths.uses.iter().find_map(|one| {
            let (last, stem) = one.path.split_last()?;
            if last != "*" {
                return None;
            }
            let all = self.resolve(index, &one.within, stem, followed)?;
            let defines = self.modules[all.module].paths.defined.contains(&rest[0]);
            (defines && all.module != index).then_some(Target {
                is_module: false,
                ..all
            })
        })
    }

    /// `ipvs-sampler/src` is `ipvs_sampler` to its binary.
    fn library_name(&self) -> String {
        let package = self.folder.strip_suffix("/src").unwrap_or(self.folder);
        let name = package.rsplit('/').next().unwrap_or_default();
        name.replace('-', "_")
    }
}

impl Module<'_> {
    /// The declaration that brings in a name.
    fn bound(&self, name: &str, within: &[String]) -> Option<&Use> {
        self.paths
            .uses
            .iter()
            .find(|one| one.within == within && one.name.as_deref() == Some(name))
    }
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = match path {
        "lib" | "main" | "mod" => "",
        _ => path.strip_suffix("/mod").unwrap_or(path),
    };
    path.split('/')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The imports of a made-up crate in `own/src`, as `FILE:LINE FILE`.
    #[track_caller]
    fn are(files: &[(&str, &str)], expected: &[&str]) {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (format!("own/src/{path}"), *text))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), *text))
            .collect();
        let files = Files::made_up(&files);
        let krate = Crate::read(&files, "own/src");
        let file = |index: usize| krate.modules[index].file;
        let imports: Vec<_> = krate
            .imports()
            .iter()
            .map(|import| format!("{}:{} {}", file(import.from), import.line, file(import.to)))
            .collect();
        assert_eq!(imports, expected);
    }

    #[test]
    fn declarations_of_modules_are_no_imports() {
        are(
            &[("lib.rs", "pub mod a;\nmod b;"), ("a.rs", ""), ("b.rs", "")],
            &[],
        );
    }

    #[test]
    fn what_a_parent_defines_is_imported_from_it() {
        are(
            &[
                ("lib.rs", "mod a;"),
                ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub struct A;"),
                ("a/b.rs", "use super::A;\npub struct B;"),
                ("a/c.rs", "use super::B;"),
            ],
            &["a/b.rs:1 a/mod.rs", "a/c.rs:1 a/b.rs", "a/mod.rs:3 a/b.rs"],
        );
    }

    #[test]
    fn a_module_that_is_imported_counts_by_what_is_named_in_it() {
        are(
            &[
                ("lib.rs", ""),
                ("a.rs", "use crate::b;\n\nfn a() { b::c::d() }"),
                ("b/mod.rs", "pub mod c;"),
                ("b/c.rs", "pub fn d() {}"),
            ],
            &["a.rs:3 b/c.rs"],
        );
    }

    #[test]
    fn paths_without_a_declaration_count() {
        are(
            &[
                ("lib.rs", ""),
                ("a.rs", "fn a(x: crate::b::B) {\n self::c::d() }"),
                ("a/c.rs", "pub fn d() { super::super::b::e() }"),
                ("b.rs", ""),
            ],
            &["a.rs:1 b.rs", "a.rs:2 a/c.rs", "a/c.rs:1 b.rs"],
        );
    }

    #[test]
    fn all_of_a_module_is_followed_to_who_defines_it() {
        are(
            &[
                ("lib.rs", ""),
                ("a.rs", "use crate::b::{C, D};"),
                ("b/mod.rs", "pub use self::c::*;\npub struct D;"),
                ("b/c.rs", "pub struct C;"),
            ],
            &["a.rs:1 b/c.rs", "a.rs:1 b/mod.rs", "b/mod.rs:1 b/c.rs"],
        );
    }

    #[test]
    fn tests_other_crates_and_text_are_no_imports() {
        are(
            &[
                ("lib.rs", "#[cfg(test)]\nmod tests;"),
                ("tests.rs", "use crate::a::A;"),
                (
                    "a.rs",
                    "// use crate::b::B;\nuse std::b;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
                ),
                ("b.rs", ""),
            ],
            &[],
        );
    }

    #[test]
    fn a_binary_imports_from_its_library_by_name() {
        are(
            &[("lib.rs", ""), ("main.rs", "use own::a::A;"), ("a.rs", "")],
            &["main.rs:1 a.rs"],
        );
    }
}
