//! Against a server that is as strict as the real ones, and plays every class of answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Instant,
};

use flate2::read::GzDecoder;
use ureq::Agent;

use super::{super::name::tests::Played, Client, InfluxServer, InfluxWriter, Output as _, Queue};

/// One request, taken apart.
#[derive(Debug)]
struct Posted {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Posted {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn read(stream: &mut TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: Vec<_> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut request = Posted {
        line: lines[0].clone(),
        headers,
        body: String::new(),
    };
    let length = request
        .header("content-length")
        .expect("a length")
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    match request.header("content-encoding") {
        Some("gzip") => {
            GzDecoder::new(&body[..])
                .read_to_string(&mut request.body)
                .unwrap();
        }
        None => request.body = String::from_utf8(body).unwrap(),
        Some(other) => panic!("{other}"),
    }
    Some(request)
}

/// Gives these answers, one after the other; what it was asked.
fn answer_with(listener: &TcpListener, answers: &[&str]) -> Vec<Posted> {
    let mut requests = Vec::new();
    let mut answers = answers.iter();
    'connections: while let Ok((mut stream, _)) = listener.accept() {
        loop {
            let Some(request) = read(&mut stream) else {
                continue 'connections;
            };
            requests.push(request);
            let answer = answers.next().unwrap();
            // Who has read enough of a long one ends the connection.
            let _ = stream.write_all(answer.as_bytes());
            if answers.len() == 0 {
                break 'connections;
            }
            if answer.is_empty() {
                continue 'connections;
            }
        }
    }
    requests
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn open(query: &str, listener: &TcpListener) -> InfluxWriter {
    let target = query.replace("SERVER", &listener.local_addr().unwrap().to_string());
    InfluxWriter::open(InfluxServer::parse(&target).unwrap().unwrap()).unwrap()
}

/// Writes `batch` to a server that gives these answers; what it was asked.
fn play(query: &str, batch: &str, answers: &[&str]) -> (Vec<Posted>, super::super::LineCounts) {
    let listener = listen();
    let mut influx = open(query, &listener);
    let queue = Queue::alone();
    let requests = thread::scope(|scope| {
        let server = scope.spawn(|| answer_with(&listener, answers));
        influx.write(batch.as_bytes(), &queue).unwrap();
        server.join().unwrap()
    });
    (requests, queue.counts().0)
}

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn secret(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("ipvs-sampler-{name}-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn each_version_has_its_own_address_and_credentials() {
    let file = secret("token");
    for (query, line, authorization) in [
        (
            format!("influx+http://SERVER/?db=lb&rp=week&user=me&password-file={file}"),
            "POST /write?precision=ns&db=lb&rp=week HTTP/1.1",
            Some("Basic bWU6czNjcmV0"),
        ),
        (
            format!("influx2+http://SERVER/base/?org=o&bucket=b&token-file={file}"),
            "POST /base/api/v2/write?precision=ns&org=o&bucket=b HTTP/1.1",
            Some("Token s3cret"),
        ),
        (
            format!("influx3+http://SERVER/?db=lb&token-file={file}"),
            "POST /api/v3/write_lp?precision=nanosecond&db=lb HTTP/1.1",
            Some("Bearer s3cret"),
        ),
        (
            "influx+http://SERVER?db=lb&gzip=off".into(),
            "POST /write?precision=ns&db=lb HTTP/1.1",
            None,
        ),
    ] {
        let (requests, counts) = play(&query, "a b=1i 1\nc d=2i 2\n", &[OK]);
        let [request] = &requests[..] else {
            panic!("{requests:?}");
        };
        assert_eq!(request.line, line);
        assert_eq!(request.header("authorization"), authorization);
        assert_eq!(request.body, "a b=1i 1\nc d=2i 2\n");
        let gzip = (!query.contains("gzip=off")).then_some("gzip");
        assert_eq!(request.header("content-encoding"), gzip);
        assert_eq!((counts.written, counts.retries), (2, 0));
    }
    std::fs::remove_file(file).unwrap();
}

const QUERY: &str = "influx+http://SERVER/?db=lb";

#[test]
fn what_is_not_taken_now_is_sent_again() {
    let busy = answer("503 Busy", "", "later");
    let throttled = answer("429 Too Many", "Retry-After: 0\r\n", "");
    let denied = answer("401 Unauthorized", "", "");
    // An empty answer closes the connection.
    let (requests, counts) = play(QUERY, "a b=1i 1\n", &[&busy, &throttled, "", &denied, OK]);
    assert_eq!(requests.len(), 5);
    assert!(requests.iter().all(|request| request.body == "a b=1i 1\n"));
    assert_eq!((counts.written, counts.retries, counts.rejected), (1, 4, 0));
}

#[test]
fn a_database_that_is_missing_at_first_is_waited_for() {
    for (query, missing) in [
        (QUERY, r#"{"error":"database not found: \"lb\""}"#),
        (
            "influx2+http://SERVER/?org=o&bucket=b",
            r#"{"code":"not found","message":"bucket \"b\" not found"}"#,
        ),
        (
            "influx3+http://SERVER/?db=lb",
            r#"{"error":"database not found"}"#,
        ),
        // VictoriaMetrics, of a path that it does not know.
        (QUERY, "unsupported path requested: \"/write\""),
    ] {
        let missing = answer("404 Not Found", "", missing);
        let (requests, counts) = play(query, "a b=1i 1\nc d=2i 2\n", &[&missing, &missing, OK]);
        assert_eq!(requests.len(), 3);
        assert_eq!((counts.written, counts.retries), (2, 2), "{query}");
        assert_eq!(counts.settled(), 2);
    }
}

#[test]
fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    for (body, expected) in [
        (
            r#"{"error":"partial write: bad field dropped=1"}"#,
            (1, 1, 0),
        ),
        (
            r#"{"error":"partial write of line protocol occurred","data":[{"original_line":"ipvs_sampler lines_dropped=0i 1","line_number":2,"error_message":"no"}]}"#,
            (1, 1, 0),
        ),
        (r#"{"error":"whatever"}"#, (0, 0, 2)),
    ] {
        let refused = answer("400 Bad Request", "", body);
        let (requests, counts) = play(QUERY, "a b=1i 1\nc d=2i 2\n", &[&refused]);
        assert_eq!(requests.len(), 1);
        let counts = (counts.written, counts.rejected, counts.uncertain);
        assert_eq!(counts, expected, "{body}");
    }
}

#[test]
fn a_long_answer_is_read_to_its_end_and_one_that_is_too_long_is_uncertain() {
    for (length, expected) in [(1 << 20, (1, 0)), (9 << 20, (0, 2))] {
        let long = format!(
            r#"{{"error":"partial write: {} dropped=1"}}"#,
            "x".repeat(length)
        );
        let long = answer("400 Bad Request", "", &long);
        let (_, counts) = play(QUERY, "a b=1i 1\nc d=2i 2\n", &[&long]);
        assert_eq!((counts.rejected, counts.uncertain), expected);
    }
}

#[test]
fn the_same_kind_of_answer_is_no_news() {
    let listener = listen();
    let mut influx = open(QUERY, &listener);
    let queue = Queue::alone();
    let answers = ["a,b=1 c=1i 1", "d,e=x lines_dropped=7i 2"].map(|line| {
        let body =
            format!(r#"{{"error":"partial write: unable to parse '{line}': bad dropped=0"}}"#);
        answer("400 Bad Request", "", &body)
    });
    let answers = answers.each_ref().map(String::as_str);
    thread::scope(|scope| {
        scope.spawn(|| answer_with(&listener, &answers));
        for _ in &answers {
            influx.write(b"a b=1i 1\nc d=2i 2\n", &queue).unwrap();
        }
    });
    assert_eq!(
        influx.trouble.losing(),
        ["rejected: 400 Bad Request: partial write: unable to parse …: bad"]
    );
    assert_eq!(queue.counts().0.rejected, 2);
}

/// Gives the same answer all the time, and tells of each request.
fn always(listener: &TcpListener, answer: String) -> mpsc::Receiver<()> {
    let listener = listener.try_clone().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while read(&mut stream).is_some() {
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = sender.send(());
        }
    });
    receiver
}

fn with_name(played: &Played) -> InfluxWriter {
    let server = InfluxServer::parse("influx+http://there:1/?db=lb")
        .unwrap()
        .unwrap();
    let mut influx = InfluxWriter::open(server).unwrap();
    influx.client = Client::new(Agent::new_with_defaults().config().clone(), played.name());
    influx
}

#[test]
fn a_name_that_moved_is_followed_although_the_connection_still_works() {
    let played = Played::default();
    let mut influx = with_name(&played);
    let queue = Queue::alone();
    let mut served = Vec::new();
    for listener in [listen(), listen()] {
        played.answer(Some(listener.local_addr().unwrap()));
        queue.reopen();
        let requests = always(&listener, OK.into());
        let begin = Instant::now();
        while requests.try_recv().is_err() {
            influx.write(b"a b=1i 1\n", &queue).unwrap();
            assert!(begin.elapsed().as_secs() < 60, "nothing came");
        }
        served.push(requests);
    }
    assert_eq!(queue.counts().0.retries, 0);
    // A lookup that fails changes nothing.
    played.answer(None);
    queue.reopen();
    for _ in 0..100 {
        influx.write(b"a b=1i 1\n", &queue).unwrap();
    }
    assert_eq!(queue.counts().0.retries, 0);
}

#[test]
fn a_name_that_moved_is_followed_while_the_former_server_puts_lines_off() {
    let played = Played::default();
    let mut influx = with_name(&played);
    let queue = Queue::alone();
    let [former, new] = [listen(), listen()];
    played.answer(Some(former.local_addr().unwrap()));
    let busy = always(&former, answer("503 Busy", "", ""));
    let taken = always(&new, OK.into());
    thread::scope(|scope| {
        scope.spawn(|| influx.write(b"a b=1i 1\n", &queue).unwrap());
        busy.recv().unwrap();
        played.answer(Some(new.local_addr().unwrap()));
        queue.reopen();
        taken.recv().unwrap();
    });
    assert_eq!(queue.counts().0.written, 1);
}

#[test]
fn what_is_too_large_goes_in_halves() {
    let large = answer("413 Too Large", "", "");
    let (requests, counts) = play(
        QUERY,
        "a b=1i 1\nc d=2i 2\ne f=3i 3\n",
        &[&large, OK, &large],
    );
    let bodies: Vec<_> = requests
        .iter()
        .map(|request| request.body.as_str())
        .collect();
    assert_eq!(bodies[1..], ["a b=1i 1\nc d=2i 2\n", "e f=3i 3\n"]);
    // A line by itself that is too large all the same is refused for good.
    assert_eq!((counts.written, counts.rejected), (2, 1));
}

#[test]
fn nobody_there_and_asked_to_finish() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("influx+http://{}/?db=lb", listener.local_addr().unwrap());
    drop(listener);
    let mut influx = InfluxWriter::open(InfluxServer::parse(&target).unwrap().unwrap()).unwrap();
    let queue = Queue::alone();
    queue.close();
    influx.write(b"a b=1i 1\n", &queue).unwrap();
    assert_eq!(queue.counts().0.dropped, 1);
}

#[test]
fn addresses_that_cannot_be_meant_are_refused() {
    for (wrong, why) in [
        ("influx+http://host/", "db="),
        ("influx2+http://host/?org=o", "bucket="),
        ("influx+ftp://host/?db=a", "http://"),
        ("influx+http://me:word@host/?db=a", "password-file"),
        ("influx+http://host/?db=a&p=word", "password-file"),
        ("influx+http://host/?db=a&gzip=yes", "on or off"),
    ] {
        let error = InfluxServer::parse(wrong).unwrap().unwrap_err();
        assert!(error.contains(why), "{wrong}: {error}");
    }
    assert!(InfluxServer::parse("http://host/?db=a").is_none());
    assert!(InfluxServer::parse("influx4+http://host/?db=a").is_none());
}
