//! What a rule finds.

use std::fmt;

use crate::pages::Pages;

/// What is wrong where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) page: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.page, self.line, self.what)
    }
}

/// One rule over all pages.
pub(crate) type Rule = fn(&Pages) -> Vec<Finding>;

/// What a rule finds in a page with this text, by line.
pub(crate) fn found(rule: Rule, text: &str) -> Vec<(usize, String)> {
    let findings = rule(&Pages::made_up(&[("page.md", text)]));
    let findings = findings.into_iter();
    findings
        .map(|finding| (finding.line, finding.what))
        .collect()
}
