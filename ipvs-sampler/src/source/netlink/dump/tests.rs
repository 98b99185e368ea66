//! The walk against a kernel made of bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::super::message::{Header, Request};
use super::super::{Error, Witness, capture, request, synthetic};
use super::{Dialogue, Exchange, replay};
use crate::model::{
    Destination, DestinationKey, INET, Service, ServiceKey, Snapshot, VirtualAddress, arbitrary,
};

const PORT: u32 = 77;

/// Answers requests from a snapshot, and goes wrong on demand.
#[derive(Default)]
struct Kernel {
    table: Snapshot,
    /// Number under which IPVS is registered; `None` while the module is absent.
    family: Option<u16>,
    waiting: VecDeque<Vec<u8>>,
    received: Vec<u8>,
    /// Refuse that many requests to IPVS with this error number.
    refuse: (u32, i32),
    /// Do not hand out any datagram.
    silent: bool,
    requests: u32,
    discarded: usize,
}

impl Kernel {
    fn with(table: Snapshot) -> Self {
        Self {
            table,
            family: Some(30),
            ..Self::default()
        }
    }

    fn answer(&mut self, asked: &[u8]) -> Vec<Vec<u8>> {
        let header = Header::read(asked).unwrap();
        let request = Request {
            what: "",
            family: header.kind,
            sequence: header.sequence,
            port: header.port,
        };
        if header.kind == request::controller() {
            let mut families = vec![("nlctrl", 16), ("TASKSTATS", 22)];
            families.extend(self.family.map(|number| ("IPVS", number)));
            return synthetic::families(&families, &request);
        }
        if self.family != Some(header.kind) {
            return vec![synthetic::refusal(libc::ENOENT, &request)];
        }
        if self.refuse.0 > 0 {
            self.refuse.0 -= 1;
            return vec![synthetic::refusal(self.refuse.1, &request)];
        }
        let mut expected = Vec::new();
        request::services(&mut expected, &request);
        if asked == expected {
            return synthetic::services(&self.table.services, &request);
        }
        for (service, destinations) in self.table.iter() {
            request::destinations(&mut expected, &request, &service.key);
            if asked == expected {
                return synthetic::destinations(destinations, &request);
            }
        }
        synthetic::destinations(&[], &request)
    }
}

impl Exchange for Kernel {
    fn begin(&mut self) {}

    fn port(&self) -> u32 {
        PORT
    }

    fn send(&mut self, request: &[u8]) -> Result<(), Error> {
        self.requests += 1;
        let answer = self.answer(request);
        self.waiting.extend(answer);
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], Error> {
        if self.silent {
            return Err(Error::Deadline);
        }
        self.received = self.waiting.pop_front().ok_or(Error::Deadline)?;
        Ok(&self.received)
    }

    fn discard(&mut self) -> Result<(), Error> {
        self.discarded += self.waiting.len();
        self.waiting.clear();
        Ok(())
    }
}

/// One service with that many destinations.
fn table(destinations: u16) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.services.push(Service {
        key: ServiceKey {
            address: VirtualAddress::Fwmark(1),
            family: INET,
        },
        destination_count: u32::from(destinations),
        ..Service::default()
    });
    snapshot
        .destinations
        .extend((0..destinations).map(|port| Destination {
            key: DestinationKey {
                family: INET,
                port,
                ..DestinationKey::default()
            },
            ..Destination::default()
        }));
    snapshot
}

fn dump(dialogue: &mut Dialogue, kernel: &mut Kernel) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::default();
    dialogue.dump(kernel, &mut snapshot, &mut ())?;
    Ok(snapshot)
}

proptest! {
    #[test]
    fn a_dump_shows_what_the_kernel_has(table in arbitrary::snapshot()) {
        let mut kernel = Kernel::with(table.clone());
        prop_assert_eq!(dump(&mut Dialogue::default(), &mut kernel).unwrap(), table);
    }

    #[test]
    fn a_replayed_dump_equals_the_live_one(table in arbitrary::snapshot()) {
        let recording = Arc::new(Mutex::new(Vec::new()));
        let tape = Arc::clone(&recording);
        let mut dialogue = Dialogue {
            recorder: Some(Box::new(move |datagram| {
                capture::append(&mut tape.lock().unwrap(), datagram);
            })),
            ..Dialogue::default()
        };
        let live = dump(&mut dialogue, &mut Kernel::with(table)).unwrap();
        let mut replayed = Snapshot::default();
        replay(&recording.lock().unwrap(), &mut replayed).unwrap();
        prop_assert_eq!(replayed, live);
    }

    #[test]
    fn a_broken_capture_is_an_error_and_never_a_panic(
        table in arbitrary::snapshot(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = synthetic::capture(&table);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = replay(&bytes, &mut Snapshot::default());
        prop_assert!(replay(&bytes[..at], &mut Snapshot::default()).is_err());
    }
}

#[test]
fn an_absent_module_is_said_and_not_asked_again_for() {
    let mut kernel = Kernel::default();
    let mut dialogue = Dialogue::default();
    assert!(matches!(
        dump(&mut dialogue, &mut kernel),
        Err(Error::NotLoaded)
    ));
    assert_eq!(kernel.requests, 1);
    kernel.family = Some(31);
    assert!(dump(&mut dialogue, &mut kernel).is_ok());
}

#[test]
fn the_family_is_resolved_once() {
    let mut kernel = Kernel::with(table(1));
    let mut dialogue = Dialogue::default();
    dump(&mut dialogue, &mut kernel).unwrap();
    assert_eq!(kernel.requests, 3);
    dump(&mut dialogue, &mut kernel).unwrap();
    assert_eq!(kernel.requests, 5);
}

#[test]
fn a_reloaded_module_is_found_again() {
    let mut kernel = Kernel::with(table(1));
    let mut dialogue = Dialogue::default();
    dump(&mut dialogue, &mut kernel).unwrap();
    kernel.family = Some(31);
    assert_eq!(dump(&mut dialogue, &mut kernel).unwrap(), table(1));
}

#[test]
fn a_module_unloaded_for_good_is_not_loaded() {
    let mut kernel = Kernel::with(table(1));
    let mut dialogue = Dialogue::default();
    dump(&mut dialogue, &mut kernel).unwrap();
    kernel.family = None;
    assert!(matches!(
        dump(&mut dialogue, &mut kernel),
        Err(Error::NotLoaded)
    ));
}

#[test]
fn a_lost_chunk_is_worth_one_more_try() {
    let mut kernel = Kernel::with(table(1));
    kernel.refuse = (1, libc::ENOBUFS);
    assert_eq!(
        dump(&mut Dialogue::default(), &mut kernel).unwrap(),
        table(1)
    );
    kernel.refuse = (2, libc::ENOBUFS);
    let error = dump(&mut Dialogue::default(), &mut kernel).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot list IPVS services: No buffer space available (os error 105)"
    );
}

#[test]
fn a_refusal_names_the_missing_capability() {
    let mut kernel = Kernel::with(table(1));
    kernel.refuse = (1, libc::EPERM);
    let error = dump(&mut Dialogue::default(), &mut kernel).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("CAP_NET_ADMIN in the initial user namespace")
    );
}

#[test]
fn a_failed_dump_leaves_nothing_behind() {
    let mut kernel = Kernel::with(table(200));
    let mut dialogue = Dialogue::default();
    let mut snapshot = table(3);
    kernel.silent = true;
    let outcome = dialogue.dump(&mut kernel, &mut snapshot, &mut ());
    assert!(matches!(outcome, Err(Error::Deadline)));
    assert_eq!(snapshot, Snapshot::default());

    kernel.silent = false;
    assert_eq!(dump(&mut dialogue, &mut kernel).unwrap(), table(200));
    assert!(kernel.discarded > 0);
}

/// A late answer to the request before is skipped by its sequence number.
#[test]
fn a_stale_answer_is_skipped() {
    let mut kernel = Kernel::with(table(2));
    let stale = Request {
        what: "",
        family: 30,
        sequence: 0,
        port: PORT,
    };
    kernel
        .waiting
        .extend(synthetic::services(&table(9).services, &stale));
    assert_eq!(
        dump(&mut Dialogue::default(), &mut kernel).unwrap(),
        table(2)
    );
}

/// Writes down what it is told.
#[derive(Default)]
struct Diary {
    steps: Vec<String>,
    seen: u32,
}

impl Witness for Diary {
    fn began(&mut self) {
        self.steps.push("began".into());
    }

    fn filled(&mut self) {
        self.steps.push("filled".into());
    }

    fn received_services(&mut self, services: &mut [Service]) {
        self.steps.push(format!("services {}", services.len()));
    }

    fn received(&mut self, destinations: &mut [Destination]) {
        self.steps.push(format!("received {}", destinations.len()));
        for destination in destinations {
            destination.slot = Some(self.seen);
            self.seen += 1;
        }
    }
}

#[test]
fn a_witness_sees_each_chunk_one_step_after_it_was_filled() {
    let mut kernel = Kernel::with(table(200));
    let mut snapshot = Snapshot::default();
    let mut diary = Diary::default();
    Dialogue::default()
        .dump(&mut kernel, &mut snapshot, &mut diary)
        .unwrap();
    assert_eq!(
        diary.steps,
        [
            "began",
            "filled",
            "services 1",
            "filled",
            "services 0",
            "filled",
            "filled",
            "received 90",
            "filled",
            "received 90",
            "filled",
            "received 20",
            "filled",
            "received 0",
            "filled",
        ]
    );
    // The kernel lists the newest first, the snapshot sorts by key: the slots came along.
    assert_eq!(snapshot.destinations[199].slot, Some(0));
    assert_eq!(snapshot.destinations[0].slot, Some(199));
}

#[test]
fn an_incomplete_capture_is_an_error() {
    let whole = synthetic::capture(&table(1));
    let mut snapshot = Snapshot::default();
    replay(&whole, &mut snapshot).unwrap();
    assert_eq!(snapshot, table(1));
    let mut part = Vec::new();
    capture::append(
        &mut part,
        capture::Captured::new(&whole).next().unwrap().unwrap(),
    );
    assert!(replay(&part, &mut snapshot).is_err());
    assert!(replay(&[], &mut snapshot).is_err());
}
