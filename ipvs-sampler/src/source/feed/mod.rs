//! The seam: every question that a sampler asks the world, and answers that are plain data.
//!
//! What asks knows nothing of file descriptors, clocks and /proc. The same answers in the same order make
//! the same lines, whoever gives them: the running kernel ([`super::Director`]), or a test's script.

mod conditions;
mod reason;
mod scrub;
mod unavailable;

use ipvs_sampler_common::{Arrival, COUNTERS, Slot, Tally};

pub(in crate::source) use conditions::FILES as CONDITION_FILES;
pub use conditions::{Capability, Conditions, cause_of};
pub use reason::{Cause, Reason};
pub use scrub::scrub;
pub use unavailable::Unavailable;

pub use super::netlink::Error as DumpError;
use crate::{
    model::{DumpCheck, ReadTable, Snapshot},
    system::clock::Moment,
    system::failure::Failure,
};

/// Who answers. Slots are those of the probe that runs.
pub trait Feed {
    /// This moment.
    fn now(&mut self) -> Moment;

    /// Goes where the chosen network namespace leads now.
    fn follow(&mut self) -> Followed;

    /// What decides whether a probe can run.
    fn conditions(&mut self) -> Conditions;

    /// What IPVS has counted in the network namespace; `None` when it does not say.
    fn totals(&mut self, which: WhichTotals) -> Option<[u64; COUNTERS]>;

    /// Fills `into` with all services and destinations, sorted, with the slots that are known. Empty after
    /// a failure.
    ///
    /// # Errors
    /// Why there is no dump.
    fn dump(&mut self, into: &mut Snapshot) -> Result<Dumped, NoDump>;

    /// Starts a probe, and ends the one that ran. After a failure that one goes on.
    ///
    /// # Errors
    /// Why there is no new one.
    fn start_probe(&mut self, order: &ProbeOrder) -> Result<Started, NoProbe>;

    /// Ends the probe.
    fn stop_probe(&mut self);

    /// Whether the last dump confirmed where statistics lie, when [`Started::live`] was to be confirmed.
    ///
    /// # Errors
    /// When it showed another place.
    fn confirm(&mut self) -> Result<bool, Unavailable>;

    /// Adds all records since the last time to `into`; the programs' own counters after that.
    fn drain(&mut self, into: &mut Changes) -> Counted;

    /// The programs' own counters.
    fn counted(&mut self) -> Counted;

    /// Connections of slots, exact at this moment, summed over CPUs.
    fn connections(&mut self, of: Slots<'_>, into: &mut Vec<u64>);

    /// The slots that have an object, in order.
    fn objects(&mut self, into: &mut Vec<Slot>);

    /// Reads all counters of the objects in slots below `end`, at this instant.
    ///
    /// # Errors
    /// Why nothing could be read.
    fn readings(&mut self, end: Slot, into: &mut ReadTable) -> Result<(), Unavailable>;

    /// Appends the moments of connections since the last time, in no order; how many were overwritten.
    fn arrivals(&mut self, into: &mut Vec<Arrival>) -> u64;

    /// Passes something on; there is no answer.
    fn tell(&mut self, order: Order<'_>);

    /// Whether what runs goes on with the privileges in effect.
    fn is_permitted(&mut self) -> bool;
}

/// Where the network namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Where it was.
    Same,
    /// There is none any more.
    Gone,
    /// There is another one now. Everything before is gone.
    Replaced,
    /// It is there and cannot be entered.
    Closed,
}

/// Which sums of IPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichTotals {
    /// Of this instant (/proc/net/ip_vs_stats_percpu).
    Live,
    /// As the estimator last had them, up to 2 s old (/proc/net/ip_vs_stats).
    Estimated,
}

/// What else is known of a dump.
#[derive(Clone, Debug, Default)]
pub struct Dumped {
    /// The number of IPVS's family: another one than before means that the ip_vs module was reloaded.
    pub family: Option<u16>,
    /// Whether the probe saw it begin.
    pub seen: bool,
    /// Whether the probe saw any destination in it.
    pub destinations_seen: bool,
    /// Its messages against the memory of their objects.
    pub check: DumpCheck,
}

/// Why there is no dump.
#[derive(Debug)]
pub enum NoDump {
    /// There is no network namespace to look into.
    Nowhere,
    /// The kernel did not give one.
    Failed(DumpError),
}

/// How many services and destinations a probe is to have room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Where memory allows.
    pub wanted: u32,
    /// Where it does not.
    pub least: u32,
}

/// How a probe is to run.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOrder {
    /// Shortest time between two records of one (CPU, destination), in ns.
    pub resolution_ns: u64,
    /// Size of the ring buffer of records; rounded up to a power of two pages.
    pub ring_bytes: u32,
    /// How many services and destinations it can tell apart at once.
    pub room: Room,
    /// Connections whose moments each CPU keeps until they are fetched: a power of two, or 0 for none.
    pub arrivals: u32,
    /// Level of the programs' own messages, none when they are to be silent.
    pub log: Option<log::Level>,
}

/// A probe runs.
#[derive(Clone, Debug)]
pub struct Started {
    /// How many services and destinations it can tell apart.
    pub slots: u32,
    /// Whether counters can be read live, once a dump has confirmed it where that is missing, or why not.
    pub live: Result<Layout, Unavailable>,
}

/// Whether it is known where IPVS keeps what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// It is.
    Known,
    /// A dump has to confirm it ([`Feed::confirm`]).
    ToConfirm,
}

/// Why no probe was started.
#[derive(Debug)]
pub enum NoProbe {
    /// It cannot be had.
    Unavailable(Unavailable),
    /// The network namespace cannot be entered.
    Closed(Failure),
}

/// What records said. Reused from tick to tick.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Slots that counted; a slot can be here more than once.
    pub active: Vec<Slot>,
    /// Slots whose object was deleted.
    pub retired: Vec<Slot>,
    /// Slots whose object was zeroed.
    pub zeroed: Vec<Slot>,
    /// How often anything was zeroed that has no slot: what the probe never met, or of another network
    /// namespace.
    pub zeroed_elsewhere: u64,
}

impl Changes {
    /// Whether anything was zeroed.
    #[must_use]
    pub fn has_zeroings(&self) -> bool {
        !self.zeroed.is_empty() || self.zeroed_elsewhere > 0
    }

    /// Empties it and keeps the memory.
    pub fn clear(&mut self) {
        self.active.clear();
        self.retired.clear();
        self.zeroed.clear();
        self.zeroed_elsewhere = 0;
    }
}

/// The counters of a probe since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// The programs' own.
    pub tally: Tally,
    /// Records taken from the ring buffer.
    pub received: u64,
}

/// Which slots to read.
#[derive(Clone, Copy, Debug)]
pub enum Slots<'a> {
    /// These, answered in this order.
    Of(&'a [Slot]),
    /// All, answered by slot.
    All,
}

/// What a feed is told.
#[derive(Clone, Copy, Debug)]
pub enum Order<'a> {
    /// Whether anybody asks for the objects in these slots: what no output selects is counted, but neither
    /// recorded nor read.
    Mute(&'a [(Slot, bool)]),
    /// Nothing counts into these any more: they are free for other objects, and asked for.
    Free(&'a [Slot]),
    /// What these slots were taken for is not an object.
    Abandon(&'a [Slot]),
    /// The shortest time between two records, in ns.
    Resolution(u64),
}
