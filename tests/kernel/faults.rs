//! Outputs that fail in every way, beside one that does not: ticks keep their time, memory stays bounded,
//! and every line is somewhere.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixListener,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use support::{
    director, eventually,
    lines::Line,
    pace::{Stalls, pause, steps_of},
    sampler::{self, Ended, Sampler},
    sh, traffic,
};

fn configure() {
    director::serve(1..=20);
}

fn listen(address: &str) -> TcpListener {
    TcpListener::bind(address).expect("listening")
}

/// A request, read to its end; `None` when there is none.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(String::from_utf8(body).expect("text"))
}

/// What a server does with one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Takes it.
    Take,
    /// Takes all but one line, and says so as InfluxDB 1 does.
    TakeAllButOne,
    /// Answers with this, and further heads.
    Say(u16, &'static str),
    /// Ends the connection after a few bytes of the body.
    HangUp,
}

/// Plays `acts`, then takes everything; the lines taken, and those refused.
fn serve(listener: TcpListener, acts: Vec<Act>) -> Arc<Mutex<(String, String)>> {
    let lines = Arc::new(Mutex::new((String::new(), String::new())));
    let shared = Arc::clone(&lines);
    thread::spawn(move || {
        let mut acts = acts.into_iter();
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.expect("a client"));
            loop {
                let act = acts.next().unwrap_or(Act::Take);
                if let Act::HangUp = act {
                    let mut some = [0; 300];
                    let _ = reader.read(&mut some);
                    break;
                }
                let Some(body) = request(&mut reader) else {
                    break;
                };
                let mut lines = shared.lock().expect("lines");
                let answer = match act {
                    Act::Say(status, heads) => {
                        format!("HTTP/1.1 {status} No\r\n{heads}Content-Length: 0\r\n\r\n")
                    }
                    Act::TakeAllButOne => {
                        let (one, others) = body.split_once('\n').expect("a line");
                        lines.0.push_str(others);
                        lines.1.push_str(one);
                        lines.1.push('\n');
                        let text = r#"{"error":"partial write: field type conflict dropped=1"}"#;
                        format!(
                            "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{text}",
                            text.len()
                        )
                    }
                    _ => {
                        lines.0.push_str(&body);
                        "HTTP/1.1 204 No Content\r\n\r\n".into()
                    }
                };
                if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    lines
}

/// Reads one byte each second.
fn read_slowly(listener: TcpListener) {
    thread::spawn(move || {
        let mut open = Vec::new();
        listener.set_nonblocking(true).expect("a listener");
        loop {
            if let Ok((stream, _)) = listener.accept() {
                open.push(stream);
            }
            for stream in &mut open {
                let _ = stream.read(&mut [0]);
            }
            thread::sleep(Duration::from_secs(1));
        }
    });
}

/// Of the last report about an output.
fn of(lines: &[Line], output: &str, field: &str) -> u64 {
    let mut lines = lines.iter();
    let line = lines.rfind(|line| {
        line.measurement == "ipvs_sampler_output" && line.tag("output").starts_with(output)
    });
    line.unwrap_or_else(|| panic!("no report of {output}"))
        .number(field)
}

/// What tells lines apart.
fn identity(line: &Line) -> String {
    format!("{} {:?} {}", line.measurement, line.tags, line.timestamp)
}

fn identities<'a>(lines: impl IntoIterator<Item = &'a Line>) -> BTreeSet<String> {
    lines.into_iter().map(identity).collect()
}

fn parse(text: &str) -> Vec<Line> {
    text.lines().map(Line::parse).collect()
}

/// A complete snapshot each second, all the time that this machine let it.
fn kept_its_time(ended: &Ended, stalls: Stalls) {
    let reports = ended
        .lines
        .iter()
        .filter(|line| line.measurement == "ipvs_sampler");
    let seconds: Vec<_> = reports.map(|line| line.timestamp / 1_000_000_000).collect();
    let longest = 2 + i64::try_from(stalls.longest().as_secs()).expect("seconds");
    for pair in seconds.windows(2) {
        assert!(pair[1] - pair[0] <= longest, "a gap in {seconds:?}");
    }
}

#[test]
fn outputs_that_are_away_slow_full_or_stuck_disturb_nobody() {
    const STUCK: &str = "/tmp/stuck-socket";
    const SMALL: &str = "/tmp/small-disk";
    const QUEUE: u64 = 64 * 1024;
    configure();
    sh(&format!("mkdir {SMALL}"));
    sh(&format!("mount -t tmpfs -o size=64k none {SMALL}"));
    let away = listen("127.0.0.1:0").local_addr().expect("an address");
    let slow = listen("127.0.0.1:0");
    let slow_at = slow.local_addr().expect("an address");
    read_slowly(slow);
    let stuck = UnixListener::bind(STUCK).expect("listening");
    let begin = Instant::now();
    let stalls = Stalls::watch();
    let sampler = Sampler::run(&format!(
        "--interval 500ms --resolution 50ms --fields extended --output-queue 64KiB --output stdout \
         --output influx+http://{away}/?db=away&gzip=off --output influx+http://{slow_at}/?db=slow \
         --output unix:{STUCK} --output file:{SMALL}/lines"
    ));
    let stuck = stuck.accept().expect("a client");
    let memory = sampler.status("VmRSS");
    traffic::connect("10.0.0.1:80", 200);
    let full = format!("{SMALL}/lines");
    eventually("a full disk", || {
        (of(&sampler.lines(), "file:", "lines_dropped") > 0).then_some(())
    });
    eventually("full queues", || {
        let lines = sampler.lines();
        let dropped = |output: &str| of(&lines, output, "lines_dropped");
        (dropped("unix:") > 0 && dropped("influx+http://127.0.0.1") > 0).then_some(())
    });
    // A rotation by somebody else makes room.
    let before = fs::read_to_string(&full).expect("lines");
    let before = &before[..before.rfind('\n').expect("a line") + 1];
    fs::write(&full, "").expect("room");
    let written = of(&sampler.lines(), "file:", "lines_written");
    eventually("lines on the disk again", || {
        (of(&sampler.lines(), "file:", "lines_written") > written).then_some(())
    });
    pause(Duration::from_secs(30).saturating_sub(begin.elapsed()));
    let grown = sampler.status("VmRSS").saturating_sub(memory);
    let back = serve(listen(&away.to_string()), Vec::new());
    let output = format!("influx+http://{away}");
    eventually("the rest", || {
        let lines = sampler.lines();
        let all = of(&lines, &output, "lines_queued");
        let known = ["lines_written", "lines_dropped"].map(|field| of(&lines, &output, field));
        (known[0] > 0 && known.iter().sum::<u64>() + 400 > all).then_some(())
    });
    let (ended, took) = steps_of(|| sampler.stop());
    assert!(
        took < Duration::from_secs(10),
        "it did not wait for the stuck ones"
    );
    drop(stuck);
    sh(&format!("umount {SMALL}"));
    sh(&format!("rmdir {SMALL}"));
    fs::remove_file(STUCK).expect("a socket");
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    kept_its_time(&ended, stalls);
    // Four queues, the batches being written, and what the allocator rounds up to.
    assert!(grown < 8 * 1024, "{grown} kB more");

    // Whole lines only, in spite of the full disk.
    let before = parse(before);
    assert!(before.len() > 10);
    for output in [
        "stdout",
        &output,
        &format!("influx+http://{slow_at}"),
        "unix:",
        "file:",
    ] {
        let count = |field: &str| of(&ended.lines, output, field);
        let fates = ["written", "dropped", "rejected", "uncertain"];
        let known: u64 = fates
            .map(|fate| count(&format!("lines_{fate}")))
            .iter()
            .sum();
        assert!(known <= count("lines_queued"), "{output}");
        assert!(count("bytes_waiting") <= QUEUE, "{output}");
    }
    // The one that came back has what was not dropped: the newest, without a gap.
    let taken = parse(&back.lock().expect("lines").0);
    let all = identities(&ended.lines);
    let taken = identities(&taken);
    assert!(taken.is_subset(&all));
    let dropped = of(&ended.lines, &output, "lines_dropped");
    assert_eq!(taken.len() as u64 + dropped, all.len() as u64);
}

#[test]
fn whatever_a_server_answers_every_line_is_somewhere() {
    configure();
    let listener = listen("127.0.0.1:0");
    let address = listener.local_addr().expect("an address");
    let lines = serve(
        listener,
        vec![
            Act::Say(500, ""),
            Act::HangUp,
            Act::Say(429, "Retry-After: 1\r\n"),
            Act::Say(413, ""),
            Act::Take,
            Act::TakeAllButOne,
            Act::HangUp,
            Act::Say(503, "Retry-After: 2\r\n"),
        ],
    );
    let stalls = Stalls::watch();
    let sampler = Sampler::run(&format!(
        "--interval 1s --resolution 50ms --output stdout --output influx+http://{address}/?db=lb&gzip=off"
    ));
    for _ in 0..6 {
        traffic::connect("10.0.0.1:80", 10);
        sampler.next_report();
    }
    eventually("all acts", || {
        let lines = sampler.lines();
        (of(&lines, "influx+http", "retries") >= 5).then_some(())
    });
    sampler.next_report();
    sampler.next_report();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    kept_its_time(&ended, stalls);
    assert!(
        ended.messages.contains("field type conflict"),
        "{}",
        ended.messages
    );
    let (taken, refused) = lines.lock().expect("lines").clone();
    let (taken, refused) = (parse(&taken), parse(&refused));
    assert_eq!(refused.len(), 1);
    let somewhere = identities(taken.iter().chain(&refused));
    assert_eq!(somewhere, identities(&ended.lines));
    assert_eq!(of(&ended.lines, "influx+http", "lines_rejected"), 1);
    assert_eq!(of(&ended.lines, "influx+http", "lines_dropped"), 0);
}

#[test]
fn a_telegraf_that_stops_reading_or_dies_stops_nobody() {
    configure();
    let mut command = sampler::command(
        "run --telegraf-execd --interval 200ms --resolution 20ms --fields extended \
         --output-queue 64KiB --output stdout --output file:/tmp/beside",
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting the sampler");
    // Nobody reads: the pipe holds 64 KiB, the queue as much.
    let beside = || {
        let text = fs::read_to_string("/tmp/beside").unwrap_or_default();
        // The last line may be under way.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        parse(&text[..whole])
    };
    eventually("dropped lines", || {
        let lines = beside();
        let reported = lines
            .iter()
            .any(|line| line.measurement == "ipvs_sampler_output");
        (reported && of(&lines, "stdout", "lines_dropped") > 0).then_some(())
    });
    let ticks = || {
        let mut lines = beside().into_iter();
        let last = lines.rfind(|line| line.measurement == "ipvs_sampler");
        last.expect("a report").number("ticks")
    };
    let before = ticks();
    eventually("more ticks", || (ticks() > before + 10).then_some(()));
    // It dies: its ends of both pipes are closed at once.
    drop((child.stdin.take(), child.stdout.take()));
    let (ended, took) = steps_of(|| child.wait_with_output().expect("waiting"));
    let messages = String::from_utf8_lossy(&ended.stderr);
    fs::remove_file("/tmp/beside").expect("a file");
    assert_eq!(ended.status.code(), Some(0), "{messages}");
    assert!(
        took < Duration::from_secs(10),
        "it ends within 5 s, more or less emulated"
    );
    for message in messages.lines() {
        assert!(
            message.starts_with("I! ") || message.starts_with("W! "),
            "{message}"
        );
    }
}
