//! What was zeroed or ended since the tick before: what was published of it is not a floor for what comes after.

use crate::model::{Floors, ObjectKey, ServiceKey, Snapshot};

/// See the module. Reused.
#[derive(Debug, Default)]
pub(super) struct Zeroed {
    /// In whole, as the kernel does it.
    services: Vec<ServiceKey>,
    ended: Vec<ObjectKey>,
}

impl Zeroed {
    /// A service was zeroed with its destinations, or ended.
    pub(super) fn add_service(&mut self, service: ServiceKey) {
        self.services.push(service);
    }

    /// An object ended its life.
    pub(super) fn add_ended(&mut self, object: ObjectKey) {
        match object {
            (service, None) => self.add_service(service),
            _ => self.ended.push(object),
        }
    }

    /// Something was zeroed that has no slot: it may be whatever the probe has yet to learn of a snapshot.
    pub(super) fn add_unlearned(&mut self, snapshot: &Snapshot) {
        for (service, destinations) in snapshot.iter() {
            let learned = service.slot.is_some() && destinations.iter().all(|it| it.slot.is_some());
            if !learned {
                self.add_service(service.key);
            }
        }
    }

    /// Takes away the floors of all that.
    pub(super) fn reach(&mut self, floors: &mut Floors) {
        self.services.sort_unstable();
        self.services.dedup();
        self.ended.sort_unstable();
        floors.let_go(&self.services, &self.ended);
    }

    pub(super) fn clear(&mut self) {
        self.services.clear();
        self.ended.clear();
    }
}
