//! Records of the ring buffers, taken apart: bytes in, words out.

use ipvs_sampler_common::{Fill, Record, State};

/// `None` for bytes of another length, which no program of ours writes.
pub(super) fn decode_record(bytes: &[u8]) -> Option<Record> {
    let bytes: &[u8; size_of::<Record>()] = bytes.try_into().ok()?;
    Some(Record {
        kind: u32_at(bytes, 0),
        cpu: u32_at(bytes, 4),
        object: u64_at(bytes, 8),
        time_ns: u64_at(bytes, 16),
        connections: u64_at(bytes, 24),
        slot: u32_at(bytes, 32),
        reserved: 0,
    })
}

/// As [`decode_record`].
pub(super) fn decode_fill(bytes: &[u8]) -> Option<Fill> {
    let bytes: &[u8; size_of::<Fill>()] = bytes.try_into().ok()?;
    Some(Fill {
        object: u64_at(bytes, 0),
        slot: u32_at(bytes, 8),
        read: u32_at(bytes, 12),
        shown: std::array::from_fn(|index| u64_at(bytes, 16 + 8 * index)),
        state: State {
            active: u32_at(bytes, 56),
            inactive: u32_at(bytes, 60),
            persistent: u32_at(bytes, 64),
            weight: u32_at(bytes, 68),
            flags: u32_at(bytes, 72),
        },
        kind: u32_at(bytes, 76),
    })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}
