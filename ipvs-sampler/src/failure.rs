//! How the program ends when it cannot go on: a message for a person, an exit code for a script.

use std::{io, process::ExitCode};

use thiserror::Error;

use crate::source::{
    feed::{Cause, Unavailable},
    netlink,
};

/// What each exit code means, for help and manual.
pub const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "done, or the reader of standard output went away"),
    ("2", "wrong usage"),
    (
        "69",
        "IPVS is not there, a required probe cannot run on this kernel or in this build, or the first dump failed",
    ),
    ("70", "a bug"),
    ("74", "the output failed"),
    (
        "75",
        "to be started again: what is needed takes privileges that were given up",
    ),
    ("77", "not permitted"),
    ("78", "the configuration is wrong"),
];

/// Why the program ends. The codes are those of sysexits(3); wrong usage ends with 2, as clap
/// has it.
#[derive(Debug, Error)]
pub enum Failure {
    /// 69: IPVS, or the probe that was required, is not to be had.
    #[error("{0}")]
    Unavailable(String),
    /// 70: this program is wrong.
    #[error("{0}; this is a bug, please report it")]
    Bug(String),
    /// 74: the output failed.
    #[error("cannot write to {target}: {error}")]
    Output {
        /// Where to.
        target: String,
        /// What the system said.
        error: io::Error,
    },
    /// 75: what is needed takes privileges that were given up; a new process would have them.
    #[error("{0}")]
    StartAgain(String),
    /// 77: privileges are missing.
    #[error("{0}")]
    NotPermitted(String),
    /// 78: the configuration is wrong.
    #[error("{0}")]
    Configuration(String),
}

impl Failure {
    /// The exit code, as the README lists it.
    #[must_use]
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unavailable(_) => 69,
            Self::Bug(_) => 70,
            Self::Output { .. } => 74,
            Self::StartAgain(_) => 75,
            Self::NotPermitted(_) => 77,
            Self::Configuration(_) => 78,
        })
    }
}

impl From<netlink::Error> for Failure {
    fn from(error: netlink::Error) -> Self {
        match error {
            netlink::Error::NotPermitted => Self::NotPermitted(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        let message = format!("the eBPF probe cannot run: {unavailable}");
        match unavailable.reason.cause() {
            Cause::NotPermitted => Self::NotPermitted(message),
            Cause::NoIpvs | Cause::Unsupported => Self::Unavailable(message),
        }
    }
}
