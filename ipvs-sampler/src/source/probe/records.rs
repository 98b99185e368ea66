//! Records of the ring buffers, taken apart: bytes in, words out; and what they say.

use aya::maps::{MapData, RingBuf};
use ipvs_sampler_common::{Kind, Object, Record, Slot};

use super::mapped::Mapped;
use crate::source::{feed::Changes, kernel::LEAST_DESTINATION_SIZE};

/// The ring of records, read to its end at each tick.
pub(super) struct Records {
    ring: RingBuf<MapData>,
    /// Records taken from it so far.
    pub(super) received: u64,
    zeroings: Zeroings,
}

/// Matches zeroed statistics to slots. Reused.
#[derive(Debug, Default)]
struct Zeroings {
    /// Addresses of zeroed statistics.
    statistics: Vec<u64>,
    /// Objects that may have them, with their slots: those that live, and those that a record has just retired.
    objects: Vec<(u64, Slot)>,
}

impl Records {
    pub(super) fn new(ring: RingBuf<MapData>) -> Self {
        Self {
            ring,
            received: 0,
            zeroings: Zeroings::default(),
        }
    }

    /// Adds everything that the ring holds to `changes`. `objects` are those that live.
    pub(super) fn drain(&mut self, objects: &Mapped, changes: &mut Changes) {
        let zeroings = &mut self.zeroings;
        while let Some(item) = self.ring.next() {
            let Some(record) = decode(&item) else {
                continue;
            };
            self.received += 1;
            match record.kind {
                Kind::COUNTED => changes.active.push(record.slot),
                Kind::RETIRED => {
                    changes.retired.push(record.slot);
                    zeroings.objects.push((record.object, record.slot));
                }
                Kind::ZEROED => zeroings.statistics.push(record.object),
                _ => {}
            }
        }
        if !zeroings.statistics.is_empty() {
            zeroings.objects.extend(living(objects));
            zeroings.find(changes);
        }
        zeroings.objects.clear();
    }
}

fn living(objects: &Mapped) -> impl Iterator<Item = (u64, Slot)> {
    const WORDS: usize = size_of::<Object>() / size_of::<u64>();
    (0..)
        .map_while(move |slot: Slot| {
            let word = slot as usize * WORDS;
            (word < objects.len()).then(|| (objects.get(word), slot))
        })
        .filter(|(address, _)| *address != 0)
}

impl Zeroings {
    /// Statistics lie inside their object, so it is the nearest one below. Those of other network namespaces
    /// match none. Where the memory of an object that was deleted has become another's, both match: a
    /// zeroing too many makes a count too low until the next dump, one too few makes it wrong.
    fn find(&mut self, changes: &mut Changes) {
        self.objects.sort_unstable();
        for address in self.statistics.drain(..) {
            let above = self
                .objects
                .partition_point(|(object, _)| *object <= address);
            let nearest = above.checked_sub(1).map(|at| self.objects[at].0);
            let Some(nearest) =
                nearest.filter(|nearest| address - nearest < LEAST_DESTINATION_SIZE)
            else {
                changes.zeroed_elsewhere += 1;
                continue;
            };
            let same = self.objects[..above].iter().rev();
            let same = same.take_while(|(object, _)| *object == nearest);
            changes.zeroed.extend(same.map(|(_, slot)| slot));
        }
    }
}

/// `None` for bytes of another length, which no program of ours writes.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    if bytes.len() != N * size_of::<u64>() {
        return None;
    }
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size_of::<u64>())) {
        let mut eight = [0; size_of::<u64>()];
        eight.copy_from_slice(bytes);
        *word = u64::from_ne_bytes(eight);
    }
    Some(words)
}

fn decode(bytes: &[u8]) -> Option<Record> {
    words(bytes).map(Record::from_words)
}

#[cfg(test)]
mod tests {
    use super::{Changes, Zeroings, words};

    #[test]
    fn statistics_belong_to_the_nearest_object_below_if_it_is_near() {
        let mut zeroings = Zeroings {
            statistics: vec![0x1050, 0x2050, 0x1fff_ffff],
            objects: vec![(0x2000, 2), (0x1000, 1), (0x3000, 3)],
        };
        let mut changes = Changes::default();
        zeroings.find(&mut changes);
        assert_eq!(changes.zeroed, [1, 2]);
        assert_eq!(changes.zeroed_elsewhere, 1);
    }

    #[test]
    fn an_address_that_had_two_lives_zeroes_both() {
        let mut zeroings = Zeroings {
            statistics: vec![0x1050],
            objects: vec![(0x1000, 7), (0x1000, 1)],
        };
        let mut changes = Changes::default();
        zeroings.find(&mut changes);
        changes.zeroed.sort_unstable();
        assert_eq!(changes.zeroed, [1, 7]);
    }

    #[test]
    fn bytes_of_another_length_are_no_record() {
        assert_eq!(words::<1>(&[0; 7]), None);
        assert_eq!(words::<1>(&[0; 16]), None);
        let bytes = [1_u64.to_ne_bytes(), 2_u64.to_ne_bytes()].concat();
        assert_eq!(words(&bytes), Some([1, 2]));
    }
}
