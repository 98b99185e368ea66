//! Datagrams over UDP or a Unix socket: whole lines, as many as fit into one.

use std::{io, net::UdpSocket, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use super::{
    Output,
    queue::{Queue, lines},
};

/// Most bytes of a UDP datagram: what an Ethernet frame carries without fragments, tunnels included.
const UDP_BYTES: usize = 1400;
/// Most bytes of a datagram on a Unix socket; the kernel's default buffer takes several of them.
const UNIX_BYTES: usize = 60_000;
/// How long a full receiver is waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where datagrams go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Udp(String),
    Unix(PathBuf),
}

enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

pub(super) struct Datagrams {
    peer: Peer,
    socket: Option<Socket>,
    /// What was said last, so that it is said once.
    trouble: bool,
}

impl Datagrams {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            socket: None,
            trouble: false,
        }
    }

    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(self.peer.connect()?),
        };
        let sent = match socket {
            Socket::Udp(socket) => socket.send(datagram),
            Socket::Unix(socket) => socket.send(datagram),
        };
        sent.map(drop)
    }
}

impl Output for Datagrams {
    /// What nobody takes is given up: there is no telling later. A refused one is tried once more, for
    /// the refusal is about one before, or about a socket that is another one by now.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        let mut trouble = None;
        for datagram in split(batch, self.peer.most_bytes()) {
            // Nobody to connect to, or no time left: nor will there be for the rest.
            if trouble.is_some() && (self.socket.is_none() || queue.closing()) {
                queue.dropped(lines(datagram));
                continue;
            }
            let sent = self.send(datagram).or_else(|_| {
                self.socket = None;
                self.send(datagram)
            });
            match sent {
                Ok(()) => queue.written(lines(datagram)),
                Err(error) => {
                    queue.dropped(lines(datagram));
                    trouble = Some(error);
                }
            }
        }
        if let (Some(error), false) = (&trouble, self.trouble) {
            log::warn!("{}: lines are dropped: {error}", self.peer);
        }
        if trouble.is_none() && self.trouble {
            log::info!("{}: lines are taken again", self.peer);
        }
        self.trouble = trouble.is_some();
        Ok(())
    }
}

/// Pieces of whole lines that fit; a line that does not is a piece by itself.
fn split(batch: &[u8], most_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let within = &rest[..rest.len().min(most_bytes)];
        let newline = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
        let end = within
            .iter()
            .rposition(|byte| *byte == b'\n')
            .or_else(|| newline(rest))
            .map_or(rest.len(), |at| at + 1);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

impl Peer {
    fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Udp(address) => {
                let local = |any| UdpSocket::bind((any, 0));
                let v4 = local(std::net::IpAddr::from([0_u8; 4]))?;
                if v4.connect(address).is_ok() {
                    return Ok(Socket::Udp(v4));
                }
                let v6 = local(std::net::IpAddr::from([0_u16; 8]))?;
                v6.connect(address)?;
                Ok(Socket::Udp(v6))
            }
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Socket::Unix(socket))
            }
        }
    }

    const fn most_bytes(&self) -> usize {
        match self {
            Self::Udp(_) => UDP_BYTES,
            Self::Unix(_) => UNIX_BYTES,
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) => write!(formatter, "udp://{address}"),
            Self::Unix(path) => write!(formatter, "unixgram:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::{Datagrams, Output as _, Peer, Queue, split};

    #[test]
    fn pieces_are_whole_lines() {
        let pieces = |text: &'static str, most| split(text.as_bytes(), most).collect::<Vec<_>>();
        assert_eq!(pieces("a\nbb\nccc\n", 5), [&b"a\nbb\n"[..], b"ccc\n"]);
        assert_eq!(pieces("toolong\nb\n", 4), [&b"toolong\n"[..], b"b\n"]);
        assert_eq!(pieces("no end", 4), [&b"no end"[..]]);
        assert!(pieces("", 4).is_empty());
    }

    #[test]
    fn lines_arrive_over_both_families() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(local) else {
                continue;
            };
            let address = receiver.local_addr().unwrap().to_string();
            let queue = Queue::alone();
            let mut datagrams = Datagrams::new(Peer::Udp(address));
            datagrams.write(b"one\ntwo\n", &queue).unwrap();
            let mut buffer = [0; 100];
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"one\ntwo\n");
            assert_eq!(queue.counts().0.written, 2);
        }
    }

    #[test]
    fn nobody_there_is_counted() {
        let queue = Queue::alone();
        let mut datagrams = Datagrams::new(Peer::Unix("/nowhere/at/all".into()));
        datagrams.write(b"one\ntwo\n", &queue).unwrap();
        assert_eq!(queue.counts().0.dropped, 2);
    }
}
