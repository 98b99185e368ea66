//! The HTTP interfaces for line protocol: InfluxDB 1, 2 and 3, and whoever speaks like them.

mod answer;
mod client;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use ureq::{
    Agent,
    http::{Response, Uri},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{
    lines::{half, lines},
    name::HostName,
    output::{Gather, Output},
    queue::Queue,
    retry::{Verdict, pause, verdict},
    trouble::{Obstacle, Trouble},
};
use answer::{Body, Fate};
use client::Client;

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a whole request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// Time between two requests, while there is not more than [`MOST_BYTES`] to send.
const EVERY: Duration = Duration::from_secs(1);
/// Most bytes of a request, before they are compressed: some thousands of lines, as InfluxDB's
/// documentation recommends.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// A longer answer is not read: what it says of the lines is uncertain. InfluxDB 3 lists each bad line with a
/// few hundred bytes, and a request has some thousands of lines.
const MOST_ANSWER: u64 = 8 * 1024 * 1024;

/// Which interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `/write?db=`
    One,
    /// `/api/v2/write?org=&bucket=`
    Two,
    /// `/api/v3/write_lp?db=`
    Three,
}

/// Where to write, as the command line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InfluxServer {
    version: Version,
    /// As it was given; there are no secrets in it.
    label: String,
    /// The whole address of the interface.
    url: String,
    /// What of it is looked up.
    host_and_port: String,
    user: Option<String>,
    /// The token, or the password of `user`.
    secret_file: Option<PathBuf>,
    /// Certificates to trust in place of the usual ones, in PEM.
    ca_file: Option<PathBuf>,
    gzip: bool,
}

impl InfluxServer {
    /// From `influx+http://HOST:PORT/?db=NAME` and its siblings; `None` for another scheme.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (kind, url) = text.split_once('+')?;
        let version = match kind {
            "influx" => Version::One,
            "influx2" => Version::Two,
            "influx3" => Version::Three,
            _ => return None,
        };
        Some(Self::new(version, text, url))
    }

    /// Whether a file has its secret, or certificates.
    pub(super) fn has_path(&self) -> bool {
        self.secret_file.is_some() || self.ca_file.is_some()
    }

    fn new(version: Version, label: &str, url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().ok_or("the host is missing")?;
        if !matches!(scheme, "http" | "https") {
            return Err("expected http:// or https:// after the +".into());
        }
        if authority.as_str().contains('@') {
            return Err(
                "put credentials into a file: user=NAME&password-file=PATH or token-file=PATH"
                    .into(),
            );
        }
        let mut server = Self {
            version,
            label: label.into(),
            url: String::new(),
            host_and_port: format!(
                "{}:{}",
                authority.host(),
                authority
                    .port_u16()
                    .unwrap_or(if scheme == "https" { 443 } else { 80 })
            ),
            user: None,
            secret_file: None,
            ca_file: None,
            gzip: true,
        };
        let mut query = String::new();
        let mut given = Vec::new();
        for pair in uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "user" => server.user = Some(value.into()),
                "token-file" | "password-file" => server.secret_file = Some(value.into()),
                "ca-file" => server.ca_file = Some(value.into()),
                "gzip" if value == "off" => server.gzip = false,
                "gzip" if value == "on" => {}
                "gzip" => return Err("gzip must be on or off".into()),
                "p" | "password" | "token" => {
                    return Err(format!(
                        "put the {key} into a file: password-file=PATH or token-file=PATH"
                    ));
                }
                _ => {
                    given.push(key);
                    query.push('&');
                    query.push_str(pair);
                }
            }
        }
        for required in version.required() {
            if !given.contains(required) {
                return Err(format!("{required}=... is missing from the query"));
            }
        }
        let (endpoint, precision) = version.endpoint();
        let path = uri.path().trim_end_matches('/');
        server.url = format!("{scheme}://{authority}{path}{endpoint}?precision={precision}{query}");
        Ok(server)
    }

    fn client(&self) -> io::Result<Client> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &self.ca_file {
            let pem = read(path)?;
            let certificates: Vec<_> = parse_pem(pem.as_bytes())
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                let message = format!("{} has no certificate", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates)));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("ipvs-sampler/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECTING))
            .timeout_global(Some(REQUEST));
        Ok(Client::new(
            config.build(),
            HostName::new(&self.host_and_port),
        ))
    }

    fn authorization(&self) -> io::Result<Option<String>> {
        let Some(path) = &self.secret_file else {
            return Ok(None);
        };
        let secret = read(path)?;
        let secret = secret.lines().next().unwrap_or_default().trim();
        if secret.is_empty() {
            let message = format!("the first line of {} is empty", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(match (self.version, &self.user) {
            (Version::One, Some(user)) => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
            }
            (Version::Three, _) => format!("Bearer {secret}"),
            (Version::One | Version::Two, _) => format!("Token {secret}"),
        }))
    }
}

impl Version {
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::One | Self::Three => &["db"],
            Self::Two => &["org", "bucket"],
        }
    }

    /// Path, and its word for nanoseconds.
    const fn endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::One => ("/write", "ns"),
            Self::Two => ("/api/v2/write", "ns"),
            Self::Three => ("/api/v3/write_lp", "nanosecond"),
        }
    }
}

impl std::fmt::Display for InfluxServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.label)
    }
}

/// The writer to a [`InfluxServer`].
pub(super) struct InfluxWriter {
    server: InfluxServer,
    client: Client,
    authorization: Option<String>,
    /// Reused for the compressed body.
    compressed: Vec<u8>,
    /// Tries in vain since the last answer that was final.
    tries: u32,
    trouble: Trouble,
}

/// The server's answer, or the lack of one.
struct Reply {
    verdict: Verdict,
    status: u16,
    body: Body,
    cause: Obstacle,
    retry_after: Option<String>,
}

impl InfluxWriter {
    pub(super) fn open(server: InfluxServer) -> io::Result<Self> {
        Ok(Self {
            client: server.client()?,
            authorization: server.authorization()?,
            server,
            compressed: Vec::new(),
            tries: 0,
            trouble: Trouble::default(),
        })
    }

    /// Sends some lines until there is a final answer.
    fn send(&mut self, batch: &[u8], queue: &Queue) {
        loop {
            self.client.follow(&self.server, queue.wants_reopening());
            let answer = self.post(batch);
            match answer.verdict {
                Verdict::Accepted => {
                    queue.written(lines(batch));
                    self.trouble.is_over(&self.server);
                    break;
                }
                Verdict::Refused => {
                    let fate = answer.body.fate(answer.status, lines(batch));
                    self.book(fate, answer.cause, batch, queue);
                    break;
                }
                Verdict::TooLarge => match half(batch) {
                    Some(middle) => {
                        self.send(&batch[..middle], queue);
                        return self.send(&batch[middle..], queue);
                    }
                    None => {
                        let fate = Fate {
                            rejected: lines(batch),
                            uncertain: 0,
                        };
                        self.book(fate, answer.cause, batch, queue);
                        break;
                    }
                },
                Verdict::Later => {
                    self.tries = self.tries.saturating_add(1);
                    let cause = answer.cause;
                    self.trouble.waits(&self.server, cause.clone());
                    // As good as chance: no two senders have batches of the same length.
                    let jitter = batch.len() as u8;
                    let pause = pause(self.tries, answer.retry_after.as_deref(), jitter);
                    if !queue.pause(pause) {
                        queue.dropped(lines(batch));
                        let cause = format!("shut down before it was sent: {}", cause.words);
                        return self
                            .trouble
                            .loses(&self.server, lines(batch), "dropped", cause);
                    }
                    queue.retried();
                    // The token may have been changed meanwhile.
                    if let Ok(authorization) = self.server.authorization() {
                        self.authorization = authorization;
                    }
                }
            }
        }
        self.tries = 0;
    }

    /// Counts the lines of a request that was refused, in part or as a whole.
    fn book(&mut self, fate: Fate, cause: Obstacle, batch: &[u8], queue: &Queue) {
        let Fate {
            rejected,
            uncertain,
        } = fate;
        queue.rejected(rejected);
        queue.uncertain(uncertain);
        queue.written(lines(batch) - rejected - uncertain);
        let how = match (rejected, uncertain) {
            (0, 0) => return self.trouble.is_over(&self.server),
            (_, 0) => "rejected",
            (0, _) => "possibly rejected (the server does not say)",
            _ => "rejected, some only possibly",
        };
        self.trouble
            .loses(&self.server, rejected + uncertain, how, cause);
    }

    fn post(&mut self, batch: &[u8]) -> Reply {
        match self.request(batch) {
            Ok(mut response) => {
                let status = response.status();
                let retry_after = response.headers().get("Retry-After");
                let retry_after = retry_after.and_then(|value| value.to_str().ok().map(Into::into));
                let body = response.body_mut().with_config().limit(MOST_ANSWER);
                let body = Body::read(body.read_to_vec().ok().as_deref());
                Reply {
                    verdict: verdict(status.as_u16()),
                    status: status.as_u16(),
                    cause: body.cause(&status.to_string()),
                    body,
                    retry_after,
                }
            }
            Err(error) => {
                self.client.follow(&self.server, true);
                Reply {
                    verdict: Verdict::Later,
                    status: 0,
                    body: Body::default(),
                    cause: error.to_string().into(),
                    retry_after: None,
                }
            }
        }
    }

    fn request(&mut self, batch: &[u8]) -> Result<Response<ureq::Body>, ureq::Error> {
        let agent = self.client.agent()?;
        let mut request = agent
            .post(&self.server.url)
            .header("Content-Type", "text/plain; charset=utf-8");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let body = if self.server.gzip && compress(batch, &mut self.compressed).is_ok() {
            request = request.header("Content-Encoding", "gzip");
            &self.compressed
        } else {
            batch
        };
        request.send(body)
    }
}

impl Output for InfluxWriter {
    fn write(&mut self, batch: &[u8], queue: &Queue) -> io::Result<()> {
        self.send(batch, queue);
        Ok(())
    }

    fn gather(&self) -> Option<Gather> {
        Some(Gather {
            every: EVERY,
            most_bytes: MOST_BYTES,
        })
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn compress(body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.clear();
    let mut encoder = GzEncoder::new(out, Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(drop)
}

#[cfg(test)]
mod tests;
