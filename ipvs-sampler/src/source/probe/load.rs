//! From the embedded object to attached programs.

use std::{error::Error, fs, io};

use aya::{
    Ebpf, EbpfLoader, Pod, include_bytes_aligned,
    maps::{Array, Map, MapData, MapError, RingBuf, Stack},
    programs::{KProbe, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
    util::nr_cpus,
};
use aya_log::EbpfLogger;
use ipvs_sampler_common::{Cell, Constants, Slot, Tally, Target, Whoami};

use super::{
    Options, Probe, Unavailable,
    arrivals::ArrivalLog,
    btf,
    learner::Chunks,
    live::{self, Live},
    mapped::Mapped,
};
use crate::{
    heap,
    model::DumpCheck,
    source::kernel::{self, PROBES},
};

/// Made by build.rs; empty in a build without the eBPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ipvs-sampler-ebpf.o"));

/// The program that says who we are; all others are [`PROBES`].
const WHOAMI_PROGRAM: &str = "whoami";

pub(super) fn start(options: &Options) -> Result<Probe, Unavailable> {
    embedded()?;
    if !kernel::has_ipvs() {
        return Err(Unavailable::no_ipvs());
    }
    let image = fs::read(kernel::BTF).map_err(|error| {
        Unavailable::unsupported(format!("cannot read {}: {error}", kernel::BTF), BTF_FIX)
    })?;
    let cpus = nr_cpus().map_err(|(file, error)| {
        Unavailable::unsupported(
            format!("cannot read {file}: {error}"),
            "mount sysfs on /sys",
        )
    })?;
    let constants = constants(&image, cpus)?;
    let known = live::layout(&image);
    drop(image);
    let mut ebpf = load_object(options, &constants, &[])?;
    let log = match options.log {
        Some(_) => Some(EbpfLogger::init(&mut ebpf).map_err(|error| broken(&error))?),
        None => None,
    };
    let whoami = whoami(&mut ebpf)?;
    if whoami.netns_ipvs == 0 {
        return Err(Unavailable::no_ipvs());
    }
    let target = Target {
        netns_ipvs: whoami.netns_ipvs,
        resolution_ns: options.resolution_ns,
        process: 0,
        slots: options.slots,
        arrivals: options.arrivals,
        reserved: 0,
    };
    set(&mut ebpf, "TARGET", target)?;
    let target = mapped::<Target>(&ebpf, "TARGET", 1)?;
    for (program, _) in PROBES {
        kprobe(&mut ebpf, program)?
            .load()
            .map_err(|error| refused_load(&error))?;
    }
    let free_slots = free_slots(&mut ebpf, options.slots)?;
    let slots = options.slots as usize;
    let mut probe = Probe {
        records: take(&mut ebpf, "RECORDS", RingBuf::try_from)?,
        fills: take(&mut ebpf, "FILLS", RingBuf::try_from)?,
        free_slots,
        target,
        process: whoami.process,
        cells: mapped::<Cell>(&ebpf, "CELLS", cpus * slots)?,
        tallies: mapped::<Tally>(&ebpf, "TALLIES", cpus)?,
        muted: mapped::<u64>(&ebpf, "MUTED", slots)?,
        arrivals: ArrivalLog::new(&ebpf, cpus, options.arrivals)?,
        cpus,
        slots: options.slots,
        objects: vec![0; slots],
        learner: Chunks::default(),
        check: DumpCheck::default(),
        received: 0,
        live: Err(Unavailable::unsupported("not started", "start it")),
        log,
        ebpf,
    };
    for (program, function) in PROBES {
        kprobe(&mut probe.ebpf, program)?
            .attach(function, 0)
            .map_err(|error| refused_attach(function, &error))?;
    }
    probe.live = known.and_then(|known| Live::start(&mut probe.ebpf, known, cpus, options.slots));
    Ok(probe)
}

/// Whether there is an object at all.
pub(super) fn embedded() -> Result<(), Unavailable> {
    if OBJECT.is_empty() {
        return Err(Unavailable::unsupported(
            "this binary was built without the eBPF object",
            "build it with `cargo xtask build`",
        ));
    }
    Ok(())
}

/// How to get the kernel's own BTF.
pub(super) const BTF_FIX: &str =
    "run a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions ship it";

/// Where a task keeps the address of its network namespace's IPVS, and how many CPUs there may be.
fn constants(image: &[u8], cpus: usize) -> Result<Constants, Unavailable> {
    let wanted = [
        ("task_struct", "nsproxy"),
        ("nsproxy", "net_ns"),
        ("net", "ipvs"),
    ];
    let [task_nsproxy, nsproxy_net, net_ipvs] = btf::offsets(image, None, wanted)
        .map_err(|error| Unavailable::unsupported(error.to_string(), BTF_FIX))?;
    Ok(Constants {
        task_nsproxy,
        nsproxy_net,
        net_ipvs,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
    })
}

/// Loads the maps. `room` is how many entries further ones are to have.
pub(super) fn load_object(
    options: &Options,
    constants: &Constants,
    room: &[(&'static str, u32)],
) -> Result<Ebpf, Unavailable> {
    let cpus = constants.cpus;
    let per_cpu = |entries: u32| {
        cpus.checked_mul(entries).ok_or_else(|| {
            Unavailable::unsupported(
                format!(
                    "{} destinations on {cpus} CPUs are too many to count",
                    options.slots
                ),
                "use --ebpf off",
            )
        })
    };
    let cells = per_cpu(options.slots)?;
    let arrivals = per_cpu(options.arrivals.max(1))?;
    let level = options.log.map_or(0_u8, |level| level as u8);
    let mut loader = EbpfLoader::new();
    for (map, entries) in room {
        loader.map_max_entries(map, *entries);
    }
    let ebpf = loader
        .override_global("CONSTANTS", constants, true)
        .map_max_entries("OBJECTS", options.slots)
        .map_max_entries("MUTED", options.slots)
        .map_max_entries("READINGS", options.slots)
        .map_max_entries("CPU_OFFSETS", cpus)
        .override_global(aya_log::LEVEL, &level, true)
        .map_max_entries("SLOT_OF", options.slots)
        .map_max_entries("FREE_SLOTS", options.slots)
        .map_max_entries("CELLS", cells)
        .map_max_entries("ARRIVALS", arrivals)
        .map_max_entries("TALLIES", cpus)
        .map_max_entries("RECORDS", options.ring_bytes)
        .load(OBJECT)
        .map_err(|error| refused_load(&error));
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
    program.load().map_err(|error| refused_load(&error))?;
    program
        .test_run(RawTracePointRunOptions::new())
        .map_err(|error| refused_load(&error))?;
    let answer: Array<_, Whoami> =
        Array::try_from(ebpf.map("WHOAMI").ok_or_else(|| missing("WHOAMI"))?)
            .map_err(|error| broken(&error))?;
    answer.get(&0, 0).map_err(|error| broken(&error))
}

/// Writes the one entry of a map.
pub(super) fn set<T: Pod>(
    ebpf: &mut Ebpf,
    name: &'static str,
    value: T,
) -> Result<(), Unavailable> {
    let map = ebpf.map_mut(name).ok_or_else(|| missing(name))?;
    Array::<_, T>::try_from(map)
        .and_then(|mut array| array.set(0, value, 0))
        .map_err(|error| broken(&error))
}

fn free_slots(ebpf: &mut Ebpf, slots: u32) -> Result<Stack<MapData, Slot>, Unavailable> {
    let mut free: Stack<_, Slot> = take(ebpf, "FREE_SLOTS", Stack::try_from)?;
    // The last one pushed is taken first: low numbers keep the used cells together.
    for slot in (0..slots).rev() {
        free.push(slot, 0).map_err(|error| broken(&error))?;
    }
    Ok(free)
}

fn take<T>(
    ebpf: &mut Ebpf,
    name: &'static str,
    convert: impl FnOnce(Map) -> Result<T, MapError>,
) -> Result<T, Unavailable> {
    convert(ebpf.take_map(name).ok_or_else(|| missing(name))?).map_err(|error| broken(&error))
}

pub(super) fn mapped<T>(
    ebpf: &Ebpf,
    name: &'static str,
    entries: usize,
) -> Result<Mapped, Unavailable> {
    let Some(Map::Array(data)) = ebpf.map(name) else {
        return Err(missing(name));
    };
    Mapped::new(data.fd(), entries * size_of::<T>() / size_of::<u64>())
        .map_err(|error| broken(&error))
}

pub(super) fn kprobe<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut KProbe, Unavailable> {
    ebpf.program_mut(name)
        .ok_or_else(|| missing(name))?
        .try_into()
        .map_err(|error: ProgramError| broken(&error))
}

/// Attaches a program to the first of `functions` that this kernel has.
pub(super) fn attach_first(
    ebpf: &mut Ebpf,
    program: &'static str,
    functions: &[&str],
) -> Result<(), Unavailable> {
    let mut refusal = missing(program);
    for function in functions {
        match kprobe(ebpf, program)?.attach(*function, 0) {
            Ok(_) => return Ok(()),
            Err(error) => refusal = refused_attach(function, &error),
        }
    }
    Err(refusal)
}

/// The kernel did not take the programs or maps. `EPERM` is about privileges; `EACCES` from
/// loading is the verifier's no (kernel/bpf/verifier.c).
pub(super) fn refused_load(error: &(dyn Error + 'static)) -> Unavailable {
    match errno(error) {
        Some(libc::EPERM) => Unavailable::not_permitted("cannot load the eBPF programs"),
        _ => broken(error),
    }
}

/// The kernel did not attach. `perf_event_open` answers `EACCES` or `EPERM` for want of privileges
/// and `ENOENT` or `EADDRNOTAVAIL` for want of the function.
fn refused_attach(function: &str, error: &(dyn Error + 'static)) -> Unavailable {
    match errno(error) {
        Some(libc::EPERM | libc::EACCES) => {
            Unavailable::not_permitted(&format!("cannot attach to {function}"))
        }
        Some(libc::ENOENT | libc::EADDRNOTAVAIL) if !kernel::has_ipvs() => Unavailable::no_ipvs(),
        Some(libc::ENOENT | libc::EADDRNOTAVAIL) => Unavailable::unsupported(
            format!("this kernel has no function {function} to attach to"),
            "please report the kernel's version",
        ),
        _ => broken(error),
    }
}

fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    chain(error).find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

pub(super) fn broken(error: &(dyn Error + 'static)) -> Unavailable {
    let mut reason = error.to_string();
    for cause in chain(error).skip(1) {
        let cause = cause.to_string();
        if !reason.contains(&cause) {
            reason = format!("{reason}: {cause}");
        }
    }
    Unavailable::unsupported(reason, "please report it with the kernel's version")
}

pub(super) fn missing(name: &str) -> Unavailable {
    Unavailable::unsupported(
        format!("the embedded eBPF object lacks {name}"),
        "build the binary afresh with `cargo xtask build`",
    )
}
