//! A server's life, and talking to it.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ipvs_sampler::sink::Sinks;
use tempfile::TempDir;

/// A program of the folder that `cargo xtask test` names.
pub(crate) fn program(name: &str) -> Command {
    let dir = std::env::var_os("IPVS_SAMPLER_SERVERS")
        .expect("IPVS_SAMPLER_SERVERS: run `cargo xtask test`, which fetches the servers");
    let dir = PathBuf::from(dir);
    let mut command = Command::new(dir.join(name));
    command.env("LD_LIBRARY_PATH", dir);
    command
}

/// A port of loopback that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listening");
    listener.local_addr().expect("an address").port()
}

/// A running server: killed when the test ends, however it ends.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    data: TempDir,
}

impl Server {
    /// Starts a program, configured for a port and a folder for its data, and waits until `path` is answered.
    pub(crate) fn start(
        name: &str,
        path: &str,
        configure: impl Fn(&mut Command, u16, &std::path::Path),
    ) -> Self {
        let data = TempDir::with_prefix("ipvs-sampler-server-").expect("a folder");
        let port = free_port();
        let mut command = program(name);
        configure(&mut command, port, data.path());
        let log = File::create(data.path().join("log")).expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let mut server = Self { child, port, data };
        eventually(&format!("{name} answers"), || {
            let ended = server.child.try_wait().expect("waiting");
            assert!(ended.is_none(), "{name}: {ended:?}\n{}", server.log());
            request(port, "GET", path)
                .ok()
                .filter(|(status, _)| *status / 100 == 2)
        });
        server
    }

    /// GET, which has to succeed.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> String {
        let (status, body) = request(self.port, "GET", path).expect("an answer");
        assert_eq!(status / 100, 2, "{path}: {body}\n{}", self.log());
        body
    }

    /// POST without a body, which has to succeed.
    #[track_caller]
    pub(crate) fn post(&self, path: &str) -> String {
        let (status, body) = request(self.port, "POST", path).expect("an answer");
        assert_eq!(status / 100, 2, "{path}: {body}\n{}", self.log());
        body
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request by HTTP/1.0, so that the answer comes in one piece; status and body.
fn request(port: u16, method: &str, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(malformed)?, body.to_owned()))
}

/// Text for a query.
pub(crate) fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Sends lines as the sampler does. How many the output says were taken; none may be given up.
pub(crate) fn taken(target: &str, lines: &[u8]) -> u64 {
    let target = target.parse().expect("an output");
    let sinks = Sinks::open(&[target], usize::MAX).expect("opening");
    sinks.push(&mut lines.to_vec());
    sinks.close(Duration::from_secs(60)).expect("closing");
    let counts = sinks.reports().next().expect("a report").counts;
    assert_eq!(counts.settled(), counts.written);
    counts.written
}

/// Polls until `probe` has an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
