//! One guest: what is built for it, its boot, and how its tests ended.

use std::{
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::{
    build::{Built, INIT, PROGRAM},
    debian::kernel::Kernel,
    exec::progress,
    guest::{
        artifacts,
        console::{self, Event, Watch},
        initramfs,
        plan::Plan,
        qemu::{Accel, Boot, Vm},
        silence::Silence,
    },
    libtest::{Counts, Tests},
    paths::Workspace,
    report::{Outcome, Report},
};

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
        let built = Built::for_guest(workspace, Some(tests))?;
        // What a failed test has to say is wanted when it fails, and not at the end that may never come.
        let mut plan = Plan::new("test")
            .with("test", tests)
            .with("arg", "--nocapture");
        if let Some(filter) = filter {
            plan = plan.with("arg", filter);
        }
        Ok(Self {
            init: built.find(INIT)?.to_owned(),
            sampler: built.find(PROGRAM)?.to_owned(),
            tests: vec![(tests.into(), built.find(tests)?.to_owned())],
            filter: filter.map(str::to_owned),
            plan,
            artifacts: workspace.target.join("artifacts"),
        })
    }

    /// Boots one kernel and follows it to its end. An error is the machine's; what goes wrong
    /// in the guest is an outcome. `heard` is told each line of the console.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        interrupted: &AtomicBool,
        heard: &mut dyn FnMut(&str),
    ) -> Result<Report> {
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
        let ended = follow(name, &vm, interrupted, heard)?;
        drop(vm);
        progress(format!(
            "{name} took {:.0} s",
            begin.elapsed().as_secs_f32()
        ));
        let to = self.artifacts.join(name);
        if artifacts::unpack(&disk, &to)? {
            progress(format!("the tests' files are in {}", to.display()));
        }
        // Who chose some may have chosen none.
        Ok(ended.report(name, self.filter.is_some()))
    }
}

/// What was heard of a guest that has ended, or was ended.
pub(crate) struct Ended {
    watch: Watch,
    tests: Tests,
    /// Why it was not waited for.
    broke: Option<String>,
}

impl Ended {
    /// How it went. `may_be_empty` is whether it is right when no test ran.
    pub(crate) fn report(self, place: &str, may_be_empty: bool) -> Report {
        let counts = self.tests.counts();
        let broke = self.broke.or_else(|| match self.watch.exit() {
            Some(0) if counts == Counts::default() && !may_be_empty => {
                Some("no test ran".to_owned())
            }
            Some(0) => None,
            Some(_) if counts.failed > 0 => None,
            Some(code) => Some(format!("the guest ended with {code}")),
            None => Some("the guest ended without a result".to_owned()),
        });
        let outcome = match broke {
            None => Outcome::Ran(counts),
            Some(reason) => {
                eprint!(
                    "{place}: {reason}; the console's last lines:\n{}",
                    self.watch.tail()
                );
                Outcome::Broke(counts, format!("{reason}, after {} tests", self.tests))
            }
        };
        Report {
            place: place.to_owned(),
            outcome,
            failed: self.tests.failed().to_vec(),
        }
    }
}

/// Echoes the console until QEMU ends, each line with how many tests have ended.
pub(crate) fn follow(
    name: &str,
    vm: &Vm,
    interrupted: &AtomicBool,
    heard: &mut dyn FnMut(&str),
) -> Result<Ended> {
    let events = console::read(vm.console.try_clone()?);
    let mut silence = Silence::begin(vm.process());
    let mut ended = Ended {
        watch: Watch::default(),
        tests: Tests::default(),
        broke: None,
    };
    loop {
        match events.recv_timeout(Duration::from_millis(200)) {
            Ok(event) => {
                silence.broken();
                let line = match event {
                    Event::Line(line) => line,
                    Event::Partial(text) => {
                        ended.watch.partial(text);
                        continue;
                    }
                };
                ended.tests.line(&line);
                heard(&line);
                println!("[{name}: {}] {line}", ended.tests);
                if let Err(reason) = ended.watch.line(&line) {
                    // The rest of the kernel's report is on its way.
                    while let Ok(event) = events.recv_timeout(Duration::from_secs(2)) {
                        if let Event::Line(line) = event {
                            println!("[{name}: {}] {line}", ended.tests);
                            // Already known to have failed.
                            let _ = ended.watch.line(&line);
                        }
                    }
                    ended.broke = Some(reason.to_owned());
                    return Ok(ended);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(ended),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if let Some(reason) = silence.too_long() {
            ended.broke = Some(reason);
            return Ok(ended);
        }
    }
}
