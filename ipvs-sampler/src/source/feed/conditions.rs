//! Capabilities, kernel switches and limits that decide whether the probe can run.

use super::reason::Reason;

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
    pub(in crate::source) capabilities: u64,
    /// What the files of [`FILES`] say; `None` where one cannot be read.
    pub(in crate::source) texts: [Option<String>; FILES.len()],
    /// The limit of locked memory in bytes; `None` when there is none.
    pub(in crate::source) locked_memory: Option<u64>,
    pub(in crate::source) image_btf: bool,
    pub(in crate::source) module_btf: bool,
    pub(in crate::source) proc_sys: bool,
    pub(in crate::source) proc_self: bool,
}

/// Switches of the kernel, by name.
pub(in crate::source) const FILES: [(&str, &str); 5] = [
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
        !self.proc_sys && self.proc_self
    }

    fn text(&self, name: &str) -> Option<&str> {
        let index = FILES.iter().position(|(known, _)| *known == name)?;
        self.texts[index].as_deref()
    }
}

#[cfg(test)]
impl Conditions {
    pub(in crate::source) fn with_capabilities(capabilities: u64) -> Self {
        Self {
            capabilities,
            ..Self::default()
        }
    }

    pub(crate) fn set(&mut self, name: &str, text: &str) {
        let index = FILES.iter().position(|(known, _)| *known == name).unwrap();
        self.texts[index] = Some(text.into());
    }

    pub(in crate::source) fn limit_memory(&mut self, bytes: u64) {
        self.locked_memory = Some(bytes);
    }
}

/// What most likely keeps attached probes from firing, or from reading memory: a switch that says so, or else
/// what was `observed`.
#[must_use]
pub fn cause_of(observed: Reason, conditions: &Conditions) -> Reason {
    if conditions.locked_down() {
        Reason::LockedDown
    } else if conditions.ftrace_is_off() {
        Reason::FtraceOff
    } else if conditions.kprobes_are_off() {
        Reason::KprobesOff
    } else {
        observed
    }
}

#[cfg(test)]
mod tests {
    use super::{Capability, Conditions, Reason, cause_of};

    #[test]
    fn a_capability_is_a_bit() {
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

    #[test]
    fn a_switch_explains_why_nothing_fires() {
        let mut conditions = Conditions::default();
        let cause = |conditions: &Conditions| cause_of(Reason::NotFiring, conditions);
        assert_eq!(cause(&conditions), Reason::NotFiring);
        conditions.set("kprobes_enabled", "0\n");
        assert_eq!(cause(&conditions), Reason::KprobesOff);
        conditions.set("ftrace_enabled", "0\n");
        assert_eq!(cause(&conditions), Reason::FtraceOff);
        conditions.set("lockdown", "none integrity [confidentiality]\n");
        assert_eq!(cause(&conditions), Reason::LockedDown);
    }
}
