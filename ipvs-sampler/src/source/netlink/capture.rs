//! The datagrams of a dump in a file: each is its length (u32, little endian), then its bytes.
//!
//! The datagrams themselves are in the byte order of the machine that captured them.

use super::Error;

/// Appends one datagram to a capture. A datagram is far shorter than 4 GiB.
pub fn append(capture: &mut Vec<u8>, datagram: &[u8]) {
    let length = u32::try_from(datagram.len()).unwrap_or(u32::MAX);
    capture.extend_from_slice(&length.to_le_bytes());
    capture.extend_from_slice(datagram);
}

/// The datagrams of a capture, in the order received. A length that does not fit gives one
/// [`Error::Protocol`] and ends the iteration.
#[derive(Clone, Debug)]
pub struct Captured<'a> {
    rest: &'a [u8],
}

impl<'a> Captured<'a> {
    /// Reads a whole capture.
    #[must_use]
    pub fn new(capture: &'a [u8]) -> Self {
        Self { rest: capture }
    }
}

impl<'a> Iterator for Captured<'a> {
    type Item = Result<&'a [u8], Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = self
            .rest
            .split_first_chunk()
            .and_then(|(&length, rest)| rest.split_at_checked(u32::from_le_bytes(length) as usize));
        let Some((datagram, rest)) = split else {
            self.rest = &[];
            return Some(Err(Error::Protocol {
                what: "a capture is cut short",
            }));
        };
        self.rest = rest;
        Some(Ok(datagram))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_read() {
        let mut capture = Vec::new();
        append(&mut capture, b"one");
        append(&mut capture, b"");
        append(&mut capture, b"three");
        assert_eq!(capture[..7], [3, 0, 0, 0, b'o', b'n', b'e']);
        let read: Vec<_> = Captured::new(&capture).map(Result::unwrap).collect();
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
    }

    #[test]
    fn a_capture_cut_short_is_an_error() {
        let mut capture = Vec::new();
        append(&mut capture, b"one");
        for length in 1..capture.len() {
            let mut datagrams = Captured::new(&capture[..length]);
            assert!(datagrams.next().unwrap().is_err());
            assert!(datagrams.next().is_none());
        }
    }
}
