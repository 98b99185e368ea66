//! What any text may hold, wherever it stands: on the command line, in the environment, in a file.

/// Refuses what no name, path, address or tag of ours can be: line protocol has no way to write some control
/// characters, the kernel none for a NUL in a path, and a terminal obeys others.
pub(super) fn check(text: &str) -> Result<(), String> {
    match text.chars().find(|character| character.is_control()) {
        None => Ok(()),
        Some(control) => Err(format!(
            "contains a control character (U+{:04X}), which no option accepts",
            u32::from(control)
        )),
    }
}

/// Refuses two values for one tag.
pub(super) fn check_tags<'a>(tags: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in tags {
        if seen.contains(&name) {
            return Err(format!("the tag {name} has two values; remove one of them"));
        }
        seen.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check, check_tags};

    #[test]
    fn text_has_no_control_characters() {
        for right in ["", "a b", "größe=ß", "/run/ 🦀"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for (wrong, named) in [
            ("a\0", "U+0000"),
            ("a\nb", "U+000A"),
            ("\tb", "U+0009"),
            ("\x1b[31m", "U+001B"),
            ("a\x7f", "U+007F"),
            ("a\u{85}b", "U+0085"),
        ] {
            let why = check(wrong).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }

    #[test]
    fn a_tag_has_one_value() {
        assert_eq!(check_tags(["a", "b"].into_iter()), Ok(()));
        assert!(check_tags(["a", "b", "a"].into_iter()).is_err());
    }
}
