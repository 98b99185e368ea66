//! Whether ticks come, and what they see: told by the loop at each tick, asked for by whoever watches over the
//! process. Neither waits for the other.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A tick may be late by as much as ticks are apart, or by this: a dump may take a few seconds.
const LATE: Duration = Duration::from_secs(10);

/// The last tick.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Option<Beat>>);

#[derive(Debug)]
struct Beat {
    at: Instant,
    /// Until the next one.
    period: Duration,
    /// One for each network namespace.
    modes: Vec<&'static str>,
}

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, Option<Beat>> {
        // Whoever panicked holding it left plain data behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the loop: there was a tick, with these modes; the next one is due after `period`.
    pub(super) fn beat(&self, period: Duration, modes: impl Iterator<Item = &'static str>) {
        let mut last = self.lock();
        let beat = last.get_or_insert_with(|| Beat {
            at: Instant::now(),
            period,
            modes: Vec::new(),
        });
        beat.at = Instant::now();
        beat.period = period;
        beat.modes.clear();
        beat.modes.extend(modes);
    }

    /// Whether ticks come, and a line that says so.
    pub(super) fn state(&self) -> (bool, String) {
        let last = self.lock();
        let Some(Beat { at, period, modes }) = &*last else {
            return (false, "no tick yet\n".into());
        };
        let age = at.elapsed();
        let is_ticking = age <= period.saturating_add(LATE.max(*period));
        let text = format!(
            "{}, mode {}, last tick {:.1} s ago, one is due every {} s\n",
            if is_ticking { "ticking" } else { "not ticking" },
            modes.join(" and "),
            age.as_secs_f64(),
            period.as_secs_f64()
        );
        (is_ticking, text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pulse;

    #[test]
    fn a_tick_that_is_long_overdue_is_missed() {
        let pulse = Pulse::default();
        assert_eq!(pulse.state(), (false, "no tick yet\n".into()));
        for (period, ago, ticking) in [
            (100, 0, true),
            (100, 9_000, true),
            (100, 10_200, false),
            (60_000, 100_000, true),
            (60_000, 120_100, false),
        ] {
            let period = Duration::from_millis(period);
            pulse.beat(period, ["live", "waiting"].into_iter());
            if let Some(beat) = &mut *pulse.lock() {
                let Some(at) = beat.at.checked_sub(Duration::from_millis(ago)) else {
                    continue;
                };
                beat.at = at;
            }
            let (is_ticking, text) = pulse.state();
            assert_eq!(is_ticking, ticking, "{text}");
            assert!(text.contains("mode live and waiting"), "{text}");
        }
    }
}
