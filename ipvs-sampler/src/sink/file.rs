//! A file, appended to.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use super::{
    Output,
    queue::{Queue, lines},
};

pub(super) struct File {
    path: PathBuf,
    /// `None` after it could not be opened anew.
    file: Option<fs::File>,
    /// What was said last, so that it is said once.
    trouble: Option<String>,
}

impl File {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = Some(open(&path)?);
        Ok(Self {
            path,
            file,
            trouble: None,
        })
    }

    fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        let length = file.metadata().ok().filter(fs::Metadata::is_file);
        let written = file.write_all(batch).and_then(|()| file.flush());
        if let (Err(_), Some(length)) = (&written, length) {
            // Part of a line would spoil the next one. When that fails too, nothing more can be done.
            let _ = file.set_len(length.len());
        }
        written
    }
}

fn open(path: &PathBuf) -> io::Result<fs::File> {
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
}

#[cfg(test)]
mod tests {
    use super::{File, Output as _, Queue};

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew_when_asked() {
        let directory = std::env::temp_dir().join(format!("ipvs-sampler-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (path, moved) = (directory.join("now"), directory.join("before"));
        let mut file = File::open(path.clone()).unwrap();
        let queue = Queue::alone();
        file.write(b"one\n", &queue).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write(b"two\n", &queue).unwrap();
        queue.reopen();
        file.write(b"three\n", &queue).unwrap();
        assert_eq!(std::fs::read(&moved).unwrap(), b"one\ntwo\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"three\n");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_full_disk_is_counted_and_survived() {
        let mut file = File::open("/dev/full".into()).unwrap();
        let queue = Queue::alone();
        file.write(b"one\ntwo\n", &queue).unwrap();
        assert_eq!(queue.counts().0.dropped, 2);
    }
}
