//! Several outputs at once, each with everything.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    thread,
};

use support::{
    director, eventually,
    lines::Line,
    sampler::{self, Sampler},
    traffic,
};

/// What comes in on a connection, to its end.
fn collect(mut stream: impl std::io::Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

/// Answers each request with 204; the bodies of all requests.
fn serve(listener: &TcpListener) -> String {
    let mut text = String::new();
    let (stream, _) = listener.accept().expect("a client");
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if reader.read_line(&mut line).expect("a head") == 0 {
                return text;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        text.push_str(&String::from_utf8(body).expect("text"));
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .expect("answering");
    }
}

#[test]
fn each_output_gets_every_line() {
    const FILE: &str = "/tmp/output-file";
    const SOCKET: &str = "/tmp/output-socket";
    director::serve([1]);
    let bind = || TcpListener::bind("127.0.0.1:0").expect("listening");
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    let (tcp, http) = (bind(), bind());
    let unix = UnixListener::bind(SOCKET).expect("listening");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let udp_at = udp.local_addr().expect("an address");
    let sampler = Sampler::run(&format!(
        "--interval 500ms --resolution 50ms --output stdout --output file:{FILE} \
         --output unix:{SOCKET} --output tcp://127.0.0.1:{} --output udp://{} \
         --output influx+http://127.0.0.1:{}/?db=lb&gzip=off --output tcp://127.0.0.1:9",
        port(&tcp),
        udp_at,
        port(&http),
    ));
    let unix = thread::spawn(move || collect(unix.accept().expect("a client").0));
    let tcp = thread::spawn(move || collect(tcp.accept().expect("a client").0));
    let http = thread::spawn(move || serve(&http));
    let datagrams = thread::spawn(move || {
        let mut text = String::new();
        let mut buffer = [0; 2048];
        // An empty one is the test's own, after the sampler's last.
        while let Ok(length @ 1..) = udp.recv(&mut buffer) {
            text.push_str(std::str::from_utf8(&buffer[..length]).expect("text"));
        }
        text
    });
    traffic::connect("10.0.0.1:80", 30);
    sampler.next_report();
    let ended = sampler.stop();
    let last = UdpSocket::bind("127.0.0.1:0").expect("a port");
    last.send_to(&[], udp_at).expect("sending");
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert!(
        ended.messages.contains("tcp://127.0.0.1:9"),
        "{}",
        ended.messages
    );

    let others = [
        ("file", std::fs::read_to_string(FILE).expect("lines")),
        ("unix", unix.join().expect("a reader")),
        ("tcp", tcp.join().expect("a reader")),
        ("influx", http.join().expect("a server")),
        ("udp", datagrams.join().expect("a reader")),
    ];
    std::fs::remove_file(FILE).expect("a file");
    std::fs::remove_file(SOCKET).expect("a socket");
    for (name, text) in others {
        let lines: Vec<_> = text.lines().map(Line::parse).collect();
        assert_eq!(lines.len(), ended.lines.len(), "{name}");
        let same = lines.iter().zip(&ended.lines);
        for (one, other) in same {
            assert_eq!(
                (&one.measurement, &one.tags, &one.numbers, one.timestamp),
                (
                    &other.measurement,
                    &other.tags,
                    &other.numbers,
                    other.timestamp
                ),
                "{name}"
            );
        }
    }
    let of = |output: &str, field: &str| {
        let mut lines = ended.lines.iter();
        let line = lines.rfind(|line| line.tag("output").starts_with(output));
        line.expect("a report").number(field)
    };
    assert!(of("unix:", "lines_written") > 10);
    assert!(of("tcp://127.0.0.1:9", "retries") > 0, "nobody is there");
    assert!(of("tcp://127.0.0.1:9", "bytes_waiting") > 0);
}

#[test]
fn telegraf_asks_and_its_end_is_the_samplers() {
    director::serve([]);
    let mut command = sampler::command(
        "run --interval 10h --telegraf-execd=stdin --tag rack=7 --host on --live off",
    );
    command.stdin(std::process::Stdio::piped());
    let mut sampler = Sampler::spawn(command);
    let reports = |sampler: &Sampler| {
        let lines = sampler.lines();
        lines
            .iter()
            .filter(|line| line.measurement == "ipvs_sampler")
            .count()
    };
    eventually("the first snapshot", || {
        (reports(&sampler) == 1).then_some(())
    });
    sampler.say("\n");
    eventually("the one asked for", || {
        (reports(&sampler) == 2).then_some(())
    });
    sampler.hang_up();
    let ended = sampler.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for line in &ended.lines {
        assert_eq!(
            (line.tag("rack"), line.tag("host")),
            ("7", name.trim()),
            "{line:?}"
        );
    }
    for message in ended.messages.lines() {
        assert!(message.starts_with("I! "), "{message}");
    }
}
