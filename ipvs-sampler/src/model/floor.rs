//! Keeps published counters from going back when a source is lost. What was read live is newer than what
//! netlink shows, so the next dump alone would be a step back. Both are at most the truth, so the higher one
//! is right, until the kernel's own counter goes back. Nothing tells that an object was deleted and made again
//! between two dumps, when it has counted as much since as netlink showed before: then the floor stays until
//! netlink has passed it.

use ipvs_sampler_common::COUNTERS;

use super::{DestinationKey, ServiceKey, Snapshot, Stats};

/// The counters below which nothing is published, of those objects for which netlink is still behind.
#[derive(Debug, Default)]
pub struct Floors {
    /// By key: services in front of their destinations.
    entries: Vec<Floor>,
    /// Those of before, while what is published is noted, and how many of them are behind.
    former: Vec<Floor>,
    passed: usize,
}

type Key = (ServiceKey, Option<DestinationKey>);

#[derive(Clone, Copy, Debug)]
struct Floor {
    key: Key,
    counters: [u64; COUNTERS],
    /// What netlink showed last.
    netlink: [u64; COUNTERS],
}

impl Floors {
    /// Forgets all: what is published is newer again, or other objects.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Begins to note what is published, in the order of a snapshot. Floors of before stay, of objects that
    /// are still there.
    pub fn begin(&mut self) {
        std::mem::swap(&mut self.entries, &mut self.former);
        self.entries.clear();
        self.passed = 0;
    }

    /// Notes what was published of a service, and what the last dump says of it.
    pub fn note_service(&mut self, key: ServiceKey, published: &Stats, dumped: &Stats) {
        self.note((key, None), published, dumped);
    }

    /// As [`Floors::note_service`], of a destination.
    pub fn note_destination(
        &mut self,
        service: ServiceKey,
        key: DestinationKey,
        published: &Stats,
        dumped: &Stats,
    ) {
        self.note((service, Some(key)), published, dumped);
    }

    fn note(&mut self, key: Key, published: &Stats, dumped: &Stats) {
        let (mut counters, mut netlink) = (published.counters(), dumped.counters());
        self.passed += count_before(&self.former[self.passed..], key);
        if let Some(floor) = self
            .former
            .get(self.passed)
            .filter(|floor| floor.key == key)
        {
            // What was dumped has been raised to it.
            netlink = floor.netlink;
            raise(&mut counters, &floor.counters);
        }
        if exceeds(&counters, &netlink) {
            self.entries.push(Floor {
                key,
                counters,
                netlink,
            });
        }
    }

    /// Takes in a dump: lets go of what netlink has caught up with and of what the kernel has set back, and
    /// raises the rest to what was published.
    pub fn take_in(&mut self, dump: &mut Snapshot) {
        if self.entries.is_empty() {
            return;
        }
        let mut kept = 0;
        let mut at = 0;
        dump.each_stats(|key, stats| {
            at += count_before(&self.entries[at..], key);
            let Some(floor) = self.entries.get(at).filter(|floor| floor.key == key) else {
                return;
            };
            let netlink = stats.counters();
            let set_back = exceeds(&floor.netlink, &netlink);
            if !set_back && exceeds(&floor.counters, &netlink) {
                self.entries[kept] = Floor { netlink, ..*floor };
                kept += 1;
            }
            at += 1;
        });
        self.entries.truncate(kept);
        self.hold(dump);
    }

    /// Raises a snapshot's counters to what was published.
    pub fn hold(&self, snapshot: &mut Snapshot) {
        let mut at = 0;
        snapshot.each_stats(|key, stats| {
            at += count_before(&self.entries[at..], key);
            if let Some(floor) = self.entries.get(at).filter(|floor| floor.key == key) {
                let mut counters = stats.counters();
                raise(&mut counters, &floor.counters);
                stats.set_counters(counters);
            }
        });
    }
}

/// How many of the floors come before a key.
fn count_before(floors: &[Floor], key: Key) -> usize {
    floors.iter().take_while(|floor| floor.key < key).count()
}

fn raise(counters: &mut [u64; COUNTERS], floors: &[u64; COUNTERS]) {
    for (counter, floor) in counters.iter_mut().zip(floors) {
        *counter = (*counter).max(*floor);
    }
}

/// Whether any counter of the first is higher.
fn exceeds(first: &[u64; COUNTERS], second: &[u64; COUNTERS]) -> bool {
    first
        .iter()
        .zip(second)
        .any(|(first, second)| first > second)
}

#[cfg(test)]
mod tests {
    use super::Floors;
    use crate::model::{Destination, Service, Snapshot, Stats, VirtualAddress};

    const MARKS: u32 = 3;

    fn stats(connections: u64, packets_in: u64) -> Stats {
        Stats {
            connections,
            packets_in,
            ..Stats::default()
        }
    }

    /// Services by mark 1 to 3 with a destination each, all with these counters.
    fn snapshot(stats: Stats) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for mark in 1..=MARKS {
            let mut service = Service {
                first_destination: mark - 1,
                destination_count: 1,
                stats,
                ..Service::default()
            };
            service.key.address = VirtualAddress::Fwmark(mark);
            snapshot.services.push(service);
            snapshot.destinations.push(Destination {
                stats,
                ..Destination::default()
            });
        }
        snapshot
    }

    fn floors(published: Stats, dumped: Stats) -> Floors {
        let mut floors = Floors::default();
        note(&mut floors, published, dumped);
        floors
    }

    fn note(floors: &mut Floors, published: Stats, dumped: Stats) {
        floors.begin();
        for (service, destinations) in snapshot(dumped).iter() {
            floors.note_service(service.key, &published, &service.stats);
            for destination in destinations {
                let (service, key) = (service.key, destination.key);
                floors.note_destination(service, key, &published, &destination.stats);
            }
        }
    }

    fn all(snapshot: &Snapshot) -> Vec<(u64, u64)> {
        let services = snapshot.services.iter().map(|service| service.stats);
        let destinations = snapshot.destinations.iter().map(|known| known.stats);
        services
            .chain(destinations)
            .map(|stats| (stats.connections, stats.packets_in))
            .collect()
    }

    #[test]
    fn a_dump_that_is_behind_is_raised_until_it_has_caught_up() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        for (dumped, expected) in [
            (stats(7, 90), (10, 100)),
            (stats(9, 120), (10, 120)),
            (stats(11, 120), (11, 120)),
        ] {
            let mut snapshot = snapshot(dumped);
            floors.take_in(&mut snapshot);
            assert_eq!(all(&snapshot), [expected; 2 * MARKS as usize]);
        }
        assert!(floors.entries.is_empty(), "caught up");
    }

    /// What is lost may be lost in steps: live counters first, then the events.
    #[test]
    fn floors_stay_when_what_is_published_is_noted_again() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        let mut current = snapshot(stats(7, 90));
        floors.hold(&mut current);
        assert_eq!(all(&current), [(10, 100); 2 * MARKS as usize]);
        // Published as raised, with netlink behind it.
        note(&mut floors, stats(10, 100), stats(10, 100));
        floors.hold(&mut current);
        assert_eq!(all(&current), [(10, 100); 2 * MARKS as usize]);
        note(&mut floors, stats(12, 100), stats(10, 100));
        for (dumped, expected) in [(stats(8, 95), (12, 100)), (stats(13, 101), (13, 101))] {
            let mut snapshot = snapshot(dumped);
            floors.take_in(&mut snapshot);
            assert_eq!(all(&snapshot), [expected; 2 * MARKS as usize]);
        }
    }

    #[test]
    fn a_counter_that_the_kernel_set_back_stays_back() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        for dumped in [stats(0, 90), stats(1, 91)] {
            let mut snapshot = snapshot(dumped);
            floors.take_in(&mut snapshot);
            let expected = (dumped.connections, dumped.packets_in);
            assert_eq!(all(&snapshot), [expected; 2 * MARKS as usize]);
        }
    }

    #[test]
    fn what_is_gone_for_a_dump_comes_back_as_the_kernel_says() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        let mut without = snapshot(stats(7, 90));
        without.services.remove(1);
        floors.take_in(&mut without);
        let mut again = snapshot(stats(7, 90));
        floors.take_in(&mut again);
        let connections: Vec<_> = all(&again).iter().map(|(first, _)| *first).collect();
        assert_eq!(connections, [10, 7, 10, 10, 7, 10]);
    }
}
