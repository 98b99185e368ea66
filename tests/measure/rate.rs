//! Connections through the director, with the sampler and without.

use std::{
    thread,
    time::{Duration, Instant},
};

use support::traffic;

use crate::{configure, measured, sampler::Measured, virtual_servers};

const PAIRS: usize = 11;
/// To each of them, as the client has a limited number of ports.
const SERVICES: usize = 8;
const CONNECTIONS: usize = 250;

#[test]
fn of_connections_without_and_without() {
    let what = "nothing (what the method itself scatters)";
    compare(what, "", |sampler| drop(sampler.take()));
}

#[test]
fn of_connections_with_the_sampler_and_without() {
    compare("`ipvs-sampler run` as it is by default", "", |_| ());
}

#[test]
fn of_connections_with_the_probe_and_without() {
    let arguments = "--interval 1h --resolution 1h";
    compare("the probe attached and no tick", arguments, |_| ());
}

/// Rates with what `prepare` leaves running, against rates with nothing running.
fn compare(what: &str, arguments: &str, prepare: fn(&mut Option<Measured>)) {
    configure(SERVICES, 10);
    per_second();
    let with = || rate(arguments, prepare);
    let without = || rate(arguments, |sampler| drop(sampler.take()));
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        // Each comes first in turn: what drifts falls on both.
        let (with, without) = if pair % 2 == 0 {
            let without = without();
            (with(), without)
        } else {
            (with(), without())
        };
        ratios.push(with / without);
        rates.push(without);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    rates.sort_unstable_by(f64::total_cmp);
    let connections = SERVICES * CONNECTIONS;
    // The range that half of the pairs are in.
    let [low, middle, high] = [PAIRS / 4, PAIRS / 2, PAIRS - 1 - PAIRS / 4];
    measured(
        &format!(
            "TCP connections per second through the director with {what}, against without \
             (median of {PAIRS} pairs of {connections}; about {:.0} per second)",
            rates[middle]
        ),
        &format!(
            "{:.1} % (middle half {:.1} to {:.1}, all {:.1} to {:.1})",
            ratios[middle] * 100.0,
            ratios[low] * 100.0,
            ratios[high] * 100.0,
            ratios[0] * 100.0,
            ratios[PAIRS - 1] * 100.0
        ),
        "98 %",
    );
}

/// Either side begins in the same way, with a sampler started: a pause before one side only would
/// make that side the faster one, as connections of the time before come to their end in it.
fn rate(arguments: &str, prepare: fn(&mut Option<Measured>)) -> f64 {
    let mut sampler = Some(Measured::start(arguments));
    prepare(&mut sampler);
    thread::sleep(Duration::from_secs(1));
    let rate = per_second();
    drop(sampler);
    rate
}

fn per_second() -> f64 {
    let servers = virtual_servers(SERVICES);
    let began = Instant::now();
    for server in &servers {
        traffic::connect(server, CONNECTIONS);
    }
    (SERVICES * CONNECTIONS) as f64 / began.elapsed().as_secs_f64()
}
