//! When and how dumps were made.

use crate::{source::feed::Dumped, system::clock::Moment};

/// When and how dumps were made.
pub(super) struct Dumps {
    /// The end of the last one, also of one that failed.
    pub(super) ended: Moment,
    /// The end of the last one that succeeded, in ns since 1970.
    pub(super) succeeded: Option<i64>,
    /// Why the last one failed, where it did.
    pub(super) failure: Option<String>,
    /// The number of IPVS's family in the last one.
    pub(super) family: Option<u16>,
    /// What else is known of the last one that succeeded.
    pub(super) last: Dumped,
    /// Something was zeroed since the last one began.
    pub(super) zeroed: bool,
}

impl Dumps {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            ended: now,
            succeeded: None,
            failure: None,
            family: None,
            last: Dumped::default(),
            zeroed: false,
        }
    }
}
