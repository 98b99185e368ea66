//! What the kernel's "no" to the probe means: its error numbers say little, so this looks around.

use std::{error::Error, io};

use aya::{maps::MapError, programs::ProgramError, sys::is_map_supported};

use crate::source::{
    conditions,
    feed::{Capability, Conditions, Reason, Unavailable, scrub},
    kernel,
};

/// An error that has no explanation but its own words.
pub(super) fn broken(error: &(dyn Error + 'static)) -> Unavailable {
    Unavailable::with_detail(Reason::KernelError, &words(error))
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// To create maps, or load or run a program.
    Load,
    /// To attach to a function.
    Attach,
}

/// What the kernel answered.
#[derive(Clone, Debug, Default)]
struct KernelAnswer {
    errno: Option<i32>,
    /// Whether it was about a map.
    map: bool,
    /// What the verifier said; empty where it was not asked.
    log: String,
    /// All of it in words.
    words: String,
}

/// Explains an error from creating maps, loading or running programs.
pub(super) fn load(error: &(dyn Error + 'static)) -> Unavailable {
    explain_here(Attempt::Load, &KernelAnswer::of(error))
}

/// Explains an error from attaching to `function`.
pub(super) fn attach(function: &str, error: &(dyn Error + 'static)) -> Unavailable {
    let answer = KernelAnswer {
        words: format!("{function}: {}", words(error)),
        ..KernelAnswer::of(error)
    };
    explain_here(Attempt::Attach, &answer)
}

fn explain_here(attempt: Attempt, answer: &KernelAnswer) -> Unavailable {
    let around = Surroundings {
        conditions: conditions::now(),
        ipvs: kernel::has_ipvs(),
        // The smallest map there is: when that is taken, it is the size that is not.
        takes_maps: is_map_supported(aya::maps::MapType::Array).unwrap_or(false),
    };
    let reason = explain(attempt, answer, &around);
    let mut unavailable = Unavailable::with_detail(reason, &answer.words);
    if !answer.log.is_empty() {
        unavailable.log = Some(scrub(&answer.log));
    }
    unavailable
}

/// What else is known of the machine.
#[derive(Clone, Debug)]
struct Surroundings {
    conditions: Conditions,
    ipvs: bool,
    takes_maps: bool,
}

/// `EPERM` is about privileges, or before 5.11 about locked memory (`bpf_charge_memlock`,
/// kernel/bpf/syscall.c); `EACCES` from loading is the verifier's no (kernel/bpf/verifier.c). Under
/// lockdown the kernel offers no helper that reads its memory (`bpf_base_func_proto`,
/// kernel/bpf/helpers.c), so loading fails with `EINVAL`. `perf_event_open` answers `EACCES` or
/// `EPERM` for want of privileges, and `ENOENT` or `EADDRNOTAVAIL` for want of the function.
fn explain(attempt: Attempt, answer: &KernelAnswer, around: &Surroundings) -> Reason {
    use Attempt::{Attach, Load};
    let conditions = &around.conditions;
    if conditions.locked_down() {
        return Reason::LockedDown;
    }
    match (attempt, answer.errno) {
        (Attach, Some(libc::ENOENT | libc::EADDRNOTAVAIL)) if !around.ipvs => Reason::NoIpvs,
        (Attach, Some(libc::ENOENT | libc::EADDRNOTAVAIL)) => Reason::NoFunction,
        (Attach, Some(libc::EPERM | libc::EACCES)) | (Load, Some(libc::EPERM)) => {
            not_permitted(around)
        }
        (Load, Some(libc::ENOMEM)) => Reason::NoMemory,
        (Load, Some(libc::E2BIG)) if !answer.map => Reason::ProgramTooLarge,
        (Load, _) if lacks_helper(&answer.log) => Reason::NoHelper,
        (Load, Some(libc::EACCES | libc::EINVAL)) if !answer.log.is_empty() => Reason::Rejected,
        _ => Reason::KernelError,
    }
}

/// The verifier's words for it since 4.x, up to 6.x and after (`check_helper_call`,
/// kernel/bpf/verifier.c).
fn lacks_helper(log: &str) -> bool {
    ["unknown func", "invalid func", "cannot use helper"]
        .iter()
        .any(|words| log.contains(words))
}

fn not_permitted(around: &Surroundings) -> Reason {
    let conditions = &around.conditions;
    let administrator = conditions.holds(Capability::SysAdmin);
    let bpf = conditions.holds(Capability::Bpf) && conditions.holds(Capability::Perfmon);
    match (administrator, bpf) {
        (false, false) => Reason::NoCapabilities,
        (false, true)
            if conditions
                .perf_event_paranoid()
                .is_some_and(|level| level > 2) =>
        {
            Reason::PerfEventParanoid
        }
        _ if around.takes_maps && conditions.memory_is_limited() => Reason::LockedMemory,
        _ => Reason::Refused,
    }
}

impl KernelAnswer {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let log = chain(error).find_map(|error| match error.downcast_ref()? {
            ProgramError::LoadError { verifier_log, .. } => Some(verifier_log.to_string()),
            _ => None,
        });
        Self {
            errno: chain(error).find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error()),
            map: chain(error).any(|error| error.is::<MapError>()),
            log: log.unwrap_or_default(),
            words: words(error),
        }
    }
}

/// An error in words: of one with a verifier's log, without that log.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut words: Option<String> = None;
    for cause in chain(error) {
        // Causes are often repeated in the texts before them.
        let text = match cause.downcast_ref() {
            Some(ProgramError::LoadError { io_error, .. }) => io_error.to_string(),
            _ => cause.to_string(),
        };
        let text = text.lines().next().unwrap_or_default();
        let text = text.split(" Verifier output:").next().unwrap_or_default();
        words = match words {
            None => Some(text.to_owned()),
            Some(words) if words.contains(text) => Some(words),
            Some(words) => Some(format!("{words}: {text}")),
        };
    }
    words.unwrap_or_default()
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::{Attempt, KernelAnswer, Surroundings, explain};
    use crate::source::feed::{Conditions, Reason};

    const ALL: u64 = u64::MAX;
    const BPF_ONLY: u64 = 1 << 38 | 1 << 39;

    fn around(capabilities: u64) -> Surroundings {
        Surroundings {
            conditions: Conditions::with_capabilities(capabilities),
            ipvs: true,
            takes_maps: true,
        }
    }

    fn answer(errno: i32, log: &str) -> KernelAnswer {
        KernelAnswer {
            errno: Some(errno),
            log: log.into(),
            ..KernelAnswer::default()
        }
    }

    #[test]
    fn an_error_number_is_explained_by_what_is_around() {
        use Attempt::{Attach, Load};
        let root = around(ALL);
        let nobody = around(0);
        let mut paranoid = around(BPF_ONLY);
        paranoid.conditions.set("perf_event_paranoid", "3\n");
        let mut limited = around(ALL);
        limited.conditions.limit_memory(65536);
        let mut filtered = limited.clone();
        filtered.takes_maps = false;
        let mut locked_down = around(ALL);
        locked_down
            .conditions
            .set("lockdown", "none integrity [confidentiality]\n");
        let mut unloaded = around(ALL);
        unloaded.ipvs = false;
        let helper =
            "0: (85) call bpf_probe_read_kernel#113\nunknown func bpf_probe_read_kernel#113";
        for (attempt, errno, log, around, expected) in [
            (Load, libc::EPERM, "", &nobody, Reason::NoCapabilities),
            (Load, libc::EPERM, "", &root, Reason::Refused),
            (Load, libc::EPERM, "", &limited, Reason::LockedMemory),
            (Load, libc::EPERM, "", &filtered, Reason::Refused),
            (Load, libc::EINVAL, helper, &locked_down, Reason::LockedDown),
            (Load, libc::EINVAL, helper, &root, Reason::NoHelper),
            (
                Load,
                libc::EACCES,
                "R1 invalid mem access",
                &root,
                Reason::Rejected,
            ),
            (
                Load,
                libc::E2BIG,
                "too many",
                &root,
                Reason::ProgramTooLarge,
            ),
            (Load, libc::ENOMEM, "", &root, Reason::NoMemory),
            (Load, libc::EBUSY, "", &root, Reason::KernelError),
            (
                Attach,
                libc::EACCES,
                "",
                &paranoid,
                Reason::PerfEventParanoid,
            ),
            (Attach, libc::ENOENT, "", &root, Reason::NoFunction),
            (Attach, libc::ENOENT, "", &unloaded, Reason::NoIpvs),
            (Attach, libc::EPERM, "", &locked_down, Reason::LockedDown),
        ] {
            let reason = explain(attempt, &answer(errno, log), around);
            assert_eq!(reason, expected, "{attempt:?} {errno} {log}");
        }
    }
}
