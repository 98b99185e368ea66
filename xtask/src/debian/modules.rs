//! Which of a kernel's modules the guest gets: what IPVS and its tests may load, and whatever
//! those depend on.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::exec;

/// Below `/lib/modules/RELEASE/kernel`: folders end with a slash, the rest are single modules.
const WANTED: [&str; 31] = [
    "arch/",
    "crypto/",
    "lib/",
    "net/802/",
    "net/8021q/",
    "net/bridge/",
    "net/core/",
    "net/ipv4/",
    "net/ipv6/",
    "net/key/",
    "net/l2tp/",
    "net/llc/",
    "net/netfilter/",
    "net/packet/",
    "net/sched/",
    "net/sctp/",
    "net/unix/",
    "net/vmw_vsock/",
    "net/xfrm/",
    "drivers/block/virtio_blk",
    "drivers/net/bonding/",
    "drivers/net/dummy",
    "drivers/net/geneve",
    "drivers/net/ifb",
    "drivers/net/ipvlan/",
    "drivers/net/macvlan",
    "drivers/net/tun",
    "drivers/net/veth",
    "drivers/net/vrf",
    "drivers/net/vxlan",
    "drivers/virtio/virtio",
];

/// Copies the wanted modules of `from` (a `lib/modules/RELEASE` as unpacked) to `to`,
/// uncompressed, and makes the index files that modprobe reads.
pub(crate) fn stage(from: &Path, to: &Path, release: &str) -> Result<()> {
    // Packages bring no modules.dep; on an installed system their postinst runs depmod.
    let base = from
        .ancestors()
        .nth(3)
        .with_context(|| format!("{} is not a lib/modules/RELEASE", from.display()))?;
    depmod(base, release)?;
    let file = from.join("modules.dep");
    let text =
        fs::read_to_string(&file).with_context(|| format!("depmod left no {}", file.display()))?;
    let to_modules = to.join("lib/modules").join(release);
    for module in select(&parse_dep(&text)) {
        let target = to_modules.join(&module);
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::copy(from.join(&module), &target)
            .with_context(|| format!("cannot copy module {module}"))?;
        // Unpacking once here is cheaper than in the guest, which may be emulated.
        if module.ends_with(".xz") {
            exec::capture(Command::new("xz").arg("-d").arg(&target))?;
        }
    }
    for index in [
        "modules.builtin",
        "modules.builtin.modinfo",
        "modules.order",
    ] {
        if from.join(index).exists() {
            fs::copy(from.join(index), to_modules.join(index))?;
        }
    }
    depmod(to, release)
}

fn depmod(base: &Path, release: &str) -> Result<()> {
    let program = exec::find_on_path("depmod")
        .context("depmod is missing (package kmod): run `cargo xtask setup`")?;
    exec::capture(Command::new(program).arg("-b").arg(base).arg(release)).map(drop)
}

/// `MODULE: DEPENDENCY...`, paths relative to the release's folder (modules.dep(5)).
fn parse_dep(text: &str) -> BTreeMap<&str, Vec<&str>> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(module, dependencies)| (module.trim(), dependencies.split_whitespace().collect()))
        .collect()
}

/// The wanted modules and all that they depend on.
fn select(dep: &BTreeMap<&str, Vec<&str>>) -> BTreeSet<String> {
    let mut selected = BTreeSet::new();
    let mut open: Vec<&str> = dep
        .keys()
        .copied()
        .filter(|module| wanted(module))
        .collect();
    while let Some(module) = open.pop() {
        if selected.insert(module.to_owned()) {
            open.extend(dep.get(module).into_iter().flatten());
        }
    }
    selected
}

fn wanted(module: &str) -> bool {
    let Some(path) = module.strip_prefix("kernel/") else {
        return false;
    };
    WANTED.iter().any(|wanted| path.starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/net/nf_conntrack.ko.xz \
        kernel/odd/libcrc32c.ko.xz\n\
        kernel/net/nf_conntrack.ko.xz: kernel/odd/defrag.ko.xz\n\
        kernel/odd/defrag.ko.xz:\n\
        kernel/odd/libcrc32c.ko.xz:\n\
        kernel/drivers/gpu/big.ko.xz:\n\
        kernel/drivers/net/dummy.ko.xz:\n";

    #[test]
    fn takes_dependencies_from_anywhere_and_nothing_else() {
        let selected = select(&parse_dep(DEP));
        let selected: Vec<_> = selected.iter().map(String::as_str).collect();
        assert_eq!(
            selected,
            [
                "kernel/drivers/net/dummy.ko.xz",
                "kernel/net/netfilter/ipvs/ip_vs.ko.xz",
                "kernel/net/nf_conntrack.ko.xz",
                "kernel/odd/defrag.ko.xz",
                "kernel/odd/libcrc32c.ko.xz",
            ]
        );
    }

    #[test]
    fn dependencies_may_form_a_ring() {
        let dep = "kernel/lib/a.ko: kernel/lib/b.ko\nkernel/lib/b.ko: kernel/lib/a.ko\n";
        assert_eq!(select(&parse_dep(dep)).len(), 2);
    }
}
