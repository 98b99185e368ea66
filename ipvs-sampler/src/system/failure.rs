//! How the program ends when it cannot go on: a message for a person, an exit code for a script.

use std::{error::Error, io, process::ExitCode};

use thiserror::Error;

/// How the program can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, those of sysexits(3); wrong usage ends with 2, as clap has it.
    pub code: u8,
    /// What it means, for help, manual and docs/options.md.
    pub meaning: &'static str,
}

impl Exit {
    const UNAVAILABLE: Self = Self::new(
        69,
        "IPVS is not available, the required probe cannot run with this kernel or build, or the first dump failed",
    );
    const BUG: Self = Self::new(70, "internal error: a bug, please report it");
    const OUTPUT: Self = Self::new(74, "an output cannot be opened, or standard output failed");
    const START_AGAIN: Self = Self::new(
        75,
        "restart needed: a new probe takes privileges that were dropped",
    );
    const NOT_PERMITTED: Self = Self::new(77, "permission denied");
    const CONFIGURATION: Self = Self::new(78, "invalid configuration");

    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::new(0, "success, or the reader of standard output went away"),
        Self::new(2, "wrong usage"),
        Self::UNAVAILABLE,
        Self::BUG,
        Self::OUTPUT,
        Self::START_AGAIN,
        Self::NOT_PERMITTED,
        Self::CONFIGURATION,
    ];

    const fn new(code: u8, meaning: &'static str) -> Self {
        Self { code, meaning }
    }
}

/// What stands behind a failure: an error with causes of its own, or just words.
pub type BoxedError = Box<dyn Error + Send + Sync>;

/// Why the program ends.
#[derive(Debug, Error)]
pub enum Failure {
    /// IPVS, the probe that was required, or what the system has to give is not to be had.
    #[error(transparent)]
    Unavailable(BoxedError),
    /// This program is wrong.
    #[error("{0}; this is a bug, please report it")]
    Bug(String),
    /// The output failed.
    #[error("cannot write to {target}: {source}")]
    Output {
        /// Where to.
        target: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is needed takes privileges that were given up; a new process would have them.
    #[error("{0}")]
    StartAgain(String),
    /// Privileges are missing.
    #[error(transparent)]
    NotPermitted(BoxedError),
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(String),
}

/// What the system refused.
#[derive(Debug, Error)]
#[error("{what}: {source}")]
pub struct Refused {
    what: &'static str,
    source: io::Error,
}

impl Refused {
    /// With what could not be done.
    pub fn to(what: &'static str) -> impl Fn(io::Error) -> BoxedError {
        move |source| Self { what, source }.into()
    }
}

impl Failure {
    /// How the program ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Unavailable(_) => Exit::UNAVAILABLE,
            Self::Bug(_) => Exit::BUG,
            Self::Output { .. } => Exit::OUTPUT,
            Self::StartAgain(_) => Exit::START_AGAIN,
            Self::NotPermitted(_) => Exit::NOT_PERMITTED,
            Self::Configuration(_) => Exit::CONFIGURATION,
        }
    }

    /// For the system.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.exit().code)
    }

    /// How writing to an output ended. A reader that went away is a normal end.
    ///
    /// # Errors
    /// Any other failure.
    pub fn of_output(result: io::Result<()>, target: &str) -> Result<(), Self> {
        match result {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(Self::Output {
                target: target.into(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure, Refused};

    #[test]
    fn a_failure_has_one_of_the_codes_and_keeps_its_cause() {
        let refused = Refused::to("cannot start")(std::io::ErrorKind::NotFound.into());
        let failure = Failure::Unavailable(refused);
        assert!(Exit::ALL.contains(&failure.exit()));
        assert_eq!(failure.to_string(), "cannot start: entity not found");
        let cause = std::error::Error::source(&failure).unwrap();
        assert_eq!(cause.to_string(), "entity not found");
    }
}
