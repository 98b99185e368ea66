//! Which of live, events and netlink is taken, and when that is thought over: decisions as values.
//! [`super::climb`] carries them out.

#[cfg(test)]
mod tests;

use std::fmt;

use super::choices::{Choices, ProbeUse};
use crate::{
    model::{Mode, Patience},
    source::feed::{Conditions, Layout, Reason, Room, Unavailable},
};

/// So often in a row a probe may fail to start after one that ran.
const TRIES: u32 = 3;

/// Least number of services and destinations that the probe has room for.
const LEAST_SLOTS: u32 = 4096;

/// Least number in a memory that is short.
pub(super) const FEW_SLOTS: u32 = 64;

pub(super) const NOT_LOADED: &str = "IPVS is not loaded";

/// Why a probe is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// There was none, and IPVS is there.
    First,
    /// It may come further than the one that runs, or failed.
    Better,
    /// More services and destinations than the one that runs has room for.
    Larger,
    /// The one that runs lost word of changes: nobody knows which of its slots still count for whom.
    ChangesLost,
}

impl fmt::Display for Start {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::First => "IPVS is loaded",
            Self::Better => "trying for a better mode",
            Self::Larger => "more services and destinations to count",
            Self::ChangesLost => "records of deletions or zeroing were lost",
        })
    }
}

/// The probe that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// How many services and destinations it can tell apart.
    pub(super) slots: u32,
    /// Whether counters can be read live, or why not.
    pub(super) live: Result<Layout, Unavailable>,
}

/// What the ladder cannot know by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// In ns of a clock that is never set.
    pub(super) now: u64,
    /// Services and destinations in the last dump.
    pub(super) objects: usize,
    /// The probe that runs lost records of changes.
    pub(super) lost_changes: bool,
    /// A connection found no slot.
    pub(super) no_slot_left: bool,
}

/// What becomes of a probe that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// IPVS is gone: there is nothing to sample.
    Wait,
    /// The one that runs goes on.
    Keep,
    /// The one that runs goes on, although it has room for less than there is. To be said once.
    KeepSmaller {
        /// For the first time.
        new: bool,
    },
    /// Netlink alone until the next interval tries again.
    Soon,
    /// Netlink alone.
    Netlink,
    /// A probe is required.
    End,
}

/// What an interval begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// All goes on.
    No,
    /// A new probe may come further.
    Probe,
    /// A new process may come further, with the privileges that this one gave up.
    Process,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ladder {
    mode: Mode,
    running: Option<Running>,
    /// The probe that runs has room for less than there is, and a larger one was refused.
    room_refused: bool,
    /// No new probe can be started: what that takes was given up.
    sealed: bool,
    retry: Retry,
}

/// When what failed is tried again.
#[derive(Debug, Default)]
struct Retry {
    /// A probe was seen to work.
    has_worked: bool,
    /// A new probe may come further than the one there is.
    now: bool,
    /// The next interval tries again.
    soon: bool,
    /// Times that a probe may yet fail to start; 0 before the first one.
    tries_left: u32,
    /// Under which the probe was started, and came no further than it did.
    conditions: Conditions,
    /// When something that failed is tried again, whatever the conditions.
    patience: Patience,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            mode: Mode::Waiting(NOT_LOADED),
            running: None,
            room_refused: false,
            sealed: false,
            retry: Retry::default(),
        }
    }
}

impl Ladder {
    pub(super) fn mode(&self) -> &Mode {
        &self.mode
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Why nothing is read live; `None` when all is, or nothing runs.
    pub(super) fn why_not_live(&self) -> Option<Unavailable> {
        match &self.running.as_ref()?.live {
            Ok(Layout::Known) => None,
            Ok(Layout::ToConfirm) => Some(Reason::Unconfirmed.into()),
            Err(unavailable) => Some(unavailable.clone()),
        }
    }

    /// Whether the mode is such that counters are to be read.
    pub(super) fn reads(&self, choices: &Choices) -> bool {
        choices.live && self.running.is_some() && self.why_not_live().is_none()
    }

    /// Takes in whether counters can be read live.
    pub(super) fn set_live(&mut self, live: Result<Layout, Unavailable>) {
        if let Some(running) = &mut self.running {
            running.live = live;
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Privileges were given up, `sealed`: those that starting a probe takes, too. That is not a reason to try
    /// again.
    pub(super) fn gave_up_privileges(&mut self, sealed: bool, conditions: Conditions) {
        self.sealed = sealed;
        self.retry.conditions = conditions;
    }

    /// Whether a probe is to be started, and why.
    pub(super) fn wants_probe(&self, facts: &Facts) -> Option<Start> {
        match (&self.mode, &self.running) {
            _ if self.retry.now => Some(Start::Better),
            (Mode::Netlink(_), _) => None,
            (_, None) => Some(Start::First),
            (_, Some(_)) if facts.lost_changes => Some(Start::ChangesLost),
            (_, Some(running)) => {
                let waits = self.sealed || !self.retry.patience.is_over(facts.now);
                let refused = self.room_refused && waits;
                (is_full(running, facts) && !refused).then_some(Start::Larger)
            }
        }
    }

    /// Looks whether what stood against a better mode has changed, or whether it is time to see for
    /// ourselves. `conditions` are asked for only where they matter.
    pub(super) fn again(
        &mut self,
        facts: &Facts,
        choices: &Choices,
        conditions: impl FnOnce() -> Conditions,
    ) -> Again {
        let wanted = match &self.mode {
            Mode::Live | Mode::Waiting(_) => false,
            Mode::Events(_) => choices.live,
            Mode::Netlink(_) => choices.probe != ProbeUse::Off,
        };
        let running = self.running.as_ref();
        self.room_refused &= running.is_some_and(|running| is_full(running, facts));
        let retry = &mut self.retry;
        if !wanted {
            if !self.room_refused {
                retry.patience.worked(facts.now);
            }
            return Again::No;
        }
        let changed = conditions() != retry.conditions;
        let over = retry.patience.is_over(facts.now);
        if self.sealed {
            // What runs by events goes on: only without any probe is a new process worth its gap, and only when
            // there is reason to believe that it comes further.
            let hopeful = changed || retry.has_worked && over;
            return match &self.mode {
                Mode::Netlink(_) if hopeful => Again::Process,
                _ => Again::No,
            };
        }
        retry.now = std::mem::take(&mut retry.soon) || changed || over;
        if retry.now { Again::Probe } else { Again::No }
    }

    /// A probe is about to be started.
    pub(super) fn starting(&mut self, conditions: Conditions) {
        self.retry.now = false;
        self.retry.conditions = conditions;
    }

    /// The room that a new probe is to have: half as many again as there are fit before
    /// [`Ladder::wants_probe`] wants more; each slot costs some 300 bytes, and 16 more for each CPU.
    pub(super) fn room(&self, facts: &Facts) -> Room {
        let count = |objects: usize| u32::try_from(objects).unwrap_or(u32::MAX / 2);
        let objects = facts.objects;
        let wanted = count(objects.saturating_mul(2)).max(LEAST_SLOTS);
        let wanted = if facts.no_slot_left {
            wanted.max(self.slots().saturating_mul(2))
        } else {
            wanted
        };
        Room {
            wanted,
            least: count(objects + objects / 4).max(FEW_SLOTS),
        }
    }

    /// Slots of the probe that runs, 0 without one.
    pub(super) fn slots(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.slots)
    }

    /// Whether there may be memory for one probe where there is none for two.
    pub(super) fn may_take_turns(&self, refused: Reason, why: Start) -> bool {
        let refused_before = why == Start::Larger && self.room_refused;
        refused.is_about_memory()
            && self.running.is_some()
            && why != Start::Better
            && !refused_before
    }

    /// A probe runs; whether it has less room than `wanted`.
    pub(super) fn started(&mut self, running: Running, wanted: u32, facts: &Facts) -> bool {
        self.room_refused = running.slots < wanted;
        if self.room_refused {
            self.retry.patience.failed(facts.now);
        }
        self.retry.tries_left = TRIES;
        self.retry.soon = false;
        self.running = Some(running);
        self.room_refused
    }

    /// The probe that ran was ended.
    pub(super) fn stopped(&mut self) {
        self.running = None;
    }

    /// A probe could not be started.
    pub(super) fn refused(
        &mut self,
        reason: Reason,
        why: Start,
        choices: &Choices,
        facts: &Facts,
    ) -> Fallback {
        let runs = self.running.is_some();
        match (reason, why) {
            // Unloaded between the dump and now.
            (Reason::NoIpvs, _) => Fallback::Wait,
            (_, Start::Better) if runs => Fallback::Keep,
            (_, Start::Larger) if runs => {
                let new = !std::mem::replace(&mut self.room_refused, true);
                self.retry.patience.failed(facts.now);
                Fallback::KeepSmaller { new }
            }
            // A probe ran here before. In a module that is being unloaded or loaded, functions come and go.
            (Reason::NoFunction | Reason::KernelError, _) if self.retry.tries_left > 0 => {
                self.retry.tries_left -= 1;
                self.retry.soon = true;
                Fallback::Soon
            }
            _ if choices.probe == ProbeUse::Required => Fallback::End,
            _ => Fallback::Netlink,
        }
    }

    /// The mode that what runs is good for, and what else is known of why it is no better.
    pub(super) fn earned(&self, choices: &Choices) -> Option<(Mode, Option<String>)> {
        self.running.as_ref()?;
        Some(match (choices.live, self.why_not_live()) {
            (false, _) => (Mode::Events("--live off"), None),
            (true, None) => (Mode::Live, None),
            (true, Some(unavailable)) => {
                (Mode::Events(unavailable.reason.text()), unavailable.detail)
            }
        })
    }

    /// What runs was seen to work.
    pub(super) fn worked(&mut self) {
        self.retry.has_worked = true;
    }

    /// Enters a mode; whether it is another one.
    pub(super) fn enter(
        &mut self,
        mode: Mode,
        facts: &Facts,
        conditions: impl FnOnce() -> Conditions,
    ) -> bool {
        let short = matches!(mode, Mode::Events(_) | Mode::Netlink(_));
        if short && (self.mode != mode || self.retry.patience.is_over(facts.now)) {
            self.retry.patience.failed(facts.now);
            self.retry.conditions = conditions();
        }
        let other = self.mode != mode;
        self.mode = mode;
        other
    }

    /// IPVS was reloaded: whatever ran before is gone.
    pub(super) fn begin_again(&mut self) {
        self.mode = Mode::Waiting(NOT_LOADED);
    }
}

/// Whether a larger probe is wanted, best before a connection finds no slot.
fn is_full(running: &Running, facts: &Facts) -> bool {
    facts.objects > running.slots as usize / 4 * 3 || facts.no_slot_left
}
