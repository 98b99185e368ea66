//! Keeps the resident memory near what is in use, where the C library would not by itself.

/// To be called once, before much is allocated: large buffers stay mappings of their own, so that one
/// that grows leaves no hole in the heap. By default glibc stops doing so once one was freed.
pub fn keep_large_apart() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; the value is the default that applies until a mapping is freed.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
    }
}

/// Gives back what was needed for a moment in many small pieces.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
