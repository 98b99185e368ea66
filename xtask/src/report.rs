//! How the tests went, place by place: the host, a kernel, the packages.

use anyhow::{Result, bail};

use crate::libtest::Counts;

/// How it went in one place.
pub(crate) struct Report {
    pub(crate) place: String,
    pub(crate) outcome: Outcome,
    /// The names of tests that failed.
    pub(crate) failed: Vec<String>,
}

/// How it went.
pub(crate) enum Outcome {
    Ran(Counts),
    /// The run broke off, for this reason.
    Broke(Counts, String),
    /// The kernel cannot be had, and need not.
    NotAvailable(String),
}

impl Report {
    /// Of a place whose failed tests have no names.
    pub(crate) fn of(place: &str, outcome: Outcome) -> Self {
        Self {
            place: place.to_owned(),
            outcome,
            failed: Vec::new(),
        }
    }

    /// Of a place where nothing could be tested, for this reason.
    pub(crate) fn broken(place: &str, why: &anyhow::Error) -> Self {
        Self::of(place, Outcome::Broke(Counts::default(), format!("{why:#}")))
    }

    /// Of a place that cannot be had: a failure only where it has to be there.
    pub(crate) fn without(place: &str, why: &anyhow::Error, required: bool) -> Self {
        if required {
            Self::broken(place, why)
        } else {
            Self::of(place, Outcome::NotAvailable(format!("{why:#}")))
        }
    }
}

/// Prints the closing summary; an error if anything failed or nothing ran.
pub(crate) fn conclude(reports: &[Report]) -> Result<()> {
    let mut total = Counts::default();
    println!("\nsummary:");
    for Report {
        place,
        outcome,
        failed,
    } in reports
    {
        match outcome {
            Outcome::Ran(counts) => {
                total += *counts;
                println!("  {place:<7} {counts}");
            }
            Outcome::Broke(counts, reason) => {
                let counts = counts.at_least_one_failed();
                total += counts;
                println!("  {place:<7} {counts}: {reason}");
            }
            Outcome::NotAvailable(reason) => println!("  {place:<7} not available: {reason}"),
        }
        for name in failed {
            println!("          failed: {name}");
        }
    }
    let absent = reports
        .iter()
        .filter(|r| matches!(r.outcome, Outcome::NotAvailable(_)))
        .count();
    if absent > 0 {
        println!("{absent} place(s) not available");
    }
    println!("{total}");
    if total.failed > 0 {
        bail!("tests failed");
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}
