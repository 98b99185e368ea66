//! The kernel writes an object into our own dump: which, and what its memory says at that moment.

use core::ptr;

use aya_ebpf::programs::ProbeContext;
use ipvs_sampler_common::{COUNTERS, Fill, NO_SLOT, ObjectKind, State};

use crate::{
    helpers::{cpu, now, process, tally},
    live,
    maps::{DISCOVERY, DUMP_SEEN, FILLS, LAYOUT, TARGET},
    records::NO_WAKEUP,
    slots,
};

/// No `struct ip_vs_dest` or `struct ip_vs_service` is larger.
const LARGEST_OBJECT: u64 = 4096;

/// Leaves a sign that the probes fire. Whose dump it is does not matter.
pub(crate) fn began() -> Option<()> {
    let seen = DUMP_SEEN.get_ptr_mut(0)?;
    // SAFETY: a pointer into the map's memory, which the verifier bounds. An aligned integer: of two
    // dumps at the same moment one leaves its whole value.
    unsafe { ptr::write_volatile(seen, now()) };
    Some(())
}

pub(crate) fn filled(ctx: &ProbeContext, kind: u32) -> Option<()> {
    if TARGET.get(0)?.process != process() {
        return Some(());
    }
    let object: u64 = ctx.arg(1)?;
    let slot = slots::of(object, kind).unwrap_or(NO_SLOT);
    match FILLS.reserve::<Fill>(0) {
        Some(mut entry) => {
            let (shown, state) = ([0; COUNTERS], State::NONE);
            entry.write(Fill {
                object,
                slot,
                read: 0,
                shown,
                state,
                kind,
            });
            // SAFETY: written just now. Not a copy on the stack: parts of it would be read before they
            // are written, as the verifier of 5.10 sees it.
            look(unsafe { &mut *entry.as_mut_ptr() }, kind);
            entry.submit(NO_WAKEUP);
        }
        None => tally(cpu())?.lost_fills += 1,
    }
    // SAFETY: a pointer into the map's memory, which the verifier bounds; our own dump, which runs
    // on one CPU at a time, is its only writer.
    let discovery = unsafe { &mut *DISCOVERY.get_ptr_mut(0)? };
    discovery.object = object;
    discovery.kind = kind;
    Some(())
}

/// Adds what the object's memory says in the moment before the kernel writes the same into the message.
#[inline(always)]
fn look(fill: &mut Fill, kind: u32) -> Option<()> {
    let layout = LAYOUT.get(0)?;
    if layout.per_cpu_offset == 0 {
        return None;
    }
    let mut refused = 0;
    if kind == ObjectKind::DESTINATION {
        fill.state = live::state(layout, fill.object, &mut refused);
    }
    live::show(&mut fill.shown, layout, kind, fill.object, &mut refused);
    fill.read = u32::from(refused == 0);
    Some(())
}

pub(crate) fn copied(ctx: &ProbeContext) -> Option<()> {
    if TARGET.get(0)?.process != process() {
        return Some(());
    }
    let stats: u64 = ctx.arg(1)?;
    // SAFETY: as in `filled`.
    let discovery = unsafe { &mut *DISCOVERY.get_ptr_mut(0)? };
    let offset = stats.wrapping_sub(discovery.object);
    if offset <= LARGEST_OBJECT {
        match discovery.kind {
            ObjectKind::DESTINATION => discovery.destination_stats = offset as u32,
            ObjectKind::SERVICE => discovery.service_stats = offset as u32,
            _ => {}
        }
    }
    Some(())
}
