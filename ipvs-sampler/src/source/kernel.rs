//! Facts about the running kernel: names that the probes rely on, and the small files that say what
//! IPVS has counted.

use std::{fs, io};

use ipvs_sampler_common::{COUNTERS, Layout};

/// Functions that the probes attach to, with the program for each. All are plain symbols in 5.10,
/// 6.1, 6.12 and 7.2 and have kept the arguments that the programs read
/// (net/netfilter/ipvs/ip_vs_conn.c, ip_vs_ctl.c, ip_vs_est.c).
///
/// The order matters: connections are counted only once everything that names them is in place.
pub const PROBES: [(&str, &str); 6] = [
    ("dump_services", "ip_vs_genl_dump_services"),
    ("fill_dest", "ip_vs_genl_fill_dest"),
    ("del_dest", "__ip_vs_del_dest"),
    ("update_dest", "__ip_vs_update_dest"),
    ("zero_estimator", "ip_vs_zero_estimator"),
    ("conn_new", "ip_vs_conn_new"),
];

/// Further functions: what ends services, and then what teaches them. Of the first kind the first that this
/// kernel has is taken (`ip_vs_unlink_service` up to 6.x, `__ip_vs_del_service` in 7.x,
/// net/netfilter/ipvs/ip_vs_ctl.c).
pub const SERVICE_PROBES: [(&str, &[&str]); 2] = [
    (
        "del_service",
        &["ip_vs_unlink_service", "__ip_vs_del_service"],
    ),
    ("fill_service", &["ip_vs_genl_fill_service"]),
];

/// Watched in addition where there is no BTF of IPVS: it is given the address of an object's
/// statistics while that object is written into a dump (net/netfilter/ipvs/ip_vs_ctl.c).
pub const DISCOVERY_PROBE: (&str, &[&str]) = ("copy_stats", &["ip_vs_copy_stats"]);

/// Where IPVS keeps what is read, in kernels that have no BTF of modules because they are older than
/// 5.11 (`CONFIG_DEBUG_INFO_BTF_MODULES`): include/net/ip_vs.h of 5.10. Taken only where nothing
/// speaks against it ([`ESTIMATOR_CPUS`]) and a dump confirms both places of statistics; then
/// `inactconns` is still in its place, too. Each dump is held against what is read with it.
pub const LAYOUT_WITHOUT_BTF: Layout = Layout {
    per_cpu_offset: 0,
    destination_stats: 80,
    service_stats: 112,
    stats_per_cpu: 176,
    stats_estimated: 0,
    stats_zero: 192,
    active: 360,
    inactive: 364,
    persistent: 368,
    weight: 60,
    flags: 52,
};

/// A sysctl that came with the estimator's own threads in 6.2 (commit 705dd3444081), and with them a
/// larger `struct ip_vs_stats`.
pub const ESTIMATOR_CPUS: &str = "/proc/sys/net/ipv4/vs/est_cpulist";

/// Least `sizeof(struct ip_vs_dest)` of the supported kernels (5.10: 448, later more). Both a
/// destination and its statistics lie in one allocation of at least this size, so an address in
/// `destination .. destination + 448` is inside that destination and nothing else.
pub const LEAST_DESTINATION_SIZE: u64 = 448;

/// BTF of the kernel image.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";

/// BTF of IPVS as a module: none in 5.10, nor where IPVS is part of the image.
pub const MODULE_BTF: &str = "/sys/kernel/btf/ip_vs";

/// What [`address_of`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// The symbol's address.
    At(u64),
    /// `kernel.kptr_restrict`, or missing privileges: the list has zeros for addresses.
    Hidden,
    /// The kernel lists no such symbol: data is listed with `CONFIG_KALLSYMS_ALL` only.
    Absent,
}

/// The address of a symbol of the kernel image, from /proc/kallsyms.
///
/// # Errors
/// When the file cannot be read.
pub fn address_of(symbol: &str) -> io::Result<Symbol> {
    use io::BufRead as _;
    let mut file = io::BufReader::with_capacity(1 << 16, fs::File::open("/proc/kallsyms")?);
    let mut line = String::new();
    while file.read_line(&mut line)? > 0 {
        if let Some(found) = symbol_in(&line, symbol) {
            return Ok(found);
        }
        line.clear();
    }
    Ok(Symbol::Absent)
}

/// Lines are `ADDRESS TYPE NAME`, for modules followed by `[MODULE]`.
fn symbol_in(line: &str, symbol: &str) -> Option<Symbol> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let _kind = words.next()?;
    (words.next()? == symbol && words.next().is_none()).then_some(match address {
        0 => Symbol::Hidden,
        address => Symbol::At(address),
    })
}

/// Whether IPVS is there in this thread's network namespace, without asking for it by name: that would load
/// the module (`request_module` in net/netlink/genetlink.c).
#[must_use]
pub fn has_ipvs() -> bool {
    fs::exists("/proc/thread-self/net/ip_vs").unwrap_or(false)
}

/// The host's name, as uname(2) has it; `None` when it has none.
#[must_use]
pub fn host_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    (!name.is_empty()).then(|| name.into_owned())
}

/// Reads what IPVS itself has counted in this thread's network namespace since the module was
/// loaded: live, never zeroed, the sum over CPUs of each counter, deleted services included
/// (`ip_vs_stats_percpu_show`). `buffer` is reused.
///
/// # Errors
/// When the file cannot be read (IPVS is not there) or has no line for any CPU.
pub fn totals(buffer: &mut String) -> io::Result<[u64; COUNTERS]> {
    use io::Read as _;
    buffer.clear();
    fs::File::open("/proc/thread-self/net/ip_vs_stats_percpu")?.read_to_string(buffer)?;
    sum_cpus(buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Lines are `CPU Conns InPkts OutPkts InBytes OutBytes` in hexadecimal; the one that begins with
/// `~` is the estimator's stale total.
fn sum_cpus(text: &str) -> Option<[u64; COUNTERS]> {
    let mut sums = None;
    for line in text.lines() {
        let mut numbers = [0; 1 + COUNTERS];
        let mut words = line.split_ascii_whitespace();
        let read = numbers.iter_mut().all(|number| {
            let word = words.next().map(|word| u64::from_str_radix(word, 16));
            word.is_some_and(|word| word.map(|value| *number = value).is_ok())
        });
        if read && words.next().is_none() {
            let [_cpu, counters @ ..] = numbers;
            let sums = sums.get_or_insert([0_u64; COUNTERS]);
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum = sum.saturating_add(counter);
            }
        }
    }
    sums
}

/// As [`totals`], but what the estimator made of it, up to 2 s old, as node_exporter reads it
/// (`ip_vs_stats_show`).
///
/// # Errors
/// When the file cannot be read (IPVS is not there) or is none of ours.
pub fn estimated_totals(buffer: &mut String) -> io::Result<[u64; COUNTERS]> {
    use io::Read as _;
    buffer.clear();
    fs::File::open("/proc/thread-self/net/ip_vs_stats")?.read_to_string(buffer)?;
    third_line(buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// After two lines of headings there is one with `Conns InPkts OutPkts InBytes OutBytes` in hexadecimal.
fn third_line(text: &str) -> Option<[u64; COUNTERS]> {
    let mut numbers = [0; COUNTERS];
    let mut words = text.lines().nth(2)?.split_ascii_whitespace();
    for number in &mut numbers {
        *number = u64::from_str_radix(words.next()?, 16).ok()?;
    }
    words.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::{Symbol, sum_cpus, symbol_in, third_line};

    #[test]
    fn only_lines_of_cpus_are_summed() {
        let text = "       Total Incoming Outgoing         Incoming         Outgoing\n\
                    CPU    Conns  Packets  Packets            Bytes            Bytes\n  \
                    0       1F        2        3                4                5\n  \
                    1        1        2        3                4                5\n  \
                    ~        9        2        3                4                5\n\n     \
                    Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n           \
                    0        0        0                0                0\n";
        assert_eq!(sum_cpus(text), Some([0x20, 4, 6, 8, 10]));
        assert_eq!(sum_cpus(""), None);
    }

    #[test]
    fn the_estimators_totals_are_the_third_line() {
        let text = "   Total Incoming Outgoing         Incoming         Outgoing\n   \
                    Conns  Packets  Packets            Bytes            Bytes\n       \
                    1F        2        3                4                5\n\n \
                    Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n       \
                    0        0        0                0                0\n";
        assert_eq!(third_line(text), Some([0x1f, 2, 3, 4, 5]));
        assert_eq!(third_line(""), None);
    }

    #[test]
    fn a_symbol_is_found_by_its_whole_name() {
        let found = |line| symbol_in(line, "__per_cpu_offset");
        assert_eq!(
            found("ffffffff82a0b1c0 D __per_cpu_offset\n"),
            Some(Symbol::At(0xffff_ffff_82a0_b1c0))
        );
        assert_eq!(
            found("0000000000000000 D __per_cpu_offset\n"),
            Some(Symbol::Hidden)
        );
        assert_eq!(found("ffffffff82a0b1c0 D __per_cpu_offsets\n"), None);
        assert_eq!(
            found("ffffffffc0a0b1c0 d __per_cpu_offset [module]\n"),
            None
        );
        assert_eq!(found(""), None);
    }
}
