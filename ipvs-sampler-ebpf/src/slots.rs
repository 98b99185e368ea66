//! Which slot counts for which destination pointer.

use aya_ebpf::bindings::BPF_NOEXIST;
use ipvs_sampler_common::Slot;

use crate::maps::{FREE_SLOTS, SLOT_OF};

/// The slot of a destination, taken from the free ones when it has none yet.
#[inline(always)]
pub fn of(destination: u64) -> Option<Slot> {
    if let Some(slot) = find(destination) {
        return Some(slot);
    }
    let slot = FREE_SLOTS.pop().ok().flatten()?;
    if SLOT_OF.insert(destination, slot, u64::from(BPF_NOEXIST)).is_ok() {
        return Some(slot);
    }
    // Another CPU met the same destination first.
    let _ = FREE_SLOTS.push(slot, 0);
    find(destination)
}

/// Ends a life: the pointer's next connection takes a fresh slot.
#[inline(always)]
pub fn retire(destination: u64) -> Option<Slot> {
    let slot = find(destination)?;
    SLOT_OF.remove(destination).ok()?;
    Some(slot)
}

#[inline(always)]
fn find(destination: u64) -> Option<Slot> {
    let slot = SLOT_OF.get_ptr(destination)?;
    // SAFETY: a pointer into the map's memory, which the verifier bounds; the value is one aligned
    // integer that is written once, before the entry can be found.
    Some(unsafe { *slot })
}
