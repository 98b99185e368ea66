//! `cargo xtask tidy`: holds the code against ARCHITECTURE.md.
//!
//! Files are read as text: comments and strings are blanked, the rest is cut into words, and from these come
//! imports. The rules are in `rooms`, `circles`, `places` and `files`.

mod circles;
mod files;
mod finding;
mod imports;
mod items;
mod paths;
mod places;
mod rooms;
mod tables;
mod text;
mod tree;

use std::fs;

use anyhow::{Context as _, Result, bail};
use finding::Finding;
use imports::Crate;
use tables::Table;
use tree::Files;

use crate::paths::Workspace;

/// The crate that has rooms.
const WITH_ROOMS: &str = "ipvs-sampler/src";

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let files = Files::below(&workspace.root, &workspace.target)?;
    let path = workspace.root.join(tables::FILE);
    let architecture =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let findings = check(&files, &architecture);
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("the code does not fit {}: {count} finding(s)", tables::FILE),
    }
}

/// All that does not fit, over all crates.
fn check(files: &Files, architecture: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let arrows = Table::read(architecture, "arrows", "->", &mut findings);
    let allowed = Table::read(architecture, "allowed", ":", &mut findings);
    for folder in files.crates() {
        let krate = Crate::read(files, folder);
        if folder == WITH_ROOMS {
            rooms::check(&krate, &arrows, &mut findings);
            places::check(&krate, &allowed, &mut findings);
        }
        circles::check(&krate, &mut findings);
        if !is_test_crate(folder) {
            files::check_length(&krate, files, &mut findings);
        }
    }
    for (path, file) in files.iter() {
        files::check_reasons(path, file, &mut findings);
    }
    findings
}

/// Whether all that a crate has are tests: those of a package, or those that `tests/Cargo.toml` names.
fn is_test_crate(folder: &str) -> bool {
    folder.contains("/tests/")
        || matches!(
            folder,
            "tests/kernel" | "tests/measure" | "tests/python" | "tests/servers"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHITECTURE: &str = "```arrows\na -> b\n```\n```allowed\nclock: a\nunsafe: a\n```\n";

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&Files::made_up(files), ARCHITECTURE);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_fits_has_no_findings() {
        let files = [
            ("ipvs-sampler/src/lib.rs", "pub mod a;\npub mod b;"),
            (
                "ipvs-sampler/src/a.rs",
                "use crate::b::B;\nfn f() { Instant::now() }",
            ),
            ("ipvs-sampler/src/b.rs", "pub struct B;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn each_rule_is_asked() {
        let long = "\n".repeat(501);
        let files = [
            ("ipvs-sampler/src/lib.rs", "pub mod a;\npub mod b;"),
            (
                "ipvs-sampler/src/a.rs",
                "use crate::b::B;\nfn f() { unsafe { g() } }",
            ),
            (
                "ipvs-sampler/src/b.rs",
                "use crate::a::A;\nfn f() { Moment::now() }",
            ),
            ("ipvs-sampler/benches/c.rs", "unsafe { d() }"),
            ("xtask/src/main.rs", &long),
            ("tests/kernel/main.rs", &long),
        ];
        let found = found(&files);
        let rules = [
            "b.rs:1: `b` may not use `a`",
            "b.rs:2: no clock is read here",
            "a.rs:1: imports in a circle",
            "xtask/src/main.rs: has 501 lines",
            "a.rs:2: this `unsafe` block has no reason",
            "benches/c.rs:1: this `unsafe` block has no reason",
        ];
        for rule in rules {
            assert!(
                found.iter().any(|line| line.contains(rule)),
                "{rule} in {found:#?}"
            );
        }
        assert_eq!(found.len(), rules.len(), "{found:#?}");
    }
}
