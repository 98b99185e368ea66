//! Links that stay in the repository lead somewhere, and every page of docs/ can be reached from the README.

use std::collections::BTreeSet;

use crate::{finding::Finding, pages::Pages};

const START: &str = "README.md";

pub(crate) fn check(pages: &Pages) -> Vec<Finding> {
    let mut findings = broken(pages);
    findings.extend(unreachable(pages));
    findings
}

fn broken(pages: &Pages) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, page) in &pages.pages {
        for (line, link) in &page.links {
            let Some((target, anchor)) = local(path, link) else {
                continue;
            };
            let what = if !pages.has_file(&target) {
                format!("`{link}` leads nowhere: there is no {target}")
            } else if let (Some(page), Some(anchor)) = (pages.pages.get(&target), anchor)
                && !page.anchors.iter().any(|known| known == anchor)
            {
                format!("`{link}` leads nowhere: {target} has no heading #{anchor}")
            } else {
                continue;
            };
            findings.push(Finding {
                page: path.clone(),
                line: *line,
                what,
            });
        }
    }
    findings
}

fn unreachable(pages: &Pages) -> Vec<Finding> {
    let mut reached = BTreeSet::from([START.to_owned()]);
    let mut waiting = vec![START.to_owned()];
    while let Some(path) = waiting.pop() {
        let Some(page) = pages.pages.get(&path) else {
            continue;
        };
        for (_, link) in &page.links {
            if let Some((target, _)) = local(&path, link)
                && reached.insert(target.clone())
            {
                waiting.push(target);
            }
        }
    }
    let pages = pages.pages.keys();
    let lost = pages.filter(|path| path.starts_with("docs/") && !reached.contains(*path));
    lost.map(|path| Finding {
        page: path.clone(),
        line: 1,
        what: format!("cannot be reached from {START} by links"),
    })
    .collect()
}

/// The path that a link leads to, and the heading there; none when it leads out of the repository.
fn local<'a>(from: &str, link: &'a str) -> Option<(String, Option<&'a str>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    };
    if path.is_empty() {
        return Some((from.to_owned(), anchor));
    }
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // Above the root nothing is found.
            ".." if parts.last().is_some_and(|part| *part != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), anchor))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::pages::Pages;

    fn found(texts: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&Pages::made_up(texts));
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let texts = [
            (
                "README.md",
                "# Top\n[a](docs/a.md#the-end), [up](#top), [out](https://example.org/x#y)",
            ),
            (
                "docs/a.md",
                "## The end\n[b](in/b.md), [back](../README.md#top), [folder](in/)",
            ),
            ("docs/in/b.md", "[a](../a.md)"),
            ("docs/in", ""),
        ];
        assert_eq!(
            found(&texts[..3])[..1],
            ["docs/a.md:2: `in/` leads nowhere: there is no docs/in"]
        );
        let mut pages = Pages::made_up(&texts);
        pages.pages.remove("docs/in");
        assert_eq!(check(&pages), []);
    }

    #[test]
    fn links_that_lead_nowhere_are_found_and_so_are_pages_that_nothing_leads_to() {
        let texts = [
            (
                "README.md",
                "[a](docs/b.md)\n[c](#nothing)\n[d](docs/a.md#end)\n[e](../../x.md)",
            ),
            ("docs/a.md", "# End of it"),
            ("docs/lost.md", "[a](a.md)"),
        ];
        assert_eq!(
            found(&texts),
            [
                "README.md:1: `docs/b.md` leads nowhere: there is no docs/b.md",
                "README.md:2: `#nothing` leads nowhere: README.md has no heading #nothing",
                "README.md:3: `docs/a.md#end` leads nowhere: docs/a.md has no heading #end",
                "README.md:4: `../../x.md` leads nowhere: there is no ../../x.md",
                "docs/lost.md:1: cannot be reached from README.md by links",
            ]
        );
    }
}
