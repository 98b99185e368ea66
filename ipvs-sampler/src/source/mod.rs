//! Bytes in. The only modules that read from the kernel.

mod cgroup;
mod chosen;
pub mod conditions;
mod director;
pub mod feed;
pub mod kernel;
pub mod namespace;
pub mod netlink;
pub mod probe;

pub use chosen::chosen_namespaces;
pub use director::{Director, cannot_enter, open_netlink, within};
