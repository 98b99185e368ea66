//! Lines go to the parser in Python and come back as points, or as its complaints.

use std::{
    collections::BTreeMap,
    io::{Read as _, Seek as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use support::rows::{Point, Typed};

/// What a line says, or what is wrong with it.
pub(crate) type Parsed = Result<(Point, BTreeMap<String, Typed>), String>;

/// What the parser makes of each line. Lines end with a newline.
pub(crate) fn parse(lines: &[u8]) -> Vec<Parsed> {
    let dir = std::env::var_os("IPVS_SAMPLER_PYTHON")
        .expect("IPVS_SAMPLER_PYTHON: run `cargo xtask test`, which fetches Python and the parser");
    let dir = PathBuf::from(dir);
    // A file, and not a pipe, which would have to be written while the answer is read.
    let mut input = tempfile::tempfile().expect("a file");
    input.write_all(lines).expect("writing");
    input.rewind().expect("rewinding");
    let mut child = Command::new(dir.join("bin/python3.11"))
        .args(["-I", "-S", "-B", "-c", include_str!("parse.py")])
        .env("LD_LIBRARY_PATH", dir.join("lib"))
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut answer = String::new();
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_to_string(&mut answer).expect("an answer");
    assert!(child.wait().expect("waiting").success(), "{answer}");
    let parsed: Vec<_> = answer.lines().map(parsed).collect();
    let count = lines.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(parsed.len(), count, "an answer to each line");
    parsed
}

/// Besides what the parser refuses: a line without a timestamp, and types that we have no fields of.
fn parsed(answer: &str) -> Parsed {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    if let Some(why) = answer["refused"].as_str() {
        return Err(why.to_owned());
    }
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let tags = answer["tags"].as_object().expect("tags").iter();
    let tags = tags.map(|(name, value)| (name.clone(), text(value)));
    let fields = answer["fields"].as_object().expect("fields").iter();
    let fields = fields.map(|(name, value)| match value {
        Value::String(text) => Ok((name.clone(), Typed::Text(text.clone()))),
        value => match value.as_i64() {
            Some(number) => Ok((name.clone(), Typed::Integer(number))),
            None => Err(format!("{name} is of another type: {value}")),
        },
    });
    let timestamp = answer["time"].as_i64().ok_or("no timestamp")?;
    let point = (text(&answer["measurement"]), tags.collect(), timestamp);
    Ok((point, fields.collect::<Result<_, _>>()?))
}
