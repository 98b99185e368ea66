//! IPVS as generic netlink tells it: one dump of all services and destinations per call.
//!
//! Bytes come in through `socket` only. `message` splits a datagram, `attribute` a message,
//! `decode` fills the model, `dump` knows the order of the requests. `uapi` has all numbers.

mod attribute;
pub mod capture;
mod decode;
mod dump;
mod error;
mod family;
mod message;
mod request;
mod socket;
#[doc(hidden)]
pub mod synthetic;
mod uapi;
mod witness;

use std::time::Duration;

pub use dump::{Recorder, Subject, replay, walk_datagram};
pub use error::Error;
pub use message::{Progress, Request};
pub use witness::Witness;

use crate::model::Snapshot;

/// The kernel's IPVS table, read through one socket that is kept for life.
pub struct Netlink {
    socket: socket::Socket,
    dialogue: dump::Dialogue,
}

impl Netlink {
    /// Opens the socket in the network namespace of the calling thread, whose table all later
    /// dumps show. A dump that still has to wait for an answer after `limit` is given up. Works
    /// without privileges and without IPVS; the first dump tells.
    ///
    /// # Errors
    ///
    /// [`Error::System`] when the socket cannot be opened.
    pub fn open(limit: Duration) -> Result<Self, Error> {
        Ok(Self {
            socket: socket::Socket::open(limit)?,
            dialogue: dump::Dialogue::default(),
        })
    }

    /// Fills `snapshot` with all services and destinations, sorted by key; leaves it empty on
    /// error. Never loads a kernel module. After an error the next call starts afresh.
    ///
    /// The kernel offers no consistent view: entries that come or go meanwhile may be missing, or
    /// told twice, in which case the later one is kept and [`Snapshot::repeated`] counts.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn dump(
        &mut self,
        snapshot: &mut Snapshot,
        witness: &mut dyn Witness,
    ) -> Result<(), Error> {
        self.dialogue.dump(&mut self.socket, snapshot, witness)
    }

    /// The number of IPVS's family in the last dump. Another one than before means that IPVS was
    /// loaded again: everything of before is gone.
    #[must_use]
    pub fn family(&self) -> Option<u16> {
        self.dialogue.family
    }

    /// From the next dump on, hands each datagram of IPVS to `recorder`: one dump that succeeds,
    /// written with [`capture::append`], is what [`replay`] reads.
    pub fn record(&mut self, recorder: Option<Recorder>) {
        self.dialogue.recorder = recorder;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On any machine: whatever IPVS is here, the walk ends in a way a caller knows.
    #[test]
    fn this_kernel_answers_or_says_why_not() {
        let mut netlink = Netlink::open(Duration::from_secs(3)).unwrap();
        let mut snapshot = Snapshot::default();
        for _ in 0..2 {
            match netlink.dump(&mut snapshot, &mut ()) {
                Ok(()) | Err(Error::NotLoaded | Error::NotPermitted) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}
