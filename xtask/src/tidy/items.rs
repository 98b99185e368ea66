//! The code of a file, cut into words; what is compiled for tests alone can be told from the rest.

/// A name, a number, `::` or a single sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// Counted from 1.
    pub(super) line: usize,
}

/// All words of code that has no comments any more.
pub(super) fn words(code: &str) -> Vec<Word<'_>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    for (number, mut rest) in code.lines().enumerate() {
        loop {
            rest = rest.trim_start();
            let Some(first) = rest.chars().next() else {
                break;
            };
            let length = if is_name(first) {
                rest.find(|c| !is_name(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            let (text, behind) = rest.split_at(length);
            words.push(Word {
                text,
                line: number + 1,
            });
            rest = behind;
        }
    }
    words
}

/// What a file has for production, and the names of its child modules that are for tests.
pub(super) struct Production<'a> {
    pub(super) words: Vec<Word<'a>>,
    pub(super) test_modules: Vec<&'a str>,
}

/// Leaves out each item under `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
pub(super) fn production<'a>(words: &[Word<'a>]) -> Production<'a> {
    let mut kept = Vec::with_capacity(words.len());
    let mut test_modules = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let Some(item) = behind_test_attribute(&words[at..]).map(|length| at + length) else {
            kept.push(words[at]);
            at += 1;
            continue;
        };
        at = item + item_length(&words[item..]);
        let texts: Vec<_> = words[item..at].iter().map(|word| word.text).collect();
        if let Some(mod_at) = texts.iter().position(|text| *text == "mod")
            && let [_, name, ";", ..] = texts[mod_at..]
        {
            test_modules.push(name);
        }
    }
    Production {
        words: kept,
        test_modules,
    }
}

/// Where the item begins when an attribute for tests alone stands here.
fn behind_test_attribute(words: &[Word<'_>]) -> Option<usize> {
    let texts: Vec<_> = words.iter().take(6).map(|word| word.text).collect();
    let ["#", "[", "cfg", "(", first, next, ..] = texts[..] else {
        return None;
    };
    let end = 1 + bracketed(&words[1..]);
    let alone = first == "test" && next == ")";
    let with_others = first == "all" && words[..end].iter().any(|word| word.text == "test");
    (alone || with_others).then_some(end)
}

/// The length of what begins with an opening bracket.
fn bracketed(words: &[Word<'_>]) -> usize {
    let mut depth = 0_usize;
    for (at, word) in words.iter().enumerate() {
        match word.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    words.len()
}

/// The length of an item, a statement, a member or a variant.
fn item_length(words: &[Word<'_>]) -> usize {
    const ITEMS: [&str; 16] = [
        "fn",
        "mod",
        "struct",
        "enum",
        "union",
        "impl",
        "use",
        "const",
        "static",
        "type",
        "trait",
        "extern",
        "unsafe",
        "async",
        "let",
        "macro_rules",
    ];
    let mut is_item = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        is_item |= ITEMS.contains(&word.text);
        match word.text {
            ";" => return at + 1,
            // Between members; in an item it stands between type parameters.
            "," if !is_item => return at + 1,
            ")" | "]" | "}" => return at,
            "{" => return at + bracketed(&words[at..]),
            "(" | "[" => at += bracketed(&words[at..]),
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn keeps(code: &str, expected: &str, modules: &[&str]) {
        let words = words(code);
        let production = production(&words);
        let texts: Vec<_> = production.words.iter().map(|word| word.text).collect();
        assert_eq!(texts.join(" "), expected, "{code}");
        assert_eq!(production.test_modules, modules, "{code}");
    }

    #[test]
    fn words_know_their_line() {
        let words = words("a::b\n  c2{");
        let pairs: Vec<_> = words.iter().map(|word| (word.text, word.line)).collect();
        assert_eq!(pairs, [("a", 1), ("::", 1), ("b", 1), ("c2", 2), ("{", 2)]);
    }

    #[test]
    fn items_for_tests_are_left_out() {
        keeps("a ; #[cfg(test)] mod tests { x ; { y } } b", "a ; b", &[]);
        keeps(
            "#[cfg(test)] #[path = ] pub(crate) mod tests; b",
            "b",
            &["tests"],
        );
        keeps("#[cfg(test)] fn a<T, U>(x: [u8; 2]) -> c { d } b", "b", &[]);
        keeps("#[cfg(all(test, unix))] use a::{b, c}; d", "; d", &[]);
    }

    #[test]
    fn members_for_tests_are_left_out() {
        keeps("{ #[cfg(test)] a: b, c: d }", "{ c : d }", &[]);
        keeps("{ c: d, #[cfg(test)] a: b }", "{ c : d , }", &[]);
    }

    #[test]
    fn other_conditions_are_production() {
        keeps("#[cfg(unix)] a", "# [ cfg ( unix ) ] a", &[]);
        keeps("#[cfg(not(test))] a", "# [ cfg ( not ( test ) ) ] a", &[]);
        keeps(
            "#[cfg(any(test, x))] a",
            "# [ cfg ( any ( test , x ) ) ] a",
            &[],
        );
    }
}
