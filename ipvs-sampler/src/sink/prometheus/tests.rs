//! The server's limits, by clients that keep to none.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{LIMITS, Limits, Server};
use crate::sink::{Sinks, page::Pages};

const METRICS: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(60);
/// Short enough to be waited for.
const SHORT: Duration = Duration::from_millis(50);

/// Patient with everybody.
const PATIENT: Limits = Limits {
    head: LONG,
    idle: LONG,
    write: LONG,
    ..LIMITS
};

/// A server with a page of this text, and its pages.
fn serve(limits: Limits, text: &str) -> (Server, Arc<Pages>) {
    let pages = Arc::new(Pages::default());
    if !text.is_empty() {
        publish(&pages, text);
    }
    let server =
        Server::with_limits("127.0.0.1:0", Arc::clone(&pages), Arc::default(), limits).unwrap();
    (server, pages)
}

fn publish(pages: &Pages, text: &str) {
    let wanted = pages.wanted(true).unwrap();
    pages.publish(wanted, |out, _| {
        out.extend_from_slice(text.as_bytes());
        2
    });
}

fn refused(server: &Server) -> u64 {
    server.counts().requests.unwrap().refused
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.listener.local_addr().unwrap()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Reads one answer: its head and its body, which is not there when only the head was asked for.
fn answer(stream: &mut TcpStream, with_body: bool) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.split("Content-Length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; if with_body { length } else { 0 }];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// What comes until the server ends the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_serves_page_after_page() {
    let (server, pages) = serve(PATIENT, "one 1\ntwo 2\n");
    let mut stream = connect(&server);
    for text in ["one 1\ntwo 2\n", "one 3\ntwo 4\n"] {
        publish(&pages, text);
        stream.write_all(METRICS.as_bytes()).unwrap();
        let (head, body) = answer(&mut stream, true);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
        assert!(head.contains("Connection: keep-alive\r\n"));
        assert_eq!(body, text);
    }
    // Two at once, the last of them in two parts.
    let (begin, end) = METRICS.split_at(20);
    stream
        .write_all(format!("{METRICS}{begin}").as_bytes())
        .unwrap();
    assert_eq!(answer(&mut stream, true).1, "one 3\ntwo 4\n");
    stream.write_all(end.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream, true).1, "one 3\ntwo 4\n");
    eventually("all samples are counted", || server.counts().written == 8);
    assert_eq!(refused(&server), 0);
}

#[test]
fn head_is_get_without_the_body() {
    let (server, _pages) = serve(PATIENT, "one 1\n");
    let mut stream = connect(&server);
    stream
        .write_all(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let (head, _) = answer(&mut stream, false);
    assert!(head.contains("Content-Length: 6\r\n"), "{head}");
    stream.write_all(METRICS.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream, true).1, "one 1\n");
    eventually("its samples are counted once", || {
        server.counts().written == 2
    });
}

#[test]
fn a_page_comes_in_the_format_that_is_asked_for() {
    let (server, pages) = serve(PATIENT, "");
    let mut stream = connect(&server);
    let request =
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n";
    for (text, kind) in [
        ("", ""),
        ("# EOF\n", "application/openmetrics-text; version=1.0.0"),
    ] {
        if !text.is_empty() {
            publish(&pages, text);
        }
        stream.write_all(request.as_bytes()).unwrap();
        let (head, body) = answer(&mut stream, true);
        if text.is_empty() {
            assert!(
                head.starts_with("HTTP/1.1 503 "),
                "nothing was sampled yet: {head}"
            );
        } else {
            assert!(head.contains(kind), "{head}");
            assert_eq!(body, text);
        }
    }
}

#[test]
fn a_scrape_waits_for_the_next_tick() {
    let (server, pages) = serve(PATIENT, "old\n");
    pages.set_period(Duration::from_secs(5));
    let mut stream = connect(&server);
    stream.write_all(METRICS.as_bytes()).unwrap();
    // In between the intervals there is a page only when somebody waits.
    let mut wanted = None;
    eventually("somebody waits", || {
        wanted = pages.wanted(false);
        wanted.is_some()
    });
    pages.publish(wanted.unwrap(), |out, _| {
        out.extend_from_slice(b"new\n");
        1
    });
    assert_eq!(answer(&mut stream, true).1, "new\n");
}

#[test]
fn what_is_no_scrape_is_refused_and_nothing_of_it_comes_back() {
    let (server, _pages) = serve(PATIENT, "one 1\n");
    for (request, status, kept) in [
        (
            "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n",
            "404 Not Found",
            true,
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret",
            "405 Method",
            false,
        ),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            "405 Method",
            false,
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret",
            "413 Content",
            false,
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "413 Content",
            false,
        ),
        ("secret\r\n\r\n", "400 Bad", false),
        ("GET /metrics HTTP/3.0\r\n\r\n", "400 Bad", false),
        (
            "GET /metrics HTTP/1.1\r\nX-Secret: secret\r\n\r\n",
            "400 Bad",
            false,
        ),
        (
            "CONNECT secret:443 HTTP/1.1\r\nHost: secret:443\r\n\r\n",
            "501 Not Implemented",
            false,
        ),
    ] {
        let before = refused(&server);
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).unwrap();
        let (head, body) = answer(&mut stream, true);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {head}"
        );
        assert!(
            !head.contains("secret") && !body.contains("secret"),
            "{head}{body}"
        );
        assert_eq!(head.contains("Connection: keep-alive"), kept, "{request}");
        if kept {
            stream.write_all(METRICS.as_bytes()).unwrap();
            assert_eq!(answer(&mut stream, true).1, "one 1\n");
        } else {
            assert_eq!(rest(&mut stream), "");
        }
        assert_eq!(refused(&server), before + 1);
    }
}

#[test]
fn a_head_of_more_than_8_kib_is_refused() {
    let (server, _pages) = serve(PATIENT, "one 1\n");
    for (filling, status) in [(8000, "200 OK"), (8193, "431 Request Header")] {
        let mut stream = connect(&server);
        let header = "x".repeat(filling);
        let request = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {header}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (head, _) = answer(&mut stream, true);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{filling}: {head}"
        );
    }
}

#[test]
fn the_17th_connection_is_refused_until_another_one_ends() {
    let (server, _pages) = serve(PATIENT, "one 1\n");
    let mut streams: Vec<_> = (0..16).map(|_| connect(&server)).collect();
    // Accepted one after the other: this one is the last.
    let told = rest(&mut connect(&server));
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.ends_with("too many connections\n"), "{told}");
    assert_eq!(refused(&server), 1);
    // The others are none the worse.
    for stream in &mut streams {
        stream.write_all(METRICS.as_bytes()).unwrap();
        assert_eq!(answer(stream, true).1, "one 1\n");
    }
    streams.pop();
    eventually("there is room again", || {
        let mut stream = connect(&server);
        stream.write_all(METRICS.as_bytes()).unwrap();
        answer(&mut stream, true).0.starts_with("HTTP/1.1 200 ")
    });
}

#[test]
fn a_slow_head_is_not_waited_for() {
    let limits = Limits {
        head: SHORT,
        ..PATIENT
    };
    let (server, _pages) = serve(limits, "one 1\n");
    let mut stream = connect(&server);
    // A byte now and then does not put it off.
    let stop = Arc::new(AtomicBool::new(false));
    let (writing, mut writer) = (Arc::clone(&stop), stream.try_clone().unwrap());
    let dripping = thread::spawn(move || {
        for byte in METRICS.bytes().take(10).cycle() {
            if writing.load(Ordering::Relaxed) || writer.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let (head, _) = answer(&mut stream, true);
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    stop.store(true, Ordering::Relaxed);
    dripping.join().unwrap();
    assert_eq!(refused(&server), 1);
    // Who says nothing at all is told nothing.
    assert_eq!(rest(&mut connect(&server)), "");
}

#[test]
fn a_connection_that_is_idle_for_too_long_is_ended() {
    let limits = Limits {
        idle: SHORT,
        ..PATIENT
    };
    let (server, _pages) = serve(limits, "one 1\n");
    let mut stream = connect(&server);
    stream.write_all(METRICS.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream, true).1, "one 1\n");
    assert_eq!(rest(&mut stream), "");
    assert_eq!(refused(&server), 0);
}

#[test]
fn a_connection_has_so_many_requests_and_no_more() {
    let limits = Limits {
        requests: 2,
        ..PATIENT
    };
    let (server, _pages) = serve(limits, "one 1\n");
    let mut stream = connect(&server);
    stream.write_all(METRICS.repeat(3).as_bytes()).unwrap();
    assert!(
        answer(&mut stream, true)
            .0
            .contains("Connection: keep-alive")
    );
    assert!(answer(&mut stream, true).0.contains("Connection: close"));
    // What was sent and not read resets the connection.
    let mut byte = [0];
    assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)));
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_counted() {
    let limits = Limits {
        write: SHORT,
        ..PATIENT
    };
    // More than the buffers of both sides together.
    let (server, pages) = serve(limits, &"x".repeat(64 * 1024 * 1024));
    let mut stream = connect(&server);
    stream.write_all(METRICS.as_bytes()).unwrap();
    eventually("it is cut off", || server.counts().dropped == 2);
    eventually("its place is free", || {
        server.shared.connections.load(Ordering::Relaxed) == 0
    });
    assert_eq!(server.counts().written, 0);
    // And a reader gets the whole, meanwhile and afterwards.
    publish(&pages, "one 1\n");
    let mut other = connect(&server);
    other.write_all(METRICS.as_bytes()).unwrap();
    assert_eq!(answer(&mut other, true).1, "one 1\n");
}

#[test]
fn a_client_that_leaves_early_is_no_loss() {
    let (server, _pages) = serve(PATIENT, &"x".repeat(64 * 1024 * 1024));
    // As kubelets do: the beginning is enough for them.
    for number in 1..=3 {
        let mut stream = connect(&server);
        stream.write_all(METRICS.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 10 * 1024]).unwrap();
        drop(stream);
        eventually("it is counted", || {
            server.counts().requests.unwrap().abandoned == number
        });
    }
    let counts = server.counts();
    assert_eq!((counts.queued, counts.written, counts.dropped), (0, 0, 0));
    assert_eq!(refused(&server), 0);
}

#[test]
fn health_is_told_without_a_page() {
    const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let (server, pages) = serve(PATIENT, "");
    let mut stream = connect(&server);
    stream.write_all(HEALTH).unwrap();
    let (head, body) = answer(&mut stream, true);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(body, "no tick yet\n");
    server
        .shared
        .pulse
        .beat(Duration::from_secs(10), ["netlink"].into_iter());
    stream.write_all(HEALTH).unwrap();
    let (head, body) = answer(&mut stream, true);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(
        body.starts_with("ticking, mode netlink, last tick "),
        "{body}"
    );
    stream
        .write_all(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    answer(&mut stream, false);
    assert!(pages.wanted(false).is_none(), "nobody waits for a page");
    assert_eq!(refused(&server), 0);
}

#[test]
fn every_form_of_a_target_is_understood() {
    let (server, _pages) = serve(PATIENT, "one 1\n");
    let mut stream = connect(&server);
    let address = server.listener.local_addr().unwrap();
    for target in [format!("http://{address}/metrics"), "/metrics?x".into()] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream, true).1, "one 1\n", "{target}");
    }
    stream
        .write_all(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let text = rest(&mut stream);
    assert!(text.starts_with("HTTP/1.1 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    assert!(!text.contains("Content-Length"), "{text}");
}

#[test]
fn a_large_page_comes_whole() {
    let text = "0123456789abcde\n".repeat(1024 * 1024);
    let (server, _pages) = serve(PATIENT, &text);
    let mut stream = connect(&server);
    stream.write_all(METRICS.as_bytes()).unwrap();
    assert!(answer(&mut stream, true).1 == text);
}

#[test]
fn an_address_that_is_taken_is_an_error_at_once_and_free_after_the_end() {
    let (server, pages) = serve(PATIENT, "");
    let address = server.listener.local_addr().unwrap().to_string();
    let error = Server::open(&address, Arc::clone(&pages), Arc::default())
        .err()
        .unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    drop(server);
    Server::open(&address, pages, Arc::default()).unwrap();
}

#[test]
fn two_addresses_have_the_same_pages_and_lines_do_not_pile_up() {
    let target = "prometheus://127.0.0.1:0".parse().unwrap();
    let other = "prometheus://:0".parse().unwrap();
    let sinks = Sinks::open(&[target, other], usize::MAX).unwrap();
    publish(sinks.pages().unwrap(), "one 1\n");
    for (_, server) in &sinks.servers {
        let mut stream = connect(server);
        stream.write_all(METRICS.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream, true).1, "one 1\n");
    }
    eventually("both have counted", || {
        sinks.reports().all(|report| report.counts.written == 2)
    });
    let mut batch = b"line\n".to_vec();
    sinks.push(&mut batch);
    assert!(batch.is_empty());
    sinks.close(LONG).unwrap();
}

#[test]
fn a_server_that_is_no_more_wanted_frees_its_address() {
    let stays = "prometheus://127.0.0.1:0".parse().unwrap();
    let goes = "prometheus://:0".parse().unwrap();
    let mut sinks = Sinks::open(&[stays, goes], usize::MAX).unwrap();
    let address = sinks.servers[1].1.listener.local_addr().unwrap();
    sinks
        .change_to(&["prometheus://127.0.0.1:0".parse().unwrap()])
        .unwrap();
    assert_eq!(sinks.reports().count(), 1);
    let new = format!("prometheus://{address}").parse().unwrap();
    sinks.change_to(&[new]).unwrap();
    assert_eq!(sinks.servers[0].1.listener.local_addr().unwrap(), address);
}
