//! The log of arrivals, seen through memory: the moment of each connection, CPU by CPU.

use aya::Ebpf;
use ipvs_sampler_common::Arrival;

use super::{map::mapped, mapped::Mapped, maps::TALLY_WORDS};
use crate::source::feed::Unavailable;

/// Each CPU's log and how far it was fetched.
pub(super) struct ArrivalLog {
    entries: Mapped,
    /// Entries of one CPU: a power of two, or 0 when no log is kept.
    length: u32,
    /// By CPU, how many connections it had counted when it was fetched last.
    fetched: Vec<u64>,
}

const ENTRY_WORDS: usize = size_of::<Arrival>() / size_of::<u64>();

impl ArrivalLog {
    pub(super) fn new(ebpf: &Ebpf, cpus: usize, length: u32) -> Result<Self, Unavailable> {
        let entries = cpus * length.max(1) as usize;
        Ok(Self {
            entries: mapped::<Arrival>(ebpf, "ARRIVALS", entries)?,
            length,
            fetched: vec![0; cpus],
        })
    }

    /// Appends what is new; how many entries were overwritten before they could be fetched.
    ///
    /// `counted` of a CPU's tally is read before its entries, and again after them: what the CPU may
    /// have overwritten meanwhile is given up.
    pub(super) fn fetch(&mut self, tallies: &Mapped, arrivals: &mut Vec<Arrival>) -> u64 {
        if self.length == 0 {
            return 0;
        }
        let length = u64::from(self.length);
        let mut overwritten = 0;
        for (cpu, fetched) in self.fetched.iter_mut().enumerate() {
            // `Tally::counted` is its first word.
            let counted = || tallies.get(cpu * TALLY_WORDS);
            let end = counted();
            let first = (*fetched).max(end.saturating_sub(length));
            let begin = arrivals.len();
            for number in first..end {
                let at = cpu as u64 * length + number % length;
                arrivals.push(entry(&self.entries, at as usize));
            }
            // The entry of the number `counted` is being written now.
            let safe = (counted() + 1).saturating_sub(length).clamp(first, end);
            let torn = (safe - first) as usize;
            arrivals.drain(begin..begin + torn);
            overwritten += safe - *fetched;
            *fetched = end;
        }
        overwritten
    }
}

fn entry(entries: &Mapped, at: usize) -> Arrival {
    let first = at * ENTRY_WORDS;
    Arrival::from_words([entries.get(first), entries.get(first + 1)])
}
