//! What is wrong, and where.

use std::fmt;

/// One problem; it says what to do.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) file: String,
    /// Counted from 1; 0 for the file as a whole.
    pub(super) line: usize,
    pub(super) problem: String,
}

impl Finding {
    pub(super) fn file(file: &str, problem: String) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            problem,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            problem,
        } = self;
        match line {
            0 => write!(f, "{file}: {problem}"),
            line => write!(f, "{file}:{line}: {problem}"),
        }
    }
}
