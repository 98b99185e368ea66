//! Netlink messages of one datagram: headers, sequence numbers, errors, the end of a dump. Pure.

use std::io;

use neli::consts::nl::Nlmsg;

use super::Error;
use super::attribute::Attributes;
use super::uapi::{GENERIC_HEADER, MESSAGE_HEADER, aligned};

/// Which messages answer the request under way. All others belong to a request that was given up
/// and are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What was asked, as a verb phrase for errors: `list services`.
    pub what: &'static str,
    /// Number of the generic netlink family asked.
    pub family: u16,
    /// `nlmsg_seq` of the request; the kernel repeats it in each message of the answer.
    pub sequence: u32,
    /// Our port number (`nl_pid`), which the kernel writes into `nlmsg_pid`.
    pub port: u32,
}

/// Whether a dump goes on after a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another datagram follows.
    More,
    /// The kernel said that it is complete.
    Done,
}

/// One message of an answer.
#[derive(Debug)]
pub(super) enum Reply<'a> {
    /// A generic netlink message.
    Entry {
        /// `IPVS_CMD_*` or `CTRL_CMD_*`.
        command: u8,
        /// What it says.
        attributes: Attributes<'a>,
    },
    /// The dump is complete.
    Done,
}

/// The messages of one datagram that answer a request. A malformed length, a foreign message type
/// and an error number from the kernel each give one error and end the iteration.
#[derive(Debug)]
pub(super) struct Replies<'a> {
    rest: &'a [u8],
    request: &'a Request,
}

impl<'a> Replies<'a> {
    /// Reads the messages of `datagram` that answer `request`.
    pub(super) fn new(datagram: &'a [u8], request: &'a Request) -> Self {
        Self {
            rest: datagram,
            request,
        }
    }

    /// The next message, `None` for one to skip.
    fn read(&mut self) -> Result<Option<Reply<'a>>, Error> {
        let header = Header::read(self.rest)?;
        let Some(payload) = self.rest.get(MESSAGE_HEADER..header.length) else {
            return Err(malformed("a message does not fit in its datagram"));
        };
        self.rest = self.rest.get(aligned(header.length)..).unwrap_or_default();
        // The kernel's answers carry our port; 0 is what it writes when it speaks for itself.
        let ours = header.port == self.request.port || header.port == 0;
        if header.sequence != self.request.sequence || !ours {
            return Ok(None);
        }
        match Nlmsg::from(header.kind) {
            Nlmsg::Noop => Ok(None),
            Nlmsg::Error => self.outcome(payload).map(|()| None),
            // The dumper's own failure arrives inside the message that ends the dump
            // (netlink_dump_done, net/netlink/af_netlink.c).
            Nlmsg::Done => self.outcome(payload).map(|()| Some(Reply::Done)),
            Nlmsg::Overrun => Err(malformed("the kernel lost part of its answer")),
            _ if header.kind != self.request.family => {
                Err(malformed("a message of another family answers the request"))
            }
            _ => match payload.split_at_checked(GENERIC_HEADER) {
                Some((generic, attributes)) => Ok(Some(Reply::Entry {
                    command: generic[0],
                    attributes: Attributes::new(attributes),
                })),
                None => Err(malformed("a generic netlink header is cut short")),
            },
        }
    }

    /// Reads the error number with which error and end messages begin: 0 or a negative errno.
    fn outcome(&self, payload: &[u8]) -> Result<(), Error> {
        let Some(&number) = payload.first_chunk() else {
            return Err(malformed("an error number is cut short"));
        };
        match i32::from_ne_bytes(number) {
            0 => Ok(()),
            negative => Err(Error::system(
                self.request.what,
                io::Error::from_raw_os_error(negative.saturating_neg()),
            )),
        }
    }
}

impl<'a> Iterator for Replies<'a> {
    type Item = Result<Reply<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.read() {
                Ok(Some(reply)) => return Some(Ok(reply)),
                Ok(None) => {}
                Err(error) => {
                    self.rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// `struct nlmsghdr` (include/uapi/linux/netlink.h), without the flags: the only one a dump could
/// tell us, `NLM_F_DUMP_INTR`, is never set by ip_vs, which has no generation count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Bytes of the message, header included.
    pub(super) length: usize,
    /// `NLMSG_*` or the number of a generic netlink family.
    pub(super) kind: u16,
    /// The sequence number of the request.
    pub(super) sequence: u32,
    /// The port number of the request's sender.
    pub(super) port: u32,
}

impl Header {
    /// Reads the header that begins `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Error> {
        let Some(header) = bytes.first_chunk::<MESSAGE_HEADER>() else {
            return Err(malformed("a message header is cut short"));
        };
        let word = |at: usize| {
            u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        Ok(Self {
            length: word(0) as usize,
            kind: u16::from_ne_bytes([header[4], header[5]]),
            sequence: word(8),
            port: word(12),
        })
    }
}

fn malformed(what: &'static str) -> Error {
    Error::Protocol { what }
}

#[cfg(test)]
mod tests {
    use super::super::{request, uapi};
    use super::*;

    const REQUEST: Request = Request {
        what: "list services",
        family: 30,
        sequence: 7,
        port: 1234,
    };

    fn message(kind: u16, sequence: u32, port: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let start = request::open(&mut bytes, kind, 0, sequence, port);
        bytes.extend_from_slice(payload);
        request::close(&mut bytes, start);
        bytes
    }

    fn commands(datagram: &[u8]) -> Result<Vec<Option<u8>>, Error> {
        Replies::new(datagram, &REQUEST)
            .map(|reply| {
                reply.map(|reply| match reply {
                    Reply::Entry { command, .. } => Some(command),
                    Reply::Done => None,
                })
            })
            .collect()
    }

    #[test]
    fn entries_then_the_end() {
        let mut datagram = message(30, 7, 1234, &[1, 1, 0, 0]);
        datagram.extend(message(30, 7, 0, &[5, 1, 0, 0]));
        datagram.extend(message(3, 7, 1234, &0_i32.to_ne_bytes()));
        assert_eq!(commands(&datagram).unwrap(), [Some(1), Some(5), None]);
    }

    #[test]
    fn answers_to_other_requests_are_skipped() {
        let mut datagram = message(30, 6, 1234, &[1, 1, 0, 0]);
        datagram.extend(message(2, 6, 1234, &(-libc::EBUSY).to_ne_bytes()));
        datagram.extend(message(30, 7, 99, &[1, 1, 0, 0]));
        datagram.extend(message(30, 7, 1234, &[5, 1, 0, 0]));
        assert_eq!(commands(&datagram).unwrap(), [Some(5)]);
    }

    #[test]
    fn the_kernels_error_numbers_are_sorted() {
        let errno =
            |number: i32| commands(&message(2, 7, 1234, &(-number).to_ne_bytes())).unwrap_err();
        assert!(matches!(errno(libc::EPERM), Error::NotPermitted));
        assert_eq!(errno(libc::ENOENT).errno(), Some(libc::ENOENT));
        assert_eq!(
            errno(libc::EBUSY).to_string(),
            "cannot list services: Device or resource busy (os error 16)"
        );
    }

    #[test]
    fn an_acknowledgement_is_no_error() {
        let datagram = message(2, 7, 1234, &0_i32.to_ne_bytes());
        assert_eq!(commands(&datagram).unwrap(), []);
    }

    #[test]
    fn an_error_inside_the_end_is_an_error() {
        let datagram = message(3, 7, 1234, &(-libc::ENOMEM).to_ne_bytes());
        assert_eq!(commands(&datagram).unwrap_err().errno(), Some(libc::ENOMEM));
    }

    #[test]
    fn a_foreign_family_is_an_error() {
        let datagram = message(31, 7, 1234, &[1, 1, 0, 0]);
        assert!(matches!(commands(&datagram), Err(Error::Protocol { .. })));
    }

    #[test]
    fn a_length_that_does_not_fit_is_an_error() {
        for length in [0_u32, 15, 21, u32::MAX] {
            let mut datagram = message(30, 7, 1234, &[1, 1, 0, 0]);
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(commands(&datagram).is_err(), "length {length}");
        }
        assert_eq!(uapi::MESSAGE_HEADER, 16);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = commands(&bytes);
        }
    }
}
