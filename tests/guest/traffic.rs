//! The lab's traffic: small echo servers, and clients at a bounded rate with bursts.

use std::{
    env, io,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

/// Run as a real server.
pub(crate) const SERVE: &str = "serve";
/// Run as the clients.
pub(crate) const CONNECT: &str = "connect";

/// One client thread's habits.
struct Client {
    target: &'static str,
    protocol: Protocol,
    per_second: u32,
    /// As many at once, every five seconds.
    burst: u32,
    /// How long a connection stays open.
    hold: Duration,
}

#[derive(Clone, Copy)]
enum Protocol {
    Tcp,
    Udp,
}

const CLIENTS: [Client; 5] = [
    Client {
        target: "10.0.0.1:80",
        protocol: Protocol::Tcp,
        per_second: 40,
        burst: 60,
        hold: Duration::ZERO,
    },
    Client {
        target: "10.0.0.1:80",
        protocol: Protocol::Tcp,
        per_second: 2,
        burst: 0,
        hold: Duration::from_millis(400),
    },
    Client {
        target: "[fd00::1]:80",
        protocol: Protocol::Tcp,
        per_second: 20,
        burst: 0,
        hold: Duration::ZERO,
    },
    Client {
        target: "10.0.0.1:8080",
        protocol: Protocol::Tcp,
        per_second: 10,
        burst: 30,
        hold: Duration::ZERO,
    },
    Client {
        target: "10.0.0.1:53",
        protocol: Protocol::Udp,
        per_second: 30,
        burst: 50,
        hold: Duration::ZERO,
    },
];

const BURST_EVERY: Duration = Duration::from_secs(5);
/// A stuck connection must not stop the traffic.
const PATIENCE: Duration = Duration::from_secs(1);
const REQUEST: [u8; 200] = [b'x'; 200];

/// Never returns unless it cannot start.
pub(crate) fn main() -> ExitCode {
    let outcome = match env::args().nth(1).as_deref() {
        Some(SERVE) => serve(),
        Some(CONNECT) => connect(),
        _ => Err(io::Error::other(
            "this is the guest's init: it runs as pid 1",
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    for port in [80, 8080] {
        // The IPv6 wildcard takes IPv4 as well.
        let listener = TcpListener::bind(("::", port))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // The client is what may fail here, and it is the one to notice.
                thread::spawn(move || echo(stream));
            }
        });
    }
    let socket = UdpSocket::bind(("::", 53))?;
    let mut buffer = [0; 2048];
    loop {
        if let Ok((length, client)) = socket.recv_from(&mut buffer) {
            // As above.
            let _ = socket.send_to(&buffer[..length], client);
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 2048];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}

fn connect() -> io::Result<()> {
    let threads = CLIENTS.map(|client| thread::spawn(move || client.run()));
    for thread in threads {
        thread
            .join()
            .map_err(|_| io::Error::other("a client panicked"))??;
    }
    Ok(())
}

impl Client {
    fn run(&self) -> io::Result<()> {
        let target: SocketAddr = self.target.parse().map_err(io::Error::other)?;
        let pause = Duration::from_secs(1) / self.per_second;
        let mut burst_at = Instant::now() + BURST_EVERY;
        loop {
            let begin = Instant::now();
            let count = if begin >= burst_at {
                burst_at += BURST_EVERY;
                1 + self.burst
            } else {
                1
            };
            for _ in 0..count {
                // Failures are what the sampler is there to see.
                let _ = match self.protocol {
                    Protocol::Tcp => self.tcp(target),
                    Protocol::Udp => udp(target),
                };
            }
            thread::sleep(pause.saturating_sub(begin.elapsed()));
        }
    }

    fn tcp(&self, target: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&REQUEST)?;
        stream.read_exact(&mut [0; REQUEST.len()])?;
        thread::sleep(self.hold);
        Ok(())
    }
}

/// A new socket is a new port, and so a new connection to IPVS.
fn udp(target: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send_to(&REQUEST, target)?;
    socket.recv_from(&mut [0; 2048]).map(drop)
}
