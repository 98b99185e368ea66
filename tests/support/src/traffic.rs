//! Clients and servers.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    eventually,
    network::{CLIENT, REAL, inside},
};

/// Port of the real servers' TCP service.
pub const TCP_PORT: u16 = 80;
/// Port of the real servers' UDP service.
pub const UDP_PORT: u16 = 53;

/// Starts the real servers: TCP that reads until the end, UDP that listens.
pub fn serve() {
    inside(REAL, || {
        let listener = TcpListener::bind(("::", TCP_PORT)).expect("listening");
        accept(listener);
        let datagrams = UdpSocket::bind(("::", UDP_PORT)).expect("listening");
        thread::spawn(move || while datagrams.recv(&mut [0; 64]).is_ok() {});
    })
    .join()
    .expect("servers");
}

/// Serves connections on threads of its own.
pub fn accept(listener: TcpListener) {
    let listener = Arc::new(listener);
    for _ in 0..4 {
        let listener = Arc::clone(&listener);
        thread::spawn(move || {
            while let Ok((mut connection, _)) = listener.accept() {
                // A connection whose destination was deleted is cut off and never ends by itself.
                let _ = connection.set_read_timeout(Some(Duration::from_millis(500)));
                let _ = connection.read(&mut [0; 64]);
            }
        });
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("no address: {text}"))
}

/// Makes this many complete TCP connections to `to`, four at a time.
pub fn connect(to: &str, count: usize) {
    const WORKERS: usize = 4;
    let to = address(to);
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            inside(CLIENT, move || {
                for _ in (worker..count).step_by(WORKERS) {
                    TcpStream::connect_timeout(&to, Duration::from_secs(20))
                        .unwrap_or_else(|error| panic!("connecting to {to}: {error}"));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("client");
    }
}

/// Makes this many TCP connections to `to` and keeps them open until dropped.
pub fn hold(to: &str, count: usize) -> Vec<TcpStream> {
    let to = address(to);
    inside(CLIENT, move || {
        (0..count)
            .map(|_| TcpStream::connect_timeout(&to, Duration::from_secs(20)).expect("connecting"))
            .collect()
    })
    .join()
    .expect("client")
}

/// Sends this many datagrams to `to`, each from another port.
pub fn send(to: &str, count: usize) {
    let to = address(to);
    inside(CLIENT, move || {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        // All ports are held until the end, so that none is used twice.
        let sockets: Vec<_> = (0..count)
            .map(|_| {
                let socket = UdpSocket::bind(any).expect("a port");
                socket.send_to(b"?", to).expect("sending");
                socket
            })
            .collect();
        drop(sockets);
    })
    .join()
    .expect("client");
}

/// Makes the client know the director's link-layer address: until it does, the kernel keeps only a
/// few datagrams. A connection that is refused is enough.
pub fn resolve_neighbours() {
    inside(CLIENT, || {
        for director in ["10.2.0.254:1", "[fd00:2::fe]:1"] {
            let _ = TcpStream::connect_timeout(&address(director), Duration::from_secs(5));
        }
    })
    .join()
    .expect("client");
}

/// Connections without end, until dropped. Those that fail are not the point.
pub struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
    worker: Option<JoinHandle<()>>,
}

impl Load {
    /// Connects to each of `to` in turn.
    pub fn start(to: &[&str]) -> Self {
        let to: Vec<_> = to.iter().map(|text| address(text)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicU64::new(0));
        let (stopped, counter) = (Arc::clone(&stop), Arc::clone(&made));
        let worker = inside(CLIENT, move || {
            for to in to.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                if TcpStream::connect_timeout(to, Duration::from_millis(300)).is_ok() {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self {
            stop,
            made,
            worker: Some(worker),
        }
    }

    /// Waits until it has made this many more connections.
    #[track_caller]
    pub fn goes_on(&self, connections: u64) {
        let enough = self.made() + connections;
        eventually("connections of the load", || {
            (self.made() >= enough).then_some(())
        });
    }

    /// Connections made so far.
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}
