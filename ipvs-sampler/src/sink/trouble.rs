//! What stands in an output's way: said once for each change, with how many lines it costs.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Losses that come again within this long are one trouble: there may be good batches in between.
const QUIET: Duration = Duration::from_secs(60);
/// How many kinds of losses are tracked at once: a server may alternate between answers.
const MOST_KINDS: usize = 8;

/// Why lines are not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// In words for a person.
    pub(super) words: String,
    /// What makes it another cause. It may leave out what differs each time.
    pub(super) kind: String,
}

impl From<String> for Obstacle {
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
    /// Lines wait, for these causes in turns.
    waiting: Vec<String>,
    /// One for each kind, the one that was said last at the end.
    losing: Vec<Losing>,
}

struct Losing {
    kind: String,
    lines: u64,
    last: Instant,
}

impl Trouble {
    /// Lines wait for this to end.
    pub(super) fn waits(&mut self, output: &impl Display, cause: impl Into<Obstacle>) {
        let Obstacle { words, kind } = cause.into();
        if !self.waiting.contains(&kind) && self.waiting.len() < MOST_KINDS {
            log::warn!("{output}: {words}; retrying");
            self.waiting.push(kind);
        }
    }

    /// Reports lost lines. `how` is "dropped" or "rejected".
    pub(super) fn loses(
        &mut self,
        output: &impl Display,
        lines: u64,
        how: &'static str,
        cause: impl Into<Obstacle>,
    ) {
        // Whatever it waited for has come to an end, if not to a good one.
        self.waiting.clear();
        let Obstacle { words, kind } = cause.into();
        let kind = format!("{how}: {kind}");
        if let Some(losing) = self.losing.iter_mut().find(|losing| losing.kind == kind) {
            losing.lines += lines;
            losing.last = Instant::now();
            return;
        }
        log::warn!(
            "{output}: {lines} lines {how}: {words}; ipvs_sampler_output counts further ones"
        );
        if self.losing.len() == MOST_KINDS {
            let Losing { kind, lines, .. } = self.losing.remove(0);
            log::info!("{output}: {lines} lines {kind} so far");
        }
        self.losing.push(Losing {
            kind,
            lines,
            last: Instant::now(),
        });
    }

    /// Lines were taken.
    pub(super) fn is_over(&mut self, output: &impl Display) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            log::info!("{output}: output recovered");
        }
        let is_quiet = |losing: &mut Losing| losing.last.elapsed() >= QUIET;
        for Losing { kind, lines, .. } in self.losing.extract_if(.., is_quiet) {
            log::info!("{output}: no longer seeing lines {kind}; {lines} in all");
        }
    }

    /// Why lines were lost, each kind once.
    #[cfg(test)]
    pub(super) fn losing(&self) -> Vec<&str> {
        self.losing
            .iter()
            .map(|losing| losing.kind.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_KINDS, Trouble};

    #[test]
    fn losses_between_good_batches_and_in_turns_are_said_once() {
        let mut trouble = Trouble::default();
        for cause in ["one", "other", "one", "other"] {
            trouble.loses(&"output", 2, "rejected", cause.to_owned());
            trouble.is_over(&"output");
        }
        assert_eq!(trouble.losing(), ["rejected: one", "rejected: other"]);
        let lines = trouble.losing.iter().map(|losing| losing.lines);
        assert_eq!(lines.collect::<Vec<_>>(), [4, 4]);
    }

    #[test]
    fn kinds_do_not_pile_up() {
        let mut trouble = Trouble::default();
        for number in 0..100 {
            trouble.loses(&"output", 1, "dropped", number.to_string());
        }
        assert_eq!(trouble.losing.len(), MOST_KINDS);
    }

    #[test]
    fn waiting_ends_with_the_first_lines_that_are_taken_or_lost() {
        let mut trouble = Trouble::default();
        for end in [true, false] {
            trouble.waits(&"output", "refused".to_owned());
            assert_eq!(trouble.waiting, ["refused"]);
            match end {
                true => trouble.is_over(&"output"),
                false => trouble.loses(&"output", 1, "rejected", "bad".to_owned()),
            }
            assert!(trouble.waiting.is_empty());
        }
    }
}
