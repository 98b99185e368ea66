//! The walk of one whole dump: which requests, in what order, until the snapshot is complete.
//!
//! Pure but for what an [`Exchange`] does, so tests run it against a kernel made of bytes.

use super::attribute::Attributes;
use super::message::{Header, Progress, Replies, Reply, Request};
use super::uapi::{command, top};
use super::{Error, Witness, capture, decode, family, request};
use crate::model::Snapshot;

/// The conversation with the kernel. The real one is [`super::socket::Socket`].
pub(super) trait Exchange {
    /// A dump begins: from here on counts the time it may take.
    fn begin(&mut self);
    /// Our port number.
    fn port(&self) -> u32;
    /// Sends one request.
    fn send(&mut self, request: &[u8]) -> Result<(), Error>;
    /// The next datagram, waited for until the deadline.
    fn receive(&mut self) -> Result<&[u8], Error>;
    /// Throws away what is still to come of a dump that was given up. The kernel runs one dump
    /// per socket and refuses the next with `EBUSY` until the first is read to its end.
    fn discard(&mut self) -> Result<(), Error>;
}

/// Receives a copy of each datagram of a dump.
pub type Recorder = Box<dyn FnMut(&[u8]) + Send>;

/// Whose entries a datagram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All services.
    Services,
    /// The destinations of one service.
    Destinations {
        /// Its index in [`Snapshot::services`].
        service: usize,
    },
}

/// What outlives one dump.
#[derive(Default)]
pub(super) struct Dialogue {
    /// Number of the family as last resolved.
    pub(super) family: Option<u16>,
    /// Sequence number of the last request.
    sequence: u32,
    /// The request, built again each time.
    buffer: Vec<u8>,
    /// The last dump failed, so part of its answer may still be waiting.
    unfinished: bool,
    /// Where copies of the datagrams go.
    pub(super) recorder: Option<Recorder>,
}

impl Dialogue {
    /// Fills `snapshot` with what the kernel has, sorted; empties it on error.
    ///
    /// Tried once more from the start when the family's number changed, which a reload of the
    /// module does, or when the kernel lost a chunk for want of memory.
    pub(super) fn dump(
        &mut self,
        kernel: &mut impl Exchange,
        snapshot: &mut Snapshot,
        witness: &mut dyn Witness,
    ) -> Result<(), Error> {
        kernel.begin();
        let mut outcome = self.attempt(kernel, snapshot, witness);
        let number = outcome.as_ref().err().and_then(Error::errno);
        if matches!(number, Some(libc::ENOENT | libc::ENOBUFS)) {
            self.family = None;
            outcome = self.attempt(kernel, snapshot, witness);
        }
        if outcome.is_err() {
            snapshot.clear();
        }
        outcome
    }

    fn attempt(
        &mut self,
        kernel: &mut impl Exchange,
        snapshot: &mut Snapshot,
        witness: &mut dyn Witness,
    ) -> Result<(), Error> {
        if self.unfinished {
            kernel.discard()?;
        }
        self.unfinished = true;
        snapshot.clear();
        witness.began();
        let family = self.resolved(kernel)?;
        self.services(kernel, family, snapshot, witness)?;
        for service in 0..snapshot.services.len() {
            self.destinations(kernel, family, service, snapshot, witness)?;
        }
        snapshot.sort();
        self.unfinished = false;
        Ok(())
    }

    /// The family's number, asked for when it is not known.
    fn resolved(&mut self, kernel: &mut impl Exchange) -> Result<u16, Error> {
        if let Some(family) = self.family {
            return Ok(family);
        }
        let request = self.next_request(kernel, "list netlink families", request::controller());
        request::families(&mut self.buffer, &request);
        kernel.send(&self.buffer)?;
        let mut found = None;
        receive_all(kernel, |datagram| {
            family::find(datagram, &request, &mut found)
        })?;
        self.family = found;
        found.ok_or(Error::NotLoaded)
    }

    fn services(
        &mut self,
        kernel: &mut impl Exchange,
        family: u16,
        snapshot: &mut Snapshot,
        witness: &mut dyn Witness,
    ) -> Result<(), Error> {
        let request = self.next_request(kernel, "list IPVS services", family);
        request::services(&mut self.buffer, &request);
        // The kernel fills the first chunk while we send, and the next one while it hands us the
        // one before (netlink_dump in netlink_recvmsg, net/netlink/af_netlink.c).
        kernel.send(&self.buffer)?;
        witness.filled();
        receive_all(kernel, |datagram| {
            record(&mut self.recorder, datagram);
            let first = snapshot.services.len();
            let progress = walk_datagram(datagram, &request, Subject::Services, snapshot)?;
            witness.received_services(&mut snapshot.services[first..]);
            witness.filled();
            Ok(progress)
        })?;
        // Before the destinations, so that a service listed twice is asked once.
        snapshot.sort();
        Ok(())
    }

    fn destinations(
        &mut self,
        kernel: &mut impl Exchange,
        family: u16,
        service: usize,
        snapshot: &mut Snapshot,
        witness: &mut dyn Witness,
    ) -> Result<(), Error> {
        let request = self.next_request(kernel, "list IPVS destinations", family);
        request::destinations(&mut self.buffer, &request, &snapshot.services[service].key);
        kernel.send(&self.buffer)?;
        witness.filled();
        receive_all(kernel, |datagram| {
            record(&mut self.recorder, datagram);
            let first = snapshot.destinations.len();
            let subject = Subject::Destinations { service };
            let progress = walk_datagram(datagram, &request, subject, snapshot)?;
            witness.received(&mut snapshot.destinations[first..]);
            witness.filled();
            Ok(progress)
        })
    }

    fn next_request(&mut self, kernel: &impl Exchange, what: &'static str, family: u16) -> Request {
        self.sequence = self.sequence.wrapping_add(1);
        Request {
            what,
            family,
            sequence: self.sequence,
            port: kernel.port(),
        }
    }
}

fn receive_all(
    kernel: &mut impl Exchange,
    mut take: impl FnMut(&[u8]) -> Result<Progress, Error>,
) -> Result<(), Error> {
    while take(kernel.receive()?)? == Progress::More {}
    Ok(())
}

fn record(recorder: &mut Option<Recorder>, datagram: &[u8]) {
    if let Some(recorder) = recorder {
        recorder(datagram);
    }
}

/// Adds the entries of one datagram to the snapshot, unsorted. Destinations must come service by
/// service: those of one service are kept as one range.
///
/// # Errors
///
/// The kernel's refusal, or bytes that are not an answer to `request` about `subject`.
pub fn walk_datagram(
    datagram: &[u8],
    request: &Request,
    subject: Subject,
    snapshot: &mut Snapshot,
) -> Result<Progress, Error> {
    if let Subject::Destinations { service } = subject {
        begin_range(service, snapshot)?;
    }
    for reply in Replies::new(datagram, request) {
        let Reply::Entry {
            command,
            attributes,
        } = reply?
        else {
            return Ok(Progress::Done);
        };
        match (subject, command) {
            (Subject::Services, command::NEW_SERVICE) => {
                let nest = nest(attributes, top::SERVICE)?;
                snapshot.services.push(decode::service(nest)?);
            }
            (Subject::Destinations { service }, command::NEW_DEST) => {
                let nest = nest(attributes, top::DEST)?;
                let service = &mut snapshot.services[service];
                let destination = decode::destination(nest, service.key.family)?;
                snapshot.destinations.push(destination);
                service.destination_count += 1;
            }
            _ => return Err(malformed("an answer to another command")),
        }
    }
    Ok(Progress::More)
}

fn nest(mut attributes: Attributes<'_>, wanted: u16) -> Result<&[u8], Error> {
    attributes
        .find_map(|attribute| match attribute {
            Ok((kind, value)) => (kind == wanted).then_some(Ok(value)),
            Err(error) => Some(Err(error)),
        })
        .unwrap_or_else(|| Err(malformed("an entry without its service or destination")))
}

/// Makes the range of a service that has no destinations yet begin where the next one goes.
fn begin_range(service: usize, snapshot: &mut Snapshot) -> Result<(), Error> {
    let Some(service) = snapshot.services.get_mut(service) else {
        return Err(malformed("destinations of a service that is not listed"));
    };
    if service.destination_count == 0 {
        service.first_destination = u32::try_from(snapshot.destinations.len())
            .map_err(|_| malformed("more than 2^32 destinations"))?;
    }
    Ok(())
}

/// Fills `snapshot` from a capture of one whole dump (see [`super::capture`]): the same walk over
/// the same bytes, without a kernel.
///
/// # Errors
///
/// As [`super::Netlink::dump`], and [`Error::Protocol`] for a capture that is not complete.
pub fn replay(capture: &[u8], snapshot: &mut Snapshot) -> Result<(), Error> {
    snapshot.clear();
    let mut request = None;
    let mut subject = Subject::Services;
    for datagram in capture::Captured::new(capture) {
        let datagram = datagram?;
        // Requests are numbered one after the other, so the first answer tells all numbers.
        let request = match &mut request {
            Some(request) => request,
            None => request.insert(first_request(datagram)?),
        };
        if walk_datagram(datagram, request, subject, snapshot)? == Progress::Done {
            request.sequence = request.sequence.wrapping_add(1);
            subject = match subject {
                Subject::Services => {
                    snapshot.sort();
                    Subject::Destinations { service: 0 }
                }
                Subject::Destinations { service } => Subject::Destinations {
                    service: service + 1,
                },
            };
        }
    }
    let complete = Subject::Destinations {
        service: snapshot.services.len(),
    };
    if subject != complete {
        return Err(malformed("a capture ends before its dump"));
    }
    snapshot.sort();
    Ok(())
}

fn first_request(datagram: &[u8]) -> Result<Request, Error> {
    let header = Header::read(datagram)?;
    Ok(Request {
        what: "replay a dump",
        family: header.kind,
        sequence: header.sequence,
        port: header.port,
    })
}

fn malformed(what: &'static str) -> Error {
    Error::Protocol { what }
}

#[cfg(test)]
mod tests;
