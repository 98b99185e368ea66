//! How long a guest may be silent. Not by the clock alone: a guest that gets no processor cannot speak, and one
//! that took long to boot takes long for everything.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

/// Until the first word.
const BOOT: Duration = Duration::from_secs(600);
/// Longer than any test is silent where booting takes no longer than a twelfth of it.
const SHORTEST: Duration = Duration::from_secs(180);
const BOOTS: u32 = 12;

/// The silence of one QEMU.
pub(crate) struct Silence {
    process: u32,
    /// Its last word.
    since: Instant,
    /// How long its threads had waited for a processor by then.
    waited: Waited,
    limit: Duration,
    /// Nothing was heard yet.
    booting: bool,
}

/// By thread, in ns.
type Waited = BTreeMap<u32, u64>;

impl Silence {
    /// Begins to listen to a QEMU that boots a guest.
    pub(crate) fn begin(process: u32) -> Self {
        Self::at_most(process, BOOT)
    }

    /// Begins to listen to a QEMU that has to say something soon.
    pub(crate) fn at_most(process: u32, limit: Duration) -> Self {
        Self {
            process,
            since: Instant::now(),
            waited: waited(process),
            limit,
            booting: true,
        }
    }

    /// It said something.
    pub(crate) fn broken(&mut self) {
        if self.booting {
            self.booting = false;
            self.limit = limit(self.lasts());
        }
        self.since = Instant::now();
        self.waited = waited(self.process);
    }

    /// Why it is not waited for any longer, if so.
    pub(crate) fn too_long(&self) -> Option<String> {
        let lasts = self.lasts();
        (lasts > self.limit).then(|| {
            format!(
                "nothing heard for {} s, not counting {} s without a processor",
                lasts.as_secs(),
                self.since.elapsed().saturating_sub(lasts).as_secs()
            )
        })
    }

    /// How long it has been silent, without the time in which it had no processor.
    fn lasts(&self) -> Duration {
        let starved = starved(&self.waited, &waited(self.process));
        self.since.elapsed().saturating_sub(starved)
    }
}

/// What follows from the time that booting took.
fn limit(boot: Duration) -> Duration {
    SHORTEST.max(boot * BOOTS)
}

/// How long the thread that waited longest has waited between two looks.
fn starved(before: &Waited, now: &Waited) -> Duration {
    let of_thread = |(thread, total): (&u32, &u64)| {
        total.saturating_sub(before.get(thread).copied().unwrap_or(0))
    };
    Duration::from_nanos(now.iter().map(of_thread).max().unwrap_or(0))
}

/// How long each thread of a process has been runnable without running: the second number of
/// /proc/PID/task/TID/schedstat (Documentation/scheduler/sched-stats.rst). None where the kernel does not say so.
fn waited(process: u32) -> Waited {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Waited::new();
    };
    threads
        .flatten()
        .filter_map(|thread| {
            let number = thread.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            Some((number, text.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_a_processor_is_that_of_the_thread_that_waited_longest() {
        let before = Waited::from([(1, 5_000), (2, 7_000)]);
        let now = Waited::from([(1, 6_000), (2, 9_000), (3, 500)]);
        assert_eq!(starved(&before, &now), Duration::from_nanos(2_000));
        assert_eq!(starved(&before, &Waited::new()), Duration::ZERO);
    }

    #[test]
    fn the_limit_follows_the_time_that_booting_took() {
        assert_eq!(limit(Duration::from_secs(5)), SHORTEST);
        assert_eq!(limit(Duration::from_secs(60)), Duration::from_secs(720));
        let mut silence = Silence::begin(std::process::id());
        assert_eq!(silence.limit, BOOT);
        silence.broken();
        assert_eq!(silence.limit, SHORTEST);
        assert_eq!(silence.too_long(), None);
        silence.limit = Duration::ZERO;
        std::thread::sleep(Duration::from_millis(20));
        assert!(silence.too_long().is_some());
    }
}
