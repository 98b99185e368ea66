//! Joins the two things known of `connections`: the kernel's counter, which is right but up to two
//! seconds old, and the probe's count, which is of this instant but began when the probe did.
//! [`account`] has the argument why their join is right; here is the book-keeping around it: which
//! slot of the probe is which life of which destination, and what became of every connection.

mod account;
#[cfg(test)]
mod tests;
mod windows;

use account::Account;
use ipvs_sampler_common::Slot;

use super::{Destination, DestinationKey, Service, ServiceKey, Snapshot, Untold};

/// Readings without a change after which a slot is no longer read at each tick. The program writes
/// at most one record per resolution, so what it counts after a record may have none of its own:
/// two more readings cover that stretch however late a tick is.
const QUIET_READINGS: u8 = 3;

/// So many dumps in a row have to leave out a destination whose end was not reported before it counts as
/// gone. A dump may leave it out by itself, when others come and go meanwhile, and several dumps may follow
/// each other within one such change.
const ABSENT_DUMPS: u8 = 10;

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
    /// Most connections per second of any window since [`Ledger::end_peaks`].
    peak: u64,
    /// Where the current snapshot has it.
    place: Option<Place>,
    /// Readings left until it counts as quiet; 0 when not watched.
    watch: u8,
    /// A dump has already failed to name it.
    asked: bool,
    /// Intervals since its end, when it has ended.
    retired: Option<u8>,
    /// Dumps in a row that left it out after others had it; 0 for one that none ever had.
    absent: u8,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    service: u32,
    destination: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct ServiceAccount {
    key: ServiceKey,
    account: Account,
    window: u64,
    peak: u64,
    /// Of its destinations' lives since the last dump: how many there were, how many ended.
    named: u32,
    ended: u32,
}

#[derive(Clone, Copy, Debug)]
struct Carried {
    key: (ServiceKey, DestinationKey),
    account: Account,
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
    /// established carries over: `connections` does not step back because a probe was restarted. The
    /// snapshot's slots were the former probe's, and mean nothing to this one.
    pub fn restart(&mut self, slots: u32, snapshot: &mut Snapshot) {
        self.carried = snapshot
            .iter()
            .flat_map(|(service, destinations)| {
                destinations.iter().map(|destination| Carried {
                    key: (service.key, destination.key),
                    account: self.account(destination).carried(),
                })
            })
            .collect();
        for service in &mut self.services {
            service.account = service.account.carried();
        }
        self.unmatched += self.totals().held;
        self.watched.clear();
        self.lives.clear();
        self.lives.resize(slots as usize, Life::default());
        snapshot.forget_slots();
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

    /// Takes in what a slot counted while nobody asked for its destination: whenever that was, it was not
    /// in this window.
    pub fn catch_up(&mut self, slot: Slot, counted: u64) {
        let place = self.lives.get(slot as usize).and_then(|life| life.place);
        let service = place.map(|place| place.service as usize);
        let window_of = |ledger: &Self| Some(ledger.services.get(service?)?.window);
        let before = window_of(self);
        self.observe(slot, counted);
        if let Some(life) = self.lives.get_mut(slot as usize) {
            (life.window, life.peak) = (0, 0);
        }
        if let Some((service, window)) = service
            .and_then(|index| self.services.get_mut(index))
            .zip(before)
        {
            (service.window, service.peak) = (window, 0);
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
        life.account.add(unbooked);
        life.window += unbooked;
        self.published += unbooked;
        if let Some(service) = self.services.get_mut(place.service as usize) {
            if life.asked {
                // A dump has been since, and its counter of the service may have these in it.
                service.account.absorb(unbooked);
            } else {
                service.account.add(unbooked);
            }
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

    /// What a dump could not be matched to the probe for keeps the slot that it had, unless that life
    /// is known to have ended.
    pub fn inherit(&self, snapshot: &mut Snapshot, former: &Snapshot) {
        let lives = |slot: &Slot| {
            self.lives
                .get(*slot as usize)
                .is_some_and(|life| life.retired.is_none())
        };
        snapshot.inherit_slots(former, lives);
    }

    /// Joins a dump: names lives, books what waited for a name, and settles every account. All
    /// slots were read after the dump. Returns what the dump shows and no record told.
    pub fn adopt(&mut self, snapshot: &Snapshot) -> Untold {
        let mut untold = Untold::default();
        self.join_services(snapshot);
        for life in &mut self.lives {
            let was_there = life.place.take().is_some() || life.absent > 0;
            life.absent = if was_there {
                life.absent.saturating_add(1)
            } else {
                0
            };
        }
        for (service, index) in snapshot.services.iter().zip(0..) {
            let first = service.first_destination;
            for (destination, offset) in snapshot.destinations_of(service).iter().zip(0..) {
                let place = Place {
                    service: index,
                    destination: first + offset,
                };
                untold.zeroing |= self.name(place, service, destination);
            }
            if let Some(account) = self.services.get_mut(index as usize) {
                account.account.settle(service.stats.connections);
            }
        }
        self.carried.clear();
        for life in &mut self.lives {
            life.asked = life.wants_name();
            untold.deletion |= life.absent >= ABSENT_DUMPS && life.retired.is_none();
        }
        untold
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
                    account.peak = same.peak;
                }
            }
            self.services.push(account);
        }
    }

    /// Whether the destination's counter went back, although nothing reported that it was zeroed.
    fn name(&mut self, place: Place, service: &Service, destination: &Destination) -> bool {
        let Some(slot) = destination.slot else {
            return false;
        };
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return false;
        };
        life.place = Some(place);
        // At its first name it may have been zeroed while no probe was there to report it.
        let known = life.absent > 0;
        life.absent = 0;
        let key = (service.key, destination.key);
        if life.booked == 0
            && let Ok(at) = self
                .carried
                .binary_search_by_key(&key, |carried| carried.key)
        {
            life.account = self.carried[at].account;
        }
        self.book(slot);
        let went_back = self.lives[slot as usize]
            .account
            .settle(destination.stats.connections);
        if let Some(account) = self.services.get_mut(place.service as usize) {
            account.named += 1;
        }
        known && went_back
    }

    /// Connections of a destination, cumulative.
    #[must_use]
    pub fn connections(&self, destination: &Destination) -> u64 {
        self.account(destination).connections()
    }

    fn account(&self, destination: &Destination) -> Account {
        self.named(destination).map_or_else(
            || Account::from_kernel(destination.stats.connections),
            |life| life.account,
        )
    }

    fn named(&self, destination: &Destination) -> Option<&Life> {
        self.lives
            .get(destination.slot? as usize)
            .filter(|life| life.place.is_some())
    }

    /// What was last read of a slot.
    #[must_use]
    pub fn counted(&self, slot: Slot) -> u64 {
        self.lives.get(slot as usize).map_or(0, |life| life.counted)
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

    /// Sums for reconciliation: `published + held + unmatched` is all that was read of the probe's
    /// counts, which is all it has counted once everything is quiet.
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
                totals.ahead += life.account.ahead();
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
