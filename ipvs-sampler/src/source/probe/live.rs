//! The live source: every counter of every known object at one instant, read by a program that user
//! space runs and nothing else does. It costs the data path nothing.

use std::fs;

use aya::{
    Ebpf,
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use ipvs_sampler_common::{COUNTERS, Discovery, Layout, Object, Reading, Slot, State};

use super::{Reason, Unavailable, btf, load, mapped::Mapped, refusal};
use crate::source::{
    conditions::Conditions,
    kernel::{self, DISCOVERY_PROBE, LIVE_PROBES, Symbol},
};

const READ: &str = "read_live";
const CPU_OFFSETS: &str = "cpu_offsets";
const READING_WORDS: usize = size_of::<Reading>() / size_of::<u64>();
/// Word of [`Reading::address`].
const ADDRESS: usize = 3 * COUNTERS;
/// Word of [`Reading::run`].
const RUN: usize = ADDRESS + 4;

/// The mapped results. The programs belong to the probe's object.
pub(super) struct Live {
    readings: Mapped,
    objects: Mapped,
    progress: Mapped,
    /// The number of the last run: readings of others are not of now.
    run: u64,
    inactive_is_total: bool,
    /// Where a dump shows where statistics are, and the layout that it is to confirm.
    unconfirmed: Option<(Mapped, Layout)>,
}

/// What is known of IPVS's structures before a dump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    layout: Layout,
    /// Whether [`Layout::inactive`] points at all connections, active ones included.
    inactive_is_total: bool,
    /// A dump has to confirm where statistics are.
    to_confirm: bool,
}

/// Where this kernel's IPVS keeps what is read: by the names of members where there is BTF of it.
pub(super) fn layout(image: &[u8]) -> Result<Known, Unavailable> {
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
        (Err(_), None) if !fs::exists(kernel::ESTIMATOR_CPUS).unwrap_or(true) => Known {
            layout: kernel::LAYOUT_WITHOUT_BTF,
            inactive_is_total: false,
            to_confirm: true,
        },
        (Err(_), None) => return Err(Reason::NoModuleBtf.into()),
    };
    known.layout.per_cpu_offset = per_cpu_offset;
    Ok(known)
}

fn by_name(image: &[u8], module: Option<&[u8]>) -> Result<Known, btf::Error> {
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
    Ok(Known {
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
        Err(_) if Conditions::now().proc_shows_processes_only() => Reason::ProcSubset,
        Err(error) => {
            return Err(Unavailable::with_detail(
                Reason::NoSymbols,
                &error.to_string(),
            ));
        }
    };
    Err(reason.into())
}

impl Live {
    /// Loads the programs and attaches what only they need.
    pub(super) fn start(
        ebpf: &mut Ebpf,
        known: Known,
        cpus: usize,
        slots: u32,
    ) -> Result<Self, Unavailable> {
        let mut live = Self::load(ebpf, known.layout, cpus, slots)?;
        live.inactive_is_total = known.inactive_is_total;
        let mut probes = LIVE_PROBES.to_vec();
        if known.to_confirm {
            // Until then nothing else is to be read with it.
            load::set(ebpf, "LAYOUT", Layout::default())?;
            let seen = load::mapped::<Discovery>(ebpf, "DISCOVERY", 1)?;
            live.unconfirmed = Some((seen, known.layout));
            probes.push(DISCOVERY_PROBE);
        }
        for (program, functions) in probes {
            load::kprobe(ebpf, program)?
                .load()
                .map_err(|error| refusal::load(&error))?;
            load::attach_first(ebpf, program, functions)?;
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
            tracepoint(ebpf, program)?
                .load()
                .map_err(|error| refusal::load(&error))?;
        }
        let progress = load::mapped::<u64>(ebpf, "PROGRESS", 1)?;
        load::set(ebpf, "LAYOUT", layout)?;
        run(tracepoint(ebpf, CPU_OFFSETS)?, [0; 3])?;
        let copied = progress.get(0);
        if copied != cpus as u64 {
            return Err(Unavailable::with_detail(
                Reason::KernelError,
                &format!("only {copied} of {cpus} per-CPU offsets can be read"),
            ));
        }
        let slots = slots as usize;
        Ok(Self {
            readings: load::mapped::<Reading>(ebpf, "READINGS", slots)?,
            progress,
            run: 0,
            objects: load::mapped::<Object>(ebpf, "OBJECTS", slots)?,
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
        load::set(ebpf, "LAYOUT", *layout)?;
        self.unconfirmed = None;
        Ok(true)
    }

    /// Reads all objects in slots below `end`.
    pub(super) fn read(&mut self, ebpf: &mut Ebpf, end: Slot) -> Result<(), Unavailable> {
        let program = tracepoint(ebpf, READ)?;
        self.run += 1;
        let mut slot = 0;
        while slot < end {
            run(program, [u64::from(slot), u64::from(end), self.run])?;
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

    /// Whether a slot has an object that the last [`Live::read`] did not read.
    pub(super) fn left_out(&self, slot: Slot) -> bool {
        let word = |at: usize| self.readings.get(slot as usize * READING_WORDS + at);
        let address = self.objects.get(slot as usize * 2);
        address != 0 && (word(ADDRESS) != address || word(RUN) != self.run)
    }

    /// What the last [`Live::read`] read of a slot; `None` when its object is gone.
    pub(super) fn reading(&self, slot: Slot) -> Option<Reading> {
        let base = slot as usize * READING_WORDS;
        let word = |at: usize| self.readings.get(base + at);
        let counters = |at: usize| std::array::from_fn::<_, COUNTERS, _>(|index| word(at + index));
        let (address, run) = (word(ADDRESS), word(RUN));
        if address == 0 || run != self.run || self.objects.get(slot as usize * 2) != address {
            return None;
        }
        let [active, inactive] = halves(word(ADDRESS + 1));
        let [persistent, weight] = halves(word(ADDRESS + 2));
        let [flags, refused] = halves(word(ADDRESS + 3));
        let state = State {
            active,
            inactive,
            persistent,
            weight,
            flags,
        };
        Some(Reading {
            counted: counters(0),
            estimated: counters(COUNTERS),
            zero: counters(2 * COUNTERS),
            address,
            state: self.state(state),
            refused,
            run,
        })
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

/// The two halves of a word of memory, the first one first.
fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
    ]
}

pub(super) fn tracepoint<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut RawTracePoint, Unavailable> {
    ebpf.program_mut(name)
        .ok_or_else(|| load::missing(name))?
        .try_into()
        .map_err(|error: ProgramError| refusal::broken(&error))
}

/// Runs a program; how far it came is in `PROGRESS`.
pub(super) fn run(program: &RawTracePoint, arguments: [u64; 3]) -> Result<(), Unavailable> {
    let mut options = RawTracePointRunOptions::new();
    options.args[..arguments.len()].copy_from_slice(&arguments);
    program
        .test_run(options)
        .map_err(|error| refusal::load(&error))?;
    Ok(())
}
