//! The subcommands, one file each: what they open, how they end.

pub mod config;
pub mod doctor;
pub mod manual;
pub mod once;
pub mod run;
