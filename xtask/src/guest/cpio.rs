//! Writes cpio archives in the "newc" form, which is what the kernel unpacks as its first root.
//!
//! The form: `Documentation/driver-api/early-userspace/buffer-format.rst` in the kernel's source.

use std::{
    fs,
    io::{self, Write},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use anyhow::{Context as _, Result};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// An archive being written; entries get the same owner (root) and time on every run.
pub(crate) struct Archive<W> {
    out: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    pub(crate) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name.as_bytes(), DIRECTORY | 0o755, b"")
    }

    pub(crate) fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> io::Result<()> {
        self.entry(name.as_bytes(), FILE | (mode & 0o7777), data)
    }

    pub(crate) fn symlink(&mut self, name: &str, to: &str) -> io::Result<()> {
        self.entry(name.as_bytes(), SYMLINK | 0o777, to.as_bytes())
    }

    /// Adds what lies below `dir`, in a fixed order, under `prefix`.
    pub(crate) fn tree(&mut self, dir: &Path, prefix: &Path) -> Result<()> {
        let read = || format!("cannot read {}", dir.display());
        let mut entries = fs::read_dir(dir)
            .with_context(read)?
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let target = prefix.join(entry.file_name());
            let name = target.as_os_str().as_bytes();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.entry(name, DIRECTORY | 0o755, b"")?;
                self.tree(&path, &target)?;
            } else if kind.is_symlink() {
                let link = fs::read_link(&path)?;
                self.entry(name, SYMLINK | 0o777, link.as_os_str().as_bytes())?;
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                let data =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                self.entry(name, FILE | mode, &data)?;
            }
        }
        Ok(())
    }

    /// Writes the end mark and hands the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.entry(b"TRAILER!!!", 0, b"")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &[u8], mode: u32, data: &[u8]) -> io::Result<()> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "too long for cpio");
        let size = u32::try_from(data.len()).map_err(too_long)?;
        let name_size = u32::try_from(name.len() + 1).map_err(too_long)?;
        self.inode += 1;
        let links = 1;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize
        // check
        let fields = [
            self.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0,
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.out.write_all(header.as_bytes())?;
        self.out.write_all(name)?;
        self.out.write_all(b"\0")?;
        self.pad(header.len() + name.len() + 1)?;
        self.out.write_all(data)?;
        self.pad(data.len())
    }

    /// Header with name, and data, each end at a multiple of four.
    fn pad(&mut self, written: usize) -> io::Result<()> {
        let zeros = written.next_multiple_of(4) - written;
        self.out.write_all(&[0; 3][..zeros])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_documented() {
        let mut archive = Archive::new(Vec::new());
        archive.file("init", 0o755, b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[14..22], b"000081ed"); // mode: regular file, 755
        assert_eq!(&bytes[54..62], b"00000005"); // file size
        assert_eq!(&bytes[94..102], b"00000005"); // name size, with its zero
        assert_eq!(&bytes[110..115], b"init\0");
        assert_eq!(&bytes[116..124], b"hello\0\0\0"); // both padded to four
        assert_eq!(&bytes[124..130], b"070701");
        assert_eq!(&bytes[234..244], b"TRAILER!!!");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn a_tree_is_archived_in_order_with_links() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/file"), "x").unwrap();
        std::os::unix::fs::symlink("b/file", dir.path().join("a")).unwrap();
        let mut archive = Archive::new(Vec::new());
        archive.tree(dir.path(), Path::new("lib")).unwrap();
        let bytes = archive.finish().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let at = |what: &str| text.find(what).unwrap();
        assert!(at("lib/a\0") < at("lib/b\0") && at("lib/b\0") < at("lib/b/file\0"));
    }
}
