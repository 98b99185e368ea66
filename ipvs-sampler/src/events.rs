//! The events source's own books, across probes that come and go: what was seen, what was lost,
//! and what IPVS counted that the probe did not see.

use ipvs_sampler_common::Tally;

use crate::source::{kernel, probe::Probe};

/// See the module.
#[derive(Debug, Default)]
pub struct Events {
    /// The current probe.
    now: Counts,
    /// All probes before it.
    before: Counts,
    /// What IPVS had counted when the probe began, less what the probe had.
    baseline: Option<u64>,
    /// Losses up to here have been dealt with.
    accepted: Tally,
    /// Reused for a file of /proc.
    text: String,
}

/// Sums since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The programs' own counters.
    pub tally: Tally,
    /// Records taken from the ring buffer.
    pub received: u64,
    /// Connections that IPVS counted and the probe did not see.
    pub missed: u64,
}

impl Events {
    /// A probe began to count. It may have missed what was scheduled while it attached, which the
    /// baseline takes in.
    pub fn probe_began(&mut self, probe: &Probe) {
        self.now = Counts::default();
        self.accepted = Tally::default();
        // In this order, what happens in between makes the baseline too high and so never a miss.
        let tally = probe.tally();
        self.baseline = kernel::scheduled_total(&mut self.text)
            .ok()
            .and_then(|total| total.checked_sub(seen(&tally)));
    }

    /// The probe is gone; its counts stay.
    pub fn probe_ended(&mut self) {
        self.before = self.totals();
        self.now = Counts::default();
        self.accepted = Tally::default();
        self.baseline = None;
    }

    /// Takes in the probe's counters; whether records of counts were lost since the last time.
    pub fn update(&mut self, probe: &Probe) -> bool {
        let lost = self.now.tally.lost;
        self.now.tally = probe.tally();
        self.now.received = probe.received();
        self.now.tally.lost > lost
    }

    /// Whether records of changes were lost that no dump has made up for.
    #[must_use]
    pub fn lost_changes(&self) -> bool {
        self.now.tally.lost_changes > self.accepted.lost_changes
    }

    /// Whether a connection found no slot, which needs a probe with more of them.
    #[must_use]
    pub fn no_slot_left(&self) -> bool {
        self.now.tally.no_slot > 0
    }

    /// A dump has made up for the changes lost until now.
    pub fn accept_losses(&mut self) {
        self.accepted = self.now.tally;
    }

    /// Compares with what IPVS itself counts, live, for the whole network namespace.
    pub fn compare(&mut self, probe: &Probe) {
        let Some(baseline) = self.baseline else {
            return;
        };
        // In this order, what happens in between is never a miss.
        let Ok(total) = kernel::scheduled_total(&mut self.text) else {
            return;
        };
        self.now.missed = total
            .saturating_sub(baseline)
            .saturating_sub(seen(&probe.tally()));
    }

    /// Sums over all probes.
    #[must_use]
    pub fn totals(&self) -> Counts {
        Counts {
            tally: self.before.tally.plus(self.now.tally),
            received: self.before.received + self.now.received,
            missed: self.before.missed + self.now.missed,
        }
    }
}

fn seen(tally: &Tally) -> u64 {
    tally.counted + tally.no_slot
}
