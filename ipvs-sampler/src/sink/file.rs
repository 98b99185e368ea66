//! A file, appended to; with a limit, one after the other.

mod rotation;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use rotation::Rotation;
use zstd::bulk::Compressor;

use super::{
    Gather, Output,
    queue::{Queue, lines},
};

/// The library's own default: nine times smaller at some 400 MB/s of line protocol.
const LEVEL: i32 = 3;
/// Lines of so long make a compressed frame: what is lost when the power goes.
const FRAME: Duration = Duration::from_secs(1);
const MOST_BYTES_OF_FRAME: usize = 4 * 1024 * 1024;

/// Which file, as the command line has it: `PATH?rotate-size=100MiB&rotate-every=1h&keep=24&zstd=on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As it was given.
    label: String,
    path: PathBuf,
    rotation: Rotation,
    zstd: bool,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(label: &str) -> Result<Self, String> {
        let (path, query) = label.split_once('?').unwrap_or((label, ""));
        if path.is_empty() {
            return Err("the path is missing".into());
        }
        let mut place = Self {
            label: label.into(),
            path: path.into(),
            rotation: Rotation::default(),
            zstd: false,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("zstd", value @ ("on" | "off")) => place.zstd = value == "on",
                ("zstd", _) => return Err("zstd is on or off".into()),
                (key, value) => place.rotation.set(key, value)?,
            }
        }
        Ok(place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.label)
    }
}

pub(super) struct File {
    path: PathBuf,
    rotation: Rotation,
    /// With the last frame.
    compressor: Option<(Compressor<'static>, Vec<u8>)>,
    /// `None` after it could not be opened anew.
    file: Option<fs::File>,
    /// What was said last, so that it is said once.
    trouble: Option<String>,
}

impl File {
    pub(super) fn open(place: Place) -> io::Result<Self> {
        let compressor = || {
            let mut compressor = Compressor::new(LEVEL)?;
            compressor.include_checksum(true)?;
            io::Result::Ok((compressor, Vec::new()))
        };
        Ok(Self {
            file: Some(open(&place.path)?),
            compressor: place.zstd.then(compressor).transpose()?,
            path: place.path,
            rotation: place.rotation,
            trouble: None,
        })
    }

    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        let bytes = match &mut self.compressor {
            Some((compressor, frame)) => {
                frame.clear();
                frame.reserve(zstd::zstd_safe::compress_bound(batch.len()));
                compressor.compress_to_buffer(batch, frame)?;
                frame.as_slice()
            }
            None => batch,
        };
        if let Some(file) = &self.file
            && self.rotation.is_due(&file.metadata()?, bytes.len())
        {
            self.rotation.rotate(&self.path)?;
            self.file = None;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        let length = file.metadata().ok().filter(fs::Metadata::is_file);
        let written = file.write_all(bytes).and_then(|()| file.flush());
        if let (Err(_), Some(length)) = (&written, length) {
            // Part of a line would spoil the next one. When that fails too, nothing more can be done.
            let _ = file.set_len(length.len());
        }
        written
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl Output for File {
    /// A batch that does not go in, because the disk is full for instance, is given up: the next may.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        if queue.wants_reopening() {
            self.file = None;
        }
        let written = self.append(batch);
        let trouble = written.err().map(|error| error.to_string());
        match &trouble {
            None => queue.written(lines(batch)),
            Some(_) => queue.dropped(lines(batch)),
        }
        if trouble != self.trouble {
            let path = self.path.display();
            match &trouble {
                Some(error) => log::warn!("{path}: lines are dropped: {error}"),
                None => log::info!("{path}: lines are written again"),
            }
            self.trouble = trouble;
        }
        Ok(())
    }

    fn gather(&self) -> Option<Gather> {
        self.compressor.as_ref().map(|_| Gather {
            every: FRAME,
            most_bytes: MOST_BYTES_OF_FRAME,
        })
    }
}

#[cfg(test)]
mod tests;
