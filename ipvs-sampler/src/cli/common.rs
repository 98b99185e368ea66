//! Options that several subcommands have.

use clap::Args;

use super::filter::filter;
use crate::{model::Filter, schema::Netmask};

/// Which services and destinations.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only what fits: conditions joined by commas, such as tcp,address=10.0.0.0/8,port=80-90 or
    /// fwmark=7; destination=CIDR and destination-port=PORT are about destinations alone. When
    /// repeated, fitting one is enough
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub include: Vec<Filter>,
    /// Not what fits, written as for --include. May be repeated
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub exclude: Vec<Filter>,
}

/// Where to look.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// A network namespace to look into in place of this one: its name (ip netns), a path, or pid:N
    /// for that of a process. May be repeated
    #[arg(long, value_name = "NAMESPACE")]
    pub netns: Vec<String>,
}

/// How tags are written.
#[derive(Clone, Copy, Debug, Args)]
pub struct Tags {
    /// What the netmask tag counts
    #[arg(long, value_enum, default_value_t = Netmask::Popcount)]
    pub netmask: Netmask,
}
