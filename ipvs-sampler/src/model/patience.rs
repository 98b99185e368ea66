//! When something that failed is tried again.

/// The first time, in ns; each further time it takes twice as long.
const SHORTEST: u64 = 60_000_000_000;
/// At most.
const LONGEST: u64 = 3600 * 1_000_000_000;

/// See the module. Moments are in ns of a clock that is never set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// When the next try is due, and how long the wait for it is.
    next: Option<(u64, u64)>,
}

impl Patience {
    /// It failed now.
    pub fn failed(&mut self, now: u64) {
        let wait = self
            .next
            .map_or(SHORTEST, |(_, wait)| (2 * wait).min(LONGEST));
        self.next = Some((now + wait, wait));
    }

    /// Whether the next try is due; never, where nothing failed.
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.next.is_some_and(|(due, _)| now >= due)
    }

    /// It has worked for as long as the last wait was: a new failure is another one.
    pub fn worked(&mut self, now: u64) {
        if self.next.is_some_and(|(due, wait)| now >= due + wait) {
            self.next = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Patience, SHORTEST};

    #[test]
    fn waits_double_up_to_an_hour() {
        let mut patience = Patience::default();
        assert!(!patience.is_over(u64::MAX), "nothing failed");
        let mut now = 0;
        for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
            patience.failed(now);
            let wait = wait * SHORTEST;
            assert!(!patience.is_over(now + wait - 1));
            assert!(patience.is_over(now + wait));
            now += wait;
        }
        assert_eq!(LONGEST, 60 * SHORTEST);
    }

    #[test]
    fn what_worked_for_a_while_fails_anew() {
        let mut patience = Patience::default();
        patience.failed(0);
        patience.worked(SHORTEST);
        patience.failed(SHORTEST);
        assert!(
            !patience.is_over(2 * SHORTEST),
            "it had not worked for long"
        );
        patience.worked(5 * SHORTEST);
        patience.failed(6 * SHORTEST);
        assert!(patience.is_over(7 * SHORTEST));
    }
}
