//! Reads the configuration, runs, and turns the outcome into an exit code.

use std::{
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
};

use ipvs_sampler::{
    cli::{Command, Config},
    commands::{config, doctor, manual, once, run},
    settings::{Configuration, Problem, Sources},
    system::{failure::Failure, messages},
};

fn main() -> ExitCode {
    messages::begin();
    let sources = Sources::of_process();
    let outcome = match sources.read() {
        // Nothing is looked at after a panic.
        Ok(configuration) => panic::catch_unwind(AssertUnwindSafe(|| act(configuration, sources)))
            .unwrap_or_else(|_| Err(Failure::Bug("the program panicked".into()))),
        // What clap says of the command line, or of itself when it is asked for help.
        Err(Problem::Usage(usage)) => usage.exit(),
        Err(Problem::Wrong(what)) => Err(Failure::Configuration(what)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("{failure}");
            failure.code()
        }
    }
}

fn act(configuration: Configuration, sources: Sources) -> Result<(), Failure> {
    let values = configuration.values();
    match &configuration.cli.command {
        Command::Once(options) => once::once(options),
        Command::Run(options) => {
            let user = configuration.user.as_ref();
            run::run(options.settings.clone(), user, sources, values)
        }
        Command::Doctor(options) => doctor::doctor(options),
        Command::Completions(options) => manual::completions(options),
        Command::Man(options) => manual::man(options),
        Command::Config(Config::Check(options)) => config::check(&options.settings, &sources),
        Command::Config(Config::Show(_)) => config::show(&configuration),
    }
}
