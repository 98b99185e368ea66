//! The HTTP interfaces for line protocol: InfluxDB 1, 2 and 3, and whoever speaks like them.

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
    http::Uri,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{
    Gather, Output,
    queue::{Queue, lines},
    retry::{Verdict, half, pause, verdict},
};

/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a whole request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// Time between two requests, while there is not more than [`MOST_BYTES`] to send.
const EVERY: Duration = Duration::from_secs(1);
/// Most bytes of a request, before they are compressed: some thousands of lines, as InfluxDB's
/// documentation recommends.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Of an answer, no more is read.
const MOST_ANSWER: u64 = 64 * 1024;

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
pub(super) struct Server {
    version: Version,
    /// As it was given; there are no secrets in it.
    label: String,
    /// The whole address of the interface.
    url: String,
    user: Option<String>,
    /// The token, or the password of `user`.
    secret_file: Option<PathBuf>,
    /// Certificates to trust in place of the usual ones, in PEM.
    ca_file: Option<PathBuf>,
    gzip: bool,
}

impl Server {
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
            return Err("http:// or https:// is to follow the +".into());
        }
        if authority.as_str().contains('@') {
            return Err(
                "credentials go into a file: user=NAME&password-file=PATH or token-file=PATH"
                    .into(),
            );
        }
        let mut server = Self {
            version,
            label: label.into(),
            url: String::new(),
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
                "gzip" => return Err("gzip is on or off".into()),
                "p" | "password" | "token" => {
                    return Err(format!(
                        "{key} goes into a file: password-file=PATH or token-file=PATH"
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
                return Err(format!("{required}=... is missing in the query"));
            }
        }
        let (endpoint, precision) = version.endpoint();
        let path = uri.path().trim_end_matches('/');
        server.url = format!("{scheme}://{authority}{path}{endpoint}?precision={precision}{query}");
        Ok(server)
    }

    fn agent(&self) -> io::Result<Agent> {
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
        Ok(config.build().into())
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

impl std::fmt::Display for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.label)
    }
}

/// The writer to a [`Server`].
pub(super) struct Influx {
    server: Server,
    agent: Agent,
    authorization: Option<String>,
    /// Reused for the compressed body.
    compressed: Vec<u8>,
    /// Tries in vain since the last answer that was final.
    tries: u32,
    /// What was said last, so that it is said once.
    trouble: Option<String>,
}

/// The server's answer.
struct Answer {
    verdict: Verdict,
    /// In short, for a person.
    message: String,
    retry_after: Option<String>,
}

impl Influx {
    pub(super) fn open(server: Server) -> io::Result<Self> {
        Ok(Self {
            agent: server.agent()?,
            authorization: server.authorization()?,
            server,
            compressed: Vec::new(),
            tries: 0,
            trouble: None,
        })
    }

    /// Sends some lines until there is a final answer.
    fn send(&mut self, batch: &[u8], queue: &Queue) {
        loop {
            let answer = self.post(batch);
            match answer.verdict {
                Verdict::Accepted => {
                    queue.written(lines(batch));
                    self.say(None);
                    break;
                }
                Verdict::Rejected => {
                    let rejected = rejected(&answer.message, lines(batch));
                    queue.rejected(rejected);
                    queue.written(lines(batch) - rejected);
                    self.say(Some(&format!("lines are refused: {}", answer.message)));
                    break;
                }
                Verdict::TooLarge => match half(batch) {
                    Some(middle) => {
                        self.send(&batch[..middle], queue);
                        return self.send(&batch[middle..], queue);
                    }
                    None => {
                        queue.rejected(lines(batch));
                        self.say(Some(&answer.message));
                        break;
                    }
                },
                Verdict::Later => {
                    self.tries = self.tries.saturating_add(1);
                    self.say(Some(&format!("trying again: {}", answer.message)));
                    // As good as chance: no two senders have batches of the same length.
                    let jitter = batch.len() as u8;
                    let pause = pause(self.tries, answer.retry_after.as_deref(), jitter);
                    if !queue.pause(pause) {
                        return queue.dropped(lines(batch));
                    }
                    // The token may have been changed meanwhile.
                    if let Ok(authorization) = self.server.authorization() {
                        self.authorization = authorization;
                    }
                }
            }
        }
        self.tries = 0;
    }

    fn post(&mut self, batch: &[u8]) -> Answer {
        let mut request = self
            .agent
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
        match request.send(body) {
            Ok(mut response) => {
                let status = response.status().as_u16();
                let retry_after = response.headers().get("Retry-After");
                let retry_after = retry_after.and_then(|value| value.to_str().ok().map(Into::into));
                let body = response.body_mut().with_config().limit(MOST_ANSWER);
                let body = body.read_to_string().unwrap_or_default();
                Answer {
                    verdict: verdict(status),
                    message: short(&format!("{status} {body}")),
                    retry_after,
                }
            }
            Err(error) => Answer {
                verdict: Verdict::Later,
                message: short(&error.to_string()),
                retry_after: None,
            },
        }
    }

    fn say(&mut self, trouble: Option<&str>) {
        if self.trouble.as_deref() == trouble {
            return;
        }
        match trouble {
            Some(trouble) => log::warn!("{}: {trouble}", self.server),
            None => log::info!("{}: lines are taken again", self.server),
        }
        self.trouble = trouble.map(Into::into);
    }
}

impl Output for Influx {
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

/// InfluxDB stores the good lines of a batch and says how many it did not: `partial write: ...
/// dropped=N`.
fn rejected(message: &str, all: u64) -> u64 {
    let number = message.rsplit_once("dropped=").and_then(|(_, rest)| {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    number.unwrap_or(all).min(all)
}

/// One line without control characters, not too long.
fn short(text: &str) -> String {
    const MOST: usize = 300;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MOST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
