//! Looks at what decides whether a probe can run.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::{
    feed::{CONDITION_FILES, Conditions},
    kernel,
};

/// As they are now.
#[must_use]
pub fn now() -> Conditions {
    Conditions {
        capabilities: effective_now(),
        texts: CONDITION_FILES.map(|(_, path)| fs::read_to_string(path).ok()),
        locked_memory: getrlimit(Resource::Memlock).current,
        image_btf: exists(kernel::BTF),
        module_btf: exists(kernel::MODULE_BTF),
        proc_sys: exists("/proc/sys"),
        proc_self: exists("/proc/self"),
    }
}

fn exists(path: &str) -> bool {
    fs::exists(path).unwrap_or(false)
}

/// The effective capabilities of this process, as bits; none, when nobody tells.
fn effective_now() -> u64 {
    let status = fs::read_to_string("/proc/self/status");
    status.map_or(0, |status| effective(&status))
}

fn effective(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::effective;

    #[test]
    fn capabilities_come_from_the_effective_set() {
        let status = "CapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), 0x1ff_ffff_ffff);
        assert_eq!(effective(""), 0);
    }
}
