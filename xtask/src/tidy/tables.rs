//! What ARCHITECTURE.md allows, from its fenced blocks `arrows` and `allowed`.

use std::collections::BTreeMap;

use super::finding::Finding;

pub(super) const FILE: &str = "ARCHITECTURE.md";

/// For each name on the left of a line: what stands on its right, and in which line of the file.
#[derive(Debug)]
pub(super) struct Table(BTreeMap<String, Row>);

#[derive(Debug)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) names: Vec<String>,
}

impl Table {
    /// Reads the block that begins with three backquotes and `kind`. Sides are parted by `sign`.
    pub(super) fn read(text: &str, kind: &str, sign: &str, findings: &mut Vec<Finding>) -> Self {
        let mut wrong = |line: usize, problem: String| {
            findings.push(Finding {
                file: FILE.into(),
                line,
                problem,
            });
        };
        let mut rows = BTreeMap::new();
        let begin = format!("```{kind}");
        let mut lines = (1..).zip(text.lines());
        if !lines.by_ref().any(|(_, line)| line.trim_end() == begin) {
            wrong(0, format!("has no block {begin}: add it"));
        }
        for (line, text) in lines.take_while(|(_, line)| !line.starts_with("```")) {
            if text.trim().is_empty() {
                continue;
            }
            let Some((left, right)) = text.split_once(sign) else {
                wrong(line, format!("write `NAME {sign} NAME, NAME` here"));
                continue;
            };
            let names = right
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            let row = Row {
                line,
                names: names.map(str::to_owned).collect(),
            };
            let left = left.trim();
            if rows.insert(left.to_owned(), row).is_some() {
                wrong(line, format!("`{left}` has two lines: make them one"));
            }
        }
        Self(rows)
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.0.get(name)
    }

    pub(super) fn names(&self, name: &str) -> &[String] {
        self.row(name).map_or(&[], |row| &row.names)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.0.iter().map(|(name, row)| (name.as_str(), row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read() {
        let mut findings = Vec::new();
        let text = "a -> x\n```arrows\na -> b, c/d\n\ne ->\n```\nf -> g\n";
        let table = Table::read(text, "arrows", "->", &mut findings);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(table.names("a"), ["b", "c/d"]);
        assert_eq!(table.row("e").unwrap().line, 5);
        assert!(table.row("f").is_none());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut findings = Vec::new();
        Table::read(
            "```arrows\na b\nc -> d\nc -> e\n```",
            "arrows",
            "->",
            &mut findings,
        );
        Table::read("", "allowed", ":", &mut findings);
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:2: write `NAME -> NAME, NAME` here",
                "ARCHITECTURE.md:4: `c` has two lines: make them one",
                "ARCHITECTURE.md: has no block ```allowed: add it",
            ]
        );
    }
}
