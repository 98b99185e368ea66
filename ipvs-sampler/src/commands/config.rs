//! `config`: what is configured, and whether it is right.

use crate::{
    cli::Settings,
    settings::{self, Configuration, Sources},
    system::{failure::Failure, stdout::print},
};

/// `config check`: whether the configuration is valid, as far as that can be seen without IPVS.
///
/// # Errors
/// Which output's secret or certificate is not to be had.
pub fn check(options: &Settings, sources: &Sources) -> Result<(), Failure> {
    for name in sources.unknown_variables() {
        log::warn!("{name} in the environment is not an option");
    }
    for target in &options.reloadable.output {
        target
            .check()
            .map_err(|error| Failure::Configuration(format!("{target}: {error}")))?;
    }
    print(b"configuration OK\n")
}

/// `config show`.
///
/// # Errors
/// When standard output fails.
pub fn show(configuration: &Configuration) -> Result<(), Failure> {
    print(settings::show(configuration).as_bytes())
}
