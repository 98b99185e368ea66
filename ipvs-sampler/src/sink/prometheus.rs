//! A small HTTP server for pages: each connection has a thread, and there are few of them. It takes no
//! more than a request's head, and what it says depends on nothing but the method, the path and `Accept`.

mod connection;
mod request;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use connection::Connection;
use request::Refusal;
use shared::{LIMITS, Limits, Shared};

use super::{LineCounts, RequestCounts, page::Pages, pulse::Pulse};

/// How long to wait when no connection can be accepted, for instance for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A server, until it is closed.
pub(super) struct Server {
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at an address and serves from now on.
    ///
    /// # Errors
    /// When the address cannot be had, or no thread.
    pub(super) fn open(address: &str, pages: Arc<Pages>, pulse: Arc<Pulse>) -> io::Result<Self> {
        Self::with_limits(address, pages, pulse, LIMITS)
    }

    fn with_limits(
        address: &str,
        pages: Arc<Pages>,
        pulse: Arc<Pulse>,
        limits: Limits,
    ) -> io::Result<Self> {
        let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
        let listener = Arc::new(TcpListener::bind(addresses.as_slice())?);
        let local = listener.local_addr()?;
        log::info!("serving metrics at http://{local}/metrics");
        if !local.ip().is_loopback() {
            log::warn!(
                "anyone who can reach {local} can read all metrics: there is no encryption and no \
                 password; prometheus://127.0.0.1:{} is for this machine only",
                local.port()
            );
        }
        let shared = Arc::new(Shared {
            pages,
            pulse,
            limits,
            counts: Mutex::new(LineCounts {
                requests: Some(RequestCounts::default()),
                ..LineCounts::default()
            }),
            connections: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        let (accepting, to_thread) = (Arc::clone(&listener), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("metrics".into())
            .spawn(move || accept(&accepting, &to_thread))?;
        Ok(Self {
            listener,
            shared,
            thread: Some(thread),
        })
    }

    /// What became of the samples that were asked for.
    pub(super) fn counts(&self) -> LineCounts {
        let counts = *self.shared.counts();
        LineCounts {
            queued: counts.written + counts.dropped,
            ..counts
        }
    }

    /// Takes no more connections.
    pub(super) fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Ends `accept`; Linux does that, and there is nothing to do where it should not.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
    }

    /// Waits for answers under way.
    pub(super) fn finished(&self, deadline: Instant) {
        while self.shared.busy.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut refused = Lingering::default();
    while !shared.closed.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            if !shared.closed.load(Ordering::Relaxed) {
                thread::sleep(PAUSE);
            }
            continue;
        };
        // Only this thread adds to it.
        if shared.connections.load(Ordering::Relaxed) >= shared.limits.connections {
            shared.refuse();
            refused.add(stream);
            continue;
        }
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let place = Seat(Arc::clone(shared));
        let spawned = thread::Builder::new()
            .name("scrape".into())
            .spawn(move || Connection::new(stream, &place.0).serve());
        if spawned.is_err() {
            shared.refuse();
        }
    }
}

/// A connection's place, free again whatever happens.
struct Seat(Arc<Shared>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Connections that were one too many. They are not read from, and closing one with something unread
/// would reset it before the answer is read: so the last few stay open for a while.
#[derive(Default)]
struct Lingering(VecDeque<TcpStream>);

impl Lingering {
    const MOST: usize = 16;

    fn add(&mut self, mut stream: TcpStream) {
        // The answer is far shorter than the socket's buffer; who does not get it has gone away.
        let told = stream
            .set_nonblocking(true)
            .and_then(|()| stream.write_all(connection::refusal(Refusal::TooMany).as_bytes()))
            .and_then(|()| stream.shutdown(Shutdown::Write));
        if told.is_ok() {
            if self.0.len() == Self::MOST {
                self.0.pop_front();
            }
            self.0.push_back(stream);
        }
    }
}
