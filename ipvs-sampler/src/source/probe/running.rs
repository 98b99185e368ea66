//! A probe that runs: what it is asked, and what it is told.

use aya::Ebpf;
use aya_log::EbpfLogger;
use ipvs_sampler_common::{Arrival, ObjectKind, Slot, Tally};

use super::{
    arrivals::ArrivalLog,
    learner::{Learner, Lesson},
    live::LiveReader,
    maps::{CELL_WORDS, Maps, OBJECT_WORDS, TALLY_WORDS},
    pool::Pool,
    records::Records,
};
use crate::{
    model::ReadTable,
    source::feed::{Changes, Counted, Dumped, Layout, Slots, Unavailable},
};

/// The loaded and attached programs. Dropping it detaches them.
pub struct Probe {
    pub(super) records: Records,
    pub(super) lesson: Lesson,
    pub(super) pool: Pool,
    pub(super) maps: Maps,
    pub(super) arrivals: ArrivalLog,
    /// What reads live counters, or why nothing does.
    pub(super) live: Result<LiveReader, Unavailable>,
    pub(super) log: Option<EbpfLogger<&'static dyn log::Log>>,
    /// Keeps the programs attached.
    pub(super) ebpf: Ebpf,
}

impl Probe {
    /// Adds everything that the ring buffer holds to `changes`. The programs' own counters after that.
    pub fn drain(&mut self, changes: &mut Changes) -> Counted {
        self.records.drain(&self.maps.objects, changes);
        if let Some(log) = &mut self.log {
            log.flush();
        }
        self.counted()
    }

    /// The programs' own counters, summed over CPUs.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let mut sums = [0_u64; TALLY_WORDS];
        for cpu in 0..self.maps.cpus {
            for (index, sum) in sums.iter_mut().enumerate() {
                *sum += self.maps.tallies.get(cpu * TALLY_WORDS + index);
            }
        }
        Counted {
            tally: Tally::from_words(sums),
            received: self.records.received,
        }
    }

    /// Connections that all CPUs have counted, exact at this moment.
    pub fn connections(&self, of: Slots<'_>, into: &mut Vec<u64>) {
        into.clear();
        match of {
            Slots::Of(slots) => into.extend(slots.iter().map(|&slot| self.maps.connections(slot))),
            Slots::All => {
                into.resize(self.maps.slots as usize, 0);
                // CPU by CPU: memory is read from one end to the other.
                for cpu in 0..self.maps.cpus {
                    let first = self.maps.cell(cpu, 0);
                    for (sum, word) in into.iter_mut().zip((first..).step_by(CELL_WORDS)) {
                        *sum += self.maps.cells.get(word);
                    }
                }
            }
        }
    }

    /// The slots that have an object, in order.
    pub fn objects(&self, into: &mut Vec<Slot>) {
        into.clear();
        into.extend((0..self.maps.slots).filter(|&slot| self.maps.address(slot) != 0));
    }

    /// Fetches the moments of the connections that were counted since the last time, in no order.
    /// Returns how many of them had been overwritten before.
    pub fn fetch_arrivals(&mut self, arrivals: &mut Vec<Arrival>) -> u64 {
        self.arrivals.fetch(&self.maps.tallies, arrivals)
    }

    /// Whether counters can be read live.
    ///
    /// # Errors
    /// Why they cannot.
    pub fn layout(&self) -> Result<Layout, Unavailable> {
        match &self.live {
            Ok(live) if live.to_confirm() => Ok(Layout::ToConfirm),
            Ok(_) => Ok(Layout::Known),
            Err(unavailable) => Err(unavailable.clone()),
        }
    }

    /// To be called after a dump: whether it has confirmed what was missing for reading live.
    ///
    /// # Errors
    /// When it showed something else.
    pub fn confirm(&mut self) -> Result<bool, Unavailable> {
        let Ok(live) = &mut self.live else {
            return Ok(false);
        };
        live.confirm(&mut self.ebpf)
    }

    /// What it saw of the last dump.
    #[must_use]
    pub fn dumped(&self) -> Dumped {
        Dumped {
            family: None,
            seen: self.maps.dump_seen.get(0) != self.lesson.seen_before,
            destinations_seen: self.lesson.saw(ObjectKind::DESTINATION),
            check: self.lesson.check,
        }
    }

    /// Reads the counters of all known objects in slots below `end`, at this instant.
    ///
    /// # Errors
    /// Why nothing could be read.
    pub fn readings(&mut self, end: Slot, into: &mut ReadTable) -> Result<(), Unavailable> {
        let live = self
            .live
            .as_mut()
            .map_err(|unavailable| unavailable.clone())?;
        live.read(&mut self.ebpf, end)?;
        live.copy(&self.maps.objects, end, into);
        Ok(())
    }

    /// Whether no output selects the objects in these slots: then they are counted, but neither told of nor
    /// read live.
    pub fn mute(&self, slots: &[(Slot, bool)]) {
        for &(slot, muted) in slots {
            self.maps.muted.set(slot as usize, u64::from(muted));
        }
    }

    /// Sets the shortest time between two records of one (CPU, destination), in ns.
    pub fn set_resolution(&self, resolution_ns: u64) {
        self.maps.target.set(1, resolution_ns);
    }

    /// Whether what the running probe does from time to time is permitted: the system calls for its
    /// maps and for reading live.
    pub fn is_permitted(&mut self) -> bool {
        let live = match &mut self.live {
            Ok(live) => live.read(&mut self.ebpf, 1).is_ok(),
            Err(_) => true,
        };
        self.pool.is_permitted() && live
    }

    /// How many slots there are.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.maps.slots
    }

    /// Makes retired slots free again, their counts at zero. To be called only when no CPU can still
    /// be counting into them: an interval after their last record, where a probe takes microseconds.
    pub fn free(&mut self, slots: &[Slot]) {
        for &slot in slots {
            for cpu in 0..self.maps.cpus {
                let word = self.maps.cell(cpu, slot);
                self.maps.cells.set(word, 0);
                self.maps.cells.set(word + 1, 0);
            }
            self.maps.muted.set(slot as usize, 0);
            // Where two CPUs met an object at the end of its life, its address may have stayed.
            self.maps.objects.set(slot as usize * OBJECT_WORDS, 0);
            self.pool.free(slot);
        }
    }

    /// Takes what slots were taken for for no object: it is not read any more, and when there is one of that
    /// address, it takes another slot.
    pub fn abandon(&mut self, slots: &[Slot]) {
        for &slot in slots {
            let address = self.maps.address(slot);
            self.maps.objects.set(slot as usize * OBJECT_WORDS, 0);
            if address != 0 {
                self.pool.forget(address, slot);
            }
        }
    }

    /// The witness for one netlink dump: gives each service and destination of it its slot.
    pub fn learner(&mut self) -> Learner<'_> {
        Learner::new(&mut self.lesson, &self.maps, self.live.as_ref().ok())
    }
}
