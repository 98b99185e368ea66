//! The events source's own books, across probes that come and go: what was seen, what was lost,
//! and what IPVS counted that the probe did not see.

use crate::{
    model::{Counts, Sight},
    source::feed::{Counted, Feed, WhichTotals},
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// The current probe's.
    now: Counts,
    /// Those of all probes before it.
    before: Counts,
    missed: Missed,
    /// Whether the current probe sees anything.
    pub(super) sight: Sight,
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

impl Books {
    /// A probe began to count. From the first one on, IPVS's own count is compared with.
    pub(super) fn probe_began(&mut self, feed: &mut dyn Feed) {
        self.sight.restart();
        self.update(feed.counted());
        let seen = self.seen();
        if self.missed.baseline.is_none()
            && let Some(total) = scheduled_total(feed)
        {
            self.missed.begin(seen, total);
        }
    }

    /// The probe is gone; its counts stay.
    pub(super) fn probe_ended(&mut self) {
        let missed = self.now.missed;
        self.now.missed = 0;
        self.before = self.before.plus(self.now);
        self.now = Counts {
            missed,
            ..Counts::default()
        };
    }

    /// IPVS is gone, and its count with it.
    pub(super) fn ipvs_ended(&mut self) {
        self.probe_ended();
        self.before = self.totals();
        self.now = Counts::default();
        self.missed = Missed::default();
    }

    /// Takes in the probe's counters; whether records of counts were lost since the last time.
    pub(super) fn update(&mut self, counted: Counted) -> bool {
        let lost = self.now.tally.lost;
        self.now.tally = counted.tally;
        self.now.received = counted.received;
        self.now.tally.lost > lost
    }

    /// Whether the current probe lost records of changes.
    pub(super) fn lost_changes(&self) -> bool {
        self.now.tally.lost_changes > 0
    }

    /// Whether a connection found no slot, which needs a probe with more of them.
    pub(super) fn no_slot_left(&self) -> bool {
        self.now.tally.no_slot > 0
    }

    /// Compares with what IPVS itself counts, live, for the whole network namespace.
    pub(super) fn compare(&mut self, feed: &mut dyn Feed) {
        // In this order, what happens in between is never a miss.
        let Some(total) = scheduled_total(feed) else {
            return;
        };
        self.update(feed.counted());
        let seen = self.seen();
        self.now.missed = self.missed.compare(total, seen);
        if let Some(later) = scheduled_total(feed) {
            self.sight.count(total, seen, later);
        }
    }

    /// Sums over all probes.
    pub(super) fn totals(&self) -> Counts {
        self.before.plus(self.now)
    }

    fn seen(&self) -> u64 {
        let tally = self.totals().tally;
        tally.counted + tally.no_slot
    }
}

/// What IPVS itself has counted in the network namespace; `None` when it does not say.
fn scheduled_total(feed: &mut dyn Feed) -> Option<u64> {
    let [connections, ..] = feed.totals(WhichTotals::Live)?;
    Some(connections)
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
