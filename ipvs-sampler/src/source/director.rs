//! The running kernel as a feed: netlink, the probe and /proc, in one network namespace.

use std::{io, time::Duration};

use ipvs_sampler_common::{Arrival, COUNTERS, Slot};

use super::{
    conditions,
    feed::{
        Changes, Conditions, Counted, Dumped, Feed, Followed, NoDump, NoProbe, Order, ProbeOrder,
        Slots, Started, Unavailable, WhichTotals,
    },
    kernel,
    namespace::{Change, Namespace},
    netlink::Netlink,
    probe::{self, Probe},
};
use crate::{
    model::{ReadTable, Snapshot},
    system::clock::Moment,
    system::failure::Failure,
};

/// A dump that takes longer is given up, also where the kernel goes on answering.
const DUMP_LIMIT: Duration = Duration::from_secs(10);

/// See the module.
pub struct Director {
    namespace: Namespace,
    /// `None` while the network namespace is gone.
    netlink: Option<Netlink>,
    probe: Option<Probe>,
    /// Memory for a file of /proc.
    text: String,
}

impl Director {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            netlink: None,
            probe: None,
            text: String::new(),
        }
    }

    /// Opens the netlink socket.
    ///
    /// # Errors
    /// When the network namespace cannot be entered, or the system has no socket.
    pub fn connect(&mut self) -> Result<(), Failure> {
        self.netlink = Some(open_netlink(&self.namespace)?);
        Ok(())
    }
}

impl Feed for Director {
    fn now(&mut self) -> Moment {
        Moment::now()
    }

    fn follow(&mut self) -> Followed {
        let change = self.namespace.follow();
        if change != Change::None {
            self.netlink = None;
            self.probe = None;
        }
        if self.netlink.is_none() && self.namespace.exists() && self.connect().is_err() {
            return Followed::Closed;
        }
        match change {
            Change::None => Followed::Same,
            Change::Gone => Followed::Gone,
            Change::Replaced => Followed::Replaced,
        }
    }

    fn conditions(&mut self) -> Conditions {
        conditions::now()
    }

    fn totals(&mut self, which: WhichTotals) -> Option<[u64; COUNTERS]> {
        let text = &mut self.text;
        let read = self.namespace.within(|| match which {
            WhichTotals::Live => kernel::totals(text),
            WhichTotals::Estimated => kernel::estimated_totals(text),
        });
        read.ok()?.ok()
    }

    fn dump(&mut self, into: &mut Snapshot) -> Result<Dumped, NoDump> {
        let Some(netlink) = &mut self.netlink else {
            into.clear();
            return Err(NoDump::Nowhere);
        };
        let outcome = match &mut self.probe {
            Some(probe) => netlink.dump(into, &mut probe.learner()),
            None => netlink.dump(into, &mut ()),
        };
        outcome.map_err(NoDump::Failed)?;
        Ok(Dumped {
            family: netlink.family(),
            ..self.probe.as_ref().map(Probe::dumped).unwrap_or_default()
        })
    }

    fn start_probe(&mut self, order: &ProbeOrder) -> Result<Started, NoProbe> {
        let probe = within(&self.namespace, || probe::start(order))
            .map_err(NoProbe::Closed)?
            .map_err(NoProbe::Unavailable)?;
        let started = Started {
            slots: probe.slots(),
            live: probe.layout(),
        };
        self.probe = Some(probe);
        Ok(started)
    }

    fn stop_probe(&mut self) {
        self.probe = None;
    }

    fn confirm(&mut self) -> Result<bool, Unavailable> {
        self.probe.as_mut().map_or(Ok(false), Probe::confirm)
    }

    fn drain(&mut self, into: &mut Changes) -> Counted {
        let probe = self.probe.as_mut();
        probe.map_or_else(Counted::default, |probe| probe.drain(into))
    }

    fn counted(&mut self) -> Counted {
        let probe = self.probe.as_ref();
        probe.map_or_else(Counted::default, Probe::counted)
    }

    fn connections(&mut self, of: Slots<'_>, into: &mut Vec<u64>) {
        into.clear();
        if let Some(probe) = &self.probe {
            probe.connections(of, into);
        }
    }

    fn objects(&mut self, into: &mut Vec<Slot>) {
        into.clear();
        if let Some(probe) = &self.probe {
            probe.objects(into);
        }
    }

    fn readings(&mut self, end: Slot, into: &mut ReadTable) -> Result<(), Unavailable> {
        let probe = self.probe.as_mut();
        probe.map_or(Ok(()), |probe| probe.readings(end, into))
    }

    fn arrivals(&mut self, into: &mut Vec<Arrival>) -> u64 {
        let probe = self.probe.as_mut();
        probe.map_or(0, |probe| probe.fetch_arrivals(into))
    }

    fn tell(&mut self, order: Order<'_>) {
        let Some(probe) = &mut self.probe else { return };
        match order {
            Order::Mute(slots) => probe.mute(slots),
            Order::Free(slots) => probe.free(slots),
            Order::Abandon(slots) => probe.abandon(slots),
            Order::Resolution(resolution_ns) => probe.set_resolution(resolution_ns),
        }
    }

    fn is_permitted(&mut self) -> bool {
        self.probe.as_mut().is_none_or(Probe::is_permitted)
    }
}

/// Opens a netlink socket in a network namespace.
///
/// # Errors
/// When it cannot be entered, or the system has no socket.
pub fn open_netlink(namespace: &Namespace) -> Result<Netlink, Failure> {
    Ok(within(namespace, || Netlink::open(DUMP_LIMIT))??)
}

/// As [`Namespace::within`], with a failure that says which and what to do.
///
/// # Errors
/// When it cannot be entered.
pub fn within<T>(namespace: &Namespace, work: impl FnOnce() -> T) -> Result<T, Failure> {
    namespace
        .within(work)
        .map_err(|error| cannot_enter(namespace.label().unwrap_or_default(), &error))
}

/// A network namespace that cannot be opened or entered.
#[must_use]
pub fn cannot_enter(label: &str, error: &io::Error) -> Failure {
    let what = format!("cannot enter the network namespace {label}: {error}");
    match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::NotPermitted(
            format!("{what}; this needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE for pid:N").into(),
        ),
        _ if label.contains(['/', ':']) => Failure::Unavailable(what.into()),
        _ => Failure::Unavailable(format!("{what}; list the named ones with `ip netns`").into()),
    }
}
