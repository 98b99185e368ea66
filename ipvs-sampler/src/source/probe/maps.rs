//! The arrays that both sides see through memory.

use ipvs_sampler_common::{Cell, Slot, Tally};

use super::mapped::Mapped;

/// See the module.
pub(super) struct Maps {
    pub(super) cpus: usize,
    pub(super) slots: u32,
    pub(super) target: Mapped,
    pub(super) cells: Mapped,
    pub(super) tallies: Mapped,
    pub(super) muted: Mapped,
    pub(super) objects: Mapped,
    /// When the last dump of services was seen, by whomever it was made.
    pub(super) dump_seen: Mapped,
}

pub(super) const CELL_WORDS: usize = size_of::<Cell>() / size_of::<u64>();
/// An address, and a kind.
pub(super) const OBJECT_WORDS: usize = 2;
pub(super) const TALLY_WORDS: usize = size_of::<Tally>() / size_of::<u64>();

impl Maps {
    /// Connections of one slot.
    pub(super) fn connections(&self, slot: Slot) -> u64 {
        (0..self.cpus)
            .map(|cpu| self.cells.get(self.cell(cpu, slot)))
            .sum()
    }

    /// The address of the object in a slot, 0 when it has none.
    pub(super) fn address(&self, slot: Slot) -> u64 {
        self.objects.get(slot as usize * OBJECT_WORDS)
    }

    /// Index of the word `connections` of a CPU's cell for `slot`; `recorded_ns` follows it.
    pub(super) fn cell(&self, cpu: usize, slot: Slot) -> usize {
        (cpu * self.slots as usize + slot as usize) * CELL_WORDS
    }
}
