//! What was zeroed or ended since the tick before: what was published of it is no floor for what comes after.

use crate::model::{Floors, ObjectKey, ServiceKey};

/// See the module. Reused.
#[derive(Debug, Default)]
pub(super) struct Zeroed {
    /// In whole, as the kernel does it.
    services: Vec<ServiceKey>,
    ended: Vec<ObjectKey>,
    /// Anything else may have been zeroed, too.
    others: bool,
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

    /// Nobody knows what was zeroed.
    pub(super) fn add_unknown(&mut self) {
        self.others = true;
    }

    /// Takes away the floors of all that.
    pub(super) fn reach(&mut self, floors: &mut Floors) {
        if self.others {
            return floors.clear();
        }
        self.services.sort_unstable();
        self.services.dedup();
        self.ended.sort_unstable();
        floors.let_go(&self.services, &self.ended);
    }

    pub(super) fn clear(&mut self) {
        self.services.clear();
        self.ended.clear();
        self.others = false;
    }
}
