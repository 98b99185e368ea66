//! Where output can go, by name.

use std::{io, str::FromStr, sync::Arc};

use super::{
    datagram::{self, Datagrams},
    file::{self, File},
    influx::{InfluxServer, InfluxWriter},
    output::Output,
    page::Pages,
    prometheus,
    pulse::Pulse,
    stdout::Stdout,
    stream::{self, Stream},
};

/// An output as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(TargetKind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum TargetKind {
    Stdout,
    File(file::FilePlace),
    Stream(stream::StreamPeer),
    Datagrams(datagram::DatagramPeer),
    Influx(InfluxServer),
    Prometheus(Listener),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener {
    /// As it was given, after the scheme.
    given: String,
    /// Host and port.
    address: String,
}

/// An output that is open.
pub(super) enum Opened {
    /// It takes batches of lines.
    Lines(Box<dyn Output>),
    /// It takes pages.
    Pages(prometheus::Server),
}

const EXPECTED: &str = "expected stdout, file:PATH, unix:PATH, unixgram:PATH, tcp://HOST:PORT, \
                        udp://HOST:PORT, influx+http://HOST:PORT/?db=NAME, \
                        influx2+http://HOST:PORT/?org=NAME&bucket=NAME, \
                        influx3+http://HOST:PORT/?db=NAME (or https), or prometheus://HOST:PORT";

impl Target {
    /// Whether it is standard output: then somebody else knows where lines come from.
    #[must_use]
    pub fn is_standard_output(&self) -> bool {
        self.0 == TargetKind::Stdout
    }

    /// Whether lines are written to it, as they come.
    #[must_use]
    pub fn takes_lines(&self) -> bool {
        !matches!(self.0, TargetKind::Prometheus(_))
    }

    /// Whether it takes something in the file system, which may be somebody else's: where it writes to, or
    /// its secret.
    #[must_use]
    pub fn has_path(&self) -> bool {
        match &self.0 {
            TargetKind::File(_)
            | TargetKind::Stream(stream::StreamPeer::Unix(_))
            | TargetKind::Datagrams(datagram::DatagramPeer::Unix(_)) => true,
            TargetKind::Influx(server) => server.has_path(),
            TargetKind::Stdout
            | TargetKind::Stream(_)
            | TargetKind::Datagrams(_)
            | TargetKind::Prometheus(_) => false,
        }
    }

    /// Looks whether what it takes before anything is written is there: secrets and certificates.
    ///
    /// # Errors
    /// Which file cannot be read or does not have what it should.
    pub fn check(&self) -> io::Result<()> {
        match &self.0 {
            TargetKind::Influx(server) => InfluxWriter::open(server.clone()).map(drop),
            _ => Ok(()),
        }
    }

    /// Opens it. Who is not there yet is tried again later; only a file has to be there now, and an address
    /// to be served at has to be free.
    ///
    /// # Errors
    /// When a file cannot be opened for appending, one with a secret or certificates cannot be read, or an
    /// address cannot be had.
    pub(super) fn open(&self, pages: &Arc<Pages>, pulse: &Arc<Pulse>) -> io::Result<Opened> {
        Ok(Opened::Lines(match &self.0 {
            TargetKind::Stdout => Box::new(Stdout),
            TargetKind::File(place) => Box::new(File::open(place.clone())?),
            TargetKind::Stream(peer) => Box::new(Stream::new(peer.clone())),
            TargetKind::Datagrams(peer) => Box::new(Datagrams::new(peer.clone())),
            TargetKind::Influx(server) => Box::new(InfluxWriter::open(server.clone())?),
            TargetKind::Prometheus(Listener { address, .. }) => {
                let (pages, pulse) = (Arc::clone(pages), Arc::clone(pulse));
                let server = prometheus::Server::open(address, pages, pulse)?;
                return Ok(Opened::Pages(server));
            }
        }))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(server) = InfluxServer::parse(text) {
            return Ok(Self(TargetKind::Influx(server?)));
        }
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        let kind = match (scheme, rest) {
            ("stdout", "") => TargetKind::Stdout,
            (_, "") => return Err(EXPECTED.into()),
            ("file", place) => TargetKind::File(place.parse()?),
            ("unix", path) => TargetKind::Stream(stream::StreamPeer::Unix(path.into())),
            ("unixgram", path) => TargetKind::Datagrams(datagram::DatagramPeer::Unix(path.into())),
            ("tcp", rest) => TargetKind::Stream(stream::StreamPeer::Tcp(host_and_port(rest)?)),
            ("udp", rest) => {
                TargetKind::Datagrams(datagram::DatagramPeer::Udp(host_and_port(rest)?))
            }
            ("prometheus", rest) => TargetKind::Prometheus(listener(rest)?),
            _ => return Err(EXPECTED.into()),
        };
        Ok(Self(kind))
    }
}

/// What follows `tcp:` or `udp:`.
fn host_and_port(rest: &str) -> Result<String, String> {
    let address = rest.strip_prefix("//").ok_or(EXPECTED)?;
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
    if host.is_empty() {
        return Err("the host is missing".into());
    }
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err("an IPv6 address needs brackets".into());
    }
    let port: u16 = port
        .parse()
        .map_err(|_| "the port is not a number from 0 to 65535")?;
    Ok(format!("{host}:{port}"))
}

/// What follows `prometheus:`. Without a host it is for this machine only.
fn listener(rest: &str) -> Result<Listener, String> {
    let given = rest.strip_suffix('/').unwrap_or(rest);
    let address = match given.strip_prefix("//:") {
        Some(port) => host_and_port(&format!("//127.0.0.1:{port}"))?,
        None => host_and_port(given)?,
    };
    Ok(Listener {
        given: given.into(),
        address,
    })
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            TargetKind::Stdout => formatter.write_str("stdout"),
            TargetKind::File(place) => write!(formatter, "file:{place}"),
            TargetKind::Stream(peer) => peer.fmt(formatter),
            TargetKind::Datagrams(peer) => peer.fmt(formatter),
            TargetKind::Influx(server) => server.fmt(formatter),
            TargetKind::Prometheus(Listener { given, .. }) => {
                write!(formatter, "prometheus:{given}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_secret_is_in_the_file_system_like_a_file() {
        for (output, has_path) in [
            ("stdout", false),
            ("tcp://localhost:8094", false),
            ("influx+http://localhost:8086/?db=lb", false),
            ("influx3+https://host/?db=lb&token-file=/etc/token", true),
            ("influx+https://host/?db=lb&ca-file=/etc/ca.pem", true),
            ("unix:/run/telegraf.sock", true),
            ("file:/tmp/lines", true),
        ] {
            let target: Target = output.parse().unwrap();
            assert_eq!(target.has_path(), has_path, "{output}");
        }
    }

    #[test]
    fn outputs_are_named_by_kind() {
        for right in [
            "stdout",
            "file:/tmp/a:b",
            "file:/tmp/a?rotate-size=1GiB&keep=3&zstd=on",
            "unix:/run/telegraf.sock",
            "unixgram:/run/telegraf.sock",
            "tcp://localhost:8094",
            "udp://[::1]:8094",
            "influx+http://localhost:8086/?db=lb",
            "influx3+https://host/?db=lb&token-file=/etc/token",
            "prometheus://127.0.0.1:10117",
            "prometheus://[::1]:10117",
            "prometheus://:10117",
        ] {
            let target: Target = right.parse().unwrap();
            assert_eq!(target.to_string(), right);
        }
        for wrong in [
            "",
            "file:",
            "udp:1.2.3.4:1",
            "tcp://host",
            "tcp://:1",
            "tcp://::1:8094",
            "tcp://host:99999",
            "http://host:1",
            "prometheus:",
            "prometheus://host",
            "prometheus://:",
            "prometheus://:10117/metrics",
            "prometheus://::1:10117",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
