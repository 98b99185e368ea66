//! From the embedded object to attached programs.

use std::fs;

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Array, HashMap, MapData, RingBuf, Stack},
    programs::{ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
    util::nr_cpus,
};
use aya_log::EbpfLogger;
use ipvs_sampler_common::{Cell, Constants, Object, Slot, Tally, Target, Whoami};

use super::{
    arrivals::ArrivalLog,
    btf,
    learner::Lesson,
    live::{self, LiveReader},
    map::{mapped, missing, set, take},
    maps::Maps,
    pool::Pool,
    program,
    records::Records,
    refusal::{self, broken},
    running::Probe,
};
use crate::{
    source::{
        cgroup,
        feed::{ProbeOrder, Reason, Unavailable},
        kernel::{self, PROBES, SERVICE_PROBES},
    },
    system::heap,
};

/// Made by build.rs; empty in a build without the eBPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ipvs-sampler-ebpf.o"));

/// The program that says who we are; all others are [`PROBES`].
const WHOAMI_PROGRAM: &str = "whoami";

pub(super) fn start(options: &ProbeOrder) -> Result<Probe, Unavailable> {
    embedded()?;
    if !kernel::has_ipvs() {
        return Err(if fs::exists("/proc/thread-self").unwrap_or(false) {
            Reason::NoIpvs.into()
        } else {
            Reason::NoProc.into()
        });
    }
    if !fs::exists("/sys/kernel").unwrap_or(false) {
        return Err(Reason::NoSysfs.into());
    }
    let image = fs::read(kernel::BTF)
        .map_err(|error| Unavailable::with_detail(Reason::NoKernelBtf, &error.to_string()))?;
    let cpus = nr_cpus().map_err(|(file, error)| {
        Unavailable::with_detail(Reason::NoSysfs, &format!("{file}: {error}"))
    })?;
    let room = options.room.fit(options, cpus as u64, cgroup::headroom())?;
    let slots = room.wanted;
    let constants = constants(&image, cpus)?;
    let known = live::layout(&image);
    drop(image);
    let mut ebpf = load_object(options, slots, &constants, &[])?;
    let log = match options.log {
        Some(_) => Some(EbpfLogger::init(&mut ebpf).map_err(|error| broken(&error))?),
        None => None,
    };
    let whoami = whoami(&mut ebpf)?;
    if whoami.netns_ipvs == 0 {
        return Err(Reason::NoIpvs.into());
    }
    let target = Target {
        netns_ipvs: whoami.netns_ipvs,
        resolution_ns: options.resolution_ns,
        process: 0,
        slots,
        arrivals: options.arrivals,
        reserved: 0,
    };
    set(&mut ebpf, "TARGET", target)?;
    for (name, _) in PROBES {
        program::kprobe(&mut ebpf, name)?
            .load()
            .map_err(|error| refusal::load(&error))?;
    }
    let pool = Pool {
        free: free_slots(&mut ebpf, slots)?,
        taken: take(&mut ebpf, "SLOT_OF", HashMap::try_from)?,
    };
    let fills = take(&mut ebpf, "FILLS", RingBuf::try_from)?;
    let mut probe = Probe {
        records: Records::new(take(&mut ebpf, "RECORDS", RingBuf::try_from)?),
        lesson: Lesson::new(fills, whoami.process),
        pool,
        maps: maps(&ebpf, cpus, slots)?,
        arrivals: ArrivalLog::new(&ebpf, cpus, options.arrivals)?,
        live: Err(Reason::NeedsEvents.into()),
        log,
        ebpf,
    };
    for (name, function) in PROBES {
        program::kprobe(&mut probe.ebpf, name)?
            .attach(function, 0)
            .map_err(|error| refusal::attach(function, &error))?;
    }
    probe.live = attach_to_services(&mut probe.ebpf)
        .and(known)
        .and_then(|known| LiveReader::start(&mut probe.ebpf, known, cpus, slots));
    Ok(probe)
}

/// Services are not needed to count; without them, which life of a service counts is a guess, and nothing can
/// be read live.
fn attach_to_services(ebpf: &mut Ebpf) -> Result<(), Unavailable> {
    for (name, functions) in SERVICE_PROBES {
        program::load_and_attach(ebpf, name, functions)?;
    }
    Ok(())
}

fn maps(ebpf: &Ebpf, cpus: usize, slots: u32) -> Result<Maps, Unavailable> {
    let entries = slots as usize;
    Ok(Maps {
        cpus,
        slots,
        target: mapped::<Target>(ebpf, "TARGET", 1)?,
        cells: mapped::<Cell>(ebpf, "CELLS", cpus * entries)?,
        tallies: mapped::<Tally>(ebpf, "TALLIES", cpus)?,
        muted: mapped::<u64>(ebpf, "MUTED", entries)?,
        objects: mapped::<Object>(ebpf, "OBJECTS", entries)?,
        dump_seen: mapped::<u64>(ebpf, "DUMP_SEEN", 1)?,
    })
}

/// Whether there is an object at all.
pub(super) fn embedded() -> Result<(), Unavailable> {
    if OBJECT.is_empty() {
        return Err(Reason::NotBuilt.into());
    }
    Ok(())
}

/// Where a task keeps the address of its network namespace's IPVS, and how many CPUs there may be.
fn constants(image: &[u8], cpus: usize) -> Result<Constants, Unavailable> {
    let wanted = [
        ("task_struct", "nsproxy"),
        ("nsproxy", "net_ns"),
        ("net", "ipvs"),
    ];
    let [task_nsproxy, nsproxy_net, net_ipvs] = btf::offsets(image, None, wanted)
        .map_err(|error| Unavailable::with_detail(Reason::UnusableKernelBtf, &error.to_string()))?;
    Ok(Constants {
        task_nsproxy,
        nsproxy_net,
        net_ipvs,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
    })
}

/// Loads the maps. `further` is how many entries others are to have.
pub(super) fn load_object(
    options: &ProbeOrder,
    slots: u32,
    constants: &Constants,
    further: &[(&'static str, u32)],
) -> Result<Ebpf, Unavailable> {
    let cpus = constants.cpus;
    let per_cpu = |entries: u32| {
        cpus.checked_mul(entries)
            .ok_or_else(|| Unavailable::from(Reason::TooManyCells))
    };
    let cells = per_cpu(slots)?;
    let arrivals = per_cpu(options.arrivals.max(1))?;
    let level = options.log.map_or(0_u8, |level| level as u8);
    let mut loader = EbpfLoader::new();
    for (map, entries) in further {
        loader.map_max_entries(map, *entries);
    }
    let ebpf = loader
        .override_global("CONSTANTS", constants, true)
        .map_max_entries("OBJECTS", slots)
        .map_max_entries("MUTED", slots)
        .map_max_entries("READINGS", slots)
        .map_max_entries("CPU_OFFSETS", cpus)
        .override_global(aya_log::LEVEL, &level, true)
        .map_max_entries("SLOT_OF", slots)
        .map_max_entries("FREE_SLOTS", slots)
        .map_max_entries("CELLS", cells)
        .map_max_entries("ARRIVALS", arrivals)
        .map_max_entries("TALLIES", cpus)
        .map_max_entries("RECORDS", options.ring_bytes)
        .load(OBJECT)
        .map_err(|error| refusal::load(&error));
    // It has taken apart the BTF of the whole kernel image: some 16 MB, of which nothing is needed.
    drop(loader);
    heap::give_back();
    ebpf
}

fn whoami(ebpf: &mut Ebpf) -> Result<Whoami, Unavailable> {
    let program: &mut RawTracePoint = ebpf
        .program_mut(WHOAMI_PROGRAM)
        .ok_or_else(|| missing(WHOAMI_PROGRAM))?
        .try_into()
        .map_err(|error: ProgramError| broken(&error))?;
    program.load().map_err(|error| refusal::load(&error))?;
    program
        .test_run(RawTracePointRunOptions::new())
        .map_err(|error| refusal::load(&error))?;
    let answer: Array<_, Whoami> =
        Array::try_from(ebpf.map("WHOAMI").ok_or_else(|| missing("WHOAMI"))?)
            .map_err(|error| broken(&error))?;
    answer.get(&0, 0).map_err(|error| broken(&error))
}

fn free_slots(ebpf: &mut Ebpf, slots: u32) -> Result<Stack<MapData, Slot>, Unavailable> {
    let mut free: Stack<_, Slot> = take(ebpf, "FREE_SLOTS", Stack::try_from)?;
    // The last one pushed is taken first: low numbers keep the used cells together.
    for slot in (0..slots).rev() {
        free.push(slot, 0).map_err(|error| broken(&error))?;
    }
    Ok(free)
}
