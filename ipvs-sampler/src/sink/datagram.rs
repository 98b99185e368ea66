//! Datagrams over UDP or a Unix socket: whole lines, as many as fit into one.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::PathBuf,
    time::Duration,
};

use rustix::{
    io::Errno,
    net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size},
};

use super::{
    lines::{half, lines, next_piece},
    link::{End, Link, Way},
    name::HostName,
    output::Output,
    queue::Queue,
    trouble::Trouble,
};

/// Most bytes of a UDP datagram: what an Ethernet frame carries without fragments, tunnels included.
const UDP_BYTES: usize = 1400;
/// Most bytes of a datagram on a Unix socket.
const UNIX_BYTES: usize = 60_000;
/// The buffer for sending: several datagrams, with what the kernel counts on top of them. It limits a single
/// datagram, too (unix_dgram_sendmsg, net/unix/af_unix.c).
const SEND_BUFFER: usize = 4 * UNIX_BYTES;
/// How long a full receiver is waited for.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where datagrams go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DatagramPeer {
    Udp(String),
    Unix(PathBuf),
}

enum DatagramSocket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

pub(super) struct Datagrams {
    peer: DatagramPeer,
    link: Link<DatagramSocket>,
    /// Most bytes of several lines in one datagram, as far as is known.
    most_bytes: usize,
    trouble: Trouble,
}

impl Datagrams {
    pub(super) fn new(peer: DatagramPeer) -> Self {
        let (way, most_bytes) = match &peer {
            DatagramPeer::Udp(address) => (Way::Name(HostName::new(address)), UDP_BYTES),
            DatagramPeer::Unix(path) => (Way::Path(path.clone()), UNIX_BYTES),
        };
        Self {
            peer,
            link: Link::new(way),
            most_bytes,
            trouble: Trouble::default(),
        }
    }

    /// Sends a piece, or its halves when it is too long for the socket.
    fn send(&mut self, piece: &[u8], queue: &Queue, lost: &mut Lost) {
        match self.send_whole(piece, queue) {
            Ok(()) => queue.written(lines(piece)),
            Err(error) => match half(piece).filter(|_| is_too_long(&error)) {
                Some(middle) => {
                    // The next ones need not be found too long first.
                    self.most_bytes = self.most_bytes.min(piece.len() / 2);
                    let (first, second) = piece.split_at(middle);
                    self.send(first, queue, lost);
                    self.send(second, queue, lost);
                }
                None => lost.add(piece, error),
            },
        }
    }

    /// A refused datagram is sent once more from another socket: the refusal is about one before, or about a
    /// receiver that is another one by now.
    fn send_whole(&mut self, datagram: &[u8], queue: &Queue) -> io::Result<()> {
        let had_socket = self.link.open().is_some();
        match self.try_to_send(datagram, queue) {
            Err(error) if !is_too_long(&error) => {
                self.link.close();
                if !had_socket {
                    return Err(error);
                }
                self.link.follow(&self.peer, true);
                self.try_to_send(datagram, queue)
            }
            other => other,
        }
    }

    fn try_to_send(&mut self, datagram: &[u8], queue: &Queue) -> io::Result<()> {
        let sent = match self.link.get(queue, DatagramSocket::make)? {
            DatagramSocket::Udp(socket) => socket.send(datagram),
            DatagramSocket::Unix(socket) => socket.send(datagram),
        };
        sent.map(drop)
    }
}

impl Output for Datagrams {
    /// What nobody takes is given up: there is no telling later.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        self.link.follow(&self.peer, queue.wants_reopening());
        let mut lost = Lost::default();
        let mut rest = batch;
        while let Some(piece) = next_piece(&mut rest, self.most_bytes) {
            // Nobody to connect to, or no time left: nor will there be for the rest.
            match lost.error {
                Some(_) if self.link.open().is_none() || queue.closing() => {
                    lost.lines += lines(piece);
                }
                _ => self.send(piece, queue, &mut lost),
            }
        }
        queue.dropped(lost.lines);
        match lost.error {
            None => self.trouble.is_over(&self.peer),
            Some(error) => {
                let cause = error.to_string();
                self.trouble.loses(&self.peer, lost.lines, "dropped", cause);
            }
        }
        Ok(())
    }
}

/// What a batch has lost, and to what.
#[derive(Default)]
struct Lost {
    lines: u64,
    error: Option<io::Error>,
}

impl Lost {
    fn add(&mut self, piece: &[u8], error: io::Error) {
        self.lines += lines(piece);
        self.error = Some(error);
    }
}

fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

impl DatagramSocket {
    fn make(end: End<'_>) -> io::Result<Self> {
        match end {
            End::Address(address) => {
                let any = match address {
                    SocketAddr::V4(_) => IpAddr::from([0_u8; 4]),
                    SocketAddr::V6(_) => IpAddr::from([0_u16; 8]),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.connect(address)?;
                widen(&socket);
                Ok(Self::Udp(socket))
            }
            End::Path(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                widen(&socket);
                Ok(Self::Unix(socket))
            }
        }
    }
}

/// Makes room for sending where there is less. Where net.core.wmem_max does not allow that, datagrams become
/// smaller.
fn widen(socket: impl AsFd) {
    // The kernel doubles what is set, and tells the double (sock_setsockopt, net/core/sock.c).
    if socket_send_buffer_size(&socket).is_ok_and(|size| size < 2 * SEND_BUFFER) {
        let _ = set_socket_send_buffer_size(&socket, SEND_BUFFER);
    }
}

impl std::fmt::Display for DatagramPeer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(address) => write!(formatter, "udp://{address}"),
            Self::Unix(path) => write!(formatter, "unixgram:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::UdpSocket,
        os::unix::net::UnixDatagram,
        time::{Duration, Instant},
    };

    use rustix::net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size};

    use super::{
        super::name::tests::Played, DatagramPeer, Datagrams, Link, Output as _, Queue, Way, widen,
    };

    #[test]
    fn lines_arrive_over_both_families() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(local) else {
                continue;
            };
            let address = receiver.local_addr().unwrap().to_string();
            let queue = Queue::alone();
            let mut datagrams = Datagrams::new(DatagramPeer::Udp(address));
            datagrams.write(b"one\ntwo\n", &queue).unwrap();
            let mut buffer = [0; 100];
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"one\ntwo\n");
            assert_eq!(queue.counts().0.written, 2);
        }
    }

    #[test]
    fn a_line_longer_than_a_frame_is_sent_whole() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = receiver.local_addr().unwrap().to_string();
        let mut datagrams = Datagrams::new(DatagramPeer::Udp(address));
        let line = format!("{}\n", "x".repeat(5000));
        datagrams.write(line.as_bytes(), &Queue::alone()).unwrap();
        let mut buffer = [0; 10_000];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), line.len());
    }

    /// Datagrams to a socket in the file system, whose own buffer takes no datagram of `too_long` bytes.
    fn small(name: &str, too_long: usize) -> (Datagrams, UnixDatagram) {
        let path = std::env::temp_dir().join(format!("ipvs-sampler-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut datagrams = Datagrams::new(DatagramPeer::Unix(path.clone()));
        datagrams.write(b"first\n", &Queue::alone()).unwrap();
        receiver.recv(&mut [0; 100]).unwrap();
        std::fs::remove_file(path).unwrap();
        let Some(super::DatagramSocket::Unix(socket)) = datagrams.link.open() else {
            panic!("no socket");
        };
        set_socket_send_buffer_size(socket, 1).unwrap();
        let error = socket.send(&vec![b'x'; too_long]).unwrap_err();
        assert!(super::is_too_long(&error), "{error}");
        (datagrams, receiver)
    }

    #[test]
    fn what_is_too_long_for_the_socket_goes_in_smaller_datagrams() {
        let (mut datagrams, receiver) = small("split", 20_000);
        let queue = Queue::alone();
        let lines: String = (0..2000).map(|number| format!("{number:09}\n")).collect();
        let long = format!("{}\n", "x".repeat(30_000));
        let writing = std::thread::spawn(move || {
            let batch = [lines.as_str(), &long, &lines].concat();
            // A receiver's queue has few places by default; whoever is full is waited for 200 ms.
            datagrams.write(batch.as_bytes(), &queue).unwrap();
            (queue.counts().0, lines.repeat(2))
        });
        receiver
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut text = String::new();
        let mut buffer = vec![0; 100_000];
        while text.len() < 2 * 20_000 {
            let length = receiver.recv(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        let (counts, sent) = writing.join().unwrap();
        assert_eq!((counts.written, counts.dropped), (4000, 1));
        assert!(text == sent);
    }

    #[test]
    fn a_buffer_for_sending_is_made_large_enough() {
        let (socket, _other) = UnixDatagram::pair().unwrap();
        set_socket_send_buffer_size(&socket, 4096).unwrap();
        widen(&socket);
        let most = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
        let most: usize = most.trim().parse().unwrap();
        let size = socket_send_buffer_size(&socket).unwrap();
        assert_eq!(size, 2 * super::SEND_BUFFER.min(most));
    }

    #[test]
    fn a_name_that_moved_is_followed_after_a_reload() {
        let receivers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let played = Played::default();
        let queue = Queue::alone();
        let mut datagrams = Datagrams::new(DatagramPeer::Udp("there:1".into()));
        datagrams.link = Link::new(Way::Name(played.name()));
        for receiver in &receivers {
            // The former receiver is still there, and takes what is sent to it.
            played.answer(Some(receiver.local_addr().unwrap()));
            queue.reopen();
            receiver.set_nonblocking(true).unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while receiver.recv(&mut [0; 100]).is_err() {
                datagrams.write(b"line\n", &queue).unwrap();
                assert!(Instant::now() < deadline, "nothing came");
            }
        }
        assert_eq!(queue.counts().0.dropped, 0);
    }

    #[test]
    fn nobody_there_is_counted_and_said() {
        let queue = Queue::alone();
        let mut datagrams = Datagrams::new(DatagramPeer::Unix("/nowhere/at/all".into()));
        datagrams.write(b"one\ntwo\n", &queue).unwrap();
        assert_eq!(queue.counts().0.dropped, 2);
        assert_eq!(
            datagrams.trouble.losing(),
            ["dropped: No such file or directory (os error 2)"]
        );
    }
}
