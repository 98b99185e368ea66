//! When a refused request is tried again, when it is not, and how long to wait. Pure.
//!
//! The classes are those of Telegraf's outputs (plugins/outputs/influxdb_v2/http.go).

use std::time::Duration;

/// What an answer of the server means for the lines that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Taken.
    Accepted,
    /// Too many at once: in two halves they may go.
    TooLarge,
    /// Final, and not all of it was taken: the same lines would be refused again. The body says more.
    Refused,
    /// Not now.
    Later,
}

/// The meaning of a status code of HTTP.
pub(super) const fn verdict(status: u16) -> Verdict {
    match status {
        // InfluxDB Cloud Serverless answers 201 when it has stored a part.
        201 => Verdict::Refused,
        200..=299 => Verdict::Accepted,
        413 => Verdict::TooLarge,
        // Credentials, quotas and a database that is missing are mended by people, on the other side.
        401 | 403 | 404 | 408 | 425 | 429 => Verdict::Later,
        // An address that leads elsewhere is a mistake to be mended here.
        300..=499 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// How long to wait before the next try after this many failures (the first is 1): n² / 40 s, at most a
/// minute, or as long as the server asks in `Retry-After`. `jitter` of 0 to 255 takes away up to a
/// quarter, so that many senders do not come back in one moment.
pub(super) fn pause(tries: u32, retry_after: Option<&str>, jitter: u8) -> Duration {
    let grown = Duration::from_millis(25).saturating_mul(tries.saturating_mul(tries));
    let own = grown.min(LONGEST);
    let own = own - own / 4 * u32::from(jitter) / 255;
    let asked = retry_after.map_or(Duration::ZERO, |text| match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds).min(LONGEST_ASKED),
        // A date, most likely; the server's clock need not be ours.
        Err(_) => Duration::from_secs(10),
    });
    own.max(asked)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Verdict, pause, verdict};

    #[test]
    fn every_class_of_status() {
        for (status, expected) in [
            (200, Verdict::Accepted),
            (201, Verdict::Refused),
            (204, Verdict::Accepted),
            (301, Verdict::Refused),
            (400, Verdict::Refused),
            (401, Verdict::Later),
            (403, Verdict::Later),
            (404, Verdict::Later),
            (408, Verdict::Later),
            (413, Verdict::TooLarge),
            (422, Verdict::Refused),
            (429, Verdict::Later),
            (500, Verdict::Later),
            (503, Verdict::Later),
        ] {
            assert_eq!(verdict(status), expected, "{status}");
        }
    }

    #[test]
    fn pauses_grow_and_the_servers_wish_counts() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(1, None, 0), Duration::from_millis(25));
        assert_eq!(pause(20, None, 0), seconds(10));
        assert_eq!(pause(1_000_000, None, 0), seconds(60));
        assert_eq!(pause(1_000_000, None, 255), seconds(45));
        assert_eq!(pause(1, Some("7"), 255), seconds(7));
        assert_eq!(pause(1, Some("99999"), 0), seconds(600));
        assert_eq!(
            pause(1, Some("Sun, 22 Nov 2026 08:00:00 GMT"), 0),
            seconds(10)
        );
    }
}
