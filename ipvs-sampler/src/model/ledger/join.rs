//! A dump names lives.

use ipvs_sampler_common::Slot;

use super::{
    Ledger, ServiceAccount,
    life::{Place, SURE_DUMPS},
};
use crate::model::{Destination, Service, Snapshot, Untold};

/// So many dumps in a row have to leave out a destination whose end was not reported before it counts as
/// gone. A dump may leave it out by itself, when others come and go meanwhile, and several dumps may follow
/// each other within one such change.
const ABSENT_DUMPS: u8 = 10;

impl Ledger {
    /// What a dump could not be matched to the probe for keeps the slot that it had, unless that life
    /// is known to have ended.
    pub fn keep_slots(&self, snapshot: &mut Snapshot, former: &Snapshot) {
        let lives = |slot: &Slot| {
            self.lives
                .get(*slot as usize)
                .is_some_and(|life| life.retired.is_none())
        };
        snapshot.keep_slots_of(former, lives);
    }

    /// Joins a dump: names lives, books what waited for a name, and settles every account. All
    /// slots were read after the dump; `taken` are those that have an object. Returns what the dump
    /// shows and no record told.
    pub fn join(&mut self, snapshot: &Snapshot, taken: &[Slot]) -> Untold {
        let mut untold = Untold::default();
        self.join_services(snapshot);
        for life in &mut self.lives {
            let was_there = life.place.take().is_some() || life.absent > 0;
            life.absent = if was_there {
                life.absent.saturating_add(1)
            } else {
                0
            };
            life.nameless.now = false;
        }
        for &slot in taken {
            if let Some(life) = self.lives.get_mut(slot as usize) {
                life.nameless.now = true;
            }
        }
        for (service, index) in snapshot.services.iter().zip(0..) {
            self.place(
                service.slot,
                Place {
                    service: index,
                    destination: None,
                },
            );
            let first = service.first_destination;
            for (destination, offset) in snapshot.destinations_of(service).iter().zip(0..) {
                let place = Place {
                    service: index,
                    destination: Some(first + offset),
                };
                untold.zeroing |= self.name(place, service, destination);
            }
            if let Some(account) = self.services.get_mut(index as usize)
                && account.zeroed != Some(self.dumps)
            {
                account.account.settle(service.stats.connections);
            }
        }
        self.carried.clear();
        for life in &mut self.lives {
            life.asked = life.wants_name();
            let lost = life.place.is_none() && life.retired.is_none();
            let sure = life.named >= SURE_DUMPS;
            untold.deletion |= lost && sure && life.absent >= ABSENT_DUMPS;
            life.nameless.now = lost && !sure && (life.nameless.now || life.asked);
            if let Some(retired) = &mut life.retired {
                retired.left_out |= life.place.is_none();
            }
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
                slot: service.slot,
                ..ServiceAccount::default()
            };
            if let Some(same) = former.next_if(|account| account.key == service.key) {
                let has_ended = |slot: Slot| {
                    let life = self.lives.get(slot as usize);
                    life.is_some_and(|life| life.retired.is_some())
                };
                let lives_on = match (same.slot, service.slot) {
                    (Some(before), Some(now)) => before == now,
                    (Some(before), None) if has_ended(before) => false,
                    // When every destination it had was deleted, the service most likely was, too.
                    _ => same.named == 0 || same.ended < same.named,
                };
                if lives_on {
                    account.account = same.account;
                    account.zeroed = same.zeroed;
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
        // At its first name it may have been zeroed while no probe was there to report it.
        let known = life.absent > 0;
        life.settle_at(place);
        let key = (service.key, destination.key);
        // What a former probe knew of it is over when it was zeroed since.
        if life.booked == 0
            && life.zeroed.is_none()
            && let Ok(at) = self
                .carried
                .binary_search_by_key(&key, |carried| carried.key)
        {
            life.account = self.carried[at].account;
        }
        self.book(slot);
        let life = &mut self.lives[slot as usize];
        // The dump may have been made before the zeroing.
        let went_back =
            life.zeroed != Some(self.dumps) && life.account.settle(destination.stats.connections);
        if let Some(account) = self.services.get_mut(place.service as usize) {
            account.named += 1;
        }
        known && went_back
    }

    fn place(&mut self, slot: Option<Slot>, place: Place) {
        if let Some(life) = slot.and_then(|slot| self.lives.get_mut(slot as usize)) {
            life.settle_at(place);
        }
    }
}
