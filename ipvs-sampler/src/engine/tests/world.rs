//! A kernel in miniature: services and destinations that count, an estimator that copies, and the probe's side
//! of it. Everything that happens is drawn from one seed.

use std::collections::{BTreeMap, VecDeque};

use ipvs_sampler_common::{Arrival, COUNTERS, Slot, Tally};

use crate::model::{
    Destination, DestinationKey, Service, ServiceKey, Snapshot, Stats, VirtualAddress,
};

/// Names a service, or one of its destinations.
pub(super) type Key = (u32, Option<u16>);

/// What one object has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) counted: [u64; COUNTERS],
    pub(super) estimated: [u64; COUNTERS],
    pub(super) zero: [u64; COUNTERS],
}

impl Counters {
    pub(super) fn truth(&self) -> [u64; COUNTERS] {
        std::array::from_fn(|index| self.counted[index] - self.zero[index])
    }

    fn shown(&self) -> [u64; COUNTERS] {
        // As in `ip_vs_copy_stats`: what the estimator copied, less what was zeroed.
        std::array::from_fn(|index| self.estimated[index].saturating_sub(self.zero[index]))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) address: u64,
    pub(super) weight: u32,
    pub(super) counters: Counters,
}

/// What a record tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Counted(Slot),
    Retired(Slot),
    Zeroed(Option<Slot>),
}

/// The probe's side.
#[derive(Clone, Debug, Default)]
pub(super) struct Probe {
    pub(super) slots: u32,
    /// By slot: the address of its object, 0 for none; and its count.
    pub(super) objects: Vec<u64>,
    pub(super) cells: Vec<u64>,
    pub(super) muted: Vec<bool>,
    pub(super) free: Vec<Slot>,
    pub(super) records: VecDeque<Told>,
    pub(super) tally: Tally,
    pub(super) received: u64,
    pub(super) live: bool,
}

/// The chances, of 1000 happenings, of those that a test chooses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chances {
    /// Records are lost.
    pub(super) losses: u32,
    /// Dumps fail, chunks of fills are lost.
    pub(super) dumps: u32,
    /// Modules, namespaces and probes come and go.
    pub(super) sources: u32,
}

pub(super) struct World {
    seed: u64,
    pub(super) chances: Chances,
    pub(super) monotonic: i64,
    pub(super) wall: i64,
    pub(super) loaded: bool,
    pub(super) family: u16,
    pub(super) objects: BTreeMap<Key, Object>,
    /// Of all that ever was, deleted objects included.
    pub(super) totals: [u64; COUNTERS],
    next_address: u64,
    pub(super) probe: Option<Probe>,
    /// The highest that was true of each object since the last check, also of objects that are gone.
    pub(super) highest: BTreeMap<Key, [u64; COUNTERS]>,
    /// Objects whose counters began again, and which of them no dump has shown since.
    pub(super) reset: Vec<Key>,
    pub(super) reset_since_dump: Vec<Key>,
    /// Those since the last check: of a zeroing that came after the records of a tick and before its reading,
    /// the record comes a tick later.
    reset_lately: Vec<Key>,
    /// What the last dump showed.
    pub(super) at_dump: BTreeMap<Key, [u64; COUNTERS]>,
    /// What was true when all was read last.
    pub(super) at_reading: BTreeMap<Key, [u64; COUNTERS]>,
    /// Changes have been lost, and no new probe has begun since.
    pub(super) uncertain: bool,
    pub(super) probes_started: u32,
    /// Those that the probe has yet to hand over.
    pub(super) arrivals: Vec<Arrival>,
    pub(super) quiet: bool,
}

const SERVICES: u32 = 3;
const DESTINATIONS: u16 = 5;

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            seed: seed | 1,
            chances: Chances::default(),
            monotonic: 1_000_000_000,
            wall: 1_700_000_000_000_000_000,
            loaded: true,
            family: 30,
            objects: BTreeMap::new(),
            totals: [0; COUNTERS],
            next_address: 0x1000,
            probe: None,
            highest: BTreeMap::new(),
            reset: Vec::new(),
            reset_since_dump: Vec::new(),
            reset_lately: Vec::new(),
            at_dump: BTreeMap::new(),
            at_reading: BTreeMap::new(),
            uncertain: false,
            probes_started: 0,
            arrivals: Vec::new(),
            quiet: false,
        };
        for _ in 0..20 {
            world.change();
        }
        world
    }

    /// A number below `end`.
    pub(super) fn draw(&mut self, end: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % end
    }

    pub(super) fn happens(&mut self, chance: u32) -> bool {
        !self.quiet && self.draw(1000) < u64::from(chance)
    }

    /// A little of everything.
    pub(super) fn go_on(&mut self) {
        if self.quiet || !self.loaded {
            return;
        }
        match self.draw(1000) {
            0..200 => self.schedule(),
            200..205 => self.estimate(),
            205..206 => self.zero(),
            206..209 => self.change(),
            209..210 => self.meet_a_dying_one(),
            _ => {}
        }
    }

    pub(super) fn let_time_pass(&mut self, nanoseconds: i64) {
        self.monotonic += nanoseconds;
        self.wall += nanoseconds;
        if self.happens(2) {
            self.wall += 5_000_000_000;
        }
        if self.happens(2) {
            self.wall -= 5_000_000_000;
        }
    }

    fn schedule(&mut self) {
        let destinations: Vec<_> = self.objects.keys().filter(|key| key.1.is_some()).collect();
        if destinations.is_empty() {
            return;
        }
        let key @ (service, _) = *destinations[(self.seed % destinations.len() as u64) as usize];
        let more = [
            1,
            self.draw(20),
            self.draw(20),
            self.draw(2000),
            self.draw(2000),
        ];
        let address = self.objects[&key].address;
        let lost = self.happens(self.chances.losses);
        if let Some(probe) = &mut self.probe {
            probe.count(address, lost);
        }
        for key in [key, (service, None)] {
            let counters = self
                .objects
                .get_mut(&key)
                .map(|object| &mut object.counters);
            for (counted, more) in counters.unwrap().counted.iter_mut().zip(more) {
                *counted += more;
            }
        }
        for (total, more) in self.totals.iter_mut().zip(more) {
            *total += more;
        }
        self.note();
    }

    pub(super) fn estimate(&mut self) {
        for object in self.objects.values_mut() {
            object.counters.estimated = object.counters.counted;
        }
    }

    /// `ipvsadm -Z`, of one service: its destinations first.
    fn zero(&mut self) {
        let service = self.draw(SERVICES.into()) as u32;
        let keys: Vec<_> = self
            .objects
            .keys()
            .filter(|key| key.0 == service)
            .rev()
            .copied()
            .collect();
        for key in keys {
            let object = self.objects.get_mut(&key).unwrap();
            // `ip_vs_zero_stats` first brings the copy up to date.
            object.counters.estimated = object.counters.counted;
            object.counters.zero = object.counters.counted;
            let address = object.address;
            self.began_anew(key);
            self.tell(|probe| Told::Zeroed(probe.slot(address)));
        }
    }

    fn change(&mut self) {
        let service = self.draw(SERVICES.into()) as u32;
        let destination = self.draw(DESTINATIONS.into()) as u16;
        let key = (service, Some(destination));
        match (self.draw(6), self.objects.contains_key(&(service, None))) {
            (0, true) => {
                let keys: Vec<_> = self
                    .objects
                    .keys()
                    .filter(|key| key.0 == service)
                    .rev()
                    .copied()
                    .collect();
                for key in keys {
                    self.delete(key);
                }
            }
            (1 | 2, true) if self.objects.contains_key(&key) => self.delete(key),
            (3, true) if self.objects.contains_key(&key) => {
                let weight = self.draw(9) as u32;
                self.objects.get_mut(&key).unwrap().weight = weight;
            }
            (4, true) if self.objects.contains_key(&key) => {
                self.delete(key);
                self.add(key);
            }
            (_, true) => self.add(key),
            (_, false) => self.add((service, None)),
        }
    }

    fn add(&mut self, key: Key) {
        if self.objects.contains_key(&key) {
            return;
        }
        // Memory is used again at once, more often than not.
        if self.draw(3) == 0 {
            self.next_address += 0x400;
        }
        while self.is_used(self.next_address) {
            self.next_address += 0x400;
        }
        // `__ip_vs_update_dest`: whatever had this memory before is over.
        self.end_life(self.next_address);
        let object = Object {
            address: self.next_address,
            weight: 1,
            counters: Counters::default(),
        };
        self.objects.insert(key, object);
        self.highest.insert(key, [0; COUNTERS]);
        self.began_anew(key);
    }

    fn is_used(&self, address: u64) -> bool {
        let mut objects = self.objects.values();
        objects.any(|object| object.address == address)
    }

    fn delete(&mut self, key: Key) {
        let Some(object) = self.objects.remove(&key) else {
            return;
        };
        self.next_address = object.address;
        self.began_anew(key);
        self.end_life(object.address);
    }

    fn end_life(&mut self, address: u64) {
        let probe = self.probe.as_mut();
        if let Some(slot) = probe.and_then(|probe| probe.take(address)) {
            self.tell(|_| Told::Retired(slot));
        }
    }

    /// A connection that was on its way meets a destination that has just been deleted.
    fn meet_a_dying_one(&mut self) {
        let address = self.next_address;
        if self.is_used(address) {
            return;
        }
        self.totals[0] += 1;
        if let Some(probe) = &mut self.probe {
            probe.count(address, false);
        }
    }

    fn tell(&mut self, told: impl FnOnce(&Probe) -> Told) {
        let lost = self.happens(self.chances.losses);
        let Some(probe) = &mut self.probe else { return };
        if lost {
            probe.tally.lost_changes += 1;
            self.uncertain = true;
        } else {
            let told = told(probe);
            probe.tell(told);
        }
    }

    /// The module is unloaded, and loaded again with other services.
    pub(super) fn reload(&mut self) {
        self.loaded = !self.loaded;
        if self.loaded {
            self.family += 1;
        } else {
            for key in self.objects.keys().copied().collect::<Vec<_>>() {
                self.began_anew(key);
            }
            self.objects.clear();
            self.probe = None;
            self.totals = [0; COUNTERS];
            self.uncertain = false;
        }
    }

    /// A new probe begins: what was known by the one before is in doubt where changes were lost.
    pub(super) fn believe_again(&mut self) {
        if std::mem::take(&mut self.uncertain) {
            for key in self.objects.keys().copied().collect::<Vec<_>>() {
                self.began_anew(key);
            }
        }
    }

    fn began_anew(&mut self, key: Key) {
        self.reset.push(key);
        self.reset_since_dump.push(key);
        self.reset_lately.push(key);
    }

    fn note(&mut self) {
        for (key, object) in &self.objects {
            let highest = self.highest.entry(*key).or_default();
            for (high, now) in highest.iter_mut().zip(object.counters.truth()) {
                *high = (*high).max(now);
            }
        }
    }

    /// What was true so far is said: from now on what is true now counts.
    pub(super) fn checked(&mut self) {
        self.highest.clear();
        self.reset.clone_from(&self.reset_since_dump);
        self.reset.append(&mut self.reset_lately);
        self.note();
    }

    pub(super) fn snapshot(&mut self, into: &mut Snapshot) {
        into.clear();
        self.reset_since_dump.clear();
        let objects = self.objects.iter();
        self.at_dump = objects
            .map(|(key, object)| (*key, object.counters.shown()))
            .collect();
        for (&(service, destination), object) in &self.objects {
            let stats = stats(object.counters.shown());
            match destination {
                None => into.services.push(Service {
                    key: service_key(service),
                    stats,
                    first_destination: into.destinations.len() as u32,
                    ..Service::default()
                }),
                Some(number) => {
                    into.destinations.push(Destination {
                        key: destination_key(number),
                        stats,
                        weight: object.weight,
                        ..Destination::default()
                    });
                    into.services.last_mut().unwrap().destination_count += 1;
                }
            }
        }
    }
}

fn stats([connections, packets_in, packets_out, bytes_in, bytes_out]: [u64; COUNTERS]) -> Stats {
    Stats {
        connections,
        packets_in,
        packets_out,
        bytes_in,
        bytes_out,
        ..Stats::default()
    }
}

fn service_key(number: u32) -> ServiceKey {
    ServiceKey {
        address: VirtualAddress::Fwmark(number),
        family: 2,
    }
}

fn destination_key(number: u16) -> DestinationKey {
    DestinationKey {
        port: number,
        ..DestinationKey::default()
    }
}

impl Probe {
    pub(super) fn new(slots: u32, live: bool) -> Self {
        let entries = slots as usize;
        Self {
            slots,
            objects: vec![0; entries],
            cells: vec![0; entries],
            muted: vec![false; entries],
            free: (0..slots).rev().collect(),
            live,
            ..Self::default()
        }
    }

    pub(super) fn slot(&self, address: u64) -> Option<Slot> {
        let at = self.objects.iter().position(|known| *known == address)?;
        Some(at as Slot)
    }

    /// The slot of an object, taken when it has none.
    pub(super) fn of(&mut self, address: u64) -> Option<Slot> {
        self.slot(address).or_else(|| {
            let slot = self.free.pop()?;
            self.objects[slot as usize] = address;
            Some(slot)
        })
    }

    /// Ends the life of an object.
    fn take(&mut self, address: u64) -> Option<Slot> {
        let slot = self.slot(address)?;
        self.objects[slot as usize] = 0;
        Some(slot)
    }

    fn count(&mut self, address: u64, lost: bool) {
        let Some(slot) = self.of(address) else {
            self.tally.no_slot += 1;
            return;
        };
        self.cells[slot as usize] += 1;
        self.tally.counted += 1;
        if self.muted[slot as usize] {
        } else if lost {
            self.tally.lost += 1;
        } else {
            self.tell(Told::Counted(slot));
        }
    }

    fn tell(&mut self, told: Told) {
        self.records.push_back(told);
        self.tally.submitted += 1;
    }
}
