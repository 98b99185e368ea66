//! Batches that wait for one output's writer: bounded in bytes, the oldest lines give way.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::lines::{lines, next_piece};

/// The writer takes a batch in pieces of at most this many bytes, and lines are dropped in such pieces: a snapshot may
/// be larger than the whole queue.
const PIECE: usize = 1024 * 1024;

pub(super) struct Queue {
    state: Mutex<State>,
    /// Something for the writer, or for who waits for it to finish.
    changed: Condvar,
    /// Shared by all outputs.
    failed: Arc<Notify>,
    most_bytes: usize,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    /// What is left of them.
    bytes: usize,
    /// How many bytes may wait until the queue is empty again: a batch that is longer than the queue finds room
    /// beside what it meets.
    allowed: usize,
    /// A finished batch's memory, for the next one.
    spare: Vec<u8>,
    counts: LineCounts,
    /// Lines dropped since the queue was full, until it is empty again.
    overflow: u64,
    reopen: bool,
    closed: bool,
    finished: bool,
    result: Option<io::Result<()>>,
}

/// A batch of whole lines.
struct Batch {
    text: Vec<u8>,
    /// What stands before is gone already.
    begin: usize,
}

/// What became of an output's lines since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines handed over. Those that are not [settled](Self::settled) wait.
    pub queued: u64,
    /// Lines that the other side, or the system for it, has taken.
    pub written: u64,
    /// Lines given up: the queue was full, the disk was full, or nobody took the datagram.
    pub dropped: u64,
    /// Lines that the other side refused for good.
    pub rejected: u64,
    /// Lines that the other side has taken or refused: its answer does not tell which.
    pub uncertain: u64,
    /// Times that something was tried again: a connection made again, a request repeated.
    pub retries: u64,
    /// Of an output that others come to.
    pub requests: Option<RequestCounts>,
    /// What an output that rotates files has deleted.
    pub deleted: Option<Deleted>,
}

/// RequestCounts that got no page, of an output that takes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Connections and requests refused.
    pub refused: u64,
    /// RequestCounts whose client left before it had the whole page.
    pub abandoned: u64,
}

/// Former files that had to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// How many.
    pub files: u64,
    /// How long they were together.
    pub bytes: u64,
}

impl LineCounts {
    /// Lines whose fate is decided.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.written + self.dropped + self.rejected + self.uncertain
    }
}

impl Queue {
    /// A queue for this many bytes, that tells `failed` when its writer fails.
    pub(super) fn new(most_bytes: usize, failed: Arc<Notify>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            failed,
            most_bytes,
        }
    }

    /// For a test of an output by itself.
    #[cfg(test)]
    pub(super) fn alone() -> Self {
        Self::new(usize::MAX, Arc::default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked holding it left plain data behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a batch in and leaves an empty buffer in its place. How many lines had to go when that is the
    /// first time since the queue was empty.
    pub(super) fn push(&self, batch: &mut Vec<u8>) -> Option<u64> {
        let lines = lines(batch);
        let mut state = self.lock();
        let empty = std::mem::take(&mut state.spare);
        let full = std::mem::replace(batch, empty);
        self.changed.notify_all();
        state.add(full, lines, self.most_bytes)
    }

    /// As [`Self::push`], with a copy of a batch.
    pub(super) fn push_copy(&self, batch: &[u8]) -> Option<u64> {
        let mut copy = std::mem::take(&mut self.lock().spare);
        copy.extend_from_slice(batch);
        self.push(&mut copy)
    }

    /// What became of the lines so far, and how many bytes wait.
    pub(super) fn counts(&self) -> (LineCounts, usize) {
        let state = self.lock();
        (state.counts, state.bytes)
    }

    /// For the writer: puts the next lines in the place of those that it has written; `false` when there will
    /// be none.
    pub(super) fn take(&self, piece: &mut Vec<u8>) -> bool {
        piece.clear();
        let mut state = self.lock();
        loop {
            if state.move_piece(piece, PIECE) {
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

    /// For the writer, when there is room again after a time without: how many lines had to go.
    pub(super) fn end_overflow(&self) -> Option<u64> {
        let mut state = self.lock();
        let is_over = state.overflow > 0 && state.batches.is_empty();
        is_over.then(|| std::mem::take(&mut state.overflow))
    }

    /// For the writer: waits for more until `deadline`, or until there is as much as it would have,
    /// and appends what fits.
    pub(super) fn gather(&self, piece: &mut Vec<u8>, deadline: Instant, most_bytes: usize) {
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() || piece.len() + state.bytes >= most_bytes {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        while let Some(room) = most_bytes.checked_sub(piece.len())
            && state.has_piece(room)
        {
            state.move_piece(piece, room);
        }
    }

    /// For the writer: lines that were taken by the other side.
    pub(super) fn written(&self, lines: u64) {
        self.lock().counts.written += lines;
    }

    /// For the writer: lines given up.
    pub(super) fn dropped(&self, lines: u64) {
        self.lock().counts.dropped += lines;
    }

    /// For the writer: lines refused for good.
    pub(super) fn rejected(&self, lines: u64) {
        self.lock().counts.rejected += lines;
    }

    /// For the writer: lines that were taken or refused, nobody knows which.
    pub(super) fn uncertain(&self, lines: u64) {
        self.lock().counts.uncertain += lines;
    }

    /// For the writer: a connection is made again, or a request repeated.
    pub(super) fn retried(&self) {
        self.lock().counts.retries += 1;
    }

    /// For the writer: files were deleted.
    pub(super) fn deleted(&self, more: Deleted) {
        let mut state = self.lock();
        let deleted = state.counts.deleted.get_or_insert_default();
        deleted.files += more.files;
        deleted.bytes += more.bytes;
    }

    /// For the writer: waits before something is tried again, but not when it is asked to finish: then
    /// `false`.
    pub(super) fn pause(&self, length: Duration) -> bool {
        let deadline = Instant::now() + length;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return !state.closed;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// For the writer: whether it is to finish.
    pub(super) fn closing(&self) -> bool {
        self.lock().closed
    }

    /// What the writer has open is to be reopened before its next batch.
    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
    }

    /// For the writer: whether that was asked for since the last time.
    pub(super) fn wants_reopening(&self) -> bool {
        std::mem::take(&mut self.lock().reopen)
    }

    /// For the writer: its last word. After a failure nobody takes what waits.
    pub(super) fn finish(&self, result: io::Result<()>) {
        let mut state = self.lock();
        if result.is_err() {
            let counts = state.counts;
            state.counts.dropped += counts.queued.saturating_sub(counts.settled());
            state.batches.clear();
            state.bytes = 0;
            self.failed.notify_one();
        }
        state.finished = true;
        state.result = Some(result);
        self.changed.notify_all();
    }

    /// Whether the writer has said its last word.
    pub(super) fn has_finished(&self) -> bool {
        self.lock().finished
    }

    /// Whether that was a failure, which nobody has been told of.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lock().result, Some(Err(_)))
    }

    /// Asks the writer to finish.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until the writer has finished what waits.
    pub(super) fn finished(&self, deadline: Instant) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!(
                        "shut down before the reader had taken {} lines",
                        state.counts.queued.saturating_sub(state.counts.settled())
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

impl State {
    /// Puts a batch at the end. The oldest lines are dropped where that is too much.
    fn add(&mut self, text: Vec<u8>, lines: u64, most_bytes: usize) -> Option<u64> {
        let before = self.overflow;
        if self.batches.is_empty() {
            self.allowed = most_bytes;
        }
        if text.len() > most_bytes {
            // However often that happens, no more than the queue and one such batch.
            self.allowed = self.allowed.max(self.bytes.min(most_bytes) + text.len());
        }
        self.bytes += text.len();
        self.counts.queued += lines;
        self.batches.push_back(Batch { text, begin: 0 });
        while self.bytes > self.allowed {
            self.overflow += self.drop_piece();
        }
        self.counts.dropped += self.overflow - before;
        (before == 0 && self.overflow > 0).then_some(self.overflow)
    }

    /// Whether the next lines, or one of them, fit into this many bytes.
    fn has_piece(&self, most_bytes: usize) -> bool {
        let next = self.batches.front();
        next.is_some_and(|batch| batch.piece(most_bytes).len() <= most_bytes)
    }

    /// Moves the next lines to the end of `to`: as many as fit into this many bytes, or one. `false` when there are
    /// none.
    fn move_piece(&mut self, to: &mut Vec<u8>, most_bytes: usize) -> bool {
        let Some(batch) = self.batches.front() else {
            return false;
        };
        let piece = batch.piece(most_bytes);
        let length = piece.len();
        to.extend_from_slice(piece);
        self.pass(length);
        true
    }

    /// Drops the oldest lines; how many.
    fn drop_piece(&mut self) -> u64 {
        let piece = self
            .batches
            .front()
            .map_or(&[][..], |batch| batch.piece(PIECE));
        let (dropped, length) = (lines(piece), piece.len());
        self.pass(length);
        dropped
    }

    /// So many bytes of the oldest batch are gone.
    fn pass(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(batch) = self.batches.front_mut() {
            batch.begin += bytes;
        }
        let ended = self
            .batches
            .pop_front_if(|batch| batch.begin == batch.text.len());
        if let Some(Batch { mut text, .. }) = ended
            && text.capacity() > self.spare.capacity()
        {
            text.clear();
            self.spare = text;
        }
    }
}

impl Batch {
    /// The next lines.
    fn piece(&self, most_bytes: usize) -> &[u8] {
        next_piece(&mut &self.text[self.begin..], most_bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{PIECE, Queue, lines};

    #[test]
    fn the_oldest_batch_gives_way_whole_and_is_counted() {
        let queue = Queue::new(8, Arc::default());
        let overflow = ["a\nb\n", "c\n", "d\ne\n", "f\n"]
            .map(|batch| queue.push(&mut batch.as_bytes().to_vec()));
        assert_eq!(overflow, [None, None, Some(2), None], "said once");
        let (counts, waiting) = queue.counts();
        assert_eq!((counts.queued, counts.dropped, waiting), (6, 2, 8));
        let mut batch = Vec::new();
        for expected in ["c\n", "d\ne\n", "f\n"] {
            assert_eq!(queue.end_overflow(), None);
            assert!(queue.take(&mut batch));
            assert_eq!(batch, expected.as_bytes());
        }
        assert_eq!(queue.end_overflow(), Some(2));
        assert_eq!(queue.end_overflow(), None);
    }

    #[test]
    fn a_batch_longer_than_the_queue_arrives_whole_and_in_pieces() {
        let queue = Queue::new(8, Arc::default());
        let text = "a line\n".repeat(500_000).into_bytes();
        for busy in [&b""[..], b"before\n"] {
            if !busy.is_empty() {
                queue.push_copy(busy);
            }
            assert_eq!(queue.push(&mut text.clone()), None);
            let expected = [busy, &text].concat();
            let (mut batch, mut arrived) = (Vec::new(), Vec::new());
            while arrived.len() < expected.len() && queue.take(&mut batch) {
                assert!(batch.len() <= PIECE && batch.ends_with(b"\n"));
                arrived.extend_from_slice(&batch);
                queue.written(lines(&batch));
            }
            assert!(arrived == expected);
        }
        let (counts, waiting) = queue.counts();
        assert_eq!((counts.queued, counts.dropped, waiting), (1_000_001, 0, 0));
        assert_eq!(counts.settled(), counts.queued);
    }

    #[test]
    fn batches_longer_than_a_queue_that_stands_still_do_not_pile_up() {
        let most = 2 * PIECE;
        let queue = Queue::new(most, Arc::default());
        let text = "a line\n".repeat(500_000).into_bytes();
        for _ in 0..5 {
            queue.push(&mut text.clone());
        }
        let (counts, waiting) = queue.counts();
        assert!(waiting <= most + text.len() && waiting >= text.len());
        assert_eq!(counts.queued, 2_500_000);
        assert_eq!(counts.dropped * 7 + waiting as u64, counts.queued * 7);
        let mut piece = Vec::new();
        while queue.counts().1 > 0 && queue.take(&mut piece) {}
        for _ in 0..3 {
            queue.push_copy(&text[..PIECE / 7 * 7]);
        }
        assert!(queue.counts().1 <= most, "the usual bound holds again");
    }

    #[test]
    fn memory_goes_round() {
        let queue = Queue::alone();
        let mut first = Vec::with_capacity(77);
        first.extend_from_slice(b"first\n");
        queue.push(&mut first);
        assert!(queue.take(&mut Vec::new()));
        let mut batch = b"second\n".to_vec();
        queue.push(&mut batch);
        assert_eq!(batch.capacity(), 77);
    }

    #[test]
    fn batches_are_gathered_up_to_a_size() {
        let queue = Queue::alone();
        for batch in ["a\n", "bb\n", "ccc\n"] {
            queue.push_copy(batch.as_bytes());
        }
        let mut batch = Vec::new();
        assert!(queue.take(&mut batch));
        let begin = std::time::Instant::now();
        queue.gather(&mut batch, begin + Duration::from_secs(3600), 6);
        assert_eq!(batch, b"a\nbb\n");
        assert_eq!(queue.counts().1, 4);
    }

    #[test]
    fn a_pause_ends_when_the_writer_is_to_finish() {
        let queue = Queue::alone();
        assert!(queue.pause(Duration::from_millis(1)));
        queue.close();
        assert!(!queue.pause(Duration::from_secs(3600)));
    }
}
