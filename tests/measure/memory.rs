//! Resident memory.

use std::{thread, time::Duration};

use crate::{configure, measured, sampler::Measured};

#[test]
fn of_a_hundred_destinations() {
    resident(10, 10, "15 MB");
}

#[test]
fn of_ten_thousand_destinations() {
    resident(100, 100, "30 MB");
}

fn resident(services: usize, each: usize, target: &str) {
    configure(services, each);
    let sampler = Measured::start("--interval 10s");
    thread::sleep(Duration::from_secs(35));
    let destinations = services * each;
    measured(
        &format!("resident memory with {destinations} destinations after some intervals"),
        &format!(
            "{:.1} MB, peak {:.1} MB",
            sampler.memory("VmRSS"),
            sampler.memory("VmHWM")
        ),
        target,
    );
}
