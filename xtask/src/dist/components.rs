//! Which crates are inside the binary, and inside the eBPF object in it: what cargo resolves, with
//! licenses and checksums.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::lockfile;
use crate::{arch::ARCH, build::PROGRAM, cargo, ebpf, exec};

/// Crates that are handed out, and what each of them is built for.
const CRATES: [(&str, &str); 2] = [(PROGRAM, ARCH.target), (ebpf::CRATE, ebpf::TARGET)];

/// A crate that is in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// In SPDX's form.
    pub(crate) license: String,
    /// SHA-256 of what came from a registry; our own came from nowhere.
    pub(crate) checksum: Option<String>,
    /// What of the others it uses.
    pub(crate) needs: BTreeSet<Id>,
    /// Where its sources are.
    pub(crate) sources: PathBuf,
}

/// Name and version.
pub(crate) type Id = (String, String);

/// All of them.
pub(crate) type Components = BTreeMap<Id, Component>;

/// Asks cargo.
pub(crate) fn find(root: &Path) -> Result<Components> {
    let mut components = Components::new();
    for (name, target) in CRATES {
        // The object is a workspace of its own.
        let folder = if name == ebpf::CRATE {
            root.join(ebpf::CRATE)
        } else {
            root.to_owned()
        };
        let ids = closure(&folder, name, target)?;
        let metadata = cargo::metadata(Some(&folder), &["--locked", "--filter-platform", target])?;
        let lock = fs::read_to_string(folder.join("Cargo.lock"))?;
        let checksums = lockfile::checksums(&lock);
        add(&mut components, &metadata, &ids, &checksums)?;
    }
    // The object is embedded: cargo does not know that.
    let object = components
        .keys()
        .find(|(name, _)| name == ebpf::CRATE)
        .cloned();
    let program = components.iter_mut().find(|((name, _), _)| name == PROGRAM);
    match (program, object) {
        (Some((_, program)), Some(object)) => program.needs.insert(object),
        _ => bail!("cargo does not list {PROGRAM} and {}", ebpf::CRATE),
    };
    Ok(components)
}

/// The program's version.
pub(crate) fn version(components: &Components) -> Result<&str> {
    let own = components.keys().find(|(name, _)| name == PROGRAM);
    let (_, version) = own.context("cargo does not list the program itself")?;
    Ok(version)
}

/// The crates that end up inside: neither what runs at build time, nor what only tests need.
fn closure(folder: &Path, package: &str, target: &str) -> Result<BTreeSet<Id>> {
    let text = exec::capture(
        cargo::command()
            .args(["tree", "--locked", "--package", package, "--target", target])
            .args([
                "--edges=normal,no-proc-macro",
                "--prefix=none",
                "--format={p}",
            ])
            .current_dir(folder),
    )?;
    Ok(listed(&text))
}

/// `NAME vVERSION ...` on each line of `cargo tree`.
fn listed(text: &str) -> BTreeSet<Id> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            Some((name.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
        })
        .collect()
}

/// Takes the crates of `ids` out of what `cargo metadata` says.
fn add(
    components: &mut Components,
    metadata: &Value,
    ids: &BTreeSet<Id>,
    checksums: &BTreeMap<Id, String>,
) -> Result<()> {
    let mut of_cargos_id = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let id = (text(&package["name"])?, text(&package["version"])?);
        if !ids.contains(&id) {
            continue;
        }
        of_cargos_id.insert(text(&package["id"])?, id.clone());
        let manifest = PathBuf::from(text(&package["manifest_path"])?);
        let license = text(&package["license"])
            .with_context(|| format!("{} does not say under which license it is", id.0))?;
        components.entry(id.clone()).or_insert_with(|| Component {
            // Cargo once took a slash for "or".
            license: license.replace('/', " OR "),
            checksum: checksums.get(&id).cloned(),
            needs: BTreeSet::new(),
            sources: manifest.parent().map(Path::to_owned).unwrap_or_default(),
        });
    }
    for node in list(&metadata["resolve"]["nodes"]) {
        let id = of_cargos_id.get(&text(&node["id"])?);
        let Some(component) = id.and_then(|id| components.get_mut(id)) else {
            continue;
        };
        for dependency in list(&node["deps"]) {
            // Those without a kind are the usual ones.
            let mut kinds = list(&dependency["dep_kinds"]).iter();
            if kinds.any(|kind| kind["kind"].is_null())
                && let Some(needed) = of_cargos_id.get(&text(&dependency["pkg"])?)
            {
                component.needs.insert(needed.clone());
            }
        }
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.context("`cargo metadata` lacks a text where one belongs")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn crates_in_cargos_tree() {
        let text = "ipvs-sampler v0.1.0 (/src)\naya v0.14.0\naya v0.14.0 (*)\n\n";
        let found = listed(text);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&("aya".into(), "0.14.0".into())));
    }

    #[test]
    fn what_is_built_with_or_not_used_is_not_in() {
        let id = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let package = |name: &str| {
            json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0",
                "manifest_path": format!("/sources/{name}/Cargo.toml"),
            })
        };
        let metadata = json!({
            "packages": [package("ipvs-sampler"), package("a"), package("b"), package("unused")],
            "resolve": { "nodes": [
                { "id": "ipvs-sampler", "deps": [
                    { "pkg": "a", "dep_kinds": [{ "kind": null }] },
                    { "pkg": "b", "dep_kinds": [{ "kind": "build" }] },
                ] },
                { "id": "a", "deps": [] },
                { "id": "unused", "deps": [] },
            ] },
        });
        let mut components = Components::new();
        let ids = [id("ipvs-sampler"), id("a")].into();
        let checksums = [(id("a"), "00ff".to_owned())].into();
        add(&mut components, &metadata, &ids, &checksums).unwrap();
        assert_eq!(components.len(), 2);
        assert_eq!(components[&id("ipvs-sampler")].needs, [id("a")].into());
        assert_eq!(
            components[&id("a")],
            Component {
                license: "MIT OR Apache-2.0".into(),
                checksum: Some("00ff".into()),
                needs: BTreeSet::new(),
                sources: "/sources/a".into(),
            }
        );
    }
}
