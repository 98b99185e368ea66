//! Three counts of the same connections, held against each other: by events, by live counters, by
//! netlink. They are never read in one instant, so each comparison is one of ranges: a count lies
//! between what another was a little before and what it is now. What lies outside is wrong.

use ipvs_sampler_common::{Reading, Slot};

use super::Snapshot;

/// Netlink may be so old before it counts as wrong, in ns: the estimator's 2 s, and then some.
const NETLINK_AGE: u64 = 5_000_000_000;

/// What is remembered of each destination's counts.
#[derive(Debug, Default)]
pub struct Crosscheck {
    /// By slot.
    entries: Vec<Option<Entry>>,
    /// When `recent` of the entries was taken, in ns.
    recent_at: u64,
    /// Of destinations that are gone.
    ended: u64,
    differences: Differences,
}

/// By how many connections the counts of all destinations together disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Events and live counters, since they began to be compared.
    pub events_live: u64,
    /// Events and the last dump.
    pub events_netlink: u64,
    /// Live counters and the last dump.
    pub live_netlink: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    zero: u64,
    /// What was counted before the events began lies within these.
    least: i64,
    most: i64,
    /// The smallest bound for `most` so far, that nothing has confirmed yet: between an event and the
    /// live count of it the processor may have been taken away, for longer than a tick.
    unconfirmed: i64,
    recent: Option<Past>,
    /// At least [`NETLINK_AGE`] old.
    old: Option<Past>,
}

/// Counts of a while ago; not more than was true then.
#[derive(Clone, Copy, Debug)]
struct Past {
    live: u64,
    events: u64,
}

/// The events of a destination: as they were before its live counters were read, and after.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// At least one tick before.
    pub before: u64,
    /// After.
    pub after: u64,
}

impl Crosscheck {
    /// Compares events with what was just read live.
    pub fn observe(
        &mut self,
        snapshot: &Snapshot,
        now_ns: u64,
        read: impl Fn(Slot) -> Option<Reading>,
        events: impl Fn(Slot) -> Around,
    ) {
        let age = now_ns.saturating_sub(self.recent_at) >= NETLINK_AGE;
        if age {
            self.recent_at = now_ns;
        }
        self.differences.events_live = self.ended;
        for slot in snapshot.destinations.iter().filter_map(|known| known.slot) {
            let index = slot as usize;
            if index >= self.entries.len() {
                self.entries.resize(index + 1, None);
            }
            let Some(reading) = read(slot).filter(|reading| reading.refused == 0) else {
                continue;
            };
            let Around { before, after } = events(slot);
            let live = reading.counted[0];
            let former = self.entries[index].filter(|entry| entry.address == reading.address);
            if former.is_none() {
                self.end(index);
            }
            let mut entry = former.unwrap_or(Entry {
                address: reading.address,
                zero: reading.zero[0],
                least: i64::MIN,
                most: i64::MAX,
                unconfirmed: i64::MAX,
                recent: None,
                old: None,
            });
            entry.least = entry.least.max(signed(live) - signed(after));
            let most = signed(live) - signed(before);
            entry.most = entry.most.min(entry.unconfirmed.max(most));
            entry.unconfirmed = entry.unconfirmed.min(most);
            if age {
                let events = before;
                entry.old = entry.recent.replace(Past { live, events });
            }
            self.differences.events_live += entry.disagreement();
            self.entries[index] = Some(entry);
        }
    }

    /// Compares the dump just made with what was read live after it, and with events.
    pub fn compare_dump(
        &mut self,
        snapshot: &Snapshot,
        read: impl Fn(Slot) -> Option<Reading>,
        events: impl Fn(Slot) -> u64,
    ) {
        self.differences.live_netlink = 0;
        self.differences.events_netlink = 0;
        for destination in &snapshot.destinations {
            let Some(slot) = destination.slot else {
                continue;
            };
            let (Some(Some(entry)), Some(reading)) =
                (self.entries.get_mut(slot as usize), read(slot))
            else {
                continue;
            };
            let zeroed = entry.zero != reading.zero[0];
            entry.zero = reading.zero[0];
            // Zeroed since the last look: before this dump or after it, nobody knows.
            if entry.address != reading.address || zeroed || reading.refused > 0 {
                continue;
            }
            let netlink = destination.stats.connections.saturating_add(entry.zero);
            let old_live = entry.old.map_or(0, |old| old.live);
            self.differences.live_netlink += outside(netlink, old_live, reading.counted[0]);
            let by_events = |events: u64| {
                u64::try_from(entry.least.saturating_add(signed(events))).unwrap_or(0)
            };
            let old_events = entry.old.map_or(0, |old| by_events(old.events));
            self.differences.events_netlink +=
                outside(netlink, old_events, by_events(events(slot)));
        }
    }

    /// A slot's destination is gone.
    pub fn forget(&mut self, slot: Slot) {
        self.end(slot as usize);
    }

    fn end(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index).and_then(Option::take) {
            self.ended += entry.disagreement();
        }
    }

    /// Forgets everything but what was found of those that are gone: another probe begins.
    pub fn clear(&mut self) {
        for index in 0..self.entries.len() {
            self.end(index);
        }
        self.differences = Differences {
            events_live: self.ended,
            ..Differences::default()
        };
        self.recent_at = 0;
    }

    /// As last compared.
    #[must_use]
    pub fn differences(&self) -> Differences {
        self.differences
    }
}

impl Entry {
    /// By how much events and live counters cannot both be right.
    fn disagreement(&self) -> u64 {
        u64::try_from(self.least.saturating_sub(self.most)).unwrap_or(0)
    }
}

/// How far `value` lies outside `low..=high`.
fn outside(value: u64, low: u64, high: u64) -> u64 {
    low.saturating_sub(value).max(value.saturating_sub(high))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Reading;

    use super::{Around, Crosscheck, Differences};
    use crate::model::{Destination, Service, Snapshot};

    const SECOND: u64 = 1_000_000_000;

    /// One destination, of which netlink says this much.
    fn snapshot(connections: u64) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut destination = Destination {
            slot: Some(0),
            ..Destination::default()
        };
        destination.stats.connections = connections;
        snapshot.services.push(Service {
            destination_count: 1,
            ..Service::default()
        });
        snapshot.destinations.push(destination);
        snapshot
    }

    fn counted(connections: u64) -> Option<Reading> {
        let mut reading = Reading {
            address: 64,
            ..Reading::default()
        };
        reading.counted[0] = connections;
        Some(reading)
    }

    fn observe(check: &mut Crosscheck, seconds: u64, live: u64, before: u64, after: u64) {
        check.observe(
            &snapshot(0),
            seconds * SECOND,
            |_| counted(live),
            |_| Around { before, after },
        );
    }

    fn dump(check: &mut Crosscheck, netlink: u64, live: u64, events: u64) -> Differences {
        check.compare_dump(&snapshot(netlink), |_| counted(live), |_| events);
        check.differences()
    }

    #[test]
    fn counts_that_are_read_one_after_the_other_agree() {
        let mut check = Crosscheck::default();
        // 100 had been counted before the events began; load goes on while it is read.
        observe(&mut check, 10, 107, 5, 9);
        observe(&mut check, 20, 130, 28, 31);
        observe(&mut check, 30, 150, 50, 50);
        assert_eq!(check.differences().events_live, 0);
        let differences = dump(&mut check, 130, 150, 50);
        assert_eq!(differences, Differences::default());
    }

    #[test]
    fn a_missed_event_is_a_difference_for_good() {
        let mut check = Crosscheck::default();
        observe(&mut check, 10, 100, 0, 0);
        observe(&mut check, 15, 100, 0, 0);
        observe(&mut check, 20, 105, 4, 4);
        assert_eq!(check.differences().events_live, 1);
        check.forget(0);
        observe(&mut check, 30, 500, 0, 0);
        assert_eq!(check.differences().events_live, 1);
    }

    #[test]
    fn an_event_that_was_no_connection_is_a_difference() {
        let mut check = Crosscheck::default();
        observe(&mut check, 10, 100, 0, 0);
        observe(&mut check, 20, 105, 7, 7);
        // It might be on its way.
        assert_eq!(check.differences().events_live, 0);
        observe(&mut check, 30, 106, 8, 8);
        assert_eq!(check.differences().events_live, 2);
    }

    #[test]
    fn a_connection_that_is_on_its_way_for_long_is_no_difference() {
        let mut check = Crosscheck::default();
        observe(&mut check, 10, 100, 0, 0);
        observe(&mut check, 20, 104, 5, 5);
        observe(&mut check, 30, 105, 5, 5);
        observe(&mut check, 40, 109, 9, 9);
        assert_eq!(check.differences().events_live, 0);
    }

    #[test]
    fn netlink_may_be_old_but_not_too_old_and_never_ahead() {
        let mut check = Crosscheck::default();
        observe(&mut check, 10, 100, 100, 100);
        observe(&mut check, 20, 200, 200, 200);
        observe(&mut check, 30, 300, 300, 300);
        assert_eq!(dump(&mut check, 200, 300, 300).live_netlink, 0);
        let late = dump(&mut check, 150, 300, 300);
        assert_eq!((late.live_netlink, late.events_netlink), (50, 50));
        let ahead = dump(&mut check, 301, 300, 300);
        assert_eq!((ahead.live_netlink, ahead.events_netlink), (1, 1));
    }
}
