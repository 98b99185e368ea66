//! Joins the two things known of `connections`: the kernel's counter, which is right but up to two
//! seconds old, and the probe's count, which is of this instant but began when the probe did.
//! [`account`] has the argument why their join is right; here is the book-keeping around it: which
//! slot of the probe is which life of which destination, and what became of every connection.

mod account;
mod join;
mod life;
#[cfg(test)]
mod tests;
mod windows;

use account::Account;
use ipvs_sampler_common::Slot;
use life::{Life, Place, Retired};

use super::{Destination, DestinationKey, ObjectKey, ServiceKey, Snapshot};

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
    /// Dumps begun so far.
    dumps: u64,
    /// Connections booked to a destination.
    published: u64,
    /// Connections of destinations that were gone before a dump could name them.
    unmatched: u64,
}

/// Why all slots are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A tick, at which records were lost.
    Tick,
    /// A dump is about to be joined.
    Dump,
}

/// Slots whose lives are over, at the end of an interval. Reused.
#[derive(Debug, Default)]
pub struct Expired {
    /// Free for other lives.
    pub free: Vec<Slot>,
    /// Their objects are none that the kernel ever shows: it deleted them while their slots were taken.
    pub abandoned: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ServiceAccount {
    key: ServiceKey,
    /// Which life of the service it is, where a probe tells.
    slot: Option<Slot>,
    account: Account,
    /// Dumps that had begun when it was zeroed last.
    zeroed: Option<u64>,
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

impl ServiceAccount {
    fn zero(&mut self, dumps: u64) {
        self.account.zero(0);
        self.zeroed = Some(dumps);
    }
}

impl Ledger {
    /// A ledger for a probe with this many slots that begins to count now. What the former one had
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
            service.slot = None;
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
            dumps: self.dumps,
            published,
            unmatched: unmatched + held,
            ..Self::default()
        };
    }

    /// A dump begins. What was zeroed from now on is not in it.
    pub fn dump_begins(&mut self) {
        self.dumps += 1;
    }

    /// A record said that this slot counts.
    pub fn watch(&mut self, slot: Slot) {
        let life = self.lives.get_mut(slot as usize);
        if life.is_some_and(Life::watch) {
            self.watched.push(slot);
        }
    }

    /// The slots that may have counted since the last reading.
    #[must_use]
    pub fn watched(&self) -> &[Slot] {
        &self.watched
    }

    /// Takes in what was read of the [`Ledger::watched`] slots, in that order.
    pub fn take_watched(&mut self, counts: &[u64]) {
        let mut watched = std::mem::take(&mut self.watched);
        let mut counts = counts.iter();
        watched.retain(|&slot| {
            let more = counts
                .next()
                .is_some_and(|&counted| self.observe(slot, counted));
            self.rest(slot, more)
        });
        self.watched = watched;
    }

    /// Takes in what was read of every slot.
    pub fn take_all(&mut self, counts: &[u64], occasion: Occasion) {
        if occasion == Occasion::Tick {
            let mut watched = std::mem::take(&mut self.watched);
            watched.retain(|&slot| {
                let counted = counts.get(slot as usize).copied().unwrap_or(0);
                let more = self.observe(slot, counted);
                self.rest(slot, more)
            });
            self.watched = watched;
        }
        for (&counted, slot) in counts.iter().zip(0..) {
            if self.observe(slot, counted) {
                self.watch(slot);
            }
        }
    }

    /// A watched slot was read; whether it is to be read at the next tick, too.
    fn rest(&mut self, slot: Slot, counted: bool) -> bool {
        let life = self.lives.get_mut(slot as usize);
        life.is_some_and(|life| life.rest(counted))
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
        if unbooked == 0 {
            return;
        }
        life.booked = life.counted;
        let stale = std::mem::take(&mut life.stale);
        life.account.add(unbooked);
        life.window += unbooked;
        self.published += unbooked;
        if let Some(service) = self.services.get_mut(place.service as usize) {
            // A dump has been since, and its counter of the service may have these in it.
            let absorbed = if life.asked { unbooked } else { stale };
            service.account.absorb(absorbed);
            service.account.add(unbooked - absorbed);
            service.window += unbooked;
        }
        self.watch(slot);
    }

    /// An object ended its life; its slot was read before.
    pub fn retire(&mut self, slot: Slot) {
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return;
        };
        life.retired = Some(Retired::default());
        if let Some(Place {
            service,
            destination: Some(_),
        }) = life.place
            && let Some(service) = self.services.get_mut(service as usize)
        {
            service.ended += 1;
        }
    }

    /// A destination or a service was zeroed. So was the service: the kernel zeroes it as a whole
    /// (`ip_vs_zero_service`, net/netfilter/ipvs/ip_vs_ctl.c). `counted` was read after the record of it.
    pub fn zero(&mut self, slot: Slot, counted: u64) {
        // Some of it may have been counted since. What is published is a lower bound.
        if self.observe(slot, counted) {
            self.watch(slot);
        }
        let Some(life) = self.lives.get_mut(slot as usize) else {
            return;
        };
        life.zero(self.dumps);
        if let Some(service) = life
            .place
            .and_then(|place| self.services.get_mut(place.service as usize))
        {
            service.zero(self.dumps);
        }
    }

    /// Records of changes were lost: anything may have been zeroed. Each account starts from zero
    /// and the next dump raises it to what the kernel shows.
    pub fn assume_zeroed(&mut self) {
        for life in &mut self.lives {
            life.zero(self.dumps);
        }
        for service in &mut self.services {
            service.zero(self.dumps);
        }
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

    /// Which object of a snapshot a slot is; `None` where the last [`Ledger::join`], of that snapshot, did not
    /// name it.
    #[must_use]
    pub fn key(&self, slot: Slot, snapshot: &Snapshot) -> Option<ObjectKey> {
        let place = self.lives.get(slot as usize)?.place?;
        let service = snapshot.services.get(place.service as usize)?.key;
        let Some(index) = place.destination else {
            return Some((service, None));
        };
        let destination = snapshot.destinations.get(index as usize)?;
        Some((service, Some(destination.key)))
    }

    /// What was last read of a slot.
    #[must_use]
    pub fn counted(&self, slot: Slot) -> u64 {
        self.lives.get(slot as usize).map_or(0, |life| life.counted)
    }

    /// An interval is over: finds the slots whose lives ended before it began, and which no dump shows any
    /// more. Nothing counts into them.
    pub fn expire(&mut self, expired: &mut Expired) {
        expired.free.clear();
        expired.abandoned.clear();
        for (life, slot) in self.lives.iter_mut().zip(0..) {
            if life.has_no_name() {
                life.retired = Some(Retired::default());
                expired.abandoned.push(slot);
            }
            let Some(retired) = &mut life.retired else {
                continue;
            };
            let before = std::mem::replace(&mut retired.interval, true);
            let gone = before && retired.left_out;
            // No later dump can name it.
            self.unmatched += life.counted - life.booked;
            life.booked = life.counted;
            if gone && life.watch == 0 {
                *life = Life::default();
                expired.free.push(slot);
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
