//! What the kernel's helpers tell: which CPU, which process, what time it is, what is in memory.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_probe_read_kernel,
};
use ipvs_sampler_common::Tally;

use crate::maps::TALLIES;

/// This CPU's own counters.
#[inline(always)]
pub(crate) fn tally(cpu: u32) -> Option<&'static mut Tally> {
    let tally = TALLIES.get_ptr_mut(cpu)?;
    // SAFETY: as for a cell: this CPU's own entry.
    Some(unsafe { &mut *tally })
}

#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: the helper takes no pointer.
    unsafe { bpf_get_smp_processor_id() }
}

/// Nanoseconds since boot, without the time in suspension: `CLOCK_MONOTONIC`.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes no pointer.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
pub(crate) fn process() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Reads eight bytes of kernel memory.
#[inline(always)]
pub(crate) fn read(address: u64) -> Option<u64> {
    // SAFETY: the helper checks the address and fails on a bad one.
    unsafe { bpf_probe_read_kernel(address as *const u64) }.ok()
}
