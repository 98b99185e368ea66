//! Tests on a booted kernel: real IPVS, real traffic, and the kernel's own word for what is right.
//!
//! `cargo xtask test` builds this into one static binary and runs it inside each supported kernel,
//! as root, one test after the other: they share the guest's network and its IPVS table.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod advice;
mod blind;
mod btf;
mod capture;
mod change;
mod counting;
mod daemon;
mod faults;
mod filter;
mod ladder;
mod life;
mod limits;
mod live;
mod loss;
mod namespace;
mod output;
mod permission;
mod prometheus;
mod random;
mod service;
mod snapshot;
mod verifier;
mod z_last;
