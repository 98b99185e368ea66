//! The dashboards' queries and the alert rules, before those who will have to answer them: promtool, and an
//! InfluxDB with lines in it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{debian::servers, exec, paths::Workspace};

/// Series of a director, which a test of the alert rules makes up.
const ALERTS: &str = include_str!("alerts.yml");

/// promtool takes configuration and rules, the rules do what they should, and every query is PromQL.
pub(crate) fn prometheus_takes_everything(workspace: &Workspace) -> Result<()> {
    let servers = servers::get()?;
    let dir = tempfile::TempDir::with_prefix("ipvs-sampler-promtool-")?;
    let examples = workspace.root.join("packaging/examples");
    for file in ["prometheus.yml", "prometheus-rules.yml"] {
        fs::copy(examples.join(file), dir.path().join(file))?;
    }
    fs::write(dir.path().join("alerts.yml"), ALERTS)?;
    // A rule takes a bare expression, as a panel does.
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    let queries = queries(workspace, "ipvs-sampler-prometheus.json", "expr")?;
    ensure!(!queries.is_empty(), "the dashboard has no queries");
    for (index, query) in queries.iter().enumerate() {
        // JSON's texts are YAML's.
        let query = Value::from(query.replace("$__rate_interval", "1m"));
        rules.push_str(&format!(
            "      - record: panel:{index}\n        expr: {query}\n"
        ));
    }
    fs::write(dir.path().join("dashboard.yml"), rules)?;
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "dashboard.yml"],
        ["test", "rules", "alerts.yml"],
    ] {
        let mut command = servers::command(&servers, "promtool");
        exec::capture(command.args(arguments).current_dir(dir.path()))?;
    }
    Ok(())
}

/// An InfluxDB answers every query with series, and sums with the right sum.
pub(crate) fn influxdb_answers_every_query(workspace: &Workspace) -> Result<()> {
    let server = Server::start(&servers::get()?)?;
    server.ask("CREATE DATABASE ipvs")?;
    server.post("/write?db=ipvs", &lines()?)?;
    let board = "ipvs-sampler-influxdb.json";
    for query in queries(workspace, board, "query")? {
        ensure!(
            !series(&server.ask(&query)?).is_empty(),
            "no answer to {query}"
        );
    }
    // Two services with the same two destinations, of which one has 1 connection and the other 2.
    for (title, expected) in [
        ("Active connections", 6.0),
        ("Destinations with weight 0", 2.0),
        ("Overloaded destinations", 2.0),
        ("Virtual services", 2.0),
        ("Destinations", 4.0),
    ] {
        let query = stat(workspace, board, title)?;
        let answer = server.ask(&query)?;
        let rows = series(&answer)[0]["values"].as_array().context("no rows")?;
        let last = rows.last().and_then(|row| row[1].as_f64());
        ensure!(
            last == Some(expected),
            "{title}: {last:?} in place of {expected}: {query}"
        );
    }
    Ok(())
}

fn series(answer: &Value) -> &[Value] {
    answer["results"][0]["series"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn panels(workspace: &Workspace, board: &str) -> Result<Vec<Value>> {
    let path = workspace.root.join("packaging/grafana").join(board);
    let board: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    Ok(board["panels"].as_array().context("no panels")?.clone())
}

/// All queries of a dashboard, with variables as Grafana puts them when all is chosen.
fn queries(workspace: &Workspace, board: &str, key: &str) -> Result<Vec<String>> {
    let mut queries = Vec::new();
    for panel in panels(workspace, board)? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(filled(target[key].as_str().context("no query")?));
        }
    }
    Ok(queries)
}

/// The query of the one-number panel of this title.
fn stat(workspace: &Workspace, board: &str, title: &str) -> Result<String> {
    let panels = panels(workspace, board)?;
    let panel = panels
        .iter()
        .find(|panel| panel["title"] == title && panel["type"] == "stat");
    let query = panel.and_then(|panel| panel["targets"][0]["query"].as_str());
    Ok(filled(query.with_context(|| format!("no panel {title}"))?))
}

fn filled(query: &str) -> String {
    let mut query = query
        .replace("$timeFilter", "time > now() - 15m")
        .replace("$__interval", "10s");
    for variable in ["$host", "$instance", "$service", "$fwmark", "$destination"] {
        query = query.replace(variable, ".*");
    }
    query
}

/// A minute and a half of a director with two services, by address and by firewall mark.
fn lines() -> Result<String> {
    let end = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 10 * 10;
    let mut lines = String::new();
    for step in 0..10 {
        let counters = format!(
            "bytes_in={step}i,bytes_out={step}i,connections={step}i,cps=1i,pkts_in={step}i,pkts_out={step}i"
        );
        let time = (end - 90 + step * 10) * 1_000_000_000;
        let mut line = |series: &str, fields: &str| {
            lines.push_str(&format!("{series} {fields} {time}\n"));
        };
        for service in ["address=10.0.0.1,port=80,protocol=tcp", "fwmark=7"] {
            line(
                &format!("ipvs_virtual_server,host=lb1,sched=wlc,{service}"),
                &counters,
            );
        }
        for service in [
            "virtual_address=10.0.0.1,virtual_port=80,virtual_protocol=tcp",
            "virtual_fwmark=7",
        ] {
            for number in [1, 2] {
                let more = format!(
                    "active_connections={number}i,inactive_connections=0i,weight={}i,overloaded={}i",
                    number - 1,
                    number - 1
                );
                line(
                    &format!("ipvs_real_server,host=lb1,address=10.1.0.{number},port=80,{service}"),
                    &format!("{more},{counters}"),
                );
            }
        }
        line(
            "ipvs_sampler,host=lb1",
            "mode=\"live\",reason=\"\",version=\"1\",services=2i,destinations=4i,ticks=1i,ticks_missed=0i,\
             tick_work_ns_p50=1i,tick_work_ns_p99=2i,tick_work_ns_max=3i,dump_ns_p50=1i,dump_ns_max=2i,\
             events_missed=0i,records_lost=0i,records_lost_changes=0i",
        );
        line(
            "ipvs_sampler_output,host=lb1,output=stdout",
            "bytes_waiting=0i,lines_dropped=0i,lines_rejected=0i,lines_uncertain=0i",
        );
    }
    Ok(lines)
}

/// An InfluxDB on this machine's loopback; it is gone when this value is.
struct Server {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start(servers: &Path) -> Result<Self> {
        let dir = tempfile::TempDir::with_prefix("ipvs-sampler-influxdb-")?;
        let at = dir.path().display();
        let [port, other] = [free_port()?, free_port()?];
        let configuration = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{other}\"\n\
             [meta]\ndir = \"{at}/meta\"\n[data]\ndir = \"{at}/data\"\nwal-dir = \"{at}/wal\"\n\
             [http]\nbind-address = \"127.0.0.1:{port}\"\n"
        );
        let path = dir.path().join("influxdb.conf");
        fs::write(&path, configuration)?;
        let child = servers::command(servers, "influxd")
            .arg("-config")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start influxd")?;
        let server = Self {
            child,
            port,
            _dir: dir,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.ask("SHOW DATABASES").is_err() {
            ensure!(Instant::now() < deadline, "influxd does not answer");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    /// The answer to a query in InfluxQL.
    fn ask(&self, query: &str) -> Result<Value> {
        let escaped: String = query
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let text = self.post("/query?db=ipvs", &format!("q={escaped}"))?;
        let answer: Value = serde_json::from_str(&text).context(text)?;
        let error = &answer["results"][0]["error"];
        ensure!(error.is_null(), "{error}: {query}");
        Ok(answer)
    }

    /// The body of the answer. HTTP 1.0: it ends with the connection.
    fn post(&self, path: &str, body: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split_whitespace().nth(1).unwrap_or_default();
        if !status.starts_with('2') {
            bail!("influxd says {status}: {body}");
        }
        Ok(body.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
