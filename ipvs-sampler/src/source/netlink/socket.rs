//! The netlink socket: the only file of this source that does IO.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use neli::consts::socket::{Msg, NlFamily};
use neli::socket::NlSocket;
use neli::utils::Groups;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::SocketAddrNetlink;

use super::Error;
use super::dump::Exchange;

/// Bytes received at once. The kernel fills chunks of up to 32 KiB, but only as large as the
/// largest buffer it has seen (`netlink_recvmsg`, net/netlink/af_netlink.c), so the buffer is
/// this large from the first read on.
const BUFFER: usize = 64 * 1024;

/// A generic netlink socket of the network namespace in which it was opened.
pub(super) struct Socket {
    socket: NlSocket,
    port: u32,
    limit: Duration,
    deadline: Instant,
    buffer: Box<[u8]>,
}

impl Socket {
    /// Opens a socket whose dumps wait for an answer until `limit` after they began.
    pub(super) fn open(limit: Duration) -> Result<Self, Error> {
        let failed = |source| Error::system("open a netlink socket", source);
        let socket = NlSocket::connect(NlFamily::Generic, None, Groups::empty()).map_err(failed)?;
        socket.nonblock().map_err(failed)?;
        let port = socket.pid().map_err(failed)?;
        let opened = Self {
            socket,
            port,
            limit,
            deadline: Instant::now() + limit,
            buffer: vec![0; BUFFER].into(),
        };
        // Connected to port 0, the kernel, so that nobody else can reach the socket
        // (`netlink_getsockbyportid`, net/netlink/af_netlink.c).
        rustix::net::connect(opened.borrow(), &SocketAddrNetlink::new(0, 0))
            .map_err(|error| failed(error.into()))?;
        Ok(opened)
    }

    fn borrow(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket owns the descriptor and stays open as long as `self` is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }

    /// One datagram if there is one now, its length.
    fn try_receive(&mut self) -> io::Result<usize> {
        loop {
            match self.socket.recv(&mut self.buffer, Msg::TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return received.map(|(length, _)| length),
            }
        }
    }

    /// Waits until there is something to read.
    fn wait(&self) -> Result<(), Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Deadline);
        }
        let timeout = Timespec::try_from(left).map_err(|_| Error::Deadline)?;
        match poll(
            &mut [PollFd::from_borrowed_fd(self.borrow(), PollFlags::IN)],
            Some(&timeout),
        ) {
            // A signal: the caller reads in vain and comes back with less time left.
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Error::system("wait for netlink", error.into())),
        }
    }
}

impl Exchange for Socket {
    fn begin(&mut self) {
        self.deadline = Instant::now() + self.limit;
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn send(&mut self, request: &[u8]) -> Result<(), Error> {
        loop {
            match self.socket.send(request, Msg::empty()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel takes a netlink request whole or not at all.
                Ok(_) => return Ok(()),
                Err(error) => return Err(Error::system("send a netlink request", error)),
            }
        }
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        let length = loop {
            // Also where the kernel never keeps us waiting.
            if Instant::now() >= self.deadline {
                return Err(Error::Deadline);
            }
            match self.try_receive() {
                Ok(length) => break length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                Err(error) => return Err(Error::system("receive from netlink", error)),
            }
        };
        let capacity = self.buffer.len();
        self.buffer
            .get(..length)
            .ok_or(Error::Truncated { length, capacity })
    }

    fn discard(&mut self) -> Result<(), Error> {
        loop {
            match self.try_receive() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The failure of the dump given up, reported once.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(Error::system("receive from netlink", error)),
            }
            if Instant::now() >= self.deadline {
                return Err(Error::Deadline);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Request;
    use super::super::request;
    use super::*;

    fn socket() -> Socket {
        Socket::open(Duration::from_millis(20)).expect("Linux has generic netlink")
    }

    fn ask_for_families(socket: &mut Socket, sequence: u32) {
        let mut buffer = Vec::new();
        let asked = Request {
            what: "list netlink families",
            family: request::controller(),
            sequence,
            port: socket.port(),
        };
        request::families(&mut buffer, &asked);
        socket.send(&buffer).unwrap();
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let mut socket = socket();
        socket.begin();
        assert!(matches!(socket.receive(), Err(Error::Deadline)));
    }

    #[test]
    fn an_answer_that_goes_on_past_the_deadline_is_given_up() {
        let mut socket = socket();
        socket.begin();
        ask_for_families(&mut socket, 1);
        std::thread::sleep(socket.limit);
        assert!(matches!(socket.receive(), Err(Error::Deadline)));
    }

    #[test]
    fn a_cut_datagram_is_an_error() {
        let mut socket = socket();
        socket.buffer = vec![0; 32].into();
        socket.begin();
        ask_for_families(&mut socket, 1);
        assert!(matches!(
            socket.receive(),
            Err(Error::Truncated { capacity: 32, length }) if length > 32
        ));
    }

    #[test]
    fn a_dump_given_up_does_not_disturb_the_next() {
        let mut socket = socket();
        socket.begin();
        ask_for_families(&mut socket, 1);
        socket.discard().unwrap();
        ask_for_families(&mut socket, 2);
        let sequence = socket.receive().unwrap()[8..12].to_vec();
        assert_eq!(sequence, 2_u32.to_ne_bytes());
    }
}
