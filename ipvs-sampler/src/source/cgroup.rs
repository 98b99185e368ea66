//! What the memory cgroups of this process leave: a process that takes more is killed, without a word.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Memory that may still be taken, and the limit that says so, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headroom {
    /// How much is left, counting what the kernel can take back from the page cache.
    pub(super) left: u64,
    /// Of so much.
    pub(super) limit: u64,
}

/// Where cgroups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The files of one version of cgroups (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst).
struct Files {
    limit: &'static str,
    used: &'static str,
    /// In memory.stat, what can be taken back.
    reclaimable: [&'static str; 2],
}

const V2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};

const V1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    reclaimable: ["total_inactive_file", "total_active_file"],
};

/// What the tightest of this process's memory cgroups leaves; `None` where none has a limit.
#[must_use]
pub(super) fn headroom() -> Option<Headroom> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    headroom_in(Path::new(MOUNT), &membership)
}

/// `membership` is /proc/self/cgroup: lines `ID:CONTROLLERS:PATH`, with no controllers for version 2
/// (cgroups(7)).
fn headroom_in(mount: &Path, membership: &str) -> Option<Headroom> {
    let groups = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        if controllers.is_empty() {
            Some((&V2, mount.to_owned(), path))
        } else if controllers.split(',').any(|name| name == "memory") {
            Some((&V1, mount.join("memory"), path))
        } else {
            None
        }
    });
    groups
        .flat_map(|(files, root, path)| {
            with_parents(&root, path)
                .into_iter()
                .filter_map(move |folder| of_group(files, &folder))
        })
        .min_by_key(|headroom| headroom.left)
}

/// The folder of a group and of all above it. In a container the path may be one of the host: then only
/// the root is there.
fn with_parents(root: &Path, path: &str) -> Vec<PathBuf> {
    let below = Path::new(path.trim_start_matches('/'));
    below.ancestors().map(|part| root.join(part)).collect()
}

fn of_group(files: &Files, folder: &Path) -> Option<Headroom> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    // Version 2 says `max` where there is no limit, version 1 a number that no machine has.
    let limit: u64 = read(files.limit)?.trim().parse().ok()?;
    let used: u64 = read(files.used)?.trim().parse().ok()?;
    let stat = read("memory.stat").unwrap_or_default();
    let reclaimable: u64 = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| files.reclaimable.contains(name))
        .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
        .sum();
    let left = limit.saturating_sub(used.saturating_sub(reclaimable));
    Some(Headroom { left, limit })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Headroom, headroom_in};

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_tightest_group_counts_and_the_page_cache_does_not() {
        let mount = tempfile::tempdir().unwrap();
        let group = |path: &str, limit: &str, used: u64, cache: u64| {
            let folder = mount.path().join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("memory.max"), limit).unwrap();
            fs::write(folder.join("memory.current"), format!("{used}\n")).unwrap();
            let stat = format!("anon 1\ninactive_file {cache}\nactive_file 0\n");
            fs::write(folder.join("memory.stat"), stat).unwrap();
        };
        group("a", &format!("{}\n", 64 * MIB), 40 * MIB, 0);
        group("a/b", &format!("{}\n", 32 * MIB), 30 * MIB, 10 * MIB);
        group("a/b/c", "max\n", 30 * MIB, 0);
        let expected = Headroom {
            left: 12 * MIB,
            limit: 32 * MIB,
        };
        assert_eq!(headroom_in(mount.path(), "0::/a/b/c\n"), Some(expected));
        assert_eq!(headroom_in(mount.path(), "0::/\n"), None);
        assert_eq!(headroom_in(mount.path(), "0::/of/the/host\n"), None);
    }

    #[test]
    fn version_1_has_other_names() {
        let mount = tempfile::tempdir().unwrap();
        let folder = mount.path().join("memory/x");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("memory.limit_in_bytes"), "1000\n").unwrap();
        fs::write(folder.join("memory.usage_in_bytes"), "900\n").unwrap();
        fs::write(folder.join("memory.stat"), "total_active_file 50\n").unwrap();
        let membership = "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x\n0::/x\n";
        let expected = Headroom {
            left: 150,
            limit: 1000,
        };
        assert_eq!(headroom_in(mount.path(), membership), Some(expected));
    }
}
