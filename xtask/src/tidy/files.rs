//! What holds in each file by itself: its length, and a reason for each `unsafe` block.

use super::{
    finding::Finding,
    imports::Crate,
    items,
    tree::{File, Files},
};

const MOST_LINES: usize = 500;

/// No file for production is longer than it should be.
pub(super) fn check_length(krate: &Crate<'_>, files: &Files, findings: &mut Vec<Finding>) {
    for (name, file) in files.within(krate.folder) {
        let is_test = krate
            .modules
            .iter()
            .any(|module| module.file == name && module.is_test);
        let lines = file.text.lines().count();
        if lines > MOST_LINES && !is_test {
            findings.push(Finding::file(
                &format!("{}/{name}", krate.folder),
                format!("has {lines} lines, and {MOST_LINES} are the most: split it by subject"),
            ));
        }
    }
}

/// Each `unsafe` block says why it is sound.
pub(super) fn check_reasons(path: &str, file: &File, findings: &mut Vec<Finding>) {
    let words = items::words(&file.code);
    for pair in words.windows(2) {
        if pair[0].text == "unsafe" && pair[1].text == "{" && !has_reason(file, pair[0].line) {
            findings.push(Finding {
                file: path.to_owned(),
                line: pair[0].line,
                problem: "this `unsafe` block has no reason: write `// SAFETY: ...` above it"
                    .into(),
            });
        }
    }
}

/// Whether the comment above the statement that line `line` belongs to, or beside it, has a reason.
fn has_reason(file: &File, line: usize) -> bool {
    let texts: Vec<_> = file.text.lines().take(line).collect();
    let codes: Vec<_> = file.code.lines().take(line).collect();
    for (distance, (text, code)) in texts.iter().zip(&codes).rev().enumerate() {
        let code = code.trim();
        let comment = text.split_once("//").map_or("", |(_, comment)| comment);
        if comment.contains("SAFETY:") && (code.is_empty() || distance == 0) {
            return true;
        }
        let is_comment = code.is_empty() && !comment.is_empty();
        let ends_statement = code.is_empty() || code.ends_with([';', '{', '}']);
        if distance > 0 && !is_comment && ends_statement {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_reason(text: &str) -> Vec<usize> {
        let files = Files::made_up(&[("a.rs", text)]);
        let mut findings = Vec::new();
        for (path, file) in files.iter() {
            check_reasons(path, file, &mut findings);
        }
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_unsafe_block_without_a_reason_is_found() {
        assert_eq!(without_reason("fn a() {\n    unsafe { b() }\n}"), [2]);
        assert_eq!(without_reason("// Why not.\nunsafe { b() }"), [2]);
        assert_eq!(
            without_reason("// SAFETY: of c.\nc();\nunsafe { b() }"),
            [3]
        );
        assert_eq!(without_reason("// SAFETY: of c.\n\nunsafe { b() }"), [3]);
    }

    #[test]
    fn a_reason_stands_above_the_statement() {
        assert_eq!(
            without_reason("// SAFETY: as above,\n// and below.\nunsafe { b() }"),
            [0; 0]
        );
        assert_eq!(
            without_reason("// SAFETY: x.\nlet a =\n    unsafe { b() };"),
            [0; 0]
        );
        assert_eq!(without_reason("unsafe { b() } // SAFETY: x."), [0; 0]);
        assert_eq!(
            without_reason("unsafe fn a() {}\n#[unsafe(no_mangle)]\nstatic A: u8 = 0;"),
            [0; 0]
        );
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_for_tests() {
        let long = "\n".repeat(MOST_LINES + 1);
        let files = Files::made_up(&[
            ("own/src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;"),
            ("own/src/a.rs", &long),
            ("own/src/b.rs", &long[1..]),
            ("own/src/tests.rs", &long),
        ]);
        let mut findings = Vec::new();
        check_length(&Crate::read(&files, "own/src"), &files, &mut findings);
        let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["own/src/a.rs: has 501 lines, and 500 are the most: split it by subject"]
        );
    }
}
