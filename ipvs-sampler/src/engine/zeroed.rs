//! What was zeroed since the tick before: what was published of it is no floor for what comes after.

use crate::{
    model::{Floors, ServiceKey, Snapshot},
    source::feed::Changes,
};

/// See the module. Reused.
#[derive(Debug, Default)]
pub(super) struct Zeroed {
    /// In whole, as the kernel does it.
    services: Vec<ServiceKey>,
    /// Anything else may have been zeroed, too.
    others: bool,
}

impl Zeroed {
    /// Takes in what records said, of objects that a snapshot has.
    pub(super) fn add(&mut self, changes: &mut Changes, snapshot: &Snapshot) {
        self.others |= changes.zeroed_elsewhere > 0;
        changes.zeroed.sort_unstable();
        let slots = &changes.zeroed;
        let zeroed = |slot: Option<_>| slot.is_some_and(|slot| slots.binary_search(&slot).is_ok());
        for (service, destinations) in snapshot.iter() {
            if zeroed(service.slot) || destinations.iter().any(|it| zeroed(it.slot)) {
                self.services.push(service.key);
            }
        }
        self.services.sort_unstable();
    }

    /// Takes away the floors of what was zeroed.
    pub(super) fn reach(&self, floors: &mut Floors) {
        if self.others {
            floors.clear();
        } else {
            floors.drop_services(&self.services);
        }
    }

    pub(super) fn clear(&mut self) {
        self.services.clear();
        self.others = false;
    }
}
