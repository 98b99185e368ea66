//! Reads member offsets from the kernel's BTF, by name. Pure: bytes in, offsets out.
//!
//! Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h. All integers are in the byte
//! order of the machine that built the kernel, which is ours.

use thiserror::Error;

/// Why an offset is not to be had.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum BtfError {
    /// The bytes are no BTF that this code can read.
    #[error("the kernel's BTF is malformed at byte {0}")]
    Malformed(usize),
    /// No struct of this name.
    #[error("the kernel's BTF has no struct {0}")]
    NoStruct(&'static str),
    /// The struct has no such member.
    #[error("the kernel's struct {0} has no member {1}")]
    NoMember(&'static str, &'static str),
}

/// `BTF_MAGIC`.
const MAGIC: u16 = 0xeb9f;
/// Bytes of `struct btf_type`.
const TYPE_SIZE: usize = 12;

/// Byte offset of each `(struct, member)` asked for, in the BTF of the kernel image or, with
/// `module`, in that of a module, whose strings go on where those of the image end. Members inside
/// unnamed unions and structs are not searched: none that this program needs is there.
///
/// # Errors
/// When the BTF is malformed, or a struct or member is missing.
pub(super) fn offsets<const N: usize>(
    image: &[u8],
    module: Option<&[u8]>,
    wanted: [(&'static str, &'static str); N],
) -> Result<[u32; N], BtfError> {
    let image = Btf::new(image)?;
    let btf = match module {
        Some(module) => Btf {
            base_strings: image.strings,
            ..Btf::new(module)?
        },
        None => image,
    };
    let mut found = [None; N];
    let mut seen = [false; N];
    btf.each_struct(|name, members| {
        for (index, (structure, member)) in wanted.iter().enumerate() {
            if name == structure.as_bytes() && found[index].is_none() {
                seen[index] = true;
                found[index] = btf.member(members, member.as_bytes())?;
            }
        }
        Ok(())
    })?;
    let mut result = [0; N];
    for (index, (structure, member)) in wanted.into_iter().enumerate() {
        result[index] = match (found[index], seen[index]) {
            (Some(offset), _) => offset,
            (None, true) => return Err(BtfError::NoMember(structure, member)),
            (None, false) => return Err(BtfError::NoStruct(structure)),
        };
    }
    Ok(result)
}

struct Btf<'a> {
    /// The strings that come before our own: the image's, for a module.
    base_strings: &'a [u8],
    types: &'a [u8],
    strings: &'a [u8],
}

/// The members of one struct: raw `struct btf_member` entries and whether offsets share their word
/// with a bit-field size (`kind_flag`).
struct Members<'a> {
    raw: &'a [u8],
    bit_fields: bool,
}

impl<'a> Btf<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = bytes.get(..2).ok_or(BtfError::Malformed(0))?;
        if magic != MAGIC.to_ne_bytes() {
            return Err(BtfError::Malformed(0));
        }
        let header = word(bytes, 4)?;
        let section = |at: usize| -> Result<&'a [u8], BtfError> {
            let start = header
                .checked_add(word(bytes, at)?)
                .ok_or(BtfError::Malformed(at))?;
            let end = start
                .checked_add(word(bytes, at + 4)?)
                .ok_or(BtfError::Malformed(at))?;
            bytes.get(start..end).ok_or(BtfError::Malformed(at))
        };
        Ok(Self {
            base_strings: &[],
            types: section(8)?,
            strings: section(16)?,
        })
    }

    fn each_struct(
        &self,
        mut visit: impl FnMut(&[u8], &Members<'a>) -> Result<(), BtfError>,
    ) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let info = word(self.types, at + 4)?;
            let (kind, count) = ((info >> 24) & 0x1f, info & 0xffff);
            let body = at + TYPE_SIZE;
            let end = body + body_size(kind, count).ok_or(BtfError::Malformed(at))?;
            let raw = self.types.get(body..end).ok_or(BtfError::Malformed(at))?;
            if kind == STRUCT {
                let members = Members {
                    raw,
                    bit_fields: info >> 31 == 1,
                };
                visit(self.string(word(self.types, at)?)?, &members)?;
            }
            at = end;
        }
        Ok(())
    }

    fn member(&self, members: &Members<'_>, name: &[u8]) -> Result<Option<u32>, BtfError> {
        for at in (0..members.raw.len()).step_by(TYPE_SIZE) {
            if self.string(word(members.raw, at)?)? == name {
                let bits = word(members.raw, at + 8)?;
                let bits = if members.bit_fields {
                    bits & 0x00ff_ffff
                } else {
                    bits
                };
                return Ok(u32::try_from(bits / 8).ok());
            }
        }
        Ok(None)
    }

    fn string(&self, at: usize) -> Result<&'a [u8], BtfError> {
        let rest = match at.checked_sub(self.base_strings.len()) {
            Some(own) => self.strings.get(own..),
            None => self.base_strings.get(at..),
        };
        let rest = rest.ok_or(BtfError::Malformed(at))?;
        let end = rest
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(BtfError::Malformed(at))?;
        Ok(&rest[..end])
    }
}

/// `BTF_KIND_STRUCT`.
const STRUCT: usize = 4;

/// Bytes that follow `struct btf_type`, by `BTF_KIND_*` (include/uapi/linux/btf.h).
fn body_size(kind: usize, count: usize) -> Option<usize> {
    Some(match kind {
        // PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
        2 | 7..=12 | 16 | 18 => 0,
        // INT, VAR, DECL_TAG
        1 | 14 | 17 => 4,
        // ARRAY
        3 => 12,
        // ENUM, FUNC_PROTO
        6 | 13 => count * 8,
        // STRUCT, UNION, DATASEC, ENUM64
        STRUCT | 5 | 15 | 19 => count * 12,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Result<usize, BtfError> {
    let end = at.checked_add(4).ok_or(BtfError::Malformed(at))?;
    let raw: [u8; 4] = bytes
        .get(at..end)
        .and_then(|raw| raw.try_into().ok())
        .ok_or(BtfError::Malformed(at))?;
    usize::try_from(u32::from_ne_bytes(raw)).map_err(|_| BtfError::Malformed(at))
}

#[cfg(test)]
mod tests {
    use super::{BtfError, offsets};

    /// BTF with an int, an enum to be skipped, `struct net { int a; int ipvs; }` and
    /// `struct task { int flag:1 at bit 8; }` with the bit-field form of offsets.
    fn sample() -> Vec<u8> {
        let strings = b"\0net\0a\0ipvs\0task\0flag\0";
        let mut types: Vec<u32> = Vec::new();
        types.extend([0, 1 << 24, 4, 32]); // INT
        types.extend([0, (6 << 24) | 2, 4, 0, 0, 0, 1]); // ENUM of two
        types.extend([1, (4 << 24) | 2, 8, 5, 1, 0, 7, 1, 32]); // struct net
        types.extend([12, (1 << 31) | (4 << 24) | 1, 8, 17, 1, (1 << 24) | 16]); // struct task
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let mut btf = Vec::new();
        btf.extend(0xeb9f_u16.to_ne_bytes());
        btf.extend([1, 0]);
        for word in [24, 0, types.len(), types.len(), strings.len()] {
            btf.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        btf.extend(types);
        btf.extend(strings);
        btf
    }

    #[test]
    fn finds_members_by_name() {
        let found = offsets(
            &sample(),
            None,
            [("net", "ipvs"), ("task", "flag"), ("net", "a")],
        );
        assert_eq!(found, Ok([4, 2, 0]));
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(
            offsets(&sample(), None, [("nsproxy", "net_ns")]),
            Err(BtfError::NoStruct("nsproxy"))
        );
        assert_eq!(
            offsets(&sample(), None, [("net", "b")]),
            Err(BtfError::NoMember("net", "b"))
        );
    }

    #[test]
    fn no_truncation_panics() {
        let whole = sample();
        for length in 0..whole.len() {
            assert!(
                offsets(&whole[..length], None, [("task", "flag")]).is_err(),
                "{length} bytes"
            );
        }
    }
}
