//! The paths that a file names: in `use` declarations, as a tree of any depth, and in its code.

use super::items::Word;

/// What a `use` declaration brings in, one for each leaf of its tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) line: usize,
    /// Modules with braces around the declaration, in this file.
    pub(super) within: Vec<String>,
    /// Ends with `*` for all that is there.
    pub(super) path: Vec<String>,
    /// The name that it has here; none for `*` and `_`.
    pub(super) name: Option<String>,
}

/// A path in an expression, a type or a macro.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) line: usize,
    pub(super) within: Vec<String>,
    pub(super) path: Vec<String>,
}

/// All paths of a file.
#[derive(Debug, Default)]
pub(super) struct Paths {
    pub(super) uses: Vec<Use>,
    pub(super) mentions: Vec<Mention>,
    /// Names of items, whatever they are nested in.
    pub(super) defined: Vec<String>,
}

impl Paths {
    pub(super) fn of(words: &[Word<'_>]) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        let mut depth = 0_usize;
        // Modules with braces, and how deep their content is.
        let mut modules: Vec<(String, usize)> = Vec::new();
        while let Some(word) = words.get(at) {
            let text = |ahead: usize| words.get(at + ahead).map_or("", |word| word.text);
            let within = || modules.iter().map(|(name, _)| name.clone()).collect();
            match word.text {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    modules.retain(|(_, inner)| *inner <= depth);
                }
                "mod" if text(2) == "{" => modules.push((text(1).to_owned(), depth + 1)),
                // `use<'a>` names what a type captures.
                "use" if text(1) != "<" => {
                    let mut tree = Tree {
                        words: &words[at + 1..],
                        within: within(),
                        uses: &mut found.uses,
                    };
                    tree.branch(&[]);
                    at = words.len() - tree.words.len();
                    continue;
                }
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static" => {
                    found.defined.push(text(1).to_owned());
                }
                "macro_rules" => found.defined.push(text(2).to_owned()),
                _ if is_name(word.text) && text(1) == "::" => {
                    let path = straight(&words[at..]);
                    let length = path.len() * 2 - 1;
                    // `<T as Trait>::x` goes on with what is not a module; `pub(in path)` imports nothing.
                    let before = at.checked_sub(1).map_or("", |before| words[before].text);
                    if path.len() > 1 && before != "::" && before != "in" {
                        found.mentions.push(Mention {
                            line: word.line,
                            within: within(),
                            path,
                        });
                    }
                    at += length;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// `a::b::c`, up to what is not a name.
fn straight(words: &[Word<'_>]) -> Vec<String> {
    let mut path = vec![words[0].text.to_owned()];
    for pair in words[1..].chunks_exact(2) {
        if pair[0].text != "::" || !is_name(pair[1].text) {
            break;
        }
        path.push(pair[1].text.to_owned());
    }
    path
}

/// The tree behind `use`, as far as it is still to be read.
struct Tree<'a, 'w> {
    words: &'a [Word<'w>],
    within: Vec<String>,
    uses: &'a mut Vec<Use>,
}

impl<'w> Tree<'_, 'w> {
    fn next(&mut self) -> Option<Word<'w>> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(*first)
    }

    fn peek(&self) -> &'w str {
        self.words.first().map_or("", |word| word.text)
    }

    /// One branch, with all that grows from it, up to the `,`, `}` or `;` behind it.
    fn branch(&mut self, stem: &[String]) {
        let mut path = stem.to_vec();
        while let Some(word) = self.next() {
            match word.text {
                "::" => {}
                "{" => {
                    while !matches!(self.peek(), "}" | ";" | "") {
                        self.branch(&path);
                        if self.peek() == "," {
                            self.next();
                        }
                    }
                    self.next();
                    return;
                }
                "*" => {
                    path.push("*".into());
                    return self.leaf(word.line, path, None);
                }
                text => {
                    // `a::{self}` is `a`.
                    if text != "self" || path.is_empty() {
                        path.push(text.to_owned());
                    }
                    if self.peek() == "::" {
                        continue;
                    }
                    let mut name = path.last().cloned();
                    if self.peek() == "as" {
                        self.next();
                        name = self.next().map(|word| word.text.to_owned());
                    }
                    return self.leaf(word.line, path, name.filter(|name| name != "_"));
                }
            }
        }
    }

    fn leaf(&mut self, line: usize, path: Vec<String>, name: Option<String>) {
        self.uses.push(Use {
            line,
            within: self.within.clone(),
            path,
            name,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::items::words, *};

    fn of(code: &str) -> Paths {
        Paths::of(&words(code))
    }

    fn shown(uses: &[Use]) -> Vec<String> {
        uses.iter()
            .map(|one| {
                let name = one.name.as_deref().unwrap_or("-");
                format!("{} {} {name}", one.line, one.path.join("::"))
            })
            .collect()
    }

    #[test]
    fn trees_are_taken_apart() {
        let found = of(
            "use crate::{\n a::{self, B, c::{D as E, f::*}},\n g,\n};\npub use super::h::I as _;",
        );
        assert_eq!(
            shown(&found.uses),
            [
                "2 crate::a a",
                "2 crate::a::B B",
                "2 crate::a::c::D E",
                "2 crate::a::c::f::* -",
                "3 crate::g g",
                "5 super::h::I -",
            ]
        );
        assert!(found.mentions.is_empty());
    }

    #[test]
    fn paths_in_code_are_found() {
        let found = of("pub(in crate::a) fn b() -> crate::c::D<e::F> { <G as h::I>::j::<K>(l) }");
        let paths: Vec<_> = found.mentions.iter().map(|m| m.path.join("::")).collect();
        assert_eq!(paths, ["crate::c::D", "e::F", "h::I"]);
        assert_eq!(found.defined, ["b"]);
    }

    #[test]
    fn modules_with_braces_are_known() {
        let found = of("mod a { use super::b; mod c { d::e() } } f::g()");
        assert_eq!(found.uses[0].within, ["a"]);
        assert_eq!(found.mentions[0].within, ["a", "c"]);
        assert!(found.mentions[1].within.is_empty());
    }
}
