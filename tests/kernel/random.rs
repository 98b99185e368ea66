//! Anything may happen to a director, in any order: a model does the same and says what is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use support::{
    director::{self, ipvsadm},
    eventually,
    lines::Line,
    pace::{STEP, soon},
    sampler::Sampler,
    scheduled_by_the_kernel, traffic,
};

use crate::{live::becomes_equal, permission::unload};

const STEPS: usize = 220;
/// Everything is compared with ipvsadm after this many steps.
const COMPARE_EVERY: usize = 55;
const SERVICES: [&str; 4] = ["10.0.0.1:81", "10.0.0.1:82", "10.0.0.1:83", "10.0.0.1:84"];
const DESTINATIONS: [&str; 4] = [
    "10.1.0.61:53",
    "10.1.0.62:53",
    "10.1.0.63:53",
    "10.1.0.64:53",
];
/// To play a sequence again, the seed that was printed goes here.
const SEED: Option<u64> = None;

/// Marsaglia's xorshift: enough to be unforeseen.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).expect("small")).expect("small")
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.below(items.len())])
    }
}

/// What is configured, and how many connections each service has had since it was created or zeroed.
#[derive(Default)]
struct Model {
    services: BTreeMap<&'static str, Service>,
}

#[derive(Default)]
struct Service {
    /// By address, its weight.
    destinations: BTreeMap<&'static str, usize>,
    connections: u64,
}

impl Model {
    /// One random change, of the kernel's configuration and of the model. What it was.
    fn change(&mut self, random: &mut Random, sampler: &Sampler) -> String {
        let service = SERVICES[random.below(SERVICES.len())];
        let address = DESTINATIONS[random.below(DESTINATIONS.len())];
        let weight = random.below(4);
        let command = match (random.below(100), self.services.get_mut(service)) {
            (0..=2, _) => {
                unload();
                director::ready();
                self.services.clear();
                return "unload".into();
            }
            (3..=4, _) => {
                self.services.clear();
                "-C".into()
            }
            (5..=12, Some(_)) => {
                self.services.remove(service);
                format!("-D -u {service}")
            }
            (13..=18, Some(known)) => {
                ipvsadm(&format!("-Z -u {service}"));
                known.connections = Self::zeroed(service, known.connections, sampler);
                return format!("zero {service}");
            }
            (_, None) => {
                self.services.insert(service, Service::default());
                format!("-A -u {service} -o -s {}", ["rr", "wrr", "lc"][weight % 3])
            }
            (_, Some(known)) => match known.destinations.get_mut(address) {
                None => {
                    known.destinations.insert(address, weight);
                    format!("-a -u {service} -r {address} -m -w {weight}")
                }
                Some(_) if weight == 0 => {
                    known.destinations.remove(address);
                    format!("-d -u {service} -r {address}")
                }
                Some(former) => {
                    *former = weight;
                    format!("-e -u {service} -r {address} -m -w {weight}")
                }
            },
        };
        ipvsadm(&command);
        command
    }

    /// The kernel's zero is the estimator's last copy (`ip_vs_zero_stats`), so what came after that
    /// copy stays: how much that is, the sampler has to find out, and ipvsadm judges later.
    fn zeroed(service: &str, before: u64, sampler: &Sampler) -> u64 {
        let report = sampler.next_report();
        let lines = sampler.lines();
        let line = last(&lines, service, report.timestamp);
        let connections = line.expect("a line").number("connections");
        assert!(connections <= before, "{connections} after {before}");
        connections
    }

    /// Some connections to one of the services that can have any. All that IPVS schedules meanwhile
    /// is that.
    fn load(&mut self, random: &mut Random) -> String {
        let ready: Vec<_> = self
            .services
            .iter()
            .filter(|(_, known)| known.destinations.values().any(|weight| *weight > 0))
            .map(|(service, _)| *service)
            .collect();
        let Some(service) = random.of(&ready) else {
            return String::new();
        };
        let count = random.below(12);
        let before = scheduled_by_the_kernel();
        traffic::send(service, count);
        let expected = u64::try_from(count).expect("small");
        eventually("every datagram scheduled", || {
            (scheduled_by_the_kernel() - before == expected).then_some(())
        });
        if let Some(known) = self.services.get_mut(service) {
            known.connections += expected;
        }
        format!(", {count} to {service}")
    }

    /// Whether the sampler's last word on each service is the model's.
    fn compare(&self, lines: &[Line]) -> Result<(), String> {
        for (service, known) in &self.services {
            let said = last(lines, service, 0).map(|line| line.number("connections"));
            if said != Some(known.connections) {
                return Err(format!(
                    "{service}: {said:?}, should be {}",
                    known.connections
                ));
            }
        }
        Ok(())
    }

    /// Whether a complete snapshot has exactly what is configured.
    fn compare_complete(&self, lines: &[Line], timestamp: i64) {
        let lines = lines.iter().filter(|line| line.timestamp == timestamp);
        let named: BTreeSet<_> = lines
            .filter(|line| line.measurement != "ipvs_sampler")
            .map(|line| match line.measurement.as_str() {
                "ipvs_virtual_server" => (line.service(), String::new()),
                _ => (line.service(), line.destination()),
            })
            .collect();
        let expected: BTreeSet<_> = self
            .services
            .iter()
            .flat_map(|(service, known)| {
                let name = format!("UDP {service}");
                let destinations = known.destinations.keys();
                let destinations = destinations.map(|address| (*address).to_owned());
                std::iter::once(String::new())
                    .chain(destinations)
                    .map(move |address| (name.clone(), address))
            })
            .collect();
        assert_eq!(named, expected);
    }
}

/// The last line about a service, not older than `since`.
fn last<'a>(lines: &'a [Line], service: &str, since: i64) -> Option<&'a Line> {
    lines.iter().rfind(|line| {
        line.measurement == "ipvs_virtual_server"
            && line.service() == format!("UDP {service}")
            && line.timestamp >= since
    })
}

#[test]
fn whatever_happens_the_sampler_says_what_the_model_says() {
    director::ready();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let seed = SEED.unwrap_or_else(|| u64::try_from(now.as_nanos()).expect("soon enough") | 1);
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut model = Model::default();
    let sampler = Sampler::run("--ebpf require --interval 500ms --resolution 20ms");
    let mut history = Vec::new();
    for step in 1..=STEPS {
        let change = model.change(&mut random, &sampler);
        let load = model.load(&mut random);
        history.push(format!("{step}: {change}{load}"));
        let recent = history.len().saturating_sub(12);
        let fits = soon(STEP, || model.compare(&sampler.lines()));
        if let Err(message) = fits {
            panic!(
                "seed {seed}: {message}; {:#?}; the sampler: {}; {:?}",
                &history[recent..],
                sampler.messages(),
                sampler.report()
            );
        }
        if step % COMPARE_EVERY == 0 {
            becomes_equal(&sampler);
            let report = sampler.next_report();
            model.compare_complete(&sampler.lines(), report.timestamp);
            let unconfirmed = report.texts["reason"].contains("a destination to learn from");
            if unconfirmed && report.number("destinations") == 0 {
                // Loaded again, on a kernel whose first dump with a destination has to tell the layout.
                continue;
            }
            assert_eq!(report.texts["mode"], "live", "seed {seed}: {report:?}");
            for field in [
                "difference_events_live",
                "difference_live_netlink",
                "difference_events_netlink",
                "events_missed",
                "events_held",
            ] {
                assert_eq!(report.number(field), 0, "seed {seed}: {field} {report:?}");
            }
        }
    }
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}
