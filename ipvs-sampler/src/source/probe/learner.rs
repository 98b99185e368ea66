//! Gives the services and destinations of a dump their slots: the kernel writes them in one order,
//! and the probes on `ip_vs_genl_fill_service` and `ip_vs_genl_fill_dest` see their addresses in that
//! same order.

use aya::maps::{MapData, RingBuf};
use ipvs_sampler_common::{Fill, NO_SLOT, Slot};

use super::{attention::Attention, live::LiveReader, maps::Maps, records::words};
use crate::{
    model::{Destination, DumpCheck, Service},
    source::netlink::Witness,
};

/// What is learned from one dump after the other.
pub(super) struct Lesson {
    ring: RingBuf<MapData>,
    /// Our process, in the initial pid namespace.
    process: u32,
    /// The last dump's fills.
    chunks: Chunks,
    /// That dump against the objects' memory.
    pub(super) check: DumpCheck,
    /// When a dump of services had last been seen before.
    pub(super) seen_before: u64,
}

impl Lesson {
    pub(super) fn new(ring: RingBuf<MapData>, process: u32) -> Self {
        Self {
            ring,
            process,
            chunks: Chunks::default(),
            check: DumpCheck::default(),
            seen_before: 0,
        }
    }

    /// Whether any object of a kind was seen to be written into the last dump.
    pub(super) fn saw(&self, kind: u32) -> bool {
        self.chunks.fills.iter().any(|fill| fill.kind == kind)
    }
}

/// The fills of a dump, split where the kernel's chunks (one datagram each) begin. Reused.
#[derive(Clone, Debug, Default)]
struct Chunks {
    fills: Vec<Fill>,
    /// End of each chunk in `fills`.
    ends: Vec<usize>,
    /// Chunks already matched.
    matched: usize,
}

impl Chunks {
    fn clear(&mut self) {
        self.fills.clear();
        self.ends.clear();
        self.matched = 0;
    }

    /// Ends a chunk, when anything was added since the last one.
    fn end(&mut self) {
        if self.fills.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.fills.len());
        }
    }

    /// The fills that belong to a datagram with `messages` destinations; `None` when a fill was
    /// lost, for then none of the chunk can be trusted. The chunk after it is here already.
    ///
    /// The kernel ends a chunk with a destination that did not fit, and begins the next one with
    /// it (`ip_vs_genl_dump_dests`, net/netfilter/ipvs/ip_vs_ctl.c). So one fill more than messages
    /// is right when the next chunk repeats it. As many as messages is right when it does not: the
    /// dump ended there, or not even the message's header fitted.
    fn next(&mut self, messages: usize) -> Option<&[Fill]> {
        if messages == 0 {
            return None;
        }
        let begin = self
            .matched
            .checked_sub(1)
            .map_or(0, |last| self.ends[last]);
        let end = *self.ends.get(self.matched)?;
        self.matched += 1;
        let fills = &self.fills[begin..end];
        // The same object: what its memory said may be another thing by then.
        let who = |fill: &Fill| (fill.object, fill.slot);
        let repeated = fills.last().map(who) == self.fills.get(end).map(who);
        let surplus = usize::from(repeated);
        (fills.len() == messages + surplus).then(|| &fills[..messages])
    }
}

/// The witness of one dump.
pub struct Learner<'a> {
    lesson: &'a mut Lesson,
    slots: u32,
    live: Option<&'a LiveReader>,
    _attention: Attention<'a>,
}

impl<'a> Learner<'a> {
    pub(super) fn new(
        lesson: &'a mut Lesson,
        maps: &'a Maps,
        live: Option<&'a LiveReader>,
    ) -> Self {
        lesson.check.clear();
        lesson.seen_before = maps.dump_seen.get(0);
        Self {
            _attention: Attention::begin(&maps.target, lesson.process, maps.slots),
            lesson,
            slots: maps.slots,
            live,
        }
    }
}

impl Witness for Learner<'_> {
    fn began(&mut self) {
        while self.lesson.ring.next().is_some() {}
        self.lesson.chunks.clear();
    }

    fn filled(&mut self) {
        let Lesson { ring, chunks, .. } = &mut *self.lesson;
        while let Some(item) = ring.next() {
            chunks.fills.extend(words(&item).map(Fill::from_words));
        }
        chunks.end();
    }

    fn received_services(&mut self, services: &mut [Service]) {
        self.filled();
        let Lesson { chunks, check, .. } = &mut *self.lesson;
        let Some(fills) = chunks.next(services.len()) else {
            return;
        };
        for (service, fill) in services.iter_mut().zip(fills) {
            service.slot = slot(fill, self.slots);
            if fill.read != 0 {
                check.add_counters(&fill.shown, &service.stats);
            }
        }
    }

    fn received(&mut self, destinations: &mut [Destination]) {
        // The call that returned these has already filled the next chunk.
        self.filled();
        let Lesson { chunks, check, .. } = &mut *self.lesson;
        let Some(fills) = chunks.next(destinations.len()) else {
            return;
        };
        for (destination, fill) in destinations.iter_mut().zip(fills) {
            destination.slot = slot(fill, self.slots);
            if let Some(live) = self.live.filter(|_| fill.read != 0) {
                check.add_counters(&fill.shown, &destination.stats);
                check.add_state(&live.state(fill.state), destination);
            }
        }
    }
}

/// The slot of what was filled, if it has one.
fn slot(fill: &Fill, slots: u32) -> Option<Slot> {
    (fill.slot != NO_SLOT && fill.slot < slots).then_some(fill.slot)
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Fill;

    use super::Chunks;

    /// Chunks of fills, each of them of the destination with that number.
    fn chunks(numbers: &[&[u32]]) -> Chunks {
        let mut chunks = Chunks::default();
        for chunk in numbers {
            chunks.fills.extend(chunk.iter().map(|&slot| Fill {
                object: 1,
                slot,
                ..Fill::default()
            }));
            chunks.end();
        }
        chunks
    }

    fn slots(fills: Option<&[Fill]>) -> Option<Vec<u32>> {
        fills.map(|fills| fills.iter().map(|fill| fill.slot).collect())
    }

    #[test]
    fn the_destination_that_did_not_fit_belongs_to_the_next_chunk() {
        let mut chunks = chunks(&[&[0, 1, 2], &[2, 3]]);
        assert_eq!(slots(chunks.next(2)), Some(vec![0, 1]));
        assert_eq!(slots(chunks.next(2)), Some(vec![2, 3]));
        assert_eq!(slots(chunks.next(1)), None);
    }

    #[test]
    fn a_repeated_destination_may_have_counted_in_between() {
        let mut chunks = chunks(&[&[0, 1, 2], &[2, 3]]);
        chunks.fills[3].shown[0] += 1;
        chunks.fills[3].state.active += 1;
        assert_eq!(slots(chunks.next(2)), Some(vec![0, 1]));
        assert_eq!(slots(chunks.next(2)), Some(vec![2, 3]));
    }

    #[test]
    fn a_chunk_may_end_because_not_even_a_header_fitted() {
        let mut chunks = chunks(&[&[0, 1], &[2, 3]]);
        assert_eq!(slots(chunks.next(2)), Some(vec![0, 1]));
        assert_eq!(slots(chunks.next(2)), Some(vec![2, 3]));
    }

    #[test]
    fn a_chunk_that_lost_a_fill_is_not_trusted_and_the_next_one_is() {
        // The fill of destination 1 is missing: as many fills as messages, and yet wrong.
        let mut chunks = chunks(&[&[0, 2], &[2, 3]]);
        assert_eq!(slots(chunks.next(2)), None);
        assert_eq!(slots(chunks.next(2)), Some(vec![2, 3]));
    }

    #[test]
    fn a_last_chunk_that_lost_a_fill_is_not_trusted() {
        assert_eq!(slots(chunks(&[&[0, 2]]).next(3)), None);
    }

    #[test]
    fn a_system_call_that_filled_nothing_is_no_chunk() {
        let mut chunks = chunks(&[&[], &[0, 1], &[]]);
        assert_eq!(slots(chunks.next(2)), Some(vec![0, 1]));
        assert_eq!(slots(chunks.next(1)), None);
    }
}
