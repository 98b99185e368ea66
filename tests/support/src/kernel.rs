//! What the kernel has counted.

/// The network namespace's totals, live: the sum over CPUs of connections, packets in and out, bytes
/// in and out.
pub fn totals() -> [u64; 5] {
    ipvs_sampler::source::kernel::totals(&mut String::new()).expect("ip_vs_stats_percpu")
}

/// What IPVS has counted in this network namespace, live: the sum of `Conns` over CPUs.
pub fn scheduled_by_the_kernel() -> u64 {
    totals()[0]
}
