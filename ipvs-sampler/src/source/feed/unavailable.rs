//! A source that is not available, and what is known of why.

use std::fmt;

use super::{
    reason::{Cause, Reason},
    scrub::scrub,
};
use crate::{model::Mismatch, system::failure::Failure};

/// The probe, or the live counters, cannot be had here and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// What is published.
    pub reason: Reason,
    /// What else is known: one short line without addresses.
    pub detail: Option<String>,
    /// What the kernel's verifier said, many lines without addresses.
    pub log: Option<String>,
}

/// Longest detail, in bytes.
const MOST_DETAIL: usize = 200;

impl Unavailable {
    /// With more than the reason's text.
    #[must_use]
    pub fn with_detail(reason: Reason, detail: &str) -> Self {
        let mut detail = scrub(detail.lines().next().unwrap_or_default());
        if detail.len() > MOST_DETAIL {
            detail.truncate(detail.floor_char_boundary(MOST_DETAIL));
            detail.push_str("...");
        }
        Self {
            reason,
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            log: None,
        }
    }

    /// Live readings do not fit what netlink says of the same objects.
    #[must_use]
    pub fn mismatch(mismatch: &Mismatch) -> Self {
        let reason = match mismatch {
            Mismatch::Unread => Reason::ReadingStalled,
            _ => Reason::CheckFailed,
        };
        Self::with_detail(reason, &mismatch.to_string())
    }
}

impl From<Reason> for Unavailable {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            detail: None,
            log: None,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason.text())?;
        match &self.detail {
            Some(detail) => write!(formatter, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unavailable {}

/// A probe that was required.
#[derive(Debug, thiserror::Error)]
#[error("the eBPF probe cannot run: {0}")]
struct CannotRun(#[source] Unavailable);

impl From<Unavailable> for Failure {
    fn from(unavailable: Unavailable) -> Self {
        let cause = unavailable.reason.cause();
        let error = CannotRun(unavailable).into();
        match cause {
            Cause::NotPermitted => Self::NotPermitted(error),
            Cause::NoIpvs | Cause::Unsupported => Self::Unavailable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reason, Unavailable};

    #[test]
    fn a_detail_is_one_short_line_without_addresses() {
        let long = format!("at 0xffff888003a51200, {}\nsecond line", "ä".repeat(300));
        let detail = Unavailable::with_detail(Reason::KernelError, &long)
            .detail
            .unwrap();
        assert!(detail.starts_with("at ADDRESS, ää"), "{detail}");
        assert!(detail.ends_with("..."), "{detail}");
        assert!(detail.len() <= 210, "{}", detail.len());
        assert_eq!(
            Unavailable::with_detail(Reason::KernelError, "").detail,
            None
        );
    }

    #[test]
    fn it_says_the_reason_and_what_else_is_known() {
        let plain = Unavailable::from(Reason::NoIpvs);
        assert_eq!(plain.to_string(), Reason::NoIpvs.text());
        let more = Unavailable::with_detail(Reason::NoFunction, "ip_vs_conn_new");
        assert!(more.to_string().ends_with("(ip_vs_conn_new)"), "{more}");
    }
}
