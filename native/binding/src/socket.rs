//! Connections that one thread accepts and another one serves.

use napi::{Error, Result};
use napi_derive::napi;

/// A second descriptor of an open connection, so that the thread that accepted it may close its own.
///
/// Throws when there are too many open files, on what is no descriptor, and where there are none.
#[napi(catch_unwind)]
pub fn socket_double(descriptor: i32) -> Result<i32> {
    #[cfg(unix)]
    {
        // SAFETY: it takes numbers only, and gives a descriptor that nobody else knows.
        let double = unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 0) };
        if double >= 0 { Ok(double) } else { Err(Error::from(std::io::Error::last_os_error())) }
    }
    #[cfg(not(unix))]
    {
        let _ = descriptor;
        Err(Error::from_reason("connections can't be handed to another thread on this platform"))
    }
}
