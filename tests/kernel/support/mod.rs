//! What the tests share: the network, the traffic, the sampler under test, and ipvsadm to compare
//! with.

pub(crate) mod btf;
pub(crate) mod ipvsadm;
pub(crate) mod lines;
pub(crate) mod metrics;
pub(crate) mod network;
pub(crate) mod pace;
pub(crate) mod sampler;
pub(crate) mod traffic;

pub(crate) use pace::{eventually, let_the_estimator_run};

use std::process::Command;

/// Runs a command line and returns what it printed.
#[track_caller]
pub(crate) fn sh(line: &str) -> String {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    let output = Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {line}: {error}"));
    assert!(
        output.status.success(),
        "`{line}` failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The network namespace's totals, live: the sum over CPUs of connections, packets in and out, bytes
/// in and out.
pub(crate) fn totals() -> [u64; 5] {
    ipvs_sampler::source::kernel::totals(&mut String::new()).expect("ip_vs_stats_percpu")
}

/// What IPVS has counted in this network namespace, live: the sum of `Conns` over CPUs.
pub(crate) fn scheduled_by_the_kernel() -> u64 {
    totals()[0]
}
