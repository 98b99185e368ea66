//! Rows of a tick.

use crate::model::{Destination, DestinationRow, Service, ServiceRow};

/// Which rows a tick has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DueRows {
    /// None.
    #[default]
    None,
    /// The complete snapshot.
    All,
    /// What has anything new to say, read live.
    Changed,
    /// The destinations that were scheduled to.
    Scheduled,
}

/// One service or destination at a moment.
pub struct Row<'a> {
    /// Which, and its numbers.
    pub of: RowOf<'a>,
    /// In ns since 1970.
    pub wall: i64,
    /// Nothing but connections is newer than the last dump.
    pub scheduled_only: bool,
}

/// See [`Row`].
pub enum RowOf<'a> {
    /// A service.
    Service(ServiceRow<'a>),
    /// A destination.
    Destination(DestinationRow<'a>),
}

/// A destination that ended its life within a tick: the next dump will not have it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departed {
    pub(super) service: Service,
    pub(super) destination: Destination,
    pub(super) wall: i64,
}
