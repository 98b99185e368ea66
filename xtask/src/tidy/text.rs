//! Rust text in, its code out: comments, and what stands in quotes, become blanks.

/// The code of a Rust file. Lines keep their numbers.
pub(super) fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + blank_length(bytes, at);
        if end > at {
            code.extend(
                text[at..end]
                    .chars()
                    .map(|c| if c == '\n' { c } else { ' ' }),
            );
            at = end;
        } else {
            let length = text[at..].chars().next().map_or(1, char::len_utf8);
            code.push_str(&text[at..at + length]);
            at += length;
        }
    }
    code
}

/// How many bytes from `at` on are a comment or stand in quotes; 0 where code does.
fn blank_length(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !ends_a_word(bytes, at) => raw_string(rest),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', first, ..] => {
            // Anything else is a lifetime or a label.
            let closing = 1 + utf8_length(*first);
            if rest.get(closing) == Some(&b'\'') {
                closing + 1
            } else {
                0
            }
        }
        _ => 0,
    }
}

/// Whether the byte at `at` goes on with a name; `b` and `c` before a raw string are no name.
fn ends_a_word(bytes: &[u8], at: usize) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    match &bytes[..at] {
        [.., before, b'b' | b'c'] => word(before),
        [.., before] => word(before) && !matches!(before, b'b' | b'c'),
        [] => false,
    }
}

fn utf8_length(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match text[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `r"..."` or `r#"..."#`; 0 for a raw identifier.
fn raw_string(text: &[u8]) -> usize {
    let hashes = text[1..].iter().take_while(|b| **b == b'#').count();
    if text.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let begin = hashes + 2;
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    text[begin..]
        .windows(end.len())
        .position(|window| window == end)
        .map_or(text.len(), |at| begin + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::code;

    #[track_caller]
    fn becomes(text: &str, expected: &str) {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let code = code(text);
        assert_eq!(words(&code), words(expected), "{text}");
        assert_eq!(code.lines().count(), text.lines().count(), "{text}");
    }

    #[test]
    fn comments_are_blank() {
        becomes("a // use crate::b\nc", "a \n c");
        becomes("a /* b /* c */\n d */ e", "a \n e");
        becomes("/// `unsafe`\nfn a() {}", "\n fn a() {}");
    }

    #[test]
    fn quoted_text_is_blank() {
        becomes(r#"a("x // \" y", b)"#, "a( , b)");
        becomes("a(r#\"x \" y\"#, br\"\\\", b\"z\")", "a( , b , b )");
        becomes("a('\"', '\\'', 'ß', b'/')", "a( , , , b )");
        becomes("a(\"ä\nö\")", "a( \n )");
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        becomes(
            "fn a<'x>(b: &'x str, r#type: c) {}",
            "fn a<'x>(b: &'x str, r#type: c) {}",
        );
    }
}
