//! What the server's threads share.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
    time::Duration,
};

use crate::sink::{LineCounts, page::Pages, pulse::Pulse};

/// How patient the server is, and how much it takes.
#[derive(Clone, Copy, Debug)]
pub(in crate::sink) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// Requests on one connection.
    pub(super) requests: u32,
    /// For the head of a request, from its first byte; the first one from the connection on.
    pub(super) head: Duration,
    /// Until the next request begins.
    pub(super) idle: Duration,
    /// For taking an answer.
    pub(super) write: Duration,
}

pub(super) const LIMITS: Limits = Limits {
    connections: 16,
    requests: 1000,
    head: Duration::from_secs(5),
    idle: Duration::from_secs(30),
    write: Duration::from_secs(10),
};

/// See the module.
pub(super) struct Shared {
    pub(super) pages: Arc<Pages>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) limits: Limits,
    pub(super) counts: Mutex<LineCounts>,
    pub(super) connections: AtomicUsize,
    /// Connections with an answer under way.
    pub(super) busy: AtomicUsize,
    pub(super) closed: AtomicBool,
}

impl Shared {
    pub(super) fn counts(&self) -> MutexGuard<'_, LineCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn refuse(&self) {
        self.counts().requests.get_or_insert_default().refused += 1;
    }
}
