//! Where output can go, by name.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::PathBuf,
    str::FromStr,
};

/// An output as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl Target {
    /// Opens it.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::File(path) => Box::new(OpenOptions::new().append(true).create(true).open(path)?),
        })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "stdout" => Ok(Self::Stdout),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err("expected stdout or file:PATH".into()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("standard output"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn outputs_are_named_by_kind() {
        assert_eq!("stdout".parse(), Ok(Target::Stdout));
        assert_eq!("file:/tmp/a:b".parse(), Ok(Target::File("/tmp/a:b".into())));
        for wrong in ["", "file:", "udp:1.2.3.4:1", "stdout:"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
