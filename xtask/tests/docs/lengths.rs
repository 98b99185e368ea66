//! How long pages may be.

use crate::{finding::Finding, pages::Pages};

const README: usize = 140;
const PAGE: usize = 300;

pub(crate) fn check(pages: &Pages) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        let most = match path.as_str() {
            "README.md" => README,
            path if path.starts_with("docs/") => PAGE,
            _ => continue,
        };
        if page.lines > most {
            findings.push(Finding {
                page: path.clone(),
                line: most + 1,
                what: format!("has {} lines; the limit is {most}", page.lines),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::pages::Pages;

    #[test]
    fn a_long_page_is_found() {
        let (fits, long) = ("a\n".repeat(140), "a\n".repeat(301));
        let fitting = Pages::made_up(&[("README.md", &fits), ("CHANGELOG.md", &long)]);
        assert_eq!(check(&fitting), []);
        let too_long = Pages::made_up(&[("README.md", &long), ("docs/a.md", &long)]);
        let found: Vec<_> = check(&too_long).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "README.md:141: has 301 lines; the limit is 140",
                "docs/a.md:301: has 301 lines; the limit is 300"
            ]
        );
    }
}
