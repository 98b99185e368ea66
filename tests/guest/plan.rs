//! What this guest shall do, as `xtask/src/guest/plan.rs` has written it.

use std::fs;

const PATH: &str = "/etc/ipvs-sampler-run";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Test,
    Lab,
    Shell,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    /// Names of binaries in `/tests`.
    pub(crate) tests: Vec<String>,
    /// Arguments of each test binary, or of the sampler.
    pub(crate) args: Vec<String>,
    /// Of the person's terminal.
    pub(crate) rows: Option<u16>,
    pub(crate) columns: Option<u16>,
}

impl Plan {
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(PATH).map_err(|error| format!("{PATH}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    /// One `KEY VALUE` per line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut mode = None;
        let (mut tests, mut args) = (Vec::new(), Vec::new());
        let (mut rows, mut columns) = (None, None);
        for line in text.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            match (key, value) {
                ("mode", "test") => mode = Some(Mode::Test),
                ("mode", "lab") => mode = Some(Mode::Lab),
                ("mode", "shell") => mode = Some(Mode::Shell),
                ("test", name) => tests.push(name.to_owned()),
                ("arg", arg) => args.push(arg.to_owned()),
                ("rows", number) => rows = number.parse().ok(),
                ("columns", number) => columns = number.parse().ok(),
                _ => return Err(format!("`{line}` is not understood")),
            }
        }
        Ok(Self {
            mode: mode.ok_or("no mode")?,
            tests,
            args,
            rows,
            columns,
        })
    }
}
