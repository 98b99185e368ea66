//! Facts about the running kernel: names that the probes rely on, and the small files that say what
//! this process may do and what IPVS has counted.

use std::{fs, io};

/// Functions that the probes attach to, with the program for each. All are plain symbols in 5.10,
/// 6.1, 6.12 and 7.2 and have kept the arguments that the programs read
/// (net/netfilter/ipvs/ip_vs_conn.c, ip_vs_ctl.c, ip_vs_est.c).
///
/// The order matters: connections are counted only once everything that names them is in place.
pub const PROBES: [(&str, &str); 5] = [
    ("fill_dest", "ip_vs_genl_fill_dest"),
    ("del_dest", "__ip_vs_del_dest"),
    ("update_dest", "__ip_vs_update_dest"),
    ("zero_estimator", "ip_vs_zero_estimator"),
    ("conn_new", "ip_vs_conn_new"),
];

/// Further functions, without which nothing can be read live: what teaches services, and what ends
/// them. Of the second kind the first that this kernel has is taken (`ip_vs_unlink_service` up to 6.x,
/// `__ip_vs_del_service` in 7.x, net/netfilter/ipvs/ip_vs_ctl.c).
pub const LIVE_PROBES: [(&str, &[&str]); 2] = [
    ("fill_service", &["ip_vs_genl_fill_service"]),
    (
        "del_service",
        &["ip_vs_unlink_service", "__ip_vs_del_service"],
    ),
];

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

/// Capability numbers (include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_SYS_ADMIN`.
    SysAdmin = 21,
    /// `CAP_PERFMON`, since 5.8.
    Perfmon = 38,
    /// `CAP_BPF`, since 5.8.
    Bpf = 39,
}

/// Whether this process holds a capability (`CapEff` of /proc/self/status). A file that cannot be
/// read counts as not held.
#[must_use]
pub fn holds(capability: Capability) -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| effective(&status) >> capability as u32 & 1 == 1)
}

fn effective(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// `kernel.perf_event_paranoid`, when it can be read. Debian and Ubuntu patch levels above 2 in:
/// they then want `CAP_SYS_ADMIN` for every `perf_event_open`.
#[must_use]
pub fn perf_event_paranoid() -> Option<i32> {
    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid")
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Whether the kernel is locked down for confidentiality, which forbids kprobes and reading kernel
/// memory from BPF (`LOCKDOWN_KPROBES`, `LOCKDOWN_BPF_READ_KERNEL`, security/lockdown).
#[must_use]
pub fn locked_down() -> bool {
    fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|text| text.contains("[confidentiality]"))
}

/// Whether IPVS is there in this thread's network namespace, without asking for it by name: that would load
/// the module (`request_module` in net/netlink/genetlink.c).
#[must_use]
pub fn has_ipvs() -> bool {
    fs::exists("/proc/thread-self/net/ip_vs").unwrap_or(false)
}

/// Reads what IPVS itself has counted in this thread's network namespace since the module was loaded: live,
/// never zeroed, the sum over CPUs (`ip_vs_stats_percpu_show`). `buffer` is reused.
///
/// # Errors
/// When the file cannot be read (IPVS is not there) or has no line for any CPU.
pub fn scheduled_total(buffer: &mut String) -> io::Result<u64> {
    use io::Read as _;
    buffer.clear();
    fs::File::open("/proc/thread-self/net/ip_vs_stats_percpu")?.read_to_string(buffer)?;
    total_connections(buffer).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Lines are `CPU Conns InPkts OutPkts InBytes OutBytes` in hexadecimal; the one that begins with
/// `~` is the estimator's stale total.
fn total_connections(text: &str) -> Option<u64> {
    let mut total = None;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(cpu), Some(connections)) = (words.next(), words.next()) else {
            continue;
        };
        if u32::from_str_radix(cpu, 16).is_ok()
            && words.count() == 4
            && let Ok(connections) = u64::from_str_radix(connections, 16)
        {
            total = Some(total.unwrap_or(0) + connections);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{Symbol, effective, symbol_in, total_connections};

    #[test]
    fn capabilities_come_from_the_effective_set() {
        let status = "CapPrm:\t0000000000000001\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status), 0x1ff_ffff_ffff);
        assert_eq!(effective(""), 0);
    }

    #[test]
    fn only_lines_of_cpus_are_summed() {
        let text = "       Total Incoming Outgoing         Incoming         Outgoing\n\
                    CPU    Conns  Packets  Packets            Bytes            Bytes\n  \
                    0       1F        2        3                4                5\n  \
                    1        1        2        3                4                5\n  \
                    ~        9        2        3                4                5\n\n     \
                    Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n           \
                    0        0        0                0                0\n";
        assert_eq!(total_connections(text), Some(0x20));
        assert_eq!(total_connections(""), None);
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
