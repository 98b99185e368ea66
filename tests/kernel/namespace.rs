//! Other network namespaces than the sampler's own.

use std::net::{TcpListener, TcpStream};

use support::{
    director, eventually,
    lines::Line,
    network::inside,
    sampler::{self, Sampler},
    sh, traffic,
};

/// A network namespace that is a director by itself: service and real server on its own loopback.
pub(crate) struct Director {
    name: &'static str,
}

impl Director {
    pub(crate) fn new(name: &'static str) -> Self {
        sh(&format!("ip netns add {name}"));
        for line in "ip link set lo up
            ip addr add 10.9.0.1/32 dev lo
            ip addr add 10.9.0.2/32 dev lo
            ipvsadm -A -t 10.9.0.1:80 -s rr
            ipvsadm -a -t 10.9.0.1:80 -r 10.9.0.2:80 -m"
            .lines()
        {
            sh(&format!("ip netns exec {name} {}", line.trim()));
        }
        inside(name, || {
            traffic::accept(TcpListener::bind("10.9.0.2:80").expect("listening"));
        })
        .join()
        .expect("a server");
        Self { name }
    }

    pub(crate) fn connect(&self, count: usize) {
        inside(self.name, move || {
            for _ in 0..count {
                TcpStream::connect("10.9.0.1:80").expect("connecting");
            }
        })
        .join()
        .expect("a client");
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // The server's threads keep it alive, but it shall not keep the module.
        sh(&format!("ip netns exec {} ipvsadm -C", self.name));
        let _ = std::process::Command::new("ip")
            .args(["netns", "del", self.name])
            .status();
    }
}

fn last<'a>(lines: &'a [Line], netns: &str, measurement: &str) -> Option<&'a Line> {
    lines
        .iter()
        .rfind(|line| line.measurement == measurement && line.tag("netns") == netns)
}

fn connections(sampler: &Sampler, netns: &str) -> Option<u64> {
    let lines = sampler.lines();
    Some(last(&lines, netns, "ipvs_real_server")?.number("connections"))
}

fn in_mode(sampler: &Sampler, netns: &str, mode: &str) -> Line {
    eventually(mode, || {
        last(&sampler.lines(), netns, "ipvs_sampler")
            .filter(|line| line.texts["mode"] == mode)
            .cloned()
    })
}

#[test]
fn several_are_watched_at_once_and_ours_is_left_alone() {
    director::serve([1]);
    let (blue, red) = (Director::new("blue"), Director::new("red"));
    let sampler = Sampler::run(
        "--netns blue --netns /run/netns/red --interval 1s --resolution 20ms --ebpf require",
    );
    for netns in ["blue", "/run/netns/red"] {
        in_mode(&sampler, netns, "live");
    }
    blue.connect(7);
    red.connect(4);
    traffic::connect("10.0.0.1:80", 3);
    eventually("seven and four", || {
        (connections(&sampler, "blue") == Some(7)
            && connections(&sampler, "/run/netns/red") == Some(4))
        .then_some(())
    });
    sampler.next_report();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let named = |line: &Line| !line.tag("netns").is_empty() || !line.tag("output").is_empty();
    assert!(ended.lines.iter().all(named));
    assert!(
        ended
            .lines
            .iter()
            .all(|line| line.tag("address") != "10.1.0.1")
    );
    for (netns, own, others) in [("blue", 7, 7), ("/run/netns/red", 4, 10)] {
        let report = last(&ended.lines, netns, "ipvs_sampler").expect("a report");
        assert_eq!(report.number("events_seen"), own, "{report:?}");
        assert_eq!(report.number("events_foreign"), others, "{report:?}");
        assert_eq!(report.number("events_missed"), 0, "{report:?}");
        assert_eq!(report.number("difference_events_live"), 0, "{report:?}");
        assert_eq!(report.number("destinations_uncounted"), 0, "{report:?}");
    }
}

#[test]
fn by_process_and_once_and_doctor() {
    director::ready();
    let _blue = Director::new("blue");
    let holder = std::process::Command::new("ip")
        .args(["netns", "exec", "blue", "sleep", "1000"])
        .spawn();
    let mut holder = holder.expect("a process inside");
    let label = format!("pid:{}", holder.id());
    // Until it has entered, the process is in our namespace.
    eventually("a process inside", || {
        let output = sampler::output(&format!("once --netns {label}"));
        let text = String::from_utf8(output.stdout).expect("text");
        text.contains("10.9.0.2").then_some(text)
    });
    let doctor = sampler::output(&format!("doctor --netns {label}"));
    let said = String::from_utf8(doctor.stdout).expect("text");
    assert_eq!(
        said,
        format!("netns    {label}\nnetlink  available\nevents   available\nlive     available\n")
    );
    let json = sampler::output("once --netns blue --format json");
    let json = String::from_utf8(json.stdout).expect("text");
    assert!(json.starts_with("{\"netns\":\"blue\","), "{json}");
    holder.kill().expect("killing");
    holder.wait().expect("waiting");
    for (label, code) in [("no-such", 69), ("pid:0", 69), ("/proc/self/ns/uts", 69)] {
        let output = sampler::output(&format!("once --netns {label}"));
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains(label), "{message}");
    }
}

#[test]
fn one_that_goes_is_said_to_be_gone_and_its_successor_is_followed() {
    director::ready();
    let blue = Director::new("blue");
    let sampler = Sampler::run("--netns blue --interval 500ms --resolution 20ms");
    in_mode(&sampler, "blue", "live");
    blue.connect(5);
    eventually("five", || {
        (connections(&sampler, "blue") == Some(5)).then_some(())
    });
    drop(blue);
    let gone = in_mode(&sampler, "blue", "waiting");
    assert!(gone.texts["reason"].contains("gone"), "{gone:?}");
    assert_eq!(gone.number("services"), 0);
    let blue = Director::new("blue");
    in_mode(&sampler, "blue", "live");
    blue.connect(2);
    eventually("two", || {
        (connections(&sampler, "blue") == Some(2)).then_some(())
    });
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}

#[test]
fn the_mount_of_a_name_is_not_held() {
    director::ready();
    let green = Director::new("green");
    let sampler = Sampler::run("--netns green --interval 500ms --resolution 50ms");
    in_mode(&sampler, "green", "live");
    green.connect(3);
    // Its server lives on in there, and shall not keep the module.
    sh("ip netns exec green ipvsadm -C");
    sh("umount /run/netns/green");
    in_mode(&sampler, "green", "waiting");
    // For the director's end.
    sh("ip netns del green");
    sh("ip netns add green");
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}

/// The number of a process is another's as soon as it has ended.
#[test]
fn a_process_is_not_taken_for_another_with_its_number() {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    director::serve([1]);
    let violet = Director::new("violet");
    let spawn = |line: &str| {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a program");
        let mut command = std::process::Command::new(program);
        command.args(words).spawn().expect("a process")
    };
    let mut inside = spawn("ip netns exec violet sleep 1000");
    let label = format!("pid:{}", inside.id());
    // Until then it is still on its way there.
    eventually("a process in the namespace", || {
        let path = format!("/proc/{}/ns/net", inside.id());
        let own = std::fs::read_link("/proc/self/ns/net").expect("ours");
        (std::fs::read_link(path).ok()? != own).then_some(())
    });
    let sampler = Sampler::run(&format!(
        "--netns {label} --interval 300ms --resolution 50ms"
    ));
    in_mode(&sampler, &label, "live");
    violet.connect(2);
    inside.kill().expect("killing");
    inside.wait().expect("waiting");
    let mut other = None;
    for _ in 0..100 {
        std::fs::write(LAST, (inside.id() - 1).to_string()).expect("a kernel with ns_last_pid");
        let mut child = spawn("sleep 1000");
        if child.id() == inside.id() {
            other = Some(child);
            break;
        }
        child.kill().expect("killing");
        child.wait().expect("waiting");
    }
    let mut other = other.expect("a process with the same number");
    in_mode(&sampler, &label, "waiting");
    traffic::connect("10.0.0.1:80", 5);
    sampler.next_report();
    sampler.next_report();
    let ended = sampler.stop();
    other.kill().expect("killing");
    other.wait().expect("waiting");
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert!(
        ended
            .lines
            .iter()
            .all(|line| line.tag("address") != "10.1.0.1"),
        "the host's services under the tag of a process that has ended"
    );
}
