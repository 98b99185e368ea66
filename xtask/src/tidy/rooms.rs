//! The rooms of ipvs-sampler, the first modules below its root: each imports only where an arrow leads.

use super::{finding::Finding, imports::Crate, tables, tables::Table};

/// The room that all may use.
const FOR_ALL: &str = "system";

/// Holds the imports of `krate` against the arrows, and the arrows against its files.
pub(super) fn check(krate: &Crate<'_>, arrows: &Table, findings: &mut Vec<Finding>) {
    for (room, row) in arrows.iter() {
        for name in row.names.iter().map(String::as_str).chain([room]) {
            if !exists(krate, name) {
                findings.push(Finding {
                    file: tables::FILE.into(),
                    line: row.line,
                    problem: format!(
                        "`{name}` is not a file or folder of {}: rename or delete it",
                        krate.folder
                    ),
                });
            }
        }
    }
    for import in krate.imports() {
        let place = |index: usize| place(krate.modules[index].file);
        let (from, to) = (room(place(import.from)), place(import.to));
        let allowed = arrows.names(from);
        let may_use = from == room(to)
            || room(to) == FOR_ALL
            || allowed.iter().any(|arrow| is_within(to, arrow));
        // Who passes a name on is used, too.
        let passed_on_by = import.via.iter().map(|via| room(place(*via))).find(|via| {
            *via != from && *via != FOR_ALL && !allowed.iter().any(|arrow| room(arrow) == *via)
        });
        let target = match passed_on_by {
            _ if !may_use => to,
            Some(via) => via,
            None => continue,
        };
        findings.push(Finding {
            file: krate.file(import.from),
            line: import.line,
            problem: format!(
                "`{from}` may not use `{target}`: move the code, or add `{}` behind `{from} ->` in {}",
                room(target),
                tables::FILE
            ),
        });
    }
}

/// Whether the crate has this file or folder; its root counts by its file's name.
pub(super) fn exists(krate: &Crate<'_>, name: &str) -> bool {
    krate
        .modules
        .iter()
        .any(|module| is_within(place(module.file), name))
}

/// `a/b.rs` and `a/b/mod.rs` are `a/b`.
pub(super) fn place(file: &str) -> &str {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    path.strip_suffix("/mod").unwrap_or(path)
}

/// Whether a place is another, or in it.
pub(super) fn is_within(place: &str, other: &str) -> bool {
    place
        .strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn room(place: &str) -> &str {
    place.split('/').next().unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Files, *};

    const FILES: [(&str, &str); 7] = [
        ("own/src/lib.rs", ""),
        ("own/src/a.rs", "use crate::b::c::C;\nuse crate::system::S;"),
        (
            "own/src/b/mod.rs",
            "pub mod c;\npub mod d;\npub use crate::e::E;",
        ),
        ("own/src/b/c.rs", "use super::d::D;"),
        ("own/src/b/d.rs", ""),
        ("own/src/e.rs", ""),
        ("own/src/system.rs", ""),
    ];

    /// What is found with these arrows, and with another text of `a.rs`.
    fn found(arrows: &str, a: Option<&str>) -> Vec<String> {
        let mut files = Files::made_up(&FILES);
        if let Some(text) = a {
            files.add("own/src/a.rs", text.to_owned());
        }
        let mut findings = Vec::new();
        let table = Table::read(
            &format!("```arrows\n{arrows}\n```"),
            "arrows",
            "->",
            &mut findings,
        );
        check(&Crate::read(&files, "own/src"), &table, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn where_an_arrow_leads_may_be_imported_from() {
        assert_eq!(found("a -> b\nb -> e", None), [""; 0]);
        assert_eq!(found("a -> b/c\nb -> e", None), [""; 0]);
    }

    #[test]
    fn without_an_arrow_an_import_is_found() {
        assert_eq!(
            found("b -> e", None),
            [
                "own/src/a.rs:1: `a` may not use `b/c`: move the code, or add `b` behind `a ->` in ARCHITECTURE.md"
            ]
        );
        let path = "fn f() {\n crate::e::f() }";
        let found = found("a -> b\nb -> e", Some(path));
        assert!(
            found[0].starts_with("own/src/a.rs:2: `a` may not use `e`"),
            "{found:?}"
        );
    }

    #[test]
    fn an_arrow_to_a_part_leads_to_that_part_alone() {
        let found = found("a -> b/d\nb -> e", None);
        assert!(
            found[0].starts_with("own/src/a.rs:1: `a` may not use `b/c`"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_passed_on_is_used_of_both() {
        let text = Some("use crate::b::E;");
        assert_eq!(found("a -> b, e\nb -> e", text), [""; 0]);
        let without_e = found("a -> b\nb -> e", text);
        assert!(
            without_e[0].contains("`a` may not use `e`"),
            "{without_e:?}"
        );
        let without_b = found("a -> e\nb -> e", text);
        assert!(
            without_b[0].contains("`a` may not use `b`"),
            "{without_b:?}"
        );
    }

    #[test]
    fn an_arrow_names_what_is_there() {
        let found = found("a -> b\nb -> e, gone", None);
        assert_eq!(
            found,
            ["ARCHITECTURE.md:3: `gone` is not a file or folder of own/src: rename or delete it"]
        );
    }
}
