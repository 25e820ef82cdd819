//! Memory that the C library's allocator holds without need.

use napi_derive::napi;

/// Gives the allocator's free pages back to the system, in all its arenas; elsewhere than with glibc it does nothing.
///
/// glibc does so by itself only at an arena's end. Takes about 1 ms per 40 MB of many small pieces.
#[napi]
pub fn memory_trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes a number only, and locks each arena while it works there.
    unsafe {
        libc::malloc_trim(0);
    }
}
