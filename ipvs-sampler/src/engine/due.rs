//! Why there is a tick.

/// What a tick is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The destinations that were scheduled to.
    Window,
    /// Everything.
    Interval,
}
