//! Loads what IPVS, the topologies of tests and lab, and packet marks need.

use std::process::{Command, Stdio};

/// Some kernels have some of these built in or lack them: a test that needs one fails by itself,
/// with a better reason than could be given here.
const MODULES: &str = "virtio_pci virtio_blk \
    ip_vs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_sh ip_vs_dh ip_vs_mh ip_vs_fo ip_vs_ovf \
    ip_vs_sed ip_vs_nq ip_vs_lblc nf_conntrack \
    dummy veth bridge \
    ipip sit ip6_tunnel fou ip_gre \
    nf_tables nft_compat nft_chain_nat xt_mark xt_tcpudp";

pub(crate) fn load() {
    // One modprobe for all of them: starting a process is what takes time under emulation.
    let outcome = Command::new("modprobe")
        .args(["-a", "-q"])
        .args(MODULES.split_whitespace())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = outcome {
        println!("guest: cannot start modprobe: {error}");
    }
}
