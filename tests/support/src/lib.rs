//! What tests share. In a guest: the network, the traffic, the director's configuration, the sampler under test, and
//! readers of what it and ipvsadm say. On the host: rows of every kind, and a reader of their lines.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

pub mod director;
pub mod ipvsadm;
mod kernel;
pub mod lines;
pub mod metrics;
pub mod network;
pub mod pace;
pub mod rows;
pub mod sampler;
mod shell;
pub mod traffic;

pub use kernel::{scheduled_by_the_kernel, totals};
pub use pace::{eventually, let_the_estimator_run};
pub use shell::sh;
