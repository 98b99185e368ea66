//! When a file has had enough, and how many former ones stay.

use std::{
    fs::Metadata,
    time::{Duration, UNIX_EPOCH},
};

use crate::{sink::bytes, system::clock::Moment};

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
                    return Err("rotate-every must be at least 1s".into());
                }
                self.every = Some(every);
            }
            "keep" => {
                let keep = value.parse();
                self.keep = keep.map_err(|_| "keep must be a number of files")?;
            }
            _ => {
                return Err(format!(
                    "unknown parameter {key}; a file takes rotate-size=100MiB, \
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

    /// Whether the file is to make room before this many more bytes. Times are multiples since 1970, so
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

    /// How many former files stay; `None` for all.
    pub(super) fn keep(&self) -> Option<usize> {
        self.is_wanted().then_some(self.keep)
    }
}

/// Since 1970.
pub(super) fn now() -> Duration {
    Duration::from_nanos(u64::try_from(Moment::now().wall).unwrap_or(0))
}
