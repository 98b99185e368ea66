//! What the guest shall do: a small text file in the initramfs that the guest's init reads.
//!
//! One `KEY VALUE` per line; a key may repeat. `tests/guest/plan.rs` is the reading side.

/// Where the guest looks.
pub(crate) const PATH: &str = "etc/ipvs-sampler-run";

/// A plan being written.
pub(crate) struct Plan(String);

impl Plan {
    /// `mode` is one of `test`, `lab`, `shell`.
    pub(crate) fn new(mode: &str) -> Self {
        Self(format!("mode {mode}\n"))
    }

    /// A line break would start another key; no argument of ours has a use for one.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.0
            .push_str(&format!("{key} {}\n", value.replace('\n', " ")));
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "only the parser is of interest here")]
#[path = "../../../tests/guest/plan.rs"]
mod reader;

#[cfg(test)]
mod tests {
    use super::{Plan, reader};

    #[test]
    fn the_guest_reads_what_is_written() {
        let written = Plan::new("lab")
            .with("arg", "--for")
            .with("arg", "30 s")
            .with("rows", "25");
        let read = reader::Plan::parse(written.text()).unwrap();
        assert_eq!(read.mode, reader::Mode::Lab);
        assert_eq!(read.args, ["--for", "30 s"]);
        assert_eq!((read.rows, read.columns), (Some(25), None));
    }

    #[test]
    fn the_guest_refuses_what_it_does_not_know() {
        reader::Plan::parse("mode dance\n").unwrap_err();
        reader::Plan::parse("arg x\n").unwrap_err();
        reader::Plan::parse("mode test\ncolour red\n").unwrap_err();
    }

    #[test]
    fn one_line_per_key() {
        let plan = Plan::new("test").with("test", "kernel").with("arg", "a\nb");
        assert_eq!(plan.text(), "mode test\ntest kernel\narg a b\n");
    }
}
