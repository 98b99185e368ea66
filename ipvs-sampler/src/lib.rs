//! An eBPF-augmented high-rate sampler for Linux IPVS.
//!
//! A datum's journey, which is also the order of the modules: [`source`] takes bytes from the
//! kernel, [`model`] says what they mean for IPVS, [`schema`] names metrics, [`encode`] writes
//! text, [`sink`] puts it out. [`sampler`] knows the order of a tick and [`run`] when ticks are due.

mod choices;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod encode;
pub mod engine;
pub mod failure;
pub mod heap;
pub mod manual;
pub mod messages;
pub mod model;
pub mod namespaces;
pub mod privileges;
pub mod publish;
pub mod requests;
pub mod run;
pub mod schema;
pub mod sink;
pub mod source;
pub mod stdout;
pub mod supervisor;
