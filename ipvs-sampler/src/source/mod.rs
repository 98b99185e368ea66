//! Bytes in. The only modules that read from the kernel.

pub mod kernel;
pub mod namespace;
pub mod netlink;
pub mod probe;
