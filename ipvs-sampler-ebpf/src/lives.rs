//! Lives of services and destinations end, and counters start from zero.

use aya_ebpf::programs::ProbeContext;
use aya_log_ebpf::debug;
use ipvs_sampler_common::{Kind, NO_SLOT, Record, Slot};

use crate::{
    helpers::{cpu, tally},
    maps::TARGET,
    records::submit,
    slots,
};

pub(crate) fn deleted(ctx: &ProbeContext) -> Option<()> {
    if ctx.arg::<u64>(0)? == TARGET.get(0)?.netns_ipvs {
        retire(ctx, ctx.arg(1)?)?;
    }
    Some(())
}

pub(crate) fn updated(ctx: &ProbeContext) -> Option<()> {
    if ctx.arg::<u32>(3)? != 0 {
        retire(ctx, ctx.arg(1)?)?;
    }
    Some(())
}

#[inline(always)]
fn retire(ctx: &ProbeContext, object: u64) -> Option<()> {
    if let Some(slot) = slots::retire(object) {
        // Without its address: messages leave the machine.
        debug!(ctx, "an object ends its life in slot {}", slot);
        change(Kind::RETIRED, object, slot)?;
    }
    Some(())
}

pub(crate) fn service_deleted(ctx: &ProbeContext) -> Option<()> {
    retire(ctx, ctx.arg(0)?)
}

pub(crate) fn zeroed(ctx: &ProbeContext) -> Option<()> {
    change(Kind::ZEROED, ctx.arg(0)?, NO_SLOT)
}

#[inline(always)]
fn change(kind: u32, object: u64, slot: Slot) -> Option<()> {
    let tally = tally(cpu())?;
    if !submit(tally, Record { kind, slot, object }) {
        tally.lost_changes += 1;
    }
    Some(())
}
