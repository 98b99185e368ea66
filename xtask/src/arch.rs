//! The words for the architecture of binaries, packages and guests, each as its user spells it.

/// One architecture.
#[derive(Debug)]
pub(crate) struct Arch {
    /// As the kernel says it (`uname -m`), and aya.
    pub(crate) machine: &'static str,
    /// As Debian's packages and archives have it in their names.
    pub(crate) debian: &'static str,
    /// Where Debian's libraries are, below `usr/lib`.
    pub(crate) multiarch: &'static str,
    /// As cargo says it.
    pub(crate) target: &'static str,
    /// QEMU's program.
    pub(crate) qemu: &'static str,
    /// The Debian package that brings it.
    pub(crate) qemu_package: &'static str,
}

const X86_64: Arch = Arch {
    machine: "x86_64",
    debian: "amd64",
    multiarch: "x86_64-linux-gnu",
    target: "x86_64-unknown-linux-gnu",
    qemu: "qemu-system-x86_64",
    qemu_package: "qemu-system-x86",
};

/// The one that everything is made for.
pub(crate) const ARCH: &Arch = &X86_64;

impl Arch {
    /// The path of something among Debian's libraries, from a root.
    pub(crate) fn library(&self, name: &str) -> String {
        format!("usr/lib/{}/{name}", self.multiarch)
    }
}
