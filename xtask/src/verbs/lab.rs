//! `cargo xtask lab`: a director with traffic inside a guest, and ipvs-sampler watching it.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::setup;
use crate::{
    build::{Built, INIT, PROGRAM},
    debian::kernel::{Kernel, Series},
    exec::progress,
    guest::{
        console::{self, Event, Watch},
        initramfs,
        plan::Plan,
        qemu::{Accel, Boot, Vm},
        terminal,
    },
    paths::Workspace,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// End after this time, such as 30s; without it, at Ctrl-C
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<String>,
    /// The kernel to boot
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    kernel: Series,
    /// The sampler's --interval
    #[arg(long, value_name = "TIME")]
    interval: Option<String>,
    /// The sampler's --resolution
    #[arg(long, value_name = "TIME")]
    resolution: Option<String>,
    /// Give a shell in the director, traffic running, instead of running the sampler
    #[arg(long)]
    shell: bool,
    #[command(flatten)]
    setup: setup::Args,
    /// What else `ipvs-sampler run` shall be given
    #[arg(last = true)]
    sampler: Vec<String>,
}

/// What the guest says when the director is configured and the rest begins.
const READY_LINE: &str = "guest: ready";

/// From power-on to a configured director. Emulated on a loaded machine it may take a minute.
const READY: Duration = Duration::from_secs(180);
/// For the sampler to end after it was asked to.
const ENDING: Duration = Duration::from_secs(15);

pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&args.setup)?;
    let workspace = Workspace::find()?;
    let built = Built::for_guest(&workspace, None)?;
    let kernel = Kernel::get(args.kernel)?;
    let accel = Accel::choose(&kernel)?;
    // Before anything is made that has to be taken away again.
    let interrupted = terminal::interruption()?;
    let dir = tempfile::TempDir::with_prefix("ipvs-sampler-lab-")?;
    let initrd = dir.path().join("initrd");
    let run = initramfs::Run {
        init: built.find(INIT)?,
        sampler: built.find(PROGRAM)?,
        tests: &[],
        plan: &plan(args),
    };
    initramfs::write(&kernel, &run, &initrd)?;
    progress(format!("booting {} ({accel:?})", kernel.release));
    let image = kernel.image();
    let vm = Vm::boot(&Boot {
        image: &image,
        initrd: Some(&initrd),
        disk: None,
        accel,
    })?;
    let lab = Lab {
        vm,
        interrupted,
        watch: Watch::default(),
    };
    if args.shell {
        lab.shell()
    } else {
        lab.sampler()
    }
}

fn plan(args: &Args) -> Plan {
    if args.shell {
        let plan = Plan::new("shell");
        return match terminal::size() {
            Some((rows, columns)) => plan
                .with("rows", &rows.to_string())
                .with("columns", &columns.to_string()),
            None => plan,
        };
    }
    let options = [
        ("--interval", &args.interval),
        ("--resolution", &args.resolution),
        ("--for", &args.duration),
    ];
    let mut plan = Plan::new("lab").with("arg", "run");
    for (option, value) in options {
        if let Some(value) = value {
            plan = plan.with("arg", option).with("arg", value);
        }
    }
    args.sampler
        .iter()
        .fold(plan, |plan, arg| plan.with("arg", arg))
}

struct Lab {
    vm: Vm,
    interrupted: Arc<AtomicBool>,
    watch: Watch,
}

impl Lab {
    /// The sampler's output goes to standard output, everything else to standard error.
    fn sampler(mut self) -> Result<()> {
        let events = console::read(self.vm.console.try_clone()?);
        if !self.wait_ready(&events)? {
            return Ok(());
        }
        progress("ipvs-sampler is running; Ctrl-C ends it");
        // Set when the sampler's reader has gone away, as `head` does.
        let unread = Arc::new(AtomicBool::new(false));
        let copier = {
            let data = self.vm.data.try_clone()?;
            let unread = Arc::clone(&unread);
            thread::spawn(move || copy(data, &unread))
        };
        let mut asked: Option<Instant> = None;
        loop {
            match events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Line(line)) => self.line(&line)?,
                Ok(Event::Partial(text)) => self.watch.partial(text),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let stop = self.interrupted.load(Ordering::Relaxed) || unread.load(Ordering::Relaxed);
            match asked {
                None if stop => {
                    // Any byte makes the guest's init interrupt the sampler.
                    self.vm.data.write_all(b"q").context("the guest is gone")?;
                    asked = Some(Instant::now());
                }
                Some(since) if since.elapsed() > ENDING => {
                    progress("the sampler did not end in time; the guest is switched off");
                    return Ok(());
                }
                _ => {}
            }
        }
        // QEMU has ended, so the copier is at its end or will be.
        let _ = copier.join();
        match self.watch.exit() {
            Some(0) => Ok(()),
            _ if asked.is_some() => Ok(()),
            Some(code) => bail!("ipvs-sampler ended with {code} in the guest"),
            None => bail!("the guest ended without a result:\n{}", self.watch.tail()),
        }
    }

    /// The guest's console becomes this terminal.
    fn shell(mut self) -> Result<()> {
        let ready = {
            // Line by line until the shell starts; from there on every byte is the shell's.
            let mut lines = LineReader(self.vm.console.try_clone()?);
            let interrupted = Arc::clone(&self.interrupted);
            self.vm
                .console
                .set_read_timeout(Some(Duration::from_millis(200)))?;
            let begin = Instant::now();
            let mut line = Vec::new();
            loop {
                if interrupted.load(Ordering::Relaxed) {
                    break false;
                }
                if begin.elapsed() > READY {
                    bail!("the guest did not start:\n{}", self.watch.tail());
                }
                if !lines.read(&mut line)? {
                    continue;
                }
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                self.line(&text)?;
                if text == READY_LINE {
                    break true;
                }
            }
        };
        if !ready {
            return Ok(());
        }
        self.vm.console.set_read_timeout(None)?;
        progress("a shell in the director; `exit` or Ctrl-D ends it");
        let raw = terminal::Raw::enter();
        let keys = self.vm.console.try_clone()?;
        let is_terminal = raw.is_some();
        thread::spawn(move || forward_keys(keys, is_terminal));
        if !is_terminal {
            // Raw input would pass Ctrl-C on; here it shall end the wait below.
            let console = self.vm.console.try_clone()?;
            let interrupted = Arc::clone(&self.interrupted);
            thread::spawn(move || {
                while !interrupted.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(100));
                }
                // Already closed is what is wanted.
                let _ = console.shutdown(Shutdown::Both);
            });
        }
        copy(self.vm.console.try_clone()?, &AtomicBool::new(false));
        Ok(())
    }

    /// `false` if the person does not want to wait any longer.
    fn wait_ready(&mut self, events: &Receiver<Event>) -> Result<bool> {
        let begin = Instant::now();
        loop {
            match events.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Line(line)) if line == READY_LINE => return Ok(true),
                Ok(Event::Line(line)) => self.line(&line)?,
                Ok(Event::Partial(text)) => self.watch.partial(text),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the guest ended before it was ready:\n{}",
                        self.watch.tail()
                    )
                }
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if begin.elapsed() > READY {
                bail!("the guest did not start:\n{}", self.watch.tail());
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if let Err(reason) = self.watch.line(line) {
            bail!("{reason} in the guest:\n{}", self.watch.tail());
        }
        // Behind the guest's last line comes only the kernel's farewell.
        let last = self.watch.exit().is_some();
        if !line.is_empty() && line != READY_LINE && !last {
            eprintln!("{line}");
        }
        Ok(())
    }
}

/// Copies to standard output until the guest's side closes. When nobody reads ours any more, what
/// still comes is thrown away: the guest could not end while its serial port is full.
fn copy(mut from: UnixStream, unread: &AtomicBool) {
    let mut out = io::stdout();
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if unread.load(Ordering::Relaxed) {
            continue;
        }
        let written = out.write_all(&buffer[..length]).and_then(|()| out.flush());
        unread.store(written.is_err(), Ordering::Relaxed);
    }
}

fn forward_keys(mut to: UnixStream, is_terminal: bool) {
    let mut buffer = [0; 256];
    while let Ok(length @ 1..) = io::stdin().read(&mut buffer) {
        for piece in buffer[..length].chunks(8) {
            if to.write_all(piece).is_err() {
                return;
            }
            // The guest's serial port holds 16 bytes, and an emulated one is not quick.
            if !is_terminal {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    // The end of a script. Ctrl-D would be lost if it came while a command of the script runs,
    // because the terminal's mode changes in between. QEMU may be gone already.
    let _ = to.write_all(b"\nexit\n");
}

/// Reads byte by byte, so that nothing behind the line's end is taken.
struct LineReader(UnixStream);

impl LineReader {
    /// `true` when `line` holds a whole line; `false` when it is still to come.
    fn read(&mut self, line: &mut Vec<u8>) -> Result<bool> {
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte) {
                Ok(0) => bail!("the guest ended before it was ready"),
                Ok(_) if byte == *b"\n" => return Ok(true),
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
