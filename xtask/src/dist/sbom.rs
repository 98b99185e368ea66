//! The bill of materials, in CycloneDX 1.5.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    components::{Component, Components, Id},
    epoch,
};
use crate::build::PROGRAM;

/// The text of the bill.
pub(crate) fn write(components: &Components, time: u64) -> Result<String> {
    let time = epoch::format(time, "+%Y-%m-%dT%H:%M:%SZ")?;
    let mut text = serde_json::to_string_pretty(&document(components, &time))?;
    text.push('\n');
    Ok(text)
}

fn document(components: &Components, time: &str) -> Value {
    let mut program = None;
    let mut others = Vec::new();
    let mut dependencies = Vec::new();
    for (id, component) in components {
        let described = describe(id, component);
        if id.0 == PROGRAM {
            program = Some(described);
        } else {
            others.push(described);
        }
        let needs: Vec<_> = component.needs.iter().map(reference).collect();
        dependencies.push(json!({ "ref": reference(id), "dependsOn": needs }));
    }
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "timestamp": time, "component": program },
        "components": others,
        "dependencies": dependencies,
    })
}

fn describe(id: &Id, component: &Component) -> Value {
    let (name, version) = id;
    let mut described = json!({
        "type": if name == PROGRAM { "application" } else { "library" },
        "bom-ref": reference(id),
        "name": name,
        "version": version,
        "licenses": [{ "expression": component.license }],
    });
    // Our own are in no registry.
    if let Some(checksum) = &component.checksum {
        described["purl"] = json!(reference(id));
        described["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    described
}

fn reference((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_component_has_its_license_checksum_and_needs() {
        let id = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let component = |checksum: Option<&str>, needs: &[Id]| Component {
            license: "MIT".into(),
            checksum: checksum.map(str::to_owned),
            needs: needs.iter().cloned().collect(),
            sources: PathBuf::new(),
        };
        let components = Components::from([
            (id("a"), component(Some("00ff"), &[])),
            (id("ipvs-sampler"), component(None, &[id("a")])),
        ]);
        let bill = document(&components, "2026-01-01T00:00:00Z");
        assert_eq!(
            bill["metadata"],
            json!({
                "timestamp": "2026-01-01T00:00:00Z",
                "component": {
                    "type": "application",
                    "bom-ref": "pkg:cargo/ipvs-sampler@1.0.0",
                    "name": "ipvs-sampler",
                    "version": "1.0.0",
                    "licenses": [{ "expression": "MIT" }],
                },
            })
        );
        assert_eq!(
            bill["components"],
            json!([{
                "type": "library",
                "bom-ref": "pkg:cargo/a@1.0.0",
                "purl": "pkg:cargo/a@1.0.0",
                "name": "a",
                "version": "1.0.0",
                "licenses": [{ "expression": "MIT" }],
                "hashes": [{ "alg": "SHA-256", "content": "00ff" }],
            }])
        );
        assert_eq!(
            bill["dependencies"],
            json!([
                { "ref": "pkg:cargo/a@1.0.0", "dependsOn": [] },
                { "ref": "pkg:cargo/ipvs-sampler@1.0.0", "dependsOn": ["pkg:cargo/a@1.0.0"] },
            ])
        );
    }
}
