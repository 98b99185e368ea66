//! The documents: the generated pages are what the tables and the command line say, and all pages hold what they
//! promise: their length, their links, and that what they tell people to type is understood.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod blocks;
mod commands;
mod finding;
mod generated;
mod lengths;
mod links;
mod markdown;
mod marked;
mod metrics;
mod options;
mod pages;
mod reasons;
mod shell;

use finding::{Finding, Rule};
use pages::Pages;

const RULES: [Rule; 7] = [
    lengths::check,
    links::check,
    commands::check_blocks,
    commands::check_inline_commands,
    commands::check_inline,
    reasons::check,
    blocks::check,
];

fn findings(pages: &Pages) -> Vec<Finding> {
    RULES.into_iter().flat_map(|rule| rule(pages)).collect()
}

#[test]
fn documents_hold_what_they_promise() {
    let findings: Vec<_> = findings(&Pages::of_repository())
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        findings.is_empty(),
        "{} finding(s):\n{}",
        findings.len(),
        findings.join("\n")
    );
}
