//! Reads the live counters of all known objects, when user space runs it. Never attached: nothing
//! of this is on the path of a packet or a connection.

use aya_ebpf::{helpers::bpf_probe_read_kernel, programs::RawTracePointContext};
use ipvs_sampler_common::{COUNTERS, Layout, Object, ObjectKind, State};

use crate::{
    maps::{CONSTANTS, CPU_OFFSETS, LAYOUT, OBJECTS, PROGRESS, READINGS},
    read,
};

/// Reads of one (object, CPU) in one run, roughly. The verifier walks through each of them when the
/// program is loaded, and gives up after a million instructions; a run costs a system call of less
/// than a microsecond.
const STEPS: u32 = 256;

/// More CPUs than that are more than the verifier follows: then nothing is read live.
const MOST_CPUS: u32 = 4096;

pub type Counters = [u64; COUNTERS];

/// Tells user space how far a run came.
pub fn progress(reached: u32) -> i32 {
    PROGRESS.set(0, u64::from(reached), 0).map_or(1, |()| 0)
}

/// Copies `__per_cpu_offset` into a map: it does not change after boot.
pub fn copy_cpu_offsets() -> Option<u32> {
    let layout = LAYOUT.get(0)?;
    let cpus = CONSTANTS.load().cpus;
    let mut copied = 0;
    for cpu in 0..MOST_CPUS {
        if cpu >= cpus {
            break;
        }
        let offset = read(layout.per_cpu_offset + u64::from(cpu) * 8)?;
        CPU_OFFSETS.set(cpu, offset, 0).ok()?;
        copied += 1;
    }
    Some(copied)
}

/// Reads objects from the slot `first` on, up to but not including `end`; the slot to go on with.
///
/// How far each loop goes is known when the program is loaded, and the same on every path: otherwise
/// the verifier would have to follow each combination of slot and CPU by itself.
pub fn read_objects(ctx: &RawTracePointContext) -> u32 {
    let first: u32 = ctx.arg(0);
    let end: u32 = ctx.arg(1);
    let Some(layout) = LAYOUT.get(0) else {
        return first;
    };
    let layout = *layout;
    let cpus = CONSTANTS.load().cpus;
    let mut slot = first;
    for turn in 0..STEPS {
        if slot >= end || turn > 0 && (turn + 1) * cpus > STEPS {
            break;
        }
        let Some(object) = OBJECTS.get(slot) else {
            break;
        };
        let object = *object;
        if object.kind != ObjectKind::NONE {
            read_object(&layout, cpus, slot, &object);
        }
        slot += 1;
    }
    slot
}

#[inline(always)]
fn read_object(layout: &Layout, cpus: u32, slot: u32, object: &Object) {
    let stats = stats(layout, object.kind, object.address);
    // In this order: what the estimator has copied before cannot be more than what is summed up now.
    let [estimated, zero] = copies(layout, stats);
    let per_cpu = read(stats + u64::from(layout.stats_per_cpu)).unwrap_or(0);
    let mut sums: Counters = [0; COUNTERS];
    let mut refused = u32::from(estimated.is_none()) + u32::from(zero.is_none());
    for cpu in 0..MOST_CPUS {
        if cpu >= cpus {
            break;
        }
        match CPU_OFFSETS
            .get(cpu)
            .and_then(|offset| counters(per_cpu.wrapping_add(*offset)))
        {
            Some(counters) => {
                for (sum, counter) in sums.iter_mut().zip(counters) {
                    *sum += counter;
                }
            }
            None => refused += 1,
        }
    }
    let Some(reading) = READINGS.get_ptr_mut(slot) else {
        return;
    };
    // SAFETY: a pointer into the map's memory, which the verifier bounds; user space reads it only
    // between runs.
    let reading = unsafe { &mut *reading };
    reading.counted = sums;
    reading.estimated = estimated.unwrap_or_default();
    reading.zero = zero.unwrap_or_default();
    if object.kind == ObjectKind::DESTINATION {
        match state(layout, object.address) {
            Some(state) => reading.state = state,
            None => refused += 1,
        }
    }
    reading.refused = refused;
    reading.address = object.address;
}

/// What netlink is to show of an object's counters at this moment (`ip_vs_copy_stats`).
#[inline(always)]
pub fn shown(layout: &Layout, kind: u32, address: u64) -> Option<Counters> {
    let [estimated, zero] = copies(layout, stats(layout, kind, address));
    let (mut shown, zero) = (estimated?, zero?);
    for (shown, zero) in shown.iter_mut().zip(zero) {
        *shown = shown.wrapping_sub(zero);
    }
    Some(shown)
}

/// The estimator's copy of the counters, and the counters at the last zeroing.
#[inline(always)]
fn copies(layout: &Layout, stats: u64) -> [Option<Counters>; 2] {
    [layout.stats_estimated, layout.stats_zero].map(|at| counters(stats + u64::from(at)))
}

/// What the memory of the destination at `address` says besides its counters.
#[inline(always)]
pub fn state(layout: &Layout, address: u64) -> Option<State> {
    let word = |offset: u32| word(address + u64::from(offset));
    Some(State {
        active: word(layout.active)?,
        inactive: word(layout.inactive)?,
        persistent: word(layout.persistent)?,
        weight: word(layout.weight)?,
        flags: word(layout.flags)?,
    })
}

#[inline(always)]
fn stats(layout: &Layout, kind: u32, address: u64) -> u64 {
    let offset = match kind {
        ObjectKind::SERVICE => layout.service_stats,
        _ => layout.destination_stats,
    };
    address + u64::from(offset)
}

#[inline(always)]
fn counters(address: u64) -> Option<Counters> {
    // SAFETY: the helper checks the address and fails on a bad one.
    unsafe { bpf_probe_read_kernel(address as *const Counters) }.ok()
}

#[inline(always)]
fn word(address: u64) -> Option<u32> {
    // SAFETY: as above.
    unsafe { bpf_probe_read_kernel(address as *const u32) }.ok()
}
