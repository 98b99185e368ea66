//! A connection was scheduled: it is counted, per CPU and destination.

use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::programs::ProbeContext;
use aya_log_ebpf::warn;
use ipvs_sampler_common::{Arrival, Kind, ObjectKind, Record, Slot, Tally, Target};

use crate::{
    helpers::{cpu, now, read, tally},
    maps::{ARRIVALS, CELLS, TARGET},
    records::submit,
    slots,
};

/// `IP_VS_CONN_F_ONE_PACKET`: the one flag that a counted connection may carry. All others
/// (template, synchronised, bypass, FTP data) mark callers that do not count
/// (net/netfilter/ipvs: `ip_vs_conn_stats` and the call sites of `ip_vs_conn_new`).
const ONE_PACKET: u32 = 0x2000;

pub(crate) fn scheduled(ctx: &ProbeContext) -> Option<()> {
    let target = TARGET.get(0)?;
    let cpu = cpu();
    let tally = tally(cpu)?;
    // `struct ip_vs_conn_param` begins with `struct netns_ipvs *ipvs` (include/net/ip_vs.h).
    if read(ctx.arg(0)?) != Some(target.netns_ipvs) {
        tally.foreign += 1;
        return Some(());
    }
    let flags: u32 = ctx.arg(4)?;
    let destination: u64 = ctx.arg(5)?;
    if destination == 0 || flags & !ONE_PACKET != 0 {
        tally.skipped += 1;
        return Some(());
    }
    let Some(slot) = slots::of(destination, ObjectKind::DESTINATION) else {
        tally.no_slot += 1;
        if tally.no_slot.is_power_of_two() {
            warn!(
                ctx,
                "no free slot: {} connections are not counted on CPU {}", tally.no_slot, cpu
            );
        }
        return Some(());
    };
    count(target, tally, cpu, destination, slot)
}

#[inline(always)]
fn count(target: &Target, tally: &mut Tally, cpu: u32, object: u64, slot: Slot) -> Option<()> {
    let cell = CELLS.get_ptr_mut(cpu * target.slots + slot)?;
    // SAFETY: a pointer into the map's memory, which the verifier bounds. This CPU alone writes
    // this cell, and no second probe of ours runs on it meanwhile (`bpf_prog_active`).
    let cell = unsafe { &mut *cell };
    cell.connections += 1;
    let now = now();
    log_arrival(
        target,
        tally,
        cpu,
        Arrival {
            slot,
            reserved: 0,
            time_ns: now,
        },
    );
    // What is counted is in the log already: user space goes by this number.
    compiler_fence(Ordering::Release);
    tally.counted += 1;
    if slots::is_muted(slot) || now - cell.recorded_ns < target.resolution_ns {
        return Some(());
    }
    let record = Record {
        kind: Kind::COUNTED,
        slot,
        object,
    };
    if submit(tally, record) {
        cell.recorded_ns = now;
    } else {
        tally.lost += 1;
    }
    Some(())
}

#[inline(always)]
fn log_arrival(target: &Target, tally: &Tally, cpu: u32, arrival: Arrival) {
    if target.arrivals == 0 {
        return;
    }
    let entry = cpu * target.arrivals + (tally.counted as u32 & (target.arrivals - 1));
    if let Some(entry) = ARRIVALS.get_ptr_mut(entry) {
        // SAFETY: as for a cell: this CPU's own stretch of the map.
        unsafe { *entry = arrival };
    }
}
