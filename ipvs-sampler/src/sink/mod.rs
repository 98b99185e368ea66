//! Bytes out. The loop hands over whole batches and never waits for whoever reads them: each output
//! has a queue and a thread of its own.

mod datagram;
mod file;
mod influx;
mod lines;
mod link;
mod name;
mod output;
mod page;
mod prometheus;
mod pulse;
mod queue;
mod retry;
mod size;
mod stdout;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod trouble;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use output::{Gather, Output};
pub use page::{PageFormat, Pages, Wanted};
use pulse::Pulse;
use queue::Queue;
pub use queue::{Deleted, LineCounts, RequestCounts};
pub use size::bytes;
use target::Opened;
pub use target::Target;
use tokio::sync::Notify;

/// All outputs.
pub struct Sinks {
    sinks: Vec<Sink>,
    /// Outputs that take pages in place of batches.
    servers: Vec<(String, prometheus::Server)>,
    pages: Arc<Pages>,
    pulse: Arc<Pulse>,
    /// They are not written to any more, but may not have finished what waits.
    former: Vec<Sink>,
    /// What outputs gave up which are no more.
    dropped_formerly: u64,
    failed: Arc<Notify>,
    /// How many bytes may wait for each of them. Above that the oldest lines go, and are counted.
    most_bytes: usize,
}

/// A writer on a thread of its own behind a bounded queue.
struct Sink {
    label: String,
    /// Its reader is whoever started the program, and wants to know.
    standard_output: bool,
    queue: Arc<Queue>,
}

/// How an output is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputReport<'a> {
    /// Which output.
    pub label: &'a str,
    /// What became of its lines.
    pub counts: LineCounts,
    /// Bytes that wait for it.
    pub waiting: usize,
}

impl Sinks {
    /// Opens all targets and starts writing to them; at most this many bytes wait for each.
    ///
    /// # Errors
    /// Which one cannot be opened, and why.
    pub fn open(targets: &[Target], most_bytes: usize) -> Result<Self, (String, io::Error)> {
        let mut sinks = Self {
            sinks: Vec::new(),
            servers: Vec::new(),
            former: Vec::new(),
            dropped_formerly: 0,
            pages: Arc::default(),
            pulse: Arc::default(),
            failed: Arc::default(),
            most_bytes,
        };
        sinks.change_to(targets)?;
        Ok(sinks)
    }

    /// Goes over to other targets. Those that stay keep what waits for them; those that go finish it.
    ///
    /// # Errors
    /// Which one cannot be opened, and why. Then everything stays as it was.
    pub fn change_to(&mut self, targets: &[Target]) -> Result<(), (String, io::Error)> {
        let labels: Vec<_> = targets.iter().map(Target::to_string).collect();
        let (mut sinks, mut servers) = (Vec::new(), Vec::new());
        for (index, (target, label)) in targets.iter().zip(&labels).enumerate() {
            let twice = labels[..index].contains(label);
            if twice || self.reports().any(|report| report.label == label) {
                continue;
            }
            let opened = target.open(&self.pages, &self.pulse).and_then(|opened| {
                match opened {
                    Opened::Lines(output) => {
                        let mut sink =
                            Sink::new(label.clone(), output, &self.failed, self.most_bytes)?;
                        sink.standard_output = target.is_standard_output();
                        sinks.push(sink);
                    }
                    Opened::Pages(server) => servers.push((label.clone(), server)),
                }
                Ok(())
            });
            opened.map_err(|error| (label.clone(), error))?;
        }
        let finished = self.former.extract_if(.., |sink| sink.queue.has_finished());
        for sink in finished {
            self.dropped_formerly += sink.lost();
            sink.last_word(Instant::now());
        }
        let gone = self
            .sinks
            .extract_if(.., |sink| !labels.contains(&sink.label));
        self.former.extend(gone.inspect(|sink| sink.queue.close()));
        let gone = self
            .servers
            .extract_if(.., |(label, _)| !labels.contains(label));
        for (_, server) in gone {
            server.close();
            self.dropped_formerly += server.counts().dropped;
        }
        if self.servers.is_empty() {
            self.pages.clear();
        }
        self.sinks.append(&mut sinks);
        self.servers.append(&mut servers);
        Ok(())
    }

    /// Where pages go, when there is an output for them.
    #[must_use]
    pub fn pages(&self) -> Option<&Pages> {
        (!self.servers.is_empty()).then_some(&*self.pages)
    }

    /// There was a tick, with a mode for each network namespace; the next one is due after `period`.
    pub fn ticked(&self, period: Duration, modes: impl Iterator<Item = &'static str>) {
        self.pulse.beat(period, modes);
        self.pages.set_period(period);
    }

    /// Hands a batch of whole lines to each output and leaves an empty buffer in its place.
    pub fn push(&self, batch: &mut Vec<u8>) {
        let Some((last, others)) = self.sinks.split_last().filter(|_| !batch.is_empty()) else {
            // With nobody to take lines they would become more and more.
            batch.clear();
            return;
        };
        for sink in others {
            sink.say_overflow(sink.queue.push_copy(batch));
        }
        last.say_overflow(last.queue.push(batch));
    }

    /// How each is doing.
    pub fn reports(&self) -> impl Iterator<Item = OutputReport<'_>> {
        let sinks = self.sinks.iter().map(|sink| {
            let (counts, waiting) = sink.queue.counts();
            OutputReport {
                label: &sink.label,
                counts,
                waiting,
            }
        });
        let servers = self.servers.iter().map(|(label, server)| OutputReport {
            label,
            counts: server.counts(),
            waiting: 0,
        });
        sinks.chain(servers)
    }

    /// Lines that were given up, over all outputs.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        let sinks = self.sinks.iter().chain(&self.former).map(Sink::lost);
        let servers = self
            .servers
            .iter()
            .map(|(_, server)| server.counts().dropped);
        sinks.chain(servers).sum::<u64>() + self.dropped_formerly
    }

    /// Files are to be opened again, because somebody has moved them away, and names looked up again.
    pub fn reopen(&self) {
        for sink in &self.sinks {
            sink.queue.reopen();
        }
    }

    /// Waits for an output to fail for good. The error is kept for [`Sinks::close`]. One that is not written
    /// to any more has nobody to tell.
    pub async fn failed(&self) {
        while !self.sinks.iter().any(|sink| sink.queue.has_failed()) {
            self.failed.notified().await;
        }
    }

    /// Lets the writers finish what waits, for at most `patience` together.
    ///
    /// # Errors
    /// Which one failed, and how: `TimedOut` when it did not finish.
    pub fn close(&self, patience: Duration) -> Result<(), (String, io::Error)> {
        let deadline = Instant::now() + patience;
        for sink in &self.sinks {
            sink.queue.close();
        }
        self.pages.close();
        for (_, server) in &self.servers {
            server.close();
        }
        let mut outcome = Ok(());
        for sink in &self.sinks {
            match sink.queue.finished(deadline) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && !sink.standard_output => {
                    log::warn!("{}: {error}", sink.label);
                }
                finished => {
                    let finished = finished.map_err(|error| (sink.label.clone(), error));
                    outcome = outcome.and(finished);
                }
            }
        }
        for sink in &self.former {
            sink.last_word(deadline);
        }
        for (_, server) in &self.servers {
            server.finished(deadline);
        }
        outcome
    }
}

impl Sink {
    fn new(
        label: String,
        output: Box<dyn Output>,
        failed: &Arc<Notify>,
        most_bytes: usize,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(most_bytes, Arc::clone(failed)));
        let (shared, to_thread) = (Arc::clone(&queue), label.clone());
        thread::Builder::new()
            .name("output".into())
            .spawn(move || write(&to_thread, &shared, output))?;
        Ok(Self {
            label,
            standard_output: false,
            queue,
        })
    }

    /// Says that its queue has become too long.
    fn say_overflow(&self, dropped: Option<u64>) {
        if let Some(lines) = dropped {
            log::warn!(
                "{}: queue full, {lines} lines dropped, the oldest first; \
                 ipvs_sampler_output counts further losses",
                self.label
            );
        }
    }

    /// Lines that it has given up, or that were refused.
    fn lost(&self) -> u64 {
        let (counts, _) = self.queue.counts();
        counts.dropped + counts.rejected
    }

    /// Waits until one that is not written to any more has finished.
    fn last_word(&self, deadline: Instant) {
        if let Err(error) = self.queue.finished(deadline) {
            log::warn!("{}: {error}", self.label);
        }
    }
}

impl Drop for Sink {
    /// What waits is written, and then its thread ends.
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn write(label: &str, queue: &Queue, mut output: Box<dyn Output>) {
    let mut batch = Vec::new();
    let mut result = Ok(());
    let mut last = Instant::now();
    while result.is_ok() && queue.take(&mut batch) {
        if let Some(Gather { every, most_bytes }) = output.gather() {
            queue.gather(&mut batch, last + every, most_bytes);
            last = Instant::now();
        }
        result = output.write(&batch, queue);
        if let Some(lines) = queue.end_overflow() {
            log::info!("{label}: the queue has room again; {lines} lines were dropped");
        }
    }
    queue.finish(result);
}
