//! Why a dump failed.

use std::io;

use crate::system::failure::Failure;

/// Why the kernel's IPVS table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No family `IPVS` is registered: the module is absent.
    #[error("IPVS is not loaded in this kernel (load it with `modprobe ip_vs`)")]
    NotLoaded,
    /// The kernel refused: every IPVS request is checked with `GENL_ADMIN_PERM`
    /// (net/netlink/genetlink.c).
    #[error(
        "the kernel refuses to show IPVS: this needs CAP_NET_ADMIN in the initial user namespace \
         (root inside a user-namespaced container does not have it)"
    )]
    NotPermitted,
    /// The dump did not end in the time allowed.
    #[error("the kernel did not finish its answer in time")]
    Deadline,
    /// A datagram was longer than the receive buffer, so part of it is lost.
    #[error("a netlink datagram of {length} bytes was cut to {capacity}")]
    Truncated {
        /// Bytes the kernel sent.
        length: usize,
        /// Bytes the buffer holds.
        capacity: usize,
    },
    /// The bytes are not what the kernel documents.
    #[error("malformed netlink answer: {what}")]
    Protocol {
        /// What is wrong with them.
        what: &'static str,
    },
    /// A system call failed, or the kernel answered a request with an error number.
    #[error("cannot {what}: {source}")]
    System {
        /// What was attempted, as a verb phrase.
        what: &'static str,
        /// The error number.
        source: io::Error,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotPermitted => Self::NotPermitted(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl Error {
    /// An error number from a system call or from a netlink error message, sorted into the
    /// variants a caller acts upon. `what` is the verb phrase of [`Error::System`].
    pub(super) fn system(what: &'static str, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted,
            _ => Self::System { what, source },
        }
    }

    /// The error number, if it came with one that is not sorted out already.
    pub(super) fn errno(&self) -> Option<i32> {
        match self {
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
