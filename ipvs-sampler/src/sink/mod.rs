//! Bytes out. The loop hands over whole batches and never waits for whoever reads them.

mod queue;
mod target;

use std::{
    io::{self, Write},
    sync::Arc,
    thread,
    time::Duration,
};

use queue::Queue;
pub use target::Target;

/// How many bytes may wait for a slow reader. Above that the oldest batch goes, and is counted.
const MOST_BYTES_WAITING: usize = 64 * 1024 * 1024;

/// A writer on a thread of its own behind a bounded queue.
pub struct Sink {
    queue: Arc<Queue>,
}

impl Sink {
    /// Starts writing to `output`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(output: Box<dyn Write + Send>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(MOST_BYTES_WAITING));
        let shared = Arc::clone(&queue);
        thread::Builder::new()
            .name("output".into())
            .spawn(move || write(&shared, output))?;
        Ok(Self { queue })
    }

    /// Hands a batch of whole lines over and leaves an empty buffer in its place.
    pub fn push(&self, batch: &mut Vec<u8>) {
        if !batch.is_empty() {
            self.queue.push(batch);
        }
    }

    /// Lines that were dropped because the reader was too slow.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.queue.dropped_lines()
    }

    /// Waits for the output to fail. The error is kept for [`Sink::close`].
    pub async fn failed(&self) {
        self.queue.failed().await;
    }

    /// Lets the writer finish what waits, for at most `patience`.
    ///
    /// # Errors
    /// What the writer failed with, or `TimedOut` when it did not finish.
    pub fn close(&self, patience: Duration) -> io::Result<()> {
        self.queue.close(patience)
    }
}

fn write(queue: &Queue, mut output: Box<dyn Write + Send>) {
    let mut batch = Vec::new();
    let mut result = Ok(());
    while result.is_ok() && queue.take(&mut batch) {
        result = output.write_all(&batch).and_then(|()| output.flush());
    }
    queue.finish(result);
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::mpsc,
        time::Duration,
    };

    use super::Sink;

    struct Collect(mpsc::Sender<Vec<u8>>);

    impl Write for Collect {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .send(bytes.to_vec())
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn closing_writes_what_waits() {
        let (sender, written) = mpsc::channel();
        let sink = Sink::new(Box::new(Collect(sender))).unwrap();
        for line in [b"one\n".to_vec(), b"two\n".to_vec()] {
            let mut batch = line;
            sink.push(&mut batch);
            assert!(batch.is_empty());
        }
        sink.close(Duration::from_secs(60)).unwrap();
        assert_eq!(written.iter().collect::<Vec<_>>().concat(), b"one\ntwo\n");
    }

    #[test]
    fn a_failure_is_told_and_kept() {
        let (sender, written) = mpsc::channel();
        drop(written);
        let sink = Sink::new(Box::new(Collect(sender))).unwrap();
        sink.push(&mut b"lost\n".to_vec());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(sink.failed());
        let error = sink.close(Duration::from_secs(60)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
