//! Whether the probe sees what the kernel shows in other ways. Attached programs may never run, or one of
//! them may not; then nothing comes from them, which looks like a quiet director.

/// So many connections that IPVS counts while the probe sees none are no accident. A few may be: while
/// another tool's program runs on a CPU, ours is skipped there (`trace_call_bpf`,
/// kernel/trace/bpf_trace.c).
const UNSEEN: u64 = 8;

/// What has been held against the probe since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    /// Connections that the probe had seen when it last saw one, and what IPVS had counted after that.
    last: Option<(u64, u64)>,
    unseen: u64,
    /// Dumps that a reported zeroing explains: it may come while one is made, and then shows in the next.
    excused: u8,
    change_unseen: bool,
}

/// What a dump shows and no record told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    /// A destination is gone, and its deletion was not reported.
    pub deletion: bool,
    /// A counter went back.
    pub zeroing: bool,
}

impl Sight {
    /// A new probe begins.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Takes in what was counted: by IPVS, then by the probe, then again by IPVS. In this order what
    /// happens in between is never held against the probe.
    pub fn count(&mut self, before: u64, seen: u64, after: u64) {
        match self.last {
            Some((saw, counted)) if saw == seen => {
                self.unseen = before.saturating_sub(counted);
            }
            _ => {
                self.last = Some((seen, after));
                self.unseen = 0;
            }
        }
    }

    /// A record reported that something was zeroed.
    pub fn zeroing_reported(&mut self) {
        self.excused = 2;
    }

    /// Takes in what a dump shows, after all records of before it.
    pub fn dumped(&mut self, untold: Untold) {
        self.change_unseen |= untold.deletion || untold.zeroing && self.excused == 0;
        self.excused = self.excused.saturating_sub(1);
    }

    /// Whether the probe misses connections altogether.
    #[must_use]
    pub fn misses_connections(&self) -> bool {
        self.unseen >= UNSEEN
    }

    /// Whether it missed a deletion or a zeroing.
    #[must_use]
    pub fn misses_changes(&self) -> bool {
        self.change_unseen
    }
}

#[cfg(test)]
mod tests {
    use super::{Sight, UNSEEN, Untold};

    #[test]
    fn connections_that_the_kernel_counts_have_to_be_seen() {
        let mut sight = Sight::default();
        sight.count(100, 0, 100);
        sight.count(100 + UNSEEN - 1, 0, 200);
        assert!(!sight.misses_connections(), "few are no proof");
        sight.count(100 + UNSEEN, 0, 200);
        assert!(sight.misses_connections());
        sight.count(200, 1, 200);
        assert!(!sight.misses_connections(), "one is seen");
    }

    #[test]
    fn a_burst_while_it_is_read_is_not_held_against_the_probe() {
        let mut sight = Sight::default();
        // Fifty came between the two readings, and are seen.
        sight.count(100, 150, 150);
        sight.count(150, 150, 150);
        assert!(!sight.misses_connections());
    }

    #[test]
    fn a_quiet_director_is_no_blind_probe() {
        let mut sight = Sight::default();
        for _ in 0..100 {
            sight.count(7, 3, 7);
            sight.dumped(Untold::default());
        }
        assert!(!sight.misses_connections() && !sight.misses_changes());
    }

    #[test]
    fn changes_have_to_be_reported() {
        let zeroing = Untold {
            zeroing: true,
            ..Untold::default()
        };
        let mut sight = Sight::default();
        sight.zeroing_reported();
        // It came while this dump was made, and shows in the next.
        sight.dumped(Untold::default());
        sight.dumped(zeroing);
        assert!(!sight.misses_changes(), "it was reported");
        sight.dumped(zeroing);
        assert!(sight.misses_changes(), "the one before does not explain it");
        sight.restart();
        assert!(!sight.misses_changes());
        sight.zeroing_reported();
        sight.dumped(Untold {
            deletion: true,
            ..Untold::default()
        });
        assert!(sight.misses_changes());
    }
}
