//! The live source: every counter of every known object at one instant, read by a program that user
//! space runs and nothing else does. It costs the data path nothing.

use std::fs;

use aya::{
    Ebpf,
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};
use ipvs_sampler_common::{COUNTERS, Layout, Object, Reading, Slot};

use super::{Unavailable, btf, load, mapped::Mapped};
use crate::source::kernel::{self, LIVE_PROBES, Symbol};

const READ: &str = "read_live";
const CPU_OFFSETS: &str = "cpu_offsets";

/// The mapped results. The programs belong to the probe's object.
pub(super) struct Live {
    readings: Mapped,
    objects: Mapped,
    progress: Mapped,
    inactive_is_total: bool,
}

/// Where this kernel's IPVS keeps what is read, by the names of members; and whether what it has in
/// place of inactive connections is all connections, active ones included.
pub(super) fn layout(image: &[u8], cpus: usize) -> Result<(Layout, bool), Unavailable> {
    let module = fs::read(kernel::MODULE_BTF).ok();
    let wanted = [
        ("ip_vs_dest", "stats"),
        ("ip_vs_service", "stats"),
        ("ip_vs_stats", "cpustats"),
        ("ip_vs_stats", "kstats"),
        ("ip_vs_stats", "kstats0"),
        ("ip_vs_dest", "activeconns"),
        ("ip_vs_dest", "persistconns"),
        ("ip_vs_dest", "weight"),
    ];
    let member = |wanted| btf::offsets(image, module.as_deref(), [wanted]).map(|[offset]| offset);
    let no_btf = |error: btf::Error| {
        let reason = match module {
            Some(_) => error.to_string(),
            None => format!("there is no {}", kernel::MODULE_BTF),
        };
        Unavailable::unsupported(reason, "run a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y")
    };
    let [
        destination_stats,
        service_stats,
        stats_per_cpu,
        stats_estimated,
        stats_zero,
        active,
        persistent,
        weight,
    ] = btf::offsets(image, module.as_deref(), wanted).map_err(no_btf)?;
    // `totalconns` took the place of `inactconns` in 7.x, 6.12.107 and 6.1.190.
    let (inactive, inactive_is_total) = match member(("ip_vs_dest", "inactconns")) {
        Ok(inactive) => (inactive, false),
        Err(_) => (member(("ip_vs_dest", "totalconns")).map_err(no_btf)?, true),
    };
    let layout = Layout {
        per_cpu_offset: per_cpu_offset()?,
        destination_stats,
        service_stats,
        stats_per_cpu,
        stats_estimated,
        stats_zero,
        active,
        inactive,
        persistent,
        weight,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
    };
    Ok((layout, inactive_is_total))
}

fn per_cpu_offset() -> Result<u64, Unavailable> {
    const SYMBOL: &str = "__per_cpu_offset";
    match kernel::address_of(SYMBOL) {
        Ok(Symbol::At(address)) => Ok(address),
        Ok(Symbol::Hidden) => Err(Unavailable::not_permitted_because(
            format!("/proc/kallsyms hides the address of {SYMBOL}"),
            "set kernel.kptr_restrict to 0 or 1, and run as root or with CAP_SYSLOG".into(),
        )),
        Ok(Symbol::Absent) => Err(Unavailable::unsupported(
            format!("/proc/kallsyms has no {SYMBOL}"),
            "run a kernel with CONFIG_KALLSYMS_ALL=y, as distributions ship it",
        )),
        Err(error) => Err(Unavailable::unsupported(
            format!("cannot read /proc/kallsyms: {error}"),
            "mount proc on /proc",
        )),
    }
}

impl Live {
    /// Loads the programs and attaches what only they need.
    pub(super) fn start(
        ebpf: &mut Ebpf,
        (layout, inactive_is_total): (Layout, bool),
        slots: u32,
    ) -> Result<Self, Unavailable> {
        for program in [READ, CPU_OFFSETS] {
            tracepoint(ebpf, program)?
                .load()
                .map_err(|error| load::refused_load(&error))?;
        }
        let progress = load::mapped::<u64>(ebpf, "PROGRESS", 1)?;
        run(tracepoint(ebpf, CPU_OFFSETS)?, [0; 2])?;
        let copied = progress.get(0);
        if copied != u64::from(layout.cpus) {
            return Err(Unavailable::unsupported(
                format!(
                    "only {} of {} per-CPU offsets can be read",
                    copied as i32, layout.cpus
                ),
                "please report it with the kernel's version",
            ));
        }
        for (program, functions) in LIVE_PROBES {
            load::kprobe(ebpf, program)?
                .load()
                .map_err(|error| load::refused_load(&error))?;
            load::attach_first(ebpf, program, functions)?;
        }
        let slots = slots as usize;
        Ok(Self {
            readings: load::mapped::<Reading>(ebpf, "READINGS", slots)?,
            progress,
            objects: load::mapped::<Object>(ebpf, "OBJECTS", slots)?,
            inactive_is_total,
        })
    }

    /// Reads all objects in slots below `end`.
    pub(super) fn read(&self, ebpf: &mut Ebpf, end: Slot) -> Result<(), Unavailable> {
        let program = tracepoint(ebpf, READ)?;
        let mut slot = 0;
        while slot < end {
            run(program, [u64::from(slot), u64::from(end)])?;
            let next = u32::try_from(self.progress.get(0)).unwrap_or(0);
            if next <= slot {
                return Err(Unavailable::unsupported(
                    format!("the program that reads live counters stays at slot {slot}"),
                    "please report it with the kernel's version and the number of CPUs",
                ));
            }
            slot = next;
        }
        Ok(())
    }

    /// What the last [`Live::read`] read of a slot; `None` when its object is gone.
    pub(super) fn reading(&self, slot: Slot) -> Option<Reading> {
        const WORDS: usize = size_of::<Reading>() / size_of::<u64>();
        let base = slot as usize * WORDS;
        let word = |at: usize| self.readings.get(base + at);
        let counters = |at: usize| std::array::from_fn::<_, COUNTERS, _>(|index| word(at + index));
        let halves = |at: usize| {
            let word = word(at).to_ne_bytes();
            let half = |bytes: [u8; 4]| u32::from_ne_bytes(bytes);
            let [a, b, c, d, e, f, g, h] = word;
            (half([a, b, c, d]), half([e, f, g, h]))
        };
        let address = word(3 * COUNTERS);
        if address == 0 || self.objects.get(slot as usize * 2) != address {
            return None;
        }
        let (active, inactive) = halves(3 * COUNTERS + 1);
        let (persistent, weight) = halves(3 * COUNTERS + 2);
        let (refused, reserved) = halves(3 * COUNTERS + 3);
        let inactive = if self.inactive_is_total {
            inactive.saturating_sub(active)
        } else {
            inactive
        };
        Some(Reading {
            counted: counters(0),
            estimated: counters(COUNTERS),
            zero: counters(2 * COUNTERS),
            address,
            active,
            inactive,
            persistent,
            weight,
            refused,
            reserved,
        })
    }
}

fn tracepoint<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut RawTracePoint, Unavailable> {
    ebpf.program_mut(name)
        .ok_or_else(|| load::missing(name))?
        .try_into()
        .map_err(|error: ProgramError| load::broken(&error))
}

/// Runs a program; how far it came is in `PROGRESS`.
fn run(program: &RawTracePoint, [first, second]: [u64; 2]) -> Result<(), Unavailable> {
    let mut options = RawTracePointRunOptions::new();
    options.args[0] = first;
    options.args[1] = second;
    program
        .test_run(options)
        .map_err(|error| load::refused_load(&error))?;
    Ok(())
}
