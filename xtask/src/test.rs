//! `cargo xtask test`: the host's tests, then the kernel tests inside each kernel.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    artifacts, build,
    console::{self, Event, Watch},
    ebpf, exec,
    exec::progress,
    initramfs,
    kernel::{Kernel, Series},
    paths::Workspace,
    plan::Plan,
    qemu::{Accel, Boot, Vm},
    setup,
    summary::Counts,
    terminal,
};

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Test in this kernel only, and not on the host; may be repeated
    #[arg(long = "kernel", value_name = "VERSION")]
    kernels: Vec<Series>,
    /// Run the host's tests only
    #[arg(long, conflicts_with = "kernels")]
    host_only: bool,
    #[command(flatten)]
    setup: setup::Args,
    /// Run only tests whose names contain this
    filter: Option<String>,
}

/// Longer than any test is silent, emulation included.
const SILENCE: Duration = Duration::from_secs(180);
const DEADLINE: Duration = Duration::from_secs(25 * 60);

/// How it went in one place.
struct Report {
    place: String,
    outcome: Outcome,
}

enum Outcome {
    Ran(Counts),
    /// The run broke off, for this reason.
    Broke(Counts, String),
    /// The kernel cannot be had, and need not.
    NotAvailable(String),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::find()?;
    let mut reports = Vec::new();
    if args.kernels.is_empty() {
        reports.push(on_host(args)?);
    }
    if !args.host_only {
        reports.extend(in_kernels(args, &workspace)?);
    }
    conclude(&reports)
}

/// `cargo test` of the default members, counted.
fn on_host(args: &Args) -> Result<Report> {
    progress("testing on the host");
    let mut child = exec::cargo()
        .args(["test", "--no-fail-fast"])
        .args(&args.filter)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        counts.line(&line);
    }
    let place = "host".to_owned();
    let outcome = match child.wait()? {
        status if status.success() || counts.failed > 0 => Outcome::Ran(counts),
        status => Outcome::Broke(counts, format!("`cargo test` failed ({status})")),
    };
    Ok(Report { place, outcome })
}

fn in_kernels(args: &Args, workspace: &Workspace) -> Result<Vec<Report>> {
    setup::ensure(&args.setup)?;
    let chosen = if args.kernels.is_empty() {
        &Series::ALL[..]
    } else {
        &args.kernels
    };
    let guest = Guest::build(workspace, args.filter.as_deref())?;
    // Before the first boot, so that a missing kernel is known early.
    let kernels: Vec<_> = chosen
        .iter()
        .map(|series| (*series, Kernel::get(*series)))
        .collect();
    let interrupted = terminal::interruption()?;
    in_parallel(kernels, |(series, kernel)| {
        let outcome = match kernel {
            Ok(kernel) => guest.run(&kernel, &interrupted)?,
            Err(error) if series.required() || !args.kernels.is_empty() => {
                Outcome::Broke(Counts::default(), format!("{error:#}"))
            }
            Err(error) => Outcome::NotAvailable(format!("{error:#}")),
        };
        Ok(Report {
            place: series.name().to_owned(),
            outcome,
        })
    })
}

/// Does the work on each item, on as many at once as there are processors: an emulated machine keeps
/// one of them busy. Results are in the items' order.
fn in_parallel<Item: Send, Done: Send>(
    items: Vec<Item>,
    work: impl Fn(Item) -> Result<Done> + Sync,
) -> Result<Vec<Done>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(items.into_iter().enumerate());
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut done = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    std::iter::from_fn(take)
                        .map(|(index, item)| (index, work(item)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let mut done = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(results) => done.extend(results),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What is booted in every kernel.
struct Guest {
    init: PathBuf,
    sampler: PathBuf,
    tests: Vec<(String, PathBuf)>,
    filter: Option<String>,
    plan: Plan,
    artifacts: PathBuf,
}

impl Guest {
    fn build(workspace: &Workspace, filter: Option<&str>) -> Result<Self> {
        let object = ebpf::build(workspace)?;
        let built = build::static_release(
            &object,
            &[
                "--package=ipvs-sampler",
                "--package=ipvs-sampler-tests",
                "--bin=ipvs-sampler",
                "--bin=guest-init",
                "--test=kernel",
            ],
        )?;
        let mut plan = Plan::new("test").with("test", "kernel");
        if let Some(filter) = filter {
            plan = plan.with("arg", filter);
        }
        Ok(Self {
            init: built.find("guest-init")?.to_owned(),
            sampler: built.find("ipvs-sampler")?.to_owned(),
            tests: vec![("kernel".into(), built.find("kernel")?.to_owned())],
            filter: filter.map(str::to_owned),
            plan,
            artifacts: workspace.target.join("artifacts"),
        })
    }

    /// Boots one kernel and follows it to its end. An error is the machine's; what goes wrong
    /// in the guest is an outcome.
    fn run(&self, kernel: &Kernel, interrupted: &Arc<AtomicBool>) -> Result<Outcome> {
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
        let broke = self.follow(name, &vm, interrupted, &mut counts, &mut watch)?;
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

    /// Echoes the console until QEMU ends; returns why it was not waited for, if so.
    fn follow(
        &self,
        name: &str,
        vm: &Vm,
        interrupted: &AtomicBool,
        counts: &mut Counts,
        watch: &mut Watch,
    ) -> Result<Option<String>> {
        let events = console::read(vm.console.try_clone()?);
        let begin = Instant::now();
        let mut heard = begin;
        let mut out = std::io::stdout();
        loop {
            match events.recv_timeout(Duration::from_millis(200)) {
                Ok(event) => {
                    heard = Instant::now();
                    let line = match event {
                        Event::Line(line) => line,
                        Event::Partial(text) => {
                            watch.partial(text);
                            continue;
                        }
                    };
                    writeln!(out, "[{name}] {line}")?;
                    counts.line(&line);
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
            if heard.elapsed() > SILENCE {
                return Ok(Some(format!("nothing heard for {} s", SILENCE.as_secs())));
            }
            if begin.elapsed() > DEADLINE {
                return Ok(Some(format!("not finished after {} s", DEADLINE.as_secs())));
            }
        }
    }
}

/// Prints the closing summary; an error if anything failed or nothing ran.
fn conclude(reports: &[Report]) -> Result<()> {
    let mut total = Counts::default();
    println!("\nsummary:");
    for Report { place, outcome } in reports {
        match outcome {
            Outcome::Ran(counts) => {
                total += *counts;
                println!("  {place:<5} {counts}");
            }
            Outcome::Broke(counts, reason) => {
                let counts = counts.at_least_one_failed();
                total += counts;
                println!("  {place:<5} {counts}: {reason}");
            }
            Outcome::NotAvailable(reason) => println!("  {place:<5} not available: {reason}"),
        }
    }
    let absent = reports
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::NotAvailable(_)))
        .count();
    if absent > 0 {
        println!("{absent} kernel(s) not available");
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}
