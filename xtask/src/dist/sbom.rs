//! The bill of materials, in CycloneDX 1.5: which crates are inside the binary and inside the eBPF
//! object in it, by what cargo resolves, with licenses and checksums.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{epoch, lockfile};
use crate::exec;

const PROGRAM: &str = "ipvs-sampler";
const OBJECT: &str = "ipvs-sampler-ebpf";
/// What each of them is built for.
const TARGETS: [(&str, &str); 2] = [
    (PROGRAM, "x86_64-unknown-linux-gnu"),
    (OBJECT, "bpfel-unknown-none"),
];

/// A crate that is in.
#[derive(Debug, PartialEq, Eq)]
struct Component {
    license: Option<String>,
    checksum: Option<String>,
    needs: BTreeSet<Id>,
}

/// Name and version.
type Id = (String, String);

/// The program's version.
pub(crate) fn version(root: &Path) -> Result<String> {
    let ids = closure(root, PROGRAM, TARGETS[0].1)?;
    let own = ids.into_iter().find(|(name, _)| name == PROGRAM);
    Ok(own.context("cargo does not list the program itself")?.1)
}

/// The text of the bill.
pub(crate) fn write(root: &Path, time: u64) -> Result<String> {
    let mut components = BTreeMap::new();
    for (name, target) in TARGETS {
        // The object is a workspace of its own.
        let folder = if name == OBJECT {
            root.join(OBJECT)
        } else {
            root.to_owned()
        };
        let ids = closure(&folder, name, target)?;
        let metadata = exec::capture(
            exec::cargo()
                .args(["metadata", "--locked", "--format-version=1"])
                .args(["--filter-platform", target])
                .current_dir(&folder),
        )?;
        let metadata = serde_json::from_str(&metadata).context("`cargo metadata`: no JSON")?;
        let lock = fs::read_to_string(folder.join("Cargo.lock"))?;
        add(
            &mut components,
            &metadata,
            &ids,
            &lockfile::checksums(&lock),
        );
    }
    // The object is embedded: cargo does not know that.
    let object = components.keys().find(|(name, _)| name == OBJECT).cloned();
    let program = components.iter_mut().find(|((name, _), _)| name == PROGRAM);
    match (program, object) {
        (Some((_, program)), Some(object)) => program.needs.insert(object),
        _ => bail!("cargo does not list {PROGRAM} and {OBJECT}"),
    };
    let time = epoch::format(time, "+%Y-%m-%dT%H:%M:%SZ")?;
    let mut text = serde_json::to_string_pretty(&document(&components, &time)?)?;
    text.push('\n');
    Ok(text)
}

/// The crates that end up inside: neither what runs at build time, nor what only tests need.
fn closure(folder: &Path, package: &str, target: &str) -> Result<BTreeSet<Id>> {
    let text = exec::capture(
        exec::cargo()
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

fn add(
    components: &mut BTreeMap<Id, Component>,
    metadata: &Value,
    ids: &BTreeSet<Id>,
    checksums: &BTreeMap<Id, String>,
) {
    let none = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&none).clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut by_cargo_id = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        if let (Some(cargo_id), Some(name), Some(version)) = (
            text(&package["id"]),
            text(&package["name"]),
            text(&package["version"]),
        ) {
            by_cargo_id.insert(cargo_id, ((name, version), text(&package["license"])));
        }
    }
    for node in list(&metadata["resolve"]["nodes"]) {
        let Some((id, license)) = node["id"].as_str().and_then(|id| by_cargo_id.get(id)) else {
            continue;
        };
        if !ids.contains(id) {
            continue;
        }
        let needs = list(&node["deps"])
            .iter()
            .filter(|dep| {
                list(&dep["dep_kinds"])
                    .iter()
                    .any(|kind| kind["kind"].is_null())
            })
            .filter_map(|dep| Some(by_cargo_id.get(dep["pkg"].as_str()?)?.0.clone()))
            .filter(|id| ids.contains(id))
            .collect::<BTreeSet<_>>();
        components
            .entry(id.clone())
            .or_insert_with(|| Component {
                license: license.clone(),
                checksum: checksums.get(id).cloned(),
                needs: BTreeSet::new(),
            })
            .needs
            .extend(needs);
    }
}

fn document(components: &BTreeMap<Id, Component>, time: &str) -> Result<Value> {
    let mut program = None;
    let mut others = Vec::new();
    let mut dependencies = Vec::new();
    for (id, component) in components {
        let described = describe(id, component)?;
        if id.0 == PROGRAM {
            program = Some(described);
        } else {
            others.push(described);
        }
        let needs: Vec<_> = component.needs.iter().map(reference).collect();
        dependencies.push(json!({ "ref": reference(id), "dependsOn": needs }));
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "timestamp": time, "component": program },
        "components": others,
        "dependencies": dependencies,
    }))
}

fn describe(id: &Id, component: &Component) -> Result<Value> {
    let (name, version) = id;
    let Some(license) = &component.license else {
        bail!("{name} {version} does not say under which license it is");
    };
    // Cargo once took a slash for "or".
    let license = license.replace('/', " OR ").replace("  ", " ");
    let mut described = json!({
        "type": if name == PROGRAM { "application" } else { "library" },
        "bom-ref": reference(id),
        "name": name,
        "version": version,
        "licenses": [{ "expression": license }],
    });
    // Our own are in no registry.
    if let Some(checksum) = &component.checksum {
        described["purl"] = json!(reference(id));
        described["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    Ok(described)
}

fn reference((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_in_cargos_tree() {
        let text = "ipvs-sampler v0.1.0 (/src)\naya v0.14.0\naya v0.14.0 (*)\n\n";
        let found = listed(text);
        assert_eq!(found.len(), 2);
        assert!(found.contains(&("aya".into(), "0.14.0".into())));
    }

    #[test]
    fn a_component_has_its_license_checksum_and_needs() {
        let id = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
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
        let mut components = BTreeMap::new();
        add(
            &mut components,
            &metadata,
            &[id("ipvs-sampler"), id("a")].into(),
            &[(id("a"), "00ff".to_owned())].into(),
        );
        let bill = document(&components, "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], "ipvs-sampler");
        assert_eq!(
            bill["components"],
            json!([{
                "type": "library",
                "bom-ref": "pkg:cargo/a@1.0.0",
                "purl": "pkg:cargo/a@1.0.0",
                "name": "a",
                "version": "1.0.0",
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                "hashes": [{ "alg": "SHA-256", "content": "00ff" }],
            }])
        );
        assert_eq!(
            bill["dependencies"][1],
            json!({ "ref": "pkg:cargo/ipvs-sampler@1.0.0", "dependsOn": ["pkg:cargo/a@1.0.0"] })
        );
    }
}
