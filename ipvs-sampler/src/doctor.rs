//! `doctor`: each way of knowing, tried for real: available, or why not and what to do.

use std::{
    env, fmt::Write as _, fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _,
    process,
};

use crate::{
    failure::Failure,
    model::Snapshot,
    privileges,
    sampler::{DUMP_LIMIT, within},
    source::{
        conditions::Conditions,
        kernel,
        namespace::Namespace,
        netlink::Netlink,
        probe::{CHECKS, LOOKS, Options, Probe, Reason, Room, Unavailable, cause_of},
    },
};

/// What was found.
pub struct Findings {
    /// One line for each source, ready to be printed.
    pub text: String,
    /// Why nothing can be sampled, when the first of them is missing.
    pub failure: Option<Failure>,
}

/// Tries each source. The probe is attached for a moment and taken away again.
///
/// # Errors
/// When the network namespace cannot be entered.
pub fn examine(namespace: &Namespace) -> Result<Findings, Failure> {
    within(namespace, || {
        let mut text = String::new();
        if let Some(label) = namespace.label() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "netns    {label}");
        }
        let failure = examine_here(&mut text);
        Findings { text, failure }
    })
}

fn examine_here(text: &mut String) -> Option<Failure> {
    let mut snapshot = Snapshot::default();
    let mut netlink = Netlink::open(DUMP_LIMIT);
    let dumped = match &mut netlink {
        Ok(netlink) => netlink.dump(&mut snapshot, &mut ()),
        Err(_) => Ok(()),
    };
    let failure = netlink.as_ref().err().map(ToString::to_string);
    line(
        text,
        "netlink",
        failure.or_else(|| dumped.as_ref().err().map(ToString::to_string)),
    );
    privileges::lift_memory_limit();
    let (events, live) = match examine_probe(netlink.as_mut().ok()) {
        Ok(live) => (None, live),
        Err(unavailable) => (Some(unavailable), Some(Reason::NeedsEvents.into())),
    };
    for (source, unavailable) in [("events", events), ("live", live)] {
        line(text, source, unavailable.as_ref().map(ToString::to_string));
        if let Some(log) = unavailable.and_then(|unavailable| unavailable.log) {
            keep_log(text, &log);
        }
    }
    match netlink {
        Ok(_) => dumped.err().map(Into::into),
        Err(error) => Some(error.into()),
    }
}

fn line(text: &mut String, source: &str, obstacle: Option<String>) {
    let state = obstacle.map_or("available".to_owned(), |why| format!("unavailable: {why}"));
    let _ = writeln!(text, "{source:<8} {state}");
}

/// Has a probe watch a dump. Fails when the probe is unavailable; otherwise returns why live counters are, if they
/// are.
fn examine_probe(netlink: Option<&mut Netlink>) -> Result<Option<Unavailable>, Unavailable> {
    // Small: it is about whether, not how much.
    let room = Room {
        wanted: SLOTS,
        least: SLOTS,
    };
    let options = Options {
        resolution_ns: 1_000_000,
        ring_bytes: 4096,
        room,
        arrivals: 0,
        log: None,
    };
    let mut probe = Probe::start(&options)?;
    let Some(netlink) = netlink else {
        return Ok(probe.not_live());
    };
    let mut snapshot = Snapshot::default();
    let mut obstacle = None;
    let mut unseen = 0;
    for _ in 0..CHECKS {
        if netlink.dump(&mut snapshot, &mut probe.learner()).is_err() {
            // That is said of netlink.
            return Ok(probe.not_live());
        }
        if let Err(observed) = probe.check_sight(snapshot.destinations.len()) {
            unseen += 1;
            if unseen == LOOKS {
                return Err(cause_of(observed, &Conditions::now()).into());
            }
            continue;
        }
        if probe.confirm() {
            continue;
        }
        obstacle = probe.not_live();
        if obstacle.is_some() {
            break;
        }
        let totals = || kernel::totals(&mut String::new()).ok();
        obstacle = probe.check_live(&snapshot, totals).err();
        if obstacle.is_none() {
            break;
        }
    }
    Ok(obstacle)
}

/// Services and destinations of which the probe learns; a dump may have more.
const SLOTS: u32 = 64;

/// Puts the verifier's words into a file, and says where.
fn keep_log(text: &mut String, log: &str) {
    let path = env::temp_dir().join(format!("ipvs-sampler-verifier-{}.log", process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(log.as_bytes()));
    let path = path.display();
    let _ = match written {
        Ok(()) => writeln!(text, "{:<8} the verifier's log is in {path}", ""),
        Err(error) => writeln!(
            text,
            "{:<8} cannot write the verifier's log to {path}: {error}",
            ""
        ),
    };
}
