//! What lies in target/dist, looked at from outside.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::dashboards;
use crate::{dist::Dist, exec, libtest::Counts, paths::Workspace};

type Check = fn(&Workspace, &Dist) -> Result<()>;

const CHECKS: [(&str, Check); 8] = [
    ("the_checksums_are_right", the_checksums_are_right),
    (
        "the_same_sources_give_the_same_bytes",
        the_same_sources_give_the_same_bytes,
    ),
    ("the_binary_needs_no_library", the_binary_needs_no_library),
    ("the_archive_is_complete", the_archive_is_complete),
    (
        "the_bill_of_materials_is_complete",
        the_bill_of_materials_is_complete,
    ),
    (
        "what_the_container_copies_is_there",
        what_the_container_copies_is_there,
    ),
    ("prometheus_takes_everything", |workspace, _| {
        dashboards::prometheus_takes_everything(workspace)
    }),
    ("influxdb_answers_every_query", |workspace, _| {
        dashboards::influxdb_answers_every_query(workspace)
    }),
];

/// Prints each check in libtest's form and counts it.
pub(crate) fn check(workspace: &Workspace, dist: &Dist) -> Counts {
    let mut counts = Counts::default();
    for (name, check) in CHECKS {
        match check(workspace, dist) {
            Ok(()) => {
                counts.passed += 1;
                println!("[dist] test {name} ... ok");
            }
            Err(error) => {
                counts.failed += 1;
                println!("[dist] test {name} ... FAILED\n  {error:#}");
            }
        }
    }
    counts
}

fn the_checksums_are_right(_: &Workspace, dist: &Dist) -> Result<()> {
    let mut check = Command::new("sha256sum");
    let words = exec::capture(check.args(["--check", "SHA256SUMS"]).current_dir(&dist.dir))?;
    let files = fs::read_dir(&dist.dir)?.count();
    ensure!(
        words.lines().count() == files - 1,
        "not all of {files} files have one: {words}"
    );
    Ok(())
}

fn the_same_sources_give_the_same_bytes(_: &Workspace, dist: &Dist) -> Result<()> {
    let dir = tempfile::TempDir::with_prefix("ipvs-sampler-again-")?;
    for again in dist.repeat(dir.path())? {
        let first = dist.dir.join(again.file_name().context("no name")?);
        ensure!(
            fs::read(&first)? == fs::read(&again)?,
            "{} came out differently",
            first.display()
        );
    }
    Ok(())
}

fn the_binary_needs_no_library(_: &Workspace, dist: &Dist) -> Result<()> {
    let binary = dist.dir.join("ipvs-sampler");
    let dynamic = exec::capture(Command::new("readelf").arg("-dW").arg(&binary))?;
    ensure!(!dynamic.contains("(NEEDED)"), "{dynamic}");
    let sections = exec::capture(Command::new("readelf").arg("-SW").arg(&binary))?;
    ensure!(sections.contains(".gnu_debuglink"), "{sections}");
    ensure!(!sections.contains(".symtab"), "{sections}");
    Ok(())
}

fn the_archive_is_complete(_: &Workspace, dist: &Dist) -> Result<()> {
    let listed = exec::capture(Command::new("tar").arg("-tvzf").arg(&dist.archive))?;
    for path in [
        "/ipvs-sampler",
        "/ipvs-sampler.service",
        "/man/ipvs-sampler.1",
        "/man/ipvs-sampler-run.1",
        "/completions/ipvs-sampler.bash",
        "/examples/telegraf-socket.conf",
        "/examples/grafana/ipvs-sampler-influxdb.json",
        "/LICENSE-MIT",
        "/LICENSE-APACHE",
        "/README.md",
        "/docs/troubleshooting.md",
        "/docs/internals/tour.md",
        "/THIRD-PARTY-LICENSES",
        "/ipvs-sampler.cdx.json",
    ] {
        ensure!(
            listed.lines().any(|line| line.ends_with(path)),
            "no {path} in it:\n{listed}"
        );
    }
    Ok(())
}

fn the_bill_of_materials_is_complete(_: &Workspace, dist: &Dist) -> Result<()> {
    let bill: Value = serde_json::from_str(&fs::read_to_string(dist.bill())?)?;
    let components = bill["components"].as_array().context("no components")?;
    let mut references = BTreeSet::from([reference(&bill["metadata"]["component"])?]);
    for component in components {
        ensure!(
            references.insert(reference(component)?),
            "{component} is there twice"
        );
        let checksum = component["hashes"][0]["content"].as_str();
        let own = component["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("ipvs-sampler"));
        ensure!(
            own != checksum.is_some_and(|sum| sum.len() == 64),
            "the checksum of {component}"
        );
    }
    // One from the program, one from the eBPF object.
    for name in ["neli", "aya-ebpf"] {
        ensure!(
            components.iter().any(|component| component["name"] == name),
            "no {name}"
        );
    }
    for name in ["criterion", "proptest", "bindgen"] {
        ensure!(
            !components.iter().any(|component| component["name"] == name),
            "{name} is not in it"
        );
    }
    let dependencies = bill["dependencies"].as_array().context("no dependencies")?;
    for dependency in dependencies {
        for needed in dependency["dependsOn"].as_array().context("no dependsOn")? {
            ensure!(
                needed
                    .as_str()
                    .is_some_and(|name| references.contains(name)),
                "no {needed}"
            );
        }
    }
    ensure!(
        dependencies.len() == references.len(),
        "dependencies of some are not told"
    );
    Ok(())
}

fn reference(component: &Value) -> Result<String> {
    let reference = component["bom-ref"].as_str();
    reference
        .map(str::to_owned)
        .context("a component without a name")
}

/// The container is built with target/dist as its context.
fn what_the_container_copies_is_there(workspace: &Workspace, dist: &Dist) -> Result<()> {
    let file = workspace.root.join("packaging/container/Dockerfile");
    let text = fs::read_to_string(file)?;
    let sources: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter_map(|words| {
            words
                .split_whitespace()
                .find(|word| !word.starts_with("--"))
        })
        .collect();
    if sources.is_empty() {
        bail!("it copies nothing");
    }
    for source in sources {
        ensure!(
            Path::new(&dist.dir).join(source).is_file(),
            "no {source} in {}",
            dist.dir.display()
        );
    }
    Ok(())
}
