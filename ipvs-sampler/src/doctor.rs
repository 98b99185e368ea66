//! `doctor`: each way of knowing, tried for real: available, or why not and what to do.

use std::fmt::Write as _;

use crate::{
    failure::Failure,
    model::Snapshot,
    sampler::{DUMP_LIMIT, within},
    source::{
        namespace::Namespace,
        netlink::Netlink,
        probe::{Options, Probe},
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
    let mut line = |source: &str, obstacle: Option<String>| {
        let state = obstacle.map_or("available".to_owned(), |why| format!("unavailable: {why}"));
        let _ = writeln!(text, "{source:<8} {state}");
    };
    let mut snapshot = Snapshot::default();
    let mut netlink = Netlink::open(DUMP_LIMIT);
    let dumped = match &mut netlink {
        Ok(netlink) => netlink.dump(&mut snapshot, &mut ()),
        Err(_) => Ok(()),
    };
    let failure = netlink.as_ref().err().map(ToString::to_string);
    line(
        "netlink",
        failure.or_else(|| dumped.as_ref().err().map(ToString::to_string)),
    );
    // Small: it is about whether, not how much.
    let options = Options {
        resolution_ns: 1_000_000,
        ring_bytes: 4096,
        slots: 64,
        arrivals: 0,
        log: None,
    };
    match Probe::start(&options) {
        Ok(mut probe) => {
            line("events", None);
            if let Ok(netlink) = &mut netlink {
                // It failed above, or shows what reading live needs.
                let _ = netlink.dump(&mut snapshot, &mut probe.learner());
                probe.confirm();
            }
            let obstacle = probe.not_live();
            line("live", obstacle.map(|obstacle| obstacle.to_string()));
        }
        Err(unavailable) => {
            line("events", Some(unavailable.to_string()));
            line("live", Some("needs events".into()));
        }
    }
    match netlink {
        Ok(_) => dumped.err().map(Into::into),
        Err(error) => Some(error.into()),
    }
}
