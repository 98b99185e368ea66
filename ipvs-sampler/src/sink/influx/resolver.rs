//! Where the HTTP client finds the server: at the addresses that are known, without a lookup of its own.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Addresses that the client takes for those of any host: there are no redirects and no proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Arc<Mutex<Vec<SocketAddr>>>);

/// The client tries no more.
const MOST: usize = 16;

impl Known {
    pub(super) fn set(&self, addresses: &[SocketAddr]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != addresses {
            known.clear();
            known.extend_from_slice(addresses);
        }
    }
}

impl Resolver for Known {
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
