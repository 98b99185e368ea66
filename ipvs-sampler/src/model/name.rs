//! A short kernel name held in place.

use std::fmt;

/// Longest name the kernel hands out: `IP_VS_SCHEDNAME_MAXLEN` and `IP_VS_PENAME_MAXLEN` are 16
/// including the final NUL (include/uapi/linux/ip_vs.h).
const CAPACITY: usize = 15;

/// The name of a scheduler or a persistence engine: at most 15 bytes, stored in place so that a
/// dump of thousands of services allocates nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; CAPACITY],
    length: u8,
}

impl Name {
    /// Takes the bytes up to the first NUL, at most 15. A byte that is no printable ASCII becomes
    /// `?`: names are tag values, and the kernel lets a module register any bytes.
    #[must_use]
    pub fn from_kernel(raw: &[u8]) -> Self {
        let mut name = Self::default();
        for &byte in raw.iter().take_while(|&&byte| byte != 0).take(CAPACITY) {
            name.bytes[usize::from(name.length)] =
                if byte.is_ascii_graphic() { byte } else { b'?' };
            name.length += 1;
        }
        name
    }

    /// The name as text; empty when the kernel sent none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored, so the conversion cannot fail.
        str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_name_ends_at_its_nul() {
        assert_eq!(Name::from_kernel(b"wlc\0rubbish").as_str(), "wlc");
        assert_eq!(Name::from_kernel(b"").as_str(), "");
    }

    #[test]
    fn a_name_is_always_short_printable_ascii() {
        assert_eq!(
            Name::from_kernel(b"exactly-sixteen!").as_str(),
            "exactly-sixteen"
        );
        assert_eq!(
            Name::from_kernel(&[b'a', 0xff, b'\n', b' ']).as_str(),
            "a???"
        );
    }
}
