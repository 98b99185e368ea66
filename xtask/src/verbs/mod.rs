//! The verbs of `cargo xtask`, a file each; `tidy` alone is a room with its own entry.

pub(crate) mod bench;
pub(crate) mod build;
pub(crate) mod ci;
pub(crate) mod dist;
pub(crate) mod docs;
pub(crate) mod lab;
pub(crate) mod package;
pub(crate) mod setup;
pub(crate) mod test;
