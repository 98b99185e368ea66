use std::{fs, path::Path, time::Duration};

use super::{HEADER, is_suffix, make_room};
use crate::sink::{Deleted, file::tests::Directory};

/// 2026, 1970, 2035, and 2026 again.
const CLOCKS: [u64; 4] = [1_795_000_000, 5, 2_051_222_400, 1_795_000_100];

/// Writes `text` and has it make room at this time.
fn rotate(path: &Path, text: &str, seconds: u64, keep: Option<usize>) -> Deleted {
    fs::write(path, text).unwrap();
    let mut deleted = Deleted::default();
    make_room(path, keep, Duration::from_secs(seconds), &mut deleted).unwrap();
    assert!(!path.exists());
    deleted
}

/// What former files have in them, in the order of the list.
fn former(directory: &Directory) -> Vec<String> {
    let list = String::from_utf8(directory.read("now.rotated")).unwrap();
    let names = list.strip_prefix(HEADER).unwrap().lines();
    names
        .map(|name| String::from_utf8(directory.read(&format!("now.{name}"))).unwrap())
        .collect()
}

#[test]
fn what_was_written_last_is_deleted_last_whatever_the_clock_says() {
    // Each order of clocks, with a new start at each of them: nothing is known but what lies there.
    for turn in 0..CLOCKS.len() {
        let directory = Directory::new(&format!("clocks-{turn}"));
        let path = directory.0.join("now");
        let mut clocks = CLOCKS;
        clocks.rotate_left(turn);
        for (number, seconds) in clocks.into_iter().chain(clocks).enumerate() {
            let deleted = rotate(&path, &number.to_string(), seconds, Some(3));
            assert_eq!(deleted.files, u64::from(number >= 3), "{number}");
            let kept: Vec<_> = (0..=number).map(|number| number.to_string()).collect();
            assert_eq!(former(&directory), kept[kept.len().saturating_sub(3)..]);
        }
    }
}

#[test]
fn what_only_looks_like_ours_is_left_alone() {
    const OTHERS: [&str; 6] = [
        "now.20350101T000000Z",
        "now.19700101T000005Z",
        "now.20350101T000000Z.001",
        "now.bak",
        "now.old.20260101T000000Z",
        "other.20260101T000000Z",
    ];
    let directory = Directory::new("alike");
    for name in OTHERS {
        fs::write(directory.0.join(name), "not ours").unwrap();
    }
    let path = directory.0.join("now");
    // Also where it would take that very name.
    for seconds in [5, 2_051_222_400, 5, 5] {
        rotate(&path, "ours", seconds, Some(1));
    }
    for name in OTHERS {
        assert_eq!(directory.read(name), b"not ours", "{name}");
    }
    assert_eq!(former(&directory), ["ours"]);
    assert_eq!(directory.names().len(), OTHERS.len() + 2);
}

#[test]
fn outputs_with_similar_names_have_their_own_former_files() {
    let directory = Directory::new("similar");
    let [one, other] = ["now", "now.20260101T000000Z"].map(|name| directory.0.join(name));
    for number in 0..3 {
        rotate(&one, &format!("one {number}"), CLOCKS[0], Some(1));
        rotate(&other, &format!("other {number}"), CLOCKS[0], Some(2));
    }
    assert_eq!(former(&directory), ["one 2"]);
    // One former file of the one, two of the other, and two lists.
    assert_eq!(directory.names().len(), 5, "{:?}", directory.names());
}

#[test]
fn a_list_that_is_not_ours_stops_rotation_and_is_left_alone() {
    for name in ["now.rotated", "now.rotated.new"] {
        let directory = Directory::new(name);
        let path = directory.0.join("now");
        fs::write(&path, "lines").unwrap();
        fs::write(directory.0.join(name), "20260101T000000Z\n").unwrap();
        let error = make_room(
            &path,
            Some(1),
            Duration::from_secs(5),
            &mut Deleted::default(),
        );
        assert!(error.unwrap_err().to_string().contains("is in the way"));
        assert_eq!(directory.read("now"), b"lines");
        assert_eq!(directory.read(name), b"20260101T000000Z\n");
    }
}

#[test]
fn what_a_list_names_in_another_form_is_not_followed() {
    let directory = Directory::new("traversal");
    let path = directory.0.join("now");
    fs::write(directory.0.join("now.victim"), "not ours").unwrap();
    fs::write(
        directory.0.join("now.rotated"),
        format!("{HEADER}victim\n/../victim\n\u{0}\n"),
    )
    .unwrap();
    rotate(&path, "ours", 5, Some(1));
    assert_eq!(directory.read("now.victim"), b"not ours");
    assert_eq!(former(&directory), ["ours"]);
}

#[test]
fn nothing_is_kept_when_nothing_is_to_be_kept() {
    let directory = Directory::new("none");
    let path = directory.0.join("now");
    rotate(&path, "first", 5, None);
    let deleted = rotate(&path, "second", 6, Some(0));
    assert_eq!(
        deleted,
        Deleted {
            files: 2,
            bytes: 11
        }
    );
    assert_eq!(directory.names(), ["now.rotated"]);
}

#[test]
fn names_have_one_form() {
    for right in ["20261122T175800Z", "20261122T175800Z.001"] {
        assert!(is_suffix(right), "{right}");
    }
    for wrong in ["", "1", "20261122T175800", "20261122T175800Z.gz", "backup"] {
        assert!(!is_suffix(wrong), "{wrong}");
    }
}
