use std::{fs, path::PathBuf};

use super::{File, Output as _, Queue};

/// A folder of its own, gone with it.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ipvs-sampler-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self, options: &str) -> File {
        let place = format!("{}{options}", self.0.join("now").display());
        File::open(place.parse().unwrap()).unwrap()
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    /// Names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew_when_asked() {
    let directory = Directory::new("reopened");
    let mut file = directory.open("");
    let queue = Queue::alone();
    file.write(b"one\n", &queue).unwrap();
    fs::rename(directory.0.join("now"), directory.0.join("before")).unwrap();
    file.write(b"two\n", &queue).unwrap();
    queue.reopen();
    file.write(b"three\n", &queue).unwrap();
    assert_eq!(directory.read("before"), b"one\ntwo\n");
    assert_eq!(directory.read("now"), b"three\n");
}

#[test]
fn part_of_a_line_that_a_crash_left_spoils_no_other() {
    let directory = Directory::new("crashed");
    fs::write(directory.0.join("now"), "whole\npart").unwrap();
    for line in ["one\n", "two\n"] {
        let mut file = directory.open("");
        file.write(line.as_bytes(), &Queue::alone()).unwrap();
    }
    assert_eq!(directory.read("now"), b"whole\npart\none\ntwo\n");
}

#[test]
fn a_full_disk_is_counted_and_survived() {
    let mut file = File::open("/dev/full".parse().unwrap()).unwrap();
    let queue = Queue::alone();
    file.write(b"one\ntwo\n", &queue).unwrap();
    assert_eq!(queue.counts().0.dropped, 2);
}

#[test]
fn a_full_file_makes_room_and_the_oldest_go() {
    let directory = Directory::new("rotated");
    fs::write(directory.0.join("now.backup"), "not ours").unwrap();
    let mut file = directory.open("?rotate-size=10&keep=2");
    let queue = Queue::alone();
    for number in 0..8 {
        // Two go into each file.
        file.write(format!("b{number}\nx\n").as_bytes(), &queue)
            .unwrap();
    }
    assert_eq!(queue.counts().0.written, 16);
    let deleted = queue.counts().0.deleted.unwrap();
    assert_eq!((deleted.files, deleted.bytes), (1, 10));
    let names = directory.names();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(
        (names[0].as_str(), &names[3..]),
        (
            "now",
            &["now.backup".to_owned(), "now.rotated".to_owned()][..]
        )
    );
    let texts = [&names[1], &names[2], &names[0]].map(|name| directory.read(name));
    assert_eq!(
        texts.concat(),
        b"b2\nx\nb3\nx\nb4\nx\nb5\nx\nb6\nx\nb7\nx\n"
    );
}

#[test]
fn a_file_of_a_former_time_makes_room() {
    let directory = Directory::new("timed");
    let queue = Queue::alone();
    directory
        .open("?rotate-every=1h")
        .write(b"one\n", &queue)
        .unwrap();
    let file = fs::File::options()
        .append(true)
        .open(directory.0.join("now"))
        .unwrap();
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    file.set_modified(earlier).unwrap();
    let mut again = directory.open("?rotate-every=1h");
    again.write(b"two\n", &queue).unwrap();
    let names = directory.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(directory.read(&names[1]), b"one\n");
    assert_eq!(directory.read("now"), b"two\n");
}

#[test]
fn a_file_that_was_removed_makes_no_line_get_lost() {
    let directory = Directory::new("removed");
    let mut file = directory.open("?rotate-size=5");
    let queue = Queue::alone();
    file.write(b"one\n", &queue).unwrap();
    fs::remove_file(directory.0.join("now")).unwrap();
    file.write(b"two\n", &queue).unwrap();
    file.write(b"three\n", &queue).unwrap();
    assert_eq!(queue.counts().0.dropped, 0);
    assert_eq!(directory.read("now"), b"three\n");
}

#[test]
fn a_rotation_that_fails_makes_no_line_get_lost() {
    let directory = Directory::new("stuck");
    fs::create_dir(directory.0.join("now.rotated")).unwrap();
    let mut file = directory.open("?rotate-size=5&keep=1");
    let queue = Queue::alone();
    for line in ["one\n", "two\n", "three\n"] {
        file.write(line.as_bytes(), &queue).unwrap();
    }
    let counts = queue.counts().0;
    assert_eq!((counts.written, counts.dropped), (3, 0));
    assert_eq!(directory.read("now"), b"one\ntwo\nthree\n");
    fs::remove_dir(directory.0.join("now.rotated")).unwrap();
    file.write(b"four\n", &queue).unwrap();
    assert_eq!(directory.read("now"), b"four\n");
}

#[test]
fn behind_a_link_the_file_makes_room_and_the_link_stays() {
    let directory = Directory::new("linked");
    let elsewhere = Directory::new("elsewhere");
    let link = directory.0.join("now");
    std::os::unix::fs::symlink(elsewhere.0.join("there"), &link).unwrap();
    let mut file = directory.open("?rotate-size=5");
    let queue = Queue::alone();
    file.write(b"one\n", &queue).unwrap();
    file.write(b"two\n", &queue).unwrap();
    assert_eq!(directory.names(), ["now"]);
    assert_eq!(elsewhere.names().len(), 3);
    assert_eq!(elsewhere.read("there"), b"two\n");
}

#[test]
fn each_batch_is_a_frame_that_can_be_read_by_itself() {
    let directory = Directory::new("compressed");
    let mut file = directory.open("?zstd=on");
    let queue = Queue::alone();
    let one = "ipvs_real_server,address=10.0.0.1 connections=1i 1\n".repeat(1000);
    file.write(one.as_bytes(), &queue).unwrap();
    let first = directory.read("now").len();
    file.write(b"two\n", &queue).unwrap();
    let all = directory.read("now");
    assert!(first * 100 < one.len(), "{first}");
    let text = zstd::decode_all(&all[..]).unwrap();
    assert_eq!(text, format!("{one}two\n").into_bytes());
    assert_eq!(zstd::decode_all(&all[first..]).unwrap(), b"two\n");
    assert_eq!(queue.counts().0.written, 1001);
}

#[test]
fn what_a_crash_left_of_a_frame_spoils_none_that_follows() {
    let directory = Directory::new("torn");
    let queue = Queue::alone();
    directory.open("?zstd=on").write(b"one\n", &queue).unwrap();
    let frame = directory.read("now");
    let torn = [&frame[..], &frame[..frame.len() - 5]].concat();
    fs::write(directory.0.join("now"), &torn).unwrap();
    let mut again = directory.open("?zstd=on");
    again.write(b"two\n", &queue).unwrap();
    again.write(b"three\n", &queue).unwrap();
    let text = zstd::decode_all(&directory.read("now")[..]).unwrap();
    assert_eq!(text, b"two\nthree\n");
    let names = directory.names();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(directory.read(&names[1]), torn);
}

#[test]
fn a_fifo_that_nobody_reads_keeps_nobody_waiting() {
    let directory = Directory::new("fifo");
    let path = directory.0.join("now");
    let status = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(status.unwrap().success());
    let place = || path.display().to_string().parse().unwrap();
    assert!(File::open(place()).is_err());
    let reader = fs::File::options().read(true).write(true).open(&path);
    let mut reader = reader.unwrap();
    let mut file = File::open(place()).unwrap();
    // Longer than a fifo is: whoever writes waits for the reader, as before.
    let long = [b'x'; 100_000];
    let writing = std::thread::spawn(move || {
        let queue = Queue::alone();
        file.write(&[&long[..], b"\n"].concat(), &queue).unwrap();
        queue.counts().0.written
    });
    let mut read = vec![0; long.len() + 1];
    std::io::Read::read_exact(&mut reader, &mut read).unwrap();
    assert_eq!(
        (writing.join().unwrap(), &read[..long.len()]),
        (1, &long[..])
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    for wrong in [
        "",
        "?zstd=on",
        "/a?zstd",
        "/a?rotate-size=x",
        "/a?b",
        "/a?rotate-every=1ms",
    ] {
        assert!(wrong.parse::<super::FilePlace>().is_err(), "{wrong}");
    }
}
