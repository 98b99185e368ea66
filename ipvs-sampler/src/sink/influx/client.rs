//! An HTTP client that connects to the last known addresses of the server and does no lookups itself.

use std::{
    fmt::Display,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ureq::{
    Agent, Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::sink::name::HostName;

/// The client of one server.
pub(super) struct Client {
    name: HostName,
    known: KnownAddresses,
    /// It keeps connections.
    agent: Agent,
}

impl Client {
    pub(super) fn new(config: Config, name: HostName) -> Self {
        let known = KnownAddresses::default();
        Self {
            agent: known.agent(config),
            known,
            name,
        }
    }

    /// Follows the server's name, and lets go of connections to an address that it has left.
    pub(super) fn follow(&mut self, output: &impl Display, look_again: bool) {
        if look_again {
            self.name.look_again();
        }
        if self.name.follow(output) {
            self.name.say_moved(output);
            self.agent = self.known.agent(self.agent.config().clone());
        }
    }

    /// For a request. The first time, this waits for the resolver.
    pub(super) fn agent(&mut self) -> io::Result<&Agent> {
        self.known.set(self.name.addresses()?);
        Ok(&self.agent)
    }
}

/// Addresses that the client takes for those of any host: there are no redirects and no proxies.
#[derive(Clone, Debug, Default)]
struct KnownAddresses(Arc<Mutex<Vec<SocketAddr>>>);

/// The client tries no more.
const MOST: usize = 16;

impl KnownAddresses {
    fn agent(&self, config: Config) -> Agent {
        Agent::with_parts(config, DefaultConnector::default(), self.clone())
    }

    fn set(&self, addresses: &[SocketAddr]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != addresses {
            known.clear();
            known.extend_from_slice(addresses);
        }
    }
}

impl Resolver for KnownAddresses {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for &address in known.iter().take(MOST) {
            addresses.push(address);
        }
        match known.is_empty() {
            true => Err(Error::HostNotFound),
            false => Ok(addresses),
        }
    }
}
