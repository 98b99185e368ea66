//! Tests against real servers: what is written is what they have, each value and each type.
//!
//! `cargo xtask test` fetches Debian's InfluxDB, VictoriaMetrics and Prometheus and runs these on the host.
//! Everything is on loopback, in folders that go away with the test.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod influxdb;
mod prometheus;
mod server;
mod victoria;
