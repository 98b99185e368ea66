//! Netlink attributes, read in place and written to a buffer. Pure.

use super::Error;
use super::uapi::{ATTRIBUTE_HEADER, ATTRIBUTE_TYPE_MASK, NESTED, aligned};

/// The attributes of a message or of a nest: each item is a type without its flag bits and the
/// value, borrowed. A length that does not fit gives one error and ends the iteration.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Reads the attributes that fill `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((&[length0, length1, kind0, kind1], _)) = self.rest.split_first_chunk() else {
            self.rest = &[];
            return Some(Err(malformed("an attribute header is cut short")));
        };
        let length = usize::from(u16::from_ne_bytes([length0, length1]));
        let kind = u16::from_ne_bytes([kind0, kind1]) & ATTRIBUTE_TYPE_MASK;
        let Some(value) = self.rest.get(ATTRIBUTE_HEADER..length) else {
            self.rest = &[];
            return Some(Err(malformed("an attribute does not fit in its message")));
        };
        // The padding of the last attribute may be left out.
        self.rest = self.rest.get(aligned(length)..).unwrap_or_default();
        Some(Ok((kind, value)))
    }
}

/// The first `N` bytes of a value: longer is accepted, shorter is an error.
pub(super) fn bytes<const N: usize>(value: &[u8]) -> Result<[u8; N], Error> {
    value
        .first_chunk()
        .copied()
        .ok_or_else(|| malformed("an attribute is shorter than its type"))
}

/// A u16 in host order.
pub(super) fn host_u16(value: &[u8]) -> Result<u16, Error> {
    bytes(value).map(u16::from_ne_bytes)
}

/// A u16 in network order.
pub(super) fn network_u16(value: &[u8]) -> Result<u16, Error> {
    bytes(value).map(u16::from_be_bytes)
}

/// A u32 in host order.
pub(super) fn host_u32(value: &[u8]) -> Result<u32, Error> {
    bytes(value).map(u32::from_ne_bytes)
}

/// A counter in host order, 32 or 64 bits wide as its length says.
pub(super) fn counter(value: &[u8]) -> Result<u64, Error> {
    if let Some(&wide) = value.first_chunk() {
        return Ok(u64::from_ne_bytes(wide));
    }
    host_u32(value).map(u64::from)
}

/// Appends one attribute with its padding. A value is at most 65,531 bytes; all of this program's
/// are far shorter.
pub(super) fn append(buffer: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let start = buffer.len();
    append_header(buffer, kind);
    buffer.extend_from_slice(value);
    close(buffer, start);
}

/// Appends a nest whose attributes `fill` appends.
pub(super) fn append_nest(buffer: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    append_header(buffer, kind | NESTED);
    fill(buffer);
    close(buffer, start);
}

fn append_header(buffer: &mut Vec<u8>, kind: u16) {
    buffer.extend_from_slice(&[0; 2]);
    buffer.extend_from_slice(&kind.to_ne_bytes());
}

/// Writes the length of the attribute that began at `start`, then its padding, which the length
/// does not count.
fn close(buffer: &mut Vec<u8>, start: usize) {
    let length = u16::try_from(buffer.len() - start).unwrap_or(u16::MAX);
    buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    buffer.resize(start + aligned(usize::from(length)), 0);
}

fn malformed(what: &'static str) -> Error {
    Error::Protocol { what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_flag_bits_of_a_type_are_ignored() {
        let mut buffer = Vec::new();
        append_nest(&mut buffer, 3, |inner| append(inner, 1, &[7]));
        assert_eq!(buffer[2..4], 0x8003_u16.to_ne_bytes());
        let (kind, nest) = Attributes::new(&buffer).next().unwrap().unwrap();
        assert_eq!(kind, 3);
        let inner: Vec<_> = Attributes::new(nest).map(Result::unwrap).collect();
        assert_eq!(inner, [(1, &[7_u8][..])]);
    }

    #[test]
    fn the_last_padding_may_be_missing() {
        let mut buffer = Vec::new();
        append(&mut buffer, 1, b"wlc\0\0");
        assert_eq!(buffer.len(), 12);
        buffer.truncate(9);
        let all: Vec<_> = Attributes::new(&buffer).map(Result::unwrap).collect();
        assert_eq!(all, [(1, &b"wlc\0\0"[..])]);
    }

    #[test]
    fn a_length_that_does_not_fit_is_an_error_and_the_end() {
        for length in [0_u16, 3, 9, u16::MAX] {
            let mut buffer = length.to_ne_bytes().to_vec();
            buffer.extend_from_slice(&[1, 0, 0, 0, 0, 0]);
            let mut attributes = Attributes::new(&buffer);
            assert!(attributes.next().unwrap().is_err(), "length {length}");
            assert!(attributes.next().is_none());
        }
    }

    #[test]
    fn a_counter_is_as_wide_as_its_attribute() {
        assert_eq!(counter(&7_u32.to_ne_bytes()).unwrap(), 7);
        assert_eq!(counter(&u64::MAX.to_ne_bytes()).unwrap(), u64::MAX);
        assert!(counter(&[1, 2, 3]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            attributes in prop::collection::vec(
                (0..=ATTRIBUTE_TYPE_MASK, prop::collection::vec(any::<u8>(), 0..40)), 0..20),
        ) {
            let mut buffer = Vec::new();
            for (kind, value) in &attributes {
                append(&mut buffer, *kind, value);
            }
            let read: Result<Vec<_>, _> = Attributes::new(&buffer)
                .map(|item| item.map(|(kind, value)| (kind, value.to_vec())))
                .collect();
            prop_assert_eq!(read.unwrap(), attributes);
        }

        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Attributes::new(&bytes).count() <= bytes.len());
        }
    }
}
