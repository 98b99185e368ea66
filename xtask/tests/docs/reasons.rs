//! What a page quotes of a reason is in a reason.

use ipvs_sampler::source::feed::Reason;

use crate::{finding::Finding, pages::Pages};

/// The head of the tables that quote reasons in their first column.
const HEAD: &str = "| the reason mentions |";

pub(crate) fn check(pages: &Pages) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        let mut last = None;
        for (line, row) in &page.rows {
            let goes_on = last.is_some_and(|last: usize| last + 1 == *line);
            if !goes_on && !row.starts_with(HEAD) {
                continue;
            }
            last = Some(*line);
            let column = row.split('|').nth(1).unwrap_or_default();
            for quoted in column.split('`').skip(1).step_by(2) {
                if !is_said(quoted) {
                    findings.push(Finding {
                        page: path.clone(),
                        line: *line,
                        what: format!("no reason says `{quoted}`"),
                    });
                }
            }
        }
    }
    findings
}

fn is_said(quoted: &str) -> bool {
    let mut reasons = Reason::ALL.iter();
    reasons.any(|reason| reason.text().contains(quoted))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::finding::found;

    #[test]
    fn a_quotation_that_no_reason_has_is_found() {
        let text = "| other |\n|---|\n| `not a reason` |\n\n| the reason mentions | b |\n|---|---|\n\
                    | `/proc/kallsyms hides addresses`, `subset=pid` | `x` |\n| `the moon is full` | |\n";
        let expected = (8, "no reason says `the moon is full`".to_owned());
        assert_eq!(found(check, text), [expected]);
    }
}
