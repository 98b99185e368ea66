//! An eBPF array seen through memory: reading it costs no system call, and none of the kprobe
//! programs is held off meanwhile (see docs/internals/probe.md, "Deaf while you look").

use std::{
    io,
    os::fd::AsFd,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A `BPF_F_MMAPABLE` array of 64-bit integers, mapped shared for reading and writing.
pub(super) struct Mapped {
    base: NonNull<AtomicU64>,
    words: usize,
}

impl Mapped {
    /// Maps `words` integers of the array behind `map`.
    pub(super) fn new(map: impl AsFd, words: usize) -> io::Result<Self> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; it lives until
        // `drop`. The kernel refuses one longer than the array (`array_map_mmap`,
        // kernel/bpf/arraymap.c).
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                words * size_of::<AtomicU64>(),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.as_fd(),
                0,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, words })
    }

    /// All integers. Each load is whole; two loads are two moments.
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: `words` aligned integers stay mapped as long as `self`; other writers (the eBPF
        // program) store aligned 64-bit integers, which is what an atomic expects.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.words) }
    }

    /// How many integers there are.
    pub(super) fn len(&self) -> usize {
        self.words
    }

    /// As many integers as asked for from `first` on, each loaded by itself.
    pub(super) fn read<const N: usize>(&self, first: usize) -> [u64; N] {
        std::array::from_fn(|index| self.get(first + index))
    }

    /// The integer at `index`, 0 outside the array. What its writer had written before is seen by
    /// what is read after.
    pub(super) fn get(&self, index: usize) -> u64 {
        self.words()
            .get(index)
            .map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Sets the integer at `index`; nothing outside the array.
    pub(super) fn set(&self, index: usize, value: u64) {
        if let Some(word) = self.words().get(index) {
            word.store(value, Ordering::Release);
        }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, of which no reference outlives `self`.
        let unmapped = unsafe {
            munmap(
                self.base.as_ptr().cast(),
                self.words * size_of::<AtomicU64>(),
            )
        };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}
