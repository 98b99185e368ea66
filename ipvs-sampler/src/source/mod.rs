//! Bytes in. The only modules that read from the kernel.

mod cgroup;
pub mod conditions;
pub mod kernel;
pub mod namespace;
pub mod netlink;
pub mod probe;
