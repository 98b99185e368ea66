//! Subcommands that print something about the command line itself.

use clap::{Args, builder::PossibleValuesParser};

/// `completions`.
#[derive(Clone, Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = PossibleValuesParser::new(["bash", "zsh", "fish"]))]
    pub shell: String,
}

/// `man`.
#[derive(Clone, Debug, Args)]
pub struct Man {
    /// Subcommand whose page to print
    ///
    /// Without it, the page of ipvs-sampler itself is printed.
    #[arg(value_name = "SUBCOMMAND", value_parser = PossibleValuesParser::new(SUBCOMMANDS))]
    pub subcommand: Option<String>,
}

/// The names of all subcommands, those below others behind a hyphen. To ask the definition for them would
/// need the definition that is being made.
pub(crate) const SUBCOMMANDS: [&str; 8] = [
    "run",
    "once",
    "config",
    "config-check",
    "config-show",
    "doctor",
    "completions",
    "man",
];
