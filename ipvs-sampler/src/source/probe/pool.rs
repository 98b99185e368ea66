//! Which slots are free, and which are taken.

use aya::maps::{HashMap, MapData, MapError, Stack};
use ipvs_sampler_common::Slot;

/// The maps that both sides change. Each look costs a system call.
pub(super) struct Pool {
    pub(super) free: Stack<MapData, Slot>,
    pub(super) taken: HashMap<MapData, u64, Slot>,
}

impl Pool {
    /// Gives a slot out again.
    pub(super) fn free(&mut self, slot: Slot) {
        if let Err(error) = self.free.push(slot, 0) {
            log::warn!("cannot reuse slot {slot}: {error}");
        }
    }

    /// Lets the object at `address` have `slot` no longer.
    pub(super) fn forget(&mut self, address: u64, slot: Slot) {
        let is_its = self.taken.get(&address, 0).is_ok_and(|taken| taken == slot);
        if is_its && let Err(error) = self.taken.remove(&address) {
            log::warn!("cannot take slot {slot} back: {error}");
        }
    }

    /// Whether the system calls are permitted.
    pub(super) fn is_permitted(&mut self) -> bool {
        match self.free.pop(0) {
            Ok(slot) => self.free.push(slot, 0).is_ok(),
            Err(MapError::ElementNotFound) => true,
            Err(_) => false,
        }
    }
}
