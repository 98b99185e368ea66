//! Joins the two things known of `connections`: the kernel's counter, which is right but up to two
//! seconds old, and the probe's count, which is of this instant but began when the probe did.
//!
//! For one life of a destination let `N` be the kernel's counter in a dump and `E` the probe's count
//! just after it. The true count is `B + E` with a `B` that never changes, and `N` was true at some
//! moment before, so `N - E <= B`. The ledger keeps the largest `N - E` it has seen as its `base`:
//! `base + E` never exceeds what the kernel will show, never goes backwards, and is exact as soon as
//! one dump has fallen into a moment when nothing had been scheduled since the kernel's last
//! estimator run. Zeroing (`ipvsadm -Z`) starts anew at `base = -E`.

use ipvs_sampler_common::Slot;

use super::{Destination, DestinationKey, Service, ServiceKey, Snapshot};

/// Readings without a change after which a slot is no longer read at each tick. The program writes
/// at most one record per resolution, so what it counts after a record may have none of its own:
/// two more readings cover that stretch however late a tick is.
const QUIET_READINGS: u8 = 3;

/// What the probe counted, booked to destinations and services.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By slot.
    lives: Vec<Life>,
    /// Slots to read at each tick.
    watched: Vec<Slot>,
    /// By index in the snapshot's services.
    services: Vec<ServiceAccount>,
    /// The services of the snapshot before, to join with; reused.
    former: Vec<ServiceAccount>,
    /// What a former probe had established, sorted by key.
    carried: Vec<Carried>,
    /// Connections booked to a destination.
    published: u64,
    /// Connections of destinations that were gone before a dump could name them.
    unmatched: u64,
}

/// One life of a destination in the kernel.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// Last reading of the probe.
    counted: u64,
    /// How much of it is booked.
    booked: u64,
    account: Account,
    /// Booked since the last [`Ledger::end_window`].
    window: u64,
    /// Where the current snapshot has it.
    place: Option<Place>,
    /// Readings left until it counts as quiet; 0 when not watched.
    watch: u8,
    /// A dump has already failed to name it.
    asked: bool,
    /// Intervals since its end, when it has ended.
    retired: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    service: u32,
    destination: u32,
}

/// The join described at the top.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    base: i64,
    events: u64,
    /// The kernel's counter in the last dump.
    kernel: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct ServiceAccount {
    key: ServiceKey,
    account: Account,
    window: u64,
    /// Of its destinations' lives since the last dump: how many there were, how many ended.
    named: u32,
    ended: u32,
}

#[derive(Clone, Copy, Debug)]
struct Carried {
    key: (ServiceKey, DestinationKey),
    connections: u64,
    kernel: u64,
}

impl Account {
    /// Takes in the kernel's counter of a dump that ended before `events` was read.
    fn settle(&mut self, kernel: u64) {
        let behind = signed(kernel) - signed(self.events);
        // A counter that went back was zeroed, whatever else was or was not noticed of it.
        self.base = if kernel < self.kernel {
            behind
        } else {
            self.base.max(behind)
        };
        self.kernel = kernel;
    }

    /// Starts from zero; `waiting` connections are seen and not in `events` yet.
    fn zero(&mut self, waiting: u64) {
        self.base = -signed(self.events + waiting);
        self.kernel = 0;
    }

    fn connections(&self) -> u64 {
        u64::try_from(self.base + signed(self.events)).unwrap_or(0)
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Sums for reconciliation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections booked to a destination.
    pub published: u64,
    /// Connections that wait for a dump to name their destination.
    pub held: u64,
    /// Connections whose destination was gone before a dump could name it.
    pub unmatched: u64,
    /// By how much the published counts are ahead of the kernel's in the last dump.
    pub ahead: u64,
}

impl Ledger {
    /// A ledger for a probe with so many slots that begins to count now. What the former one had
    /// established carries over: `connections` does not step back because a probe was restarted.
    pub fn restart(&mut self, slots: u32, snapshot: &Snapshot) {
        self.carried = snapshot
            .iter()
            .flat_map(|(service, destinations)| {
                destinations.iter().map(|destination| Carried {
                    key: (service.key, destination.key),
                    connections: self.connections(destination),
                    kernel: destination.stats.connections,
                })
            })
            .collect();
        for service in &mut self.services {
            service.account.base = signed(service.account.connections());
            service.account.events = 0;
        }
        self.unmatched = self.unmatched.saturating_add(self.totals().held);
        self.watched.clear();
        self.lives.clear();
        self.lives.resize(slots as usize, Life::default());
    }

    /// Forgets everything but the sums: no probe counts, or all of IPVS was unloaded.
    pub fn clear(&mut self) {
        let Totals {
            published,
            held,
            unmatched,
            ..
        } = self.totals();
        *self = Self {
            published,
            unmatched: unmatched + held,
            ..Self::default()
        };
    }

    /// A record said that this slot counts.
    pub fn watch(&mut self, slot: Slot) {
        if let Some(life) = self.lives.get_mut(slot as usize) {
            if life.watch == 0 {
                self.watched.push(slot);
            }
            life.watch = QUIET_READINGS;
        }
    }

    /// Reads the slots that may have counted since the last reading.
    pub fn read_watched(&mut self, read: impl Fn(Slot) -> u64) {
        let mut watched = std::mem::take(&mut self.watched);
        watched.retain(|&slot| {
            let counted = self.observe(slot, read(slot));
            let Some(life) = self.lives.get_mut(slot as usize) else {
                return false;
            };
            // What waits for a name stays in sight until it has one.
            life.watch = if counted || life.wants_name() {
                QUIET_READINGS
            } else {
                life.watch - 1
            };
            life.watch > 0
        });
        self.watched = watched;
    }

    /// Reads every slot: records were lost, or a dump is about to be joined.
    pub fn read_all(&mut self, read: impl Fn(Slot) -> u64) {
        for slot in 0..u32::try_from(self.lives.len()).unwrap_or(u32::MAX) {
            if self.observe(slot, read(slot)) {
                self.watch(slot);
            }
        }
    }

    /// Takes in one reading; whether it was higher than the last.
    fn observe(&mut self, slot: Slot, counted: u64) -> bool {
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return false;
        };
        let more = counted > life.counted;
        life.counted = life.counted.max(counted);
        if more {
            self.book(slot);
        }
        more
    }

    /// Books what a named life has counted.
    fn book(&mut self, slot: Slot) {
        let life = &mut self.lives[slot as usize];
        let unbooked = life.counted - life.booked;
        let Some(place) = life.place else { return };
        life.booked = life.counted;
        life.account.events += unbooked;
        life.window += unbooked;
        self.published += unbooked;
        if let Some(service) = self.services.get_mut(place.service as usize) {
            service.account.events += unbooked;
            service.window += unbooked;
        }
        self.watch(slot);
    }

    /// A destination ended its life; its slot was read before.
    pub fn retire(&mut self, slot: Slot) {
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return;
        };
        life.retired = Some(0);
        if let Some(service) = life
            .place
            .and_then(|at| self.services.get_mut(at.service as usize))
        {
            service.ended += 1;
        }
    }

    /// A destination was zeroed. So was its service: the kernel zeroes a service as a whole
    /// (`ip_vs_zero_service`, net/netfilter/ipvs/ip_vs_ctl.c).
    pub fn zero(&mut self, slot: Slot) {
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return;
        };
        life.account.zero(life.counted - life.booked);
        if let Some(service) = life
            .place
            .and_then(|place| self.services.get_mut(place.service as usize))
        {
            service.account.zero(0);
        }
    }

    /// Records of changes were lost: anything may have been zeroed. Each account starts from zero
    /// and the next dump raises it to what the kernel shows.
    pub fn doubt(&mut self) {
        for life in &mut self.lives {
            life.account.zero(life.counted - life.booked);
        }
        for service in &mut self.services {
            service.account.zero(0);
        }
    }

    /// Joins a dump: names lives, books what waited for a name, and settles every account. All
    /// slots were read after the dump.
    pub fn adopt(&mut self, snapshot: &Snapshot) {
        self.join_services(snapshot);
        for life in &mut self.lives {
            life.place = None;
        }
        for (service, index) in snapshot.services.iter().zip(0..) {
            let first = service.first_destination;
            for (destination, offset) in snapshot.destinations_of(service).iter().zip(0..) {
                let place = Place {
                    service: index,
                    destination: first + offset,
                };
                self.name(place, service, destination);
            }
            if let Some(account) = self.services.get_mut(index as usize) {
                account.account.settle(service.stats.connections);
            }
        }
        self.carried.clear();
        for life in &mut self.lives {
            life.asked = life.wants_name();
        }
    }

    /// Carries the accounts of services over to the new snapshot; both are sorted by key.
    fn join_services(&mut self, snapshot: &Snapshot) {
        std::mem::swap(&mut self.services, &mut self.former);
        self.services.clear();
        let mut former = self.former.iter().peekable();
        for service in &snapshot.services {
            while former
                .next_if(|account| account.key < service.key)
                .is_some()
            {}
            let mut account = ServiceAccount {
                key: service.key,
                ..ServiceAccount::default()
            };
            if let Some(same) = former.next_if(|account| account.key == service.key) {
                // When every destination it had was deleted, the service most likely was, too.
                if same.named == 0 || same.ended < same.named {
                    account.account = same.account;
                    account.window = same.window;
                }
            }
            self.services.push(account);
        }
    }

    fn name(&mut self, place: Place, service: &Service, destination: &Destination) {
        let Some(slot) = destination.slot else { return };
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return;
        };
        life.place = Some(place);
        self.book(slot);
        if let Some(account) = self.services.get_mut(place.service as usize) {
            account.named += 1;
        }
        let life = &mut self.lives[slot as usize];
        let key = (service.key, destination.key);
        if let Ok(at) = self
            .carried
            .binary_search_by_key(&key, |carried| carried.key)
        {
            let Carried {
                connections,
                kernel,
                ..
            } = self.carried[at];
            if destination.stats.connections >= kernel {
                life.account.base = signed(connections);
            }
        }
        life.account.settle(destination.stats.connections);
    }

    /// Connections of a destination, cumulative.
    #[must_use]
    pub fn connections(&self, destination: &Destination) -> u64 {
        self.named(destination)
            .map_or(destination.stats.connections, |life| {
                life.account.connections()
            })
    }

    /// Connections of a destination in the current window; `None` when the probe does not know it.
    #[must_use]
    pub fn window(&self, destination: &Destination) -> Option<u64> {
        self.named(destination).map(|life| life.window)
    }

    fn named(&self, destination: &Destination) -> Option<&Life> {
        self.lives
            .get(destination.slot? as usize)
            .filter(|life| life.place.is_some())
    }

    /// Connections of the snapshot's service at `index`, cumulative, and in the current window;
    /// `None` when no probe counts.
    #[must_use]
    pub fn service(&self, index: usize) -> Option<(u64, u64)> {
        let service = self.services.get(index)?;
        Some((service.account.connections(), service.window))
    }

    /// Puts the destinations that were scheduled to in the current window into `scheduled`, as
    /// (index of the service, index of the destination) of the snapshot, in its order.
    pub fn scheduled(&self, scheduled: &mut Vec<(usize, usize)>) {
        self.collect(scheduled, |life| life.window > 0);
    }

    /// As [`Ledger::scheduled`], but only those that have ended since: the next dump will not have
    /// them.
    pub fn departed(&self, departed: &mut Vec<(usize, usize)>) {
        self.collect(departed, |life| life.window > 0 && life.retired.is_some());
    }

    fn collect(&self, places: &mut Vec<(usize, usize)>, wanted: impl Fn(&Life) -> bool) {
        places.clear();
        places.extend(self.watched.iter().filter_map(|&slot| {
            let life = self.lives.get(slot as usize).filter(|life| wanted(life))?;
            let place = life.place?;
            Some((place.service as usize, place.destination as usize))
        }));
        places.sort_unstable();
    }

    /// Begins the next window.
    pub fn end_window(&mut self) {
        if self.watched.is_empty() {
            return;
        }
        for &slot in &self.watched {
            self.lives[slot as usize].window = 0;
        }
        for service in &mut self.services {
            service.window = 0;
        }
    }

    /// An interval is over: gives out the slots whose life ended before it began. Nothing counts
    /// into them any more.
    pub fn expire(&mut self, mut recycle: impl FnMut(Slot)) {
        for (life, slot) in self.lives.iter_mut().zip(0..) {
            let Some(intervals) = life.retired else {
                continue;
            };
            // No later dump can name it.
            self.unmatched += life.counted - life.booked;
            life.booked = life.counted;
            life.retired = Some(1);
            if intervals > 0 && life.watch == 0 {
                *life = Life::default();
                recycle(slot);
            }
        }
    }

    /// Whether connections wait for a dump to name their destination, and no dump has tried yet.
    #[must_use]
    pub fn wants_dump(&self) -> bool {
        self.watched
            .iter()
            .filter_map(|&slot| self.lives.get(slot as usize))
            .any(|life| life.wants_name() && !life.asked)
    }

    /// Sums for reconciliation: `published + held + unmatched` is what the probe has counted.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            published: self.published,
            unmatched: self.unmatched,
            ..Totals::default()
        };
        for life in &self.lives {
            totals.held += life.counted - life.booked;
            if life.place.is_some() && life.retired.is_none() {
                totals.ahead += life
                    .account
                    .connections()
                    .saturating_sub(life.account.kernel);
            }
        }
        totals
    }
}

impl Life {
    /// Whether it has counted what a dump has yet to name.
    fn wants_name(&self) -> bool {
        self.place.is_none() && self.retired.is_none() && self.counted > self.booked
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ledger;
    use crate::model::{
        Destination, DestinationKey, Service, ServiceKey, Snapshot, VirtualAddress,
    };

    /// A kernel in miniature: one service, whose destinations count live and show what they
    /// counted when the estimator last ran.
    #[derive(Clone, Debug, Default)]
    struct Kernel {
        destinations: Vec<Real>,
        next_slot: u32,
    }

    #[derive(Clone, Debug, Default)]
    struct Real {
        port: u16,
        slot: u32,
        /// Before the probe began.
        before: u64,
        counted: u64,
        estimated: u64,
        zero: u64,
    }

    impl Real {
        fn truth(&self) -> u64 {
            self.before + self.counted - self.zero
        }

        fn shown(&self) -> u64 {
            self.estimated - self.zero
        }
    }

    impl Kernel {
        fn add(&mut self, port: u16, before: u64) {
            let slot = self.next_slot;
            self.next_slot += 1;
            self.destinations.push(Real {
                port,
                slot,
                before,
                ..Real::default()
            });
        }

        fn snapshot(&self) -> Snapshot {
            let service = Service {
                key: ServiceKey {
                    address: VirtualAddress::Fwmark(1),
                    family: 2,
                },
                destination_count: u32::try_from(self.destinations.len()).unwrap(),
                ..Service::default()
            };
            let mut snapshot = Snapshot::default();
            snapshot.services.push(service);
            let mut destinations: Vec<_> = self.destinations.iter().collect();
            destinations.sort_by_key(|real| real.port);
            for real in destinations {
                let mut destination = Destination {
                    key: DestinationKey {
                        port: real.port,
                        ..DestinationKey::default()
                    },
                    slot: Some(real.slot),
                    ..Destination::default()
                };
                destination.stats.connections = real.shown();
                snapshot.destinations.push(destination);
            }
            snapshot
        }

        fn read(&self, slot: u32) -> u64 {
            self.destinations
                .iter()
                .find(|real| real.slot == slot)
                .map_or(0, |real| real.counted)
        }

        fn of(&mut self, which: usize) -> Option<&mut Real> {
            let count = self.destinations.len();
            (count > 0).then(|| &mut self.destinations[which % count])
        }
    }

    fn dump(kernel: &Kernel, ledger: &mut Ledger) -> Snapshot {
        let snapshot = kernel.snapshot();
        ledger.read_all(|slot| kernel.read(slot));
        ledger.adopt(&snapshot);
        snapshot
    }

    #[test]
    fn what_is_scheduled_shows_at_once_and_what_was_before_comes_with_the_estimator() {
        let mut kernel = Kernel::default();
        kernel.add(80, 7);
        let mut ledger = Ledger::default();
        ledger.restart(16, &Snapshot::default());
        let snapshot = dump(&kernel, &mut ledger);
        assert_eq!(ledger.connections(&snapshot.destinations[0]), 0);

        kernel.destinations[0].counted = 5;
        ledger.watch(0);
        ledger.read_watched(|slot| kernel.read(slot));
        assert_eq!(ledger.connections(&snapshot.destinations[0]), 5);
        assert_eq!(ledger.window(&snapshot.destinations[0]), Some(5));

        kernel.destinations[0].estimated = 12;
        let snapshot = dump(&kernel, &mut ledger);
        assert_eq!(ledger.connections(&snapshot.destinations[0]), 12);
        assert_eq!(ledger.totals().ahead, 0);
    }

    #[test]
    fn an_unknown_destination_is_held_until_a_dump_names_it() {
        let mut kernel = Kernel::default();
        let mut ledger = Ledger::default();
        ledger.restart(16, &Snapshot::default());
        dump(&kernel, &mut ledger);
        kernel.add(80, 0);
        kernel.destinations[0].counted = 3;
        ledger.watch(0);
        ledger.read_watched(|slot| kernel.read(slot));
        assert!(ledger.wants_dump());
        assert_eq!((ledger.totals().held, ledger.totals().published), (3, 0));

        let snapshot = dump(&kernel, &mut ledger);
        assert!(!ledger.wants_dump());
        assert_eq!((ledger.totals().held, ledger.totals().published), (0, 3));
        assert_eq!(ledger.connections(&snapshot.destinations[0]), 3);
    }

    #[test]
    fn a_life_that_ended_unnamed_is_unmatched_and_its_slot_is_recycled_an_interval_later() {
        let mut ledger = Ledger::default();
        ledger.restart(16, &Snapshot::default());
        ledger.watch(2);
        ledger.read_watched(|_| 4);
        ledger.retire(2);
        assert!(!ledger.wants_dump());
        let mut recycled = Vec::new();
        ledger.expire(|slot| recycled.push(slot));
        assert_eq!((ledger.totals().held, ledger.totals().unmatched), (0, 4));
        assert!(recycled.is_empty());
        for _ in 0..3 {
            ledger.read_watched(|_| 4);
        }
        ledger.expire(|slot| recycled.push(slot));
        assert_eq!(recycled, [2]);
    }

    #[test]
    fn a_restarted_probe_does_not_set_connections_back() {
        let mut kernel = Kernel::default();
        kernel.add(80, 0);
        let mut ledger = Ledger::default();
        ledger.restart(16, &Snapshot::default());
        let first = dump(&kernel, &mut ledger);
        kernel.destinations[0].counted = 9;
        ledger.watch(0);
        ledger.read_watched(|slot| kernel.read(slot));
        ledger.restart(16, &first);

        // The new probe counts from 0; the kernel's estimator has not run yet.
        kernel.destinations[0].counted = 0;
        let snapshot = dump(&kernel, &mut ledger);
        assert_eq!(ledger.connections(&snapshot.destinations[0]), 9);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(usize, u64),
        Estimate,
        Tick,
        Dump,
        Zero(usize),
        Delete(usize),
        Add(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0_usize..4, 1_u64..50).prop_map(|(which, count)| Step::Schedule(which, count)),
            2 => Just(Step::Estimate),
            3 => Just(Step::Tick),
            2 => Just(Step::Dump),
            1 => (0_usize..4).prop_map(Step::Zero),
            1 => (0_usize..4).prop_map(Step::Delete),
            1 => (0_u16..4).prop_map(Step::Add),
        ]
    }

    proptest! {
        /// Whatever happens: never above the truth, never back but for a reset, the sums reconcile,
        /// and once the estimator has run after the last connection all is exact.
        #[test]
        fn connections_are_a_lower_bound_that_becomes_exact(
            before in prop::collection::vec(0_u64..100, 0..4),
            steps in prop::collection::vec(step(), 0..80),
        ) {
            let mut kernel = Kernel::default();
            for (port, before) in (0..).zip(&before) {
                kernel.add(port, *before);
            }
            let mut ledger = Ledger::default();
            ledger.restart(256, &Snapshot::default());
            let mut snapshot = dump(&kernel, &mut ledger);
            let mut last: Vec<(u32, u64)> = Vec::new();
            let mut counted = 0;
            for step in steps {
                match step {
                    Step::Schedule(which, count) => {
                        if let Some(real) = kernel.of(which) {
                            real.counted += count;
                            counted += count;
                            let slot = real.slot;
                            ledger.watch(slot);
                        }
                    }
                    Step::Estimate => {
                        for real in &mut kernel.destinations {
                            real.estimated = real.before + real.counted;
                        }
                    }
                    Step::Tick => {
                        ledger.read_watched(|slot| kernel.read(slot));
                        ledger.end_window();
                    }
                    Step::Dump => snapshot = dump(&kernel, &mut ledger),
                    Step::Zero(which) => {
                        if let Some(real) = kernel.of(which) {
                            real.zero = real.estimated;
                            let slot = real.slot;
                            ledger.read_watched(|slot| kernel.read(slot));
                            ledger.zero(slot);
                            last.retain(|(other, _)| *other != slot);
                        }
                    }
                    Step::Delete(which) => {
                        ledger.read_watched(|slot| kernel.read(slot));
                        if let Some(real) = kernel.of(which) {
                            let slot = real.slot;
                            ledger.retire(slot);
                            kernel.destinations.retain(|real| real.slot != slot);
                            last.retain(|(other, _)| *other != slot);
                        }
                    }
                    Step::Add(port) => {
                        if kernel.destinations.iter().all(|real| real.port != port) {
                            kernel.add(port, 0);
                        }
                    }
                }
                for destination in &snapshot.destinations {
                    let slot = destination.slot.unwrap();
                    let Some(real) = kernel.destinations.iter().find(|real| real.slot == slot)
                    else { continue };
                    let now = ledger.connections(destination);
                    prop_assert!(now <= real.truth(), "{now} of {}", real.truth());
                    if let Some((_, before)) = last.iter_mut().find(|(other, _)| *other == slot) {
                        prop_assert!(now >= *before, "{now} after {before}");
                        *before = now;
                    } else {
                        last.push((slot, now));
                    }
                }
            }
            for real in &mut kernel.destinations {
                real.estimated = real.before + real.counted;
            }
            snapshot = dump(&kernel, &mut ledger);
            for destination in &snapshot.destinations {
                prop_assert_eq!(ledger.connections(destination), destination.stats.connections);
            }
            let totals = ledger.totals();
            prop_assert_eq!(totals.ahead, 0);
            prop_assert_eq!(totals.published + totals.held + totals.unmatched, counted);
        }
    }
}
