//! `doctor`: each way of knowing, tried for real: available, or why not and what to do.

use std::{
    env, fmt::Write as _, fs::OpenOptions, io::Write as _, os::unix::fs::OpenOptionsExt as _,
    process,
};

use crate::{
    cli::Doctor,
    engine::{CHECKS, LOOKS, blindness, fits},
    model::{ReadTable, Snapshot, slots_end},
    source::{
        Director, chosen_namespaces,
        feed::{
            Feed, Layout, NoDump, NoProbe, ProbeOrder, Reason, Room, Unavailable, WhichTotals,
            cause_of,
        },
        namespace::Namespace,
    },
    system::failure::Failure,
    system::privileges,
    system::stdout::print,
};

/// `doctor`: what can be known here.
///
/// # Errors
/// When nothing can be sampled, or standard output fails.
pub fn doctor(options: &Doctor) -> Result<(), Failure> {
    let mut failure = None;
    for namespace in chosen_namespaces(&options.place.netns)? {
        let findings = examine(namespace)?;
        print(findings.text.as_bytes())?;
        failure = failure.or(findings.failure);
    }
    failure.map_or(Ok(()), Err)
}

/// What was found.
struct Findings {
    /// One line for each source, ready to be printed.
    text: String,
    /// Why nothing can be sampled, when the first of them is missing.
    failure: Option<Failure>,
}

/// Tries each source. The probe is attached for a moment and taken away again.
///
/// # Errors
/// When the network namespace cannot be entered.
fn examine(namespace: Namespace) -> Result<Findings, Failure> {
    let mut text = String::new();
    if let Some(label) = namespace.label() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "netns    {label}");
    }
    let mut director = Director::new(namespace);
    let failure = dump(&mut director).err();
    line(
        &mut text,
        "netlink",
        failure.as_ref().map(ToString::to_string),
    );
    privileges::lift_memory_limit();
    let (events, live) = match examine_probe(&mut director) {
        Ok(live) => (None, live),
        Err(NoProbe::Unavailable(unavailable)) => {
            (Some(unavailable), Some(Reason::NeedsEvents.into()))
        }
        Err(NoProbe::Closed(failure)) => return Err(failure),
    };
    for (source, unavailable) in [("events", events), ("live", live)] {
        line(
            &mut text,
            source,
            unavailable.as_ref().map(ToString::to_string),
        );
        if let Some(log) = unavailable.and_then(|unavailable| unavailable.log) {
            keep_log(&mut text, &log);
        }
    }
    Ok(Findings { text, failure })
}

fn dump(director: &mut Director) -> Result<(), Failure> {
    director.connect()?;
    match director.dump(&mut Snapshot::default()) {
        Ok(_) | Err(NoDump::Nowhere) => Ok(()),
        Err(NoDump::Failed(error)) => Err(error.into()),
    }
}

fn line(text: &mut String, source: &str, obstacle: Option<String>) {
    let state = obstacle.map_or("available".to_owned(), |why| format!("unavailable: {why}"));
    let _ = writeln!(text, "{source:<8} {state}");
}

/// Has a probe watch a dump. Fails when the probe is unavailable; otherwise returns why live counters are, if they
/// are.
fn examine_probe(director: &mut Director) -> Result<Option<Unavailable>, NoProbe> {
    // Small: it is about whether, not how much.
    let room = Room {
        wanted: SLOTS,
        least: SLOTS,
    };
    let started = director.start_probe(&ProbeOrder {
        resolution_ns: 1_000_000,
        ring_bytes: 4096,
        room,
        arrivals: 0,
        log: None,
    })?;
    let mut live = started.live;
    let mut snapshot = Snapshot::default();
    let mut readings = ReadTable::default();
    let mut obstacle = None;
    let mut unseen = 0;
    for _ in 0..CHECKS {
        let Ok(dumped) = director.dump(&mut snapshot) else {
            // That is said of netlink.
            return Ok(why_not(live));
        };
        if let Some(observed) = blindness(&dumped, snapshot.destinations.len()) {
            unseen += 1;
            if unseen == LOOKS {
                let cause = cause_of(observed, &director.conditions());
                return Err(NoProbe::Unavailable(cause.into()));
            }
            continue;
        }
        if live == Ok(Layout::ToConfirm) {
            match director.confirm() {
                Ok(true) => {
                    live = Ok(Layout::Known);
                    continue;
                }
                Ok(false) => {}
                Err(unavailable) => live = Err(unavailable),
            }
        }
        obstacle = why_not(live.clone());
        if obstacle.is_some() {
            break;
        }
        obstacle = director
            .readings(slots_end(&snapshot), &mut readings)
            .and_then(|()| {
                let totals = director.totals(WhichTotals::Live);
                fits(&dumped.check, &snapshot, &readings, totals.as_ref(), |_| {
                    false
                })
                .map_err(|mismatch| Unavailable::mismatch(&mismatch))
            })
            .err();
        if obstacle.is_none() {
            break;
        }
    }
    Ok(obstacle)
}

/// Why counters cannot be read live, if they cannot.
fn why_not(live: Result<Layout, Unavailable>) -> Option<Unavailable> {
    match live {
        Ok(Layout::Known) => None,
        Ok(Layout::ToConfirm) => Some(Reason::Unconfirmed.into()),
        Err(unavailable) => Some(unavailable),
    }
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
