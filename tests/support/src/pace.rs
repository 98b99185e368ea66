//! Waits that follow the speed of the machine.
//!
//! Time on the clock says little where a processor is shared: the test may wait for a minute in which nothing ran. So
//! waits are counted in steps. A step ends only when this thread has run again, and counts for no more than its
//! length, however late that was.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The shortest wait.
pub const STEP: Duration = Duration::from_millis(20);

/// How long something is waited for, counted in steps.
const PATIENCE: Duration = Duration::from_secs(60);

/// Polls until `probe` has an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    match soon(STEP, || probe().ok_or(())) {
        Ok(answer) => answer,
        Err(()) => panic!("never happened: {what}"),
    }
}

/// Polls again and again until `probe` has an answer, or returns what it said last.
pub fn soon<T, E>(every: Duration, mut probe: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..PATIENCE.as_millis() / every.as_millis() {
        if let Ok(answer) = probe() {
            return Ok(answer);
        }
        pause(every);
    }
    probe()
}

/// Lets time pass, and everything else run.
pub fn pause(length: Duration) {
    let steps = length.as_nanos() / STEP.as_nanos();
    for _ in 0..steps {
        thread::sleep(STEP);
    }
    let rest = length.as_nanos() % STEP.as_nanos();
    thread::sleep(Duration::from_nanos(rest as u64));
}

/// Long enough for the kernel's estimator to have run for every object: it does every 2 s.
pub fn let_the_estimator_run() {
    pause(Duration::from_secs(4));
}

/// Does something, and returns how long it took in steps.
pub fn steps_of<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let steps = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                thread::sleep(STEP);
                steps.fetch_add(1, Ordering::Relaxed);
            }
        });
        let answer = work();
        done.store(true, Ordering::Relaxed);
        answer
    });
    (answer, STEP * steps.into_inner() as u32)
}

/// Notes the longest time in which this machine let a thread wait that wanted to run.
pub struct Stalls {
    done: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<Duration>,
}

impl Stalls {
    /// Begins.
    pub fn watch() -> Self {
        let done = std::sync::Arc::new(AtomicBool::new(false));
        let end = std::sync::Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !end.load(Ordering::Relaxed) {
                let begin = Instant::now();
                thread::sleep(STEP);
                longest = longest.max(begin.elapsed().saturating_sub(STEP));
            }
            longest
        });
        Self { done, thread }
    }

    /// Ends, and says how long.
    pub fn longest(self) -> Duration {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch")
    }
}
