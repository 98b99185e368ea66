//! The events source: what the eBPF programs count, and which destination each count belongs to.

mod arrivals;
mod btf;
mod learner;
mod live;
mod load;
mod mapped;
mod reason;
mod records;
mod refusal;
mod room;
#[doc(hidden)]
pub mod synthetic;
mod unavailable;

use aya::{
    Ebpf,
    maps::{MapData, RingBuf, Stack},
};
use aya_log::EbpfLogger;
use ipvs_sampler_common::{Arrival, COUNTERS, Cell, Kind, Reading, Slot, Tally};

pub use learner::Learner;
pub use reason::Reason;
pub use refusal::cause_of;
use refusal::scrub;
pub use room::Room;
pub use unavailable::{Cause, Unavailable};

use super::kernel::LEAST_DESTINATION_SIZE;
use crate::model::{DumpCheck, Snapshot, check_complete, check_readings, slots_end};
use arrivals::ArrivalLog;
use live::Live;
use mapped::Mapped;
use records::decode_record;

/// So often live readings may differ from a dump before they are held to be wrong. On a busy director with
/// few destinations a connection comes in between in a few dumps of a hundred.
pub const CHECKS: u32 = 6;

/// So many dumps in a row have to be unseen before a probe is held to be blind: other programs may have kept
/// ours from running for a moment.
pub const LOOKS: u32 = 3;

/// How the probe is to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Shortest time between two records of one (CPU, destination), in ns.
    pub resolution_ns: u64,
    /// Size of the ring buffer of records; rounded up to a power of two pages.
    pub ring_bytes: u32,
    /// How many services and destinations it can tell apart at once.
    pub room: Room,
    /// Connections whose moments each CPU keeps until they are fetched: a power of two, or 0 for none.
    pub arrivals: u32,
    /// Level of the programs' own messages, none when they are to be silent.
    pub log: Option<log::Level>,
}

/// The loaded and attached programs. Dropping it detaches them.
pub struct Probe {
    records: RingBuf<MapData>,
    fills: RingBuf<MapData>,
    free_slots: Stack<MapData, Slot>,
    target: Mapped,
    /// Ours, in the initial pid namespace.
    process: u32,
    cells: Mapped,
    tallies: Mapped,
    muted: Mapped,
    arrivals: ArrivalLog,
    cpus: usize,
    slots: u32,
    /// Kernel address of the destination in each slot, 0 until learned.
    objects: Vec<u64>,
    /// The last dump's [`Fill`](ipvs_sampler_common::Fill)s, chunk by chunk.
    learner: learner::Chunks,
    /// When the last dump of services was seen, by whomever it was made.
    dump_seen: Mapped,
    /// The same, before our last dump.
    seen_before: u64,
    /// That dump against the objects' memory.
    check: DumpCheck,
    /// Records taken from the ring buffer.
    received: u64,
    /// What reads live counters, or why nothing does.
    live: Result<Live, Unavailable>,
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Keeps the programs attached.
    ebpf: Ebpf,
}

/// What the records of one drain said. Reused from tick to tick.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Slots that counted; a slot can be here more than once.
    pub active: Vec<Slot>,
    /// Slots whose destination was deleted.
    pub retired: Vec<Slot>,
    /// Slots whose destination was zeroed.
    pub zeroed: Vec<Slot>,
    /// How often anything was zeroed, also what has no slot.
    pub zeroings: u64,
    /// Addresses of zeroed statistics, until they are matched to slots.
    zeroed_statistics: Vec<u64>,
    /// Scratch for that match: (address, slot) by address.
    by_address: Vec<(u64, Slot)>,
}

impl Changes {
    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.active.clear();
        self.retired.clear();
        self.zeroed.clear();
        self.zeroings = 0;
        self.zeroed_statistics.clear();
    }
}

impl Probe {
    /// Loads the programs, attaches them and begins to count. Where memory is short, the probe has less
    /// room than wanted.
    ///
    /// # Errors
    /// With the cause and the fix when this kernel or these privileges do not allow it.
    pub fn start(options: &Options) -> Result<Self, Unavailable> {
        let mut smaller = *options;
        loop {
            match load::start(&smaller) {
                Err(unavailable) if unavailable.reason.is_about_memory() => {
                    // A limit on the cgroup was looked at before anything was loaded.
                    let next = smaller.room.smaller();
                    smaller.room = next
                        .filter(|_| unavailable.reason != Reason::CgroupMemory)
                        .ok_or(unavailable)?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Takes everything that the ring buffer holds and adds it to `changes`.
    pub fn drain(&mut self, changes: &mut Changes) {
        while let Some(item) = self.records.next() {
            let Some(record) = decode_record(&item) else {
                continue;
            };
            self.received += 1;
            match record.kind {
                Kind::COUNTED => changes.active.push(record.slot),
                Kind::RETIRED => {
                    // Its address may be another's by now.
                    if let Some(object) = self.objects.get_mut(record.slot as usize) {
                        *object = 0;
                    }
                    changes.retired.push(record.slot);
                }
                Kind::ZEROED => {
                    changes.zeroings += 1;
                    changes.zeroed_statistics.push(record.object);
                }
                _ => {}
            }
        }
        if !changes.zeroed_statistics.is_empty() {
            self.match_zeroed(changes);
        }
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Statistics lie inside their destination, so the slot is that of the nearest destination
    /// below. Statistics of services, and of other network namespaces, match none.
    fn match_zeroed(&self, changes: &mut Changes) {
        let Changes {
            zeroed,
            zeroed_statistics,
            by_address,
            ..
        } = changes;
        by_address.clear();
        by_address.extend(
            self.objects
                .iter()
                .zip(0..)
                .filter(|(address, _)| **address != 0)
                .map(|(a, s)| (*a, s)),
        );
        by_address.sort_unstable();
        for address in zeroed_statistics.drain(..) {
            let above = by_address.partition_point(|(destination, _)| *destination <= address);
            if let Some((destination, slot)) = above.checked_sub(1).map(|at| by_address[at])
                && address - destination < LEAST_DESTINATION_SIZE
            {
                zeroed.push(slot);
            }
        }
    }

    /// Connections that all CPUs have counted for a slot, exact at this moment.
    #[must_use]
    pub fn connections(&self, slot: Slot) -> u64 {
        (0..self.cpus)
            .map(|cpu| self.cells.get(self.cell(cpu, slot)))
            .sum()
    }

    /// The programs' own counters, summed over CPUs.
    #[must_use]
    pub fn tally(&self) -> Tally {
        const WORDS: usize = size_of::<Tally>() / size_of::<u64>();
        let mut sums = [0_u64; WORDS];
        for cpu in 0..self.cpus {
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum += self.tallies.get(cpu * WORDS + index);
            }
        }
        let [
            counted,
            no_slot,
            skipped,
            foreign,
            submitted,
            lost,
            lost_changes,
            lost_fills,
        ] = sums;
        Tally {
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

    /// Fetches the moments of the connections that were counted since the last time, in no order.
    /// Returns how many of them had been overwritten before.
    pub fn fetch_arrivals(&mut self, arrivals: &mut Vec<Arrival>) -> u64 {
        self.arrivals.fetch(&self.tallies, arrivals)
    }

    /// Why nothing can be read live now; `None` when it can.
    #[must_use]
    pub fn not_live(&self) -> Option<Unavailable> {
        match &self.live {
            Ok(live) => live.to_confirm().then(|| Reason::Unconfirmed.into()),
            Err(unavailable) => Some(unavailable.clone()),
        }
    }

    /// To be called after a dump: whether it has confirmed what was missing for reading live. Then
    /// another dump is due, to hold readings against.
    pub fn confirm(&mut self) -> bool {
        let Ok(live) = &mut self.live else {
            return false;
        };
        match live.confirm(&mut self.ebpf) {
            Ok(confirmed) => confirmed,
            Err(unavailable) => {
                self.live = Err(unavailable);
                false
            }
        }
    }

    /// Whether the programs saw the last dump, of so many destinations. They are there only when they are
    /// seen to work: the kernel attaches them also where it does not run them.
    ///
    /// # Errors
    /// When they did not.
    pub fn check_sight(&self, destinations: usize) -> Result<(), Reason> {
        if self.dump_seen.get(0) == self.seen_before {
            return Err(Reason::NotFiring);
        }
        if destinations > 0 && self.learner.destinations() == 0 {
            return Err(Reason::DumpUnseen);
        }
        Ok(())
    }

    /// Reads everything live, and holds it against the dump just made, against the memory of each object
    /// at the moment of that dump, and against `totals` of the network namespace, which are read after.
    ///
    /// # Errors
    /// When nothing can be read, which ends reading live; or what does not fit, which may be a change that
    /// came between the two.
    pub fn check_live(
        &mut self,
        snapshot: &Snapshot,
        totals: impl FnOnce() -> Option<[u64; COUNTERS]>,
    ) -> Result<(), Unavailable> {
        self.read_live(slots_end(snapshot))?;
        let totals = totals();
        self.check
            .verdict()
            .and_then(|()| check_complete(snapshot, |slot| self.left_out(slot)))
            .and_then(|()| check_readings(snapshot, totals.as_ref(), |slot| self.reading(slot)))
            .map_err(|mismatch| Unavailable::mismatch(&mismatch))
    }

    /// Stops reading live, for a reason found elsewhere.
    pub fn end_live(&mut self, reason: Unavailable) {
        self.live = Err(reason);
    }

    /// Reads the counters of all known objects in slots below `end`, at this instant.
    ///
    /// # Errors
    /// Why nothing could be read; from then on nothing is.
    pub fn read_live(&mut self, end: Slot) -> Result<(), Unavailable> {
        let outcome = match &mut self.live {
            Ok(live) => live.read(&mut self.ebpf, end),
            Err(unavailable) => Err(unavailable.clone()),
        };
        if let Err(unavailable) = &outcome {
            self.live = Err(unavailable.clone());
        }
        outcome
    }

    /// What the last [`Probe::read_live`] read of a slot; `None` when its object is gone.
    #[must_use]
    pub fn reading(&self, slot: Slot) -> Option<Reading> {
        self.live.as_ref().ok()?.reading(slot)
    }

    /// Whether a slot has an object that should have been read by [`Probe::read_live`], and was not.
    fn left_out(&self, slot: Slot) -> bool {
        let muted = self.muted.get(slot as usize) != 0;
        !muted && self.live.as_ref().is_ok_and(|live| live.left_out(slot))
    }

    /// Whether nobody asks for the object in a slot: then it is counted, but neither told of nor read live.
    /// Returns whether that is new.
    pub fn mute(&mut self, slot: Slot, muted: bool) -> bool {
        if (self.muted.get(slot as usize) != 0) == muted {
            return false;
        }
        self.muted.set(slot as usize, u64::from(muted));
        true
    }

    /// Sets the shortest time between two records of one (CPU, destination), in ns.
    pub fn set_resolution(&mut self, resolution_ns: u64) {
        self.target.set(1, resolution_ns);
    }

    /// Whether what the running probe does from time to time is permitted: the system calls for its
    /// maps and for reading live.
    pub fn works(&mut self) -> bool {
        let maps = match self.free_slots.pop(0) {
            Ok(slot) => self.free_slots.push(slot, 0).is_ok(),
            Err(aya::maps::MapError::ElementNotFound) => true,
            Err(_) => false,
        };
        let live = match &mut self.live {
            Ok(live) => live.read(&mut self.ebpf, 1).is_ok(),
            Err(_) => true,
        };
        maps && live
    }

    /// Records taken from the ring buffer so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Makes a retired slot free again, its counts at zero. To be called only when no CPU can still
    /// be counting into it: an interval after its last record, where a probe takes microseconds.
    pub fn recycle(&mut self, slot: Slot) {
        for cpu in 0..self.cpus {
            let word = self.cell(cpu, slot);
            self.cells.set(word, 0);
            self.cells.set(word + 1, 0);
        }
        self.muted.set(slot as usize, 0);
        if let Some(object) = self.objects.get_mut(slot as usize) {
            *object = 0;
        }
        if let Err(error) = self.free_slots.push(slot, 0) {
            log::warn!("cannot reuse slot {slot}: {error}");
        }
    }

    /// The witness for one netlink dump: gives each destination of it its slot.
    pub fn learner(&mut self) -> Learner<'_> {
        self.check.clear();
        self.seen_before = self.dump_seen.get(0);
        let Self {
            fills,
            learner,
            objects,
            check,
            live,
            target,
            process,
            slots,
            ..
        } = self;
        let attention = Attention::begin(target, *process, *slots);
        Learner::new(
            fills,
            learner,
            objects,
            check,
            live.as_ref().ok(),
            attention,
        )
    }

    /// Index of the word `connections` of a CPU's cell for `slot`; `recorded_ns` follows it.
    fn cell(&self, cpu: usize, slot: Slot) -> usize {
        const WORDS: usize = size_of::<Cell>() / size_of::<u64>();
        (cpu * self.slots as usize + slot as usize) * WORDS
    }
}

/// As long as it lives, the programs take what our process dumps for a dump of what is watched.
/// Several probes may watch several network namespaces in turn.
pub(super) struct Attention<'a> {
    target: &'a Mapped,
    slots: u32,
}

impl<'a> Attention<'a> {
    fn begin(target: &'a Mapped, process: u32, slots: u32) -> Self {
        let attention = Self { target, slots };
        attention.set(process);
        attention
    }

    /// [`Target::process`](ipvs_sampler_common::Target), which shares its word with `slots`.
    fn set(&self, process: u32) {
        let [a, b, c, d] = process.to_ne_bytes();
        let [e, f, g, h] = self.slots.to_ne_bytes();
        self.target
            .set(2, u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Drop for Attention<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}
