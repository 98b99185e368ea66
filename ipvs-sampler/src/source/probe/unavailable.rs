//! Why the probe cannot run, and what to do about it.

use thiserror::Error;

use crate::{
    model::Mismatch,
    source::kernel::{self, Capability},
};

/// The probe cannot run here and now.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{reason}; {fix}")]
pub struct Unavailable {
    /// What kind of obstacle.
    pub cause: Cause,
    /// What failed and why.
    pub reason: String,
    /// What to do.
    pub fix: String,
}

/// Kinds of obstacle: the exit code depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Privileges or a sysctl.
    NotPermitted,
    /// IPVS is not loaded.
    NoIpvs,
    /// This kernel or this build cannot.
    Unsupported,
}

impl Unavailable {
    pub(super) fn unsupported(reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            cause: Cause::Unsupported,
            reason: reason.into(),
            fix: fix.into(),
        }
    }

    /// Live readings do not fit what netlink says of the same objects.
    #[must_use]
    pub fn mismatch(mismatch: &Mismatch) -> Self {
        Self::unsupported(
            format!("the live counters failed their check: {mismatch}"),
            "please report it with the kernel's version",
        )
    }

    /// Nothing tells where IPVS keeps its counters.
    pub(super) fn no_module_btf() -> Self {
        Self::unsupported(
            format!("there is no {}", kernel::MODULE_BTF),
            "run a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y",
        )
    }

    /// Without BTF of IPVS, a dump has to confirm first where statistics are.
    pub(super) fn to_confirm() -> Self {
        Self::unsupported(
            format!(
                "there is no {}, and no destination to learn from",
                kernel::MODULE_BTF
            ),
            "it begins with the first dump that has one",
        )
    }

    pub(super) fn no_ipvs() -> Self {
        Self {
            cause: Cause::NoIpvs,
            reason: "IPVS is not loaded".into(),
            fix: "load it (modprobe ip_vs); it is never loaded from here".into(),
        }
    }

    pub(super) fn not_permitted_because(reason: String, fix: String) -> Self {
        Self {
            cause: Cause::NotPermitted,
            reason,
            fix,
        }
    }

    /// What stands against loading or attaching when the kernel said no without a reason.
    pub(super) fn not_permitted(what: &str) -> Self {
        let (reason, fix) = obstacle(
            kernel::locked_down(),
            kernel::holds(Capability::SysAdmin),
            kernel::holds(Capability::Bpf) && kernel::holds(Capability::Perfmon),
            kernel::perf_event_paranoid(),
        );
        Self {
            cause: Cause::NotPermitted,
            reason: format!("{what}: {reason}"),
            fix,
        }
    }
}

fn obstacle(
    locked_down: bool,
    administrator: bool,
    bpf: bool,
    paranoid: Option<i32>,
) -> (String, String) {
    if locked_down {
        return (
            "the kernel is locked down for confidentiality, which forbids kprobes".into(),
            "boot with lockdown=integrity or none".into(),
        );
    }
    match (administrator, bpf, paranoid) {
        (false, true, Some(level)) if level > 2 => (
            format!("kernel.perf_event_paranoid={level} asks for CAP_SYS_ADMIN"),
            "set it to 2 (sysctl kernel.perf_event_paranoid=2), or grant CAP_SYS_ADMIN".into(),
        ),
        (false, false, _) => (
            "CAP_BPF and CAP_PERFMON are missing".into(),
            "run as root, or grant CAP_BPF and CAP_PERFMON (before 5.8, and where \
             kernel.perf_event_paranoid is above 2: CAP_SYS_ADMIN)"
                .into(),
        ),
        _ => (
            "the kernel refused, although the capabilities are there".into(),
            "look for a security module, a seccomp filter or a container's limits".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::obstacle;

    #[test]
    fn the_nearest_obstacle_is_named() {
        assert!(obstacle(true, true, true, None).0.contains("locked down"));
        assert!(obstacle(false, false, false, Some(3)).0.contains("CAP_BPF"));
        assert!(
            obstacle(false, false, true, Some(3))
                .0
                .contains("paranoid=3")
        );
        assert!(obstacle(false, true, true, Some(3)).0.contains("although"));
    }
}
