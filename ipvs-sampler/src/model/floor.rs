//! Keeps published counters from going back when a source is lost. What was read live is newer than what
//! netlink shows, so the next dump alone would be a step back. Both are at most the truth, so the higher one
//! is right, until the kernel's own counter goes back. Nothing tells that an object was deleted and made again
//! between two dumps, when it has counted as much since as netlink showed before: then the floor stays until
//! netlink has passed it.

use ipvs_sampler_common::COUNTERS;

use super::{DestinationKey, ServiceKey, Snapshot, Stats};

/// The counters below which nothing is published, of those objects for which netlink is still behind. They
/// are for what is published alone: joins and checks go by what netlink itself says.
#[derive(Debug, Default)]
pub struct Floors {
    /// By key: services in front of their destinations.
    entries: Vec<Floor>,
}

/// A service, or with the second key one of its destinations.
pub type ObjectKey = (ServiceKey, Option<DestinationKey>);

#[derive(Clone, Copy, Debug)]
struct Floor {
    key: ObjectKey,
    counters: [u64; COUNTERS],
    /// What netlink showed last.
    netlink: [u64; COUNTERS],
}

impl Floors {
    /// Forgets all: what is published is newer again, or of other objects.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Notes what is published of an object, and what the last dump says of it. To be called in the order of
    /// a snapshot, a service in front of its destinations.
    pub fn note(
        &mut self,
        service: ServiceKey,
        destination: Option<DestinationKey>,
        published: &Stats,
        dumped: &Stats,
    ) {
        let (counters, netlink) = (published.counters(), dumped.counters());
        if exceeds(&counters, &netlink) {
            self.entries.push(Floor {
                key: (service, destination),
                counters,
                netlink,
            });
        }
    }

    /// Lets go of what the kernel set back between the dump `before` and the one that was noted.
    pub fn drop_set_back(&mut self, before: &Snapshot) {
        let mut at = 0;
        let entries = &mut self.entries;
        before.each_stats(|key, stats| {
            at += passed(&entries[at..], key);
            if let Some(floor) = entries.get_mut(at).filter(|floor| floor.key == key)
                && exceeds(&stats.counters(), &floor.netlink)
            {
                floor.counters = floor.netlink;
            }
        });
        entries.retain(|floor| floor.counters != floor.netlink);
    }

    /// Lets go of services with their destinations, and of single objects; both sorted.
    pub fn let_go(&mut self, services: &[ServiceKey], objects: &[ObjectKey]) {
        if self.entries.is_empty() {
            return;
        }
        self.entries.retain(|floor| {
            services.binary_search(&floor.key.0).is_err()
                && objects.binary_search(&floor.key).is_err()
        });
    }

    /// Takes in a dump: lets go of what netlink has caught up with, of what the kernel has set back, and of
    /// what is gone.
    pub fn take_in(&mut self, dump: &Snapshot) {
        if self.entries.is_empty() {
            return;
        }
        let mut kept = 0;
        let mut at = 0;
        dump.each_stats(|key, stats| {
            at += passed(&self.entries[at..], key);
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
    }

    /// Raises the counters of an object to what was published of it.
    pub fn raise(
        &self,
        service: ServiceKey,
        destination: Option<DestinationKey>,
        stats: &mut Stats,
    ) {
        if self.entries.is_empty() {
            return;
        }
        let key = (service, destination);
        let Ok(at) = self.entries.binary_search_by_key(&key, |floor| floor.key) else {
            return;
        };
        let mut counters = stats.counters();
        for (counter, floor) in counters.iter_mut().zip(self.entries[at].counters) {
            *counter = (*counter).max(floor);
        }
        stats.set_counters(counters);
    }
}

/// How many of the floors come before a key.
fn passed(floors: &[Floor], key: ObjectKey) -> usize {
    floors.iter().take_while(|floor| floor.key < key).count()
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
        for (service, destinations) in snapshot(dumped).iter() {
            floors.note(service.key, None, &published, &service.stats);
            for destination in destinations {
                let key = Some(destination.key);
                floors.note(service.key, key, &published, &destination.stats);
            }
        }
        floors
    }

    /// What is published of a dump.
    fn published(floors: &mut Floors, dump: &Snapshot) -> Vec<(u64, u64)> {
        floors.take_in(dump);
        let mut published = Vec::new();
        for (service, destinations) in dump.iter() {
            let mut raise = |key, mut stats: Stats| {
                floors.raise(service.key, key, &mut stats);
                published.push((stats.connections, stats.packets_in));
            };
            raise(None, service.stats);
            for destination in destinations {
                raise(Some(destination.key), destination.stats);
            }
        }
        published
    }

    #[test]
    fn a_dump_that_is_behind_is_raised_until_it_has_caught_up() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        for (dumped, expected) in [
            (stats(7, 90), (10, 100)),
            (stats(9, 120), (10, 120)),
            (stats(11, 120), (11, 120)),
        ] {
            let published = published(&mut floors, &snapshot(dumped));
            assert_eq!(published, [expected; 2 * MARKS as usize]);
        }
        assert!(floors.entries.is_empty(), "caught up");
    }

    #[test]
    fn a_counter_that_the_kernel_set_back_stays_back() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        for dumped in [stats(0, 90), stats(1, 91)] {
            let published = published(&mut floors, &snapshot(dumped));
            let expected = (dumped.connections, dumped.packets_in);
            assert_eq!(published, [expected; 2 * MARKS as usize]);
        }
    }

    #[test]
    fn what_was_set_back_before_it_was_noted_has_no_floor() {
        let mut floors = floors(stats(10, 100), stats(0, 1));
        let mut before = snapshot(stats(7, 90));
        before.services[0].stats = stats(0, 1);
        floors.drop_set_back(&before);
        let published = published(&mut floors, &snapshot(stats(0, 1)));
        let connections: Vec<_> = published.iter().map(|(first, _)| *first).collect();
        assert_eq!(connections, [10, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_gone_for_a_dump_comes_back_as_the_kernel_says() {
        let mut floors = floors(stats(10, 100), stats(7, 90));
        let mut without = snapshot(stats(7, 90));
        without.services.remove(1);
        published(&mut floors, &without);
        let again = published(&mut floors, &snapshot(stats(7, 90)));
        let connections: Vec<_> = again.iter().map(|(first, _)| *first).collect();
        assert_eq!(connections, [10, 10, 7, 7, 10, 10]);
    }
}
