//! Why the guest gives up.

/// A reason to give up, in words.
pub(crate) type Error = Box<dyn std::error::Error>;
