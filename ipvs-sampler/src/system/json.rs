//! Writes JSON token by token (RFC 8259); commas come by themselves.

/// Appends to a buffer. The caller sees to it that a key stands before each member.
pub(crate) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// A value stands before, so the next one begins with a comma.
    follows: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            follows: false,
        }
    }

    /// The name of a member; its value comes next.
    pub(crate) fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.out.push(b':');
        self.follows = false;
        self
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested(*b"{}", members);
    }

    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nested(*b"[]", elements);
    }

    pub(crate) fn number(&mut self, number: impl itoa::Integer) {
        self.value(|out| append_number(out, number));
    }

    pub(crate) fn boolean(&mut self, truth: bool) {
        self.value(|out| out.extend_from_slice(if truth { b"true" } else { b"false" }));
    }

    pub(crate) fn null(&mut self) {
        self.value(|out| out.extend_from_slice(b"null"));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.value(|out| {
            out.push(b'"');
            for byte in text.bytes() {
                match byte {
                    b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                    0..0x20 => {
                        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                        out.extend_from_slice(b"\\u00");
                        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
                    }
                    _ => out.push(byte),
                }
            }
            out.push(b'"');
        });
    }

    fn value(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        if self.follows {
            self.out.push(b',');
        }
        append(self.out);
        self.follows = true;
    }

    fn nested(&mut self, [open, close]: [u8; 2], fill: impl FnOnce(&mut Self)) {
        self.value(|out| out.push(open));
        self.follows = false;
        fill(self);
        self.out.push(close);
        self.follows = true;
    }
}

/// Appends a number in decimal.
pub(crate) fn append_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::Writer;

    #[test]
    fn commas_stand_between_values_only() {
        let mut out = Vec::new();
        Writer::new(&mut out).object(|json| {
            json.key("a").array(|json| {
                json.number(1_u8);
                json.array(|_| {});
                json.object(|_| {});
            });
            json.key("b").null();
            json.key("c").boolean(true);
        });
        assert_eq!(out, br#"{"a":[1,[],{}],"b":null,"c":true}"#);
    }

    #[test]
    fn text_is_escaped() {
        let mut out = Vec::new();
        Writer::new(&mut out).text("\"\\\n\u{1f}ü/");
        assert_eq!(out, "\"\\\"\\\\\\u000a\\u001fü/\"".as_bytes());
    }
}
