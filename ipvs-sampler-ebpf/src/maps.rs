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
pub static TARGET: Array<Target> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Slot of each destination pointer that is alive. As many entries as slots.
#[map]
pub static SLOT_OF: HashMap<u64, Slot> = HashMap::with_max_entries(1, 0);

/// Slots that nobody uses. Filled by user space.
#[map]
pub static FREE_SLOTS: Stack<Slot> = Stack::with_max_entries(1, 0);

/// `cpu * slots + slot`: each CPU writes its own stretch, so that no two CPUs share cache lines.
/// Memory-mapped: a look-up by system call would keep kprobe programs from running on its CPU
/// meanwhile (`bpf_disable_instrumentation`, kernel/bpf/syscall.c) and so lose connections.
#[map]
pub static CELLS: Array<Cell> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry per possible CPU, memory-mapped for the same reason.
#[map]
pub static TALLIES: Array<Tally> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Records for the sampling loop, which empties it at each tick: nobody is woken for one.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Destinations of our own dump in the order in which the kernel wrote them: emptied after each
/// system call of the dump, so 32 KiB of messages is the most it holds: none is shorter than 300 bytes (two
/// sets of ten counters), and an entry takes 88.
#[map]
pub static FILLS: RingBuf = RingBuf::with_byte_size(16384, 0);

/// One entry, memory-mapped: when the last dump of services was seen, in ns of `CLOCK_MONOTONIC`.
#[map]
pub static DUMP_SEEN: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry: the answer of `whoami`.
#[map]
pub static WHOAMI: Array<Whoami> = Array::with_max_entries(1, 0);

/// The object behind each slot while it lives: written where a pointer gets or loses its slot.
#[map]
pub static OBJECTS: Array<Object> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot: not 0 where nobody asks for the object. It is counted, but not told of and not read live.
/// Written by user space alone; memory-mapped.
#[map]
pub static MUTED: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By slot, what the last run of `read_live` read; memory-mapped, so that it is handed over in bulk.
#[map]
pub static READINGS: Array<Reading> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// One entry, memory-mapped: how far the last run of `cpu_offsets` or `read_live` came. What such a
/// program returns does not reach user space.
#[map]
pub static PROGRESS: Array<u64> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// By CPU, the offset of its copy of per-CPU memory.
#[map]
pub static CPU_OFFSETS: Array<u64> = Array::with_max_entries(1, 0);

/// One entry: where IPVS keeps what is read live. Not a constant, because some kernels tell only
/// during a dump.
#[map]
pub static LAYOUT: Array<Layout> = Array::with_max_entries(1, 0);

/// One entry, memory-mapped: what such a dump told.
#[map]
pub static DISCOVERY: Array<Discovery> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// `cpu * arrivals + n`: each CPU's log of the connections it counted. Memory-mapped as the cells.
#[map]
pub static ARRIVALS: Array<Arrival> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Known before loading.
#[unsafe(no_mangle)]
pub static CONSTANTS: Global<Constants> = Global::new(Constants {
    task_nsproxy: 0,
    nsproxy_net: 0,
    net_ipvs: 0,
    cpus: 0,
});
