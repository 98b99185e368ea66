//! The moments at which connections arrived: how many came at once, and how far apart they were.
//! Exact across CPUs, because it has each moment; polling a counter cannot have it.

use hdrhistogram::Histogram;
use ipvs_sampler_common::{Arrival, Slot};

const MILLISECOND: u64 = 1_000_000;
const WINDOWS: [u64; 2] = [MILLISECOND, 10 * MILLISECOND];

/// Arrivals younger than this wait for the next time: a program on another CPU may have taken the time of
/// an earlier one and not have written it yet.
const SETTLING: u64 = MILLISECOND;

/// Distances between arrivals are told apart from 1 us to a minute, with one significant digit.
const SHORTEST_GAP: u64 = 1_000;
const LONGEST_GAP: u64 = 60_000_000_000;

/// The arrivals of the current interval. Reused.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Those to be digested, and those that are still in a window; `reserved` is 1 for the latter.
    recent: Vec<Arrival>,
    /// By slot.
    destinations: Vec<Option<Box<DestinationArrivals>>>,
    /// Slots with an arrival in this interval.
    active: Vec<Slot>,
}

#[derive(Debug)]
struct DestinationArrivals {
    /// The last arrival, also of intervals before.
    last: Option<u64>,
    /// In this interval.
    count: u64,
    most: [u32; WINDOWS.len()],
    gaps: Histogram<u32>,
    longest_gap: u64,
}

/// What one interval's arrivals at a destination were like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrivalSummary {
    /// Most connections in any millisecond.
    pub most_in_1ms: u32,
    /// Most connections in any ten milliseconds.
    pub most_in_10ms: u32,
    /// Times from one arrival to the next; `None` when there were no two.
    pub gaps: Option<Gaps>,
}

/// Times from one arrival to the next, in ns; shares of them with one significant digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Half of them were not longer.
    pub p50: u64,
    /// 99 % of them were not longer.
    pub p99: u64,
    /// 99.9 % of them were not longer.
    pub p999: u64,
    /// The longest, exact.
    pub longest: u64,
}

impl Arrivals {
    /// Where new arrivals are to be appended, in any order.
    pub fn inbox(&mut self) -> &mut Vec<Arrival> {
        &mut self.recent
    }

    /// Takes in what has arrived before `now_ns` (of the arrivals' clock).
    pub fn digest(&mut self, now_ns: u64) {
        if self.recent.is_empty() {
            return;
        }
        let settled = now_ns.saturating_sub(SETTLING);
        self.recent
            .sort_unstable_by_key(|arrival| (arrival.slot, arrival.time_ns));
        for run in self.recent.chunk_by_mut(|one, next| one.slot == next.slot) {
            let slot = run.first().map_or(0, |arrival| arrival.slot);
            let Some(destination) = destination(&mut self.destinations, slot) else {
                continue;
            };
            let before = destination.count;
            destination.digest(run, settled);
            if before == 0 && destination.count > 0 {
                self.active.push(slot);
            }
        }
        let [.., widest] = WINDOWS;
        self.recent
            .retain(|arrival| arrival.reserved == 0 || arrival.time_ns + widest > settled);
    }

    /// What this interval's arrivals at a destination were like so far.
    #[must_use]
    pub fn summary(&self, slot: Option<Slot>) -> Option<ArrivalSummary> {
        let Some(Some(destination)) = self.destinations.get(slot? as usize) else {
            return Some(ArrivalSummary::default());
        };
        let [most_in_1ms, most_in_10ms] = destination.most;
        let gaps = &destination.gaps;
        Some(ArrivalSummary {
            most_in_1ms,
            most_in_10ms,
            gaps: (!gaps.is_empty()).then(|| {
                let longest = destination.longest_gap;
                // The histogram answers with the end of a bucket.
                let share = |quantile| gaps.value_at_quantile(quantile).min(longest);
                Gaps {
                    p50: share(0.5),
                    p99: share(0.99),
                    p999: share(0.999),
                    longest,
                }
            }),
        })
    }

    /// Begins the next interval.
    pub fn end_interval(&mut self) {
        for slot in self.active.drain(..) {
            if let Some(Some(destination)) = self.destinations.get_mut(slot as usize) {
                destination.count = 0;
                destination.most = [0; WINDOWS.len()];
                destination.gaps.reset();
                destination.longest_gap = 0;
            }
        }
    }

    /// A slot is to be given to another destination, an interval after the end of the one before: none
    /// of its arrivals is recent any more.
    pub fn forget(&mut self, slot: Slot) {
        if let Some(destination) = self.destinations.get_mut(slot as usize) {
            *destination = None;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// `None` never happens: the histogram's bounds are constants that fit.
fn destination(
    all: &mut Vec<Option<Box<DestinationArrivals>>>,
    slot: Slot,
) -> Option<&mut DestinationArrivals> {
    let index = slot as usize;
    if index >= all.len() {
        all.resize_with(index + 1, || None);
    }
    let entry = &mut all[index];
    if entry.is_none() {
        *entry = Some(Box::new(DestinationArrivals {
            last: None,
            count: 0,
            most: [0; WINDOWS.len()],
            gaps: Histogram::new_with_bounds(SHORTEST_GAP, LONGEST_GAP, 1).ok()?,
            longest_gap: 0,
        }));
    }
    entry.as_deref_mut()
}

impl DestinationArrivals {
    /// `run` is of one slot and in order of time.
    fn digest(&mut self, run: &mut [Arrival], settled: u64) {
        let mut first = [0; WINDOWS.len()];
        for index in 0..run.len() {
            let arrival = run[index];
            if arrival.reserved != 0 || arrival.time_ns > settled {
                continue;
            }
            run[index].reserved = 1;
            self.count += 1;
            for ((first, most), window) in first.iter_mut().zip(&mut self.most).zip(WINDOWS) {
                while run[*first].time_ns + window <= arrival.time_ns {
                    *first += 1;
                }
                let count = u32::try_from(index - *first + 1).unwrap_or(u32::MAX);
                *most = (*most).max(count);
            }
            if let Some(last) = self.last {
                let gap = arrival.time_ns.saturating_sub(last);
                self.gaps.saturating_record(gap.max(1));
                self.longest_gap = self.longest_gap.max(gap);
            }
            self.last = self.last.max(Some(arrival.time_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Arrival;
    use proptest::prelude::*;

    use super::{ArrivalSummary, Arrivals, MILLISECOND};

    fn arrival(slot: u32, time_ns: u64) -> Arrival {
        Arrival {
            slot,
            reserved: 0,
            time_ns,
        }
    }

    const END: u64 = 1_000 * MILLISECOND;

    #[test]
    fn a_burst_is_seen_where_a_window_slides_over_it() {
        let mut arrivals = Arrivals::default();
        // Three within 1 ms across the edge of one, and two more within 10 ms.
        for micros in [19_500, 20_100, 20_400, 27_000, 29_400] {
            arrivals.inbox().push(arrival(2, micros * 1_000));
        }
        arrivals.digest(END);
        let summary = arrivals.summary(Some(2)).unwrap();
        assert_eq!((summary.most_in_1ms, summary.most_in_10ms), (3, 5));
        assert_eq!(summary.gaps.unwrap().longest, 6_600_000);
        assert_eq!(arrivals.summary(Some(7)), Some(ArrivalSummary::default()));
        assert_eq!(arrivals.summary(None), None);
    }

    #[test]
    fn gaps_reach_over_the_interval_and_counts_do_not() {
        let mut arrivals = Arrivals::default();
        arrivals.inbox().push(arrival(0, MILLISECOND));
        arrivals.digest(10 * MILLISECOND);
        assert_eq!(arrivals.summary(Some(0)).unwrap().gaps, None);
        arrivals.end_interval();
        assert_eq!(arrivals.summary(Some(0)).unwrap().most_in_1ms, 0);
        arrivals.inbox().push(arrival(0, 51 * MILLISECOND));
        arrivals.digest(END);
        let gaps = arrivals.summary(Some(0)).unwrap().gaps.unwrap();
        assert_eq!(gaps.longest, 50 * MILLISECOND);
        assert!(gaps.p50.abs_diff(50 * MILLISECOND) <= 5 * MILLISECOND);
    }

    #[test]
    fn what_is_too_young_waits() {
        let mut arrivals = Arrivals::default();
        arrivals.inbox().push(arrival(0, 5 * MILLISECOND));
        arrivals.digest(5 * MILLISECOND);
        assert_eq!(arrivals.summary(Some(0)).unwrap().most_in_1ms, 0);
        // An earlier one, written later by another CPU.
        arrivals.inbox().push(arrival(0, 5 * MILLISECOND - 100));
        arrivals.digest(20 * MILLISECOND);
        let summary = arrivals.summary(Some(0)).unwrap();
        assert_eq!(summary.most_in_1ms, 2);
        assert_eq!(summary.gaps.unwrap().longest, 100);
    }

    #[test]
    fn a_forgotten_slot_has_no_past() {
        let mut arrivals = Arrivals::default();
        arrivals.inbox().push(arrival(0, MILLISECOND));
        arrivals.digest(END);
        arrivals.forget(0);
        arrivals.inbox().push(arrival(0, END));
        arrivals.digest(2 * END);
        let summary = arrivals.summary(Some(0)).unwrap();
        assert_eq!((summary.most_in_1ms, summary.gaps), (1, None));
    }

    proptest! {
        /// However the stream is cut into ticks, the result is that of looking at all of it at once.
        #[test]
        fn ticks_do_not_matter(
            mut times in prop::collection::vec(0..200_000_u64, 1..200),
            cuts in prop::collection::vec(0..220_000_u64, 0..20),
        ) {
            for time in &mut times {
                *time *= 1_000;
            }
            times.sort_unstable();
            let mut whole = Arrivals::default();
            whole.inbox().extend(times.iter().map(|time| arrival(3, *time)));
            whole.digest(END);

            let mut cut = Arrivals::default();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut * 1_000).collect();
            cuts.push(END);
            cuts.sort_unstable();
            let mut left = times.iter().peekable();
            for now in cuts {
                while let Some(time) = left.next_if(|time| **time <= now) {
                    cut.inbox().push(arrival(3, *time));
                }
                cut.digest(now);
            }
            prop_assert_eq!(cut.summary(Some(3)), whole.summary(Some(3)));
            let most = times
                .iter()
                .map(|end| times.iter().filter(|t| **t <= *end && *end - **t < MILLISECOND).count())
                .max();
            let summary = whole.summary(Some(3)).unwrap();
            prop_assert_eq!(Some(summary.most_in_1ms as usize), most);
        }
    }
}
