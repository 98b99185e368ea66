//! Reads the command line, runs, and turns the outcome into an exit code.

use std::{
    io::Write as _,
    panic,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use clap::Parser as _;
use ipvs_sampler::{
    cli::{Cli, Command},
    failure::Failure,
    manual, run,
};
use log::{Level, LevelFilter, Log, Metadata, Record};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
    let telegraf =
        matches!(&cli.command, Command::Run(options) if options.telegraf_execd.is_some());
    TELEGRAF.store(telegraf, Ordering::Relaxed);
    let outcome = panic::catch_unwind(|| match cli.command {
        Command::Once(options) => run::once(&options),
        Command::Run(options) => run::run(options),
        Command::Doctor(options) => run::doctor(&options),
        Command::Completions(options) => manual::completions(&options),
        Command::Man(options) => manual::man(&options),
    })
    .unwrap_or_else(|_| Err(Failure::Bug("the program panicked".into())));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("{failure}");
            failure.code()
        }
    }
}

/// Whether Telegraf reads the messages: it wants each to begin with its level
/// (plugins/inputs/execd).
static TELEGRAF: AtomicBool = AtomicBool::new(false);

/// Messages go to standard error, one line each, with no time of their own: whoever keeps them
/// (a terminal, the journal) knows it.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries have their say only where it matters; the eBPF programs chose their level.
        let own = metadata.target().starts_with("ipvs_sampler");
        own || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let telegraf = TELEGRAF.load(Ordering::Relaxed);
        let label = match (record.level(), telegraf) {
            (Level::Error, false) => "ipvs-sampler: error: ",
            (Level::Warn, false) => "ipvs-sampler: warning: ",
            (_, false) => "ipvs-sampler: ",
            (Level::Error, true) => "E! ",
            (Level::Warn, true) => "W! ",
            (Level::Info, true) => "I! ",
            (Level::Debug, true) => "D! ",
            (Level::Trace, true) => "T! ",
        };
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{label}{}", record.args());
    }

    fn flush(&self) {}
}
