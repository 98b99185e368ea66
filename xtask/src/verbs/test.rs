//! `cargo xtask test`: the host's tests, those against real servers and Python's parser, the kernel tests
//! inside each kernel, then the packages.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Result;

use super::setup;
use crate::{
    cargo,
    debian::{
        kernel::{Kernel, Series},
        python, servers,
    },
    exec,
    exec::progress,
    guest::{qemu, run::Guest, terminal},
    libtest::Tests,
    package,
    paths::Workspace,
    report::{Outcome, Report, conclude},
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

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::find()?;
    let mut reports = Vec::new();
    if args.kernels.is_empty() {
        reports.push(on_host(args)?);
        reports.push(with_servers(args)?);
        reports.push(with_python(args)?);
    }
    let interrupted = terminal::interruption()?;
    if !args.host_only {
        reports.extend(in_kernels(args, &workspace, &interrupted)?);
    }
    // Who chose something chose something else.
    if !args.host_only && args.kernels.is_empty() && args.filter.is_none() {
        reports.extend(package::reports(&workspace, &interrupted)?);
    }
    conclude(&reports)
}

/// `cargo test` of the default members.
fn on_host(args: &Args) -> Result<Report> {
    progress("testing on the host");
    counted(
        "host",
        cargo::command()
            .args(["test", "--no-fail-fast"])
            .args(&args.filter),
    )
}

/// The tests against real servers, where these can be had.
fn with_servers(args: &Args) -> Result<Report> {
    progress("testing against real servers");
    const PLACE: &str = "servers";
    match servers::get() {
        Ok(dir) => counted(PLACE, &mut target(args, PLACE, servers::VARIABLE, &dir)),
        Err(error) => Ok(Report::without(PLACE, &error, servers::required())),
    }
}

/// Our lines before a parser of Python's. It is not Debian's, so no machine has to have it.
fn with_python(args: &Args) -> Result<Report> {
    progress("testing with Python's parser of line protocol");
    const PLACE: &str = "python";
    match python::get() {
        Ok(dir) => counted(PLACE, &mut target(args, PLACE, python::VARIABLE, &dir)),
        Err(error) => Ok(Report::without(PLACE, &error, false)),
    }
}

/// `cargo test` of one of the targets in tests, which finds in `variable` what it needs.
fn target(args: &Args, name: &str, variable: &str, dir: &Path) -> Command {
    let mut command = cargo::command();
    command
        .args(["test", "--no-fail-fast", "--package=ipvs-sampler-tests"])
        .args(["--test", name])
        .args(&args.filter)
        .env(variable, dir);
    command
}

/// Runs `cargo test` and counts what it says.
fn counted(place: &str, command: &mut Command) -> Result<Report> {
    let mut tests = Tests::default();
    let status = exec::each_line(command, |line| {
        println!("{line}");
        tests.line(line);
    })?;
    let counts = tests.counts();
    let outcome = match status {
        status if status.success() || counts.failed > 0 => Outcome::Ran(counts),
        status => Outcome::Broke(counts, format!("`cargo test` failed ({status})")),
    };
    Ok(Report {
        place: place.to_owned(),
        outcome,
        failed: tests.failed().to_vec(),
    })
}

fn in_kernels(args: &Args, workspace: &Workspace, interrupted: &AtomicBool) -> Result<Vec<Report>> {
    setup::ensure(&args.setup)?;
    let chosen = if args.kernels.is_empty() {
        &Series::ALL[..]
    } else {
        &args.kernels
    };
    let guest = Guest::build(workspace, "kernel", args.filter.as_deref())?;
    // Before the first boot, so that a missing kernel is known early.
    let kernels: Vec<_> = chosen
        .iter()
        .map(|series| (*series, Kernel::get(*series)))
        .collect();
    let (all, ended) = (kernels.len(), AtomicUsize::new(0));
    in_parallel(kernels, |(series, kernel)| {
        let report = match kernel {
            Ok(kernel) => guest.run(&kernel, interrupted, &mut |_| ())?,
            Err(error) => {
                let required = series.required() || !args.kernels.is_empty();
                Report::without(series.name(), &error, required)
            }
        };
        let ended = 1 + ended.fetch_add(1, Ordering::Relaxed);
        progress(format!("{ended} of {all} kernels done"));
        Ok(report)
    })
}

/// Does the work on each item, on as many at once as guests may run. Results are in the items' order.
fn in_parallel<Item: Send, Done: Send>(
    items: Vec<Item>,
    work: impl Fn(Item) -> Result<Done> + Sync,
) -> Result<Vec<Done>> {
    let workers = guests_at_once();
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

/// A guest keeps a processor busy from its boot to its end, and needs its memory.
fn guests_at_once() -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let known = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let room = available_kib(&known).map_or(usize::MAX, |kib| kib / qemu::GUEST_KIB);
    processors.min(room).max(1)
}

/// Memory that can be had without swapping, of /proc/meminfo.
fn available_kib(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::available_kib;

    #[test]
    fn memory_that_can_be_had_is_read() {
        let text = "MemTotal:       24584052 kB\nMemAvailable:   22017468 kB\n";
        assert_eq!(available_kib(text), Some(22_017_468));
        assert_eq!(available_kib(""), None);
    }
}
