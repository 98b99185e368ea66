//! Former files of one output: which they are, in the order in which they were written, and which of them go.
//!
//! How a file is known to be ours: its name is put into a list, `PATH.rotated`, before a file gets it, and it is
//! given only where there is no file of that name. So what the list names is what we put there, and what it does
//! not name is somebody else's, however much its name looks like ours. The list has only the ends of names, and
//! those count only in the form in which they are given: nothing written into it leads anywhere else.
//!
//! The order of the list is the order of writing. The time in a name is for people: no clock decides what goes.
//!
//! Old files are deleted before anything is written, because the disk may be full.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use crate::sink::Deleted;

/// The list's first line, by which it is known to be one.
const HEADER: &str = "# Former files that ipvs-sampler has written, the oldest first\n";
/// No list of ours is longer, in bytes.
const LONGEST_LIST: u64 = 1 << 20;
/// Behind the output's path, the list.
const LIST: &str = ".rotated";
/// Behind the output's path, the list that is about to replace it.
const NEXT_LIST: &str = ".rotated.new";

/// Moves a file to a name with the time. Of its former files this many stay, or all. What was deleted is added to
/// `deleted`, also when something fails afterwards.
pub(super) fn make_room(
    path: &Path,
    keep: Option<usize>,
    now: Duration,
    deleted: &mut Deleted,
) -> io::Result<()> {
    if let Err(error) = fs::symlink_metadata(path) {
        // One that somebody else has moved or removed needs no room.
        return match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        };
    }
    let mut list = read(path)?;
    let mut removed = Ok(());
    if let Some(keep) = keep {
        let Some(others) = keep.checked_sub(1) else {
            let removed = delete_surplus(path, &mut list, 0, deleted);
            return delete(path, deleted).and(removed).and(write(path, &list));
        };
        removed = delete_surplus(path, &mut list, others, deleted);
    }
    let suffix = free_suffix(path, &list, now)?;
    list.push(suffix.clone());
    write(path, &list)?;
    if let Err(error) = rename(path, &with_suffix(path, &suffix)) {
        list.pop();
        // The first error is the one to tell.
        let _ = write(path, &list);
        return Err(error);
    }
    // One that stays is not a reason for others to.
    removed
}

/// Deletes the oldest until only this many are left, and takes them off the list.
fn delete_surplus(
    path: &Path,
    list: &mut Vec<String>,
    keep: usize,
    deleted: &mut Deleted,
) -> io::Result<()> {
    let mut surplus = list.len().saturating_sub(keep);
    let mut outcome = Ok(());
    list.retain(|suffix| {
        if surplus == 0 {
            return true;
        }
        surplus -= 1;
        let removed = delete(&with_suffix(path, suffix), deleted);
        let stays = removed.is_err();
        outcome = std::mem::replace(&mut outcome, Ok(())).and(removed);
        stays
    });
    outcome
}

fn delete(file: &Path, deleted: &mut Deleted) -> io::Result<()> {
    let bytes = fs::symlink_metadata(file)?.len();
    fs::remove_file(file)?;
    deleted.files += 1;
    deleted.bytes += bytes;
    Ok(())
}

/// The ends of the names of former files that are there, the oldest first.
fn read(path: &Path) -> io::Result<Vec<String>> {
    let text = read_list(&with_end(path, LIST))?;
    let is_there = |suffix: &&str| {
        let file = fs::symlink_metadata(with_suffix(path, suffix));
        file.is_ok_and(|file| file.is_file())
    };
    let names = text.lines().filter(|line| is_suffix(line));
    Ok(names.filter(is_there).map(Into::into).collect())
}

/// A list's text, empty when there is none. Another file of that name is an error: others may be able to write
/// to the folder, so no link is followed, and nothing but a file is read.
fn read_list(list: &Path) -> io::Result<String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(list);
    match opened {
        Ok(file) if file.metadata()?.is_file() => {
            let mut text = Vec::new();
            file.take(LONGEST_LIST).read_to_end(&mut text)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if text.is_empty() || text.starts_with(HEADER) {
                return Ok(text);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) if error.raw_os_error() != Some(libc::ELOOP) => return Err(error),
        _ => {}
    }
    let message = format!(
        "{} is in the way: it is not a list of rotated files; move it elsewhere",
        list.display()
    );
    Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
}

/// Replaces the list as a whole, so that a full disk or a crash leaves the former one.
fn write(path: &Path, list: &[String]) -> io::Result<()> {
    let next = with_end(path, NEXT_LIST);
    read_list(&next)?;
    // What a crash left.
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut text = String::from(HEADER);
    for suffix in list {
        text.push_str(suffix);
        text.push('\n');
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&next)?;
    file.write_all(text.as_bytes())?;
    // A name without its list would stay for ever.
    file.sync_all()?;
    fs::rename(next, with_end(path, LIST))
}

/// Never in place of another file.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot do that. The name was free a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        other => Ok(other?),
    }
}

/// `20261122T175800Z`, with a further number when several come in one second: then they are in order, too.
fn free_suffix(path: &Path, list: &[String], now: Duration) -> io::Result<String> {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + now).to_string();
    let time = time.replace(['-', ':'], "");
    let numbered = (1..1000).map(|number| format!("{time}.{number:03}"));
    let latest = list.iter().filter(|suffix| suffix.starts_with(&time)).max();
    let is_free = |suffix: &String| {
        latest.is_none_or(|latest| suffix > latest)
            && fs::symlink_metadata(with_suffix(path, suffix)).is_err()
    };
    let mut names = std::iter::once(time.clone()).chain(numbered);
    names.find(is_free).ok_or_else(|| {
        let last = with_suffix(path, &time);
        let message = format!("the names up to {}.999 are taken", last.display());
        io::Error::new(io::ErrorKind::AlreadyExists, message)
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    with_end(path, &format!(".{suffix}"))
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether [`free_suffix`] gives such.
fn is_suffix(text: &str) -> bool {
    const SHAPE: &[u8] = b"00000000T000000Z";
    let (time, number) = text.split_at_checked(SHAPE.len()).unwrap_or(("", ""));
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    let digits = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    time.len() == SHAPE.len()
        && time.bytes().zip(SHAPE).all(fits)
        && (number.is_empty() || number.strip_prefix('.').is_some_and(digits))
}

#[cfg(test)]
mod tests;
