//! Clocks are read, and `unsafe` is written, only where ARCHITECTURE.md has room for it.

use super::{
    finding::Finding,
    imports::Crate,
    items::Word,
    rooms::{exists, is_within, place},
    tables,
    tables::Table,
};

const CLOCK: &str = "clock";
const UNSAFE: &str = "unsafe";

/// Types whose `now` reads a clock.
const CLOCKS: [&str; 3] = ["Moment", "Instant", "SystemTime"];

/// Holds what `krate` does against the places that the table allows.
pub(super) fn check(krate: &Crate<'_>, allowed: &Table, findings: &mut Vec<Finding>) {
    for (subject, row) in allowed.iter() {
        let mut wrong = |problem: String| {
            findings.push(Finding {
                file: tables::FILE.into(),
                line: row.line,
                problem,
            });
        };
        if ![CLOCK, UNSAFE].contains(&subject) {
            wrong(format!(
                "`{subject}` is neither `{CLOCK}` nor `{UNSAFE}`: delete the line"
            ));
        }
        for name in row.names.iter().filter(|name| !exists(krate, name)) {
            wrong(format!(
                "`{name}` is not a file or folder of {}: rename or delete it",
                krate.folder
            ));
        }
    }
    for (index, module) in krate.modules.iter().enumerate() {
        if module.is_test {
            continue;
        }
        let is_allowed = |subject| {
            let names = allowed.names(subject);
            names.iter().any(|name| is_within(place(module.file), name))
        };
        let (reads, writes) = (is_allowed(CLOCK), is_allowed(UNSAFE));
        for (at, word) in module.words.iter().enumerate() {
            let (subject, what) = if !reads && reads_clock(&module.words[at..]) {
                (CLOCK, "no clock is read here: take the time as an argument")
            } else if !writes && word.text == "unsafe" {
                (UNSAFE, "no `unsafe` here: move it to where it may be")
            } else {
                continue;
            };
            findings.push(Finding {
                file: krate.file(index),
                line: word.line,
                problem: format!(
                    "{what}, or add `{}` to `{subject}:` in {}",
                    place(module.file),
                    tables::FILE
                ),
            });
        }
    }
}

fn reads_clock(words: &[Word<'_>]) -> bool {
    match words {
        [first, ..] if first.text == "clock_gettime" => true,
        [first, second, third, ..] => {
            CLOCKS.contains(&first.text) && second.text == "::" && third.text == "now"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Files, *};

    fn found(text: &str, allowed: &str) -> Vec<String> {
        let files = Files::made_up(&[("own/src/lib.rs", ""), ("own/src/a/b.rs", text)]);
        let mut findings = Vec::new();
        let block = format!("```allowed\n{allowed}\n```");
        let table = Table::read(&block, "allowed", ":", &mut findings);
        check(&Crate::read(&files, "own/src"), &table, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_clock_is_read_in_its_places_alone() {
        for text in [
            "\nMoment::now()",
            "\nInstant::now",
            "\nstd::time::SystemTime::now()",
            "\nclock_gettime(x)",
        ] {
            let found_without = found(text, "clock:");
            assert_eq!(
                found_without,
                [
                    "own/src/a/b.rs:2: no clock is read here: take the time as an argument, \
                  or add `a/b` to `clock:` in ARCHITECTURE.md"
                ],
                "{text}"
            );
            assert!(found(text, "clock: a").is_empty() && found(text, "clock: a/b").is_empty());
        }
        assert!(found("fn f(now: Instant) { now.elapsed() }", "clock:").is_empty());
        assert!(found("#[cfg(test)] mod t { Instant::now() }", "clock:").is_empty());
    }

    #[test]
    fn unsafe_is_in_its_places_alone() {
        let found_without = found("fn f() {\n unsafe { } }", "unsafe:");
        assert!(
            found_without[0].starts_with("own/src/a/b.rs:2: no `unsafe` here"),
            "{found_without:?}"
        );
        assert!(found("fn f() { unsafe { } }", "unsafe: a").is_empty());
        assert!(found("// unsafe\nfn f() { \"unsafe\" }", "unsafe:").is_empty());
    }

    #[test]
    fn places_are_there() {
        let found = found("", "clock: c\nother: a");
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:2: `c` is not a file or folder of own/src: rename or delete it",
                "ARCHITECTURE.md:3: `other` is neither `clock` nor `unsafe`: delete the line",
            ]
        );
    }
}
