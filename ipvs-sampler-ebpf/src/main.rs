//! The kernel side: counts what IPVS schedules, per CPU and destination pointer, from the arguments
//! of the functions it watches. Nothing here runs per packet.
//!
//! Each probe is an entry and a body that returns early; each way out that loses something has
//! its counter in [`Tally`](ipvs_sampler_common::Tally).

#![no_std]
#![no_main]

mod dumps;
mod helpers;
mod live;
mod lives;
mod maps;
mod records;
mod scheduling;
mod slots;
mod synthetic;

use aya_ebpf::{
    helpers::bpf_get_current_task,
    macros::{kprobe, raw_tracepoint},
    programs::{ProbeContext, RawTracePointContext},
};
use helpers::{process, read};
use ipvs_sampler_common::{ObjectKind, Whoami};
use maps::{CONSTANTS, WHOAMI};

/// `ip_vs_conn_new(p, dest_af, daddr, dport, flags, dest, fwmark)`: IPVS found a destination.
#[kprobe]
pub(crate) fn conn_new(ctx: ProbeContext) -> u32 {
    scheduling::scheduled(&ctx).map_or(1, |()| 0)
}

/// `__ip_vs_del_dest(ipvs, dest, cleanup)`: the destination leaves its service for the trash.
#[kprobe]
pub(crate) fn del_dest(ctx: ProbeContext) -> u32 {
    lives::deleted(&ctx).map_or(1, |()| 0)
}

/// `__ip_vs_update_dest(svc, dest, udest, add)`: with `add` a destination begins a life, in fresh
/// memory or revived from the trash; either way at an address that may have had another life.
#[kprobe]
pub(crate) fn update_dest(ctx: ProbeContext) -> u32 {
    lives::updated(&ctx).map_or(1, |()| 0)
}

/// `ip_vs_zero_estimator(stats)`: the counters of one object start from zero (`ipvsadm -Z`).
#[kprobe]
pub(crate) fn zero_estimator(ctx: ProbeContext) -> u32 {
    lives::zeroed(&ctx).map_or(1, |()| 0)
}

/// `ip_vs_genl_dump_services(skb, cb)`: a dump of services begins or goes on, also of an empty table.
/// So each of our dumps shows whether probes fire at all.
#[kprobe]
pub(crate) fn dump_services(_ctx: ProbeContext) -> u32 {
    dumps::began().map_or(1, |()| 0)
}

/// `ip_vs_genl_fill_dest(skb, dest)`: a destination is written into a netlink dump. In our own
/// process's dump the order of these calls is the order of the messages, and so gives each
/// pointer its name without any offset into the kernel's structures.
#[kprobe]
pub(crate) fn fill_dest(ctx: ProbeContext) -> u32 {
    dumps::filled(&ctx, ObjectKind::DESTINATION).map_or(1, |()| 0)
}

/// `ip_vs_copy_stats(to, stats)`: the statistics of the object that is being written into a dump.
/// Attached only where nothing else says where in the object they are.
#[kprobe]
pub(crate) fn copy_stats(ctx: ProbeContext) -> u32 {
    dumps::copied(&ctx).map_or(1, |()| 0)
}

/// `ip_vs_genl_fill_service(skb, svc)`: the same for services.
#[kprobe]
pub(crate) fn fill_service(ctx: ProbeContext) -> u32 {
    dumps::filled(&ctx, ObjectKind::SERVICE).map_or(1, |()| 0)
}

/// `ip_vs_unlink_service(svc, cleanup)`, `__ip_vs_del_service(svc, cleanup)` from 7.x on: the
/// service and all its destinations go.
#[kprobe]
pub(crate) fn del_service(ctx: ProbeContext) -> u32 {
    lives::service_deleted(&ctx).map_or(1, |()| 0)
}

/// Never attached: user space runs it to learn who it is in the kernel's terms.
#[raw_tracepoint]
pub(crate) fn whoami(_ctx: RawTracePointContext) -> i32 {
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
pub(crate) fn cpu_offsets(_ctx: RawTracePointContext) -> i32 {
    live::progress(live::copy_cpu_offsets().unwrap_or(0))
}

/// Never attached: user space runs it at each tick.
#[raw_tracepoint]
pub(crate) fn read_live(ctx: RawTracePointContext) -> i32 {
    live::progress(live::read_objects(&ctx))
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
