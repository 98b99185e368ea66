//! Whose dumps the programs learn from.

use super::mapped::Mapped;

/// As long as it lives, the programs take what our process dumps for a dump of what is watched.
/// Several probes may watch several network namespaces in turn.
pub(super) struct Attention<'a> {
    target: &'a Mapped,
    slots: u32,
}

impl<'a> Attention<'a> {
    pub(super) fn begin(target: &'a Mapped, process: u32, slots: u32) -> Self {
        let attention = Self { target, slots };
        attention.set(process);
        attention
    }

    /// [`Target::process`](ipvs_sampler_common::Target), which shares its word with `slots`.
    fn set(&self, process: u32) {
        let [a, b, c, d] = process.to_ne_bytes();
        let [e, f, g, h] = self.slots.to_ne_bytes();
        self.target
            .set(2, u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Drop for Attention<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}
