//! One netlink dump: what exists and what the kernel said of it.

use super::scratch::Scratch;
use ipvs_sampler_common::Slot;

use super::{Destination, DestinationKey, Service, ServiceKey, Stats};

/// Services sorted by key, each with its destinations sorted by key in one shared array. Reused
/// from dump to dump, so a steady configuration allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Sorted by key, no key twice.
    pub services: Vec<Service>,
    /// Grouped by service in the services' order; sorted by key in each group, no key twice.
    pub destinations: Vec<Destination>,
    /// Entries that an index-resumed dump repeated and [`Snapshot::sort`] dropped.
    pub repeated: u64,
    pub(super) scratch: Scratch,
}

impl Snapshot {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.services.clear();
        self.destinations.clear();
        self.repeated = 0;
    }

    /// The destinations of one of this snapshot's services.
    #[must_use]
    pub fn destinations_of(&self, service: &Service) -> &[Destination] {
        let first = service.first_destination as usize;
        &self.destinations[first..first + service.destination_count as usize]
    }

    /// Gives each service and destination without a slot the one that `former` had for it, if that
    /// is still good.
    pub(super) fn keep_slots_of(&mut self, former: &Self, good: impl Fn(&Slot) -> bool) {
        for service in &mut self.services {
            if service.slot.is_none() {
                service.slot = former.service(&service.key).and_then(|former| former.slot);
                service.slot = service.slot.filter(&good);
            }
            let first = service.first_destination as usize;
            let own = &mut self.destinations[first..first + service.destination_count as usize];
            for destination in own
                .iter_mut()
                .filter(|destination| destination.slot.is_none())
            {
                destination.slot = former
                    .destination(&service.key, &destination.key)
                    .and_then(|former| former.slot)
                    .filter(&good);
            }
        }
    }

    /// The statistics of each service and, with a second key, of each of its destinations, in key order.
    pub(super) fn each_stats(
        &self,
        mut look: impl FnMut((ServiceKey, Option<DestinationKey>), &Stats),
    ) {
        for (service, destinations) in self.iter() {
            look((service.key, None), &service.stats);
            for destination in destinations {
                look((service.key, Some(destination.key)), &destination.stats);
            }
        }
    }

    /// No probe that gave out these slots counts any more.
    pub fn forget_slots(&mut self) {
        for service in &mut self.services {
            service.slot = None;
        }
        for destination in &mut self.destinations {
            destination.slot = None;
        }
    }

    fn service(&self, key: &ServiceKey) -> Option<&Service> {
        let at = self
            .services
            .binary_search_by_key(key, |service| service.key)
            .ok()?;
        self.services.get(at)
    }

    fn destination(&self, service: &ServiceKey, key: &DestinationKey) -> Option<&Destination> {
        let destinations = self.destinations_of(self.service(service)?);
        let at = destinations
            .binary_search_by_key(key, |other| other.key)
            .ok()?;
        destinations.get(at)
    }

    /// Destinations that no probe counts for.
    #[must_use]
    pub fn uncounted(&self) -> usize {
        self.destinations
            .iter()
            .filter(|destination| destination.slot.is_none())
            .count()
    }

    /// Each service with its destinations, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Service, &[Destination])> {
        self.services
            .iter()
            .map(|service| (service, self.destinations_of(service)))
    }
}
