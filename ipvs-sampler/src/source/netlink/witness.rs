//! Who watches the kernel fill our dump.

use crate::model::{Destination, Service};

/// Told the steps of each dump of services or destinations, in the order in which the kernel takes
/// them.
///
/// The kernel fills the first chunk of a dump while we send the request, and chunk k+1 while it
/// hands us chunk k. So after each such step, whoever records what the kernel writes has the
/// entries of exactly one more chunk, and gets to see them decoded one step later.
pub trait Witness {
    /// A dump of everything begins, or begins again after a failure: whatever was recorded and not
    /// yet received never will be.
    fn began(&mut self) {}

    /// The kernel may have filled another chunk.
    fn filled(&mut self);

    /// As [`Witness::received`], of services. May set [`Service::slot`].
    fn received_services(&mut self, _: &mut [Service]) {}

    /// These came in the oldest chunk not received before, in the kernel's order; none of them at
    /// the end of a dump. May set [`Destination::slot`].
    fn received(&mut self, destinations: &mut [Destination]);
}

/// Nobody watches.
impl Witness for () {
    fn filled(&mut self) {}

    fn received(&mut self, _: &mut [Destination]) {}
}
