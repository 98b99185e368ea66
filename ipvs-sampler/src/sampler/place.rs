//! The network namespace that a sampler looks into: entered, and named in messages.

use super::DUMP_LIMIT;
use crate::{
    failure::Failure,
    source::{namespace::Namespace, netlink::Netlink},
};

pub(super) fn open_netlink(namespace: &Namespace) -> Result<Netlink, Failure> {
    Ok(within(namespace, || Netlink::open(DUMP_LIMIT))??)
}

/// As [`Namespace::within`], with a failure that says which and what to do.
pub(crate) fn within<T>(namespace: &Namespace, work: impl FnOnce() -> T) -> Result<T, Failure> {
    namespace
        .within(work)
        .map_err(|error| cannot_enter(namespace.label().unwrap_or_default(), &error))
}

/// A network namespace that cannot be opened or entered.
pub(crate) fn cannot_enter(label: &str, error: &std::io::Error) -> Failure {
    let what = format!("cannot enter the network namespace {label}: {error}");
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => Failure::NotPermitted(
            format!("{what}; this needs CAP_SYS_ADMIN, and by pid:N CAP_SYS_PTRACE").into(),
        ),
        _ => {
            Failure::Unavailable(format!("{what}; `ip netns` lists those that have a name").into())
        }
    }
}

/// What messages begin with when there may be several network namespaces.
pub(super) fn prefix(namespace: &Namespace) -> String {
    namespace
        .label()
        .map_or_else(String::new, |label| format!("netns {label}: "))
}
