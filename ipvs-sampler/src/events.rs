//! The events source's own books, across probes that come and go: what was seen, what was lost,
//! and what IPVS counted that the probe did not see.

use ipvs_sampler_common::{COUNTERS, Tally};

use crate::{
    model::Sight,
    source::{kernel, namespace::Namespace, probe::Probe},
};

/// See the module.
#[derive(Debug, Default)]
pub struct Events {
    /// The current probe's.
    now: Counts,
    /// Those of all probes before it.
    before: Counts,
    missed: Missed,
    /// Whether the current probe sees anything.
    pub sight: Sight,
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

/// Connections that IPVS counted and no probe saw, since the first probe of this IPVS.
#[derive(Debug, Default)]
struct Missed {
    /// What IPVS had counted, less what was seen, when that probe began.
    baseline: Option<i64>,
    most: u64,
}

impl Missed {
    /// Takes in what was seen when the first probe began, and what IPVS had counted a moment later: what
    /// happens in between is never a miss.
    fn begin(&mut self, seen: u64, total: u64) {
        self.baseline
            .get_or_insert_with(|| signed(total) - signed(seen));
    }

    /// Takes in what IPVS had counted, and what was seen a moment later. A connection may be seen shortly
    /// before IPVS counts it, so the difference is at most what was missed, and the largest is nearest.
    fn compare(&mut self, total: u64, seen: u64) -> u64 {
        if let Some(baseline) = self.baseline {
            let missed = signed(total) - signed(seen) - baseline;
            self.most = self.most.max(u64::try_from(missed).unwrap_or(0));
        }
        self.most
    }
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
        self.sight.restart();
        self.now.tally = probe.tally();
        let seen = self.seen();
        if self.missed.baseline.is_none()
            && let Some(total) = self.scheduled_total(namespace)
        {
            self.missed.begin(seen, total);
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
        self.missed = Missed::default();
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
        // In this order, what happens in between is never a miss.
        let Some(total) = self.scheduled_total(namespace) else {
            return;
        };
        self.update(probe);
        let seen = self.seen();
        self.now.missed = self.missed.compare(total, seen);
        if let Some(later) = self.scheduled_total(namespace) {
            self.sight.count(total, seen, later);
        }
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

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Missed;

    #[test]
    fn what_was_missed_never_becomes_less() {
        let mut missed = Missed::default();
        assert_eq!(missed.compare(900, 5), 0, "nothing to compare with");
        missed.begin(10, 1000);
        assert_eq!(missed.compare(1000, 10), 0);
        assert_eq!(missed.compare(1100, 30), 80);
        // One is seen that IPVS has yet to count.
        assert_eq!(missed.compare(1100, 31), 80);
        assert_eq!(missed.compare(1102, 31), 81);
    }

    #[test]
    fn more_may_be_seen_than_is_counted_when_it_begins() {
        let mut missed = Missed::default();
        missed.begin(1, 0);
        assert_eq!(missed.compare(0, 1), 0);
        assert_eq!(missed.compare(5, 5), 1);
    }
}
