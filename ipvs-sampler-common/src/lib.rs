//! What crosses the boundary between the eBPF program and user space: plain integers in C layout,
//! no enum, `Option` or `bool`, no padding that is not named.
//!
//! Both sides are built from one source tree and the object is embedded in the binary, so there is
//! no version to negotiate: the asserts below keep the two compilers honest about the layout.

#![no_std]

/// One life of a destination in the kernel, from its creation (or revival from the trash) to its
/// deletion, gets one slot. A slot number indexes [`Cell`]s and is handed out again only after
/// user space has seen the end of that life.
pub type Slot = u32;

/// Where the program's attention is: one entry, written by user space before the probes attach and
/// again when the IPVS module came back.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// Address of our network namespace's `struct netns_ipvs`; 0 counts nothing.
    pub netns_ipvs: u64,
    /// Shortest time between two records of one (CPU, destination), in ns.
    pub resolution_ns: u64,
    /// Our process in the initial pid namespace while it dumps the watched network namespace, 0
    /// otherwise: only such a dump teaches pointers.
    pub process: u32,
    /// Slots per CPU in the array of [`Cell`]s.
    pub slots: u32,
    /// [`Arrival`]s that each CPU's log holds: a power of two, or 0 when none are to be kept.
    pub arrivals: u32,
    /// Always 0.
    pub reserved: u32,
}

/// One scheduled connection: an entry of its CPU's log, in which the newest overwrite the oldest.
/// The n-th connection that a CPU counted ([`Tally::counted`]) is at n modulo the log's length.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The destination's slot.
    pub slot: Slot,
    /// Always 0.
    pub reserved: u32,
    /// `bpf_ktime_get_ns`.
    pub time_ns: u64,
}

impl Arrival {
    /// As it lies in memory.
    #[must_use]
    pub const fn from_words([slot, time_ns]: [u64; 2]) -> Self {
        let [slot, reserved] = halves(slot);
        Self {
            slot,
            reserved,
            time_ns,
        }
    }
}

/// What one CPU counted for one slot. Written by that CPU alone, read by user space through a
/// memory map: an aligned 64-bit counter is read whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    /// Connections scheduled by this CPU in this life of the destination.
    pub connections: u64,
    /// `bpf_ktime_get_ns` of the last record about it.
    pub recorded_ns: u64,
}

/// What happened on one CPU, for reconciliation: each way out of the program has its counter.
/// Written by that CPU alone, read by user space through a memory map.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Connections counted into a [`Cell`].
    pub counted: u64,
    /// Connections that found no free slot: seen, not counted to any destination.
    pub no_slot: u64,
    /// `ip_vs_conn_new` calls that the kernel does not count either: persistence templates,
    /// synchronised connections, FTP data, cache bypass.
    pub skipped: u64,
    /// Calls in another network namespace.
    pub foreign: u64,
    /// Records put into the ring buffer.
    pub submitted: u64,
    /// [`Kind::COUNTED`] records that the full ring buffer refused. Their connections stay counted.
    pub lost: u64,
    /// [`Kind::RETIRED`] and [`Kind::ZEROED`] records that the full ring buffer refused.
    pub lost_changes: u64,
    /// [`Fill`]s that the full buffer refused: a destination that stays unlearned until the next
    /// dump.
    pub lost_fills: u64,
}

impl Tally {
    /// As it lies in memory.
    #[must_use]
    pub const fn from_words(words: [u64; 8]) -> Self {
        let [
            counted,
            no_slot,
            skipped,
            foreign,
            submitted,
            lost,
            lost_changes,
            lost_fills,
        ] = words;
        Self {
            counted,
            no_slot,
            skipped,
            foreign,
            submitted,
            lost,
            lost_changes,
            lost_fills,
        }
    }

    /// The sum, counter by counter.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            counted: self.counted + other.counted,
            no_slot: self.no_slot + other.no_slot,
            skipped: self.skipped + other.skipped,
            foreign: self.foreign + other.foreign,
            submitted: self.submitted + other.submitted,
            lost: self.lost + other.lost,
            lost_changes: self.lost_changes + other.lost_changes,
            lost_fills: self.lost_fills + other.lost_fills,
        }
    }
}

/// What a [`Record`] tells. Integers, not an enum: they cross the boundary.
pub struct Kind;

impl Kind {
    /// A destination was scheduled to; `connections` is this CPU's cumulative count.
    pub const COUNTED: u32 = 1;
    /// A destination was deleted, or its memory begins a new life: the slot counts no more.
    pub const RETIRED: u32 = 2;
    /// `ip_vs_zero_estimator` ran; `object` is the address of the zeroed statistics.
    pub const ZEROED: u32 = 3;
}

/// One message in the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// One of [`Kind`].
    pub kind: u32,
    /// The object's slot.
    pub slot: Slot,
    /// Its address, or that of its statistics.
    pub object: u64,
}

impl Record {
    /// As it lies in memory.
    #[must_use]
    pub const fn from_words([kind_and_slot, object]: [u64; 2]) -> Self {
        let [kind, slot] = halves(kind_and_slot);
        Self { kind, slot, object }
    }
}

/// The kernel begins to write this service or destination into our netlink dump.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Address of the object.
    pub object: u64,
    /// Its slot, [`NO_SLOT`] when none was free.
    pub slot: Slot,
    /// 1 when the layout is known and all that follows was read: what the message is to say too.
    pub read: u32,
    /// The estimator's counters less those at the last zeroing.
    pub shown: [u64; COUNTERS],
    /// Of a destination.
    pub state: State,
    /// One of [`ObjectKind`].
    pub kind: u32,
}

impl Fill {
    /// As it lies in memory.
    #[must_use]
    pub const fn from_words(words: [u64; 10]) -> Self {
        let [
            object,
            slot_and_read,
            a,
            b,
            c,
            d,
            e,
            state_1,
            state_2,
            state_3,
        ] = words;
        let [slot, read] = halves(slot_and_read);
        let [flags, kind] = halves(state_3);
        Self {
            object,
            slot,
            read,
            shown: [a, b, c, d, e],
            state: State::from_words(state_1, state_2, flags),
            kind,
        }
    }
}

/// What a destination's memory says besides its counters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Active connections.
    pub active: u32,
    /// What [`Layout::inactive`] points at.
    pub inactive: u32,
    /// Persistence templates.
    pub persistent: u32,
    /// Weight.
    pub weight: u32,
    /// `IP_VS_DEST_F_*`.
    pub flags: u32,
}

impl State {
    /// As it lies in memory.
    const fn from_words(first: u64, second: u64, flags: u32) -> Self {
        let [active, inactive] = halves(first);
        let [persistent, weight] = halves(second);
        Self {
            active,
            inactive,
            persistent,
            weight,
            flags,
        }
    }

    /// Of no destination.
    pub const NONE: Self = Self {
        active: 0,
        inactive: 0,
        persistent: 0,
        weight: 0,
        flags: 0,
    };
}

/// Where the statistics of a kind of object are, seen when the kernel copied them into our dump.
/// One entry.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Discovery {
    /// The object that is being written into our dump.
    pub object: u64,
    /// One of [`ObjectKind`].
    pub kind: u32,
    /// `ip_vs_dest.stats`, 0 until seen.
    pub destination_stats: u32,
    /// `ip_vs_service.stats`, 0 until seen.
    pub service_stats: u32,
    /// Always 0.
    pub reserved: u32,
}

/// In [`Fill::slot`]: the destination has no slot.
pub const NO_SLOT: Slot = Slot::MAX;

/// What is known of the kernel before the programs are loaded: byte offsets from the BTF of its
/// image, and its CPUs. Constants for the verifier, which has to follow every loop.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Constants {
    /// `task_struct.nsproxy`.
    pub task_nsproxy: u32,
    /// `nsproxy.net_ns`.
    pub nsproxy_net: u32,
    /// `net.ipvs`.
    pub net_ipvs: u32,
    /// Possible CPUs.
    pub cpus: u32,
}

/// What a slot's object is.
pub struct ObjectKind;

impl ObjectKind {
    /// None: the slot is free.
    pub const NONE: u32 = 0;
    /// A `struct ip_vs_dest`.
    pub const DESTINATION: u32 = 1;
    /// A `struct ip_vs_service`.
    pub const SERVICE: u32 = 2;
}

/// The kernel object behind a slot, as long as it lives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Object {
    /// Its address, 0 when the slot is free.
    pub address: u64,
    /// One of [`ObjectKind`].
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
}

/// How many counters IPVS keeps per CPU and object: connections, packets in and out, bytes in and
/// out (`struct ip_vs_counters`, include/net/ip_vs.h).
pub const COUNTERS: usize = 5;

/// Byte offsets within IPVS's own structures. They changed within stable series, so they are never
/// taken from a table of versions. One entry, written by user space.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    /// Address of the kernel's `__per_cpu_offset`; 0 as long as nothing of this is known.
    pub per_cpu_offset: u64,
    /// `ip_vs_dest.stats`.
    pub destination_stats: u32,
    /// `ip_vs_service.stats`.
    pub service_stats: u32,
    /// `ip_vs_stats.cpustats`, the address of the per-CPU counters.
    pub stats_per_cpu: u32,
    /// `ip_vs_stats.kstats`, the estimator's copy.
    pub stats_estimated: u32,
    /// `ip_vs_stats.kstats0`, the counters when they were last zeroed.
    pub stats_zero: u32,
    /// `ip_vs_dest.activeconns`.
    pub active: u32,
    /// `ip_vs_dest.inactconns`, or `totalconns` where that took its place.
    pub inactive: u32,
    /// `ip_vs_dest.persistconns`.
    pub persistent: u32,
    /// `ip_vs_dest.weight`.
    pub weight: u32,
    /// `ip_vs_dest.flags`.
    pub flags: u32,
}

/// What one run of the `read_live` program read of one object.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The sum over CPUs of each counter, never zeroed.
    pub counted: [u64; COUNTERS],
    /// What the estimator last copied of that.
    pub estimated: [u64; COUNTERS],
    /// What it was when the object was last zeroed.
    pub zero: [u64; COUNTERS],
    /// The object's address: which life this is about.
    pub address: u64,
    /// Of a destination.
    pub state: State,
    /// How many of the object's reads the kernel refused.
    pub refused: u32,
    /// The run that read it, as user space numbered it: a reading of an earlier run is not one of now.
    pub run: u64,
}

impl Reading {
    /// As it lies in memory.
    #[must_use]
    pub fn from_words(words: [u64; 20]) -> Self {
        let counters = |first: usize| core::array::from_fn(|index| words[first + index]);
        let [flags, refused] = halves(words[18]);
        Self {
            counted: counters(0),
            estimated: counters(COUNTERS),
            zero: counters(2 * COUNTERS),
            address: words[15],
            state: State::from_words(words[16], words[17], flags),
            refused,
            run: words[19],
        }
    }
}

/// The two halves of a word of memory, the first one first.
#[must_use]
pub const fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ]
}

/// What the program says of the process that ran it on demand.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Whoami {
    /// Address of `struct netns_ipvs` in the caller's network namespace; 0 when IPVS is not there.
    pub netns_ipvs: u64,
    /// The caller's process in the initial pid namespace.
    pub process: u32,
    /// Always 0.
    pub reserved: u32,
}

const _: () = {
    assert!(size_of::<Target>() == 32);
    assert!(size_of::<Arrival>() == 16);
    assert!(size_of::<Cell>() == 16);
    assert!(size_of::<Tally>() == 64);
    assert!(size_of::<Record>() == 16);
    assert!(size_of::<Fill>() == 80);
    assert!(size_of::<State>() == 20);
    assert!(size_of::<Discovery>() == 24);
    assert!(size_of::<Constants>() == 16);
    assert!(size_of::<Whoami>() == 16);
    assert!(size_of::<Object>() == 16);
    assert!(size_of::<Layout>() == 48);
    assert!(size_of::<Reading>() == 160);
};

#[cfg(feature = "user")]
mod user {
    // SAFETY: each type is `repr(C)`, `Copy`, without padding (asserted above), and any bytes are a
    // valid value of its integer fields.
    unsafe impl aya::Pod for super::Target {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Cell {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Tally {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Constants {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Whoami {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Layout {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Discovery {}
}
