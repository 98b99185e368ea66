//! A sampler that writes into a file: nobody has to keep up with reading its lines.

use std::{fs, thread, time::Duration};

use support::{eventually, lines::Line, sampler, sampler::Sampler};

const OUTPUT: &str = "/tmp/measured";
/// `USER_HZ`, in which /proc counts CPU time.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running `ipvs-sampler run` in mode live.
pub(crate) struct Measured(Sampler);

impl Measured {
    /// Starts it and waits for its first complete snapshot.
    pub(crate) fn start(arguments: &str) -> Self {
        let _ = fs::remove_file(OUTPUT);
        let mut command = sampler::command("run --ebpf require --host off");
        command
            .args(["--output", &format!("file:{OUTPUT}")])
            .args(arguments.split_whitespace());
        let measured = Self(Sampler::spawn(command));
        // Shorter ticks than it can serve make it slow to begin.
        let first = eventually("a first report", || measured.report());
        assert_eq!(first.texts["mode"], "live", "{}", first.texts["reason"]);
        measured
    }

    /// The last report about itself that is written.
    fn report(&self) -> Option<Line> {
        let text = fs::read_to_string(OUTPUT).ok()?;
        let (whole, _) = text.rsplit_once('\n')?;
        let line = whole
            .lines()
            .rev()
            .find(|line| line.starts_with("ipvs_sampler "))?;
        Some(Line::parse(line))
    }

    /// Waits for the next report, and takes its fields and the CPU time up to then, in seconds.
    pub(crate) fn next(&self) -> (Line, f64) {
        let ticks = |line: &Line| line.number("ticks");
        let before = self.report().map_or(0, |line| ticks(&line));
        let line = eventually("another report", || {
            thread::sleep(Duration::from_millis(200));
            self.report().filter(|line| ticks(line) > before)
        });
        (line, self.cpu_time())
    }

    /// User and system time of all its threads, in seconds.
    fn cpu_time(&self) -> f64 {
        // Behind the name, which may contain anything: utime and stime are fields 14 and 15
        // (proc_pid_stat(5)), the state is field 3.
        cpu_fields(&format!("/proc/{}/stat", self.0.id()), [11, 12])
    }

    /// `VmRSS` or `VmHWM`, in MB of a million bytes.
    pub(crate) fn memory(&self, name: &str) -> f64 {
        let path = format!("/proc/{}/status", self.0.id());
        let text = fs::read_to_string(path).expect("status");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("no {name}"));
        let kibibytes: f64 = line
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        kibibytes * 1024.0 / 1e6
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // Its messages tell why, when a measurement fails.
        eprint!("{}", self.0.messages());
    }
}

/// CPU time of the children that we have waited for, in seconds.
pub(crate) fn children() -> f64 {
    cpu_fields("/proc/self/stat", [13, 14])
}

fn cpu_fields(path: &str, fields: [usize; 2]) -> f64 {
    let text = fs::read_to_string(path).expect("stat");
    let (_, behind_name) = text.rsplit_once(") ").expect("a name");
    let words: Vec<_> = behind_name.split(' ').collect();
    let ticks = fields.map(|field| words[field].parse::<f64>().expect("a number"));
    ticks.iter().sum::<f64>() / TICKS_PER_SECOND
}
