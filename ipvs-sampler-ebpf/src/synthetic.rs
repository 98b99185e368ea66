//! Memory that user space lays out as IPVS lays out its own, so that `read_live` can be measured and
//! tested where there is no IPVS. Production loads the one-entry map and never the program.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::{map, raw_tracepoint},
    maps::Array,
    programs::RawTracePointContext,
};

use crate::maps::PROGRESS;

/// The memory. Entries lie one after the other, so it is as long as user space wants it.
#[map]
static SYNTHETIC: Array<[u64; 64]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Never attached: user space runs it to learn at which address of the kernel the memory begins.
#[raw_tracepoint]
pub(crate) fn locate_synthetic(_ctx: RawTracePointContext) -> i32 {
    located().map_or(1, |()| 0)
}

fn located() -> Option<()> {
    let address = SYNTHETIC.get_ptr_mut(0)? as u64;
    PROGRESS.set(0, address, 0).ok()
}
