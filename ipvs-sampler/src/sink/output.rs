//! What an output is.

use std::{io, time::Duration};

use super::queue::Queue;

/// What can be written to. It heals what can be healed, counts what is lost, and returns only what
/// ends the program.
pub(super) trait Output: Send {
    /// Writes a batch of whole lines, however long that takes.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()>;

    /// Whether it would rather have many batches at once.
    fn gather(&self) -> Option<Gather> {
        None
    }
}

/// How an output would have its batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    /// Not more often than that, as long as there is not more than
    pub(super) every: Duration,
    /// this many bytes, which is the most it would have at once.
    pub(super) most_bytes: usize,
}
