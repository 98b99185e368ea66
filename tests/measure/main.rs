//! What the sampler costs in a director: figures, not tests. Each prints one line that `cargo xtask
//! bench` makes into a row of a table, and fails only where there is nothing to measure.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what cannot be measured fails by panicking, helpers included"
)]

mod cost;
mod memory;
mod rate;
mod sampler;

use support::director;

/// Prints a row. The line begins afresh: libtest has begun one with the name.
fn measured(what: &str, figure: &str, target: &str) {
    println!("\nmeasured: {what} | {figure} | {target}");
}

/// As many as [`support::network`] has.
const REAL_SERVERS: usize = 190;

/// This many services on ports from 1000 on, with this many destinations each, at most 190.
fn configure(services: usize, each: usize) {
    director::ready();
    let mut rules = String::new();
    for service in 1000..1000 + services {
        rules.push_str(&format!("-A -t 10.0.0.1:{service} -s rr\n"));
        for number in 0..each {
            // Few share one: the same port of the client, towards two services, would otherwise often
            // meet at one server, and a SYN that is refused there is sent again after a second.
            let host = ((service - 1000) * each + number) % REAL_SERVERS + 1;
            rules.push_str(&format!(
                "-a -t 10.0.0.1:{service} -r 10.1.0.{host}:80 -m\n"
            ));
        }
    }
    director::restore(&rules);
}

/// Addresses of services that [`configure`] made.
fn virtual_servers(count: usize) -> Vec<String> {
    (1000..1000 + count)
        .map(|port| format!("10.0.0.1:{port}"))
        .collect()
}
