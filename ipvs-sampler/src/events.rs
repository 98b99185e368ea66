//! The events source's own books, across probes that come and go: what was seen, what was lost,
//! and what IPVS counted that the probe did not see.

use ipvs_sampler_common::{COUNTERS, Tally};

use crate::source::{kernel, namespace::Namespace, probe::Probe};

/// See the module.
#[derive(Debug, Default)]
pub struct Events {
    /// The current probe's.
    now: Counts,
    /// Those of all probes before it.
    before: Counts,
    /// What IPVS had counted, less what was seen, when the first probe of this IPVS began.
    baseline: Option<u64>,
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
    /// Connections that IPVS counted and no probe saw.
    pub missed: u64,
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            tally: self.tally.plus(other.tally),
            received: self.received + other.received,
            missed: self.missed + other.missed,
        }
    }
}

impl Events {
    /// A probe began to count. From the first one on, IPVS's own count is compared with.
    pub fn probe_began(&mut self, probe: &Probe, namespace: &Namespace) {
        // In this order, what happens in between makes the baseline too high and so never a miss.
        self.now.tally = probe.tally();
        let seen = self.seen();
        if self.baseline.is_none()
            && let Some(total) = self.scheduled_total(namespace)
        {
            self.baseline = Some(total.wrapping_sub(seen));
        }
    }

    /// The probe is gone; its counts stay.
    pub fn probe_ended(&mut self) {
        let missed = self.now.missed;
        self.now.missed = 0;
        self.before = self.before.plus(self.now);
        self.now = Counts {
            missed,
            ..Counts::default()
        };
    }

    /// IPVS is gone, and its count with it.
    pub fn ipvs_ended(&mut self) {
        self.probe_ended();
        self.before = self.totals();
        self.now = Counts::default();
        self.baseline = None;
    }

    /// Takes in the probe's counters; whether records of counts were lost since the last time.
    pub fn update(&mut self, probe: &Probe) -> bool {
        let lost = self.now.tally.lost;
        self.now.tally = probe.tally();
        self.now.received = probe.received();
        self.now.tally.lost > lost
    }

    /// Whether the current probe lost records of changes.
    #[must_use]
    pub fn lost_changes(&self) -> bool {
        self.now.tally.lost_changes > 0
    }

    /// Whether a connection found no slot, which needs a probe with more of them.
    #[must_use]
    pub fn no_slot_left(&self) -> bool {
        self.now.tally.no_slot > 0
    }

    /// Compares with what IPVS itself counts, live, for the whole network namespace.
    pub fn compare(&mut self, probe: &Probe, namespace: &Namespace) {
        let Some(baseline) = self.baseline else {
            return;
        };
        // In this order, what happens in between is never a miss.
        let Some(total) = self.scheduled_total(namespace) else {
            return;
        };
        self.update(probe);
        self.now.missed = total.wrapping_sub(baseline).saturating_sub(self.seen());
    }

    /// Sums over all probes.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.before.plus(self.now)
    }

    /// What IPVS itself has counted in the network namespace; `None` when it does not say.
    pub fn kernel_totals(&mut self, namespace: &Namespace) -> Option<[u64; COUNTERS]> {
        let read = namespace.within(|| kernel::totals(&mut self.text));
        read.ok()?.ok()
    }

    fn scheduled_total(&mut self, namespace: &Namespace) -> Option<u64> {
        let [connections, ..] = self.kernel_totals(namespace)?;
        Some(connections)
    }

    fn seen(&self) -> u64 {
        let tally = self.totals().tally;
        tally.counted + tally.no_slot
    }
}
