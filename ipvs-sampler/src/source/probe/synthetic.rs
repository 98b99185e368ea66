//! Services and destinations made up in the memory of a map, read by the same program as IPVS's own:
//! for benchmarks, and for tests with more CPUs than there are. Needs root, and no IPVS.

use aya::Ebpf;
use ipvs_sampler_common::{COUNTERS, Constants, Layout, Object, ObjectKind, Slot};

use super::{
    live::LiveReader, load, map::mapped, mapped::Mapped, maps::OBJECT_WORDS, program, refusal,
};
use crate::{
    model::ReadTable,
    source::feed::{ProbeOrder, Room, Unavailable},
};

const LOCATE: &str = "locate_synthetic";

/// Bytes of one entry of the map.
const ENTRY: usize = 512;
const WORD: usize = size_of::<u64>();
/// What one object takes: as much as a `struct ip_vs_dest` does in the kernel's memory.
const OBJECT: usize = 512;
/// One CPU's counters of one object.
const PER_CPU: usize = COUNTERS * WORD;
const PAGE: usize = 4096;

/// Where things are within an object: in the order of the kernel's structures, and as far apart.
const LAYOUT: Layout = Layout {
    per_cpu_offset: 0,
    destination_stats: 128,
    service_stats: 128,
    stats_per_cpu: 176,
    stats_estimated: 0,
    stats_zero: 192,
    active: 408,
    inactive: 412,
    persistent: 416,
    weight: 60,
    flags: 52,
};

/// Made-up objects and what reads them.
pub struct Table {
    live: LiveReader,
    memory: Mapped,
    objects: Mapped,
    places: Places,
    ebpf: Ebpf,
}

impl Table {
    /// Services in the first slots, destinations in those after, counted on this many CPUs.
    ///
    /// # Errors
    /// When the kernel does not load the programs that read.
    pub fn new(services: u32, destinations: u32, cpus: u32) -> Result<Self, Unavailable> {
        load::embedded()?;
        let objects = services + destinations;
        let places = Places {
            objects: objects as usize,
            cpus: cpus as usize,
        };
        let entries = places.bytes().div_ceil(ENTRY);
        let options = ProbeOrder {
            resolution_ns: 0,
            ring_bytes: 4096,
            room: Room {
                wanted: objects,
                least: objects,
            },
            arrivals: 0,
            log: None,
        };
        let constants = Constants {
            cpus,
            ..Constants::default()
        };
        let room = [("SYNTHETIC", u32::try_from(entries).unwrap_or(u32::MAX))];
        let mut ebpf = load::load_object(&options, objects, &constants, &room)?;
        let base = locate(&mut ebpf)?;
        let memory = mapped::<[u8; ENTRY]>(&ebpf, "SYNTHETIC", entries)?;
        places.fill(&memory, base);
        let known = mapped::<Object>(&ebpf, "OBJECTS", places.objects)?;
        for slot in 0..objects {
            let kind = if slot < services {
                ObjectKind::SERVICE
            } else {
                ObjectKind::DESTINATION
            };
            let word = slot as usize * OBJECT_WORDS;
            known.set(word, base + (slot as usize * OBJECT) as u64);
            known.set(word + 1, u64::from(kind));
        }
        let layout = Layout {
            per_cpu_offset: base + places.offsets() as u64,
            ..LAYOUT
        };
        let live = LiveReader::load(&mut ebpf, layout, places.cpus, objects)?;
        Ok(Self {
            live,
            memory,
            objects: known,
            places,
            ebpf,
        })
    }

    /// Adds to every counter of every object on every CPU, to each another amount.
    pub fn count(&self) {
        for slot in 0..self.places.objects {
            for cpu in 0..self.places.cpus {
                let at = self.places.counters(cpu, slot) / WORD;
                for index in 0..COUNTERS {
                    let more = (1 + slot + cpu) * (1 + index);
                    let before = self.memory.get(at + index);
                    self.memory.set(at + index, before + more as u64);
                }
            }
        }
    }

    /// How many objects there are.
    #[must_use]
    pub fn objects(&self) -> Slot {
        u32::try_from(self.places.objects).unwrap_or(Slot::MAX)
    }

    /// Reads all objects, as a sampler does at each tick.
    ///
    /// # Errors
    /// When the kernel does not run the program.
    pub fn read(&mut self, into: &mut ReadTable) -> Result<(), Unavailable> {
        let end = self.objects();
        self.live.read(&mut self.ebpf, end)?;
        self.live.copy(&self.objects, end, into);
        Ok(())
    }
}

/// The address at which the memory begins.
fn locate(ebpf: &mut Ebpf) -> Result<u64, Unavailable> {
    let locate = program::tracepoint(ebpf, LOCATE)?;
    locate.load().map_err(|error| refusal::load(&error))?;
    program::run(locate, [0; 3])?;
    Ok(mapped::<u64>(ebpf, "PROGRESS", 1)?.get(0))
}

/// Where what lies in the memory, in bytes: objects, the offset of each CPU, and a stretch for each
/// CPU in which it counts.
struct Places {
    objects: usize,
    cpus: usize,
}

impl Places {
    fn offsets(&self) -> usize {
        self.objects * OBJECT
    }

    /// Of one CPU's counters of one object.
    fn counters(&self, cpu: usize, slot: usize) -> usize {
        self.stretch(cpu) + slot * PER_CPU
    }

    fn stretch(&self, cpu: usize) -> usize {
        let first = (self.offsets() + self.cpus * WORD).next_multiple_of(PAGE);
        first + cpu * (self.objects * PER_CPU).next_multiple_of(PAGE)
    }

    fn bytes(&self) -> usize {
        self.stretch(self.cpus)
    }

    fn fill(&self, memory: &Mapped, base: u64) {
        for cpu in 0..self.cpus {
            let stretch = base + self.stretch(cpu) as u64;
            memory.set(self.offsets() / WORD + cpu, stretch);
        }
        for slot in 0..self.objects {
            let per_cpu = LAYOUT.destination_stats + LAYOUT.stats_per_cpu;
            let word = (slot * OBJECT + per_cpu as usize) / WORD;
            // As in the kernel: the same place in each CPU's stretch.
            memory.set(word, (slot * PER_CPU) as u64);
        }
    }
}
