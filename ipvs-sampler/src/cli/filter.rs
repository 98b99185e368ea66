//! Filters as they are written: conditions joined by commas.

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive, str::FromStr};

use ipnet::IpNet;

use crate::{model::Filter, schema::words};

const CONDITIONS: &str = "conditions are tcp, udp, sctp, address=CIDR, port=NUMBER or FROM-TO, \
                          fwmark=NUMBER or FROM-TO, destination=CIDR, destination-port=NUMBER or FROM-TO";

/// From text such as `tcp,address=10.0.0.0/8,port=80-90`. A protocol or an address may stand alone.
pub(super) fn filter(text: &str) -> Result<Filter, String> {
    let mut filter = Filter::default();
    for condition in text.split(',') {
        let twice = match condition.split_once('=') {
            None => match protocol(condition) {
                Some(protocol) => filter.protocol.replace(protocol).is_some(),
                None => filter.address.replace(network(condition)?).is_some(),
            },
            Some(("protocol", word)) => {
                let protocol = protocol(word).ok_or("a protocol is tcp, udp or sctp")?;
                filter.protocol.replace(protocol).is_some()
            }
            Some(("address", cidr)) => filter.address.replace(network(cidr)?).is_some(),
            Some(("port", ports)) => filter.port.replace(range(ports, u16::MAX)?).is_some(),
            Some(("fwmark", marks)) => filter.fwmark.replace(range(marks, u32::MAX)?).is_some(),
            Some(("destination", cidr)) => filter.destination.replace(network(cidr)?).is_some(),
            Some(("destination-port", ports)) => filter
                .destination_port
                .replace(range(ports, u16::MAX)?)
                .is_some(),
            Some((unknown, _)) => {
                return Err(format!(
                    "unknown filter condition {unknown:?}; {CONDITIONS}"
                ));
            }
        };
        if twice {
            return Err(format!(
                "{condition:?} follows another condition of the same kind, and nothing can match both; \
                 repeat the option to match either"
            ));
        }
    }
    let by_address = filter.protocol.is_some() || filter.address.is_some() || filter.port.is_some();
    if filter.fwmark.is_some() && by_address {
        return Err(
            "a service by fwmark has no protocol, address or port; use separate filters".into(),
        );
    }
    Ok(filter)
}

fn protocol(word: &str) -> Option<u16> {
    [6, 17, 132]
        .into_iter()
        .find(|number| words::protocol(*number) == Some(word))
}

/// A network, or an address, which is a network of one.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| format!("{text:?} is neither an address nor a network; {CONDITIONS}"))
}

fn range<Number: FromStr + PartialOrd + Display>(
    text: &str,
    most: Number,
) -> Result<RangeInclusive<Number>, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text:?} is not a number from 0 to {most}"))
    };
    let (from, to) = (number(from)?, number(to)?);
    if from > to {
        return Err(format!("{text:?} ends before it begins"));
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn conditions_are_joined_by_commas() {
        for (one, same) in [
            ("tcp", "protocol=tcp"),
            ("10.0.0.1", "address=10.0.0.1/32"),
            ("fd00::/8,udp", "udp,address=fd00::/8"),
            ("port=80", "port=80-80"),
        ] {
            assert_eq!(filter(one), filter(same), "{one}");
            assert!(filter(one).is_ok(), "{one}");
        }
        let all = "sctp,10.0.0.0/8,port=1-65535,destination=10.1.0.0/16,destination-port=0";
        assert!(filter(all).is_ok());
    }

    #[test]
    fn what_nothing_could_fit_is_refused() {
        for (wrong, why) in [
            ("", "neither an address"),
            ("tcp,udp", "another condition of the same kind"),
            ("tpc", "neither an address"),
            ("port=http", "not a number from 0 to 65535"),
            ("port=90-80", "ends before"),
            ("port=65536", "not a number from 0 to 65535"),
            ("10.0.0.0/33", "neither an address"),
            ("fwmark=7,tcp", "has no protocol"),
            ("vip=10.0.0.1", "unknown filter condition \"vip\""),
        ] {
            let error = filter(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
