//! Files on their way into a package: written below a folder, with the modes that packages want.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::inputs::Inputs;
use crate::exec;

/// The pages of the manual; the empty one is that of the program.
const PAGES: [&str; 9] = [
    "",
    "run",
    "once",
    "config",
    "config-check",
    "config-show",
    "doctor",
    "completions",
    "man",
];

/// A folder that becomes a package.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// An empty one.
    pub(crate) fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root)?;
        fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
        Ok(Self(root.to_owned()))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, path: &str, mode: u32, content: impl AsRef<[u8]>) -> Result<()> {
        let mut above = self.0.clone();
        let (folders, _) = path.rsplit_once('/').unwrap_or_default();
        for folder in folders.split('/').filter(|name| !name.is_empty()) {
            above.push(folder);
            if !above.exists() {
                fs::create_dir(&above)?;
                // Whatever the umask is.
                fs::set_permissions(&above, fs::Permissions::from_mode(0o755))?;
            }
        }
        let path = self.0.join(path);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Copies a file.
    pub(crate) fn copy(&self, from: &Path, path: &str, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.write(path, mode, content)
    }

    /// Copies the files of a folder, and of the folders in it.
    pub(crate) fn copy_all(&self, from: &Path, to: &str) -> Result<()> {
        let entries =
            fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().context("a file name is not UTF-8")?;
            let to = format!("{to}/{name}");
            if entry.file_type()?.is_dir() {
                self.copy_all(&entry.path(), &to)?;
            } else {
                self.copy(&entry.path(), &to, 0o644)?;
            }
        }
        Ok(())
    }

    /// Compresses a file in place, without time and name.
    pub(crate) fn gzip(&self, path: &str) -> Result<()> {
        exec::capture(
            Command::new("gzip")
                .args(["-9", "-n"])
                .arg(self.0.join(path)),
        )
        .map(drop)
    }

    /// The pages of the manual, as the program itself prints them; returns their paths.
    pub(crate) fn manual(&self, inputs: &Inputs, folder: &str) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for page in PAGES {
            let mut command = Command::new(&inputs.binary);
            command.arg("man");
            let mut name = "ipvs-sampler".to_owned();
            if !page.is_empty() {
                command.arg(page);
                name = format!("{name}-{page}");
            }
            let path = format!("{folder}/{name}.1");
            self.write(&path, 0o644, exec::capture(&mut command)?)?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// What makes a shell complete the command line, as the program itself prints it.
    pub(crate) fn completions(&self, inputs: &Inputs, shell: &str, path: &str) -> Result<()> {
        let script = exec::capture(Command::new(&inputs.binary).args(["completions", shell]))?;
        self.write(path, 0o644, script)
    }

    /// What an operator copies from, below `folder`.
    pub(crate) fn samples(&self, inputs: &Inputs, folder: &str) -> Result<()> {
        let packaging = inputs.workspace.join("packaging");
        self.copy_all(&packaging.join("examples"), folder)?;
        for part in ["grafana", "kubernetes", "container"] {
            self.copy_all(&packaging.join(part), &format!("{folder}/{part}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files_have_the_modes_of_packages() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(&dir.path().join("root")).unwrap();
        tree.write("usr/bin/program", 0o755, "x").unwrap();
        tree.write("file", 0o644, "y").unwrap();
        let mode = |path: &str| {
            let metadata = fs::metadata(tree.root().join(path)).unwrap();
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!(mode("usr/bin"), 0o755);
        assert_eq!(mode("usr/bin/program"), 0o755);
        assert_eq!(mode("file"), 0o644);
    }
}
