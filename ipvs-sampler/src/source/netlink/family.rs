//! Finds IPVS among the generic netlink families. Pure.

use neli::consts::genl::{CtrlAttr, CtrlCmd};

use super::Error;
use super::attribute::{Attributes, host_u16};
use super::message::{Progress, Replies, Reply, Request};
use super::uapi::FAMILY_NAME;

/// Looks through one datagram of the list of families; puts the number of IPVS into `found`.
pub(super) fn find(
    datagram: &[u8],
    request: &Request,
    found: &mut Option<u16>,
) -> Result<Progress, Error> {
    for reply in Replies::new(datagram, request) {
        let Reply::Entry {
            command,
            attributes,
        } = reply?
        else {
            return Ok(Progress::Done);
        };
        if CtrlCmd::from(command) == CtrlCmd::Newfamily
            && let Some(number) = number_of_ipvs(attributes)?
        {
            *found = Some(number);
        }
    }
    Ok(Progress::More)
}

fn number_of_ipvs(attributes: Attributes<'_>) -> Result<Option<u16>, Error> {
    let (mut number, mut is_ipvs) = (None, false);
    for attribute in attributes {
        let (kind, value) = attribute?;
        match CtrlAttr::from(kind) {
            CtrlAttr::FamilyId => number = Some(host_u16(value)?),
            CtrlAttr::FamilyName => is_ipvs = value.strip_suffix(b"\0") == Some(FAMILY_NAME),
            _ => {}
        }
    }
    Ok(number.filter(|_| is_ipvs))
}

#[cfg(test)]
mod tests {
    use super::super::{request, synthetic};
    use super::*;

    fn look_for(families: &[(&str, u16)]) -> Option<u16> {
        let request = Request {
            what: "list netlink families",
            family: request::controller(),
            sequence: 1,
            port: 9,
        };
        let mut found = None;
        let mut last = Progress::More;
        for datagram in synthetic::families(families, &request) {
            last = find(&datagram, &request, &mut found).unwrap();
        }
        assert_eq!(last, Progress::Done);
        found
    }

    #[test]
    fn ipvs_is_found_by_its_exact_name() {
        assert_eq!(
            look_for(&[("nlctrl", 16), ("IPVS", 31), ("TASKSTATS", 22)]),
            Some(31)
        );
        assert_eq!(
            look_for(&[("nlctrl", 16), ("IPVS2", 31), ("IPV", 22)]),
            None
        );
        assert_eq!(look_for(&[]), None);
    }
}
