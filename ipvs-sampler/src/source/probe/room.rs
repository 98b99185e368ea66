//! How much memory a probe takes, and how many services and destinations fit into what there is.

use ipvs_sampler_common::{Arrival, Cell, Object, Reading, Slot, Tally};

use crate::source::{
    cgroup::Headroom,
    feed::{ProbeOrder, Reason, Room, Unavailable},
};

/// What the program itself needs for a moment while it loads a probe: the BTF of the kernel image, read and
/// taken apart, and the verifier's own memory. Measured: at most 20 MB are resident then, of which 5 MB were
/// before (docs/benchmarks.md); and half as much again.
const LOADING: u64 = 24 << 20;

/// The ring of fills, the programs, and maps of one entry.
const FIXED: u64 = 256 << 10;

/// What the kernel keeps for a map entry besides key and value: `struct htab_elem` and at most two buckets
/// (kernel/bpf/hashtab.c).
const HASH_OVERHEAD: u64 = 48 + 32;

impl Room {
    /// The next smaller one to try; `None` when this was the least.
    pub(super) fn smaller(self) -> Option<Self> {
        (self.wanted > self.least).then(|| Self {
            wanted: (self.wanted / 2).max(self.least),
            ..self
        })
    }

    /// As much of it as fits.
    pub(super) fn fit(
        self,
        options: &ProbeOrder,
        cpus: u64,
        headroom: Option<Headroom>,
    ) -> Result<Self, Unavailable> {
        let Some(Headroom { left, limit }) = headroom else {
            return Ok(self);
        };
        let mut room = self;
        loop {
            let needed = LOADING + bytes(options, room.wanted, cpus);
            if needed <= left {
                return Ok(room);
            }
            let Some(smaller) = room.smaller() else {
                let mib = |bytes: u64| bytes.div_ceil(1 << 20);
                return Err(Unavailable::with_detail(
                    Reason::CgroupMemory,
                    &format!(
                        "loading needs {} MiB, and {} of {} MiB are free",
                        mib(needed),
                        left >> 20,
                        mib(limit)
                    ),
                ));
            };
            room = smaller;
        }
    }
}

/// What the maps of a probe with this many slots take, roughly.
fn bytes(options: &ProbeOrder, slots: u32, cpus: u64) -> u64 {
    let size = |bytes: usize| bytes as u64;
    let per_slot = cpus * size(size_of::<Cell>())
        + size(size_of::<Reading>())
        + size(size_of::<Object>())
        + size(size_of::<u64>())
        + 2 * size(size_of::<Slot>())
        + size(size_of::<u64>())
        + HASH_OVERHEAD;
    let per_cpu = size(size_of::<Tally>())
        + size(size_of::<u64>())
        + u64::from(options.arrivals) * size(size_of::<Arrival>());
    FIXED + u64::from(options.ring_bytes) + u64::from(slots) * per_slot + cpus * per_cpu
}

#[cfg(test)]
mod tests {
    use super::{LOADING, bytes};
    use crate::source::{
        cgroup::Headroom,
        feed::{ProbeOrder, Reason, Room},
    };

    const OPTIONS: ProbeOrder = ProbeOrder {
        resolution_ns: 0,
        ring_bytes: 4096,
        room: ROOM,
        arrivals: 0,
        log: None,
    };
    const ROOM: Room = Room {
        wanted: 4096,
        least: 100,
    };

    fn fit(left: u64) -> Result<u32, Reason> {
        let headroom = Headroom {
            left,
            limit: 1 << 30,
        };
        ROOM.fit(&OPTIONS, 2, Some(headroom))
            .map(|room| room.wanted)
            .map_err(|unavailable| unavailable.reason)
    }

    #[test]
    fn where_memory_is_short_the_probe_is_smaller() {
        let all = LOADING + bytes(&OPTIONS, 4096, 2);
        assert_eq!(fit(all), Ok(4096));
        assert_eq!(fit(all - 1), Ok(2048));
        assert_eq!(fit(LOADING + bytes(&OPTIONS, 100, 2)), Ok(100));
        assert_eq!(fit(LOADING), Err(Reason::CgroupMemory));
        assert_eq!(ROOM.fit(&OPTIONS, 2, None).unwrap().wanted, 4096);
    }

    #[test]
    fn the_least_is_the_last() {
        let mut room = ROOM;
        let mut tried = vec![room.wanted];
        while let Some(smaller) = room.smaller() {
            room = smaller;
            tried.push(room.wanted);
        }
        assert_eq!(tried, [4096, 2048, 1024, 512, 256, 128, 100]);
    }
}
