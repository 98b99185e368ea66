//! Batches that wait for the writer: bounded in bytes, the oldest gives way.

use std::{
    collections::VecDeque,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

pub(super) struct Queue {
    state: Mutex<State>,
    /// Something for the writer, or for who waits for it to finish.
    changed: Condvar,
    failed: Notify,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A written batch's memory, for the next one.
    spare: Vec<u8>,
    dropped_lines: u64,
    closed: bool,
    result: Option<io::Result<()>>,
}

impl Queue {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            failed: Notify::new(),
            most_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked holding it left plain data behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, batch: &mut Vec<u8>) {
        let mut state = self.lock();
        let empty = std::mem::take(&mut state.spare);
        let full = std::mem::replace(batch, empty);
        state.bytes += full.len();
        state.batches.push_back(full);
        while state.bytes > self.most_bytes {
            let Some(oldest) = state.batches.pop_front() else {
                break;
            };
            state.bytes -= oldest.len();
            state.dropped_lines += lines(&oldest);
        }
        self.changed.notify_all();
    }

    pub(super) fn dropped_lines(&self) -> u64 {
        self.lock().dropped_lines
    }

    /// For the writer: swaps the batch it has written for the next one; `false` when there will be
    /// none.
    pub(super) fn take(&self, batch: &mut Vec<u8>) -> bool {
        batch.clear();
        let mut state = self.lock();
        // Before it waits: else a third buffer as long as a complete snapshot would go round.
        state.spare = std::mem::take(batch);
        loop {
            if let Some(next) = state.batches.pop_front() {
                state.bytes -= next.len();
                *batch = next;
                return true;
            }
            if state.closed {
                return false;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For the writer: its last word.
    pub(super) fn finish(&self, result: io::Result<()>) {
        if result.is_err() {
            self.failed.notify_one();
        }
        self.lock().result = Some(result);
        self.changed.notify_all();
    }

    pub(super) async fn failed(&self) {
        self.failed.notified().await;
    }

    pub(super) fn close(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "the reader did not take the rest in time ({} bytes and a batch begun)",
                        state.bytes
                    ),
                ));
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn lines(batch: &[u8]) -> u64 {
    batch.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn the_oldest_batch_gives_way_whole_and_is_counted() {
        let queue = Queue::new(8);
        for batch in ["a\nb\n", "c\n", "d\ne\n"] {
            queue.push(&mut batch.as_bytes().to_vec());
        }
        assert_eq!(queue.dropped_lines(), 2);
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        assert_eq!(batch, b"c\n");
    }

    #[test]
    fn memory_goes_round() {
        let queue = Queue::new(100);
        queue.push(&mut b"first\n".to_vec());
        let mut written = Vec::with_capacity(77);
        assert!(queue.take(&mut written));
        let mut batch = b"second\n".to_vec();
        queue.push(&mut batch);
        assert_eq!(batch.capacity(), 77);
    }
}
