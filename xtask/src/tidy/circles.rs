//! No file imports, by whatever way, from a file that imports from it.

use std::collections::{BTreeMap, BTreeSet};

use super::{finding::Finding, imports::Crate};

/// Who imports whom, by index.
type Edges = BTreeMap<usize, BTreeSet<usize>>;

/// The circles of one crate.
pub(super) fn check(krate: &Crate<'_>, findings: &mut Vec<Finding>) {
    let imports = krate.imports();
    let mut edges = Edges::new();
    for import in &imports {
        edges.entry(import.from).or_default().insert(import.to);
    }
    let mut reported = BTreeSet::new();
    for import in &imports {
        if reported.contains(&import.from) {
            continue;
        }
        if let Some(back) = way(&edges, import.to, import.from) {
            let names: Vec<_> = back
                .iter()
                .map(|index| krate.modules[*index].file)
                .collect();
            findings.push(Finding {
                file: krate.file(import.from),
                line: import.line,
                problem: format!(
                    "imports in a circle: {} -> {}; move what they share to a file that needs neither",
                    krate.modules[import.from].file,
                    names.join(" -> ")
                ),
            });
            // One report for each circle.
            reported.extend(back);
        }
    }
}

/// The shortest way along imports.
fn way(edges: &Edges, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut ways = vec![vec![from]];
    let mut seen = BTreeSet::from([from]);
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = *way.last()?;
            if last == to {
                return Some(way);
            }
            for next in edges.get(&last).into_iter().flatten() {
                if seen.insert(*next) {
                    longer.push([&way[..], &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Files, *};

    const FILES: [(&str, &str); 5] = [
        ("own/src/lib.rs", "mod a; mod b; mod c; mod d;"),
        ("own/src/a.rs", "use crate::b::B;"),
        ("own/src/b.rs", "\nuse crate::c::C;"),
        ("own/src/c.rs", "use crate::a::A;"),
        ("own/src/d.rs", "use crate::a::A;"),
    ];

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files = Files::made_up(files);
        let mut findings = Vec::new();
        check(&Crate::read(&files, "own/src"), &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_circle_is_found_once_and_shown() {
        let found = found(&FILES);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .starts_with("own/src/a.rs:1: imports in a circle: a.rs -> b.rs -> c.rs -> a.rs"),
            "{found:?}"
        );
    }

    #[test]
    fn a_child_that_needs_its_parent_is_a_circle() {
        let found = found(&[
            ("own/src/lib.rs", "mod a;"),
            (
                "own/src/a/mod.rs",
                "mod b;\nfn c() { b::d() }\npub const E: u8 = 1;",
            ),
            ("own/src/a/b.rs", "use super::E;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("a/b.rs -> a/mod.rs -> a/b.rs"),
            "{found:?}"
        );
    }
}
