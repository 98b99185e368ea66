//! The sampler under test, as its user runs it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
};

use super::{eventually, lines::Line};

const BINARY: &str = "/bin/ipvs-sampler";

/// Runs the sampler to its end.
pub fn output(arguments: &str) -> Output {
    command(arguments).output().expect("running the sampler")
}

/// `once --format influx`.
pub fn once() -> Vec<Line> {
    let output = output("once");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(Line::parse)
        .collect()
}

/// The command, to be varied.
pub fn command(arguments: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments.split_whitespace());
    command
}

/// A running `ipvs-sampler run`.
pub struct Sampler {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    readers: Vec<JoinHandle<()>>,
    messages: Arc<Mutex<String>>,
}

/// How it ended.
pub struct Ended {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// All of its lines.
    pub lines: Vec<Line>,
    /// What it said on standard error.
    pub messages: String,
}

impl Sampler {
    /// Starts `run` with these arguments and waits for its first complete snapshot.
    pub fn run(arguments: &str) -> Self {
        let mut sampler = Self::spawn(command(&format!("run {arguments}")));
        eventually("a first report of the sampler", || {
            let ended = sampler.child.try_wait().expect("waiting");
            assert!(ended.is_none(), "{ended:?}: {}", sampler.messages());
            sampler.report()
        });
        sampler
    }

    /// As [`Sampler::run`], and the probe must be counting: connections by events alone.
    pub fn counting(arguments: &str) -> Self {
        let sampler = Self::run(&format!("--ebpf require --live off {arguments}"));
        let report = sampler.report().expect("a report");
        assert_eq!(report.texts["mode"], "events");
        sampler
    }

    /// As [`Sampler::run`], and every counter must be read live.
    pub fn live(arguments: &str) -> Self {
        let sampler = Self::run(&format!("--ebpf require {arguments}"));
        let report = sampler.report().expect("a report");
        assert_eq!(report.texts["mode"], "live", "{}", report.texts["reason"]);
        sampler
    }

    /// Starts a command and reads what it prints.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting the sampler");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let messages = Arc::new(Mutex::new(String::new()));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let (to_lines, to_messages) = (Arc::clone(&lines), Arc::clone(&messages));
        let (as_read, to_parse) = mpsc::channel();
        let readers = vec![
            // It does nothing but read: a reader that is slow is what other tests are about.
            thread::spawn(move || {
                for line in stdout.lines() {
                    as_read.send(line.expect("text")).expect("a parser");
                }
            }),
            thread::spawn(move || {
                for line in to_parse {
                    let line = Line::parse(&line);
                    to_lines.lock().expect("lines").push(line);
                }
            }),
            thread::spawn(move || {
                for line in stderr.lines() {
                    let line = line.expect("text");
                    to_messages
                        .lock()
                        .expect("messages")
                        .push_str(&format!("{line}\n"));
                }
            }),
        ];
        Self {
            child,
            lines,
            readers,
            messages,
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().expect("lines").clone()
    }

    /// The last line that fits. Cheaper than looking through a copy of all lines where there are many.
    pub fn find(&self, mut fits: impl FnMut(&Line) -> bool) -> Option<Line> {
        let lines = self.lines.lock().expect("lines");
        lines.iter().rfind(|line| fits(line)).cloned()
    }

    /// How many lines so far.
    pub fn count(&self) -> usize {
        self.lines.lock().expect("lines").len()
    }

    /// The last report of the sampler about itself.
    pub fn report(&self) -> Option<Line> {
        self.find(|line| line.measurement == "ipvs_sampler")
    }

    /// Waits for the next complete snapshot that was begun after this call.
    pub fn next_report(&self) -> Line {
        let before = self.report().map_or(0, |line| line.number("ticks"));
        let later = |at_least: u64| {
            eventually("another report", || {
                self.report().filter(|line| line.number("ticks") > at_least)
            })
        };
        let first = later(before);
        later(first.number("ticks"))
    }

    /// Says something on its standard input, which has to be a pipe.
    pub fn say(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        stdin.write_all(text.as_bytes()).expect("writing");
    }

    /// Closes its standard input.
    pub fn hang_up(&mut self) {
        self.child.stdin.take();
    }

    /// A number of kB from /proc/PID/status, such as `VmRSS`.
    pub fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("its status");
        let line = status
            .lines()
            .find(|line| line.starts_with(field))
            .expect("such a line");
        let number = line.split_whitespace().nth(1).expect("a number");
        number.parse().expect("a number")
    }

    /// What it said on standard error so far.
    pub fn messages(&self) -> String {
        self.messages.lock().expect("messages").clone()
    }

    /// Ends it as a service manager does, and collects everything.
    pub fn stop(mut self) -> Ended {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Ended {
        let code = self.child.wait().expect("waiting").code();
        for reader in self.readers.drain(..) {
            reader.join().expect("every line is well formed");
        }
        Ended {
            code,
            lines: self.lines(),
            messages: self.messages(),
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let ended = self.child.wait();
        if thread::panicking() {
            let (messages, report) = (self.messages(), self.report());
            println!(
                "the sampler ended with {ended:?}, last {report:?}, and had said:\n{messages}"
            );
        }
    }
}

/// Reads a stream to its end, for a test that does not want lines.
pub fn drain(mut stream: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("reading");
    bytes
}
