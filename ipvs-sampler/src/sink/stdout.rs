//! Standard output.

use std::io::{self, Write as _};

use super::{lines::lines, output::Output, queue::Queue};

/// Standard output. Its reader is whoever started the program: when it fails, there is no use in
/// going on.
pub(super) struct Stdout;

impl Output for Stdout {
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(batch).and_then(|()| stdout.flush())?;
        queue.written(lines(batch));
        Ok(())
    }
}
