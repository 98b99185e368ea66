//! When a file has had enough, where it goes, and which of its forerunners go for good.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{clock::Moment, sink::bytes};

/// How many former files stay unless told otherwise.
const KEEP: usize = 10;

/// Limits of a file; without any it grows for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    most_bytes: Option<u64>,
    every: Option<Duration>,
    keep: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            most_bytes: None,
            every: None,
            keep: KEEP,
        }
    }
}

impl Rotation {
    /// One part of the output's name.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "rotate-size" => {
                self.most_bytes = Some(bytes(value).map_err(|why| format!("rotate-size: {why}"))?);
            }
            "rotate-every" => {
                let every = humantime::parse_duration(value)
                    .map_err(|error| format!("rotate-every: {error}; write it like 1h"))?;
                if every < Duration::from_secs(1) {
                    return Err("rotate-every is at least 1s".into());
                }
                self.every = Some(every);
            }
            "keep" => {
                let keep = value.parse();
                self.keep = keep.map_err(|_| "keep is a number of files")?;
            }
            _ => {
                return Err(format!(
                    "nothing is known of {key}; after the ? of a file come rotate-size=100MiB, \
                     rotate-every=1h, keep=24 and zstd=on, joined by &"
                ));
            }
        }
        Ok(())
    }

    /// Whether there is any limit.
    pub(super) fn is_wanted(&self) -> bool {
        self.most_bytes.is_some() || self.every.is_some()
    }

    /// Whether the file is to make room before so many more bytes. Times are multiples since 1970, so
    /// those of several directors fall together.
    pub(super) fn is_due(&self, file: &Metadata, more: usize) -> bool {
        if !file.is_file() || file.len() == 0 {
            return false;
        }
        let full = |most: u64| file.len() + more as u64 > most;
        let over = |every: Duration| {
            let period = |time: Duration| time.as_nanos() / every.as_nanos();
            let written = file.modified().unwrap_or(UNIX_EPOCH);
            let written = written.duration_since(UNIX_EPOCH).unwrap_or_default();
            period(now()) != period(written)
        };
        self.most_bytes.is_some_and(full) || self.every.is_some_and(over)
    }

    /// Moves the file to a name with the time, and, with a limit, removes the oldest of such. One that
    /// somebody else has moved or removed needs no room.
    pub(super) fn rotate(&self, path: &Path) -> io::Result<()> {
        match fs::rename(path, free_name(path, now())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ if !self.is_wanted() => return Ok(()),
            _ => {}
        }
        let mut former = former(path)?;
        former.sort_unstable();
        let surplus = former.len().saturating_sub(self.keep);
        // One that stays is no reason for others to.
        let removed = former[..surplus].iter().map(fs::remove_file);
        removed.fold(Ok(()), io::Result::and)
    }
}

fn now() -> Duration {
    Duration::from_nanos(u64::try_from(Moment::now().wall).unwrap_or(0))
}

/// `PATH.20261122T175800Z`, with a further number when several come in one second.
fn free_name(path: &Path, now: Duration) -> PathBuf {
    let time = SystemTime::UNIX_EPOCH + now;
    let time = humantime::format_rfc3339_seconds(time).to_string();
    let time = time.replace(['-', ':'], "");
    let name = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let numbered = (1..1000).map(|number| name(format!(".{time}.{number:03}")));
    let mut names = std::iter::once(name(format!(".{time}"))).chain(numbered);
    let free = names.find(|name| !name.exists());
    // A thousand in one second: the last one gives way.
    free.unwrap_or_else(|| name(format!(".{time}.999")))
}

/// The files that [`free_name`] has named.
fn former(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let other = entry.file_name();
        let other = other.to_string_lossy();
        let suffix = other
            .strip_prefix(&*name)
            .and_then(|rest| rest.strip_prefix('.'));
        if suffix.is_some_and(is_time) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn is_time(suffix: &str) -> bool {
    const SHAPE: &[u8] = b"00000000T000000Z";
    let (time, number) = suffix.split_at_checked(SHAPE.len()).unwrap_or(("", ""));
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
mod tests {
    use super::is_time;

    #[test]
    fn only_files_with_a_time_are_forerunners() {
        for right in ["20261122T175800Z", "20261122T175800Z.001"] {
            assert!(is_time(right), "{right}");
        }
        for wrong in ["", "1", "20261122T175800", "20261122T175800Z.gz", "backup"] {
            assert!(!is_time(wrong), "{wrong}");
        }
    }
}
