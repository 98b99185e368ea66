//! `doctor`: each way of knowing, tried for real: available, or why not and what to do.

use std::fmt::Write as _;

use crate::{
    failure::Failure,
    model::Snapshot,
    sampler::DUMP_LIMIT,
    source::{
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
#[must_use]
pub fn examine() -> Findings {
    let mut text = String::new();
    let mut line = |source: &str, obstacle: Option<String>| {
        let state = obstacle.map_or("available".to_owned(), |why| format!("unavailable: {why}"));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{source:<8} {state}");
    };
    let netlink = Netlink::open(DUMP_LIMIT)
        .and_then(|mut netlink| netlink.dump(&mut Snapshot::default(), &mut ()));
    line("netlink", netlink.as_ref().err().map(ToString::to_string));
    // Small: it is about whether, not how much.
    let options = Options {
        resolution_ns: 1_000_000,
        ring_bytes: 4096,
        slots: 64,
        log: None,
    };
    match Probe::start(&options) {
        Ok(probe) => {
            line("events", None);
            line("live", probe.not_live().map(ToString::to_string));
        }
        Err(unavailable) => {
            line("events", Some(unavailable.to_string()));
            line("live", Some("needs events".into()));
        }
    }
    Findings {
        text,
        failure: netlink.err().map(Into::into),
    }
}
