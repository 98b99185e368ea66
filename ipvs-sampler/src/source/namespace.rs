//! Network namespaces: which one a source looks into.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

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
    place: Origin,
    /// `None` while there is none.
    namespace: Option<File>,
    home: File,
}

/// Where a network namespace is looked for.
#[derive(Debug)]
enum Origin {
    /// A file, which may be another one later.
    Path(PathBuf),
    /// A process. Held by its descriptor: its number goes to another process when it has ended.
    Process { id: Pid, process: OwnedFd },
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
        let home = File::open(OWN)?;
        let place = Origin::find(label)?;
        let namespace = place.open(&home)?;
        Ok(Self {
            chosen: Some(Chosen {
                label: label.into(),
                place,
                namespace: Some(namespace),
                home,
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
        visit(namespace, &chosen.home, work)
    }

    /// Looks whether what was chosen still leads to the same one. Follows it when it does not.
    pub fn follow(&mut self) -> Change {
        let Some(chosen) = &mut self.chosen else {
            return Change::None;
        };
        let now = chosen.place.identity();
        let before = chosen.namespace.as_ref().and_then(identity);
        if now == before {
            return Change::None;
        }
        let opened = now.and_then(|_| chosen.place.open(&chosen.home).ok());
        match (&opened, before) {
            // There is a file, but none that can be opened.
            (None, None) => return Change::None,
            (Some(_), _) => chosen.namespace = opened,
            (None, Some(_)) => chosen.namespace = None,
        }
        match chosen.namespace {
            Some(_) => Change::Replaced,
            None => Change::Gone,
        }
    }
}

impl Origin {
    fn find(label: &str) -> io::Result<Self> {
        let Some(number) = label.strip_prefix("pid:") else {
            let path = if label.contains('/') {
                label.into()
            } else {
                Path::new(NAMES).join(label)
            };
            return Ok(Self::Path(path));
        };
        let number = number.parse().ok().filter(|number| *number > 0);
        let id = number.and_then(Pid::from_raw);
        let id = id.ok_or_else(|| invalid("not a process ID"))?;
        let process = pidfd_open(id, PidfdFlags::empty())?;
        Ok(Self::Process { id, process })
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Process { id, .. } => format!("/proc/{}/ns/net", id.as_raw_nonzero()).into(),
        }
    }

    /// Whether what stands at the path is still what is meant. To be asked after the path was used.
    fn is_alive(&self) -> bool {
        match self {
            Self::Path(_) => true,
            Self::Process { process, .. } => !has_ended(process),
        }
    }

    /// Which network namespace is there now.
    fn identity(&self) -> Option<(u64, u64)> {
        let metadata = fs::metadata(self.path()).ok()?;
        let own = fs::metadata(OWN).ok()?;
        (metadata.dev() == own.dev() && self.is_alive()).then(|| (metadata.dev(), metadata.ino()))
    }

    /// A file that is not a namespace is an error: a name under /run/netns is one for a moment before it is
    /// a namespace. Another kind of namespace is refused when it is entered.
    fn open(&self, home: &File) -> io::Result<File> {
        let file = File::open(self.path())?;
        if file.metadata()?.dev() != fs::metadata(OWN)?.dev() {
            return Err(invalid("not a network namespace"));
        }
        match self {
            // This file holds the mount that gives the namespace its name, which could not be unmounted
            // then. The one seen from inside holds the namespace alone.
            Self::Path(_) => visit(&file, home, || File::open(OWN))?,
            Self::Process { .. } if self.is_alive() => Ok(file),
            Self::Process { .. } => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// A descriptor of a process is readable when it has ended (pidfd_open(2)).
fn has_ended(process: &OwnedFd) -> bool {
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        match poll(&mut ends, Some(&at_once)) {
            Err(Errno::INTR) => {}
            outcome => return outcome.is_ok_and(|ready| ready > 0),
        }
    }
}

fn visit<T>(namespace: &File, home: &File, work: impl FnOnce() -> T) -> io::Result<T> {
    enter(namespace)?;
    let result = work();
    enter(home)?;
    Ok(result)
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
    use std::process::{Command, Stdio};

    use super::{Change, Namespace, Origin};

    #[test]
    fn a_label_is_a_name_a_path_or_a_process() {
        let own = std::process::id();
        for (label, expected) in [
            ("blue", "/run/netns/blue"),
            ("./blue", "./blue"),
            ("/proc/7/ns/net", "/proc/7/ns/net"),
            (&format!("pid:{own}"), &format!("/proc/{own}/ns/net")),
        ] {
            let place = Origin::find(label).unwrap();
            assert_eq!(place.path().to_str(), Some(expected));
        }
        for label in ["pid:", "pid:x", "pid:0", "pid:-1"] {
            assert!(Origin::find(label).is_err(), "{label}");
        }
    }

    #[test]
    fn our_own_by_process_is_the_same_all_the_time() {
        let mut namespace = Namespace::open(&format!("pid:{}", std::process::id())).unwrap();
        assert_eq!(namespace.follow(), Change::None);
        assert!(Namespace::own().within(|| ()).is_ok());
    }

    /// A number that another process has now is not followed: what is asked is the descriptor.
    #[test]
    fn a_process_that_has_ended_has_no_namespace() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut namespace = Namespace::open(&format!("pid:{}", child.id())).unwrap();
        assert_eq!(namespace.follow(), Change::None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(namespace.follow(), Change::Gone);
        assert!(!namespace.exists());
        // As if the number was another's now.
        if let Some(Origin::Process { id, .. }) = namespace.chosen.as_mut().map(|it| &mut it.place)
        {
            *id = rustix::process::getpid();
        }
        assert_eq!(namespace.follow(), Change::None);
        assert!(!namespace.exists());
    }

    #[test]
    fn other_files_are_refused() {
        assert!(Namespace::open("/proc/self/status").is_err());
        assert!(Namespace::open("no-such-name").is_err());
    }
}
