//! What the live source read of each known object, and what that says since the reading before.

use ipvs_sampler_common::{COUNTERS, Reading, Slot};
use thiserror::Error;

use super::{Destination, Service, Snapshot, Stats};

/// The readings of all known objects at one instant, and the instant before. Reused.
#[derive(Debug, Default)]
pub struct Readings {
    /// By slot.
    entries: Vec<Option<Entry>>,
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
}

/// A live reading that cannot be of the object it is taken for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Mismatch {
    /// The kernel refused to read some of it.
    #[error("{refused} reads of {what} were refused")]
    Refused {
        /// `a service` or `a destination`.
        what: &'static str,
        /// How many.
        refused: u32,
    },
    /// Netlink's counters are not between what was zeroed and what was counted.
    #[error("netlink says {netlink} where the live counters of {what} say {live}")]
    Counters {
        /// As above.
        what: &'static str,
        /// From the dump.
        netlink: u64,
        /// Read after it.
        live: u64,
    },
    /// The weight is another one.
    #[error("netlink says weight {netlink} where a destination's memory says {live}")]
    Weight {
        /// From the dump.
        netlink: u32,
        /// Read after it.
        live: u32,
    },
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
        for slot in slots(snapshot) {
            let index = slot as usize;
            if index >= self.entries.len() {
                self.entries.resize(index + 1, None);
            }
            // Half a reading is none: its sums would be too low.
            let whole = read(slot).filter(|reading| reading.refused == 0);
            self.entries[index] = whole.map(|reading| match &self.entries[index] {
                Some(before) if before.reading.address == reading.address => {
                    Entry::after(&before.reading, reading, window_ns)
                }
                _ => Entry::first(reading),
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
        Some(Destination {
            stats: entry.stats(),
            weight: entry.reading.weight,
            active_connections: entry.reading.active,
            inactive_connections: entry.reading.inactive,
            persistent_connections: entry.reading.persistent,
            ..*destination
        })
    }

    fn entry(&self, slot: Option<Slot>) -> Option<&Entry> {
        self.entries.get(slot? as usize)?.as_ref()
    }
}

/// Holds what is read after a dump against the dump: the kernel's netlink counters are
/// `kstats - kstats0` (`ip_vs_copy_stats`, net/netfilter/ipvs/ip_vs_ctl.c), and at most what was
/// counted. Wrong offsets into the kernel's memory do not pass.
///
/// # Errors
/// The first reading that does not fit.
pub fn check_readings(
    snapshot: &Snapshot,
    read: impl Fn(Slot) -> Option<Reading>,
) -> Result<(), Mismatch> {
    for service in &snapshot.services {
        if let Some(reading) = service.slot.and_then(&read) {
            check_counters("a service", &reading, &service.stats)?;
        }
    }
    for destination in &snapshot.destinations {
        let Some(reading) = destination.slot.and_then(&read) else {
            continue;
        };
        check_counters("a destination", &reading, &destination.stats)?;
        if reading.weight != destination.weight {
            return Err(Mismatch::Weight {
                netlink: destination.weight,
                live: reading.weight,
            });
        }
    }
    Ok(())
}

/// The slots of a snapshot's objects.
fn slots(snapshot: &Snapshot) -> impl Iterator<Item = Slot> {
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
    fn first(reading: Reading) -> Self {
        Self {
            reading,
            window: [0; COUNTERS],
            changed: true,
            window_ns: 0,
        }
    }

    fn after(before: &Reading, reading: Reading, window_ns: u64) -> Self {
        let window = std::array::from_fn(|index| {
            reading.counted[index].saturating_sub(before.counted[index])
        });
        let changed = window != [0; COUNTERS]
            || reading.zero != before.zero
            || reading.active != before.active
            || reading.inactive != before.inactive
            || reading.persistent != before.persistent
            || reading.weight != before.weight;
        Self {
            reading,
            window,
            changed,
            window_ns,
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

fn check_counters(what: &'static str, reading: &Reading, stats: &Stats) -> Result<(), Mismatch> {
    let Reading {
        counted,
        estimated,
        zero,
        refused,
        ..
    } = *reading;
    if refused > 0 {
        return Err(Mismatch::Refused { what, refused });
    }
    let netlink = [
        stats.connections,
        stats.packets_in,
        stats.packets_out,
        stats.bytes_in,
        stats.bytes_out,
    ];
    for (index, netlink) in netlink.into_iter().enumerate() {
        // The estimator may have run since the dump, and connections come: never less. It sums the
        // CPUs' counters one after the other, as we do, and may be ahead of us by what came in
        // between; the copy itself is what has to fit.
        let shown = estimated[index].checked_sub(zero[index]);
        if shown.is_none_or(|shown| shown < netlink) || counted[index] < zero[index] {
            return Err(Mismatch::Counters {
                what,
                netlink,
                live: shown.unwrap_or(0),
            });
        }
    }
    Ok(())
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

    use super::{Mismatch, Readings, check_readings, per_second, slots_end};
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
                reading.weight = 7;
                reading.active = 2;
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
    fn readings_from_the_wrong_place_do_not_pass() {
        let snapshot = snapshot();
        assert_eq!(check_readings(&snapshot, read), Ok(()));
        let spoilt = |spoil: fn(&mut Reading)| {
            check_readings(&snapshot, |slot| {
                let mut reading = read(slot)?;
                spoil(&mut reading);
                Some(reading)
            })
        };
        let weight = Mismatch::Weight {
            netlink: 7,
            live: 8,
        };
        assert_eq!(spoilt(|reading| reading.weight += 1), Err(weight));
        assert!(spoilt(|reading| reading.estimated[0] = 8).is_err());
        assert!(spoilt(|reading| reading.zero[0] = 13).is_err());
        assert!(spoilt(|reading| reading.refused = 1).is_err());
    }

    #[test]
    fn rates_are_rounded_and_never_divide_by_zero() {
        assert_eq!(per_second(3, 100_000_000), 30);
        assert_eq!(per_second(1, 3_000_000_000), 0);
        assert_eq!(per_second(2, 3_000_000_000), 1);
        assert_eq!(per_second(5, 0), 0);
    }
}
