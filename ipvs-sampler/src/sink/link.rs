//! A connection that is made again when it breaks. Connections are made here only, so that each one after
//! the first is counted as a retry.

use std::io;

use super::queue::Queue;

/// A connection, or none right now.
pub(super) struct Link<T> {
    open: Option<T>,
    /// There was one before, or an attempt at one.
    tried: bool,
}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Self {
            open: None,
            tried: false,
        }
    }
}

impl<T> Link<T> {
    /// The connection; `connect` makes one where there is none.
    pub(super) fn get(
        &mut self,
        queue: &Queue,
        connect: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<&mut T> {
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                if std::mem::replace(&mut self.tried, true) {
                    queue.retried();
                }
                Ok(none.insert(connect()?))
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
