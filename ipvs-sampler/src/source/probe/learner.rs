//! Gives the services and destinations of a dump their slots: the kernel writes them in one order,
//! and the probes on `ip_vs_genl_fill_service` and `ip_vs_genl_fill_dest` see their addresses in that
//! same order.

use aya::maps::{MapData, RingBuf};
use ipvs_sampler_common::{Fill, ObjectKind, Slot};

use super::{Attention, live::Live, records::decode_fill};
use crate::{
    model::{Destination, DumpCheck, Service},
    source::netlink::Witness,
};

/// The fills of a dump, split where the kernel's chunks (one datagram each) begin. Reused.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
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

    /// How many destinations were seen to be written, some of them perhaps twice.
    pub(super) fn destinations(&self) -> usize {
        self.fills
            .iter()
            .filter(|fill| fill.kind == ObjectKind::DESTINATION)
            .count()
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
    ring: &'a mut RingBuf<MapData>,
    chunks: &'a mut Chunks,
    objects: &'a mut [u64],
    check: &'a mut DumpCheck,
    live: Option<&'a Live>,
    _attention: Attention<'a>,
}

impl<'a> Learner<'a> {
    pub(super) fn new(
        ring: &'a mut RingBuf<MapData>,
        chunks: &'a mut Chunks,
        objects: &'a mut [u64],
        check: &'a mut DumpCheck,
        live: Option<&'a Live>,
        attention: Attention<'a>,
    ) -> Self {
        Self {
            ring,
            chunks,
            objects,
            check,
            live,
            _attention: attention,
        }
    }
}

impl Witness for Learner<'_> {
    fn began(&mut self) {
        while self.ring.next().is_some() {}
        self.chunks.clear();
    }

    fn filled(&mut self) {
        while let Some(item) = self.ring.next() {
            self.chunks.fills.extend(decode_fill(&item));
        }
        self.chunks.end();
    }

    fn received_services(&mut self, services: &mut [Service]) {
        self.filled();
        let Some(fills) = self.chunks.next(services.len()) else {
            return;
        };
        for (service, fill) in services.iter_mut().zip(fills) {
            service.slot = learn(self.objects, fill);
            if fill.read != 0 {
                self.check.add_counters(&fill.shown, &service.stats);
            }
        }
    }

    fn received(&mut self, destinations: &mut [Destination]) {
        // The call that returned these has already filled the next chunk.
        self.filled();
        let Some(fills) = self.chunks.next(destinations.len()) else {
            return;
        };
        for (destination, fill) in destinations.iter_mut().zip(fills) {
            destination.slot = learn(self.objects, fill);
            if let Some(live) = self.live.filter(|_| fill.read != 0) {
                self.check.add_counters(&fill.shown, &destination.stats);
                self.check.add_state(&live.state(fill.state), destination);
            }
        }
    }
}

/// The slot of what was filled.
fn learn(objects: &mut [u64], fill: &Fill) -> Option<Slot> {
    let object = objects.get_mut(fill.slot as usize)?;
    *object = fill.object;
    Some(fill.slot)
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
