//! Files that tests leave: the guest writes a tar archive to its disk, without a file system.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::exec;

/// As much as tests may leave, compressed by themselves where it matters.
const SIZE: u64 = 512 << 20;

/// Makes the empty disk; it takes no space before something is written.
pub(crate) fn create(disk: &Path) -> Result<()> {
    File::create(disk)
        .and_then(|file| file.set_len(SIZE))
        .with_context(|| format!("cannot create {}", disk.display()))
}

/// Unpacks what the guest wrote to `disk`, if anything, in place of what is in `dir`.
pub(crate) fn unpack(disk: &Path, dir: &Path) -> Result<bool> {
    let mut first = [0; 512];
    File::open(disk)?.read_exact(&mut first)?;
    if first == [0; 512] {
        return Ok(false);
    }
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    exec::capture(Command::new("tar").arg("-C").arg(dir).arg("-xf").arg(disk))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_disk_gives_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let [disk, from, to] = ["disk", "from", "to"].map(|name| dir.path().join(name));
        create(&disk).unwrap();
        assert!(!unpack(&disk, &to).unwrap());

        fs::create_dir(&from).unwrap();
        fs::write(from.join("capture"), "bytes").unwrap();
        let tar = Command::new("tar")
            .arg("-C")
            .arg(&from)
            .args(["-cf", "-", "."])
            .output();
        File::options()
            .write(true)
            .open(&disk)
            .unwrap()
            .write_all(&tar.unwrap().stdout)
            .unwrap();
        assert!(unpack(&disk, &to).unwrap());
        assert_eq!(fs::read_to_string(to.join("capture")).unwrap(), "bytes");
    }
}
