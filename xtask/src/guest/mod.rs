//! A guest: what goes into it, the machine that runs it, and what it says.

mod artifacts;
pub(crate) mod console;
pub(crate) mod cpio;
pub(crate) mod initramfs;
pub(crate) mod plan;
pub(crate) mod qemu;
pub(crate) mod run;
mod silence;
pub(crate) mod terminal;
