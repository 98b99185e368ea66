//! Reads the live counters of all known objects, when user space runs it. Never attached: nothing
//! of this is on the path of a packet or a connection.

use core::{ffi::c_void, mem::MaybeUninit, ptr};

use aya_ebpf::{helpers::generated::bpf_probe_read_kernel, programs::RawTracePointContext};
use ipvs_sampler_common::{COUNTERS, Layout, Object, ObjectKind, State};

use crate::{
    helpers::read,
    maps::{CONSTANTS, CPU_OFFSETS, LAYOUT, OBJECTS, PROGRESS, READINGS},
    slots,
};

/// Reads of one (object, CPU) in one run, roughly. The verifier walks through each of them when the
/// program is loaded, and gives up after a million instructions; a run costs a system call of less
/// than a microsecond.
const STEPS: u32 = 256;

/// More CPUs than that are more than the verifier follows: then nothing is read live.
const MOST_CPUS: u32 = 4096;

pub(crate) type Counters = [u64; COUNTERS];

/// Tells user space how far a run came.
pub(crate) fn progress(reached: u32) -> i32 {
    PROGRESS.set(0, u64::from(reached), 0).map_or(1, |()| 0)
}

/// Copies `__per_cpu_offset` into a map: it does not change after boot.
pub(crate) fn copy_cpu_offsets() -> Option<u32> {
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

/// Reads objects from the slot `first` on, up to but not including `end`; the slot to go on with. Each
/// reading gets the number of the run.
///
/// How far each loop goes is known when the program is loaded, and the same on every path: otherwise
/// the verifier would have to follow each combination of slot and CPU by itself.
pub(crate) fn read_objects(ctx: &RawTracePointContext) -> u32 {
    let first: u32 = ctx.arg(0);
    let end: u32 = ctx.arg(1);
    let run: u64 = ctx.arg(2);
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
        if object.kind != ObjectKind::NONE && !slots::is_muted(slot) {
            read_object(&layout, cpus, run, slot, &object);
        }
        slot += 1;
    }
    slot
}

#[inline(always)]
fn read_object(layout: &Layout, cpus: u32, run: u64, slot: u32, object: &Object) {
    let Some(reading) = READINGS.get_ptr_mut(slot) else {
        return;
    };
    // SAFETY: a pointer into the map's memory, which the verifier bounds; user space reads it only
    // between runs.
    let reading = unsafe { &mut *reading };
    let mut refused = 0;
    let stats = stats(layout, object.kind, object.address);
    // In this order: what the estimator has copied before cannot be more than what is summed up now.
    copy_to(
        place(&mut reading.estimated),
        stats + u64::from(layout.stats_estimated),
        &mut refused,
    );
    copy_to(
        place(&mut reading.zero),
        stats + u64::from(layout.stats_zero),
        &mut refused,
    );
    let per_cpu: u64 = copy(stats + u64::from(layout.stats_per_cpu), &mut refused);
    let mut sums: Counters = [0; COUNTERS];
    for cpu in 0..MOST_CPUS {
        if cpu >= cpus {
            break;
        }
        let Some(offset) = CPU_OFFSETS.get(cpu) else {
            refused += 1;
            break;
        };
        let counters: Counters = copy(per_cpu.wrapping_add(*offset), &mut refused);
        for (sum, counter) in sums.iter_mut().zip(counters) {
            *sum += counter;
        }
    }
    reading.counted = sums;
    if object.kind == ObjectKind::DESTINATION {
        reading.state = state(layout, object.address, &mut refused);
    }
    reading.refused = refused;
    reading.address = object.address;
    reading.run = run;
}

/// What netlink is to show of an object's counters at this moment (`ip_vs_copy_stats`): the estimator's
/// copy less the counters at the last zeroing.
#[inline(always)]
pub(crate) fn show(
    shown: &mut Counters,
    layout: &Layout,
    kind: u32,
    address: u64,
    refused: &mut u32,
) {
    let stats = stats(layout, kind, address);
    copy_to(
        place(shown),
        stats + u64::from(layout.stats_estimated),
        refused,
    );
    let zero: Counters = copy(stats + u64::from(layout.stats_zero), refused);
    for (shown, zero) in shown.iter_mut().zip(zero) {
        *shown = shown.wrapping_sub(zero);
    }
}

/// What the memory of the destination at `address` says besides its counters.
#[inline(always)]
pub(crate) fn state(layout: &Layout, address: u64, refused: &mut u32) -> State {
    let [active, inactive, persistent] = words(
        address,
        [layout.active, layout.inactive, layout.persistent],
        refused,
    );
    let [flags, _, weight] = words(
        address,
        [layout.flags, layout.flags + 4, layout.weight],
        refused,
    );
    State {
        active,
        inactive,
        persistent,
        weight,
        flags,
    }
}

/// Three words, by one call of the helper where they follow each other: it is the call that costs.
#[inline(always)]
fn words(address: u64, [first, second, third]: [u32; 3], refused: &mut u32) -> [u32; 3] {
    let at = |offset: u32| address + u64::from(offset);
    if second == first + 4 && third == first + 8 {
        copy(at(first), refused)
    } else {
        [first, second, third].map(|offset| copy(at(offset), refused))
    }
}

#[inline(always)]
fn stats(layout: &Layout, kind: u32, address: u64) -> u64 {
    let offset = match kind {
        ObjectKind::SERVICE => layout.service_stats,
        _ => layout.destination_stats,
    };
    address + u64::from(offset)
}

/// Integers from the memory of the kernel; zeros where it refuses, which `refused` counts.
#[inline(always)]
fn copy<T: Copy>(address: u64, refused: &mut u32) -> T {
    let mut to = MaybeUninit::uninit();
    copy_to(&mut to, address, refused);
    // SAFETY: the helper has filled all of it either way (`bpf_probe_read_kernel_common`,
    // kernel/trace/bpf_trace.c), and any bytes are valid integers.
    unsafe { to.assume_init() }
}

/// As [`copy`], to a place. Without a branch: the verifier would follow both ways at each CPU.
#[inline(always)]
fn copy_to<T: Copy>(to: &mut MaybeUninit<T>, address: u64, refused: &mut u32) {
    // SAFETY: the helper checks the address, and writes as many bytes as `to` has.
    let outcome = unsafe {
        bpf_probe_read_kernel(
            to.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const c_void,
        )
    };
    // Negative is an error, so the sign is the count.
    *refused += (outcome as u64 >> 63) as u32;
}

/// A place that may be written to only.
#[inline(always)]
fn place<T: Copy>(to: &mut T) -> &mut MaybeUninit<T> {
    // SAFETY: `MaybeUninit` has its type's layout, and only [`copy_to`] writes there, all of it.
    unsafe { &mut *ptr::from_mut(to).cast() }
}
