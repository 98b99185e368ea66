//! Sizes as people write them.

/// From `100MiB`, `2GiB`, `64KiB` or a number of bytes.
///
/// # Errors
/// What is wrong with it, for the user.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number = number.parse::<u64>().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("{text:?} is not a size; write it like 100MiB or 2GiB"))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("100MiB"), Ok(100 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in ["", "0", "MiB", "1MB", "-1KiB", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
