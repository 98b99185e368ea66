//! Batches taken apart. What goes out is always whole lines, and never is a line cut.

/// How many lines a batch has.
pub(super) fn lines(batch: &[u8]) -> u64 {
    batch.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Takes whole lines off `rest`, as many as fit; a line that does not fit is a piece by itself.
pub(super) fn next_piece<'a>(rest: &mut &'a [u8], most_bytes: usize) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let within = &rest[..rest.len().min(most_bytes)];
    let is_newline = |byte: &u8| *byte == b'\n';
    let end = within
        .iter()
        .rposition(is_newline)
        .or_else(|| rest.iter().position(is_newline))
        .map_or(rest.len(), |at| at + 1);
    let (piece, after) = rest.split_at(end);
    *rest = after;
    Some(piece)
}

/// The middle of a batch, at the end of a line; `None` when it has only one.
pub(super) fn half(batch: &[u8]) -> Option<usize> {
    let (before, after) = batch.split_at(batch.len() / 2);
    let newline = |byte: &u8| *byte == b'\n';
    let next = after.iter().position(newline);
    let next = next.map(|at| before.len() + at + 1);
    next.filter(|end| *end < batch.len())
        .or_else(|| before.iter().rposition(newline).map(|at| at + 1))
}

#[cfg(test)]
mod tests {
    use super::{half, next_piece};

    #[test]
    fn pieces_are_whole_lines() {
        let pieces = |text: &'static str, most| {
            let mut rest = text.as_bytes();
            std::iter::from_fn(|| next_piece(&mut rest, most)).collect::<Vec<_>>()
        };
        assert_eq!(pieces("a\nbb\nccc\n", 5), [&b"a\nbb\n"[..], b"ccc\n"]);
        assert_eq!(pieces("toolong\nb\n", 4), [&b"toolong\n"[..], b"b\n"]);
        assert_eq!(pieces("no end", 4), [&b"no end"[..]]);
        assert!(pieces("", 4).is_empty());
    }

    #[test]
    fn halves_are_whole_lines() {
        for (batch, expected) in [
            ("aa\nbb\n", Some(3)),
            ("a\nbbbbbbbbbb\n", Some(2)),
            ("bbbbbbbbbb\na\n", Some(11)),
            ("one\n", None),
            ("", None),
        ] {
            assert_eq!(half(batch.as_bytes()), expected, "{batch:?}");
        }
    }
}
