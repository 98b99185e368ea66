//! Takes what the benchmarks replay: a dump of 10,000 destinations as this kernel writes it.

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use ipvs_sampler::{
    model::Snapshot,
    source::netlink::{Netlink, capture, replay},
};

use support::{director, sh, traffic};

#[test]
fn a_dump_of_ten_thousand_destinations_replays_as_it_was() {
    const SERVICES: usize = 100;
    const EACH: usize = 100;
    director::ready();
    let mut rules = String::new();
    for service in 0..SERVICES {
        let port = 1000 + service;
        rules.push_str(&format!("-A -t 10.0.0.1:{port} -s wrr\n"));
        for n in 0..EACH {
            rules.push_str(&format!(
                "-a -t 10.0.0.1:{port} -r 10.4.{service}.{n}:80 -m -w 5\n"
            ));
        }
    }
    rules.push_str("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n");
    director::restore(&rules);
    traffic::connect("10.0.0.1:80", 5);

    let recorded = Arc::new(Mutex::new(Vec::new()));
    let mut netlink = Netlink::open(Duration::from_secs(60)).expect("a socket");
    let mut dumped = Snapshot::default();
    netlink.dump(&mut dumped, &mut ()).expect("a dump");
    let to = Arc::clone(&recorded);
    netlink.record(Some(Box::new(move |datagram| {
        capture::append(&mut to.lock().expect("recording"), datagram);
    })));
    netlink.dump(&mut dumped, &mut ()).expect("a dump");
    netlink.record(None);
    let recorded = recorded.lock().expect("recording");

    let mut replayed = Snapshot::default();
    replay(&recorded, &mut replayed).expect("a replay");
    assert_eq!(replayed.services, dumped.services);
    assert_eq!(replayed.destinations, dumped.destinations);
    assert_eq!(dumped.destinations.len(), SERVICES * EACH + 1);
    sh("ipvsadm -C");

    if let Some(folder) = std::env::var_os("IPVS_SAMPLER_ARTIFACTS") {
        let file = File::create(PathBuf::from(folder).join("dump-10000.bin.gz")).expect("a file");
        let mut file = GzEncoder::new(file, Compression::best());
        file.write_all(&recorded).expect("writing");
        file.finish().expect("writing");
    }
}
