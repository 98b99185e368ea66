//! What is published never has an address of the kernel in it.

/// The text with each number made unreadable that may be a kernel address: what is said here leaves
/// the machine.
#[must_use]
pub fn scrub(text: &str) -> String {
    let mut scrubbed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
        let (before, from) = rest.split_at(begin);
        let length = from
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(from.len());
        let (word, after) = from.split_at(length);
        scrubbed.push_str(before);
        scrubbed.push_str(if is_address(word) { "ADDRESS" } else { word });
        rest = after;
    }
    scrubbed.push_str(rest);
    scrubbed
}

/// More than 32 bits after `0x`, or as the kernel prints pointers: 16 digits.
fn is_address(word: &str) -> bool {
    let (digits, least) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 9),
        None => (word, 16),
    };
    digits.len() >= least && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::scrub;

    #[test]
    fn addresses_are_made_unreadable_and_nothing_else() {
        let text = "18: (18) r1 = 0xffff888003a51200 ; R0_w=map_value(map=CELLS,ks=4,vs=16)\n\
                    R2=0xdeadbeef ffffffffc0a0b1c0 t [ip_vs] id=4294967296 cafe";
        let expected = "18: (18) r1 = ADDRESS ; R0_w=map_value(map=CELLS,ks=4,vs=16)\n\
                        R2=0xdeadbeef ADDRESS t [ip_vs] id=4294967296 cafe";
        assert_eq!(scrub(text), expected);
        assert_eq!(scrub(""), "");
    }
}
