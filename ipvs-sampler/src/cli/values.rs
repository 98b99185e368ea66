//! What single options take: text in, a value or the reason against it out.

use std::time::Duration;

use super::Host;
use crate::{schema, sink::bytes};

pub(super) fn host(text: &str) -> Result<Host, String> {
    match text {
        "" => Err("must not be empty; off leaves it out".into()),
        "auto" => Ok(Host::Auto),
        "on" => Ok(Host::On),
        "off" => Ok(Host::Off),
        name => Ok(Host::Name(name.into())),
    }
}

pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() || value.is_empty() {
        return Err("neither name nor value may be empty".into());
    }
    if name.ends_with('\\') {
        return Err("line protocol cannot hold a name that ends with a backslash".into());
    }
    if name.starts_with('_') || name == "time" {
        return Err(format!("databases keep {name} for themselves"));
    }
    if let Some(owner) = schema::owner(name) {
        return Err(format!("{name} is {owner} already; take another name"));
    }
    Ok((name.into(), value.into()))
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| "is more than this machine can address".into())
}

/// Shortest period: below it a tick would take longer than it lasts.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest period, so that nanoseconds never overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

pub(super) fn period(text: &str) -> Result<Duration, String> {
    let period = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 10s, 100ms or 1m30s"))?;
    if (SHORTEST..=LONGEST).contains(&period) {
        Ok(period)
    } else {
        Err("must be at least 1ms and at most ten years".into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, host, period, tag};

    #[test]
    fn tags_have_a_name_of_their_own() {
        assert_eq!(tag("rack=a=1"), Ok(("rack".into(), "a=1".into())));
        for wrong in [
            "rack",
            "=1",
            "rack=",
            r"rack\=1",
            "address=1",
            "output=1",
            "time=1",
            "_x=1",
        ] {
            assert!(tag(wrong).is_err(), "{wrong}");
        }
        assert_eq!(host("off"), Ok(Host::Off));
        assert_eq!(host("lb1"), Ok(Host::Name("lb1".into())));
    }

    #[test]
    fn periods_are_bounded() {
        assert!(period("10ms").is_ok());
        for wrong in ["0s", "10", "-1s", "10us", "100y", ""] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }
}
