//! An eBPF-augmented high-rate sampler for Linux IPVS.
//!
//! A datum's journey: [`source`] takes bytes from the kernel, [`model`] says what they mean for IPVS,
//! [`engine`] knows the order of a tick and joins what is known, [`schema`] names metrics, [`encode`] writes
//! text, [`publish`] makes lines and pages of a tick, [`sink`] puts them out. [`daemon`] knows when ticks
//! are due. ARCHITECTURE.md has the rooms, and which may use which.

pub mod cli;
pub mod commands;
pub mod daemon;
pub mod encode;
pub mod engine;
pub mod model;
pub mod publish;
pub mod schema;
pub mod settings;
pub mod sink;
pub mod source;
pub mod system;
