//! When ticks are due. Pure.

use std::time::Duration;

use crate::engine::Due;

/// When ticks are due: at multiples of the interval, and of the resolution where there is one, on
/// the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    interval: i64,
    resolution: Option<i64>,
    /// The interval (counted since 1970) that was last due.
    last_interval: i64,
}

impl Schedule {
    /// A schedule that begins now: the current interval counts as done.
    #[must_use]
    pub(super) fn new(interval: Duration, resolution: Option<Duration>, now: i64) -> Self {
        let interval = nanoseconds(interval);
        Self {
            interval,
            resolution: resolution.map(nanoseconds),
            last_interval: now.div_euclid(interval),
        }
    }

    /// Sets the interval. When it is another one, the current one counts as done.
    pub(super) fn set_interval(&mut self, interval: Duration, now: i64) {
        let changed = Self::new(interval, None, now);
        if changed.interval != self.interval {
            let resolution = self.resolution;
            *self = Self {
                resolution,
                ..changed
            };
        }
    }

    /// Sets or stops the ticks between intervals.
    pub(super) fn set_resolution(&mut self, resolution: Option<Duration>) {
        self.resolution = resolution.map(nanoseconds);
    }

    /// The next deadline after `now`.
    #[must_use]
    pub(super) fn next(&self, now: i64) -> i64 {
        let interval = multiple_after(now, self.interval);
        self.resolution.map_or(interval, |resolution| {
            interval.min(multiple_after(now, resolution))
        })
    }

    /// The deadline that holds after a change: one that has passed meanwhile is yet to be served.
    #[must_use]
    pub(super) fn next_from(&self, deadline: i64, now: i64) -> i64 {
        if deadline <= now {
            deadline
        } else {
            self.next(now)
        }
    }

    /// How far away the next deadline may be.
    #[must_use]
    pub(super) fn furthest(&self) -> i64 {
        self.resolution
            .map_or(self.interval, |resolution| resolution.min(self.interval))
    }

    /// What is due at `now`. An interval that was overslept, or that a step of the clock jumped
    /// over, is due once.
    pub(super) fn due(&mut self, now: i64) -> Due {
        let current = now.div_euclid(self.interval);
        if current == self.last_interval {
            return Due::Window;
        }
        self.last_interval = current;
        Due::Interval
    }

    /// Deadlines that passed between the one that was served and `now`, of which the last `elapsed` ns
    /// really went by: a clock that was set meanwhile made none pass.
    #[must_use]
    pub(super) fn missed(&self, served: i64, now: i64, elapsed: u64) -> u64 {
        let period = self.resolution.unwrap_or(self.interval);
        let passed = now.div_euclid(period) - served.div_euclid(period);
        let possible = elapsed / period.unsigned_abs() + 1;
        u64::try_from(passed).unwrap_or(0).min(possible)
    }
}

fn multiple_after(now: i64, period: i64) -> i64 {
    (now.div_euclid(period) + 1) * period
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos())
        .unwrap_or(i64::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Due, Schedule};

    const MS: i64 = 1_000_000;

    fn schedule(interval: u64, resolution: u64, now: i64) -> Schedule {
        let resolution = Duration::from_millis(resolution);
        Schedule::new(Duration::from_millis(interval), Some(resolution), now)
    }

    #[test]
    fn deadlines_are_multiples_on_the_wall_clock() {
        let schedule = schedule(1000, 100, 5 * MS);
        assert_eq!(schedule.next(5 * MS), 100 * MS);
        assert_eq!(schedule.next(100 * MS), 200 * MS);
        assert_eq!(schedule.next(999 * MS), 1000 * MS);
    }

    #[test]
    fn a_resolution_that_does_not_divide_the_interval_leaves_the_interval_where_it_is() {
        let schedule = schedule(1000, 300, 0);
        assert_eq!(schedule.next(900 * MS), 1000 * MS);
        assert_eq!(schedule.next(1000 * MS), 1200 * MS);
    }

    #[test]
    fn an_overslept_interval_is_due_once() {
        let mut schedule = schedule(1000, 100, 0);
        assert_eq!(schedule.due(900 * MS), Due::Window);
        assert_eq!(schedule.due(3150 * MS), Due::Interval);
        assert_eq!(schedule.due(3200 * MS), Due::Window);
    }

    #[test]
    fn a_change_that_crosses_the_end_of_an_interval_leaves_it_due() {
        let second = Duration::from_secs(1);
        let mut schedule = schedule(1000, 100, 0);
        let due_at = schedule.next(950 * MS);
        // Begun at 950 ms, done at 1020.
        schedule.set_interval(second, 1020 * MS);
        assert_eq!(schedule.next_from(due_at, 1020 * MS), 1000 * MS);
        assert_eq!(schedule.due(1020 * MS), Due::Interval);
        // A deadline that is yet to come gives way to the new ones.
        schedule.set_interval(2 * second, 1030 * MS);
        schedule.set_resolution(None);
        assert_eq!(schedule.next_from(1100 * MS, 1030 * MS), 2000 * MS);
        assert_eq!(schedule.due(1030 * MS), Due::Window);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_the_interval_due() {
        let mut schedule = schedule(1000, 100, 5000 * MS);
        assert_eq!(schedule.due(2000 * MS), Due::Interval);
        assert_eq!(schedule.due(2100 * MS), Due::Window);
    }

    #[test]
    fn passed_deadlines_are_counted() {
        let schedule = schedule(1000, 100, 0);
        let missed =
            |now: i64, elapsed: u64| schedule.missed(200 * MS, now * MS, elapsed * 1_000_000);
        assert_eq!(missed(299, 99), 0);
        assert_eq!(missed(301, 101), 1);
        assert_eq!(missed(1000, 800), 8);
        assert_eq!(missed(100, 10), 0);
        // Set forth by an hour, back by a second.
        assert_eq!(missed(3_600_250, 50), 1);
        assert_eq!(missed(-800, 50), 0);
    }
}
