//! Which services and destinations are asked for.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use ipnet::IpNet;

use super::{
    service::{Destination, DestinationKey, INET, Service, ServiceKey, VirtualAddress},
    snapshot::Snapshot,
};

/// Conditions that must all hold; `None` always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// IP protocol number of the service.
    pub protocol: Option<u16>,
    /// Where the service's address is.
    pub address: Option<IpNet>,
    /// The service's port.
    pub port: Option<RangeInclusive<u16>>,
    /// The firewall mark that selects the service's packets.
    pub fwmark: Option<RangeInclusive<u32>>,
    /// Where the destination's address is. With this one or the next, no service fits, only destinations.
    pub destination: Option<IpNet>,
    /// The destination's port.
    pub destination_port: Option<RangeInclusive<u16>>,
}

impl Filter {
    fn is_about_destinations(&self) -> bool {
        self.destination.is_some() || self.destination_port.is_some()
    }

    /// Whether the conditions about services hold.
    fn fits(&self, service: &ServiceKey) -> bool {
        let by_address = self.protocol.is_some() || self.address.is_some() || self.port.is_some();
        match &service.address {
            VirtualAddress::Socket {
                protocol,
                address,
                port,
            } => {
                self.fwmark.is_none()
                    && self.protocol.is_none_or(|wanted| wanted == *protocol)
                    && self.address.is_none_or(|network| {
                        network.contains(&ip_address(service.family, address))
                    })
                    && self.port.as_ref().is_none_or(|ports| ports.contains(port))
            }
            VirtualAddress::Fwmark(mark) => {
                !by_address
                    && self
                        .fwmark
                        .as_ref()
                        .is_none_or(|marks| marks.contains(mark))
            }
        }
    }

    fn fits_service(&self, service: &ServiceKey) -> bool {
        !self.is_about_destinations() && self.fits(service)
    }

    fn fits_destination(&self, service: &ServiceKey, destination: &DestinationKey) -> bool {
        self.fits(service)
            && self.destination.is_none_or(|network| {
                network.contains(&ip_address(destination.family, &destination.address))
            })
            && self
                .destination_port
                .as_ref()
                .is_none_or(|ports| ports.contains(&destination.port))
    }
}

fn ip_address(family: u16, bytes: &[u8; 16]) -> IpAddr {
    if family == INET {
        let [a, b, c, d, ..] = *bytes;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(*bytes).into()
    }
}

/// What is asked for, and which of the last snapshot that is. Reused from dump to dump.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Vec<Filter>,
    exclude: Vec<Filter>,
    /// By index in the snapshot.
    services: Vec<bool>,
    destinations: Vec<bool>,
}

impl Selection {
    /// What fits one of `include`, or everything when that is empty, but nothing that fits one of
    /// `exclude`.
    #[must_use]
    pub fn new(include: Vec<Filter>, exclude: Vec<Filter>) -> Self {
        Self {
            include,
            exclude,
            ..Self::default()
        }
    }

    /// Decides for each service and destination of a snapshot.
    pub fn apply(&mut self, snapshot: &Snapshot) {
        let Self {
            include,
            exclude,
            services,
            destinations,
        } = self;
        let chosen = |fits: &dyn Fn(&Filter) -> bool| {
            (include.is_empty() || include.iter().any(fits)) && !exclude.iter().any(fits)
        };
        services.clear();
        destinations.clear();
        for (service, its_destinations) in snapshot.iter() {
            services.push(chosen(&|filter| filter.fits_service(&service.key)));
            destinations.extend(its_destinations.iter().map(|destination| {
                chosen(&|filter| filter.fits_destination(&service.key, &destination.key))
            }));
        }
    }

    /// Whether the last snapshot's service at `index` is asked for.
    #[must_use]
    pub fn service(&self, index: usize) -> bool {
        self.services.get(index).copied().unwrap_or(true)
    }

    /// As [`Selection::service`], of its destination at `index`.
    #[must_use]
    pub fn destination(&self, index: usize) -> bool {
        self.destinations.get(index).copied().unwrap_or(true)
    }

    /// Those of a service's destinations that are asked for.
    pub fn of<'a>(
        &self,
        service: &Service,
        destinations: &'a [Destination],
    ) -> impl Iterator<Item = &'a Destination> {
        let first = service.first_destination as usize;
        let numbered = destinations.iter().zip(first..);
        numbered
            .filter(|(_, index)| self.destination(*index))
            .map(|(destination, _)| destination)
    }

    /// The last snapshot without what is not asked for. A service stays, too, when one of its
    /// destinations does.
    #[must_use]
    pub fn reduced(&self, snapshot: &Snapshot) -> Snapshot {
        let mut reduced = Snapshot::default();
        for (index, (service, destinations)) in snapshot.iter().enumerate() {
            let first = reduced.destinations.len();
            reduced.destinations.extend(self.of(service, destinations));
            let count = reduced.destinations.len() - first;
            if count > 0 || self.service(index) {
                reduced.services.push(Service {
                    first_destination: u32::try_from(first).unwrap_or(u32::MAX),
                    destination_count: u32::try_from(count).unwrap_or(u32::MAX),
                    ..*service
                });
            }
        }
        reduced
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Selection};
    use crate::model::{
        Destination, DestinationKey, INET, INET6, Service, ServiceKey, Snapshot, VirtualAddress,
    };

    fn v4(a: u8, d: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        (bytes[0], bytes[3]) = (a, d);
        bytes
    }

    /// TCP 10.0.0.1:80 with 10.0.0.7:8080 and 11.0.0.7:8080, UDP [fd..]:53 and fwmark 7, each with one.
    fn snapshot() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let mut service = |address, family, destinations: &[(u16, [u8; 16], u16)]| {
            snapshot.services.push(Service {
                key: ServiceKey { address, family },
                first_destination: u32::try_from(snapshot.destinations.len()).unwrap(),
                destination_count: u32::try_from(destinations.len()).unwrap(),
                ..Service::default()
            });
            let destinations = destinations
                .iter()
                .map(|&(family, address, port)| Destination {
                    key: DestinationKey {
                        family,
                        address,
                        port,
                    },
                    ..Destination::default()
                });
            snapshot.destinations.extend(destinations);
        };
        let socket = |protocol, address, port| VirtualAddress::Socket {
            protocol,
            address,
            port,
        };
        let mut v6 = [0; 16];
        v6[0] = 0xfd;
        service(
            socket(6, v4(10, 1), 80),
            INET,
            &[(INET, v4(10, 7), 8080), (INET, v4(11, 7), 8080)],
        );
        service(socket(17, v6, 53), INET6, &[(INET6, v6, 53)]);
        service(VirtualAddress::Fwmark(7), INET, &[(INET, v4(10, 7), 0)]);
        snapshot
    }

    /// Which services and destinations are chosen, as their indices.
    fn chosen(include: &[Filter], exclude: &[Filter]) -> (Vec<usize>, Vec<usize>) {
        let mut selection = Selection::new(include.to_vec(), exclude.to_vec());
        selection.apply(&snapshot());
        (
            (0..3).filter(|&index| selection.service(index)).collect(),
            (0..4)
                .filter(|&index| selection.destination(index))
                .collect(),
        )
    }

    #[test]
    fn without_filters_everything_is_asked_for() {
        assert_eq!(chosen(&[], &[]), (vec![0, 1, 2], vec![0, 1, 2, 3]));
    }

    #[test]
    fn a_services_conditions_choose_its_destinations_too() {
        let tcp = Filter {
            protocol: Some(6),
            address: Some("10.0.0.0/8".parse().unwrap()),
            port: Some(80..=90),
            ..Filter::default()
        };
        let mark = Filter {
            fwmark: Some(1..=7),
            ..Filter::default()
        };
        let all_v4 = Filter {
            address: Some("0.0.0.0/0".parse().unwrap()),
            ..Filter::default()
        };
        assert_eq!(
            chosen(std::slice::from_ref(&tcp), &[]),
            (vec![0], vec![0, 1])
        );
        assert_eq!(
            chosen(&[], std::slice::from_ref(&tcp)),
            (vec![1, 2], vec![2, 3])
        );
        assert_eq!(chosen(&[tcp, mark], &[]), (vec![0, 2], vec![0, 1, 3]));
        // A service by mark has no address.
        assert_eq!(chosen(&[all_v4], &[]), (vec![0], vec![0, 1]));
    }

    #[test]
    fn conditions_about_destinations_choose_no_service() {
        let ten = Filter {
            destination: Some("10.0.0.0/8".parse().unwrap()),
            ..Filter::default()
        };
        let port = Filter {
            destination_port: Some(0..=0),
            ..ten.clone()
        };
        assert_eq!(
            chosen(std::slice::from_ref(&ten), &[]),
            (vec![], vec![0, 3])
        );
        assert_eq!(
            chosen(&[], std::slice::from_ref(&ten)),
            (vec![0, 1, 2], vec![1, 2])
        );
        assert_eq!(chosen(&[ten], &[port]), (vec![], vec![0]));
    }
}
