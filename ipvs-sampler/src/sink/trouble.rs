//! What stands in an output's way: said once for each change, with how many lines it costs.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Losses that come again within so long are one trouble: there may be good batches in between.
const QUIET: Duration = Duration::from_secs(60);

/// Why lines are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// In words for a person.
    pub(super) words: String,
    /// What makes it another cause. It may leave out what differs each time.
    pub(super) kind: String,
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self {
            kind: words.clone(),
            words,
        }
    }
}

/// What was said last.
#[derive(Default)]
pub(super) struct Trouble {
    /// Lines wait, because of this.
    waiting: Option<String>,
    losing: Option<Losing>,
}

struct Losing {
    kind: String,
    how: &'static str,
    lines: u64,
    last: Instant,
}

impl Trouble {
    /// Lines wait for this to end.
    pub(super) fn waits(&mut self, output: &impl Display, cause: impl Into<Cause>) {
        let Cause { words, kind } = cause.into();
        if self.waiting.as_ref() != Some(&kind) {
            log::warn!("{output}: {words}; trying again");
            self.waiting = Some(kind);
        }
    }

    /// So many lines are lost, and how: dropped or rejected.
    pub(super) fn loses(
        &mut self,
        output: &impl Display,
        lines: u64,
        how: &'static str,
        cause: impl Into<Cause>,
    ) {
        let Cause { words, kind } = cause.into();
        let kind = format!("{how}: {kind}");
        let before = self.losing.take().filter(|losing| losing.kind == kind);
        if before.is_none() {
            log::warn!(
                "{output}: {lines} lines {how}: {words}; ipvs_sampler_output counts further ones"
            );
        }
        self.losing = Some(Losing {
            kind,
            how,
            lines: lines + before.map_or(0, |losing| losing.lines),
            last: Instant::now(),
        });
    }

    /// Lines were taken.
    pub(super) fn is_over(&mut self, output: &impl Display) {
        if self.waiting.take().is_some() {
            log::info!("{output}: lines are taken again");
        }
        let is_quiet = |losing: &mut Losing| losing.last.elapsed() >= QUIET;
        if let Some(Losing { how, lines, .. }) = self.losing.take_if(is_quiet) {
            log::info!("{output}: no lines {how} for a minute; {lines} were before");
        }
    }

    /// Why lines were lost last.
    #[cfg(test)]
    pub(super) fn losing(&self) -> Option<&str> {
        self.losing.as_ref().map(|losing| losing.kind.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;

    #[test]
    fn a_loss_between_good_batches_goes_on_until_it_is_another() {
        let mut trouble = Trouble::default();
        for _ in 0..3 {
            trouble.loses(&"output", 2, "rejected", "a conflict".to_owned());
            trouble.is_over(&"output");
        }
        let losing = trouble.losing.as_ref().unwrap();
        assert_eq!(losing.lines, 6);
        trouble.loses(&"output", 1, "rejected", "another conflict".to_owned());
        let losing = trouble.losing.as_ref().unwrap();
        assert_eq!(
            (losing.kind.as_str(), losing.lines),
            ("rejected: another conflict", 1)
        );
    }

    #[test]
    fn waiting_ends_with_the_first_lines_that_are_taken() {
        let mut trouble = Trouble::default();
        trouble.waits(&"output", "refused".to_owned());
        assert_eq!(trouble.waiting.as_deref(), Some("refused"));
        trouble.is_over(&"output");
        assert_eq!(trouble.waiting, None);
    }
}
