//! What the live source read of each object, and what that says since the reading before.

use ipvs_sampler_common::{COUNTERS, Reading, Slot};

use super::{Destination, Service, Snapshot, Stats};

/// What was read of all objects at one instant. Reused.
#[derive(Clone, Debug, Default)]
pub struct ReadTable {
    /// By slot. One without an address has no object; one of [`Reading::run`] 0 has an object that was not
    /// read.
    pub readings: Vec<Reading>,
}

impl ReadTable {
    /// What was read of a slot; `None` when it has no object.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Reading> {
        let reading = self.readings.get(slot as usize)?;
        (reading.address != 0 && reading.run != 0).then_some(reading)
    }

    /// Whether a slot has an object that was not read.
    #[must_use]
    pub fn left_out(&self, slot: Slot) -> bool {
        let reading = self.readings.get(slot as usize);
        reading.is_some_and(|reading| reading.address != 0 && reading.run == 0)
    }

    /// Half a reading is none: its sums would be too low.
    fn whole(&self, slot: Slot) -> Option<&Reading> {
        self.get(slot).filter(|reading| reading.refused == 0)
    }
}

/// The readings of all objects at one instant, and the instant before.
#[derive(Debug, Default)]
pub struct Readings {
    now: ReadTable,
    before: ReadTable,
    /// From one to the other, in ns.
    window_ns: u64,
    /// By slot, since [`Readings::end_interval`].
    peaks: Vec<Peak>,
    /// By slot.
    named: Vec<Named>,
    /// How often [`Readings::turn`] was called.
    turns: u64,
}

/// The turns at which a dump had an object: before its first there is nothing to compare with, for nothing was
/// published of it.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    /// The first one without a gap.
    first: u64,
    last: u64,
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
        self.now.readings.clear();
        self.before.readings.clear();
        self.peaks.clear();
        self.named.clear();
    }

    /// Where the next readings go. To be followed by [`Readings::turn`].
    pub fn coming(&mut self) -> &mut ReadTable {
        &mut self.before
    }

    /// What [`Readings::coming`] holds was read `window_ns` after the readings before. A dump had the objects
    /// of `snapshot`.
    pub fn turn(&mut self, snapshot: &Snapshot, window_ns: u64) {
        std::mem::swap(&mut self.now, &mut self.before);
        self.window_ns = window_ns;
        self.name(snapshot);
        let slots = self.now.readings.len();
        if self.peaks.len() < slots {
            self.peaks.resize(slots, Peak::none());
        }
        for slot in 0..u32::try_from(slots).unwrap_or(Slot::MAX) {
            let window = self.pair(slot).map(|(now, before)| window(now, before));
            let peak = &mut self.peaks[slot as usize];
            match window {
                Some([0, 0, 0, ..]) => {}
                Some(window) => peak.raise(&window, window_ns),
                // Another life, or none.
                None => *peak = Peak::none(),
            }
        }
    }

    fn name(&mut self, snapshot: &Snapshot) {
        let before = self.turns;
        self.turns += 1;
        for slot in slots(snapshot) {
            let index = slot as usize;
            if index >= self.named.len() {
                self.named.resize(index + 1, Named::default());
            }
            let named = &mut self.named[index];
            if named.last != before || before == 0 {
                named.first = self.turns;
            }
            named.last = self.turns;
        }
    }

    /// Room for readings that are no tick's. From then on there is no window, until there is the next.
    pub fn aside(&mut self) -> &mut ReadTable {
        self.window_ns = 0;
        &mut self.before
    }

    /// What was read into [`Readings::aside`].
    #[must_use]
    pub fn set_aside(&self) -> &ReadTable {
        &self.before
    }

    /// Whether an object has anything new to say.
    #[must_use]
    pub fn changed(&self, slot: Option<Slot>) -> bool {
        let Some(now) = self.reading(slot) else {
            return false;
        };
        self.former(slot, now).is_none_or(|before| {
            now.counted != before.counted || now.zero != before.zero || now.state != before.state
        })
    }

    /// Whether an object was read.
    #[must_use]
    pub fn has(&self, slot: Option<Slot>) -> bool {
        self.reading(slot).is_some()
    }

    /// The service with its live counters in place of the dump's.
    #[must_use]
    pub fn service(&self, service: &Service) -> Option<Service> {
        Some(Service {
            stats: self.stats(service.slot)?,
            ..*service
        })
    }

    /// The destination with its live counters in place of the dump's.
    #[must_use]
    pub fn destination(&self, destination: &Destination) -> Option<Destination> {
        let state = &self.reading(destination.slot)?.state;
        Some(Destination {
            stats: self.stats(destination.slot)?,
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
        self.reading(slot)?;
        self.peaks.get(slot? as usize).copied()
    }

    /// Begins the next interval.
    pub fn end_interval(&mut self) {
        self.peaks.fill(Peak::none());
    }

    fn reading(&self, slot: Option<Slot>) -> Option<&Reading> {
        self.now.whole(slot?)
    }

    /// The reading before, of the same life.
    fn former(&self, slot: Option<Slot>, now: &Reading) -> Option<&Reading> {
        let named = self.named.get(slot? as usize)?;
        let before = self.before.whole(slot?)?;
        (before.address == now.address && named.first < self.turns).then_some(before)
    }

    fn pair(&self, slot: Slot) -> Option<(&Reading, &Reading)> {
        let now = self.reading(Some(slot))?;
        Some((now, self.former(Some(slot), now)?))
    }

    fn stats(&self, slot: Option<Slot>) -> Option<Stats> {
        let Reading { counted, zero, .. } = self.reading(slot)?;
        let window = self.pair(slot?).map(|(now, before)| window(now, before));
        let window = window.unwrap_or_default();
        let since_zero = |index: usize| counted[index].saturating_sub(zero[index]);
        let rate = |index: usize| per_second(window[index], self.window_ns);
        let [connections, packets_in, packets_out, bytes_in, bytes_out] = [0, 1, 2, 3, 4];
        Some(Stats {
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
        })
    }
}

/// What was counted between two readings of one life.
fn window(now: &Reading, before: &Reading) -> [u64; COUNTERS] {
    std::array::from_fn(|index| now.counted[index].saturating_sub(before.counted[index]))
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

    /// Takes in what was counted in a window.
    fn raise(&mut self, window: &[u64; COUNTERS], window_ns: u64) {
        let rate = |index: usize| per_second(window[index], window_ns);
        let higher = |known: Option<u64>, index| known.map(|known| known.max(rate(index)));
        *self = Self {
            connections: self.connections.max(rate(0)),
            packets_in: higher(self.packets_in, 1),
            packets_out: higher(self.packets_out, 2),
        };
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
            run: 1,
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

    fn take(
        readings: &mut Readings,
        snapshot: &Snapshot,
        window_ns: u64,
        read: impl Fn(u32) -> Option<Reading>,
    ) {
        let table = readings.coming();
        table.readings.clear();
        let read = (0..4).map(|slot| read(slot).unwrap_or_default());
        table.readings.extend(read);
        readings.turn(snapshot, window_ns);
    }

    #[test]
    fn counters_are_since_zero_and_rates_over_the_window() {
        let snapshot = snapshot();
        assert_eq!(slots_end(&snapshot), 4);
        let mut readings = Readings::default();
        take(&mut readings, &snapshot, 0, read);
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(
            (
                service.stats.connections,
                service.stats.connections_per_second
            ),
            (8, 0)
        );

        take(&mut readings, &snapshot, 100_000_000, |slot| {
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
        take(&mut readings, &snapshot, 1, |slot| {
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
        take(&mut readings, &snapshot, 1, read);
        take(&mut readings, &snapshot, 1_000, |slot| {
            let mut reading = read(slot)?;
            reading.address = 128;
            reading.counted[0] = 1_000_000;
            Some(reading)
        });
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(service.stats.connections_per_second, 0);
        take(&mut readings, &snapshot, 1_000, |_| None);
        assert_eq!(readings.service(&snapshot.services[0]), None);
    }

    #[test]
    fn an_object_that_was_not_read_for_a_while_has_no_window() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        take(&mut readings, &snapshot, 1, read);
        take(&mut readings, &snapshot, 1, |_| None);
        take(&mut readings, &snapshot, 1_000, |slot| {
            let mut reading = read(slot)?;
            reading.counted[0] += 1_000_000;
            Some(reading)
        });
        let service = readings.service(&snapshot.services[0]).unwrap();
        assert_eq!(service.stats.connections_per_second, 0);
        assert_eq!(service.stats.connections, 1_000_008);
    }

    #[test]
    fn an_object_that_no_dump_had_before_has_something_to_say() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        let unnamed = Snapshot::default();
        take(&mut readings, &unnamed, 1, read);
        take(&mut readings, &unnamed, 1, read);
        take(&mut readings, &snapshot, 1, read);
        assert!(readings.changed(Some(3)), "its first line");
        take(&mut readings, &snapshot, 1, read);
        assert!(!readings.changed(Some(3)));
        // One that a dump left out is new again.
        take(&mut readings, &unnamed, 1, read);
        take(&mut readings, &snapshot, 1, read);
        assert!(readings.changed(Some(3)));
    }

    #[test]
    fn a_reading_that_was_refused_in_part_is_none() {
        let snapshot = snapshot();
        let mut readings = Readings::default();
        take(&mut readings, &snapshot, 1, read);
        take(&mut readings, &snapshot, 1, |slot| {
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
