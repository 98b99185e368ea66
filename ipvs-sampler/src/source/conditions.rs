//! Capabilities, kernel switches and limits that decide whether the probe can run.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::kernel;

/// Capability numbers (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_ADMIN`.
    SysAdmin = 21,
    /// `CAP_PERFMON`, since 5.8.
    Perfmon = 38,
    /// `CAP_BPF`, since 5.8.
    Bpf = 39,
}

/// What decides about the probe and the live counters, apart from the kernel itself. When any of it
/// changes, what failed may work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The effective ones, as bits; none where /proc does not tell.
    capabilities: u64,
    /// What the files of [`FILES`] say; `None` where one cannot be read.
    texts: [Option<String>; FILES.len()],
    /// The limit of locked memory in bytes; `None` when there is none.
    locked_memory: Option<u64>,
    image_btf: bool,
    module_btf: bool,
    proc_sys: bool,
}

/// Switches of the kernel, by name.
const FILES: [(&str, &str); 5] = [
    (
        "perf_event_paranoid",
        "/proc/sys/kernel/perf_event_paranoid",
    ),
    ("kptr_restrict", "/proc/sys/kernel/kptr_restrict"),
    ("lockdown", "/sys/kernel/security/lockdown"),
    ("ftrace_enabled", "/proc/sys/kernel/ftrace_enabled"),
    ("kprobes_enabled", "/sys/kernel/debug/kprobes/enabled"),
];

impl Conditions {
    /// As they are now.
    #[must_use]
    pub fn now() -> Self {
        Self {
            capabilities: effective_now(),
            texts: FILES.map(|(_, path)| fs::read_to_string(path).ok()),
            locked_memory: getrlimit(Resource::Memlock).current,
            image_btf: exists(kernel::BTF),
            module_btf: exists(kernel::MODULE_BTF),
            proc_sys: exists("/proc/sys"),
        }
    }

    /// Whether this process holds a capability.
    #[must_use]
    pub fn holds(&self, capability: Capability) -> bool {
        self.capabilities >> capability as u32 & 1 == 1
    }

    /// `kernel.perf_event_paranoid`, when it can be read. Debian and Ubuntu patch levels above 2 in:
    /// they then want `CAP_SYS_ADMIN` for every `perf_event_open`.
    #[must_use]
    pub fn perf_event_paranoid(&self) -> Option<i32> {
        self.text("perf_event_paranoid")?.trim().parse().ok()
    }

    /// Whether the kernel is locked down for confidentiality, which forbids kprobes and reading kernel
    /// memory from BPF (`LOCKDOWN_KPROBES`, `LOCKDOWN_BPF_READ_KERNEL`, security/lockdown).
    #[must_use]
    pub fn locked_down(&self) -> bool {
        self.text("lockdown")
            .is_some_and(|text| text.contains("[confidentiality]"))
    }

    /// Whether a switch of the kernel keeps ftrace, and with it kprobes at the begin of a function,
    /// from running (`ftrace_enable_sysctl`, kernel/trace/ftrace.c).
    #[must_use]
    pub fn ftrace_is_off(&self) -> bool {
        self.text("ftrace_enabled")
            .is_some_and(|text| text.trim() == "0")
    }

    /// Whether all kprobes are disarmed (`write_enabled_file_bool`, kernel/kprobes.c).
    #[must_use]
    pub fn kprobes_are_off(&self) -> bool {
        self.text("kprobes_enabled")
            .is_some_and(|text| text.trim() == "0")
    }

    /// Whether locked memory is limited.
    #[must_use]
    pub fn memory_is_limited(&self) -> bool {
        self.locked_memory.is_some()
    }

    /// Whether /proc is there, but shows processes only.
    #[must_use]
    pub fn proc_shows_processes_only(&self) -> bool {
        !self.proc_sys && exists("/proc/self")
    }

    fn text(&self, name: &str) -> Option<&str> {
        let index = FILES.iter().position(|(known, _)| *known == name)?;
        self.texts[index].as_deref()
    }
}

#[cfg(test)]
impl Conditions {
    pub(super) fn with_capabilities(capabilities: u64) -> Self {
        Self {
            capabilities,
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, name: &str, text: &str) {
        let index = FILES.iter().position(|(known, _)| *known == name).unwrap();
        self.texts[index] = Some(text.into());
    }

    pub(super) fn limit_memory(&mut self, bytes: u64) {
        self.locked_memory = Some(bytes);
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
    use super::{Capability, Conditions, effective};

    #[test]
    fn capabilities_come_from_the_effective_set() {
        let status = "CapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), 0x1ff_ffff_ffff);
        assert_eq!(effective(""), 0);
        let conditions = Conditions::with_capabilities(1 << 39);
        assert!(conditions.holds(Capability::Bpf));
        assert!(!conditions.holds(Capability::SysAdmin));
    }

    #[test]
    fn switches_are_read_and_absent_ones_are_not_off() {
        let mut conditions = Conditions::default();
        assert!(!conditions.ftrace_is_off() && !conditions.kprobes_are_off());
        assert!(!conditions.locked_down());
        conditions.set("ftrace_enabled", "0\n");
        conditions.set("kprobes_enabled", "0\n");
        conditions.set("lockdown", "none [integrity] confidentiality\n");
        assert!(conditions.ftrace_is_off() && conditions.kprobes_are_off());
        assert!(!conditions.locked_down());
        conditions.set("perf_event_paranoid", "3\n");
        assert_eq!(conditions.perf_event_paranoid(), Some(3));
    }
}
