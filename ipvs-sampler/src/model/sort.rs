//! Puts what a dump told into key order. Pure.

use super::{
    service::{Destination, Service},
    snapshot::Snapshot,
};

impl Snapshot {
    /// Sorts services by key, groups destinations in the services' order and sorts each group by
    /// key. Of entries with the same key the last is kept, and [`Snapshot::repeated`] counts the
    /// others; a dropped service takes its destinations along.
    ///
    /// Each service's range must lie within [`Snapshot::destinations`]. Allocates only to grow
    /// beyond the largest snapshot it has seen.
    pub fn sort(&mut self) {
        let Self {
            services,
            destinations,
            repeated,
            scratch,
        } = self;
        if !services.is_sorted_by(|one, next| one.key < next.key) {
            scratch.services.clear();
            *repeated += append_sorted(
                services,
                |service| service.key,
                &mut scratch.service_order,
                &mut scratch.services,
            );
            std::mem::swap(services, &mut scratch.services);
            scratch.services.clear();
        }
        if !is_grouped_and_sorted(services, destinations) {
            for service in services.iter_mut() {
                let first = service.first_destination as usize;
                let group = &destinations[first..first + service.destination_count as usize];
                let place = scratch.destinations.len();
                *repeated += append_sorted(
                    group,
                    |destination| destination.key,
                    &mut scratch.destination_order,
                    &mut scratch.destinations,
                );
                service.first_destination = index(place);
                service.destination_count = index(scratch.destinations.len() - place);
            }
            std::mem::swap(destinations, &mut scratch.destinations);
            scratch.destinations.clear();
        }
    }
}

/// Whether the groups follow each other without gaps and each has rising keys.
fn is_grouped_and_sorted(services: &[Service], destinations: &[Destination]) -> bool {
    let mut place = 0;
    services.iter().all(|service| {
        let first = service.first_destination as usize;
        let end = first + service.destination_count as usize;
        let follows = first == place;
        place = end;
        follows && destinations[first..end].is_sorted_by(|one, next| one.key < next.key)
    }) && place == destinations.len()
}

/// Appends `entries` to `sorted` with rising keys, the last of each key. Returns how many others
/// there were.
fn append_sorted<Entry: Copy, Key: Copy + Ord>(
    entries: &[Entry],
    key: impl Fn(&Entry) -> Key,
    order: &mut Vec<(Key, u32)>,
    sorted: &mut Vec<Entry>,
) -> u64 {
    if entries.is_sorted_by(|one, next| key(one) < key(next)) {
        sorted.extend_from_slice(entries);
        return 0;
    }
    // The place breaks ties, so an unstable sort, which allocates nothing, keeps the order of
    // equal keys. Keys and places are smaller than entries and quicker to move about.
    order.extend((0..).zip(entries).map(|(place, entry)| (key(entry), place)));
    order.sort_unstable();
    let mut repeated = 0;
    for (at, (key, place)) in order.iter().enumerate() {
        if order.get(at + 1).is_some_and(|(next, _)| next == key) {
            repeated += 1;
        } else {
            sorted.push(entries[*place as usize]);
        }
    }
    order.clear();
    repeated
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::arbitrary;
    use super::*;
    use crate::model::DestinationKey;

    /// Services as a dump lists them: in any order, some twice.
    fn listed() -> impl Strategy<Value = Vec<(Service, Vec<Destination>)>> {
        let group = prop::collection::vec(arbitrary::destination(), 0..8);
        prop::collection::vec((arbitrary::service(), group), 0..8)
    }

    fn unsorted(listed: &[(Service, Vec<Destination>)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (service, group) in listed {
            snapshot.services.push(Service {
                first_destination: index(snapshot.destinations.len()),
                destination_count: index(group.len()),
                ..*service
            });
            snapshot.destinations.extend(group);
        }
        snapshot
    }

    proptest! {
        #[test]
        fn sorting_is_what_maps_do(listed in listed()) {
            let mut snapshot = unsorted(&listed);
            snapshot.sort();

            let mut expected = BTreeMap::new();
            let mut kept = 0;
            for (service, group) in &listed {
                let group: BTreeMap<_, _> = group.iter().map(|entry| (entry.key, *entry)).collect();
                expected.insert(service.key, (service.stats, group));
            }
            let found: BTreeMap<_, _> = snapshot
                .iter()
                .map(|(service, group)| {
                    kept += group.len();
                    let group = group.iter().map(|entry| (entry.key, *entry)).collect();
                    (service.key, (service.stats, group))
                })
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(kept, snapshot.destinations.len());
            prop_assert!(is_grouped_and_sorted(&snapshot.services, &snapshot.destinations));
            prop_assert!(snapshot.services.is_sorted_by(|one, next| one.key < next.key));
        }

        #[test]
        fn sorting_again_changes_nothing(listed in listed()) {
            let mut once = unsorted(&listed);
            once.sort();
            let mut twice = once.clone();
            twice.sort();
            prop_assert_eq!(once, twice);
        }
    }

    #[test]
    fn the_last_of_a_repeated_entry_is_kept() {
        let destination = |port, weight| Destination {
            key: DestinationKey {
                port,
                ..DestinationKey::default()
            },
            weight,
            ..Destination::default()
        };
        let group = vec![destination(2, 1), destination(1, 2), destination(2, 3)];
        let mut snapshot = unsorted(&[(Service::default(), group)]);
        snapshot.sort();
        assert_eq!(
            snapshot.destinations,
            [destination(1, 2), destination(2, 3)]
        );
        assert_eq!(snapshot.repeated, 1);
    }
}
