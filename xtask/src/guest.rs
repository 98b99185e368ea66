//! One guest: what is built for it, its boot, and how its tests ended.

use std::{
    io::Write as _,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    artifacts, build,
    console::{self, Event, Watch},
    ebpf,
    exec::progress,
    initramfs,
    kernel::Kernel,
    paths::Workspace,
    plan::Plan,
    qemu::{Accel, Boot, Vm},
    summary::Counts,
};

/// Longer than any test is silent, emulation included.
const SILENCE: Duration = Duration::from_secs(180);
/// Longer than all of them take where four emulated guests share two processors.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How it went.
pub(crate) enum Outcome {
    Ran(Counts),
    /// The run broke off, for this reason.
    Broke(Counts, String),
    /// The kernel cannot be had, and need not.
    NotAvailable(String),
}

/// What is booted in every kernel.
pub(crate) struct Guest {
    init: PathBuf,
    sampler: PathBuf,
    tests: Vec<(String, PathBuf)>,
    filter: Option<String>,
    plan: Plan,
    artifacts: PathBuf,
}

impl Guest {
    /// Builds the sampler and the test target `tests` of the package that runs in guests.
    pub(crate) fn build(workspace: &Workspace, tests: &str, filter: Option<&str>) -> Result<Self> {
        let object = ebpf::build(workspace)?;
        let built = build::static_release(
            &object,
            &[
                "--package=ipvs-sampler",
                "--package=ipvs-sampler-tests",
                "--bin=ipvs-sampler",
                "--bin=guest-init",
                &format!("--test={tests}"),
            ],
        )?;
        let mut plan = Plan::new("test").with("test", tests);
        if let Some(filter) = filter {
            plan = plan.with("arg", filter);
        }
        Ok(Self {
            init: built.find("guest-init")?.to_owned(),
            sampler: built.find("ipvs-sampler")?.to_owned(),
            tests: vec![(tests.into(), built.find(tests)?.to_owned())],
            filter: filter.map(str::to_owned),
            plan,
            artifacts: workspace.target.join("artifacts"),
        })
    }

    /// Its tests print to the console whether they pass or not.
    #[must_use]
    pub(crate) fn unheld(mut self) -> Self {
        self.plan = self.plan.with("arg", "--nocapture");
        self
    }

    /// Boots one kernel and follows it to its end. An error is the machine's; what goes wrong
    /// in the guest is an outcome. `heard` is told each line of the console.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        interrupted: &AtomicBool,
        heard: &mut dyn FnMut(&str),
    ) -> Result<Outcome> {
        let name = kernel.series.name();
        let accel = Accel::choose(kernel)?;
        let dir = tempfile::TempDir::with_prefix("ipvs-sampler-test-")?;
        let initrd = dir.path().join("initrd");
        let run = initramfs::Run {
            init: &self.init,
            sampler: &self.sampler,
            tests: &self.tests,
            plan: &self.plan,
        };
        initramfs::write(kernel, &run, &initrd)?;
        let disk = dir.path().join("disk");
        artifacts::create(&disk)?;
        progress(format!("booting {} ({accel:?})", kernel.release));
        let begin = Instant::now();
        let image = kernel.image();
        let vm = Vm::boot(&Boot {
            image: &image,
            initrd: Some(&initrd),
            disk: Some(&disk),
            accel,
        })?;
        let mut counts = Counts::default();
        let mut watch = Watch::default();
        let broke = follow(
            name,
            &vm,
            interrupted,
            &mut |line| {
                counts.line(line);
                heard(line);
            },
            &mut watch,
        )?;
        drop(vm);
        progress(format!(
            "{name} took {:.0} s",
            begin.elapsed().as_secs_f32()
        ));
        let to = self.artifacts.join(name);
        if artifacts::unpack(&disk, &to)? {
            progress(format!("the tests' files are in {}", to.display()));
        }
        let broke = broke.or_else(|| match watch.exit() {
            Some(0) if counts == Counts::default() && self.filter.is_none() => {
                Some("no test ran".to_owned())
            }
            Some(0) => None,
            Some(_) if counts.failed > 0 => None,
            Some(code) => Some(format!("the guest ended with {code}")),
            None => Some("the guest ended without a result".to_owned()),
        });
        Ok(match broke {
            None => Outcome::Ran(counts),
            Some(reason) => {
                eprint!(
                    "{name}: {reason}; the console's last lines:\n{}",
                    watch.tail()
                );
                Outcome::Broke(counts, reason)
            }
        })
    }
}

/// Echoes the console until QEMU ends; returns why it was not waited for, if so.
pub(crate) fn follow(
    name: &str,
    vm: &Vm,
    interrupted: &AtomicBool,
    heard: &mut dyn FnMut(&str),
    watch: &mut Watch,
) -> Result<Option<String>> {
    let events = console::read(vm.console.try_clone()?);
    let begin = Instant::now();
    let mut last = begin;
    let mut out = std::io::stdout();
    loop {
        match events.recv_timeout(Duration::from_millis(200)) {
            Ok(event) => {
                last = Instant::now();
                let line = match event {
                    Event::Line(line) => line,
                    Event::Partial(text) => {
                        watch.partial(text);
                        continue;
                    }
                };
                writeln!(out, "[{name}] {line}")?;
                heard(&line);
                if let Err(reason) = watch.line(&line) {
                    // The rest of the kernel's report is on its way.
                    while let Ok(event) = events.recv_timeout(Duration::from_secs(2)) {
                        if let Event::Line(line) = event {
                            writeln!(out, "[{name}] {line}")?;
                            // Already known to have failed.
                            let _ = watch.line(&line);
                        }
                    }
                    return Ok(Some(reason.to_owned()));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if last.elapsed() > SILENCE {
            return Ok(Some(format!("nothing heard for {} s", SILENCE.as_secs())));
        }
        if begin.elapsed() > DEADLINE {
            return Ok(Some(format!("not finished after {} s", DEADLINE.as_secs())));
        }
    }
}
