//! The kernel side: counts what IPVS schedules, per CPU and destination pointer, from the arguments
//! of the functions it watches. Nothing here runs per packet.
//!
//! Each probe is an entry and a body that returns early; each way out that loses something has
//! its counter in [`Tally`].

#![no_std]
#![no_main]

mod live;
mod maps;
mod slots;
mod synthetic;

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_smp_processor_id, bpf_ktime_get_ns,
        bpf_probe_read_kernel,
    },
    macros::{kprobe, raw_tracepoint},
    programs::{ProbeContext, RawTracePointContext},
};
use aya_log_ebpf::{debug, warn};
use core::sync::atomic::{Ordering, compiler_fence};
use ipvs_sampler_common::{
    Arrival, COUNTERS, Fill, Kind, NO_SLOT, ObjectKind, Record, Slot, State, Tally, Target, Whoami,
};
use maps::{
    ARRIVALS, CELLS, CONSTANTS, DISCOVERY, FILLS, LAYOUT, RECORDS, TALLIES, TARGET, WHOAMI,
};

/// `IP_VS_CONN_F_ONE_PACKET`: the one flag that a counted connection may carry. All others
/// (template, synchronised, bypass, FTP data) mark callers that do not count
/// (net/netfilter/ipvs: `ip_vs_conn_stats` and the call sites of `ip_vs_conn_new`).
const ONE_PACKET: u32 = 0x2000;

/// No `struct ip_vs_dest` or `struct ip_vs_service` is larger.
const LARGEST_OBJECT: u64 = 4096;

/// `BPF_RB_NO_WAKEUP`: the reader comes by itself at each tick.
const NO_WAKEUP: u64 = 1;

/// `ip_vs_conn_new(p, dest_af, daddr, dport, flags, dest, fwmark)`: IPVS found a destination.
#[kprobe]
pub fn conn_new(ctx: ProbeContext) -> u32 {
    scheduled(&ctx).map_or(1, |()| 0)
}

fn scheduled(ctx: &ProbeContext) -> Option<()> {
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
    // SAFETY: the helper takes no pointer.
    let now = unsafe { bpf_ktime_get_ns() };
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
    if now - cell.recorded_ns < target.resolution_ns {
        return Some(());
    }
    let record = Record {
        kind: Kind::COUNTED,
        cpu,
        object,
        time_ns: now,
        connections: cell.connections,
        slot,
        reserved: 0,
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

/// `__ip_vs_del_dest(ipvs, dest, cleanup)`: the destination leaves its service for the trash.
#[kprobe]
pub fn del_dest(ctx: ProbeContext) -> u32 {
    deleted(&ctx).map_or(1, |()| 0)
}

fn deleted(ctx: &ProbeContext) -> Option<()> {
    if ctx.arg::<u64>(0)? == TARGET.get(0)?.netns_ipvs {
        retire(ctx, ctx.arg(1)?)?;
    }
    Some(())
}

/// `__ip_vs_update_dest(svc, dest, udest, add)`: with `add` a destination begins a life, in fresh
/// memory or revived from the trash; either way at an address that may have had another life.
#[kprobe]
pub fn update_dest(ctx: ProbeContext) -> u32 {
    updated(&ctx).map_or(1, |()| 0)
}

fn updated(ctx: &ProbeContext) -> Option<()> {
    if ctx.arg::<u32>(3)? != 0 {
        retire(ctx, ctx.arg(1)?)?;
    }
    Some(())
}

#[inline(always)]
fn retire(ctx: &ProbeContext, object: u64) -> Option<()> {
    if let Some(slot) = slots::retire(object) {
        debug!(
            ctx,
            "destination {:x} ends its life in slot {}", object, slot
        );
        change(Kind::RETIRED, object, slot)?;
    }
    Some(())
}

/// `ip_vs_zero_estimator(stats)`: the counters of one object start from zero (`ipvsadm -Z`).
#[kprobe]
pub fn zero_estimator(ctx: ProbeContext) -> u32 {
    zeroed(&ctx).map_or(1, |()| 0)
}

fn zeroed(ctx: &ProbeContext) -> Option<()> {
    change(Kind::ZEROED, ctx.arg(0)?, NO_SLOT)
}

#[inline(always)]
fn change(kind: u32, object: u64, slot: Slot) -> Option<()> {
    let cpu = cpu();
    let tally = tally(cpu)?;
    // SAFETY: the helper takes no pointer.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let record = Record {
        kind,
        cpu,
        object,
        time_ns,
        connections: 0,
        slot,
        reserved: 0,
    };
    if !submit(tally, record) {
        tally.lost_changes += 1;
    }
    Some(())
}

/// `ip_vs_genl_fill_dest(skb, dest)`: a destination is written into a netlink dump. In our own
/// process's dump the order of these calls is the order of the messages, and so gives each
/// pointer its name without any offset into the kernel's structures.
#[kprobe]
pub fn fill_dest(ctx: ProbeContext) -> u32 {
    filled(&ctx, ObjectKind::DESTINATION).map_or(1, |()| 0)
}

fn filled(ctx: &ProbeContext, kind: u32) -> Option<()> {
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
                reserved: 0,
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

/// `ip_vs_copy_stats(to, stats)`: the statistics of the object that is being written into a dump.
/// Attached only where nothing else says where in the object they are.
#[kprobe]
pub fn copy_stats(ctx: ProbeContext) -> u32 {
    copied(&ctx).map_or(1, |()| 0)
}

fn copied(ctx: &ProbeContext) -> Option<()> {
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

/// `ip_vs_genl_fill_service(skb, svc)`: the same for services.
#[kprobe]
pub fn fill_service(ctx: ProbeContext) -> u32 {
    filled(&ctx, ObjectKind::SERVICE).map_or(1, |()| 0)
}

/// `ip_vs_unlink_service(svc, cleanup)`, `__ip_vs_del_service(svc, cleanup)` from 7.x on: the
/// service and all its destinations go.
#[kprobe]
pub fn del_service(ctx: ProbeContext) -> u32 {
    service_deleted(&ctx).map_or(1, |()| 0)
}

fn service_deleted(ctx: &ProbeContext) -> Option<()> {
    retire(ctx, ctx.arg(0)?)
}

/// Never attached: user space runs it to learn who it is in the kernel's terms.
#[raw_tracepoint]
pub fn whoami(_ctx: RawTracePointContext) -> i32 {
    identified().map_or(1, |()| 0)
}

fn identified() -> Option<()> {
    let constants = CONSTANTS.load();
    // SAFETY: the helper takes no pointer.
    let task = unsafe { bpf_get_current_task() };
    let nsproxy = read(task + u64::from(constants.task_nsproxy))?;
    let net = read(nsproxy + u64::from(constants.nsproxy_net))?;
    let netns_ipvs = read(net + u64::from(constants.net_ipvs))?;
    WHOAMI
        .set(
            0,
            Whoami {
                netns_ipvs,
                process: process(),
                reserved: 0,
            },
            0,
        )
        .ok()
}

/// Never attached: user space runs it once before `read_live`.
#[raw_tracepoint]
pub fn cpu_offsets(_ctx: RawTracePointContext) -> i32 {
    live::progress(live::copy_cpu_offsets().unwrap_or(0))
}

/// Never attached: user space runs it at each tick.
#[raw_tracepoint]
pub fn read_live(ctx: RawTracePointContext) -> i32 {
    live::progress(live::read_objects(&ctx))
}

#[inline(always)]
fn submit(tally: &mut Tally, record: Record) -> bool {
    let Some(mut entry) = RECORDS.reserve::<Record>(0) else {
        return false;
    };
    entry.write(record);
    entry.submit(NO_WAKEUP);
    tally.submitted += 1;
    true
}

#[inline(always)]
fn tally(cpu: u32) -> Option<&'static mut Tally> {
    let tally = TALLIES.get_ptr_mut(cpu)?;
    // SAFETY: as for a cell: this CPU's own entry.
    Some(unsafe { &mut *tally })
}

#[inline(always)]
fn cpu() -> u32 {
    // SAFETY: the helper takes no pointer.
    unsafe { bpf_get_smp_processor_id() }
}

#[inline(always)]
fn process() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Reads eight bytes of kernel memory.
#[inline(always)]
fn read(address: u64) -> Option<u64> {
    // SAFETY: the helper checks the address and fails on a bad one.
    unsafe { bpf_probe_read_kernel(address as *const u64) }.ok()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel gives the helpers used here only to programs under a GPL-compatible licence.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
