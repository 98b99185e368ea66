//! Options that several subcommands have.

use clap::Args;

use super::filter::filter;
use crate::{model::Filter, schema::Netmask};

/// Which services and destinations.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Include matching services and destinations; may be repeated
    ///
    /// A FILTER is a list of conditions, separated by commas, that must all hold: tcp, udp or sctp; address=CIDR,
    /// port=N or FROM-TO, fwmark=N or FROM-TO for services and all their destinations; destination=CIDR and
    /// destination-port=N or FROM-TO for destinations alone. When the option is repeated, one matching filter is
    /// enough.
    ///
    /// Example: --include tcp,address=10.0.0.0/8,port=80-90
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub include: Vec<Filter>,
    /// Exclude matching services and destinations; may be repeated
    ///
    /// A FILTER is written as for --include. Exclusion takes precedence over inclusion.
    ///
    /// Example: --exclude udp --exclude fwmark=1-100
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub exclude: Vec<Filter>,
}

/// Where to look.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// Network namespace to look into; may be repeated
    ///
    /// NAMESPACE is a name that ip netns knows, a path, or pid:N for the namespace of a process. Without this
    /// option it is the namespace that the sampler was started in. Needs CAP_SYS_ADMIN, and CAP_SYS_PTRACE for
    /// another user's process.
    ///
    /// Example: --netns blue
    #[arg(long, value_name = "NAMESPACE")]
    pub netns: Vec<String>,
}

/// How tags are written.
#[derive(Clone, Copy, Debug, Args)]
pub struct Tags {
    /// How to write the netmask tag
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Netmask::Popcount)]
    pub netmask: Netmask,
}
