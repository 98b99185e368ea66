//! The service manager's socket: what `NOTIFY_SOCKET` says goes in, datagrams go out.
//!
//! All forms of sd_notify(3): a path, the name of an abstract socket, and `vsock:` for the manager of the
//! machine that this one is a guest of.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketFlags, SocketType,
        addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque},
        connect, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

/// How long a message may wait for a manager whose queue is full.
const PATIENCE: Duration = Duration::from_secs(1);

/// A service manager that wants to be told.
#[derive(Debug)]
pub(super) enum Manager {
    /// The socket is opened once: it stays in the network namespace in which an abstract name was given.
    Unix(UnixDatagram, SocketAddr),
    /// It has a connection for each message, as sd_notify(3) makes it.
    Vsock(Vsock),
}

impl Manager {
    /// From the value of `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// When it has none of the forms of sd_notify(3), or there can be no socket.
    pub(super) fn open(address: &OsStr) -> io::Result<Self> {
        let bytes = address.as_bytes();
        if let Some(text) = address.to_str()
            && let Some(address) = Vsock::parse(text)
        {
            return Ok(Self::Vsock(address?));
        }
        let address = match bytes {
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name)?,
            _ => return Err(io::Error::other(EXPECTED)),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self::Unix(socket, address))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When nobody took it.
    pub(super) fn tell(&self, message: &str) -> io::Result<()> {
        match self {
            Self::Unix(socket, address) => {
                socket.send_to_addr(message.as_bytes(), address).map(drop)
            }
            Self::Vsock(address) => address.tell(message.as_bytes()),
        }
    }
}

const EXPECTED: &str = "expected /PATH, @NAME, or vsock:CID:PORT";

/// An address of vsock(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vsock {
    /// Of the machine, 2 is the host.
    cid: u32,
    port: u32,
    /// `None` is a datagram, or a packet where the host has no datagrams.
    kind: Option<SocketType>,
}

impl Vsock {
    /// `None` when it is not about vsock.
    fn parse(text: &str) -> Option<io::Result<Self>> {
        let (scheme, rest) = text.split_once(':')?;
        let kind = match scheme {
            "vsock" => None,
            "vsock-dgram" => Some(SocketType::DGRAM),
            "vsock-seqpacket" => Some(SocketType::SEQPACKET),
            "vsock-stream" => Some(SocketType::STREAM),
            _ => return None,
        };
        let numbers = rest
            .split_once(':')
            .and_then(|(cid, port)| Some((cid.parse().ok()?, port.parse().ok()?)));
        Some(match numbers {
            Some((cid, port)) => Ok(Self { cid, port, kind }),
            None => Err(io::Error::other(EXPECTED)),
        })
    }

    fn tell(self, message: &[u8]) -> io::Result<()> {
        let socket = match self.kind {
            Some(kind) => self.connected(kind),
            // QEMU knows no datagrams on vsock: sd_notify(3) goes on with packets then.
            None => match self.connected(SocketType::DGRAM) {
                Err(
                    Errno::NODEV | Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT | Errno::OPNOTSUPP,
                ) => self.connected(SocketType::SEQPACKET),
                other => other,
            },
        }?;
        let mut left = message;
        while !left.is_empty() {
            let sent = send(&socket, left, SendFlags::NOSIGNAL)?;
            left = left.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    fn connected(self, kind: SocketType) -> Result<OwnedFd, Errno> {
        let socket = socket_with(AddressFamily::VSOCK, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        connect(&socket, &self)?;
        Ok(socket)
    }
}

// SAFETY: `f` gets a pointer to an initialised `sockaddr_vm`, which lives until `f` returns, and its size.
unsafe impl SocketAddrArg for Vsock {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let address = libc::sockaddr_vm {
            svm_family: AddressFamily::VSOCK.as_raw(),
            svm_reserved1: 0,
            svm_port: self.port,
            svm_cid: self.cid,
            svm_zero: [0; 4],
        };
        let length = size_of_val(&address) as SocketAddrLen;
        f((&raw const address).cast(), length)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use rustix::net::SocketType;

    use super::{Manager, Vsock};

    #[test]
    fn vsock_has_four_forms() {
        let vsock = |kind| Vsock {
            cid: 2,
            port: 1234,
            kind,
        };
        for (text, kind) in [
            ("vsock:2:1234", None),
            ("vsock-dgram:2:1234", Some(SocketType::DGRAM)),
            ("vsock-seqpacket:2:1234", Some(SocketType::SEQPACKET)),
            ("vsock-stream:2:1234", Some(SocketType::STREAM)),
        ] {
            assert_eq!(Vsock::parse(text).unwrap().unwrap(), vsock(kind), "{text}");
        }
    }

    #[test]
    fn what_sd_notify_does_not_know_is_refused() {
        for wrong in [
            "",
            "@",
            "run/notify",
            "vsock:2",
            "vsock:host:1",
            "vsock:2:-1",
            "tcp:1:2",
        ] {
            assert!(Manager::open(OsStr::new(wrong)).is_err(), "{wrong}");
        }
        let too_long = format!("/{}", "x".repeat(200));
        assert!(Manager::open(OsStr::new(&too_long)).is_err());
    }
}
