//! `cargo xtask bench`: what a live sampler costs, as one Markdown table.
//!
//! The host's part is the benches `live` and `output` of ipvs-sampler, the guest's the test target `measure`. Each
//! prints lines of the form `measured: WHAT | FIGURE | TARGET`.

use anyhow::{Result, bail};

use super::setup;
use crate::{
    cargo,
    debian::kernel::{Kernel, Series},
    ebpf, exec,
    exec::progress,
    guest::{run::Guest, terminal},
    paths::Workspace,
    report::Outcome,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure on this kernel only; this needs root
    #[arg(long, conflicts_with = "guest_only")]
    host_only: bool,
    /// Measure in the guest only
    #[arg(long)]
    guest_only: bool,
    /// The guest's kernel
    #[arg(long, value_name = "VERSION", default_value = "6.12")]
    kernel: Series,
    #[command(flatten)]
    setup: setup::Args,
    /// In the guest, measure only what has this in its name
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::find()?;
    setup::ensure(&args.setup)?;
    let mut rows = Rows::default();
    if !args.guest_only {
        on_host(&workspace, &mut rows)?;
    }
    if !args.host_only {
        in_guest(args, &workspace, &mut rows)?;
    }
    print!("{}", rows.table());
    Ok(())
}

/// `cargo bench` with the object inside.
fn on_host(workspace: &Workspace, rows: &mut Rows) -> Result<()> {
    let object = ebpf::build(workspace)?;
    progress("measuring on the host");
    let mut command = cargo::command();
    command
        .args([
            "bench",
            "--quiet",
            "--package=ipvs-sampler",
            "--bench=live",
            "--bench=output",
        ])
        .env(ebpf::VARIABLE, object);
    let status = exec::each_line(&mut command, |line| {
        progress(line);
        rows.line("host", line);
    })?;
    if !status.success() {
        bail!("`cargo bench` failed ({status})");
    }
    Ok(())
}

fn in_guest(args: &Args, workspace: &Workspace, rows: &mut Rows) -> Result<()> {
    let guest = Guest::build(workspace, "measure", args.filter.as_deref())?;
    let kernel = Kernel::get(args.kernel)?;
    let interrupted = terminal::interruption()?;
    let report = guest.run(&kernel, &interrupted, &mut |line| rows.line("guest", line))?;
    match report.outcome {
        Outcome::Ran(counts) if counts.failed == 0 => Ok(()),
        Outcome::Ran(counts) => bail!("not all could be measured: {counts}"),
        Outcome::Broke(_, reason) | Outcome::NotAvailable(reason) => bail!(reason),
    }
}

/// What was measured where.
#[derive(Default)]
struct Rows(Vec<String>);

impl Rows {
    /// Takes a line; only those that begin a row count.
    fn line(&mut self, place: &str, line: &str) {
        if let Some(row) = line.strip_prefix("measured: ") {
            self.0.push(format!("| {place} | {row} |"));
        }
    }

    fn table(&self) -> String {
        let head = "| where | what | measured | target |\n|---|---|---:|---:|\n";
        let rows: String = self.0.iter().map(|row| format!("{row}\n")).collect();
        format!("{head}{rows}")
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn rows_are_found_among_other_lines() {
        let mut rows = Rows::default();
        rows.line("guest", "test a ...");
        rows.line("guest", "measured: a tick | 1 ms | 2 ms");
        let table = rows.table();
        assert_eq!(table.lines().count(), 3);
        assert!(table.ends_with("| guest | a tick | 1 ms | 2 ms |\n"));
    }
}
