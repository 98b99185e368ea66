//! The live source: every counter of every known object at one instant, read by a program that user
//! space runs and nothing else does. It costs the data path nothing.

use std::fs;

use aya::Ebpf;
use ipvs_sampler_common::{Discovery, Layout, Reading, Slot, State, halves};

use super::{
    btf,
    map::{self, mapped},
    mapped::Mapped,
    maps::OBJECT_WORDS,
    program, refusal,
};
use crate::{
    model::ReadTable,
    source::{
        conditions,
        feed::{Reason, Unavailable},
        kernel::{self, DISCOVERY_PROBE, Symbol},
    },
};

const READ: &str = "read_live";
const CPU_OFFSETS: &str = "cpu_offsets";
const READING_WORDS: usize = size_of::<Reading>() / size_of::<u64>();

/// The mapped results. The programs belong to the probe's object.
pub(super) struct LiveReader {
    readings: Mapped,
    progress: Mapped,
    /// The number of the last run: readings of others are not of now.
    run: u64,
    inactive_is_total: bool,
    /// Where a dump shows where statistics are, and the layout that it is to confirm.
    unconfirmed: Option<(Mapped, Layout)>,
}

/// What is known of IPVS's structures before a dump.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownLayout {
    layout: Layout,
    /// Whether [`Layout::inactive`] points at all connections, active ones included.
    inactive_is_total: bool,
    /// A dump has to confirm where statistics are.
    to_confirm: bool,
}

/// Where this kernel's IPVS keeps what is read: by the names of members where there is BTF of it.
pub(super) fn layout(image: &[u8]) -> Result<KnownLayout, Unavailable> {
    // First: where /proc shows processes only, the sysctls are no guide to the layout.
    let per_cpu_offset = per_cpu_offset()?;
    let module = fs::read(kernel::MODULE_BTF).ok();
    let mut known = match (by_name(image, module.as_deref()), &module) {
        (Ok(known), _) => known,
        (Err(error), Some(_)) => {
            return Err(Unavailable::with_detail(
                Reason::UnusableModuleBtf,
                &error.to_string(),
            ));
        }
        (Err(_), None) if !fs::exists(kernel::ESTIMATOR_CPUS).unwrap_or(true) => KnownLayout {
            layout: kernel::LAYOUT_WITHOUT_BTF,
            inactive_is_total: false,
            to_confirm: true,
        },
        (Err(_), None) => return Err(Reason::NoModuleBtf.into()),
    };
    known.layout.per_cpu_offset = per_cpu_offset;
    Ok(known)
}

fn by_name(image: &[u8], module: Option<&[u8]>) -> Result<KnownLayout, btf::BtfError> {
    let wanted = [
        ("ip_vs_dest", "stats"),
        ("ip_vs_service", "stats"),
        ("ip_vs_stats", "cpustats"),
        ("ip_vs_stats", "kstats"),
        ("ip_vs_stats", "kstats0"),
        ("ip_vs_dest", "activeconns"),
        ("ip_vs_dest", "persistconns"),
        ("ip_vs_dest", "weight"),
        ("ip_vs_dest", "flags"),
    ];
    let [
        destination_stats,
        service_stats,
        stats_per_cpu,
        stats_estimated,
        stats_zero,
        active,
        persistent,
        weight,
        flags,
    ] = btf::offsets(image, module, wanted)?;
    let member = |name| btf::offsets(image, module, [("ip_vs_dest", name)]);
    // `totalconns` took the place of `inactconns` in 7.x, 6.12.107 and 6.1.190.
    let ([inactive], inactive_is_total) = match member("inactconns") {
        Ok(inactive) => (inactive, false),
        Err(_) => (member("totalconns")?, true),
    };
    let layout = Layout {
        per_cpu_offset: 0,
        destination_stats,
        service_stats,
        stats_per_cpu,
        stats_estimated,
        stats_zero,
        active,
        inactive,
        persistent,
        weight,
        flags,
    };
    Ok(KnownLayout {
        layout,
        inactive_is_total,
        to_confirm: false,
    })
}

fn per_cpu_offset() -> Result<u64, Unavailable> {
    const SYMBOL: &str = "__per_cpu_offset";
    let reason = match kernel::address_of(SYMBOL) {
        Ok(Symbol::At(address)) => return Ok(address),
        Ok(Symbol::Hidden) => Reason::HiddenAddresses,
        Ok(Symbol::Absent) => Reason::NoDataSymbols,
        Err(_) if conditions::now().proc_shows_processes_only() => Reason::ProcSubset,
        Err(error) => {
            return Err(Unavailable::with_detail(
                Reason::NoSymbols,
                &error.to_string(),
            ));
        }
    };
    Err(reason.into())
}

impl LiveReader {
    /// Loads the programs and attaches what only they need.
    pub(super) fn start(
        ebpf: &mut Ebpf,
        known: KnownLayout,
        cpus: usize,
        slots: u32,
    ) -> Result<Self, Unavailable> {
        let mut live = Self::load(ebpf, known.layout, cpus, slots)?;
        live.inactive_is_total = known.inactive_is_total;
        if known.to_confirm {
            // Until then nothing else is to be read with it.
            map::set(ebpf, "LAYOUT", Layout::default())?;
            let seen = mapped::<Discovery>(ebpf, "DISCOVERY", 1)?;
            live.unconfirmed = Some((seen, known.layout));
            let (name, functions) = DISCOVERY_PROBE;
            program::load_and_attach(ebpf, name, functions)?;
        }
        Ok(live)
    }

    /// Loads the programs that read, and has them copy what does not change.
    pub(super) fn load(
        ebpf: &mut Ebpf,
        layout: Layout,
        cpus: usize,
        slots: u32,
    ) -> Result<Self, Unavailable> {
        for program in [READ, CPU_OFFSETS] {
            program::tracepoint(ebpf, program)?
                .load()
                .map_err(|error| refusal::load(&error))?;
        }
        let progress = mapped::<u64>(ebpf, "PROGRESS", 1)?;
        map::set(ebpf, "LAYOUT", layout)?;
        program::run(program::tracepoint(ebpf, CPU_OFFSETS)?, [0; 3])?;
        let copied = progress.get(0);
        if copied != cpus as u64 {
            return Err(Unavailable::with_detail(
                Reason::KernelError,
                &format!("only {copied} of {cpus} per-CPU offsets can be read"),
            ));
        }
        let slots = slots as usize;
        Ok(Self {
            readings: mapped::<Reading>(ebpf, "READINGS", slots)?,
            progress,
            run: 0,
            inactive_is_total: false,
            unconfirmed: None,
        })
    }

    /// Whether a dump is still to confirm where statistics are.
    pub(super) fn to_confirm(&self) -> bool {
        self.unconfirmed.is_some()
    }

    /// Whether the dump just made has confirmed it: from now on all can be read.
    pub(super) fn confirm(&mut self, ebpf: &mut Ebpf) -> Result<bool, Unavailable> {
        let Some((seen, layout)) = &self.unconfirmed else {
            return Ok(false);
        };
        let [_, destination_stats] = halves(seen.get(1));
        let [service_stats, _] = halves(seen.get(2));
        if destination_stats == 0 || service_stats == 0 {
            return Ok(false);
        }
        if (destination_stats, service_stats) != (layout.destination_stats, layout.service_stats) {
            return Err(Reason::NoModuleBtf.into());
        }
        map::set(ebpf, "LAYOUT", *layout)?;
        self.unconfirmed = None;
        Ok(true)
    }

    /// Reads all objects in slots below `end`.
    pub(super) fn read(&mut self, ebpf: &mut Ebpf, end: Slot) -> Result<(), Unavailable> {
        let program = program::tracepoint(ebpf, READ)?;
        self.run += 1;
        let mut slot = 0;
        while slot < end {
            program::run(program, [u64::from(slot), u64::from(end), self.run])?;
            let next = u32::try_from(self.progress.get(0)).unwrap_or(0);
            if next <= slot {
                return Err(Unavailable::with_detail(
                    Reason::ReadingStalled,
                    &format!("it stays at slot {slot}"),
                ));
            }
            slot = next;
        }
        Ok(())
    }

    /// Copies what the last [`LiveReader::read`] read of each object in slots below `end`.
    pub(super) fn copy(&self, objects: &Mapped, end: Slot, into: &mut ReadTable) {
        into.readings.clear();
        into.readings.extend((0..end as usize).map(|slot| {
            let address = objects.get(slot * OBJECT_WORDS);
            if address == 0 {
                return Reading::default();
            }
            let mut reading = Reading::from_words(self.readings.read(slot * READING_WORDS));
            if reading.address != address || reading.run != self.run {
                return Reading {
                    address,
                    ..Reading::default()
                };
            }
            reading.state = self.state(reading.state);
            reading
        }));
    }

    /// A destination's state in netlink's terms.
    pub(super) fn state(&self, read: State) -> State {
        let inactive = if self.inactive_is_total {
            read.inactive.saturating_sub(read.active)
        } else {
            read.inactive
        };
        State { inactive, ..read }
    }
}
