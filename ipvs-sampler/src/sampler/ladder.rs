//! Which of live, events and netlink is taken, and when that is thought over.

use super::{NOT_LOADED, Sampler, nanoseconds, open_netlink, prefix, within};
use crate::{
    cli::{Ebpf, Fields, Live},
    failure::Failure,
    health::Mode,
    model::{check_readings, slots_end},
    source::{
        kernel::Conditions,
        namespace::Change,
        probe::{Cause, Options, Probe, Unavailable},
    },
};

/// So often live readings may differ from a dump before they are held to be wrong. On a busy director with
/// few destinations a connection comes in between in a few dumps of a hundred.
const CHECKS: u32 = 6;

/// So often in a row a probe may fail to start after one that ran.
const TRIES: u32 = 3;

/// Least number of services and destinations that the probe has room for.
const LEAST_SLOTS: u32 = 4096;

/// Connections whose moments each CPU keeps between two ticks, 128 KiB.
const ARRIVALS: u32 = 8192;

impl Sampler {
    /// A dump, with a new probe where the old one will not do, and then once more; held against
    /// what is read live. Whether it succeeded.
    pub(super) fn refresh(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        let family = |sampler: &Self| sampler.netlink.as_ref()?.family();
        let known = family(self);
        if !self.dump(batch)? {
            return Ok(false);
        }
        if known.is_some() && family(self) != known {
            log::warn!("{}IPVS was loaded anew", prefix(&self.namespace));
            self.forget_probe();
            self.mode = Mode::Waiting(NOT_LOADED);
        }
        if self.wants_probe() {
            self.start_probe()?;
            if self.probe.is_some() && !self.dump(batch)? {
                return Ok(false);
            }
        }
        if self.probe.as_mut().is_some_and(Probe::confirm) && !self.dump(batch)? {
            return Ok(false);
        }
        let checked = self.check_live(batch)?;
        self.settle_mode();
        Ok(checked)
    }

    /// Whether a probe is to be started: there was no IPVS before; or the one that runs has no
    /// slots left, best before a connection finds none; or it lost word of changes, so that
    /// nobody knows which of its slots still count for whom.
    fn wants_probe(&self) -> bool {
        let objects = self.objects();
        match (&self.mode, &self.probe) {
            _ if self.trying_again => true,
            (Mode::Netlink(_), _) => false,
            (_, None) => true,
            (_, Some(probe)) => {
                objects > probe.slots() as usize / 4 * 3
                    || self.events.no_slot_left()
                    || self.events.lost_changes()
            }
        }
    }

    /// Looks whether what stood against a better mode has changed. Then a probe is started anew.
    pub(super) fn try_again(&mut self) {
        let wanted = match &self.mode {
            Mode::Live | Mode::Waiting(_) => false,
            Mode::Events(_) => self.options.live == Live::Auto,
            Mode::Netlink(_) => self.options.ebpf != Ebpf::Off,
        };
        self.trying_again = wanted && !self.sealed && Conditions::now() != self.conditions;
    }

    /// The probe's counts stay with the ledger.
    fn drop_probe(&mut self) {
        self.probe = None;
        if self.events.lost_changes() {
            self.ledger.doubt();
        }
        self.events.probe_ended();
    }

    pub(super) fn start_probe(&mut self) -> Result<(), Failure> {
        if self.options.ebpf == Ebpf::Off {
            self.enter(Mode::Netlink("--ebpf off".into()));
            return Ok(());
        }
        if self.sealed {
            return Err(Failure::StartAgain(format!(
                "{}a new probe is needed, and what starting one takes was given up \
                 (--privileges least)",
                prefix(&self.namespace)
            )));
        }
        // Half as many again fit before `wants_probe` wants more; each slot costs some 200 bytes.
        let room = self.objects().saturating_mul(2);
        let room = u32::try_from(room).unwrap_or(u32::MAX / 2).max(LEAST_SLOTS);
        let had = self.probe.as_ref().map_or(0, Probe::slots);
        let slots = if self.events.no_slot_left() {
            room.max(had.saturating_mul(2))
        } else {
            room
        };
        let good = self.trying_again && had > 0;
        self.trying_again = false;
        if !good {
            self.drop_probe();
        }
        let options = Options {
            resolution_ns: nanoseconds(self.options.resolution),
            ring_bytes: self.options.ebpf_ring,
            slots,
            arrivals: match self.options.fields {
                Fields::Telegraf => 0,
                Fields::Extended => ARRIVALS,
            },
            log: self.options.ebpf_log,
        };
        self.conditions = Conditions::now();
        match within(&self.namespace, || Probe::start(&options))? {
            Ok(probe) => {
                if good {
                    self.drop_probe();
                }
                self.tries_left = TRIES;
                self.ledger.restart(probe.slots(), &mut self.snapshot);
                self.events.probe_began(&probe, &self.namespace);
                self.forget_slots();
                self.probe = Some(probe);
                Ok(())
            }
            // Unloaded between the dump and now.
            Err(unavailable) if unavailable.cause == Cause::NoIpvs => {
                self.wait(NOT_LOADED);
                Ok(())
            }
            // What runs goes on.
            Err(_) if good => Ok(()),
            // A probe ran here before. In a module that is being unloaded or loaded, functions come and go.
            Err(_) if self.tries_left > 0 => {
                self.tries_left -= 1;
                self.wait("the probe did not start: it is tried again at the next interval");
                Ok(())
            }
            Err(unavailable) if self.options.ebpf == Ebpf::Require => Err(unavailable.into()),
            Err(unavailable) => {
                self.ledger.clear();
                self.enter(Mode::Netlink(unavailable.to_string()));
                Ok(())
            }
        }
    }

    /// Holds what is read live against the dump just made. A difference may be a change that came
    /// between the two, so it is looked at again with another dump; one that stays ends the live
    /// mode before a line of it is written. Whether the last dump succeeded.
    fn check_live(&mut self, batch: &mut Vec<u8>) -> Result<bool, Failure> {
        for checks_left in (0..CHECKS).rev() {
            let Some(probe) = &mut self.probe else { break };
            if self.options.live == Live::Off || probe.not_live().is_some() {
                break;
            }
            if let Err(unavailable) = probe.read_live(slots_end(&self.snapshot)) {
                probe.end_live(unavailable);
                break;
            }
            // After the readings: it has grown since, if anything.
            let totals = self.events.kernel_totals(&self.namespace);
            let verdict = probe.check_dump().and_then(|()| {
                check_readings(&self.snapshot, totals.as_ref(), |slot| probe.reading(slot))
            });
            let Err(mismatch) = verdict else {
                self.crosscheck.compare_dump(
                    &self.snapshot,
                    |slot| probe.reading(slot),
                    |slot| probe.connections(slot),
                );
                break;
            };
            if checks_left == 0 {
                probe.end_live(Unavailable::mismatch(&mismatch));
            } else if !self.dump(batch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The mode that the probe is good for.
    pub(super) fn settle_mode(&mut self) {
        let Some(probe) = &self.probe else { return };
        let not_live = match self.options.live {
            Live::Auto => probe.not_live().map(|unavailable| unavailable.to_string()),
            Live::Off => Some("--live off".into()),
        };
        self.enter(not_live.map_or(Mode::Live, Mode::Events));
    }

    fn enter(&mut self, mode: Mode) {
        if mode != Mode::Live {
            // Whatever was read last must not be taken for live.
            self.readings.clear();
        }
        if self.mode != mode {
            log::info!("{}{mode}", prefix(&self.namespace));
            self.mode = mode;
        }
    }

    /// There is nothing to look at for a while.
    pub(super) fn wait(&mut self, reason: &'static str) {
        self.forget_probe();
        self.snapshot.clear();
        self.enter(Mode::Waiting(reason));
    }

    /// The kernel's functions are gone, and with them all that was counted.
    fn forget_probe(&mut self) {
        self.probe = None;
        self.events.ipvs_ended();
        self.ledger.clear();
        self.forget_slots();
    }

    /// Slots have another meaning from now on.
    fn forget_slots(&mut self) {
        self.readings.clear();
        self.arrivals.clear();
        self.crosscheck.clear();
    }

    /// Goes where the chosen network namespace leads now.
    pub(super) fn follow_namespace(&mut self) {
        match self.namespace.follow() {
            Change::None => {}
            Change::Gone => {
                self.netlink = None;
                self.wait("the network namespace is gone");
            }
            Change::Replaced => {
                self.netlink = None;
                self.wait("the network namespace is another one of this name now");
            }
        }
        if self.netlink.is_none() && self.namespace.exists() {
            match open_netlink(&self.namespace) {
                Ok(netlink) => self.netlink = Some(netlink),
                Err(_) => self.wait("the network namespace cannot be entered"),
            }
        }
    }

    /// How many slots the last dump's services and destinations take.
    fn objects(&self) -> usize {
        self.snapshot.services.len() + self.snapshot.destinations.len()
    }
}
