//! A file, appended to; with a limit, one after the other.

mod former;
mod rotation;

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use rotation::Rotation;
use rustix::fs::{OFlags, fcntl_setfl};
use zstd::bulk::Compressor;

use super::{
    lines::lines,
    output::{Gather, Output},
    queue::{Deleted, Queue},
    trouble::Trouble,
};

/// The library's own default: nine times smaller at some 400 MB/s of line protocol.
const LEVEL: i32 = 3;
/// A compressed frame has the lines of this time: what is lost when the power goes.
const FRAME: Duration = Duration::from_secs(1);
const MOST_BYTES_OF_FRAME: usize = 4 * 1024 * 1024;

/// Which file, as the command line has it: `PATH?rotate-size=100MiB&rotate-every=1h&keep=24&zstd=on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePlace {
    /// As it was given.
    label: String,
    path: PathBuf,
    rotation: Rotation,
    zstd: bool,
}

impl FromStr for FilePlace {
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
                ("zstd", _) => return Err("zstd must be on or off".into()),
                (key, value) => place.rotation.set(key, value)?,
            }
        }
        Ok(place)
    }
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.label)
    }
}

pub(super) struct File {
    room: Rotator,
    /// With the last frame.
    compressor: Option<(Compressor<'static>, Vec<u8>)>,
    /// `None` after it could not be reopened.
    file: Option<fs::File>,
    trouble: Trouble,
}

/// Makes room for a file.
struct Rotator {
    path: PathBuf,
    rotation: Rotation,
    /// Why there is none, as it was said.
    trouble: Option<String>,
    /// Former files that were deleted and are not yet counted.
    deleted: Deleted,
    /// It was said that there are such.
    is_deleting: bool,
}

impl File {
    pub(super) fn open(place: FilePlace) -> io::Result<Self> {
        let compressor = || {
            let mut compressor = Compressor::new(LEVEL)?;
            compressor.include_checksum(true)?;
            io::Result::Ok((compressor, Vec::new()))
        };
        let file = open(&place.path)?;
        let metadata = file.metadata()?;
        // What moves is the file itself, wherever links lead to it (/dev/stdout is one).
        let path = if metadata.is_file() && (place.zstd || place.rotation.is_wanted()) {
            fs::canonicalize(&place.path)?
        } else {
            place.path
        };
        let mut opened = Self {
            file: Some(file),
            compressor: place.zstd.then(compressor).transpose()?,
            room: Rotator {
                path,
                rotation: place.rotation,
                trouble: None,
                deleted: Deleted::default(),
                is_deleting: false,
            },
            trouble: Trouble::default(),
        };
        if metadata.is_file() && metadata.len() > 0 {
            opened.go_on_from_a_crash()?;
        }
        Ok(opened)
    }

    /// A crash may have left part of a frame, and nothing after that could be read; or part of a line,
    /// which would spoil the next one.
    fn go_on_from_a_crash(&mut self) -> io::Result<()> {
        if self.compressor.is_some() {
            self.file = None;
            self.room.make();
        } else if let Some(file) = &mut self.file
            && last_byte(&self.room.path).is_ok_and(|byte| byte != b'\n')
        {
            file.write_all(b"\n")?;
        }
        Ok(())
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
            && self.room.rotation.is_due(&file.metadata()?, bytes.len())
        {
            // Whatever comes of it: what is of that name then takes the lines.
            self.file = None;
            self.room.make();
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.room.path)?),
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

impl Rotator {
    /// Moves the file away, and says what comes of it.
    fn make(&mut self) {
        let (path, keep) = (self.path.display(), self.rotation.keep());
        let made = former::make_room(&self.path, keep, rotation::now(), &mut self.deleted);
        if self.deleted.files > 0 && !std::mem::replace(&mut self.is_deleting, true) {
            log::info!(
                "{path}: deleting the oldest rotated files from now on, as keep={} says; \
                 ipvs_sampler_output counts them",
                keep.unwrap_or_default()
            );
        }
        let trouble = made.err().map(|error| error.to_string());
        if trouble != self.trouble {
            match &trouble {
                Some(error) => {
                    log::warn!(
                        "{path}: rotation failed, or an old file could not be deleted: {error}"
                    );
                }
                None => log::info!("{path}: rotation works again"),
            }
            self.trouble = trouble;
        }
    }
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// The loop opens outputs: a fifo that nobody reads is to be refused, not waited for.
fn open(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

impl Output for File {
    /// A batch that does not go in, because the disk is full for instance, is given up: the next may.
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        if queue.wants_reopening() {
            self.file = None;
        }
        let written = self.append(batch);
        if self.room.rotation.is_wanted() {
            queue.deleted(std::mem::take(&mut self.room.deleted));
        }
        let path = self.room.path.display();
        match written {
            Ok(()) => {
                queue.written(lines(batch));
                self.trouble.is_over(&path);
            }
            Err(error) => {
                let dropped = lines(batch);
                queue.dropped(dropped);
                self.trouble
                    .loses(&path, dropped, "dropped", error.to_string());
            }
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
