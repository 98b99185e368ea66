//! A connection that is made again when it breaks, or when its host's name leads elsewhere. Connections are made
//! here only, so that each one after the first is counted as a retry.

use std::{
    fmt::Display,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{name::HostName, queue::Queue};

/// Where connections lead.
pub(super) enum Way {
    Name(HostName),
    Path(PathBuf),
}

/// Where one connection leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    Address(SocketAddr),
    Path(&'a Path),
}

/// A connection, or none right now.
pub(super) struct Link<T> {
    way: Way,
    open: Option<T>,
    /// Of the open one, where there is such.
    address: Option<SocketAddr>,
    /// There was one before, or an attempt at one.
    tried: bool,
}

impl<T> Link<T> {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            open: None,
            address: None,
            tried: false,
        }
    }

    /// Lets go of a connection that leads to where the name was before. `look_again`: the name may have moved.
    pub(super) fn follow(&mut self, output: &impl Display, look_again: bool) {
        let Way::Name(name) = &mut self.way else {
            return;
        };
        if look_again {
            name.look_again();
        }
        name.follow(output);
        if self.open.is_some() && self.address.is_some_and(|old| !name.leads_to(old)) {
            name.say_moved(output);
            self.open = None;
        }
    }

    /// The connection; `connect` makes one where there is none.
    pub(super) fn get(
        &mut self,
        queue: &Queue,
        connect: impl Fn(End<'_>) -> io::Result<T>,
    ) -> io::Result<&mut T> {
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                if std::mem::replace(&mut self.tried, true) {
                    queue.retried();
                }
                let (open, address) = self.way.connect(connect)?;
                self.address = address;
                Ok(none.insert(open))
            }
        }
    }

    /// The connection that there is.
    pub(super) fn open(&self) -> Option<&T> {
        self.open.as_ref()
    }

    /// The next one to ask gets a new connection.
    pub(super) fn close(&mut self) {
        self.open = None;
    }
}

impl Way {
    /// To the first address that takes it.
    fn connect<T>(
        &mut self,
        connect: impl Fn(End<'_>) -> io::Result<T>,
    ) -> io::Result<(T, Option<SocketAddr>)> {
        let name = match self {
            Self::Path(path) => return Ok((connect(End::Path(path))?, None)),
            Self::Name(name) => name,
        };
        let mut refusal = io::Error::from(io::ErrorKind::NotFound);
        for &address in name.addresses()? {
            match connect(End::Address(address)) {
                Ok(open) => return Ok((open, Some(address))),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}
