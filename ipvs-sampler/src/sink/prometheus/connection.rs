//! One client's connection: heads of requests in, pages out, within limits.

use std::{
    io::{self, IoSlice, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    request::{self, ALLOW, Answer, Refusal, Request},
    shared::Shared,
};
use crate::sink::page::Page;

/// Longest head of a request.
const LONGEST_HEAD: usize = 8 * 1024;

/// After a refusal, so much of what was not read is thrown away, so that the client gets to read why.
const LONGEST_REST: usize = 64 * 1024;
/// For this long.
const LINGER: Duration = Duration::from_secs(1);

/// A connection.
pub(super) struct Connection<'a> {
    stream: TcpStream,
    shared: &'a Shared,
    /// What has come and was not yet understood.
    text: Vec<u8>,
}

/// How waiting for a head ended.
enum Head {
    Request(Request),
    /// The client has ended the connection, or never began a request.
    Ended,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: TcpStream, shared: &'a Shared) -> Self {
        Self {
            stream,
            shared,
            text: Vec::with_capacity(LONGEST_HEAD),
        }
    }

    /// Answers requests until one side has had enough.
    pub(super) fn serve(mut self) {
        // An answer goes out whole anyway.
        let _ = self.stream.set_nodelay(true);
        let limits = self.shared.limits;
        for number in 1..=limits.requests {
            let idle = if number == 1 {
                limits.head
            } else {
                limits.idle
            };
            let Ok(Head::Request(mut request)) = self.head(idle) else {
                return;
            };
            request.keep_alive &= number < limits.requests;
            self.shared.busy.fetch_add(1, Ordering::Relaxed);
            let answered = self.answer(&request);
            self.shared.busy.fetch_sub(1, Ordering::Relaxed);
            if !matches!(answered, Ok(true)) {
                return;
            }
            self.text.drain(..request.length);
        }
    }

    /// Reads the head of a request, which has to begin soon and then end soon.
    fn head(&mut self, idle: Duration) -> io::Result<Head> {
        let limits = self.shared.limits;
        let mut deadline = Instant::now() + idle;
        let refusal = |refusal| {
            Ok(Head::Request(Request {
                answer: Answer::Refusal(refusal),
                head_only: false,
                keep_alive: false,
                length: 0,
            }))
        };
        loop {
            if let Some(request) = request::parse(&self.text).filter(|_| !self.text.is_empty()) {
                return Ok(Head::Request(request));
            }
            if self.text.len() == LONGEST_HEAD {
                return refusal(Refusal::TooLarge);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let begun = self.text.len();
            if left.is_zero() {
                return match begun {
                    0 => Ok(Head::Ended),
                    _ => refusal(Refusal::TooSlow),
                };
            }
            self.stream.set_read_timeout(Some(left))?;
            self.text.resize(LONGEST_HEAD, 0);
            let read = self.stream.read(&mut self.text[begun..]);
            self.text.truncate(begun + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(Head::Ended),
                Ok(_) if begun == 0 => deadline = deadline.min(Instant::now() + limits.head),
                Ok(_) => {}
                Err(error) if is_temporary(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers. Whether another request may follow.
    fn answer(&mut self, request: &Request) -> io::Result<bool> {
        let keep_alive = request.keep_alive && !self.shared.closed.load(Ordering::Relaxed);
        let refusal = match request.answer {
            Answer::Page(format) => {
                match self.shared.pages.next(format, self.shared.pages.patience()) {
                    Some((format, page)) => {
                        let head = head(
                            "200 OK",
                            format.content_type(),
                            "",
                            page.text.len(),
                            keep_alive,
                        );
                        self.send(head.as_bytes(), &page, request.head_only)?;
                        return Ok(keep_alive);
                    }
                    None => Refusal::NoPage,
                }
            }
            Answer::Health => {
                let (is_ticking, text) = self.shared.pulse.state();
                let status = if is_ticking {
                    "200 OK"
                } else {
                    "503 Service Unavailable"
                };
                let text = answer(status, "", &text, keep_alive, request.head_only);
                self.write(text.as_bytes(), &[])?;
                return Ok(keep_alive);
            }
            Answer::Methods => {
                self.write(methods(keep_alive).as_bytes(), &[])?;
                return Ok(keep_alive);
            }
            Answer::Refusal(refusal) => refusal,
        };
        self.shared.refuse();
        let text = refusal_with(refusal, keep_alive, request.head_only);
        self.write(text.as_bytes(), &[])?;
        if !keep_alive {
            self.linger();
        }
        Ok(keep_alive)
    }

    /// Sends a page and counts what became of its samples.
    fn send(&mut self, head: &[u8], page: &Page, head_only: bool) -> io::Result<()> {
        if head_only {
            return self.write(head, &[]);
        }
        let sent = self.write(head, &page.text);
        let mut counts = self.shared.counts();
        match &sent {
            Ok(()) => counts.written += page.samples,
            // It has what it came for, or has given up: nothing is lost that anybody waits for.
            Err(error) if has_left(error) => counts.requests.get_or_insert_default().abandoned += 1,
            Err(_) => counts.dropped += page.samples,
        }
        sent
    }

    /// Writes both, mostly with one system call. `TimedOut` when the client does not take them in time.
    fn write(&mut self, mut head: &[u8], mut rest: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.shared.limits.write;
        while !head.is_empty() || !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_write_timeout(Some(left))?;
            let both = [IoSlice::new(head), IoSlice::new(rest)];
            match self.stream.write_vectored(&both) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let of_head = written.min(head.len());
                    head = &head[of_head..];
                    rest = &rest[written - of_head..];
                }
                Err(error) if is_temporary(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives the client time to read the answer before the connection ends: what it sent and nobody read
    /// would otherwise reset it.
    fn linger(&mut self) {
        let deadline = Instant::now() + LINGER;
        let mut rest = LONGEST_REST;
        let _ = self.stream.shutdown(Shutdown::Write);
        self.text.resize(LONGEST_HEAD, 0);
        while rest > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return;
            }
            match self.stream.read(&mut self.text) {
                Ok(1..) => rest = rest.saturating_sub(self.text.len()),
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// The whole answer to who is refused and has to go.
pub(super) fn refusal(refusal: Refusal) -> String {
    refusal_with(refusal, false, false)
}

fn refusal_with(refusal: Refusal, keep_alive: bool, head_only: bool) -> String {
    let (status, further, word) = refusal.parts();
    answer(status, further, &format!("{word}\n"), keep_alive, head_only)
}

/// An answer with a line for people.
fn answer(status: &str, further: &str, line: &str, keep_alive: bool, head_only: bool) -> String {
    let mut text = head(
        status,
        "text/plain; charset=utf-8",
        further,
        line.len(),
        keep_alive,
    );
    if !head_only {
        text.push_str(line);
    }
    text
}

/// It has no body, and so no length of one (RFC 9110, section 8.6).
fn methods(keep_alive: bool) -> String {
    let connection = connection(keep_alive);
    format!("HTTP/1.1 204 No Content\r\n{ALLOW}Connection: {connection}\r\n\r\n")
}

fn connection(keep_alive: bool) -> &'static str {
    if keep_alive { "keep-alive" } else { "close" }
}

fn head(
    status: &str,
    content_type: &str,
    further: &str,
    length: usize,
    keep_alive: bool,
) -> String {
    let connection = connection(keep_alive);
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         {further}Vary: Accept\r\nConnection: {connection}\r\n\r\n"
    )
}

/// The client has ended the connection.
fn has_left(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

/// A limit of time that the caller keeps itself, or a signal.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
