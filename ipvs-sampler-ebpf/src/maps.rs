//! Every map, its size and why. Sizes given here are the least that loads; user space sets the real
//! ones before loading (`source/probe/load.rs`).

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, RingBuf, Stack},
};
use ipvs_sampler_common::{
    Arrival, Cell, Constants, Discovery, Layout, Object, Reading, Slot, Tally, Target, Whoami,
};

/// One entry: whom to watch. Memory-mapped: user space says in it when a dump of its own begins and
/// ends.
#[map]
pub(crate) static TARGET: Array<Target> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Slot of each destination pointer that is alive. As many entries as slots.
#[map]
pub(crate) static SLOT_OF: HashMap<u64, Slot> = HashMap::with_max_entries(1, 0);

/// Slots that nobody uses. Filled by user space.
#[map]
pub(crate) static FREE_SLOTS: Stack<Slot> = Stack::with_max_entries(1, 0);

/// `cpu * slots + slot`: each CPU writes its own stretch, so that no two CPUs share cache lines.
/// Memory-mapped: a look-up by system call would keep kprobe programs from running on its CPU
/// meanwhile (`bpf_disable_instrumentation`, kernel/bpf/syscall.c) and so lose connections.
#[map]
pub(crate) static CELLS: Array<Cell> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry per possible CPU, memory-mapped for the same reason.
#[map]
pub(crate) static TALLIES: Array<Tally> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Records for the sampling loop, which empties it at each tick: nobody is woken for one.
#[map]
pub(crate) static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Destinations of our own dump in the order in which the kernel wrote them: emptied after each
/// system call of the dump, so 32 KiB of messages is the most it holds: none is shorter than 300 bytes (two
/// sets of ten counters), and an entry takes 88.
#[map]
pub(crate) static FILLS: RingBuf = RingBuf::with_byte_size(16384, 0);

/// One entry, memory-mapped: when the last dump of services was seen, in ns of `CLOCK_MONOTONIC`.
#[map]
pub(crate) static DUMP_SEEN: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry: the answer of `whoami`.
#[map]
pub(crate) static WHOAMI: Array<Whoami> = Array::with_max_entries(1, 0);

/// The object behind each slot while it lives: written where a pointer gets or loses its slot.
#[map]
pub(crate) static OBJECTS: Array<Object> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot: not 0 where no output selects the object. It is counted, but not told of and not read live.
/// Written by user space alone; memory-mapped.
#[map]
pub(crate) static MUTED: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot, what the last run of `read_live` read; memory-mapped, so that it is handed over in bulk.
#[map]
pub(crate) static READINGS: Array<Reading> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry, memory-mapped: how far the last run of `cpu_offsets` or `read_live` came. What such a
/// program returns does not reach user space.
#[map]
pub(crate) static PROGRESS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By CPU, the offset of its copy of per-CPU memory.
#[map]
pub(crate) static CPU_OFFSETS: Array<u64> = Array::with_max_entries(1, 0);

/// One entry: where IPVS keeps what is read live. Not a constant, because some kernels tell only
/// during a dump.
#[map]
pub(crate) static LAYOUT: Array<Layout> = Array::with_max_entries(1, 0);

/// One entry, memory-mapped: what such a dump told.
#[map]
pub(crate) static DISCOVERY: Array<Discovery> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// `cpu * arrivals + n`: each CPU's log of the connections it counted. Memory-mapped as the cells.
#[map]
pub(crate) static ARRIVALS: Array<Arrival> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Known before loading.
#[unsafe(no_mangle)]
pub(crate) static CONSTANTS: Global<Constants> = Global::new(Constants {
    task_nsproxy: 0,
    nsproxy_net: 0,
    net_ipvs: 0,
    cpus: 0,
});
