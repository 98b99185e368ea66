//! CPU time of a tick, against the command that people run to see the same.

use std::{thread, time::Duration};

use support::{sh, traffic};

use crate::{
    configure, measured,
    sampler::{Measured, children},
    virtual_servers,
};

#[test]
fn a_tick_against_ipvsadm() {
    const RUNS: u32 = 50;
    configure(10, 10);
    let servers = virtual_servers(10);
    let _load = traffic::Load::start(&servers.iter().map(String::as_str).collect::<Vec<_>>());

    let before = children();
    for _ in 0..RUNS {
        sh("ipvsadm -Ln --stats");
    }
    let ipvsadm = (children() - before) / f64::from(RUNS);

    let sampler = Measured::start("--resolution 10ms --interval 5s");
    let (first, cpu_before) = sampler.next();
    thread::sleep(Duration::from_secs(20));
    let (last, cpu_after) = sampler.next();
    let ticks = last.number("ticks") - first.number("ticks");
    let missed = last.number("ticks_missed") - first.number("ticks_missed");
    let tick = (cpu_after - cpu_before) / ticks as f64;
    measured(
        &format!(
            "CPU time of a tick at 10 ms over 10 services and 100 destinations under traffic \
             ({ticks} ticks, {missed} missed, dumps included), against one `ipvsadm -Ln --stats`"
        ),
        &format!(
            "{:.2} ms against {:.2} ms: {:.3}",
            tick * 1e3,
            ipvsadm * 1e3,
            tick / ipvsadm
        ),
        "",
    );
}

#[test]
fn the_shortest_resolution() {
    configure(5, 10);
    let servers = virtual_servers(5);
    let sampler = Measured::start("--resolution 1ms --interval 5s");
    let _load = traffic::Load::start(&servers.iter().map(String::as_str).collect::<Vec<_>>());
    let (first, cpu_before) = sampler.next();
    let memory_before = sampler.memory("VmRSS");
    thread::sleep(Duration::from_secs(57));
    let (last, cpu_after) = sampler.next();
    let memory_after = sampler.memory("VmRSS");
    let ticks = last.number("ticks") - first.number("ticks");
    let missed = last.number("ticks_missed") - first.number("ticks_missed");
    let seconds = (last.timestamp - first.timestamp) as f64 / 1e9;
    measured(
        &format!(
            "resolution of 1 ms over 5 services and 50 destinations under traffic for {seconds:.0} s"
        ),
        &format!(
            "{ticks} ticks served, {missed} missed; {:.0} % of a CPU; resident {memory_before:.1} MB \
             before, {memory_after:.1} MB after",
            (cpu_after - cpu_before) / seconds * 100.0
        ),
        "",
    );
}
