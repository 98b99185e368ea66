//! Finds a compiler and a linker for the eBPF target.
//!
//! The target has no prebuilt `core`, so the compiler needs core's source in its sysroot. And
//! bpf-linker reads the compiler's LLVM bitcode, so its LLVM must not be older than the
//! compiler's.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::exec;

/// What an eBPF build runs.
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    pub(crate) linker: PathBuf,
}

/// What is missing for an eBPF build.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Compiler,
    /// No bpf-linker, or only ones whose LLVM is older than this compiler's.
    Linker {
        llvm: u32,
        too_old: Vec<(PathBuf, u32)>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler => f.write_str(
                "a Rust compiler with core's source (rustup's nightly with the rust-src \
                 component, or Debian's rustc-web, cargo-web and rust-web-src)",
            ),
            Self::Linker { llvm, too_old } => {
                write!(f, "a bpf-linker made with LLVM {llvm} or newer")?;
                for (path, llvm) in too_old {
                    write!(f, "; {} has LLVM {llvm}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

/// Where `cargo xtask setup` installs bpf-linker when the machine has none.
pub(crate) fn tools(cache: &Path) -> PathBuf {
    cache.join("tools")
}

/// The first compiler and linker that go together: rustup's before Debian's, PATH before ours.
pub(crate) fn find(cache: &Path) -> Result<Toolchain, Missing> {
    let linkers: Vec<(PathBuf, Option<u32>)> = [
        exec::find_on_path("bpf-linker"),
        Some(tools(cache).join("bin/bpf-linker")),
    ]
    .into_iter()
    .flatten()
    .filter_map(|path| Some((llvm_of_linker(&fs::read(&path).ok()?), path)))
    .map(|(llvm, path)| (path, llvm))
    .collect();
    let mut missing = Missing::Compiler;
    for sysroot in sysroots() {
        let Some(compiler) = Compiler::at(&sysroot) else {
            continue;
        };
        match pick_linker(&linkers, compiler.llvm) {
            Ok(linker) => {
                return Ok(Toolchain {
                    cargo: compiler.cargo,
                    rustc: compiler.rustc,
                    linker,
                });
            }
            Err(reason) => missing = reason,
        }
    }
    Err(missing)
}

fn pick_linker(linkers: &[(PathBuf, Option<u32>)], llvm: u32) -> Result<PathBuf, Missing> {
    // A linker that does not tell its LLVM is the user's own choice: it is given a try.
    match linkers
        .iter()
        .find(|(_, theirs)| theirs.is_none_or(|theirs| theirs >= llvm))
    {
        Some((path, _)) => Ok(path.clone()),
        None => Err(Missing::Linker {
            llvm,
            too_old: linkers
                .iter()
                .filter_map(|(path, llvm)| Some((path.clone(), (*llvm)?)))
                .collect(),
        }),
    }
}

/// Where compilers are looked for: rustup's nightlies, the one in use, Debian's.
fn sysroots() -> Vec<PathBuf> {
    let rustup = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")));
    let mut found = Vec::new();
    if let Some(toolchains) = rustup.map(|home| home.join("toolchains")) {
        found.extend(
            fs::read_dir(&toolchains)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("nightly"))
                .map(|entry| entry.path()),
        );
        found.sort();
        found.extend(env::var_os("RUSTUP_TOOLCHAIN").map(|name| toolchains.join(name)));
    }
    found.push("/usr".into());
    found
}

struct Compiler {
    cargo: PathBuf,
    rustc: PathBuf,
    llvm: u32,
}

impl Compiler {
    fn at(sysroot: &Path) -> Option<Self> {
        let [cargo, rustc] = ["bin/cargo", "bin/rustc"].map(|path| sysroot.join(path));
        let source = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs");
        if ![&cargo, &rustc, &source]
            .into_iter()
            .all(|path| path.is_file())
        {
            return None;
        }
        let about = exec::capture(
            Command::new(&rustc)
                .arg("-vV")
                .env_remove("LD_LIBRARY_PATH"),
        )
        .ok()?;
        let (minor, llvm) = parse_version(&about)?;
        // Before 1.85 there is no 2024 edition; Debian 12's own `rustc` package is such a one.
        (minor >= 85).then_some(Self { cargo, rustc, llvm })
    }
}

/// The minor version and LLVM's major version from `rustc -vV`.
fn parse_version(about: &str) -> Option<(u32, u32)> {
    let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name));
    let minor = field("release: 1.")?.split('.').next()?.parse().ok()?;
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some((minor, llvm))
}

/// The LLVM that a bpf-linker binary is linked to dynamically; one linked statically does not
/// tell.
fn llvm_of_linker(binary: &[u8]) -> Option<u32> {
    const NAMES: [&[u8]; 2] = [b"libLLVM.so.", b"libLLVM-"];
    NAMES.iter().find_map(|name| {
        let at = binary
            .windows(name.len())
            .position(|window| window == *name)?;
        let digits: Vec<u8> = binary[at + name.len()..]
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        String::from_utf8(digits).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_compiler_and_linker() {
        let about = "rustc 1.96.0 (x)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_version(about), Some((96, 22)));
        assert_eq!(parse_version("rustc 1.96.0"), None);
        assert_eq!(llvm_of_linker(b"\0libc.so.6\0libLLVM.so.22.1\0"), Some(22));
        assert_eq!(llvm_of_linker(b"\0libLLVM-19.so.1\0"), Some(19));
        assert_eq!(llvm_of_linker(b"\0libc.so.6\0"), None);
    }

    #[test]
    fn a_linker_must_not_be_older_than_the_compiler() {
        let old = (PathBuf::from("/old"), Some(21));
        let new = (PathBuf::from("/new"), Some(22));
        let silent = (PathBuf::from("/static"), None);
        assert_eq!(pick_linker(&[old.clone(), new], 22), Ok("/new".into()));
        assert_eq!(pick_linker(&[silent], 22), Ok("/static".into()));
        let missing = pick_linker(&[old], 22).unwrap_err();
        let text = missing.to_string();
        assert!(
            text.contains("LLVM 22 or newer") && text.contains("/old has LLVM 21"),
            "{text}"
        );
    }
}
