//! Which slot counts for which destination pointer.

use aya_ebpf::bindings::BPF_NOEXIST;
use ipvs_sampler_common::{Object, ObjectKind, Slot};

use crate::maps::{FREE_SLOTS, MUTED, OBJECTS, SLOT_OF};

/// The slot of an object, taken from the free ones when it has none yet.
#[inline(always)]
pub(crate) fn of(address: u64, kind: u32) -> Option<Slot> {
    if let Some(slot) = find(address) {
        return Some(slot);
    }
    let slot = FREE_SLOTS.pop().ok().flatten()?;
    if SLOT_OF
        .insert(address, slot, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        let _ = OBJECTS.set(
            slot,
            Object {
                address,
                kind,
                reserved: 0,
            },
            0,
        );
        return Some(slot);
    }
    // Another CPU met the same object first.
    let _ = FREE_SLOTS.push(slot, 0);
    find(address)
}

/// Ends a life: the pointer's next connection takes a fresh slot, and nobody reads it any more.
#[inline(always)]
pub(crate) fn retire(address: u64) -> Option<Slot> {
    let slot = find(address)?;
    SLOT_OF.remove(address).ok()?;
    let _ = OBJECTS.set(
        slot,
        Object {
            address: 0,
            kind: ObjectKind::NONE,
            reserved: 0,
        },
        0,
    );
    Some(slot)
}

/// Whether no output selects the object of a slot.
#[inline(always)]
pub(crate) fn is_muted(slot: Slot) -> bool {
    MUTED.get(slot).is_some_and(|muted| *muted != 0)
}

#[inline(always)]
fn find(address: u64) -> Option<Slot> {
    let slot = SLOT_OF.get_ptr(address)?;
    // SAFETY: a pointer into the map's memory, which the verifier bounds; the value is one aligned
    // integer that is written once, before the entry can be found.
    Some(unsafe { *slot })
}
