//! What comes from Debian's archive: kernels, the guest's programs, servers and Python for tests, and what setup
//! installs.

pub(crate) mod apt;
pub(crate) mod kernel;
mod modules;
pub(crate) mod packages;
pub(crate) mod python;
pub(crate) mod servers;
pub(crate) mod sources;
pub(crate) mod userland;
