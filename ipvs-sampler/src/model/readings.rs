//! What the live source read of each known object, and what that says since the reading before.

use ipvs_sampler_common::{COUNTERS, Reading, Slot};

use super::{Destination, Service, Snapshot, Stats};

/// The readings of all known objects at one instant, and the instant before. Reused.
#[derive(Debug, Default)]
pub struct Readings {
    /// By slot.
    entries: Vec<Option<Entry>>,
    /// How often [`Readings::take`] was called.
    times: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    reading: Reading,
    /// What was counted since the reading before.
    window: [u64; COUNTERS],
    /// Whether anything that is published differs from the reading before.
    changed: bool,
    /// Length of the window, in ns.
    window_ns: u64,
    /// Since [`Readings::end_interval`].
    peak: Peak,
    /// The time it was read.
    time: u64,
}

/// The highest rates of any window, per second; `None` where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// Connections.
    pub connections: u64,
    /// Packets in.
    pub packets_in: Option<u64>,
    /// Packets out.
    pub packets_out: Option<u64>,
}

impl Readings {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Takes in what `read` has of each of the snapshot's objects; `window_ns` after the last time.
    pub fn take(
        &mut self,
        snapshot: &Snapshot,
        window_ns: u64,
        read: impl Fn(Slot) -> Option<Reading>,
    ) {
        self.times += 1;
        let time = self.times;
        for slot in slots(snapshot) {
            let index = slot as usize;
            if index >= self.entries.len() {
                self.entries.resize(index + 1, None);
            }
            // Half a reading is none: its sums would be too low.
            let whole = read(slot).filter(|reading| reading.refused == 0);
            self.entries[index] = whole.map(|reading| match &self.entries[index] {
                // One that a dump left out for a while has no window either.
                Some(before)
                    if before.reading.address == reading.address && before.time + 1 == time =>
                {
                    Entry::after(before, reading, window_ns, time)
                }
                _ => Entry::first(reading, time),
            });
        }
    }

    /// Whether an object has anything new to say.
    #[must_use]
    pub fn changed(&self, slot: Option<Slot>) -> bool {
        self.entry(slot).is_some_and(|entry| entry.changed)
    }

    /// The service with its live counters in place of the dump's.
    #[must_use]
    pub fn service(&self, service: &Service) -> Option<Service> {
        let entry = self.entry(service.slot)?;
        Some(Service {
            stats: entry.stats(),
            ..*service
        })
    }

    /// The destination with its live counters in place of the dump's.
    #[must_use]
    pub fn destination(&self, destination: &Destination) -> Option<Destination> {
        let entry = self.entry(destination.slot)?;
        let state = &entry.reading.state;
        Some(Destination {
            stats: entry.stats(),
            weight: state.weight,
            active_connections: state.active,
            inactive_connections: state.inactive,
            persistent_connections: state.persistent,
            overloaded: Some(state.flags & Destination::OVERLOADED != 0),
            ..*destination
        })
    }

    /// The highest rates since [`Readings::end_interval`].
    #[must_use]
    pub fn peak(&self, slot: Option<Slot>) -> Option<Peak> {
        self.entry(slot).map(|entry| entry.peak)
    }

    /// Begins the next interval.
    pub fn end_interval(&mut self) {
        for entry in self.entries.iter_mut().flatten() {
            entry.peak = Peak::none();
        }
    }

    fn entry(&self, slot: Option<Slot>) -> Option<&Entry> {
        self.entries.get(slot? as usize)?.as_ref()
    }
}

impl Peak {
    /// Of connections alone.
    #[must_use]
    pub const fn of_connections(connections: u64) -> Self {
        Self {
            connections,
            packets_in: None,
            packets_out: None,
        }
    }

    /// Nothing was counted.
    const fn none() -> Self {
        Self {
            connections: 0,
            packets_in: Some(0),
            packets_out: Some(0),
        }
    }
}

/// The slots of a snapshot's objects.
pub(super) fn slots(snapshot: &Snapshot) -> impl Iterator<Item = Slot> {
    let services = snapshot.services.iter().filter_map(|service| service.slot);
    services.chain(
        snapshot
            .destinations
            .iter()
            .filter_map(|destination| destination.slot),
    )
}

/// One more than the highest slot in use.
#[must_use]
pub fn slots_end(snapshot: &Snapshot) -> Slot {
    slots(snapshot).max().map_or(0, |slot| slot + 1)
}

impl Entry {
    /// Of an object not read before: it says where it stands, and has no window yet.
    fn first(reading: Reading, time: u64) -> Self {
        Self {
            reading,
            window: [0; COUNTERS],
            changed: true,
            window_ns: 0,
            peak: Peak::none(),
            time,
        }
    }

    fn after(former: &Self, reading: Reading, window_ns: u64, time: u64) -> Self {
        let before = &former.reading;
        let window = std::array::from_fn(|index| {
            reading.counted[index].saturating_sub(before.counted[index])
        });
        let changed =
            window != [0; COUNTERS] || reading.zero != before.zero || reading.state != before.state;
        let rate = |index: usize| per_second(window[index], window_ns);
        let higher = |known: Option<u64>, index| known.map(|known| known.max(rate(index)));
        Self {
            reading,
            window,
            changed,
            window_ns,
            peak: Peak {
                connections: former.peak.connections.max(rate(0)),
                packets_in: higher(former.peak.packets_in, 1),
                packets_out: higher(former.peak.packets_out, 2),
            },
            time,
        }
    }

    fn stats(&self) -> Stats {
        let Self {
            reading: Reading { counted, zero, .. },
            window,
            window_ns,
            ..
        } = self;
        let since_zero = |index: usize| counted[index].saturating_sub(zero[index]);
        let rate = |index: usize| per_second(window[index], *window_ns);
        let [connections, packets_in, packets_out, bytes_in, bytes_out] = [0, 1, 2, 3, 4];
        Stats {
            connections: since_zero(connections),
            packets_in: since_zero(packets_in),
            packets_out: since_zero(packets_out),
            bytes_in: since_zero(bytes_in),
            bytes_out: since_zero(bytes_out),
            connections_per_second: rate(connections),
            packets_in_per_second: rate(packets_in),
            packets_out_per_second: rate(packets_out),
            bytes_in_per_second: rate(bytes_in),
            bytes_out_per_second: rate(bytes_out),
        }
    }
}

/// Rounded; 0 for an empty window.
#[must_use]
pub fn per_second(count: u64, window_ns: u64) -> u64 {
    const NANOSECONDS: u128 = 1_000_000_000;
    let (count, window) = (u128::from(count), u128::from(window_ns));
    if window == 0 {
        return 0;
    }
    u64::try_from((count * NANOSECONDS + window / 2) / window).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Reading;

    use super::{Readings, per_second, slots_end};
    use crate::model::{Destination, Service, Snapshot};

    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut service = Service {
            slot: Some(3),
            ..Service::default()
        };
        service.stats.connections = 5;
        let mut destination = Destination {
            slot: Some(1),
            weight: 7,
            ..Destination::default()
        };
        destination.stats.bytes_in = 100;
        snapshot.services.push(service);
        snapshot.destinations.push(destination);
        snapshot
    }

    /// The service has counted 12, of which 4 were zeroed and 9 estimated.
    fn read(slot: u32) -> Option<Reading> {
        let mut reading = Reading {
            address: 64,
            ..Reading::default()
        };
        match slot {
            3 => {
                reading.counted[0] = 12;
                reading.estimated[0] = 9;
                reading.zero[0] = 4;
            }
            1 => {
                reading.counted[3] = 160;
                reading.estimated[3] = 100;
                reading.state.weight = 7;
                reading.state.active = 2;
            }
            _ => return None,
        }
        Some(reading)
    }

    #[test]
    fn counters_are_since_zero_and_rates_over_the_window() {
        let snapshot = snapshot();
        assert_eq!(slots_end(&snapshot), 4);
        let mut readings = Readings::default();
        readings.take(&snapshot, 0, read);
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(
            (
                service.stats.connections,
                service.stats.connections_per_second
            ),
            (8, 0)
        );

        readings.take(&snapshot, 100_000_000, |slot| {
            let mut reading = read(slot)?;
            reading.counted[0] += 3;
            Some(reading)
        });
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(
            (
                service.stats.connections,
                service.stats.connections_per_second
            ),
            (11, 30)
        );
        assert!(readings.changed(Some(3)));
        readings.take(&snapshot, 1, |slot| {
            let mut reading = read(slot)?;
            reading.counted[0] += 3;
            Some(reading)
        });
        assert!(!readings.changed(Some(3)));
        let destination = readings.destination(&snapshot.destinations[0]).unwrap();
        assert_eq!(
            (destination.active_connections, destination.stats.bytes_in),
            (2, 160)
        );
    }

    #[test]
    fn another_object_at_the_same_slot_has_no_window() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        readings.take(&snapshot, 1, read);
        readings.take(&snapshot, 1_000, |slot| {
            let mut reading = read(slot)?;
            reading.address = 128;
            reading.counted[0] = 1_000_000;
            Some(reading)
        });
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(service.stats.connections_per_second, 0);
        readings.take(&snapshot, 1_000, |_| None);
        assert_eq!(readings.service(&snapshot.services[0]), None);
    }

    #[test]
    fn an_object_that_was_left_out_for_a_while_has_no_window() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        readings.take(&snapshot, 1, read);
        readings.take(&Snapshot::default(), 1, read);
        readings.take(&snapshot, 1_000, |slot| {
            let mut reading = read(slot)?;
            reading.counted[0] += 1_000_000;
            Some(reading)
        });
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(service.stats.connections_per_second, 0);
        assert_eq!(service.stats.connections, 1_000_008);
    }

    #[test]
    fn a_reading_that_was_refused_in_part_is_none() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        readings.take(&snapshot, 1, read);
        readings.take(&snapshot, 1, |slot| {
            let mut reading = read(slot)?;
            reading.counted[0] = 1;
            reading.refused = 1;
            Some(reading)
        });
        assert_eq!(readings.service(&snapshot.services[0]), None);
        assert!(!readings.changed(Some(3)));
    }

    #[test]
    fn rates_are_rounded_and_never_divide_by_zero() {
        assert_eq!(per_second(3, 100_000_000), 30);
        assert_eq!(per_second(1, 3_000_000_000), 0);
        assert_eq!(per_second(2, 3_000_000_000), 1);
        assert_eq!(per_second(5, 0), 0);
    }
}
