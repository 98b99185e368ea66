//! One netlink dump: what exists and what the kernel said of it.

use super::sort::Scratch;
use super::{Destination, Service};

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

    /// Each service with its destinations, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&Service, &[Destination])> {
        self.services
            .iter()
            .map(|service| (service, self.destinations_of(service)))
    }
}
