//! Network namespaces: which one a source looks into.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";
/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// A network namespace: our own, or one that was chosen. Kept open, so it lives as long as this
/// does, also when its name is gone.
#[derive(Debug)]
pub struct Namespace {
    chosen: Option<Chosen>,
}

#[derive(Debug)]
struct Chosen {
    label: String,
    path: PathBuf,
    /// `None` while there is none at `path`.
    namespace: Option<File>,
    home: File,
}

/// What became of a chosen network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// There is none any more.
    Gone,
    /// There is another one now.
    Replaced,
}

impl Namespace {
    /// The one in which the program was started.
    #[must_use]
    pub const fn own() -> Self {
        Self { chosen: None }
    }

    /// One by the name that `ip netns` gave it, by a path (anything with a slash), or by a process
    /// in it (`pid:N`).
    ///
    /// # Errors
    /// When there is none, or it may not be opened.
    pub fn open(label: &str) -> io::Result<Self> {
        let path = path(label);
        Ok(Self {
            chosen: Some(Chosen {
                label: label.into(),
                namespace: Some(open(&path)?),
                path,
                home: File::open(OWN)?,
            }),
        })
    }

    /// What it was chosen by; `None` for our own.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.chosen.as_ref().map(|chosen| chosen.label.as_str())
    }

    /// Whether there is one to enter.
    #[must_use]
    pub fn exists(&self) -> bool {
        let chosen = self.chosen.as_ref();
        chosen.is_none_or(|chosen| chosen.namespace.is_some())
    }

    /// Does some work with the calling thread inside.
    ///
    /// # Errors
    /// When it is gone, or may not be entered, which needs `CAP_SYS_ADMIN`.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let Some(chosen) = &self.chosen else {
            return Ok(work());
        };
        let namespace = chosen.namespace.as_ref().ok_or(io::ErrorKind::NotFound)?;
        enter(namespace)?;
        let result = work();
        enter(&chosen.home)?;
        Ok(result)
    }

    /// Looks whether what was chosen still leads to the same one. Follows it when it does not.
    pub fn follow(&mut self) -> Change {
        let Some(chosen) = &mut self.chosen else {
            return Change::None;
        };
        let now = open(&chosen.path).ok();
        let same = match (&now, &chosen.namespace) {
            (Some(now), Some(before)) => {
                identity(now).is_some_and(|now| identity(before) == Some(now))
            }
            (None, None) => true,
            _ => false,
        };
        if same {
            return Change::None;
        }
        chosen.namespace = now;
        match chosen.namespace {
            Some(_) => Change::Replaced,
            None => Change::Gone,
        }
    }
}

fn path(label: &str) -> PathBuf {
    match label.strip_prefix("pid:") {
        Some(process) => format!("/proc/{process}/ns/net").into(),
        None if label.contains('/') => label.into(),
        None => Path::new(NAMES).join(label),
    }
}

/// A file that is no namespace is an error: a name under /run/netns is one for a moment before it is
/// a namespace. Another kind of namespace is refused when it is entered.
fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let own = fs::metadata(OWN)?;
    if file.metadata()?.dev() == own.dev() {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a network namespace",
        ))
    }
}

fn enter(namespace: &File) -> io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

fn identity(namespace: &File) -> Option<(u64, u64)> {
    let metadata = namespace.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::{Change, Namespace, path};

    #[test]
    fn a_label_is_a_name_a_path_or_a_process() {
        for (label, expected) in [
            ("blue", "/run/netns/blue"),
            ("./blue", "./blue"),
            ("/proc/7/ns/net", "/proc/7/ns/net"),
            ("pid:7", "/proc/7/ns/net"),
        ] {
            assert_eq!(path(label).to_str(), Some(expected));
        }
    }

    #[test]
    fn our_own_by_process_is_the_same_all_the_time() {
        let mut namespace = Namespace::open(&format!("pid:{}", std::process::id())).unwrap();
        assert_eq!(namespace.follow(), Change::None);
        assert!(Namespace::own().within(|| ()).is_ok());
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Namespace::open("/proc/self/status").is_err());
        assert!(Namespace::open("no-such-name").is_err());
    }
}
