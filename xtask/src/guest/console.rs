//! What a guest's console says: the guest's own result lines, and the kernel's last words.

use std::{
    collections::VecDeque,
    io::Read,
    sync::mpsc::{self, Receiver},
    thread,
};

/// A piece of the console's output.
pub(crate) enum Event {
    /// A whole line, without its end.
    Line(String),
    /// The beginning of a line, as far as it has come: libtest names a test before it runs.
    Partial(String),
}

/// Reads the console on a thread; the channel closes when QEMU does.
pub(crate) fn read(mut console: impl Read + Send + 'static) -> Receiver<Event> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = Lines::default();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = console.read(&mut buffer) {
            let complete = lines.push(&buffer[..length]);
            let partial = Event::Partial(lines.partial());
            let events = complete.into_iter().map(Event::Line).chain([partial]);
            for event in events {
                if sender.send(event).is_err() {
                    return;
                }
            }
        }
    });
    receiver
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            complete.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        complete
    }

    fn partial(&self) -> String {
        String::from_utf8_lossy(&self.0).trim_end().to_owned()
    }
}

/// Follows the lines of one guest's life.
#[derive(Default)]
pub(crate) struct Watch {
    exits: Vec<i32>,
    lockups: u32,
    stalls: u32,
    tail: VecDeque<String>,
    partial: String,
}

const TAIL: usize = 40;

impl Watch {
    /// Takes what has come of a line that is not finished.
    pub(crate) fn partial(&mut self, text: String) {
        self.partial = text;
    }

    /// Takes the next line; an error says why it makes no sense to wait any longer.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), &'static str> {
        self.partial.clear();
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        if let Some(code) = line.strip_prefix("guest: exit ") {
            // A garbled code must not pass for success.
            self.exits.push(code.trim().parse().unwrap_or(-1));
        }
        if line.contains("Kernel panic") {
            return Err("the kernel panicked");
        }
        // One of these can be a slow host's doing; a second one means that it does not end.
        if line.contains("soft lockup") {
            self.lockups += 1;
        }
        if line.contains("rcu: INFO:") && line.contains("detected") && line.contains("stall") {
            self.stalls += 1;
        }
        if self.lockups > 1 {
            return Err("a CPU is locked up");
        }
        if self.stalls > 1 {
            return Err("RCU is stalled");
        }
        Ok(())
    }

    /// The guest's exit code, if it said one, and one only.
    pub(crate) fn exit(&self) -> Option<i32> {
        match self.exits[..] {
            [code] => Some(code),
            _ => None,
        }
    }

    /// The last lines, for the report of a failure.
    pub(crate) fn tail(&self) -> String {
        self.tail
            .iter()
            .chain((!self.partial.is_empty()).then_some(&self.partial))
            .map(|line| format!("  | {line}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        assert!(lines.push(b"gue").is_empty());
        assert_eq!(
            lines.push(b"st: exit 0\r\nnext\n\nrest"),
            ["guest: exit 0", "next", ""]
        );
        assert_eq!(lines.push(b"\n"), ["rest"]);
    }

    #[test]
    fn one_exit_line_is_a_result_and_two_are_not() {
        let mut watch = Watch::default();
        assert_eq!(watch.exit(), None);
        watch.line("test a ... ok").unwrap();
        watch.line("guest: exit 0").unwrap();
        assert_eq!(watch.exit(), Some(0));
        watch.line("guest: exit 0").unwrap();
        assert_eq!(watch.exit(), None);
    }

    #[test]
    fn the_tail_ends_with_the_unfinished_line() {
        let mut watch = Watch::default();
        watch.line("running 1 test").unwrap();
        watch.partial("test hangs ...".to_owned());
        assert_eq!(watch.tail(), "  | running 1 test\n  | test hangs ...\n");
        watch.line("test hangs ... ok").unwrap();
        assert_eq!(watch.tail(), "  | running 1 test\n  | test hangs ... ok\n");
    }

    #[test]
    fn a_garbled_exit_is_no_success() {
        let mut watch = Watch::default();
        watch.line("guest: exit 0x").unwrap();
        assert_eq!(watch.exit(), Some(-1));
    }

    #[test]
    fn a_panic_ends_it_and_so_does_a_second_stall() {
        let stall = "[   60.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:";
        let mut watch = Watch::default();
        watch.line(stall).unwrap();
        watch.line(stall).unwrap_err();
        let mut watch = Watch::default();
        watch
            .line("watchdog: BUG: soft lockup - CPU#0 stuck for 22s!")
            .unwrap();
        watch
            .line("watchdog: BUG: soft lockup - CPU#0 stuck for 22s!")
            .unwrap_err();
        Watch::default()
            .line("[ 2.0] Kernel panic - not syncing: x")
            .unwrap_err();
    }
}
