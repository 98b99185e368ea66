//! Spoils the kernel's type information: a module's BTF with one member moved.

const STRUCT: u32 = 4;

/// `btf`, a module's, with `member` of `structure` moved by this many bytes. Both names must be the module's own.
pub(crate) fn moved(btf: &[u8], structure: &str, member: &str, bytes: u32) -> Vec<u8> {
    let word = |at: usize| u32::from_ne_bytes(btf[at..at + 4].try_into().expect("four bytes"));
    let types = (word(4) + word(8)) as usize;
    let end = types + word(12) as usize;
    let strings = strings_of(btf);
    // A module's strings continue those of the image, whose length is not here: what comes in the
    // module's own table at some place is at that place plus one unknown base.
    let place = |name: &str| {
        let needle: Vec<u8> = [b"\0", name.as_bytes(), b"\0"].concat();
        strings
            .windows(needle.len())
            .position(|window| window == needle)
            .map(|at| at as u32 + 1)
    };
    let image = std::fs::read("/sys/kernel/btf/vmlinux").expect("the image's BTF");
    let image_strings = strings_of(&image);
    let base = image_strings.len() as u32;
    let is = |at: u32, name: &str| match place(name) {
        Some(place) if at == base + place => true,
        _ => image_strings
            .get(at as usize..)
            .is_some_and(|rest| rest.starts_with(name.as_bytes()) && rest[name.len()] == 0),
    };
    let mut spoilt = btf.to_vec();
    let mut at = types;
    while at < end {
        let info = word(at + 4);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let body = at + 12;
        if kind == STRUCT && is(word(at), structure) {
            for entry in (body..body + count * 12).step_by(12) {
                if is(word(entry), member) {
                    let moved = word(entry + 8) + bytes * 8;
                    spoilt[entry + 8..entry + 12].copy_from_slice(&moved.to_ne_bytes());
                    return spoilt;
                }
            }
        }
        at = body
            + match kind {
                2 | 7..=12 | 16 | 18 => 0,
                1 | 14 | 17 => 4,
                3 => 12,
                6 | 13 => count * 8,
                _ => count * 12,
            };
    }
    panic!("no {structure}.{member}");
}

fn strings_of(btf: &[u8]) -> &[u8] {
    let word =
        |at: usize| u32::from_ne_bytes(btf[at..at + 4].try_into().expect("four bytes")) as usize;
    let start = word(4) + word(16);
    &btf[start..start + word(20)]
}
