//! Reads the live counters of all known objects, when user space runs it. Never attached: nothing
//! of this is on the path of a packet or a connection.

use aya_ebpf::{helpers::bpf_probe_read_kernel, programs::RawTracePointContext};
use ipvs_sampler_common::{COUNTERS, Layout, Object, ObjectKind};

use crate::{
    maps::{CPU_OFFSETS, LAYOUT, OBJECTS, PROGRESS, READINGS},
    read,
};

/// Reads of one (object, CPU), or skips of a free slot, in one run. The verifier walks through each of
/// them when the program is loaded, and gives up after a million instructions; a run costs a
/// system call of less than a microsecond.
const STEPS: u32 = 256;

/// More CPUs than that are not supported (`CONFIG_NR_CPUS` of distributions: 8192).
const MOST_CPUS: u32 = 8192;

type Counters = [u64; COUNTERS];

/// Tells user space how far a run came.
pub fn progress(reached: u32) -> i32 {
    PROGRESS.set(0, u64::from(reached), 0).map_or(1, |()| 0)
}

/// Copies `__per_cpu_offset` into a map: it does not change after boot.
pub fn copy_cpu_offsets() -> Option<u32> {
    let layout = LAYOUT.load();
    let mut copied = 0;
    for cpu in 0..MOST_CPUS {
        if cpu >= layout.cpus {
            break;
        }
        let offset = read(layout.per_cpu_offset + u64::from(cpu) * 8)?;
        CPU_OFFSETS.set(cpu, offset, 0).ok()?;
        copied += 1;
    }
    Some(copied)
}

/// Reads objects from the slot `first` on, up to but not including `end`; the slot to go on with.
pub fn read_objects(ctx: &RawTracePointContext) -> u32 {
    let layout = LAYOUT.load();
    let mut slot: u32 = ctx.arg(0);
    let end: u32 = ctx.arg(1);
    let mut cpu = 0;
    let mut per_cpu = 0;
    let mut sums: Counters = [0; COUNTERS];
    let mut refused = 0;
    let mut object = Object { address: 0, kind: 0, reserved: 0 };
    for _ in 0..STEPS {
        if slot >= end {
            break;
        }
        if cpu == 0 {
            let Some(known) = OBJECTS.get(slot) else { break };
            object = *known;
            if object.kind == ObjectKind::NONE {
                slot += 1;
                continue;
            }
            sums = [0; COUNTERS];
            refused = 0;
            per_cpu = read(stats(&layout, &object) + u64::from(layout.stats_per_cpu)).unwrap_or(0);
        }
        match CPU_OFFSETS.get(cpu).and_then(|offset| counters(per_cpu.wrapping_add(*offset))) {
            Some(counters) => {
                for (sum, counter) in sums.iter_mut().zip(counters) {
                    *sum += counter;
                }
            }
            None => refused += 1,
        }
        cpu += 1;
        if cpu >= layout.cpus {
            publish(&layout, slot, &object, sums, refused);
            slot += 1;
            cpu = 0;
        }
    }
    slot
}

#[inline(always)]
fn publish(layout: &Layout, slot: u32, object: &Object, counted: Counters, refused: u32) {
    let Some(reading) = READINGS.get_ptr_mut(slot) else { return };
    // SAFETY: a pointer into the map's memory, which the verifier bounds; user space reads it only
    // between runs.
    let reading = unsafe { &mut *reading };
    let stats = stats(layout, object);
    reading.counted = counted;
    reading.refused = refused;
    match counters(stats + u64::from(layout.stats_estimated)) {
        Some(counters) => reading.estimated = counters,
        None => reading.refused += 1,
    }
    match counters(stats + u64::from(layout.stats_zero)) {
        Some(counters) => reading.zero = counters,
        None => reading.refused += 1,
    }
    if object.kind == ObjectKind::DESTINATION {
        let mut word = |offset: u32| {
            let word = word(object.address + u64::from(offset));
            reading.refused += u32::from(word.is_none());
            word.unwrap_or(0)
        };
        let [active, inactive] = [word(layout.active), word(layout.inactive)];
        let [persistent, weight] = [word(layout.persistent), word(layout.weight)];
        reading.active = active;
        reading.inactive = inactive;
        reading.persistent = persistent;
        reading.weight = weight;
    }
    reading.address = object.address;
}

#[inline(always)]
fn stats(layout: &Layout, object: &Object) -> u64 {
    let offset = if object.kind == ObjectKind::SERVICE {
        layout.service_stats
    } else {
        layout.destination_stats
    };
    object.address + u64::from(offset)
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
