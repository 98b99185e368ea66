//! A connection over TCP or a Unix socket, made again when it breaks or when its host's name has moved.

use std::{
    io::{self, Write},
    net::TcpStream,
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
    time::Duration,
};

use rustix::net::{RecvFlags, recv};

use super::{
    lines::lines,
    link::{End, Link, Way},
    name::HostName,
    output::Output,
    queue::Queue,
    trouble::Trouble,
};

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a write may stand still before it is looked whether the program is to end.
const STANDSTILL: Duration = Duration::from_millis(500);
/// Pauses between tries to connect grow from the first to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamPeer {
    Tcp(String),
    Unix(PathBuf),
}

enum StreamConnection {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub(super) struct Stream {
    peer: StreamPeer,
    link: Link<StreamConnection>,
    trouble: Trouble,
}

impl Stream {
    pub(super) fn new(peer: StreamPeer) -> Self {
        let way = match &peer {
            StreamPeer::Tcp(address) => Way::Name(HostName::new(address)),
            StreamPeer::Unix(path) => Way::Path(path.clone()),
        };
        Self {
            peer,
            link: Link::new(way),
            trouble: Trouble::default(),
        }
    }

    /// Writes what is left of the batch; how much of it went out is added to `written`.
    fn send(&mut self, batch: &[u8], written: &mut usize, queue: &Queue) -> io::Result<()> {
        if self.link.open().is_none() {
            // Of what did not go out whole, the other side has the beginning, if anything.
            let whole = batch[..*written].iter().rposition(|byte| *byte == b'\n');
            *written = whole.map_or(0, |end| end + 1);
        }
        let connection = self.link.get(queue, StreamConnection::make)?;
        while *written < batch.len() {
            match connection.write(&batch[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => *written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Output for Stream {
    /// After a broken connection it goes on with the first line that did not go out whole.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        let mut written = 0;
        let [mut pause, longest] = PAUSES;
        self.link.follow(&self.peer, queue.wants_reopening());
        if self.link.open().is_some_and(StreamConnection::has_ended) {
            self.link.close();
        }
        while let Err(error) = self.send(batch, &mut written, queue) {
            let is_slow = error.kind() == io::ErrorKind::WouldBlock && self.link.open().is_some();
            if is_slow && !queue.closing() {
                // The reader takes its time, and its name may move meanwhile.
                self.link.follow(&self.peer, queue.wants_reopening());
                continue;
            }
            self.trouble.waits(&self.peer, error.to_string());
            self.link.close();
            self.link.follow(&self.peer, true);
            if !queue.pause(pause) {
                let whole = lines(&batch[..written]);
                let rest = lines(batch) - whole;
                queue.written(whole);
                queue.dropped(rest);
                let cause = format!("shut down first: {error}");
                self.trouble.loses(&self.peer, rest, "dropped", cause);
                return Ok(());
            }
            pause = (pause * 2).min(longest);
        }
        self.trouble.is_over(&self.peer);
        queue.written(lines(batch));
        Ok(())
    }
}

impl StreamConnection {
    fn make(end: End<'_>) -> io::Result<Self> {
        match end {
            End::Address(address) => {
                let stream = TcpStream::connect_timeout(&address, CONNECTING)?;
                stream.set_write_timeout(Some(STANDSTILL))?;
                Ok(Self::Tcp(stream))
            }
            End::Path(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(STANDSTILL))?;
                Ok(Self::Unix(stream))
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            Self::Tcp(stream) => ended(stream),
            Self::Unix(stream) => ended(stream),
        }
    }
}

impl std::fmt::Display for StreamPeer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "tcp://{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Whether the other side has closed: what is written after that goes nowhere, and the first write
/// does not tell.
fn ended(connection: impl AsFd) -> bool {
    let mut byte = [0];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match recv(connection, &mut byte[..], flags) {
        Ok((length, _)) => length == 0,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => false,
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        net::TcpListener,
        thread,
        time::{Duration, Instant},
    };

    use super::{super::name::tests::Played, Link, Output as _, Queue, Stream, StreamPeer, Way};

    fn read(listener: &TcpListener) -> String {
        let mut line = String::new();
        let (connection, _) = listener.accept().unwrap();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn each_connection_after_the_first_is_counted_as_a_retry() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let queue = Queue::alone();
        let mut stream = Stream::new(StreamPeer::Tcp(address));
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            let reader = thread::scope(|scope| {
                let reader = scope.spawn(|| read(&listener));
                stream.write(line.as_bytes(), &queue).unwrap();
                reader.join().unwrap()
            });
            assert_eq!(reader, line);
        }
        let counts = queue.counts().0;
        assert_eq!((counts.written, counts.retries), (4, 3));
    }

    #[test]
    fn a_name_that_moved_takes_the_connection_along_after_a_reload() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let played = Played::default();
        let queue = Queue::alone();
        let mut stream = Stream::new(StreamPeer::Tcp("there:1".into()));
        stream.link = Link::new(Way::Name(played.name()));
        let mut open = Vec::new();
        for listener in &listeners {
            played.answer(Some(listener.local_addr().unwrap()));
            // The former connection is still there, and takes what is written to it.
            queue.reopen();
            listener.set_nonblocking(true).unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            let connection = loop {
                stream.write(b"line\n", &queue).unwrap();
                if let Ok((connection, _)) = listener.accept() {
                    break connection;
                }
                assert!(Instant::now() < deadline, "nobody came");
            };
            open.push(connection);
        }
        let counts = queue.counts().0;
        assert_eq!((counts.retries, counts.dropped), (1, 0));
        played.answer(None);
        queue.reopen();
        for _ in 0..100 {
            stream.write(b"line\n", &queue).unwrap();
        }
        assert_eq!(queue.counts().0.retries, 1, "it stays where it was");
    }

    #[test]
    fn a_name_that_moved_is_followed_while_the_former_reader_stands_still() {
        let [former, new] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let played = Played::default();
        played.answer(Some(former.local_addr().unwrap()));
        let queue = Queue::alone();
        let mut stream = Stream::new(StreamPeer::Tcp("there:1".into()));
        stream.link = Link::new(Way::Name(played.name()));
        let lines: String = (0..1_000_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        let text = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (_stuck, _) = former.accept().unwrap();
                played.answer(Some(new.local_addr().unwrap()));
                queue.reopen();
                let mut text = String::new();
                let (mut connection, _) = new.accept().unwrap();
                connection.read_to_string(&mut text).unwrap();
                text
            });
            stream.write(lines.as_bytes(), &queue).unwrap();
            stream.link.close();
            reader.join().unwrap()
        });
        assert!(lines.ends_with(&text) && text.starts_with("line "));
        let counts = queue.counts().0;
        assert_eq!((counts.written, counts.retries), (1_000_000, 1));
    }

    #[test]
    fn a_line_that_did_not_go_out_whole_goes_out_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let lines: String = (0..400_000)
            .map(|number| format!("line {number}\n"))
            .collect();
        let queue = Queue::alone();
        let text = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                // The first one goes away in the middle, with a full window before it.
                let (mut first, _) = listener.accept().unwrap();
                first.read_exact(&mut [0; 1000]).unwrap();
                thread::sleep(Duration::from_millis(100));
                drop(first);
                let (mut second, _) = listener.accept().unwrap();
                let mut text = String::new();
                second.read_to_string(&mut text).unwrap();
                text
            });
            let mut stream = Stream::new(StreamPeer::Tcp(address));
            stream.write(lines.as_bytes(), &queue).unwrap();
            drop(stream);
            reader.join().unwrap()
        });
        assert!(
            lines.ends_with(&text) && text.starts_with("line "),
            "{}",
            &text[..20]
        );
        let counts = queue.counts().0;
        assert_eq!(
            (counts.written, counts.dropped, counts.retries),
            (400_000, 0, 1)
        );
    }

    #[test]
    fn nobody_there_and_asked_to_finish() {
        let queue = Queue::alone();
        queue.close();
        let mut stream = Stream::new(StreamPeer::Unix("/nowhere/at/all".into()));
        stream.write(b"one\ntwo\n", &queue).unwrap();
        assert_eq!(queue.counts().0.dropped, 2);
    }
}
