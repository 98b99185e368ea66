//! A connection over TCP or a Unix socket, made anew when it breaks.

use std::{
    io::{self, Write},
    net::{TcpStream, ToSocketAddrs as _},
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
    time::Duration,
};

use rustix::net::{RecvFlags, recv};

use super::{
    Output,
    queue::{Queue, lines},
};

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a write may stand still before it is looked whether the program is to end.
const STANDSTILL: Duration = Duration::from_millis(500);
/// Pauses between tries to connect grow from the first to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// Where a stream goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Tcp(String),
    Unix(PathBuf),
}

trait Connection: Write + AsFd + Send {}
impl Connection for TcpStream {}
impl Connection for UnixStream {}

pub(super) struct Stream {
    peer: Peer,
    connection: Option<Box<dyn Connection>>,
    /// What was said last, so that it is said once.
    trouble: bool,
}

impl Stream {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            connection: None,
            trouble: false,
        }
    }

    /// The connection, made anew when the other side has closed it.
    fn connected(&mut self) -> io::Result<&mut Box<dyn Connection>> {
        if self
            .connection
            .as_ref()
            .is_some_and(|open| ended(open.as_fd()))
        {
            self.connection = None;
        }
        match &mut self.connection {
            Some(open) => Ok(open),
            none => Ok(none.insert(self.peer.connect()?)),
        }
    }

    /// Writes what is left of the batch; how much of it went out is added to `written`.
    fn send(&mut self, batch: &[u8], written: &mut usize, queue: &Queue) -> io::Result<()> {
        let connection = self.connected()?;
        while *written < batch.len() {
            match connection.write(&batch[*written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => *written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The reader takes its time.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !queue.closing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn say(&mut self, trouble: Option<&io::Error>) {
        match trouble {
            Some(error) if !self.trouble => {
                log::warn!("{}: {error}; trying again", self.peer);
            }
            None if self.trouble => log::info!("{}: connected again", self.peer),
            _ => {}
        }
        self.trouble = trouble.is_some();
    }
}

impl Output for Stream {
    /// After a broken connection it goes on with the first line that did not go out whole.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        let mut written = 0;
        let [mut pause, longest] = PAUSES;
        while let Err(error) = self.send(batch, &mut written, queue) {
            self.say(Some(&error));
            self.connection = None;
            let whole = batch[..written].iter().rposition(|byte| *byte == b'\n');
            written = whole.map_or(0, |end| end + 1);
            if !queue.pause(pause) {
                queue.written(lines(&batch[..written]));
                queue.dropped(lines(&batch[written..]));
                return Ok(());
            }
            pause = (pause * 2).min(longest);
        }
        self.say(None);
        queue.written(lines(batch));
        Ok(())
    }
}

impl Peer {
    fn connect(&self) -> io::Result<Box<dyn Connection>> {
        match self {
            Self::Tcp(address) => {
                let mut refusal = io::Error::new(io::ErrorKind::NotFound, "no such host");
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECTING) {
                        Ok(stream) => {
                            stream.set_write_timeout(Some(STANDSTILL))?;
                            return Ok(Box::new(stream));
                        }
                        Err(error) => refusal = error,
                    }
                }
                Err(refusal)
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_write_timeout(Some(STANDSTILL))?;
                Ok(Box::new(stream))
            }
        }
    }
}

impl std::fmt::Display for Peer {
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
    };

    use super::{Output as _, Peer, Queue, Stream};

    fn read(listener: &TcpListener) -> String {
        let mut line = String::new();
        let (connection, _) = listener.accept().unwrap();
        BufReader::new(connection).read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn a_connection_that_the_reader_closed_is_made_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let queue = Queue::alone();
        let mut stream = Stream::new(Peer::Tcp(address));
        for line in ["one\n", "two\n"] {
            let reader = thread::scope(|scope| {
                let reader = scope.spawn(|| read(&listener));
                stream.write(line.as_bytes(), &queue).unwrap();
                reader.join().unwrap()
            });
            assert_eq!(reader, line);
        }
        assert_eq!(queue.counts().0.written, 2);
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
                thread::sleep(std::time::Duration::from_millis(100));
                drop(first);
                let (mut second, _) = listener.accept().unwrap();
                let mut text = String::new();
                second.read_to_string(&mut text).unwrap();
                text
            });
            let mut stream = Stream::new(Peer::Tcp(address));
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
        let mut stream = Stream::new(Peer::Unix("/nowhere/at/all".into()));
        stream.write(b"one\ntwo\n", &queue).unwrap();
        assert_eq!(queue.counts().0.dropped, 2);
    }
}
