//! Why a source is not available: a closed set of short texts, so that what is published has few values.

/// Kinds of obstacle: the exit code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Privileges, a limit or a sysctl.
    NotPermitted,
    /// IPVS is not loaded.
    NoIpvs,
    /// This kernel or this build cannot.
    Unsupported,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident: $cause:ident, $what:literal, $fix:literal;)*) => {
        /// An obstacle that is known by name. Each has a text that says what it is and how to remove it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it is, and after a semicolon what to do.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($what, "; ", $fix),)*
                }
            }

            /// What kind of obstacle it is.
            #[must_use]
            pub const fn cause(self) -> Cause {
                match self {
                    $(Self::$name => Cause::$cause,)*
                }
            }
        }
    };
}

impl Reason {
    /// Whether a smaller probe may do.
    #[must_use]
    pub fn is_about_memory(self) -> bool {
        matches!(
            self,
            Self::LockedMemory | Self::CgroupMemory | Self::NoMemory
        )
    }
}

reasons! {
    /// A build without the eBPF toolchain.
    NotBuilt: Unsupported,
        "this binary was built without the eBPF object",
        "build it with `cargo xtask build`";
    /// The object is not the one that this program was written for.
    IncompleteObject: Unsupported,
        "the embedded eBPF object is incomplete",
        "build the binary again with `cargo xtask build`";
    /// No IPVS in this network namespace.
    NoIpvs: NoIpvs,
        "IPVS is not loaded",
        "load it (modprobe ip_vs); ipvs-sampler never loads it";
    /// Nobody tells what this process has.
    NoProc: Unsupported,
        "proc is not mounted on /proc",
        "mount it (mount -t proc proc /proc)";
    /// The kernel's BTF and CPU list are in sysfs.
    NoSysfs: Unsupported,
        "sysfs is not mounted on /sys",
        "mount it (mount -t sysfs sysfs /sys)";
    /// No BTF of the kernel image.
    NoKernelBtf: Unsupported,
        "there is no /sys/kernel/btf/vmlinux",
        "run a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions ship it";
    /// The image's BTF does not tell what the probe has to know.
    UnusableKernelBtf: Unsupported,
        "the kernel's BTF does not describe what the probe needs",
        "please report it with the kernel's version";
    /// Lockdown forbids kprobes and reading kernel memory from BPF.
    LockedDown: NotPermitted,
        "the kernel is locked down for confidentiality, which forbids kprobes",
        "boot with lockdown=integrity or without lockdown";
    /// Privileges are missing.
    NoCapabilities: NotPermitted,
        "CAP_BPF and CAP_PERFMON are missing",
        "run as root, or grant them (where kernel.perf_event_paranoid is above 2, CAP_SYS_ADMIN too)";
    /// Debian's and Ubuntu's levels above 2.
    PerfEventParanoid: NotPermitted,
        "kernel.perf_event_paranoid is above 2, which requires CAP_SYS_ADMIN",
        "set it to 2 (sysctl kernel.perf_event_paranoid=2), or grant CAP_SYS_ADMIN";
    /// `EPERM` with all capabilities.
    Refused: NotPermitted,
        "the kernel refused the probe although the capabilities are there",
        "check for a security module, a seccomp filter or container limits";
    /// Before 5.11 what BPF takes is counted as locked memory.
    LockedMemory: NotPermitted,
        "RLIMIT_MEMLOCK, the limit of locked memory, is too low for the probe",
        "raise it (LimitMEMLOCK=infinity, ulimit -l unlimited), or grant CAP_SYS_RESOURCE";
    /// Loading would get this process killed.
    CgroupMemory: NotPermitted,
        "the memory cgroup has too little memory left for the probe",
        "raise its limit (MemoryMax=, resources.limits.memory), or use --ebpf off";
    /// `ENOMEM`.
    NoMemory: Unsupported,
        "the kernel is out of memory for the probe",
        "free memory, or use --ebpf off";
    /// More than 2^32 cells.
    TooManyCells: Unsupported,
        "there are too many services, destinations and CPUs to count",
        "use --ebpf off";
    /// The kernel is older than the programs.
    NoHelper: Unsupported,
        "this kernel lacks a BPF helper that the probe needs",
        "run Linux 5.10 or later";
    /// `E2BIG`.
    ProgramTooLarge: Unsupported,
        "a program is too large for this kernel's verifier",
        "please report it with the kernel's version and the number of CPUs";
    /// The verifier's no.
    Rejected: Unsupported,
        "the kernel's verifier rejected a program",
        "run `ipvs-sampler doctor` for the verifier's log, and report it with the kernel's version";
    /// Nothing to attach to.
    NoFunction: Unsupported,
        "this kernel lacks a function that the probe attaches to",
        "please report the kernel's version";
    /// Any other error of the kernel.
    KernelError: Unsupported,
        "the kernel returned an error",
        "run `ipvs-sampler doctor` for details, and report it with the kernel's version";
    /// Attached, and switched off.
    FtraceOff: NotPermitted,
        "kernel.ftrace_enabled is 0, so attached probes do not fire",
        "set it to 1 (sysctl kernel.ftrace_enabled=1)";
    /// Attached, and switched off.
    KprobesOff: NotPermitted,
        "/sys/kernel/debug/kprobes/enabled is 0, so attached probes do not fire",
        "write 1 to it";
    /// Attached, and nothing comes.
    NotFiring: Unsupported,
        "the probes are attached but do not fire",
        "set kernel.ftrace_enabled=1, and write 1 to /sys/kernel/debug/kprobes/enabled";
    /// The probe on `ip_vs_genl_fill_dest` alone does not fire.
    DumpUnseen: Unsupported,
        "a dump had destinations, but the probe did not see the kernel write them",
        "please report it with the kernel's version";
    /// The probe on `ip_vs_conn_new` does not fire.
    ConnectionsUnseen: Unsupported,
        "IPVS counted connections, but the probe saw none of them",
        "please report it with the kernel's version";
    /// A probe on what ends lives, or zeroes, does not fire.
    ChangesUnseen: Unsupported,
        "a dump showed destinations deleted or zeroed, but the probe did not see it",
        "please report it with the kernel's version";
    /// Addresses are zeros.
    HiddenAddresses: NotPermitted,
        "/proc/kallsyms hides addresses",
        "set kernel.kptr_restrict to 0 or 1, and run as root or with CAP_SYSLOG";
    /// A /proc with processes only.
    ProcSubset: Unsupported,
        "/proc is mounted with subset=pid, which hides /proc/kallsyms and /proc/sys",
        "mount a whole one (mount -t proc proc /proc; for a unit, ProcSubset=all)";
    /// No list of symbols.
    NoSymbols: Unsupported,
        "there is no /proc/kallsyms",
        "mount proc on /proc (mount -t proc proc /proc), or run a kernel with CONFIG_KALLSYMS=y";
    /// The list of symbols has functions only.
    NoDataSymbols: Unsupported,
        "/proc/kallsyms does not list __per_cpu_offset",
        "run a kernel with CONFIG_KALLSYMS_ALL=y, as distributions ship it";
    /// Nothing tells where IPVS keeps its counters.
    NoModuleBtf: Unsupported,
        "there is no /sys/kernel/btf/ip_vs",
        "run a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y";
    /// It lacks a member.
    UnusableModuleBtf: Unsupported,
        "the BTF of ip_vs does not describe its counters",
        "please report it with the kernel's version";
    /// Without BTF of IPVS, a dump has to confirm first where statistics are.
    Unconfirmed: Unsupported,
        "without /sys/kernel/btf/ip_vs, live counters need a service with a destination to learn from",
        "they begin with the first dump that has one";
    /// What reads live counters did not read all.
    ReadingStalled: Unsupported,
        "the program that reads live counters left some out",
        "please report it with the kernel's version and the number of CPUs";
    /// Live counters contradict netlink.
    CheckFailed: Unsupported,
        "the live counters failed their check against netlink",
        "run `ipvs-sampler doctor` for what differs, and report it with the kernel's version";
    /// Live counters need the probe.
    NeedsEvents: Unsupported,
        "live counters need the probe",
        "see events";
}

#[cfg(test)]
mod tests {
    use super::Reason;

    /// They are a field of each report and a label of a metric.
    #[test]
    fn texts_are_short_and_differ() {
        let mut texts: Vec<_> = Reason::ALL.iter().map(|reason| reason.text()).collect();
        assert!(
            texts
                .iter()
                .all(|text| text.len() <= 200 && !text.contains('\n'))
        );
        texts.sort_unstable();
        assert!(texts.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
