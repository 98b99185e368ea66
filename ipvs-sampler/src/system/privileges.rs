//! Gives up what the rest of the run does not take, and reads back what is left.

mod user;

use std::{fs, io};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_gid, set_thread_groups,
    set_thread_uid,
};

use crate::system::failure::{Failure, Refused};
pub use user::User;

/// What is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// In any case.
    pub always: CapabilitySet,
    /// For what [`drop_others`] tries, in steps: each is kept when the steps before were not enough.
    pub steps: &'static [CapabilitySet],
    /// Whether somebody wants to know.
    pub tell: bool,
}

/// Needed by every dump (`GENL_UNS_ADMIN_PERM` of the commands in net/netfilter/ipvs/ip_vs_ctl.c).
pub const DUMPING: CapabilitySet = CapabilitySet::NET_ADMIN;

/// Needed to go into another network namespace, by a process too.
pub const ENTERING: CapabilitySet = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SYS_PTRACE);

/// Needed to load and attach a probe and to read kernel symbols.
pub const ATTACHING: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYSLOG);

/// Needed for that, too, where perf_event_paranoid is above 2.
pub const ATTACHING_PARANOID: CapabilitySet = CapabilitySet::SYS_ADMIN;

/// Needed to reopen files of others.
pub const OPENING: CapabilitySet = CapabilitySet::DAC_OVERRIDE;

/// What a running probe may take: since 5.19 (commit c8644cd0efe7) nothing, as its file descriptors
/// are open; before that any bpf(2) takes `CAP_BPF` where unprivileged ones are not allowed.
pub const RUNNING: &[CapabilitySet] = &[
    CapabilitySet::empty(),
    CapabilitySet::BPF,
    CapabilitySet::BPF.union(CapabilitySet::PERFMON),
];

/// Lets as much memory be locked as a probe takes, while that is permitted: before 5.11 its maps count as
/// such (`bpf_map_charge_init`, kernel/bpf/syscall.c), also those of a probe that is started later.
pub fn lift_memory_limit() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    // Where it is refused, loading says what to do if it matters at all.
    let _ = setrlimit(Resource::Memlock, unlimited);
}

/// Goes on as `user`, with no more than `keep`, and never gets anything back. To be called while the
/// process has one thread. `works` says whether what is in effect is enough.
///
/// # Errors
/// When the user cannot be had, or something is left that should not be.
pub fn drop_others(
    user: Option<&User>,
    keep: Keep,
    mut works: impl FnMut() -> bool,
) -> Result<(), Failure> {
    let refused = |error| Failure::NotPermitted(Refused::to("cannot drop privileges")(error));
    let had = capabilities(None)
        .map_err(|error| refused(error.into()))?
        .permitted;
    // Taken back, when a step is not enough, from what is still permitted.
    let step = keep.steps.last().copied().unwrap_or(CapabilitySet::empty());
    let most = (keep.always | step) & had;
    if had.contains(CapabilitySet::SETPCAP) {
        for capability in (!most & had).iter() {
            // Not all are known to all kernels.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    if let Some(user) = user {
        become_user(user).map_err(|error| {
            let (name, why) = (&user.name, "this needs CAP_SETUID and CAP_SETGID, or root");
            Failure::NotPermitted(format!("cannot switch to user {name}: {error}; {why}").into())
        })?;
    }
    set_no_new_privs(true).map_err(|error| refused(error.into()))?;
    let mut left = keep.always & had;
    for step in keep.steps {
        left = (keep.always | *step) & had;
        set(left, most).map_err(refused)?;
        if works() {
            break;
        }
    }
    set(left, left).map_err(refused)?;
    read_back(left, user)?;
    if keep.tell {
        log::info!("privileges kept: {}", named(left));
    }
    Ok(())
}

fn set(effective: CapabilitySet, permitted: CapabilitySet) -> io::Result<()> {
    let sets = CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, sets)?)
}

fn become_user(user: &User) -> io::Result<()> {
    let group = Gid::from_raw(user.group);
    let groups: Vec<_> = user
        .groups
        .iter()
        .map(|group| Gid::from_raw(*group))
        .collect();
    set_keep_capabilities(true)?;
    set_thread_groups(&groups)?;
    set_thread_gid(group)?;
    set_thread_uid(Uid::from_raw(user.id))?;
    Ok(())
}

/// What the kernel says of each thread is what was asked for.
fn read_back(expected: CapabilitySet, user: Option<&User>) -> Result<(), Failure> {
    let unreadable =
        |error| Failure::Unavailable(Refused::to("cannot read back privileges from /proc")(error));
    for task in fs::read_dir("/proc/self/task").map_err(unreadable)? {
        let path = task.map_err(unreadable)?.path().join("status");
        let status = fs::read_to_string(path).map_err(unreadable)?;
        if let Some(what) = surplus(&status, expected, user.map(|user| user.id)) {
            return Err(Failure::Bug(format!("privileges were dropped, but {what}")));
        }
    }
    Ok(())
}

/// What a thread has that it should not have.
fn surplus(status: &str, expected: CapabilitySet, user: Option<u32>) -> Option<String> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().split_whitespace()
    };
    for name in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        let word = field(name).next().unwrap_or_default();
        let set = u64::from_str_radix(word, 16).unwrap_or(u64::MAX);
        if set & !expected.bits() != 0 {
            return Some(format!("{name} {word} is left"));
        }
    }
    let user = user?.to_string();
    let other = field("Uid:").find(|id| *id != user)?;
    Some(format!("user {other} is left"))
}

fn named(set: CapabilitySet) -> String {
    let names: Vec<_> = set
        .iter_names()
        .map(|(name, _)| format!("CAP_{name}"))
        .collect();
    if names.is_empty() {
        "none".into()
    } else {
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::{CapabilitySet, named, surplus};

    #[test]
    fn what_is_left_over_is_found() {
        let status = |permitted: &str, user: &str| {
            format!(
                "Name:\tx\nUid:\t7\t7\t{user}\t7\nCapInh:\t0000000000000000\n\
                 CapPrm:\t{permitted}\nCapEff:\t0000000000001000\nCapAmb:\t0000000000000000\n"
            )
        };
        let surplus = |status: &str| surplus(status, CapabilitySet::NET_ADMIN, Some(7));
        assert_eq!(surplus(&status("0000000000001000", "7")), None);
        let left = surplus(&status("0000000000201000", "7"));
        assert_eq!(left.as_deref(), Some("CapPrm: 0000000000201000 is left"));
        let left = surplus(&status("0000000000001000", "0"));
        assert_eq!(left.as_deref(), Some("user 0 is left"));
        assert!(surplus("").is_some(), "nothing was read");
    }

    #[test]
    fn capabilities_have_the_names_of_the_manual() {
        let set = CapabilitySet::NET_ADMIN | CapabilitySet::BPF;
        assert_eq!(named(set), "CAP_NET_ADMIN CAP_BPF");
        assert_eq!(named(CapabilitySet::empty()), "none");
    }
}
